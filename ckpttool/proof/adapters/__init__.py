"""Low-rank adapters (LoRA) that are replayed: their parts, and which tensors each is for."""
