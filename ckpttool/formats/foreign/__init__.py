"""Recognising files that are no checkpoints: what such a file is, and which tool reads it.

They are honest files that were named by mistake, or whose weights must be taken out with another
tool first. So they get no verdict and are not called malformed (exit 2). ``signatures`` goes by
the first bytes, ``archives`` by the members of a zip or tar, ``pickled`` by what a pickle
describes. ``loose_pickles`` finds the pickles of broken archives, so that their code is judged.
"""
