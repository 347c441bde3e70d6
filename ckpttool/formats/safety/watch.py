"""Reading the pickles of one file while judging what each would run."""

from __future__ import annotations

import re
from contextlib import suppress
from types import TracebackType
from typing import Callable

from ckpttool.findings.errors import CkpttoolError, UnsupportedError
from ckpttool.findings.uses import NameUse, Use
from ckpttool.formats import pickles
from ckpttool.formats.pickles import Pickle
from ckpttool.formats.pickles.nodes import Node, PersistentId
from ckpttool.formats.pickles.stack import NODE_BYTES_EACH
from ckpttool.formats.safety import programs
from ckpttool.formats.safety.judge import NAMELESS, Judge
from ckpttool.formats.safety.nested import NestedReader
from ckpttool.tensors.catalogue import Reference

# What a module with an attribute looks like. A text that happens to parse as opcodes gives names
# with spaces in them.
_IS_NAME = re.compile(r"[\w.-]+")


def _call_a_program(error: UnsupportedError) -> None:
    """Make the error for a file without a state dict say that it is a program, not judged."""
    error.message = (
        "the file is a program, a module of torch.fx: loading it runs the source text that it "
        "carries, which was not judged"
    )
    error.fix = "Where you know who wrote it, load it and save its state_dict() with torch.save."
    error.expected = error.found = None
    error.uses = tuple(use for use in error.uses if use.name != programs.REDUCE)


def _judge() -> Judge:
    nested = NestedReader()
    judge = Judge(lambda one: nested.read(judge, one))
    return judge


class Watch:
    """Reads pickles and judges each as soon as it is read.

    Used in a ``with`` block around the reading of a file: an error that leaves the block carries
    what the pickles use names for up to there, a broken pickle included. Without a worse error, a
    call of a constructor with arguments that it never takes raises MalformedError at the end.

    Attributes:
        unsigned: whether the file has no signature of a pickle, only bytes that parse as one. It
            may be text, so of what it names only what looks like a Python name counts.
        attacks_only: whether the pickles are not the file's own content, a safetensors file that
            parses as one say: attacks count, needed code does not.
        own: whether a name is that of code in the file itself, a program's: uses of it do not
            count, since another finding says that the program was not judged.
    """

    def __init__(self) -> None:
        self._judge = _judge()
        # judges the bytes after a joblib array as opcodes, which is how pickle.load reads them
        self._behind_array: Judge | None = None
        self.unsigned = False
        self.attacks_only = False
        self.own: Callable[[str], bool] | None = None
        self._broken: tuple[Pickle, str | None] | None = None
        self._parsed = False

    @property
    def references(self) -> tuple[Reference, ...]:
        """Every name that the pickles refer to, in order."""
        own = self.own
        listed = self._judge.references
        return tuple(one for one in listed if own is None or not own(str(one)))

    @property
    def uses(self) -> tuple[NameUse, ...]:
        """What the pickles use names for, beyond the construction of data."""
        uses = self._judge.uses()
        if self._behind_array is not None:
            known = {use.name for use in uses if use.use is Use.ATTACK}
            further = [use for use in self._behind_array.uses() if use.use is Use.ATTACK]
            uses = (*uses, *(use for use in further if use.name not in known))
        if self.own is not None:
            uses = tuple(use for use in uses if use.use is Use.ATTACK or not self.own(use.name))
        if self.attacks_only:
            uses = tuple(use for use in uses if use.use is Use.ATTACK)
        if not self.unsigned:
            return uses
        return tuple(use for use in uses if _IS_NAME.fullmatch(use.name) or use.name == NAMELESS)

    def parse(
        self,
        data: bytes,
        start: int = 0,
        *,
        member: str | None = None,
        base: int = 0,
        persistent: Callable[[Node], Node] = PersistentId,
        each: int = NODE_BYTES_EACH,
    ) -> Pickle:
        """Interpret a pickle and judge it; see :func:`ckpttool.formats.pickles.parse`."""

        def broken(pickle: Pickle) -> None:
            self._broken = pickle, member

        pickle = pickles.parse(
            data, start, member=member, base=base, persistent=persistent, broken=broken, each=each
        )
        self._broken = None
        self._parsed = True
        self._judge.read(pickle, member)
        return pickle

    def parse_joblib(self, data: bytes, start: int = 0) -> int | None:
        """Judge a pickle that broke off as joblib reads it; ``None`` if it is not joblib's.

        ``pickle.load`` would take the bytes after the first array for opcodes that nobody wrote:
        of those only attacks are reported.

        Returns:
            The offset up to which it could be read.
        """
        if self._broken is None or self._broken[0].array_at is None:
            return None
        self._behind_array = _judge()
        self._behind_array.read(*self._broken)
        self._broken = None
        found: list[Pickle] = []
        # it nearly always breaks off, at the first array of numbers
        with suppress(CkpttoolError):
            found.append(pickles.parse(data, start, broken=found.append, joblib=True))
        self._judge.read(found[-1], None)
        return found[-1].end

    def look_at(self, data: bytes, member: str | None) -> int:
        """Judge as much of a pickle as can be read, for its calls alone.

        Returns the number of bytes read.
        """
        with suppress(CkpttoolError):
            return self.parse(data, member=member).end
        read = self._broken[0].end if self._broken is not None else 0
        self._judge_broken()
        return read

    @property
    def saw_a_pickle(self) -> bool:
        """Whether a pickle was read, or a part of one."""
        return self._broken is not None or self._parsed

    def _judge_broken(self) -> None:
        if self._broken is not None:
            pickle, member = self._broken
            self._broken = None
            self._judge.read(pickle, member)

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._judge_broken()
        problem = self._judge.problem
        # malformed (exit 1) outranks unsupported (exit 2); every other error is as severe itself
        if problem is not None and (error is None or isinstance(error, UnsupportedError)):
            problem.uses = self.uses
            raise problem from error
        if isinstance(error, CkpttoolError):
            error.uses = self.uses
            if isinstance(error, UnsupportedError) and self._judge.only_programs:
                _call_a_program(error)
