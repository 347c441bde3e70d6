"""What is demanded of a checkpoint that is held against another one."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Sequence

from ckpttool.conversion.options import CAST_DTYPES
from ckpttool.conversion.renaming.rules import Rules
from ckpttool.conversion.renaming.rules import check as check_rules
from ckpttool.findings.arguments import check_choice, check_text
from ckpttool.findings.errors import UsageError
from ckpttool.findings.name_filter import tip
from ckpttool.findings.patterns import matches
from ckpttool.findings.text import printable

if TYPE_CHECKING:
    from typing import Collection


class Demand(Enum):
    """What is demanded of the values of a tensor."""

    SAME = "same"
    CHANGED = "changed"
    NOTHING = "nothing"


class Demands(NamedTuple):
    """What is demanded beside that every tensor is there, in its shape and its dtype.

    Attributes:
        rules: what the other checkpoint's names are in the file.
        wrapper: the dotted key of the other checkpoint's state dict; ``None`` to choose.
        allow_cast: dtypes to which tensors may be cast, rounded to nearest, ties to even.
        must_change: patterns of names whose values must differ.
        must_not_change: patterns of names whose values must be the same. Where there are such
            patterns, what neither kind names may differ; else all of it must be the same.
    """

    rules: Rules = Rules()
    wrapper: str | None = None
    allow_cast: tuple[str, ...] = ()
    must_change: tuple[str, ...] = ()
    must_not_change: tuple[str, ...] = ()

    def check(self) -> None:
        """Check types and values.

        Raises:
            UsageError: one is wrong.
        """
        check_text(self.wrapper, "against_wrapper")
        check_rules(self.rules)
        for dtype in self.allow_cast:
            check_choice(dtype, CAST_DTYPES, "allow_cast")

    def of(self, names: Collection[str]) -> Demand:
        """Return what is demanded of a tensor, by all of its names.

        Raises:
            UsageError: it must change and must not.
        """
        changes, stays = (
            next((one for one in patterns if _stands_for(one, names)), None)
            for patterns in (self.must_change, self.must_not_change)
        )
        if changes is not None and stays is not None:
            raise UsageError(
                f"{printable(next(iter(names)))} must change and must not",
                found=f"must_change {printable(changes)}, must_not_change {printable(stays)}",
                fix="Write patterns that do not match the same tensor.",
            )
        if changes is not None:
            return Demand.CHANGED
        return Demand.NOTHING if self.must_not_change and stays is None else Demand.SAME

    def require_known(self, names: Collection[str]) -> None:
        """Refuse a pattern that stands for no tensor: it would demand nothing.

        Args:
            names: all that are called so in either checkpoint.

        Raises:
            UsageError: there is one.
        """
        for option in ("must_change", "must_not_change"):
            for pattern in getattr(self, option):
                if not _stands_for(pattern, names):
                    raise UsageError(
                        f"no tensor name matches {printable(pattern)} ({option})",
                        fix=tip(pattern, names),
                    )

    def idle(self, compared: Sequence[Collection[str]]) -> tuple[str, ...]:
        """Return the patterns that stand for none of the tensors whose values were compared."""
        every = {name for names in compared for name in names}
        patterns = (*self.must_change, *self.must_not_change)
        return tuple(one for one in patterns if not _stands_for(one, every))

    @property
    def told(self) -> str:
        """What is demanded of the values, and what is not, in one line."""
        parts = []
        if self.must_change:
            parts.append(f"other values in {', '.join(self.must_change)}")
        if self.must_not_change:
            parts.append(f"the same values in {', '.join(self.must_not_change)}")
            parts.append("any values elsewhere")
        else:
            parts.append("the same values" + (" elsewhere" if parts else ""))
        if self.allow_cast:
            parts.append(f"where they differ in dtype, cast to {' or '.join(self.allow_cast)}")
        return "; ".join(parts)


def _stands_for(pattern: str, names: Collection[str]) -> bool:
    # in the set first: a pattern is often a name as it stands
    return pattern in names or any(matches(pattern, name) for name in names)
