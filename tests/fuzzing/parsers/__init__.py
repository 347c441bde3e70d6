"""One module per parser: what it begins with, how that is changed, and who else reads it."""
