"""Files of other kinds, by name: what such a file is, and which tool reads it.

Nothing of them is read. They are honest files that were named by mistake, or whose weights must
be taken out with another tool first: a verdict on them is never given, and neither are they called
malformed. ``signatures`` goes by first bytes, ``archives`` by what a zip holds, ``pickled`` by what
a pickle is made of.
"""
