"""Finding the state dict in a pickle, its tensors, and what is beside it."""
