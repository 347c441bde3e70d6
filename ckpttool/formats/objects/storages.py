"""Storages as a pickle refers to them: torch's persistent ids, each part of them checked."""

from __future__ import annotations

from typing import Callable, NamedTuple

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.formats.pickles.nodes import Global, Node, PersistentId, pair_of
from ckpttool.tensors.catalogue import Extent
from ckpttool.tensors.dtypes import BYTE, DTYPES, STORAGE_DTYPES, DType

# Quantized storages whose elements do not take one byte.
_QUANTIZED = {"QInt32Storage": 4}

# The plain elements of those whose codes are whole.
_CODES = {"QInt8Storage": "int8", "QUInt8Storage": "uint8", "QInt32Storage": "int32"}

#: The largest size, stride or offset: torch's are signed 64-bit integers.
LARGEST = 2**63 - 1


class UnsupportedTensorError(Exception):
    """The tensor is of a kind that is not read; the text says which."""


class Storage(NamedTuple):
    """A storage as a tensor refers to it: ``dtype`` is ``None`` for an untyped one."""

    key: str
    dtype: DType | None
    extent: Extent


#: Finds the storage of a persistent id; raises MalformedError if the id does not match it.
Locate = Callable[[PersistentId], Storage]


def is_natural(value: Node) -> bool:
    """Whether a node is a non-negative integer that fits a signed 64-bit one."""
    # the exact type, since True is an int to Python, and torch refuses it as a size
    return type(value) is int and 0 <= value <= LARGEST


def storage_class(node: Node) -> DType | None:
    """Return the element type of a torch storage class; ``None`` for ``UntypedStorage``.

    Raises:
        UnsupportedTensorError: a quantized storage.
        MalformedError: any other name.
    """
    name = pair_of(node)
    if name in {("torch.storage", "UntypedStorage"), ("torch", "UntypedStorage")}:
        return None
    # Storage classes of devices are in modules of their own, torch.cuda.FloatStorage say.
    if name and (name[0] == "torch" or name[0] in {"torch.cuda", "torch.storage"}):
        if name[1] in STORAGE_DTYPES:
            return STORAGE_DTYPES[name[1]]
        if name[1].startswith("Q") and name[1].endswith("Storage"):
            raise UnsupportedTensorError("a quantized tensor")
    raise MalformedError(
        "a storage is of no known class",
        rules.PERSISTENT_ID,
        expected="torch.FloatStorage and the like",
        found=node if name else type(node).__name__,
    )


def storage_width(node: Node) -> tuple[DType | None, int]:
    """Return the element type of a storage class, and the bytes of an element.

    The type is ``None`` for untyped and quantized storages, whose bytes are skipped over.

    Raises:
        MalformedError: the class is none of torch's.
    """
    try:
        dtype = storage_class(node)
    except UnsupportedTensorError:
        name = pair_of(node)
        return None, _QUANTIZED.get(name[1], 1) if name else 1
    return dtype, dtype.itemsize if dtype else 1


def codes_of(node: Node) -> DType:
    """Return the element type of the codes in a quantized storage; bytes where they share some."""
    name = pair_of(node)
    return DTYPES[_CODES[name[1]]] if name and name[1] in _CODES else BYTE


def storage_id(node: PersistentId, length: int) -> tuple[Node, str, int, tuple[Node, ...]]:
    """Unpack torch's persistent id ``("storage", class, key, location, count, ...)``.

    Returns:
        The class node, the key, the count, and whatever follows the count.

    Raises:
        MalformedError: it is of any other form, or not of ``length`` parts.
    """
    value = node.value
    if type(value) is tuple and len(value) == length:
        kind, class_node, key, location, count = value[:5]
        # the location ("cuda:0") makes no difference to the bytes; Python 2 wrote it as bytes
        if (
            kind == "storage"
            and type(key) is str
            and type(location) in (str, bytes)
            and is_natural(count)
        ):
            return class_node, key, count, value[5:]
    raise MalformedError(
        "a persistent id is not of torch's form",
        rules.PERSISTENT_ID,
        expected="('storage', class, key, location, count)",
        found=f"{len(value)} parts" if type(value) is tuple else type(value).__name__,
    )


def class_of(value: tuple[Node, ...]) -> Global:
    """Return the class in the persistent id ``(class, file, source text)`` of a module.

    Before the zip container torch saved modules so, to warn when a class's source had changed.

    Raises:
        MalformedError: it is something else, which torch would return in place of a class.
    """
    if len(value) == 3 and type(value[0]) is Global:
        return value[0]
    raise MalformedError(
        "a persistent id is not of torch's form",
        rules.PERSISTENT_ID,
        expected="(class, file, source text)",
        found=f"{len(value)} parts",
    )


def part_of(storage: Storage, offset: int, count: int) -> Storage:
    """Return the part of a storage that begins at ``offset`` and has ``count`` elements.

    Raises:
        MalformedError: the part reaches outside.
    """
    itemsize = storage.dtype.itemsize if storage.dtype else 1
    end = (offset + count) * itemsize
    if end > storage.extent.length:
        raise MalformedError(
            f"a view reaches outside storage {storage.key}",
            rules.GEOMETRY,
            expected=f"at most {storage.extent.length:,} bytes",
            found=f"{end:,}",
        )
    source, begin, _ = storage.extent
    extent = Extent(source, begin + offset * itemsize, count * itemsize)
    return storage._replace(extent=extent)
