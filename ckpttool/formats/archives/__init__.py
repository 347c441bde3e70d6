"""Zip and tar archives, read strictly."""
