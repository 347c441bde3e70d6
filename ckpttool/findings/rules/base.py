"""What a rule is, and how much a finding of it weighs."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Severity(Enum):
    """How much a finding weighs: an error fails the run, the others are told."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def weight(self) -> int:
        """A number to compare by: the heavier, the higher."""
        return -list(Severity).index(self)


class Rule(NamedTuple):
    """One thing that can be wrong.

    Attributes:
        code: three letters and three digits, never used again for something else.
        name: the short name in kebab case.
        severity: the weight of its findings unless an option or the finding says otherwise.
        meaning: what is so when it is found, in one line.
        fix: what to do about it, in one line; a finding that knows better says its own.
        more: what a reader of its page should know besides, how it is measured say.
        needs: what a run must have done to find it: run the ``forward`` pass, compare with a
            ``lock``.
        stands: whether it counts whatever other rules are selected: only who ignores it by its
            code or its family's letters leaves it out, and that is told.
        of_run: whether its findings are about a run as a whole: no waiver covers them.
    """

    code: str
    name: str
    severity: Severity
    meaning: str
    fix: str
    more: str = ""
    needs: tuple[str, ...] = ()
    stands: bool = False
    of_run: bool = False

    @property
    def letters(self) -> str:
        """The family that the code belongs to, ``NUM`` say."""
        return self.code[:3]


class Family(NamedTuple):
    """Rules of one kind.

    Attributes:
        letters: what their codes begin with.
        title: what they are about.
        judged: whether a policy may leave them out: what ``convert`` refuses, it may not.
        stops: whether its errors end the reading of a file, so that nothing more is known of it.
    """

    letters: str
    title: str
    judged: bool = True
    stops: bool = False
