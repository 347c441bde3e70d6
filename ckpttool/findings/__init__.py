"""The ground: what can be wrong, what is, the errors, and results as plain values."""
