"""What a pickled object stands for: plain values, arrays, tensors."""
