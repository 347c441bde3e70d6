"""The uses of names in pickles beyond the construction of data. Plain values."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Use(Enum):
    """What a pickle does with a name, from nothing to the worst; the value is used in reports."""

    NAMED = "named"
    CLASS = "class"
    CALL = "call"
    ATTACK = "attack"


class NameUse(NamedTuple):
    """A name that a pickle uses for more than to construct data.

    Attributes:
        use: ``NAMED``, never called; ``CLASS``, instantiated without arguments and given
            attributes; ``CALL``, anything else that may run code; ``ATTACK``, a call that is
            known from attacks.
        name: ``module.name``.
        text: the first such call as Python source.
        member: the member of the container, ``None`` without one.
        offset: of that call, in bytes from the start of the member (or of the file).
        times: how many such calls there are.
        walked: whether the name is looked up through an imported module or as a method, so that a
            wildcard of ``trust`` for the module does not cover it.
    """

    use: Use
    name: str
    text: str
    member: str | None
    offset: int
    times: int = 1
    walked: bool = False
