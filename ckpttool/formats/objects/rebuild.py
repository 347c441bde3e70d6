"""From inert nodes to tensors: torch's rebuild calls, with integer-only geometry checks.

Names are matched exactly, as ``(module, name)``; nothing is looked up, imported or called.
"""

from __future__ import annotations

import re
from math import prod
from typing import Tuple

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.formats.objects.attributes import MAX_ATTRIBUTES, MAX_DIMENSIONS, MAX_WRAPPINGS
from ckpttool.formats.objects.dtensors import DTensor, dtensor_of, is_dtensor, spec_of
from ckpttool.formats.objects.storages import (
    LARGEST,
    Locate,
    Storage,
    UnsupportedTensorError,
    is_natural,
)
from ckpttool.formats.pickles.nodes import (
    Call,
    Dict,
    Global,
    New,
    Node,
    PersistentId,
    near,
    pair_of,
)
from ckpttool.tensors.catalogue import Extent, TensorInfo
from ckpttool.tensors.dtypes import BYTE, DTYPES, DType, by_elements

_UTILS = "torch._utils"

_WITH_STATE = (_UTILS, "_rebuild_parameter_with_state")
#: Calls that wrap the tensor that is their first argument.
WRAPPING = frozenset({(_UTILS, "_rebuild_parameter"), _WITH_STATE})
#: ``f(function, type, args, state)``: a tensor with attributes, rebuilt by ``function(*args)``.
#: torch 1.7 and 1.8 had the module under another name.
FROM_TYPE = frozenset(
    (module, name)
    for module in ("torch._tensor", "torch.tensor")
    for name in ("_rebuild_from_type", "_rebuild_from_type_v2")
)
# Classes that say nothing about a tensor: torch makes any of them for the same weight.
_PLAIN_CLASSES = frozenset(
    {
        ("torch", "Tensor"),
        ("torch._tensor", "Tensor"),
        ("torch.nn.parameter", "Parameter"),
        ("torch.nn.parameter", "Buffer"),
    }
)
#: ``f(storage, offset, shape, strides, requires_grad, hooks, metadata)``: a strided tensor. v1 ends
#: with the strides; v3, for dtypes without a storage class, has the dtype before the metadata.
REBUILD_V2 = (_UTILS, "_rebuild_tensor_v2")
_V1, _V3 = (_UTILS, "_rebuild_tensor"), (_UTILS, "_rebuild_tensor_v3")

#: ``f(cls, dtype, shape, ...)``: a tensor of a class of its own; its attributes are all it holds.
SUBCLASS = (_UTILS, "_rebuild_wrapper_subclass")
#: Calls of torch that make tensors whose bytes are not one strided storage.
UNSUPPORTED = {
    (_UTILS, "_rebuild_sparse_tensor"): "a sparse tensor",
    (_UTILS, "_rebuild_sparse_csr_tensor"): "a sparse tensor",
    (_UTILS, "_rebuild_qtensor"): "a quantized tensor",
    (_UTILS, "_rebuild_nested_tensor"): "a nested tensor",
    ("torch.nested._internal.nested_tensor", "_rebuild_njt"): "a nested tensor",
    (_UTILS, "_rebuild_meta_tensor_no_storage"): "a tensor without data (meta device)",
    SUBCLASS: "a tensor subclass",
    (_UTILS, "_rebuild_device_tensor_from_numpy"): "a tensor pickled through numpy",
    (_UTILS, "_rebuild_device_tensor_from_cpu_tensor"): "a tensor of a device without storage",
}
#: Calls that make a tensor that can be read.
REBUILDING = WRAPPING | FROM_TYPE | {_V1, REBUILD_V2, _V3}
_TENSOR_CALLS = REBUILDING | frozenset(UNSUPPORTED)
#: How many arguments torch writes for each; the metadata at the end came later and may be missing.
_ARGUMENTS = {
    **dict.fromkeys(WRAPPING, (3,)),
    **dict.fromkeys(FROM_TYPE, (4,)),
    _WITH_STATE: (4,),
    _V1: (4,),
    REBUILD_V2: (6, 7),
    _V3: (7, 8),
}
# Classes that make a tensor by themselves, as releases before 0.2 wrote them.
_CLASS_MODULES = frozenset(
    {"torch", "torch.cuda", "torch.sparse", "torch.cuda.sparse", "torch.nn.parameter"}
)
_CLASSES = ("Tensor", "Parameter", "Buffer")

