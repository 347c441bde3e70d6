"""Naming conventions, each one table of renames and joins, and how one is recognised.

A convention is a :class:`~ckpttool.models.layouts.renames.Layout` in a file of its own and a place
in the ``layouts`` of its family. It must be total and reversible: whatever the canonical names of a
full model are, it says what they become and finds its way back.
"""
