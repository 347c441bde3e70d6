"""Which files a command is about, what each is, and what became of it."""
