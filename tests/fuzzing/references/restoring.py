"""The tensors that torch makes of a pickle, where nothing of the pickle's own choosing can run.

That is ``torch.load(weights_only=True)``, and for what it has no opcode or no name for CPython's
unpickler with only the functions that rebuild tensors behind their names.
"""

from __future__ import annotations

import io
import pickle
import re
import warnings
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, Tuple

import numpy as np
import torch
from torch.storage import TypedStorage

from tests.fuzzing.parser import ViolationError
from tests.fuzzing.references.recording import Result, standing_for
from tests.fuzzing.tensors import Content

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: What torch refuses by its lists, whatever else it would make of the file.
_NOT_LISTED = re.compile(
    "Unsupported global|Unsupported operand|Unsupported class|is blocked|Can only |"
    "Trying to call reduce|persistent_load|persistent ID|must be imported|"
    # what its reader of legacy streams has not kept up with: storages without a type
    "UntypedStorage' has no attribute 'dtype'"
)
#: Types of storages by the names of their classes.
_ELEMENTS = {
    **{name: dtype for dtype, name in torch.storage._dtype_to_storage_type_map().items()},
    "UntypedStorage": torch.uint8,
}
_FUNCTIONS = {
    ("torch._utils", "_rebuild_tensor"): torch._utils._rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_tensor_v3"): torch._utils._rebuild_tensor_v3,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): lambda data, *_: data,
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "Size"): torch.Size,
}


class KnownError(Exception):
    """The reference refuses what is accepted here, for a reason that is known."""


#: What is found in the message of an error, and the reason.
_KNOWN = (
    # torch wants strings of Python 2 to be UTF-8 unless it is told another encoding
    ("codec can't decode byte", "strings of Python 2"),
    # NEWOBJ of a function: the list here does not say which of its names are classes, and nothing
    # is run by the attempt
    ("is not a type object", "an instance of a function"),
    ("class argument must be a type", "an instance of a function"),
)


def refused(reader: str, told: str) -> Exception:
    """Return the error for what a reader says of a file that is accepted here."""
    for part, reason in _KNOWN:
        if part in told:
            return KnownError(reason)
    return ViolationError(f"{reader} fails: {told}")


