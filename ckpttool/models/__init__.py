"""What a model expects, and what it computes."""
