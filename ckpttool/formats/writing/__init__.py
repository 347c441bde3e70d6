"""Containers laid out and filled."""