def by_torch(content: bytes) -> Tuple[Any, str]:
    """Return what torch loads, or in few words why its lists refuse the file.

    Raises:
        KnownError: it refuses the file for another reason that is known.
        ViolationError: it refuses it for one that is not.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return torch.load(io.BytesIO(content), weights_only=True, map_location="cpu"), ""
        except Exception as error:  # noqa: BLE001 (whatever it raises, it does not read the file)
            if _NOT_LISTED.search(f"{error}"):
                return None, "not on torch's list"
            raise refused("torch", f"{type(error).__name__}: {error!s:.1500}") from None


def _from_type(function: Any, cls: Any, args: Any, state: Any) -> Any:
    """Rebuild a tensor and leave away its class and attributes, which are stubs."""
    return function(*args)


_FUNCTIONS["torch._tensor", "_rebuild_from_type_v2"] = _from_type


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, outside: Callable[[Any, Any], Any]) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8", errors="strict")
        self._outside = outside

    def find_class(self, module: str, name: str) -> Any:
        known = _FUNCTIONS.get((module, name))
        if known is not None:
            return known
        if module in ("torch", "torch.cuda", "torch.storage"):
            dtype = getattr(torch, name, None) if name.islower() else None
            if isinstance(dtype, torch.dtype):
                return dtype
        return standing_for(module, name)

    def persistent_load(self, value: Any) -> Any:
        known = type(value) is tuple and len(value) > 2
        dtype = _dtype_of(value[1]) if known else None
        if dtype is not None:
            return self._outside(value, dtype)
        if known and value[0] == "module":
            return value[1]
        raise pickle.UnpicklingError(f"an id of another form: {value!a:.100}")


def _dtype_of(cls: Any) -> torch.dtype | None:
    """Return the element type of a class of storages."""
    module, name = getattr(cls, "pair", ("", ""))
    known = module in ("torch", "torch.cuda", "torch.storage")
    return _ELEMENTS.get(name) if known else None


def width_of(cls: Any) -> int:
    """Return the bytes of an element of a class of storages."""
    dtype = _dtype_of(cls)
    return 1 if dtype is None else dtype.itemsize


def array_of(value: Any) -> NDArray[Any] | None:
    """Return the array that a stub stands for; ``None`` if it stands for something else."""
    name = getattr(value.function, "pair", ("", ""))[1] if isinstance(value, Result) else ""
    if name == "_frombuffer" and len(value.args) == 4:
        content, dtype, shape, order = value.args
        return _array(content, dtype, shape, order)
    state = value.states[-1] if name == "_reconstruct" and value.states else None
    if not isinstance(state, tuple) or len(state) != 5:
        return None
    _, shape, dtype, is_fortran, content = state
    if isinstance(content, Result):  # bytes, as protocols below 3 write them
        content = content.args[0].encode("latin-1")
    order = "F" if is_fortran else "C"
    return _array(content, dtype, shape, order)


def _array(content: bytes, dtype: Any, shape: Any, order: Any) -> NDArray[Any]:
    read: NDArray[Any] = np.frombuffer(bytes(content), _element_type(dtype))
    return read.reshape(shape, order=order)


def _element_type(dtype: Any) -> Any:
    order = dtype.states[-1][1] if dtype.states else "="
    return np.dtype(order.replace("|", "=") + dtype.args[0])


def by_cpython(data: bytes, storages: Mapping[str, bytes]) -> Any:
    """Return what CPython's unpickler makes of a pickle: tensors, and stubs for other objects.

    Raises:
        KnownError: it refuses the pickle for a reason that is known.
        ViolationError: it refuses it for another one.
    """
    made: Dict[str, Any] = {}

    def outside(value: Any, dtype: torch.dtype) -> Any:
        key = value[2]
        if key not in made:
            made[key] = torch.tensor(list(storages[key]), dtype=torch.uint8).untyped_storage()
        content = made[key]
        if len(value) > 5 and value[5] is not None:  # a part, in elements
            _, offset, count = value[5]
            content = content[offset * dtype.itemsize : (offset + count) * dtype.itemsize]
        typed: Any = TypedStorage
        return typed(wrap_storage=content, dtype=dtype, _internal=True)

    try:
        return _Unpickler(data, outside).load()
    except Exception as error:  # noqa: BLE001 (whatever it raises, it does not read the pickle)
        raise refused("CPython", f"{type(error).__name__}: {error!s:.1500}") from None


# --- by name -------------------------------------------------------------------------------


def content_of(tensor: Any) -> Content | None:
    """Return what a tensor of torch, or an array, holds; ``None`` for other values."""
    if not isinstance(tensor, torch.Tensor):
        array = array_of(tensor)
        if array is None:
            return None
        little = array.astype(array.dtype.newbyteorder("<"))
        return array.dtype.name, array.shape, little.tobytes()
    name = str(tensor.dtype)[len("torch.") :]
    if tensor.dtype is torch.bool:  # copying would make ones of other bytes
        tensor = tensor.view(torch.uint8)
    flat = torch.empty(tensor.numel(), dtype=tensor.dtype)
    flat.copy_(tensor.detach().reshape(-1))
    raw = flat.view(torch.uint8).numpy().tobytes()
    return name, tuple(tensor.shape), raw


def under(value: Any, name: str) -> Iterator[Any]:
    """Yield what stands under a dotted name; keys may have dots themselves."""
    if not name:
        yield value
    for key, inner in _items(value):
        if name == key:
            yield inner
        elif name.startswith(f"{key}."):
            yield from under(inner, name[len(key) + 1 :])


def _items(value: Any, deep: int = 5) -> List[Tuple[str, Any]]:
    """Return what is directly in a value; a state may be an object that has one in turn."""
    if isinstance(value, Mapping):
        return [(str(key), inner) for key, inner in value.items() if not isinstance(key, Result)]
    if isinstance(value, (list, tuple)):
        return [(str(place), inner) for place, inner in enumerate(value)]
    if not isinstance(value, Result) or not deep:
        return []
    found: List[Tuple[str, Any]] = []
    for state in value.states:
        for key, inner in _items(state, deep - 1):
            found += [(key, inner), *(_items(inner, deep - 1) if key in _OF_MODULES else ())]
    for part in value.args:
        if isinstance(part, tuple) and all(isinstance(one, (tuple, list)) for one in part):
            found += [(str(one[0]), one[1]) for one in part if len(one) == 2]
    found += [(str(place), inner) for place, inner in enumerate(value.appended)]
    return found + [(str(key), inner) for key, inner in zip(value.mapped[::2], value.mapped[1::2])]


_OF_MODULES = ("_parameters", "_buffers", "_modules")
