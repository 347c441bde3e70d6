"""Faults of ckpttool that mutated files brought to light, and the tests that hold them mended."""

from __future__ import annotations

from typing import NamedTuple, Tuple


class Found(NamedTuple):
    """A fault.

    Attributes:
        parser: whose inputs showed it.
        what: what was wrong, in a sentence.
        test: the test, as ``file::name`` below ``tests/``.
    """

    parser: str
    what: str
    test: str


FOUND: Tuple[Found, ...] = ()
