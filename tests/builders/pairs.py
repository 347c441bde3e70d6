"""Pairs of checkpoints that differ in one named way, as files and as tensors in memory."""

from __future__ import annotations

import argparse
import cmath
import math
import struct
from typing import TYPE_CHECKING, Any, Callable, Dict, NamedTuple, Sequence, Tuple

import numpy as np
import torch

from ckpttool.comparison.numbers.compare import Pass
from ckpttool.comparison.numbers.stretches import Pair
from tests.builders.tensors import in_memory

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ckpttool.comparison.numbers.tally import Tally
    from ckpttool.comparison.numbers.tolerance import Tolerance

State = Dict[str, Any]
Content = Dict[str, Any]


def arrays(
    left: NDArray[Any],
    right: NDArray[Any],
    *,
    dtypes: tuple[str, str] | None = None,
    tolerance: Tolerance | None = None,
    workers: int = 1,
) -> Tally:
    """Compare two arrays; ``dtypes`` are torch's names where numpy has none of its own."""
    names = dtypes or (left.dtype.name, right.dtype.name)
    sides = [
        in_memory(side.tobytes(), name, (side.nbytes * 8 // _bits(name),))
        for side, name in zip((left, right), names)
    ]
    (tally,) = Pass(tolerance, workers).run([Pair(sides[0], sides[1])])
    return tally


def _bits(name: str) -> int:
    return in_memory(b"", name, (0,)).dtype.bits


def state() -> State:
    """Tensors of a small model: two blocks, norms, a position table."""
    generator = torch.Generator().manual_seed(0)
    shapes = {
        "pos_embed": (1, 5, 4),
        "blocks.0.norm1.weight": (4,),
        "blocks.0.attn.qkv.weight": (12, 4),
        "blocks.0.mlp.fc1.weight": (16, 4),
        "blocks.1.norm1.weight": (4,),
        "blocks.1.attn.qkv.weight": (12, 4),
        "blocks.1.mlp.fc1.weight": (16, 4),
        "decoder_blocks.0.mlp.fc2.weight": (4, 16),
    }
    return {name: torch.rand(shape, generator=generator) for name, shape in shapes.items()}


_QKV = "blocks.1.attn.qkv.weight"


def _with(name: str, tensor: Any) -> Callable[[State], State]:
    return lambda tensors: {**tensors, name: tensor(tensors.get(name))}


def _without(name: str) -> Callable[[State], State]:
    return lambda tensors: {key: value for key, value in tensors.items() if key != name}


def _renamed(tensors: State) -> State:
    return {("elsewhere" if name == _QKV else name): value for name, value in tensors.items()}


def _behind_module(tensors: State) -> State:
    return {f"module.{name}": value for name, value in tensors.items()}


def _one_nan(tensor: Any) -> Any:
    spoilt = tensor.clone()
    spoilt[0, 0] = float("nan")
    return spoilt


class Case(NamedTuple):
    """What to make of the small model on the right side, and the class that comes of it."""

    change: Callable[[State], State]
    kind: str
    options: Dict[str, Any]
    same: bool


def _next(tensor: Any) -> Any:
    return torch.nextafter(tensor, torch.tensor(2.0))


#: Name of the difference to what it is; the class is that of the tensor concerned.
CASES: Dict[str, Case] = {
    "nothing": Case(dict, "identical", {}, True),
    "other-values": Case(_with(_QKV, lambda t: t + 1), "changed", {}, False),
    "a-nan": Case(_with(_QKV, _one_nan), "changed", {"atol": 9.0, "max_ulp": 9}, False),
    "negative-zero": Case(_with(_QKV, torch.neg), "changed", {}, False),
    "one-ulp": Case(_with(_QKV, _next), "within-ulp", {"max_ulp": 1}, True),
    "one-ulp-not-allowed": Case(_with(_QKV, _next), "changed", {}, False),
    "a-little": Case(_with(_QKV, lambda t: t + 1e-3), "within-tolerance", {"atol": 2e-3}, True),
    "a-little-in-parts": Case(
        _with(_QKV, lambda t: t * 1.001), "within-tolerance", {"rtol": 2e-3}, True
    ),
    "too-much": Case(_with(_QKV, lambda t: t + 1e-3), "changed", {"atol": 5e-4}, False),
    "another-shape": Case(_with(_QKV, lambda t: t.reshape(4, 12)), "shape-differs", {}, False),
    "rounded": Case(_with(_QKV, lambda t: t.half()), "equal-after-cast", {}, False),
    "widened": Case(_with(_QKV, lambda t: t.double()), "equal-after-cast", {}, False),
    "widened-tolerated": Case(
        _with(_QKV, lambda t: t.double()), "equal-after-cast", {"atol": 0.0}, True
    ),
    "another-type": Case(_with(_QKV, lambda t: (t + 1).half()), "dtype-differs", {}, False),
    "another-type-near": Case(
        _with(_QKV, lambda t: (t + 0.01).half()), "within-tolerance", {"atol": 0.1}, True
    ),
    "missing": Case(_without(_QKV), "only-left", {}, False),
    "added": Case(_with("head.weight", lambda _: torch.ones(3)), "only-right", {}, False),
    "renamed": Case(_renamed, "renamed", {}, False),
    "moved": Case(_behind_module, "moved", {}, False),
    "sparse": Case(_with(_QKV, lambda t: t.to_sparse()), "not-compared", {}, False),
}


def written(folder: Path, change: Callable[[State], State]) -> tuple[str, str]:
    """Write the small model twice, the second time changed."""
    return save(folder, "a.pth", {"model": state()}), save(
        folder, "b.pth", {"model": change(state())}
    )


def save(folder: Path, name: str, content: object) -> str:
    """Write with ``torch.save``."""
    path = folder / name
    torch.save(content, path)
    return str(path)


def training(epoch: int = 3, lr: float = 0.1) -> Content:
    """A training checkpoint: weights, an optimizer's state, an epoch and arguments."""
    moments = {0: {"step": torch.tensor(1.0), "exp_avg": torch.ones(2)}}
    optimizer = {"state": moments, "param_groups": [{"lr": lr, "params": [0]}]}
    return {
        "model": state(),
        "optimizer": optimizer,
        "epoch": epoch,
        "args": argparse.Namespace(lr=lr, name="run"),
    }


def naive(left: NDArray[Any], right: NDArray[Any]) -> Tuple[float, float, float]:
    """Largest absolute and relative difference, and RMS, the plain way in float64."""
    one, other = left.astype(np.float64), right.astype(np.float64)
    difference = np.abs(one - other)
    large = np.maximum(np.abs(one), np.abs(other))
    relative = np.where(large > 0, difference / np.where(large > 0, large, 1), 0)
    return float(difference.max()), float(relative.max()), float(np.sqrt((difference**2).mean()))


class Plain(NamedTuple):
    """How to read an element type the plain way: bytes an element, and its value."""

    width: int
    value: Callable[[bytes], Any]


def _struct(code: str) -> Plain:
    return Plain(struct.calcsize(f"<{code}"), lambda raw: struct.unpack(f"<{code}", raw)[0])


def _complex(code: str) -> Plain:
    width = 2 * struct.calcsize(f"<{code}")
    return Plain(width, lambda raw: complex(*struct.unpack(f"<2{code}", raw)))


def _by_torch(name: str, view: torch.dtype, width: int) -> Plain:
    def value(raw: bytes) -> float:
        bits = torch.frombuffer(bytearray(raw), dtype=view)
        return float(bits.view(getattr(torch, name)).to(torch.float64))

    return Plain(width, value)


#: The types whose every bit pattern is compared with the plain way.
PLAIN = {
    **{f"float{8 * n}": _struct(code) for n, code in ((2, "e"), (4, "f"), (8, "d"))},
    **{f"int{8 * n}": _struct(code) for n, code in ((1, "b"), (2, "h"), (4, "i"), (8, "q"))},
    **{f"uint{8 * n}": _struct(code) for n, code in ((1, "B"), (2, "H"), (4, "I"), (8, "Q"))},
    "complex64": _complex("f"),
    "complex128": _complex("d"),
    "bfloat16": _by_torch("bfloat16", torch.int16, 2),
    **{
        name: _by_torch(name, torch.uint8, 1)
        for name in ("float8_e4m3fn", "float8_e5m2")
        if hasattr(torch, name)
    },
}


def reference(left: NDArray[Any], right: NDArray[Any], dtype: str) -> Dict[str, Any]:
    """All numbers of a comparison the plain way, one pair after the other."""
    plain = PLAIN[dtype]
    sides = [
        [raw[start : start + plain.width] for start in range(0, len(raw), plain.width)]
        for raw in (left.tobytes(), right.tobytes())
    ]
    values = [[plain.value(raw) for raw in side] for side in sides]
    finite = [place for place, pair in enumerate(zip(*values)) if all(map(_finite, pair))]
    differs = [place for place, (one, other) in enumerate(zip(*sides)) if one != other]
    nan, infinite = ([[test(v) for v in side] for side in values] for test in (_nan, _infinite))
    absolute = [(_modulus(values[0][i] - values[1][i]), i) for i in finite]
    relative = [
        (gap / (max(_modulus(values[0][i]), _modulus(values[1][i])) or 1), i) for gap, i in absolute
    ]
    return {
        "changed": len(differs),
        "unlike": len(set(differs) - set(finite)),
        "nan_left": sum(a and not b for a, b in zip(*nan)),
        "nan_right": sum(b and not a for a, b in zip(*nan)),
        "infinite_left": sum(a and not b for a, b in zip(*infinite)),
        "infinite_right": sum(b and not a for a, b in zip(*infinite)),
        "max_abs": max(absolute, key=lambda found: found[0], default=None),
        "max_rel": max(relative, key=lambda found: found[0], default=None),
        "max_ulp": _most_ulps(dtype, sides, finite),
        **_norms([[side[i] for i in finite] for side in values]),
    }


def _modulus(value: Any) -> Any:
    # abs() of a complex number may overflow
    return math.hypot(value.real, value.imag) if isinstance(value, complex) else abs(value)


def _finite(value: Any) -> bool:
    return not (_nan(value) or _infinite(value))


def _nan(value: Any) -> bool:
    return isinstance(value, (float, complex)) and cmath.isnan(value)


def _infinite(value: Any) -> bool:
    # a complex number of which a part is NaN is NaN and may be infinite as well
    return isinstance(value, (float, complex)) and cmath.isinf(value)


def _most_ulps(dtype: str, sides: Sequence[Sequence[bytes]], finite: Sequence[int]) -> int | None:
    if "int" in dtype or not finite:
        return None
    parts = 2 if dtype.startswith("complex") else 1
    return max(
        abs(_place(sides[0][i], part, parts) - _place(sides[1][i], part, parts))
        for i in finite
        for part in range(parts)
    )


def _place(raw: bytes, part: int, parts: int) -> int:
    width = len(raw) // parts
    bits = int.from_bytes(raw[part * width : (part + 1) * width], "little")
    sign = 1 << (8 * width - 1)
    return -(bits - sign) if bits & sign else bits


def _norms(values: Sequence[Sequence[Any]]) -> Dict[str, float]:
    left, right = values
    norms = [math.hypot(*_parts(v)) for v in (left, right, [a - b for a, b in zip(left, right)])]
    low, high = sorted(norms[:2]) if left else (0.0, 0.0)
    cosine = 0.0
    if 0 < low <= high < math.inf:
        pairs = zip(_parts(left), _parts(right))
        cosine = math.fsum((a / norms[0]) * (b / norms[1]) for a, b in pairs)
    names = ("norm_left", "norm_right", "norm_difference")
    return {**dict(zip(names, norms)), "cosine": cosine}


def _parts(values: Sequence[Any]) -> Sequence[float]:
    if values and isinstance(values[0], complex):
        return [part for value in values for part in (value.real, value.imag)]
    return [float(value) for value in values]
