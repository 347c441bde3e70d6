"""Low-rank adapters (LoRA): what a file of one holds, and which tensors each part is for."""
