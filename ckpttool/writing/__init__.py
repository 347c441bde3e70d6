"""Putting bytes on disk: where they go, how they get there, and under which name they appear."""
