"""The proof that reading hostile files starts nothing: all builders, all entry points, one hook.

``watching`` is the hook and what it forbids, ``files`` lays out the files, ``entries`` has every
command and every function of the package, ``child`` runs them in a process of its own, and
``started`` watches whole processes from their first import on. ``python -m tests.nothing_runs``
takes every file through every entry; the tests take a part of the pairs.
"""
