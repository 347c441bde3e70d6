"""A checkpoint held against another one: complete, and the same where that is demanded."""
