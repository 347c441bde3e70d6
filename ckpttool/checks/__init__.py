"""Checks: each a short generator of findings over what was examined."""
