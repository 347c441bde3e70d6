"""What other tools say of the same files; ``docs/comparison.md`` has the table."""
