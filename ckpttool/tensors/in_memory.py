"""One tensor as an array of numpy or a tensor of torch: ``TensorInfo.numpy()`` and ``torch()``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from ckpttool.files.sources import check_all_unchanged
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, UnsupportedError
from ckpttool.tensors.dtypes import by_pairs
from ckpttool.tensors.gather import fill
from ckpttool.tensors.memory import allocate
from ckpttool.tensors.numpy_arrays import numbers
from ckpttool.tensors.sharing import check_expansion

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from ckpttool.tensors.catalogue import TensorInfo


def to_numpy(info: TensorInfo, view: bool) -> NDArray[Any]:
    """Return a tensor's elements; see :meth:`ckpttool.tensors.catalogue.TensorInfo.numpy`."""
    raw = _read(info)
    array = _bits(info, raw) if view else _elements(info, raw)
    # Whoever changed a copy would expect the file, or the next call, to show it.
    array.flags.writeable = False
    return array


def _elements(info: TensorInfo, raw: memoryview) -> NDArray[Any]:
    dtype = info.dtype
    if dtype.numpy is not None:  # gathered bytes are little-endian on any machine
        native: NDArray[Any] = np.frombuffer(raw, f"<{dtype.numpy}")
        return _shaped(native, info)
    widened = numbers(dtype, raw)
    if widened is None:
        raise UnsupportedError(
            f"numpy has no type for elements of {dtype.name}",
            rules.UNSUPPORTED,
            tensor=info.name,
            fix="numpy(view=True) gives their bytes.",
        )
    return _shaped(widened, info)


def _bits(info: TensorInfo, raw: memoryview) -> NDArray[Any]:
    if info.dtype.bits not in (8, 16, 32, 64):
        return np.frombuffer(raw, np.uint8)
    return _shaped(np.frombuffer(raw, f"<u{info.dtype.itemsize}"), info)


def _shaped(array: NDArray[Any], info: TensorInfo) -> NDArray[Any]:
    try:
        return array.reshape(info.shape)
    except ValueError as error:
        # a tensor without elements may have sizes whose product is beyond 64 bits without the zero
        raise _no_such_shape("numpy", info) from error


def _no_such_shape(library: str, info: TensorInfo) -> UnsupportedError:
    shape = str(list(info.shape))
    message = f"{library} cannot hold a shape of such sizes"
    return UnsupportedError(message, rules.UNSUPPORTED, tensor=info.name, found=shape)


def to_torch(info: TensorInfo) -> torch.Tensor:
    """Return a tensor's elements; see :meth:`ckpttool.tensors.catalogue.TensorInfo.torch`."""
    import torch

    dtype, shape = by_pairs(info.dtype, info.shape)
    own = getattr(torch, dtype.name, None)
    if not isinstance(own, torch.dtype):
        raise UnsupportedError(
            f"this torch ({torch.__version__}) has no type {dtype.name}",
            rules.UNSUPPORTED,
            tensor=info.name,
            fix="numpy(view=True) gives the bytes.",
        )
    if not info.nbytes:  # frombuffer refuses no bytes at all
        try:
            return torch.empty(shape, dtype=own)
        except RuntimeError as error:  # as above
            raise _no_such_shape("torch", info) from error
    raw = _read(info)
    if sys.byteorder == "big":  # torch has native order only
        np.frombuffer(raw, f"u{dtype.itemsize}").byteswap(inplace=True)
    return torch.frombuffer(raw, dtype=own).reshape(shape)


def _read(info: TensorInfo) -> memoryview:
    """Return the tensor's contiguous little-endian bytes in fresh memory."""
    try:
        # A stride of 0 lets a file of a few bytes ask for all the memory there is.
        check_expansion({info.name: info}, sum(extent.length for extent in info.extents))
        raw = allocate(info.nbytes)
        fill(info, 0, raw)
        # Bytes overwritten in place leave the size as it was: the time of change shows them.
        check_all_unchanged(extent.source for extent in info.extents)
    except CkpttoolError as error:
        error.tensor = error.tensor or info.name
        raise
    return raw
