"""What pickled objects mean: plain values, arrays and tensors, read without making them."""
