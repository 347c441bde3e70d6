"""The quantized weights of a file: by the names of their parts, its types and its configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, NamedTuple

from ckpttool.quantization import packed as role
from ckpttool.quantization.parts import found_in, pattern_of, spellings, split
from ckpttool.quantization.schemes import packed_of
from ckpttool.quantization.schemes.naming import Naming
from ckpttool.quantization.schemes.torchao import declared, declared_in
from ckpttool.quantization.settings import NONE

if TYPE_CHECKING:
    from ckpttool.quantization.packed import Packed
    from ckpttool.quantization.parts import Found
    from ckpttool.quantization.settings import Settings
    from ckpttool.tensors.catalogue import TensorInfo


class Contents(NamedTuple):
    """What a file holds of quantized weights.

    Attributes:
        packed: the quantized weights by name.
        orphans: the parts of weights that are not there, by the name of the weight.
        beside: the parts beside a weight that is no codes, by its name.
        narrow: weights of an 8-bit type that nothing else says are quantized: plain casts.
    """

    packed: dict[str, Packed]
    orphans: dict[str, tuple[TensorInfo, ...]]
    beside: dict[str, tuple[TensorInfo, ...]]
    narrow: dict[str, TensorInfo]

    @property
    def claimed(self) -> frozenset[str]:
        """The names of all tensors that make up quantized weights."""
        return frozenset(info.name for one in self.packed.values() for info in one.parts.values())


def packed_in(
    tensors: Mapping[str, TensorInfo],
    settings: Settings = NONE,
    metadata: Mapping[str, str] | None = None,
) -> Contents:
    """Return the quantized weights of a file.

    Args:
        tensors: those of the file, by name.
        settings: what the configuration beside it says.
        metadata: of its container.
    """
    described, parts = _described(tensors, metadata or {})
    found = found_in(
        {name: info for name, info in tensors.items() if name not in parts} if parts else tensors
    )
    naming = Naming(spellings(found))
    packed = dict(described)
    for name, one in found.items():
        if one.parts:
            known = _packed(one, settings, naming)
            if known is not None:
                packed[name] = known
    # codes without a scale are quantized if the others of their kind are, or the configuration
    # says so; a plain cast to 8 bits is none
    patterns = {pattern_of(name) for name in packed}
    narrow: dict[str, TensorInfo] = {}
    for name, one in found.items():
        if not one.parts and one.plain is not None:
            known = None
            if pattern_of(name) in patterns or _is_demanded(name, settings):
                known = _packed(one, settings, naming)
            if known is not None:
                packed[name] = known
            else:
                narrow[name] = one.plain
    orphans, beside = _left_over(found, packed)
    for part, weight in parts.items():
        if weight not in packed:  # one that the metadata describes may have no part at all
            left = (tensors[part],) if part in tensors else ()
            orphans[weight] = (*orphans.get(weight, ()), *left)
    return Contents(packed, orphans, beside, narrow)


def _described(
    tensors: Mapping[str, TensorInfo], metadata: Mapping[str, str]
) -> tuple[dict[str, Packed], dict[str, str]]:
    """Return the weights that the metadata describes, and the weight of each of their parts."""
    packed: dict[str, Packed] = {}
    parts: dict[str, str] = {}
    for name, one in declared_in(metadata).items():
        parts.update(dict.fromkeys(one.parts.values(), name))
        known = declared(name, one, tensors)
        if known is not None:
            packed[name] = known
    return packed, parts


def _packed(one: Found, settings: Settings, naming: Naming) -> Packed | None:
    module = split(one.name)[0]
    known = packed_of(one, settings.arguments(module), naming, settings.method)
    if known is None:
        return None
    of_weight = known.parts.keys() - role.OF_INPUTS - {role.CODES}
    # a scale of the inputs beside bytes or floats says nothing of the weight
    if role.CODES not in one.parts and not of_weight and one.parts:
        return known if _is_demanded(one.name, settings) else None
    return known


def _is_demanded(name: str, settings: Settings) -> bool:
    return settings.is_known and settings.covers(split(name)[0])


def _left_over(
    found: Mapping[str, Found], packed: Mapping[str, Packed]
) -> tuple[dict[str, tuple[TensorInfo, ...]], dict[str, tuple[TensorInfo, ...]]]:
    orphans: dict[str, tuple[TensorInfo, ...]] = {}
    beside: dict[str, tuple[TensorInfo, ...]] = {}
    for name, one in found.items():
        left = tuple(
            info for what, info in one.parts.items() if what not in (*role.OF_INPUTS, role.CODES)
        )
        if name not in packed and left:
            (orphans if one.plain is None else beside)[name] = left
    return orphans, beside
