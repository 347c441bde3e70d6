"""Images, and what models with a decoder make of them."""
