"""What a header says of a file, which every command begins with, and the listing of ``inspect``."""
