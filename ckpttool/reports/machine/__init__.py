"""Reports that tools read."""
