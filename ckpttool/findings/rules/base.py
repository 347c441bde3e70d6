"""Rules, their families, and the severity of their findings."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

#: The advice where a file breaks its format: whether this copy or its writer is at fault is not
#: known, so that fetching it again may change nothing.
COMPARE_AND_SAVE = (
    "Compare its checksum with the original's; if it is the same, save it again with torch.save."
)


class Severity(Enum):
    """How much a finding weighs: by default an error fails the run, the others do not."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def weight(self) -> int:
        """A number to compare by, higher for more severe ones."""
        return -list(Severity).index(self)


class Rule(NamedTuple):
    """One thing that can be wrong.

    Attributes:
        code: three letters and three digits, never used again for something else.
        name: the short name in kebab case.
        severity: that of its findings unless an option or the finding says otherwise.
        meaning: what is wrong when it is found, in one line.
        fix: what to do about it, in one line; a finding may have a more specific one.
        more: further text for its page: how it is measured, what is exempt.
        needs: what a run must do to find it: run the ``forward`` pass, compare with a ``lock``.
        stands: whether it counts even if only other rules are selected. Only ``ignore`` with its
            code or its family's letters leaves it out, and the report says so.
        of_run: whether its findings are about a run as a whole: no waiver covers them.
        undecided: whether a file with such a finding, and none that fails it, is CANNOT TELL.
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
    undecided: bool = False

    @property
    def letters(self) -> str:
        """The family that the code belongs to, for example ``NUM``."""
        return self.code[:3]


class RuleFamily(NamedTuple):
    """Rules of one kind.

    Attributes:
        letters: the first three letters of their codes.
        title: their subject.
        judged: whether a policy may leave them out, which it may not for refusals of ``convert``.
        stops: whether its errors end the reading of a file.
    """

    letters: str
    title: str
    judged: bool = True
    stops: bool = False
