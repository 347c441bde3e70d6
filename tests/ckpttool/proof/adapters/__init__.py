"""Adapters: their configuration, names and parts."""
