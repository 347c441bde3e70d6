"""Safetensors files and the indexes of their shards."""
