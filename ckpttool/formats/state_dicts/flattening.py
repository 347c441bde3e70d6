"""The parts of a state dict by dotted name: nested keys are joined with dots."""

from __future__ import annotations

from typing import Iterator, NamedTuple

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError, UnsupportedError
from ckpttool.formats.objects.arrays import is_array
from ckpttool.formats.objects.describing import MAX_KEY
from ckpttool.formats.objects.rebuild import is_tensor
from ckpttool.formats.pickles.nodes import Node
from ckpttool.formats.state_dicts.holding import Holder, Holders, parts_of

#: Characters of the names of nested tensors: a long key may be shared by all of them.
MAX_NAMES = 64_000_000
# A nested dictionary that several keys refer to is listed under each of them, and so may double at
# every level. Parts for each distinct one, on the average, beyond a number that costs nothing.
_SHARED = 4
_ALWAYS = 10_000


class KeyPart(NamedTuple):
    """A part of a state dict.

    Attributes:
        key: the last part of the name; a key that is no text as it is.
        name: the dotted name below the state dict; ``None`` if a key has no form as text.
        prefix: the part of the name before the key, with its dot.
        node: the value.
        is_tensor: whether it is a tensor, or an array of numbers.
        inside: whether it has tensors beside it, as the extra state of a module does.
    """

    key: Node
    name: str | None
    prefix: str
    node: Node
    is_tensor: bool
    inside: bool


def parts(holder: Holder, holders: Holders, apart: frozenset[str]) -> Iterator[KeyPart]:
    """Yield all parts of a state dict in the order of the file.

    Args:
        holder: the container of the state dict.
        holders: all containers of tensors.
        apart: keys directly in it that are yielded whole, without their parts.

    Raises:
        MalformedError: shared dictionaries would be written out far more often than any real
            checkpoint has them, or two readers would see other keys.
        UnsupportedError: two keys are the same once they are written.
    """
    budget = _Budget()
    # the holders from the state dict to the one at hand, and what of each is left
    stack = [(holder, "", parts_of(holder.node))]
    while stack:
        at, prefix, rest = stack[-1]
        top = len(stack) == 1
        inside = not top or bool(at.tensors or at.arrays)
        for key, value in rest:
            text = key if type(key) is str else None
            # first, since nearly every value is a tensor
            if is_tensor(value) or is_array(value):
                name = _name(prefix, text) if prefix else text
                if prefix and name:
                    budget.spend(name, value)
                # not by the class: its __new__ takes as long again
                yield tuple.__new__(KeyPart, (key, name, prefix, value, True, inside))
                continue
            below, beside = None, holders.of(value)
            if at.is_module and beside is None:
                continue  # without tensors, for example a dropout: modules.Walk collects it
            if text is not None and len(text) <= MAX_KEY and not (top and text in apart):
                below = beside if not at.is_module or (beside and beside.is_module) else None
            # a container that contains itself is listed once
            if below is None or below.optimizer or any(below is one for one, _, _ in stack):
                alone = inside and beside is None
                yield KeyPart(key, _name(prefix, text), prefix, value, False, alone)
                continue
            budget.enter(f"{prefix}{text}", value)
            stack.append((below, f"{prefix}{text}.", parts_of(below.node)))
            break
        else:
            stack.pop()


def _name(prefix: str, text: str | None) -> str | None:
    if text is None or (prefix and len(text) > MAX_KEY):
        return None
    return prefix + text


def same_written(name: str) -> UnsupportedError:
    """Return the error for two parts with the same name, for example under 0 and "0"."""
    return UnsupportedError(
        "two parts of a file have the same name once keys are written as text and joined with dots",
        rules.UNSUPPORTED,
        found=repr(name),
        fix="Save it again with keys that differ as text.",
    )


class _Budget:
    """Limits the names of nested parts."""

    def __init__(self) -> None:
        self._characters = MAX_NAMES
        self._parts = 0
        self._distinct: set[int] = set()
        self._entered: set[str] = set()

    def enter(self, name: str, node: Node) -> None:
        """Count a nested dictionary, and refuse a second one under the same name."""
        # {"a.b": {...}} and {"a": {"b": {...}}} in one state dict would be merged
        self.spend(name, node)
        if name in self._entered:
            raise same_written(name)
        self._entered.add(name)

    def spend(self, name: str, node: Node) -> None:
        """Count a nested part, and raise MalformedError when they become too many to list."""
        self._characters -= len(name)
        self._parts += 1
        self._distinct.add(id(node))
        shared = self._parts > _ALWAYS + _SHARED * len(self._distinct)
        if shared or self._characters < 0:
            raise MalformedError(
                "nested dictionaries are shared too often, or have too long names, to be listed",
                rules.LIMIT,
                expected=f"names of {MAX_NAMES:,} characters together",
            )
