"""Blocks and modules of a model, by whether they moved from where they began."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ckpttool.models.initialisers import FEWEST, Spread, initialiser, is_initial_bias, was_uniform
from ckpttool.verification.checks.meaning import is_initial
from ckpttool.verification.checks.spoilt import models_own
from ckpttool.verification.evidence import is_matrix

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.values import TensorValues
    from ckpttool.verification.evidence import Evidence

# Elements of a weight whose statistics alone tell that it was drawn: the largest of so many
# uniform numbers is within 2 % of the bound, and no training ends there by chance.
TELLING = 2048


class Weight(NamedTuple):
    """A matrix: its elements, and what it may have been drawn from, if anything fits.

    ``uniform`` is also of one that training has moved a little from a uniform beginning.
    """

    name: str
    size: int
    drawn: Optional[str]
    uniform: bool


class Vector(NamedTuple):
    """A gain or a bias: its one value, if it has one, and whether it is as initialised."""

    name: str
    value: Optional[float]
    initial: bool
    layernorm: bool


class Unit(NamedTuple):
    """A block, or a module outside of blocks.

    Attributes:
        group: of the model.
        stack: of a block, else empty.
        number: of a block.
        module: its name, outside of blocks.
        vectors, weights: by the name in the block, or in the module.
    """

    group: str
    stack: str
    number: int
    module: str
    vectors: Dict[str, Vector]
    weights: Dict[str, Weight]

    @property
    def trained(self) -> bool:
        """Whether a gain or a bias has moved: every step of training moves them."""
        return any(not one.initial for one in self.vectors.values())

    @property
    def untouched(self) -> bool:
        """Whether there is a LayerNorm, and no gain and no bias has moved."""
        return not self.trained and any(one.layernorm for one in self.vectors.values())

    @property
    def drawn(self) -> bool:
        """Whether the weights, too, are what an initialiser draws."""
        told = [one.drawn for one in self.weights.values() if one.size >= FEWEST]
        return bool(told) and None not in told

    @property
    def drawn_alone(self) -> bool:
        """Whether a module without LayerNorms is as initialised, by its weight and its bias."""
        largest = max((one.size for one in self.weights.values()), default=0)
        idle = bool(self.vectors) and not self.trained
        return not self.stack and idle and self.drawn and largest >= TELLING

    @property
    def names(self) -> Iterator[str]:
        """The names of the tensors."""
        yield from (one.name for one in self.vectors.values())
        yield from (one.name for one in self.weights.values())


def units_of(evidence: Evidence) -> List[Unit]:
    """Return blocks and modules with what the model has a place for; not tokens and tables."""
    family = evidence.family
    units: Dict[Tuple[str, object], Unit] = {}
    for name, info, values in models_own(evidence):
        place = family.block_of(name)
        module, dot, leaf = name.rpartition(".")
        if not dot or info.dtype.kind != "float":
            continue
        key: Tuple[str, object] = place[:2] if place else ("", module)
        if key not in units:
            stack, number = place[:2] if place else ("", 0)
            group = family.group_of(name)
            units[key] = Unit(group, stack, number, module, {}, {})
        role = place.rest if place else leaf
        if is_matrix(info):
            units[key].weights[role] = _weight(name, info, values)
        elif info.numel > 1 and (leaf == "bias" or family.is_layernorm(name)):
            units[key].vectors[role] = _vector(evidence, name, info, values)
    return list(units.values())


def _weight(name: str, info: TensorInfo, values: TensorValues) -> Weight:
    if not is_whole(values):
        return Weight(name, info.numel, None, uniform=False)
    spread = _spread(info, values)
    drawn = initialiser(info.shape, spread)
    return Weight(name, info.numel, drawn, was_uniform(info.shape, spread))


def _vector(evidence: Evidence, name: str, info: TensorInfo, values: TensorValues) -> Vector:
    value = values.minimum if is_whole(values) and not values.varied else None
    layernorm = evidence.family.is_layernorm(name)
    if layernorm:
        initial = is_initial(evidence, name)
    elif value is not None:
        initial = value == 0
    else:
        weight = evidence.canonical.tensors.get(f"{name.rpartition('.')[0]}.weight")
        initial = (
            weight is not None
            and is_whole(values)
            and is_initial_bias(info.numel, weight.shape, _spread(info, values))
        )
    return Vector(name, value, initial, layernorm)


def is_whole(values: TensorValues) -> bool:
    """Whether there are statistics, and they leave nothing out."""
    return values.rms is not None and values.nan == values.infinite == 0


def _spread(info: TensorInfo, values: TensorValues) -> Spread:
    encoding = info.dtype.encoding
    rounding = 2.0**-encoding.mantissa if encoding else 0.0
    return Spread(values.minimum or 0.0, values.maximum or 0.0, values.rms or 0.0, rounding)
