"""The errors that ckpttool raises: data about what is wrong, formatted by whoever reports them.

There are four kinds: a file that breaks its format (:class:`MalformedError`), a file that cannot
be judged (:class:`UnreadableError`, :class:`UnsupportedError`), one that cannot be written
(:class:`OutputError`) and a caller's mistake (:class:`UsageError`, a ``ValueError``). Findings are
values, not errors.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Iterator

from ckpttool.findings.text import printable

if TYPE_CHECKING:
    from ckpttool.findings.rules import Rule
    from ckpttool.findings.uses import NameUse


class CkpttoolError(Exception):
    """Base of all errors raised on purpose.

    Attributes:
        message: what is wrong, in one line, without the place.
        rule: the rule broken, or ``None`` for a caller's mistake.
        path: the file, as the caller named it.
        member: the member of the container (``archive/data.pkl``) that the offset counts in.
        tensor: the tensor concerned.
        offset: where, in bytes from the start of ``member`` (or of the file without one).
        expected, found: the two sides of a failed comparison.
        fix: what the user can do about it.
        uses: what the file's pickles use names for, as far as they were read. It is reported
            before the error: a broken file must not hide code that loading would run.
        cleaned: files of killed runs that were removed before the error.
    """

    # on the class, so that most errors, which have none, need no argument for them

    uses: tuple[NameUse, ...] = ()
    cleaned: tuple[str, ...] = ()

    def __init__(
        self,
        message: str,
        rule: Rule | None = None,
        *,
        path: str | None = None,
        member: str | None = None,
        tensor: str | None = None,
        offset: int | None = None,
        expected: object = None,
        found: object = None,
        fix: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.rule = rule
        self.path = path
        self.member = member
        self.tensor = tensor
        self.offset = offset
        self.expected = expected
        self.found = found
        self.fix = fix

    def detail(self) -> str:
        """Return place, message, expected and found in one printable line, without the path."""
        place = []
        if self.member is not None:
            place.append(f"in {printable(self.member)}")
        if self.tensor is not None:
            place.append(f"tensor {printable(self.tensor)}")
        if self.offset is not None:
            place.append(f"at byte {self.offset:,}")
        line = f"{', '.join(place)}: {self.message}" if place else self.message
        if self.expected is not None or self.found is not None:
            both = [
                f"{word} {printable(str(value))}"
                for word, value in (("expected", self.expected), ("found", self.found))
                if value is not None
            ]
            line += f" ({', '.join(both)})"
        return line

    def headline(self) -> str:
        """Return path, place, message and rule in one printable line, without the fix."""
        line = self.detail()
        if self.path is not None:
            line = f"{printable(self.path)}: {line}"
        if self.rule is not None:
            line = f"{line} [{self.rule.code}]"
        return line

    def __str__(self) -> str:
        line = self.headline()
        return f"{line}. {self.fix}" if self.fix else line


@contextmanager
def adding_uses(uses: tuple[NameUse, ...]) -> Iterator[None]:
    """Add what the file's pickles use names for to every error that leaves the block."""
    try:
        yield
    except CkpttoolError as error:
        error.uses += uses
        raise


class MalformedError(CkpttoolError):
    """The file breaks the rules of its format, or is not safe to read: exit 1."""


class UnreadableError(CkpttoolError):
    """The file is missing, cannot be opened, or changed while it was read: exit 2."""


class UnsupportedError(CkpttoolError):
    """The file is of an unknown or unsupported kind: exit 2."""


class OutputError(CkpttoolError):
    """The destination cannot be written, or not safely; an existing file there is unchanged."""


# A ValueError too, so that users of the API need not import this module to catch it.
class UsageError(CkpttoolError, ValueError):
    """The caller asked for something that does not exist, for example a wrapper key."""
