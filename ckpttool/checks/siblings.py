"""Checks on a tensor among its like: the same role in other blocks, the same content elsewhere."""

from __future__ import annotations

from math import exp, log
from statistics import median
from typing import TYPE_CHECKING, Iterator, Mapping

from ckpttool import rules
from ckpttool.checks.meaning import block_of, originals
from ckpttool.findings import Finding, finding
from ckpttool.text import count

if TYPE_CHECKING:
    from ckpttool.checks.examined import Examined

# Fewer blocks than this have no spread that could be told from chance.
_FEWEST = 5
# Makes the median absolute deviation of normally distributed numbers their deviation.
_NORMAL = 1.4826
# No narrower spread is believed: that of an untrained model is next to nothing. Biases and gains
# differ more from block to block than weights do: in two trained BERT encoders of 6 and 8 layers
# by a factor of 5.7 at most, the weights by 1.5. With these numbers no score there is above 3.5.
_NARROWEST, _NARROWEST_OF_VECTORS = 0.15, 0.5
# Findings that are told one by one.
_SHOWN = 8

_TABLES = ("pos_embed", "decoder_pos_embed")


def check_magnitudes(examined: Examined) -> Iterator[Finding]:
    """Tensors whose magnitude is far from that of their role in the other blocks.

    With x the logarithm of the root mean square, m its median over the blocks and MAD the
    median of ``|x - m|``, a tensor is far off where ``|x - m| / max(1.4826 MAD, 0.15)`` is above
    ``Limits.magnitude``; for biases and gains 0.5 stands for 0.15. That is the modified z-score
    of Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993; they advise 3.5 for numbers
    that should be alike.
    """
    far = []
    for names in _roles(examined).values():
        scale = {name: log(_rms(examined, name)) for name in names}
        usual = median(scale.values())
        vectors = len(examined.canonical.tensors[names[0]].shape) < 2
        narrowest = _NARROWEST_OF_VECTORS if vectors else _NARROWEST
        spread = max(_NORMAL * median(abs(x - usual) for x in scale.values()), narrowest)
        far += [
            (abs(x - usual) / spread, name, exp(usual))
            for name, x in scale.items()
            if abs(x - usual) / spread > examined.limits.magnitude
        ]
    for score, name, usual in sorted(far, key=lambda one: -one[0])[:_SHOWN]:
        yield finding(
            rules.MAGNITUDE,
            f"{_factor(_rms(examined, name) / usual)} in the other blocks "
            f"({score:.0f} robust deviations)",
            tensors=[name],
            expected=f"a root mean square about {usual:.3g}",
            found=f"{_rms(examined, name):.3g}",
        )
    rest = [name for _, name, _ in sorted(far, key=lambda one: -one[0])[_SHOWN:]]
    if rest:
        message = f"{count(len(rest), 'tensor')} more of an unusual magnitude"
        yield finding(rules.MAGNITUDE, message, tensors=rest)


def _roles(examined: Examined) -> Mapping[tuple[str, str], list[str]]:
    """Return the tensors of each role that enough blocks have, by side and name in the block."""
    roles: dict[tuple[str, str], list[str]] = {}
    for name, values in examined.values.tensors.items():
        place = block_of(name)
        if place is not None and values.rms:
            roles.setdefault((place[0], place[2]), []).append(name)
    return {role: names for role, names in roles.items() if len(names) >= _FEWEST}


def _rms(examined: Examined, name: str) -> float:
    return examined.values.tensors[name].rms or 0.0


def _factor(ratio: float) -> str:
    times = f"{ratio:.3g} times" if ratio > 1 else f"1/{1 / ratio:.3g} of"
    return f"{times} what is usual"


def check_copies(examined: Examined) -> Iterator[Finding]:
    """Tensors of the same bytes under names that share no storage."""
    passed_over = {*_TABLES, *originals(examined)}
    by_digest: dict[tuple[str, int], list[str]] = {}
    for name, values in examined.values.tensors.items():
        info = examined.canonical.tensors[name]
        varied = values.minimum is not None and values.minimum != values.maximum
        # of blocks that are alike only the first is looked at: that they are is told elsewhere
        if info.dtype.kind == "float" and varied and name not in passed_over:
            by_digest.setdefault((values.digest, info.nbytes), []).append(name)
    for names in by_digest.values():
        places = {examined.canonical.tensors[name].extents for name in names}
        if len(places) > 1:
            yield finding(
                rules.DUPLICATE_CONTENT,
                f"{len(names)} tensors hold the same {count(_bytes(examined, names[0]), 'byte')}",
                tensors=names,
            )


def _bytes(examined: Examined, name: str) -> int:
    return examined.canonical.tensors[name].nbytes
