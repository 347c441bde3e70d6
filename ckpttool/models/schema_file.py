"""The file of a schema: names, dtypes and shapes as JSON, one group of names per line.

``docs/schema.md`` has the format. It is sorted and says nothing of where it is from, so that the
same tensors give the same file, and its diff shows what changed.
"""

from __future__ import annotations

import json
from math import prod
from typing import TYPE_CHECKING, Any, Mapping

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError, UnsupportedError
from ckpttool.findings.names import compress, expand, natural_order, number_in
from ckpttool.findings.text import without_commands
from ckpttool.tensors.catalogue import TensorInfo
from ckpttool.tensors.dtypes import DTYPES

if TYPE_CHECKING:
    from typing import Sequence

#: The key that tells a schema file, with the version of its format.
KEY = "ckpttool_schema"
VERSION = 1

#: Tensors of a schema; the index of no model has more.
MOST_TENSORS = 1_000_000
#: Elements of a tensor: more than a signed 64-bit number has no file.
MOST_ELEMENTS = (1 << 63) - 1
#: Axes of a tensor: those of torch.
MOST_AXES = 64


def render(tensors: Mapping[str, TensorInfo]) -> str:
    """Return the content of the schema file of these tensors, pure ASCII."""
    alike: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for name in sorted(tensors, key=natural_order):
        info = tensors[name]
        alike.setdefault((info.dtype.name, info.shape), []).append(name)
    rows = [(group, *kind) for kind, names in alike.items() for group in compress(names)]
    rows.sort(key=lambda row: natural_order(row[0]))
    lines = ",\n".join(f"  {_quoted(row[0])}: {_entry(*row[1:])}" for row in rows)
    return f'{{\n "{KEY}": {VERSION},\n "tensors": {{\n{lines}\n }}\n}}\n'


def _quoted(name: str) -> str:
    # on standard output, no name may be a command of a CI system
    return without_commands(json.dumps(name), r"\u00")


def _entry(dtype: str, shape: Sequence[int]) -> str:
    return json.dumps({"dtype": dtype, "shape": list(shape)})


def parse(document: Mapping[str, Any]) -> dict[str, TensorInfo]:
    """Return the tensors of a schema file, without bytes, in its order.

    Args:
        document: its JSON.

    Raises:
        MalformedError: it is not as :func:`render` writes it.
        UnsupportedError: it is of another version.
    """
    version = document[KEY]
    if type(version) is not int:  # true is an int to isinstance
        raise _bad(f"{KEY} is not an integer")
    if version != VERSION:
        raise UnsupportedError(
            "the schema file is of a version that this ckpttool does not know",
            rules.UNSUPPORTED,
            expected=f"{KEY} {VERSION}",
            found=f"{KEY} {version}",
            fix="Use the ckpttool that wrote it.",
        )
    groups, others = document.get("tensors"), document.keys() - {KEY, "tensors"}
    if not isinstance(groups, dict) or not groups:
        raise _bad("tensors is missing, empty or no object")
    if others:
        raise _bad(f"there is no key {min(others)} in a schema file")
    tensors: dict[str, TensorInfo] = {}
    for group, entry in groups.items():
        described_as = _checked(group, entry)
        for name in _names(group, len(tensors)):
            if name in tensors:
                raise MalformedError("a tensor is listed twice", rules.SCHEMA_FILE, tensor=name)
            tensors[name] = described_as._replace(name=name)
    return tensors


def described(name: str, dtype: str, shape: Sequence[int]) -> TensorInfo:
    """Return a tensor of which there are no bytes.

    Raises:
        UnsupportedError: there is no such dtype.
        MalformedError: it would have more elements than any file.
    """
    known = DTYPES.get(dtype)
    if known is None:
        raise UnsupportedError(
            f"there is no dtype {dtype[:40]}", rules.UNSUPPORTED, tensor=name, found=dtype[:40]
        )
    # without the zeros: beside one of them a size is bounded, too
    if len(shape) > MOST_AXES or prod(filter(None, shape)) > MOST_ELEMENTS:
        raise _bad("more elements than a file can have", name)
    return TensorInfo(name, known, tuple(shape), None, ())


def _checked(group: str, entry: object) -> TensorInfo:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape"}:
        raise _bad("not an object with dtype and shape", group)
    dtype, shape = entry["dtype"], entry["shape"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise _bad("no such dtype", group)
    if not isinstance(shape, list) or any(type(size) is not int or size < 0 for size in shape):
        raise _bad("the shape is not a list of sizes", group)
    return described(group, dtype, shape)


def _names(group: str, before: int) -> list[str]:
    try:
        number = number_in(group)
    except ValueError as error:
        raise _bad(str(error), group) from error
    if before + number > MOST_TENSORS:  # told before they are made: {0-999999999} is short
        raise MalformedError(
            "more tensors than the limit",
            rules.LIMIT,
            tensor=group,
            expected=f"at most {MOST_TENSORS:,}",
            found=f"{before + number:,}",
        )
    return expand([group])


def _bad(message: str, group: str | None = None) -> MalformedError:
    return MalformedError(message, rules.SCHEMA_FILE, tensor=group)