#: Attributes whose setters replace the values of a tensor, or its class.
_ACTING = frozenset({"data", "real", "imag", "__class__", "__dict__"})

# Types that torch has and numpy has not: complex32, bits8, quint4x2, int4 ... Unsupported, while
# any other name is malformed.
_OTHER_DTYPE = re.compile(r"(complex|bits|q?u?int|b?float)[0-9][0-9a-z_]{0,20}")

# Nodes of a call's arguments that are searched for a storage: torch's have it at the top.
_NEAR = 100
# Characters of a class that a reason names.
_LONGEST_CLASS = 120


# The name and arguments of a rebuild call, and whether a parameter around it requires a gradient.
_Innermost = Tuple[Tuple[str, str], Tuple[Node, ...], bool]


def is_tensor(node: Node) -> bool:
    """Whether the node is a call that rebuilds a tensor, of a supported kind or not."""
    # asked four times for each value of a file
    if type(node) is Call:
        function = node.function
        if type(function) is Global and function.pair in _TENSOR_CALLS:
            return True
    return isinstance(node, Call) and _is_class(node.function)


def _is_class(function: Node) -> bool:
    return (
        type(function) is Global
        and function.module in _CLASS_MODULES
        and function.name.endswith(_CLASSES)
    )


def dress_of(node: Call) -> Node:
    """Return a tensor's attributes, within an object of its class if that is a subclass.

    ``None`` for a tensor without either. Whether it is a parameter makes no difference. The tensor
    is one that :func:`rebuild` returns: the calls around the one that makes it are not too many.
    """
    cls, states = None, []
    while True:
        function = pair_of(node.function)
        if function == _WITH_STATE:
            states += node.args[3:]
            node = node.args[0]
        elif function in WRAPPING:
            node = node.args[0]
        elif function in FROM_TYPE:
            own = pair_of(node.args[1]) not in _PLAIN_CLASSES
            cls = node.args[1] if own else cls
            if is_dtensor(node.args[1]):
                states.append(spec_of(node.args[3]))
                break
            states += node.args[3:]
            node = Call(node.args[0], node.args[2])
        else:
            break
    states = [state for state in states if state is not None and getattr(state, "flat", True)]
    if cls is None:
        return states if len(states) > 1 else states[0] if states else None
    dress = New(cls, ())
    dress.states = states or None
    return dress


def made_by_unknown_call(node: Node) -> str | None:
    """Return words for an object that an unknown call makes of storages, ``None`` for others."""
    if not isinstance(node, Call) or is_tensor(node) or type(node.function) is not Global:
        return None
    holds = any(isinstance(part, PersistentId) for part in near((node.args,), _NEAR))
    return _made_by(node.function) if holds else None


def _made_by(function: Global) -> str:
    return f"made by a call of {function}, which is not run"


def rebuild(name: str, node: Call, locate: Locate, *, big_endian: bool = False) -> TensorInfo:
    """Return the tensor that a rebuild call describes.

    Raises:
        UnsupportedTensorError: sparse, quantized and the like.
        MalformedError: arguments of the wrong kind, or a geometry that leaves the storage.
    """
    try:
        return _rebuild(name, node, locate, big_endian)
    except MalformedError as error:
        error.tensor = name
        raise


def _rebuild(name: str, node: Node, locate: Locate, big_endian: bool) -> TensorInfo:
    if _is_usual(node):  # nearly all: what _unwrap would find of such a call
        return _strided(name, (REBUILD_V2, node.args, False), locate, big_endian)
    shared = _shared(node)
    if shared is None:
        return _strided(name, _unwrap(node), locate, big_endian)
    if not shared.whole:
        raise UnsupportedTensorError(shared.part)
    info = _strided(name, _unwrap(shared.local), locate, big_endian)
    if info.shape != shared.shape or info.dtype is not _dtype(shared.dtype):
        raise UnsupportedTensorError("a DTensor whose local tensor is of another type or shape")
    return info


def _shared(node: Node) -> DTensor | None:
    """Return what a call says that makes a distributed tensor, ``None`` for any other call."""
    args, function = node.args, pair_of(node.function)
    if function not in FROM_TYPE or len(args) != 4 or pair_of(args[0]) != SUBCLASS:
        return None
    made = args[2] if type(args[2]) is tuple and args[2] else (None,)
    if not (is_dtensor(args[1]) and is_dtensor(made[0])):
        return None
    if node.states or node.mapped or node.appended:
        raise _geometry("a rebuilt tensor is changed after its call")
    _refuse_state(function, args)
    return dtensor_of(made, args[3])


