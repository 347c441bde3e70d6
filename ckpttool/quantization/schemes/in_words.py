"""Integer codes of a few bits, packed into words of 32: GPTQ, AWQ and compressed-tensors.

GPTQ packs along the inputs, and stores the weight transposed: ``qweight`` [inputs * bits / 32,
outputs], ``scales`` [groups, outputs], ``qzeros`` [groups, outputs * bits / 32] and ``g_idx``
[inputs]. AWQ packs along the outputs: ``qweight`` [inputs, outputs * bits / 32]. compressed-tensors
keeps the weight's own order: ``weight_packed`` [outputs, ceil(inputs * bits / 32)],
``weight_scale`` [outputs, groups], ``weight_zero_point`` [ceil(outputs * bits / 32), groups] and
``weight_shape`` [2].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable

from ckpttool.quantization import packed as role
from ckpttool.quantization.packed import Expected, Packed, is_float, is_integer, is_word
from ckpttool.quantization.schemes import scales

if TYPE_CHECKING:
    from ckpttool.quantization.packed import Shape
    from ckpttool.quantization.parts import Found
    from ckpttool.quantization.schemes.naming import Naming
    from ckpttool.quantization.settings import Arguments
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.dtypes import DType

_WORD = 32
# Formats whose words lie as is said above; without a name it is these.
_LAID_OUT = frozenset({"", "gptq", "gptq_v2", "gemm"})


def by_groups(found: Found, arguments: Arguments, naming: Naming, method: str) -> Packed | None:
    """Return a weight of GPTQ or AWQ; ``None`` for codes of another kind under their name."""
    codes = found.codes
    assert codes is not None  # noqa: S101 (the caller looked)
    word = codes.dtype.bits
    if not is_integer(codes.dtype) or len(codes.shape) != 2:
        return None
    awq = _is_awq(codes.shape, found, method)
    bits = arguments.bits or _bits(found, word) or 4
    per_word = word / bits
    if awq:
        inputs, outputs = codes.shape[0], int(codes.shape[1] * per_word)
    else:
        inputs, outputs = int(codes.shape[0] * per_word), codes.shape[1]
    groups = _groups(inputs, found, arguments)
    needed = {
        role.SCALE: naming.of(found, role.SCALE, "scales"),
        role.ZERO_POINT: naming.of(found, role.ZERO_POINT, "qzeros"),
    }
    if awq and arguments.symmetric:
        del needed[role.ZERO_POINT]
    if not awq and arguments.by_order:
        needed[role.GROUP_INDEX] = naming.of(found, role.GROUP_INDEX, "g_idx")
    if (arguments.format or "").lower() not in _LAID_OUT:
        # words in the order of a kernel: what the shapes must be is not known
        return Packed(
            found.name,
            "awq" if awq else "gptq",
            {**found.parts, role.CODES: codes},
            None,
            arguments.bits or 0,
            symmetric=arguments.symmetric,
            needed={role.SCALE: needed[role.SCALE]},
        )
    zeros = (groups, scales.ceil(outputs * bits, word))
    expected = {
        role.CODES: Expected((), is_integer, "integers"),
        role.SCALE: Expected(
            ((groups, outputs),), is_float, "a float of 16 bits or more", arguments.by
        ),
        role.ZERO_POINT: Expected(
            (zeros,), _same_as(codes), f"{codes.dtype.name}, as the codes", arguments.by
        ),
        role.GROUP_INDEX: Expected(((inputs,),), is_integer, "integers"),
    }
    return Packed(
        found.name,
        "awq" if awq else "gptq",
        {**found.parts, role.CODES: codes},
        (outputs, inputs),
        bits,
        (1, scales.group_of(inputs, groups)),
        arguments.symmetric,
        transposed=True,
        needed=needed,
        expected=expected,
    )


def _is_awq(codes: Shape, found: Found, method: str) -> bool:
    """Whether codes are packed along the outputs, as the scales show, else the configuration."""
    scale, zeros = found.parts.get(role.SCALE), found.parts.get(role.ZERO_POINT)
    if scale is not None and len(scale.shape) == 2 and scale.shape[1] == codes[1]:
        return False
    if zeros is not None and len(zeros.shape) == 2 and zeros.shape[1] == codes[1]:
        return True
    return method == "awq"


def _bits(found: Found, word: int) -> int:
    """Return the bits of a code, as zero points and scales of the same groups show."""
    scale, zeros = found.parts.get(role.SCALE), found.parts.get(role.ZERO_POINT)
    if scale is None or zeros is None or len(scale.shape) != 2 or len(zeros.shape) != 2:
        return 0
    if not scale.shape[1]:
        return 0
    bits = zeros.shape[1] * word // scale.shape[1]
    return bits if 1 <= bits <= 8 else 0


def _groups(inputs: int, found: Found, arguments: Arguments) -> int:
    size = arguments.group_size
    if size is not None and (size > 0 or size == -1):
        return scales.ceil(inputs, size) if size > 0 else 1
    # what most of the parts show, so that the one that differs is named
    rows = [
        part.shape[0]
        for part in (found.parts.get(one) for one in (role.SCALE, role.ZERO_POINT))
        if part is not None and len(part.shape) == 2
    ]
    fitting = [one for one in rows if scales.group_of(inputs, one)]
    return (fitting or rows or [1])[0]


def pack_quantized(found: Found, arguments: Arguments, naming: Naming) -> Packed:
    """Return a weight of compressed-tensors' ``pack-quantized``."""
    codes, scale = found.codes, found.parts.get(role.SCALE)
    assert codes is not None  # noqa: S101 (the caller looked)
    bits = arguments.bits or 0
    size = arguments.group_size
    shape = _logical(codes, scale, bits, size)
    needed = {
        role.SCALE: naming.of(found, role.SCALE, "weight_scale"),
        role.SHAPE: naming.of(found, role.SHAPE, "weight_shape"),
    }
    if arguments.symmetric is False and arguments.strategy in (None, "group", "channel"):
        needed[role.ZERO_POINT] = naming.of(found, role.ZERO_POINT, "weight_zero_point")
    if arguments.by_order and role.GROUP_INDEX in found.parts:
        needed[role.GROUP_INDEX] = naming.of(found, role.GROUP_INDEX, "weight_g_idx")
    expected = {
        role.CODES: Expected((), is_word, "integers of 32 bits"),
        role.SCALE: Expected(
            _scales_of(shape, arguments), is_float, "a float of 16 bits or more", arguments.by
        ),
        role.SHAPE: Expected(((len(codes.shape),),), is_integer, "integers"),
        role.ZERO_POINT: Expected(_zeros_of(shape, bits, scale), is_integer, "integers"),
        role.GROUP_INDEX: Expected((shape[-1:],) if shape else (), is_integer, "integers"),
    }
    block = None
    if shape is not None and scale is not None and len(scale.shape) == len(shape):
        block = (*(1 for _ in shape[:-1]), scales.group_of(shape[-1], scale.shape[-1]))
    symmetric = False if role.ZERO_POINT in found.parts else arguments.symmetric
    parts = {**found.parts, role.CODES: codes}
    return Packed(
        found.name,
        "pack-quantized",
        parts,
        shape,
        bits,
        block,
        symmetric,
        needed=needed,
        expected=expected,
    )


