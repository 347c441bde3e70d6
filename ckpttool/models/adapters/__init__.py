"""Low-rank adapters (LoRA): what a tensor is by its name, and what the configuration says."""