def _strided(name: str, call: _Innermost, locate: Locate, big_endian: bool) -> TensorInfo:
    function, args, gradient = call
    if type(args[0]) is not PersistentId and isinstance(args[0], Call):
        raise UnsupportedTensorError("a tensor whose storage another call makes")
    if type(args[0]) is not PersistentId:
        raise MalformedError("a tensor's storage is no persistent id", rules.PERSISTENT_ID)
    if function != _V1 and type(args[4]) is not bool:
        raise _geometry("whether the tensor requires a gradient is not a truth value")
    for metadata in args[7 if function == _V3 else 6 :]:
        if metadata is not None and type(metadata) is not Dict:
            raise _geometry("a tensor's metadata is not a dictionary")
        if metadata and metadata.flat:
            raise UnsupportedTensorError("a lazily negated or conjugated tensor")
    # v3's storage is untyped, so that the dtype is in the call; in others it is in the storage
    dtype = _dtype(args[6]) if function == _V3 else None
    storage = locate(args[0])
    dtype = dtype or storage.dtype or BYTE
    if dtype.integral and (gradient or (function != _V1 and args[4])):
        raise _geometry("a tensor of whole numbers requires a gradient, which torch refuses")
    if big_endian and function == _V3 and dtype.itemsize > 1:
        # torch swaps bytes in the width of the storage's type, whatever the tensor's is
        raise UnsupportedTensorError("a tensor whose byte order torch itself does not turn")
    offset, shape, strides = _geometry_of(args)
    return _place(name, dtype, shape, strides, offset, storage, big_endian)


def _is_usual(node: Node) -> bool:
    """Whether a call is a plain one of :data:`REBUILD_V2`, with nothing done to its result."""
    return (
        type(node) is Call
        and pair_of(node.function) == REBUILD_V2
        and len(node.args) in (6, 7)
        and (node.changes is None or not (node.states or node.mapped or node.appended))
    )


def _unwrap(node: Node) -> _Innermost:
    """Return the innermost rebuild call inside wrapping calls."""
    gradient = False
    for _ in range(MAX_WRAPPINGS):
        if not is_tensor(node):
            if isinstance(node, Call) and isinstance(node.function, Global):
                raise UnsupportedTensorError(_made_by(node.function))
            raise _geometry("a rebuild call does not hold a tensor")
        if _is_class(node.function):
            raise UnsupportedTensorError("a tensor made by its class")
        if node.states or node.mapped or node.appended:
            # BUILD calls the tensor's __setstate__, which sets its storage; an item sets values
            raise _geometry("a rebuilt tensor is changed after its call")
        function, args = pair_of(node.function), node.args
        assert function is not None  # noqa: S101 (is_tensor looked)
        if function in UNSUPPORTED:
            raise UnsupportedTensorError(_unsupported(function, args))
        if len(args) not in _ARGUMENTS[function]:
            raise _geometry("a rebuild call has other arguments than torch writes")
        _refuse_state(function, args)
        if function in WRAPPING:
            node = args[0]
            gradient = gradient or args[1] is True
        elif function in FROM_TYPE and type(args[2]) is tuple:
            node = Call(args[0], args[2])
        else:
            return function, args, gradient
    raise MalformedError("a tensor is wrapped too often", rules.LIMIT)


def _unsupported(function: tuple[str, str], args: tuple[Node, ...]) -> str:
    """Return the kind of a tensor that is not read, with the class if that is its own."""
    if function == SUBCLASS and args and type(args[0]) is Global:
        return f"{UNSUPPORTED[function]}, {str(args[0])[:_LONGEST_CLASS]}"
    return UNSUPPORTED[function]


def _refuse_state(function: tuple[str, str] | None, args: tuple[Node, ...]) -> None:
    """Refuse a state that would put other bytes into the tensor when torch sets it.

    It is a dictionary of attributes, with one of slots beside it where the class has those.
    """
    if function != _WITH_STATE and function not in FROM_TYPE:
        return
    for state in args[3:]:
        for attributes in state if type(state) is tuple and len(state) == 2 else (state,):
            if attributes is not None and type(attributes) is not Dict:
                raise _geometry("a tensor's state is not a dictionary of attributes")
            names = attributes.flat[: 2 * MAX_ATTRIBUTES : 2] if attributes else ()
            if attributes and len(attributes.flat) > 2 * MAX_ATTRIBUTES:
                raise MalformedError("a tensor has too many attributes", rules.LIMIT)
            if not all(type(name) is str and name not in _ACTING for name in names):
                raise _geometry("a tensor's state replaces its data")


