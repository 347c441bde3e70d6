"""Schemas from code: a model is built, on the meta device, and says what it holds.

Somebody's own code is imported only where it was named; of a ``config.json`` only architectures of
the installed transformers are built.
"""
