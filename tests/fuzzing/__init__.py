"""Mutated files for every parser: what is tried, how it is judged, and what came of it."""
