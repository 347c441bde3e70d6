"""The arithmetic of two tensors, block by block."""