def _logical(
    codes: TensorInfo, scale: TensorInfo | None, bits: int, size: int | None
) -> Shape | None:
    """Return the shape of a weight whose last axis is packed, if anything shows it exactly.

    ``weight_shape`` has it, too, but as numbers, which are not in a header.
    """
    if not codes.shape or not bits:
        return None
    most = codes.shape[-1] * _WORD // bits
    if scale is not None and size and size > 0 and len(scale.shape) == len(codes.shape):
        inputs = scale.shape[-1] * size
        # the last group may be shorter, and the last word not be full
        if scales.ceil(inputs * bits, _WORD) == codes.shape[-1]:
            return (*codes.shape[:-1], inputs)
    return (*codes.shape[:-1], most)


def _scales_of(shape: Shape | None, arguments: Arguments) -> tuple[Shape, ...]:
    if shape is None:
        return ()
    if arguments.strategy == "tensor":
        return scales.of_tensor(shape)
    if arguments.strategy == "channel":
        return scales.of_rows(shape)[:1]
    if arguments.group_size and arguments.strategy in (None, "group"):
        return (scales.of_groups(shape, arguments.group_size),)
    return ()


def _zeros_of(shape: Shape | None, bits: int, scale: TensorInfo | None) -> tuple[Shape, ...]:
    if shape is None or scale is None or not bits or len(scale.shape) != len(shape):
        return ()
    return ((*shape[:-2], scales.ceil(shape[-2] * bits, _WORD), scale.shape[-1]),)


def _same_as(codes: TensorInfo) -> Callable[[DType], bool]:
    return lambda dtype: dtype.bits == codes.dtype.bits and is_integer(dtype)
