"""Naming conventions, each a table of renames and joins, and how a file's is recognised.

A table must be total (it has every canonical name of a full model) and reversible.
"""
