"""What layers are drawn from before training, recognised by minimum, maximum and mean square.

A layer that was never loaded keeps what its initialiser drew. A uniform distribution shows most:
not one of some thousand numbers is beyond its bound, and the largest is just below it.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Iterator, NamedTuple, Tuple

if TYPE_CHECKING:
    Shape = Tuple[int, ...]

#: With fewer elements the statistics fit too much to tell anything.
FEWEST = 64

_MOST_INPUTS = 1 << 64
# How far a drawn sample may be from what is expected of it: five standard deviations of its root
# mean square, and a largest element that one sample in a hundred million has (exp(-20)).
_DEVIATIONS = 5.0
_UNLIKELY = 20.0
# What is within so much of a bound may have gone there from it.
_CLOSE = 1 / 16
# The standard deviation of the root mean square of n numbers, in parts of it and of 1 / sqrt(n).
_OF_UNIFORM, _OF_NORMAL = sqrt(1 / 5), sqrt(1 / 2)
# What is left of a normal distribution's deviation when it is cut off at two deviations.
_CUT_AT_TWO = 0.8796


class Spread(NamedTuple):
    """Statistics of a tensor, all finite.

    Attributes:
        minimum, maximum, rms: of its elements.
        rounding: the largest relative error of its type: ``2 ** -mantissa``.
    """

    minimum: float
    maximum: float
    rms: float
    rounding: float


def initialiser(shape: Shape, spread: Spread) -> str | None:
    """Return what a weight of this shape may have been drawn from; ``None`` if nothing known fits.

    Args:
        shape: outputs first: of a linear layer or a convolution, or several stacked by outputs.
        spread: its statistics.
    """
    number = prod(shape)
    if number < FEWEST or len(shape) < 2:
        return None
    for told, bound in _bounds(shape):
        if is_uniform(number, bound, spread):
            return f"uniform within {told}"
    for told, deviation in _deviations(shape):
        if not 0.5 < spread.rms / deviation < 2:  # far off, and the rest takes longer
            continue
        if _is_normal(number, deviation, spread):
            return f"normal with a deviation of {told}"
        if _is_cut_off(number, deviation, spread):
            return f"normal with a deviation of {told}, cut off at two deviations"
    return None


def was_uniform(shape: Shape, spread: Spread) -> bool:
    """Whether a weight is still close to uniform within a known bound, as after some training."""
    loose = spread._replace(rounding=_CLOSE)
    number = prod(shape)
    return (
        number >= FEWEST
        and len(shape) > 1
        and any(is_uniform(number, bound, loose) for _, bound in _bounds(shape))
    )


def is_initial_bias(number: int, weight: Shape, spread: Spread) -> bool:
    """Whether a bias that is not zero may have been drawn, beside a weight of this shape."""
    if number < FEWEST:  # too few to tell: they may have been drawn wherever they are within it
        return max(-spread.minimum, spread.maximum) <= default_bound(weight)
    # torch's own, and the normal one of timm's and Flax's ViT (1e-6)
    return is_uniform(number, default_bound(weight), spread) or (_is_normal(number, 1e-6, spread))


def default_bound(shape: Shape) -> float:
    """Return the bound of torch's own initialisation of a layer's weight and bias."""
    # Linear and Conv2d: kaiming_uniform_ with a = sqrt(5), which is 1 / sqrt(fan_in)
    # a file may say any shape of a weight that it does not hold, beyond what a float can be
    return 1 / sqrt(min(max(prod(shape[1:]), 1), _MOST_INPUTS))


def is_uniform(number: int, bound: float, spread: Spread) -> bool:
    """Whether ``number`` elements with these statistics may be uniform from -bound to bound."""
    if number < FEWEST or spread.maximum > bound * (1 + spread.rounding):
        return False
    if not _is_near(number, _OF_UNIFORM, bound / sqrt(3), spread):
        return False
    # of n numbers the largest is below (1 - 2 t) bound with a probability of (1 - t) ** n
    least = bound * (1 - 2 * _UNLIKELY / number - spread.rounding)
    most = bound * (1 + spread.rounding)
    return least <= -spread.minimum <= most and least <= spread.maximum <= most


@lru_cache(maxsize=64)  # a model has few shapes and many blocks
def _bounds(shape: Shape) -> tuple[tuple[str, float], ...]:
    """Return the bounds of uniform initialisers, with what they are called."""
    fan_in = prod(shape[1:])
    return (
        *(
            ("sqrt(6 / (fan_in + fan_out)), as Xavier's", sqrt(6 / (fan_in + fan_out)))
            for fan_out in _fans_out(shape)
        ),
        ("1 / sqrt(fan_in), torch's default", default_bound(shape)),
        ("sqrt(6 / fan_in), as Kaiming's", sqrt(6) * default_bound(shape)),
    )


def _fans_out(shape: Shape) -> Iterator[int]:
    yield shape[0]  # a convolution by whole patches is drawn as a linear layer
    yield shape[0] * prod(shape[2:])
    if shape[0] % 3 == 0:  # query, key and value, each drawn by itself
        yield shape[0] // 3


@lru_cache(maxsize=64)
def _deviations(shape: Shape) -> tuple[tuple[str, float], ...]:
    """Return the deviations of normal initialisers, with what they are called."""
    return (
        ("0.02", 0.02),
        ("0.01", 0.01),  # and the next: new heads of a linear probe and of fine-tuning in MAE
        ("0.00002", 2e-5),
        ("1 / sqrt(fan_in)", default_bound(shape)),
        ("sqrt(2 / fan_in)", sqrt(2) * default_bound(shape)),
        ("sqrt(2 / (fan_in + fan_out))", sqrt(2 / (prod(shape[1:]) + shape[0]))),
    )


def _is_normal(number: int, deviation: float, spread: Spread) -> bool:
    if not _is_near(number, _OF_NORMAL, deviation, spread):
        return False
    standard = NormalDist()
    # no element above ``most`` and at least one above ``least``, each all but surely
    most = -standard.inv_cdf(2.0**-29 / number) * deviation * (1 + spread.rounding)
    least = -standard.inv_cdf(min(_UNLIKELY / number, 0.5)) * deviation * (1 - spread.rounding)
    return least <= -spread.minimum <= most and least <= spread.maximum <= most


def _is_cut_off(number: int, deviation: float, spread: Spread) -> bool:
    # either the deviation is that before the cut, or it was made up for, as JAX does
    for before in (deviation, deviation / _CUT_AT_TWO):
        if _is_near(number, _OF_NORMAL, _CUT_AT_TWO * before, spread):
            # within t deviations of the cut lies a part of 0.0566 t, the density there
            least = before * (2 - _UNLIKELY / (0.0566 * number) - spread.rounding)
            most = before * 2 * (1 + spread.rounding)
            if least <= -spread.minimum <= most and least <= spread.maximum <= most:
                return True
    return False


def _is_near(number: int, relative: float, expected: float, spread: Spread) -> bool:
    allowed = _DEVIATIONS * relative / sqrt(number) + spread.rounding
    return abs(spread.rms / expected - 1) <= allowed
