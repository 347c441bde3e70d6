"""A checkpoint in several files: the index that lists them, and its shards."""
