"""What a lock file says."""
