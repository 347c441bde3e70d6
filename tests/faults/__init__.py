"""Every writer of the tool, with every call to the system failing in its turn.

``injector`` lets one call fail, ``writers`` has what writes, ``judging`` says what must hold after
it, and ``python -m tests.faults`` runs all of it and stores how often what came of it.
"""
