"""How much of the other checkpoint a file has, in tensors and in parameters, by its own names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, NamedTuple, Sequence

from ckpttool.against.rows import State
from ckpttool.findings.results import AgainstSummary
from ckpttool.inputs.receipts import Receipt

if TYPE_CHECKING:
    from ckpttool.against.demands import Demands
    from ckpttool.against.elements import Held
    from ckpttool.against.rows import Rows
    from ckpttool.against.source import Source

_WORSE = {state: place for place, state in enumerate(State)}
_ABSENT = (State.MISSING, State.SHAPE)
_SAME = (State.SAME, State.CAST)


class Outcome(NamedTuple):
    """A file held against another checkpoint.

    Attributes:
        source: the other checkpoint.
        demands: what was demanded.
        rows: how the two fit each other.
        held: what each row is.
        tied: missing names -> what the file calls the tensor that each is in the other checkpoint.
        moved: missing names -> the name under which the file has the same values.
    """

    source: Source
    demands: Demands
    rows: Rows
    held: Sequence[Held]
    tied: dict[str, str]
    moved: dict[str, str]

    @property
    def tensors(self) -> int:
        """How many tensors the other checkpoint has."""
        return len(self.source.tensors) + len(
            [name for name in self.source.unread if name not in self.source.tensors]
        )

    def parameters(self, names: Iterable[str]) -> int:
        """Return the elements of tensors of the other checkpoint, as far as they are known."""
        tensors = self.source.tensors
        return sum(tensors[name].numel for name in names if name in tensors)


def summary_of(outcome: Outcome) -> AgainstSummary:
    """Count what the file has of the other checkpoint."""
    states: dict[str, State] = {}

    def add(name: str, state: State) -> None:
        # of a tensor that is split in the file, the worst part counts
        before = states.setdefault(name, state)
        states[name] = max(before, state, key=_WORSE.__getitem__)

    for held in outcome.held:
        for name in held.row.sources:
            add(name, held.state)
    for one in outcome.rows.missing:
        add(one.name, State.MISSING)
    for one in outcome.rows.unread:
        add(one.name, State.UNTOLD)
    found = [name for name, state in states.items() if state not in _ABSENT]
    same = [name for name in found if states[name] in _SAME]
    return AgainstSummary(
        path=outcome.source.path,
        wrapper=outcome.source.file.wrapper,
        kind="digests" if isinstance(outcome.source.file, Receipt) else "checkpoint",
        tensors=outcome.tensors,
        parameters=outcome.parameters(outcome.source.tensors),
        found=len(found),
        found_parameters=outcome.parameters(found),
        same=len(same),
        same_parameters=outcome.parameters(same),
        cast=sum(states[name] is State.CAST for name in same),
        demanded=outcome.demands.told,
    )
