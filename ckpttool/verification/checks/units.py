"""Blocks and modules of a model, by whether they moved from where they began."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ckpttool.models.initialisers import FEWEST, Spread, initialiser, is_initial_bias, was_uniform
from ckpttool.verification.checks.meaning import is_initial
from ckpttool.verification.checks.spoilt import models_own
from ckpttool.verification.evidence import is_matrix

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.examining import TensorValues
    from ckpttool.verification.evidence import Evidence

# Elements of a weight whose statistics alone tell that it was drawn: the largest of so many
# uniform numbers is within 2 % of the bound, and no training ends there by chance.
TELLING = 2048

# Gains and biases move by about the learning rate in a step. After few of them, or in a type that
# rounds 1 + 0.004 to 1, some are still where they began, and that means nothing.
_SOME_STEPS = 0.01
_COARSE = 2.0**-20


class Weight(NamedTuple):
    """A matrix: its elements, and what it may have been drawn from, if anything fits.

    ``uniform`` is also of one that training has moved a little from a uniform beginning.
    """

    name: str
    size: int
    drawn: Optional[str]
    uniform: bool


class Vector(NamedTuple):
    """A gain or a bias.

    Attributes:
        name: of the tensor.
        value: its one value, if it has one.
        initial: whether it is as initialised.
        layernorm: whether it is of one.
        moved: how far an element is from where it began, at most.
        coarse: whether its type has fewer digits than training takes for its own sums.
        few: whether it has too few elements to tell what they were drawn from.
    """

    name: str
    value: Optional[float]
    initial: bool
    layernorm: bool
    moved: float
    coarse: bool
    few: bool


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
    def moved(self) -> bool:
        """Whether a gain or a bias is farther from its beginning than some steps bring it."""
        return any(one.moved > _SOME_STEPS for one in self.vectors.values())

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
        # a bias that is not zero may be drawn, or trained: of few digits or numbers that is open
        sure = all(one.value == 0 or not (one.few or one.coarse) for one in self.vectors.values())
        idle = bool(self.vectors) and not self.trained and sure
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
    begin = 1.0 if layernorm and name.endswith(".weight") else 0.0
    spread = _spread(info, values)
    moved = 0.0 if initial else max(begin - spread.minimum, spread.maximum - begin)
    coarse, few = spread.rounding > _COARSE, info.numel < FEWEST
    return Vector(name, value, initial, layernorm, moved, coarse, few)


def is_whole(values: TensorValues) -> bool:
    """Whether there are statistics, and they leave nothing out."""
    return values.rms is not None and values.nan == values.infinite == 0


def _spread(info: TensorInfo, values: TensorValues) -> Spread:
    encoding = info.dtype.encoding
    rounding = 2.0**-encoding.mantissa if encoding else 0.0
    return Spread(values.minimum or 0.0, values.maximum or 0.0, values.rms or 0.0, rounding)
