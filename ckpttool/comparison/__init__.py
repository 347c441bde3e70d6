"""Comparing two catalogues: which tensors are a pair, and by how much the pairs differ."""
