"""What a parser that is fuzzed offers, and what its reference may answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Sequence

if TYPE_CHECKING:
    from random import Random

    from ckpttool.findings.errors import CkpttoolError

#: What :meth:`Parser.compare` returns where a reference read the same.
SAME = "same"


class ViolationError(AssertionError):
    """An oracle does not hold: two readers differ, or names do."""


class Parser(Protocol):
    """A module of ``tests/fuzzing/parsers``.

    Attributes:
        NAME: as on the command line and in the results.
    """

    NAME: str

    def seeds(self) -> Sequence[bytes]:
        """Return the files that are changed, always in the same order."""

    def mutate(self, content: bytes, random: Random) -> bytes:
        """Return the content with one change. All choices come from ``random``."""

    def read(self, content: bytes) -> object:
        """Read the content as ckpttool does, within the budget; raises ``CkpttoolError``."""

    def compare(self, content: bytes, said: object | CkpttoolError) -> str:
        """Hold what :meth:`read` returned or raised against another reader.

        Returns ``SAME``, or in some words why there was nothing to compare. These are counted, so
        they are few and name no part of the input.

        Raises:
            ViolationError: the readers differ.
        """
