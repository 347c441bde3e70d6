"""What a pickle's reader said, held to CPython's unpickler and to torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, List, Mapping, Sequence, Tuple

from ckpttool.findings.errors import CkpttoolError
from ckpttool.findings.uses import Use
from ckpttool.formats import pickles
from ckpttool.formats.objects.storages import class_of
from ckpttool.formats.pickles.nodes import Global, New, Node, PersistentId
from tests.fuzzing.mutations import opcodes
from tests.fuzzing.parser import SAME, ViolationError
from tests.fuzzing.references import restoring
from tests.fuzzing.references.likeness import difference
from tests.fuzzing.references.recording import (
    Event,
    Named,
    Outside,
    Recording,
    agreed,
    can_be_recorded,
    record,
)
from tests.fuzzing.references.reported import unreported
from tests.fuzzing.tensors import contents

if TYPE_CHECKING:
    from ckpttool.findings.uses import NameUse
    from ckpttool.formats.pickles import Pickle
    from ckpttool.tensors.catalogue import Checkpoint


class Read:
    """What was read of a file.

    Attributes:
        checkpoint: the catalogue.
        tensors: their contents; ``None`` if they are too large to be read here.
        uses: what names are used for.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.uses = checkpoint.uses
        self.tensors = contents(checkpoint)


# --- one pickle ----------------------------------------------------------------------------


def check_pickle(
    data: bytes, uses: Sequence[NameUse], *, accepted: bool, modules: bool = False
) -> Recording | None:
    """Hold names, calls and values of a pickle, and what is reported of it, to CPython's reading.

    Where it breaks here, CPython is given no more than what was read: up to there both agree. What
    is done to results is held to the report of a file that was accepted: another one may be
    refused for a call that fails, after which nothing is done to its result.

    Args:
        data: the pickle.
        uses: what is reported of it.
        accepted: whether its file was.
        modules: whether a persistent id may stand for a class with its source text.

    Returns:
        CPython's reading; ``None`` if it breaks.

    Raises:
        ViolationError: they differ, or a call is not reported.
    """
    ours, whole = _parsed(data, modules=modules)
    part = data[: ours.end]
    ops = opcodes.split(part).ops
    if not whole and agreed(ops) < len(part):
        # refused for its frames: what is behind them is read in another place by CPython
        part = data[: agreed(ops)]
        ours, _ = _parsed(part, modules=modules)
    if not can_be_recorded(ops):
        return None
    theirs = record(part, class_or_outside if modules else Outside)
    names = tuple((one.module, one.name) for one in ours.references)
    _check_order("name", names, theirs.names, whole=whole and not theirs.error)
    calls = [_called(call.function, new=isinstance(call, New)) for call in ours.calls]
    made = [_event(event) for event in theirs.events if event.kind != "state"]
    _check_order("call", calls, made, whole=whole and not theirs.error)
    if whole and not theirs.error:
        found = difference(ours.root, theirs.root)
        if found:
            raise ViolationError(f"the values differ: {found}")
    events = theirs.events[: _judged(ours, theirs.events, whole)]
    missed = unreported(events, uses, states=accepted)
    if missed:
        raise ViolationError(f"not reported: {missed}")
    return theirs if whole and not theirs.error else None


def class_or_outside(value: Any) -> Any:
    """Stand for what an id refers to; a module's is that of its class."""
    known = type(value) is tuple and len(value) == 4 and value[0] == "module"
    return value[1] if known and isinstance(value[1], Named) else Outside(value)


def _class_or_id(value: Node) -> Node:
    known = type(value) is tuple and value and value[0] == "module"
    return class_of(value[1:]) if known else PersistentId(value)


def _parsed(data: bytes, *, modules: bool) -> Tuple[Pickle, bool]:
    """Read a pickle, up to where it breaks; return whether it was whole."""
    broken: List[Pickle] = []
    try:
        persistent = _class_or_id if modules else PersistentId
        return pickles.parse(data, broken=broken.append, persistent=persistent), True
    except CkpttoolError:
        return broken[0], False


def _judged(ours: Pickle, events: Sequence[Event], whole: bool) -> int:
    """Return how many events happen before the pickle breaks here."""
    if whole:
        return len(events)
    calls = 0
    for place, event in enumerate(events):
        calls += event.kind != "state"
        if calls > len(ours.calls) or (calls == len(ours.calls) and place == len(events) - 1):
            return place
    return len(events)


def _check_order(what: str, ours: Sequence[Any], theirs: Sequence[Any], *, whole: bool) -> None:
    """Hold one order of things to the other.

    CPython may have stopped earlier, since a stub is not what it stands for; and where the pickle
    breaks here it may have done what is refused here, which is one more.
    """
    common = min(len(ours), len(theirs))
    more = len(theirs) - len(ours)
    if list(ours[:common]) != list(theirs[:common]) or (more and whole) or more > 1:
        raise ViolationError(f"{what}s differ: {ours!a:.500} here, {theirs!a:.500}")


def _called(function: Node, *, new: bool) -> Tuple[str, ...]:
    return function.pair if type(function) is Global else ("a result",)


def _event(event: Event) -> Tuple[str, ...]:
    return event.what.pair if isinstance(event.what, Named) else ("a result",)


# --- tensors -------------------------------------------------------------------------------


def check_tensors(
    said: Read, content: bytes, apart: Callable[[], Tuple[bytes, Mapping[str, bytes]]]
) -> str:
    """Hold the tensors of a file to those that torch makes of it, or CPython of its pickle.

    Args:
        said: what was read.
        content: the file.
        apart: gives its pickle and its storages.

    Returns:
        What :meth:`tests.fuzzing.parser.Parser.compare` does.

    Raises:
        ViolationError: they differ.
    """
    try:
        root, reason = restoring.by_torch(content)
        if reason:
            root = restoring.by_cpython(*apart())
    except restoring.KnownError as known:
        return str(known)
    except ViolationError:
        if calls_something(said.uses):
            return "calls something"
        if said.checkpoint.unread:
            return "has tensors that are not read"
        raise
    if said.tensors is None:
        return "too large to be read"
    wrapper = said.checkpoint.wrapper or ""
    for name, ours in said.tensors.items():
        dotted = f"{wrapper}.{name}" if wrapper else name
        theirs = [restoring.content_of(one) for one in restoring.under(root, dotted)]
        if ours not in theirs:
            raise ViolationError(f"tensor {name!a}: {ours!a:.200} here, {theirs!a:.300}")
    return SAME


def calls_something(uses: Sequence[NameUse]) -> bool:
    """Whether a file has calls of which nobody knows what they return: only the report counts."""
    return any(use.use in (Use.CALL, Use.ATTACK) for use in uses)
