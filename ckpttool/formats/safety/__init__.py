"""What a pickle may call: who reads a file is told what loading it would run.

``allowed`` is the table of constructors of data, with the ``kinds`` of arguments that each takes;
``idioms`` are the ways in which honest picklers spell something else with a call; ``names`` says
what is known of a name, with the facts on the ``standard_library``. ``judge`` applies them to
every call of every pickle, also to those in bytes (``nested``), while a format reads a file under
its ``watch``. ``telling`` makes findings of what was found, in the words of ``spelling``.
"""
