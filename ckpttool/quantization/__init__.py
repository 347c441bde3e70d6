"""Quantized weights: which schemes there are, and which tensors of a file make up which weight."""
