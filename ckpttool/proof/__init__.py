"""Proving that one checkpoint was made from another, and by which operations."""
