"""A pickle interpreter that builds inert nodes: it imports nothing and calls nothing.

It knows every opcode of protocols 0 to 5, as ``pickletools`` documents them, and limits
operations and memory, so that no stream runs long or grows large.

``interpreter`` dispatches the opcodes; ``scalars``, ``containers`` and ``calls`` implement them on
the ``stack``.
"""

from __future__ import annotations

from typing import Callable, NamedTuple

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.formats.pickles.interpreter import (
    HIGHEST_PROTOCOL,
    MAX_OPERATIONS,
    JoblibMachine,
    Machine,
)
from ckpttool.formats.pickles.nodes import Call, Node, PersistentId
from ckpttool.formats.pickles.stack import NODE_BYTES_EACH, TruncatedPickleError
from ckpttool.tensors.catalogue import Reference

__all__ = ["HIGHEST_PROTOCOL", "MAX_OPERATIONS", "Pickle", "TruncatedPickleError", "parse"]


class Pickle(NamedTuple):
    """A pickle that was read.

    Attributes:
        root: what it describes.
        references: the names it refers to.
        end: where it ends.
        calls: every call, in the order in which a reader would make them.
        ids: every persistent id, unresolved, in the order of the stream.
        array_at: where the first joblib array begins, ``None`` if the pickle has none.
    """

    root: Node
    references: tuple[Reference, ...]
    end: int
    calls: tuple[Call, ...] = ()
    ids: tuple[Node, ...] = ()
    array_at: int | None = None


def parse(
    data: bytes,
    start: int = 0,
    *,
    member: str | None = None,
    base: int = 0,
    persistent: Callable[[Node], Node] = PersistentId,
    broken: Callable[[Pickle], None] | None = None,
    joblib: bool = False,
    each: int = NODE_BYTES_EACH,
) -> Pickle:
    """Interpret the pickle at ``data[start:]`` up to its STOP.

    Args:
        data: the bytes.
        start: where the pickle begins.
        member: the member of the container, for messages.
        base: the offset of ``data[0]`` in that member, for messages and references.
        persistent: makes the node for a persistent id.
        broken: called with what was read before the stream broke; its root is ``None``.
        joblib: whether to read as joblib does instead of as pickle.
        each: bytes that nodes may take for each byte of the pickle, by estimate.

    Raises:
        TruncatedPickleError: there is no STOP before the end.
        MalformedError: the stream breaks the format or asks for too much.
    """
    machine = (JoblibMachine if joblib else Machine)(data, start, base, persistent)
    machine.budget += (each - NODE_BYTES_EACH) * (len(data) - start)
    try:
        machine.run()
    except MalformedError as error:
        error.member = member
        if member is not None and isinstance(error, TruncatedPickleError):
            # the container gave the whole member: its pickle is wrong, the file is not cut short
            error.rule = rules.PICKLE
        at = machine.operation if error.offset is None else error.offset
        error.offset = base + at
        # an unpickler runs each call at once: those before the break would have been made
        if broken is not None:
            broken(_read_by(machine))
        raise
    return _read_by(machine)


def _read_by(machine: Machine) -> Pickle:
    references = tuple(machine.references.values())
    calls, ids = tuple(machine.calls), tuple(machine.ids)
    return Pickle(machine.root, references, machine.position, calls, ids, machine.array_at)
