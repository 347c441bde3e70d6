"""Tensors as names and byte ranges: their bytes, numbers, statistics and who shares them."""
