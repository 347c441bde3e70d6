"""numpy's arrays of numbers in a pickle as tensors.

The forms are those of ``numpy.ndarray.__reduce__`` (a ``_reconstruct`` that is given a state)
and, from protocol 5 on, of ``__reduce_ex__`` (``_frombuffer``). The bytes are in the pickle
itself, which was read into memory anyway, up to its limit.
"""

from __future__ import annotations

from math import prod

from ckpttool.files.sources import ByteSource, MemorySource
from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.formats.objects.numpy_values import ARRAY_MAKERS, elements_of, is_bytes, written
from ckpttool.formats.pickles.nodes import Call, Node, pair_of
from ckpttool.tensors.catalogue import Extent, TensorInfo
from ckpttool.tensors.dtypes import NUMPY_DTYPES


class Arrays:
    """Makes tensors of arrays; bytes that several of them share are kept once."""

    def __init__(self) -> None:
        # with the node itself, so that its id stays its own
        self._sources: dict[int, tuple[Node, ByteSource]] = {}

    def tensor(self, name: str, node: Node) -> TensorInfo:
        """Return an array, for which :func:`is_array` holds, as a tensor.

        Raises:
            MalformedError: the bytes are not as many as the shape has elements.
        """
        found = written(node)
        assert found is not None  # noqa: S101 (the caller looked)
        dtype, shape = NUMPY_DTYPES[found.type.code], found.shape or ()
        numel = prod(shape)
        source = self._source(found.data)
        if source.size != numel * dtype.itemsize:
            raise MalformedError(
                "an array has other bytes than its shape needs",
                rules.GEOMETRY,
                tensor=name,
                expected=f"{numel * dtype.itemsize:,} bytes",
                found=f"{source.size:,}",
            )
        strides = _by_columns(shape) if found.by_columns else None
        extents = (Extent(source, 0, source.size),) if numel else ()
        return TensorInfo(name, dtype, shape, strides, extents, found.type.big_endian)

    def _source(self, data: Node) -> ByteSource:
        known = self._sources.get(id(data))
        if known is None:
            known = data, MemorySource(_bytes(data), "an array in the pickle")
            self._sources[id(data)] = known
        return known[1]


def is_array(node: Node) -> bool:
    """Whether a node is an array of numbers; arrays of objects or text are not read."""
    if type(node) is not Call:  # for speed: this is called with every value of a file
        return False
    found = written(node)
    return (
        found is not None
        and found.shape is not None
        and found.type.code in NUMPY_DTYPES
        and is_bytes(found.data)
    )


def is_of_numpy(node: Node) -> bool:
    """Whether a node is a numpy array of any type."""
    return type(node) is Call and pair_of(node.function) in ARRAY_MAKERS


def _bytes(node: Node) -> bytes:
    data = elements_of(node)
    if data is None:
        raise MalformedError(
            "the bytes of an array are text with characters beyond one byte", rules.PICKLE
        )
    return data


def _by_columns(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the strides, in elements, of an array in Fortran order; ``None`` for row-major."""
    if sum(length > 1 for length in shape) < 2:
        return None  # both orders are the same
    strides = []
    step = 1
    for length in shape:
        strides.append(step)
        step *= length
    return tuple(strides)


def shape_of(node: Node) -> tuple[int, ...]:
    """Return the shape of an array for which :func:`is_array` holds."""
    found = written(node)
    return () if found is None else found.shape or ()
