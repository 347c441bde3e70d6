"""Which dictionary of a pickle is the state dict, its tensors, and what is left out."""