def _geometry_of(args: tuple[Node, ...]) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    offset, shape, strides = args[1:4]
    if type(shape) is tuple is type(strides) and len(shape) == len(strides) <= MAX_DIMENSIONS:
        for number in (offset, *shape, *strides):
            if type(number) is not int or not 0 <= number <= LARGEST:  # is_natural
                break
        else:
            return offset, shape, strides
    raise _wrong_geometry(offset, shape, strides)


def _wrong_geometry(offset: Node, shape: Node, strides: Node) -> MalformedError:
    """Return the error for what :func:`_geometry_of` does not take."""
    if not is_natural(offset):
        return _geometry(
            "the storage offset is not an integer from 0 up", found=type(offset).__name__
        )
    for what, numbers in (("shape", shape), ("strides", strides)):
        # before the items are checked: a million tensors may share one long tuple
        if type(numbers) is tuple and len(numbers) > MAX_DIMENSIONS:
            return MalformedError("a tensor has more dimensions than torch can have", rules.LIMIT)
        if type(numbers) is not tuple or not all(is_natural(number) for number in numbers):
            return _geometry(f"the {what} has something else than integers from 0 up")
    return _geometry("shape and strides differ in length", found=f"{shape}, {strides}")


def _place(
    name: str,
    dtype: DType,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    offset: int,
    storage: Storage,
    big_endian: bool,
) -> TensorInfo:
    """Return the tensor with its extent in the storage, from its first element to its last."""
    itemsize = dtype.bits // 8  # offset and strides are in elements
    key, _, whole = storage
    numel = prod(shape)
    if not 0 < numel <= LARGEST:
        _check_product(shape)
    row_major = numel == 0 or strides == (1,) or _is_row_major(shape, strides)
    span = numel if row_major else 1 + sum((n - 1) * s for n, s in zip(shape, strides))
    # torch compares nothing where there is no element: slices of an empty tensor begin anywhere
    if span and (offset + span) * itemsize > whole.length:
        raise _geometry(
            f"the tensor reaches outside storage {key}",
            expected=f"at most {whole.length:,} bytes",
            found=f"{(offset + span) * itemsize:,} bytes from its start",
        )
    extents: tuple[Extent, ...] = ()
    if span * itemsize == whole.length and span:
        extents = (whole,)  # nearly always: the same object for each of a million tensors
    elif span:
        source, begin, _ = whole
        extents = (Extent(source, begin + offset * itemsize, span * itemsize),)
    # two 4-bit elements in a byte: split only where bytes follow each other
    if row_major and itemsize == 1:
        dtype, shape = by_elements(dtype, shape)
    # not by the class: its __new__ takes as long again
    return tuple.__new__(
        TensorInfo,
        (name, dtype, shape, None if row_major else strides, extents, big_endian, key),
    )


def _check_product(shape: tuple[int, ...]) -> None:
    # torch multiplies the sizes in order, so that a later zero does not prevent an overflow
    if any(shape) and _without_zeros(shape) > LARGEST:
        raise _geometry("the number of elements does not fit 64 bits")


def _without_zeros(shape: tuple[int, ...]) -> int:
    product = 1
    for length in shape:
        product *= length or 1
        if product > LARGEST:
            break  # before the integers grow: there may be 64 factors of 64 bits
    return product


def _is_row_major(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    step = 1
    for length, stride in zip(reversed(shape), reversed(strides)):
        if length != 1 and stride != step:  # the stride of a single element is never used
            return False
        step *= length
    return True


def _dtype(node: Node) -> DType:
    name = pair_of(node)
    dtype = DTYPES.get(name[1]) if name and name[0] == "torch" else None
    if dtype is not None and dtype.bits % 8 == 0:
        return dtype
    if name and name[0] == "torch" and _OTHER_DTYPE.fullmatch(name[1]):
        raise UnsupportedTensorError(f"a tensor of {name[1]}")
    raise _geometry("the element type is not known", found=name and name[1])


def _geometry(message: str, *, expected: object = None, found: object = None) -> MalformedError:
    return MalformedError(message, rules.GEOMETRY, expected=expected, found=found)
