"""Other names for what is written: the caller's own rules first, then a naming convention.

Rows of the source's tensors (along axis 0) are put together again, and no byte is computed with.
"""
