"""What lies beside the tensors, as text by dotted key, and where two files differ in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Iterator, Mapping, NamedTuple

from ckpttool.compared import StateDiff
from ckpttool.errors import UnsupportedError
from ckpttool.formats.plain import Reader
from ckpttool.names import in_order

if TYPE_CHECKING:
    from ckpttool.tensors import Checkpoint

_TENSOR = {"$left_out": "tensor"}


class State(NamedTuple):
    """What a checkpoint holds beside the tensors.

    Attributes:
        values: dotted key -> the value as JSON.
        tensors: keys under which tensors lie that are not compared (an optimizer's).
        too_much: keys of what is too large to be compared.
    """

    values: dict[str, str]
    tensors: tuple[str, ...]
    too_much: tuple[str, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys."""
        return (*self.values, *self.tensors, *self.too_much)

    def only(self, wanted: Mapping[str, bool]) -> State:
        """Return what lies under the keys that are wanted."""
        return State(
            {key: value for key, value in self.values.items() if wanted[key]},
            tuple(key for key in self.tensors if wanted[key]),
            tuple(key for key in self.too_much if wanted[key]),
        )


def state_of(checkpoint: Checkpoint) -> State:
    """Return what lies beside the tensors, down to the single values."""
    values: dict[str, str] = {}
    tensors: list[str] = []
    too_much: list[str] = []
    reader = Reader()
    for entry, node in zip(checkpoint.entries, checkpoint.aside):
        try:
            plain = reader.read(node).value
        except UnsupportedError:
            too_much.append(entry.key)
            reader = Reader()
            continue
        for key, value in _leaves(entry.key, plain):
            if value == _TENSOR:
                tensors.append(key)
            else:
                values[key] = json.dumps(value, sort_keys=True)
    return State(values, tuple(tensors), tuple(too_much))


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every single value with its dotted key; the reader has bounded how many and deep."""
    if isinstance(value, dict) and set(value) == {"$object", "attributes"}:
        yield f"{key}.$object", value["$object"]
        value = value["attributes"]
    if isinstance(value, dict) and set(value) == {"$pairs"}:
        for name, item in value["$pairs"]:
            yield from _leaves(
                f"{key}.{name if isinstance(name, (str, int)) else json.dumps(name)}", item
            )
    elif isinstance(value, dict) and value and not any(name.startswith("$") for name in value):
        for name, item in value.items():
            yield from _leaves(f"{key}.{name}", item)
    elif isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        for number, item in enumerate(value):
            yield from _leaves(f"{key}.{number}", item)
    else:
        yield key, value


def differences(left: Mapping[str, str], right: Mapping[str, str]) -> Iterator[StateDiff]:
    """Yield what differs, in the order of the keys."""
    for key in sorted({**left, **right}, key=in_order):
        if left.get(key) != right.get(key):
            yield StateDiff(key, left.get(key), right.get(key))
