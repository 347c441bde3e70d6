"""The lock file: what a release holds, as text to commit and to review; ``docs/lock.md``."""
