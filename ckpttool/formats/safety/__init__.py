"""What loading a pickle would run, and whether it may.

``allowed`` is the table of constructors of data, with the ``kinds`` of arguments that each takes.
``idioms`` are the calls by which honest picklers express something else. ``known_names`` lists
names known from attacks, with facts on the ``standard_library``. ``judge`` applies them to every
call of every pickle, pickles in bytes (``nested``) included, while a format reads a file under its
``watch``. ``telling`` turns the result into findings, with calls as ``spelling`` prints them.
"""
