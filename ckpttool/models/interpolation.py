"""Resizing along one axis as torch and timm do it, as small matrices in numpy.

The formulas are those of ``torch.nn.functional.interpolate``. With ``align_corners=False`` the
middle of pixel ``i`` lies at ``(i + 0.5) * source / target - 0.5`` of the source, and beyond its
edges the last pixel is repeated. With ``antialias=True`` the kernel is cut at the edges instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_REACH = 2  # pixels to either side that a kernel reaches


def _cubic(sharpness: float) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return the kernel of R. Keys, "Cubic convolution interpolation", 1981, for one ``a``."""

    def kernel(distance: NDArray[Any]) -> NDArray[Any]:
        x, a = np.abs(distance), sharpness
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
        return np.where(x <= 1, near, np.where(x < _REACH, far, 0.0))

    return kernel


def _linear(distance: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.maximum(1 - np.abs(distance), 0.0))


class Method(NamedTuple):
    """A way to resize.

    Attributes:
        name: how a table was interpolated, as an adverb.
        kernel: the weight of a pixel by its distance.
        antialias: whether the kernel grows when an image shrinks, and is cut at the edges.
        more: what is added to the target's size to find the scale.
        aligned: whether the outermost pixels of both lie on each other (``align_corners=True``).
    """

    name: str
    kernel: Callable[[NDArray[Any]], NDArray[Any]]
    antialias: bool = False
    more: float = 0.0
    aligned: bool = False


#: As scripts for fine-tuning do it; torch has a = -0.75.
BICUBIC = Method("bicubically", _cubic(-0.75))
METHODS = (
    BICUBIC,
    Method("bilinearly", _linear),
    # timm's resample_abs_pos_embed; with antialias torch has a = -0.5, as Pillow
    Method("bicubically with antialias", _cubic(-0.5), antialias=True),
    Method("bilinearly with antialias", _linear, antialias=True),
    # interpolate_pos_encoding of DINO gives a scale with 0.1 more, so that rounding cannot lose one
    Method("bicubically by a scale of 0.1 patches more", _cubic(-0.75), more=0.1),
    Method("bicubically with aligned corners", _cubic(-0.75), aligned=True),
    Method("bilinearly with aligned corners", _linear, aligned=True),
)


def weights(method: Method, source: int, target: int) -> NDArray[np.float64]:
    """Return the matrix (target, source) that resizes an axis of ``source`` pixels."""
    scale = source / (target + method.more)
    middles = (np.arange(target)[:, None] + 0.5) * scale - 0.5
    if method.aligned:
        middles = np.arange(target)[:, None] * ((source - 1) / max(target - 1, 1))
    if method.antialias:
        matrix = method.kernel((np.arange(source) - middles) / max(scale, 1.0))
        return np.asarray(matrix / matrix.sum(axis=1, keepdims=True), np.float64)
    wide = method.kernel(np.arange(-_REACH, source + _REACH) - middles)
    inner = wide[:, _REACH:-_REACH].copy()
    inner[:, 0] += wide[:, :_REACH].sum(axis=1)
    inner[:, -1] += wide[:, -_REACH:].sum(axis=1)
    return np.asarray(inner, np.float64)


def resized(method: Method, values: NDArray[Any], rows: int, columns: int) -> NDArray[np.float64]:
    """Resize values (R, C, D) to (rows, columns, D)."""
    tall = np.tensordot(weights(method, values.shape[0], rows), values, axes=(1, 0))
    wide = np.tensordot(weights(method, values.shape[1], columns), tall, axes=(1, 1))
    return np.asarray(wide.transpose(1, 0, 2), np.float64)
