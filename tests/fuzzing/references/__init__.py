"""Other readers of the same bytes, with nothing behind the names in them."""
