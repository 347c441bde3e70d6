"""Bytes by position, folders, and files that appear whole."""
