"""The statistics of a file's tensors, from what the pass over its bytes measured."""
