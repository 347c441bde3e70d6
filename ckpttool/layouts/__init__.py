"""Naming conventions, each one table of renames and joins."""
