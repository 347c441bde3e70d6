"""Checks on tensors of the same role in other blocks, and on the same content elsewhere."""

from __future__ import annotations

from math import exp, log
from statistics import median
from typing import TYPE_CHECKING, Iterator, Mapping, Sequence

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.results import LOAD_STATE_DICT
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import count, size
from ckpttool.verification.checks.meaning import originals
from ckpttool.verification.evidence import is_matrix

if TYPE_CHECKING:
    from ckpttool.verification.evidence import Evidence

# With fewer blocks the spread is a matter of chance.
_FEWEST = 5
# Makes the median absolute deviation of normally distributed numbers their standard deviation.
_NORMAL = 1.4826
# The least spread that is assumed: an untrained model has next to none. Biases and gains
# differ more from block to block than weights do: in two trained BERT encoders of 6 and 8 layers
# by a factor of 5.7 at most, the weights by 1.5. With these numbers no score there is above 3.5.
_NARROWEST, _NARROWEST_OF_VECTORS = 0.15, 0.5
_UNTIE = (
    "If both were trained, set tie_word_embeddings to false in config.json; if not, save the model "
    "again with its weights tied."
)
_SHOWN = 8  # findings that are reported one by one


def check_magnitudes(evidence: Evidence) -> Iterator[Finding]:
    """Tensors whose magnitude is far from that of their role in the other blocks.

    With x the logarithm of the root mean square, m its median over the blocks and MAD the
    median of ``|x - m|``, the score is ``|x - m| / max(1.4826 MAD, 0.15)``; for biases and gains
    0.5 takes the place of 0.15. This is the modified z-score of Iglewicz and Hoaglin, How to
    Detect and Handle Outliers, 1993.
    """
    far = []
    for names in _roles(evidence).values():
        # logarithms, because a tensor that is too small is as wrong as one that is too large
        scale = {name: log(_rms(evidence, name)) for name in names}
        usual = median(scale.values())
        weights = is_matrix(evidence.canonical.tensors[names[0]])
        narrowest = _NARROWEST if weights else _NARROWEST_OF_VECTORS
        spread = max(_NORMAL * median(abs(x - usual) for x in scale.values()), narrowest)
        far += [
            (abs(x - usual) / spread, name, exp(usual))
            for name, x in scale.items()
            if abs(x - usual) / spread > evidence.limits.magnitude
        ]
    far.sort(key=lambda one: -one[0])
    for score, name, usual in far[:_SHOWN]:
        yield finding(
            rules.MAGNITUDE,
            f"{_factor(_rms(evidence, name) / usual)} in the other blocks "
            f"({score:.0f} robust deviations)",
            tensors=[name],
            expected=f"a root mean square about {usual:.3g}",
            found=f"{_rms(evidence, name):.3g}",
        )
    rest = [name for _, name, _ in far[_SHOWN:]]
    if rest:
        message = f"{count(len(rest), 'tensor')} more of an unusual magnitude"
        yield finding(rules.MAGNITUDE, message, tensors=rest)


def _roles(evidence: Evidence) -> Mapping[tuple[str, str], list[str]]:
    """Return the tensors of each role that enough blocks have, by stack and name in the block."""
    roles: dict[tuple[str, str], list[str]] = {}
    # these may differ on purpose, as LayerScale that begins smaller in deeper blocks
    outside = evidence.outside()
    for name, values in evidence.values.tensors.items():
        role = evidence.family.role_of(name)
        if role is not None and values.rms and name not in outside:  # zero has no logarithm
            roles.setdefault(role, []).append(name)
    return {role: names for role, names in roles.items() if len(names) >= _FEWEST}


def _rms(evidence: Evidence, name: str) -> float:
    return evidence.values.tensors[name].rms or 0.0


def _factor(ratio: float) -> str:
    times = f"{ratio:.3g} times" if ratio > 1 else f"1/{1 / ratio:.3g} of"
    return f"{times} what is usual"


def check_copies(evidence: Evidence) -> Iterator[Finding]:
    """Weights with the same bytes under names that share no storage.

    Where the model has a weight of its own under two of the names, one was copied over another.
    """
    passed_over, outside = {*evidence.family.tables, *originals(evidence)}, evidence.outside()
    by_content: dict[bytes | str, list[str]] = {}
    for name, values in evidence.values.tensors.items():
        if name not in evidence.contents:  # it differs from all others
            continue
        info = evidence.canonical.tensors[name]
        # identical blocks are a finding of their own; only the first is looked at here
        if info.dtype.kind == "float" and values.varied and name not in passed_over:
            by_content.setdefault(evidence.content(name), []).append(name)
    copied = [names for names in by_content.values() if _are_apart(evidence, names)]
    on_purpose: list[list[str]] = []
    for names in copied:
        ours = [name for name in names if name not in outside]
        # another model's weights of two names may be tied, and stored twice on purpose
        if evidence.has_roles and _are_apart(evidence, ours):
            yield finding(
                rules.DUPLICATE_CONTENT,
                f"{len(names)} tensors hold the same {count(_bytes(evidence, names[0]), 'byte')}",
                tensors=names,
            )
        # a note: averages of weights, or tied weights that were copied. Vectors are not even
        # that: frequencies, statistics and gains of many layers are often the same.
        elif is_matrix(evidence.canonical.tensors[names[0]]):
            on_purpose.append(names)
    if on_purpose:
        yield finding(
            rules.DUPLICATE_CONTENT,
            _told_of(evidence, on_purpose),
            severity=Severity.NOTE,
            tensors=[name for names in on_purpose for name in names],
        )


def check_tied(evidence: Evidence) -> Iterator[Finding]:
    """Warn of a tensor that the model ties, and of which the file has two that are not the same."""
    tensors, reference = evidence.canonical.tensors, evidence.reference
    for names in reference.apart(tensors) if reference else ():
        read = [name for name in names if name in evidence.values.tensors]
        # of another type it may be the same number, rounded
        same_type = len({tensors[name].dtype for name in read}) == 1
        if same_type and len({evidence.content(name) for name in read}) > 1:
            main, *others = read
            yield finding(
                rules.TIED_APART,
                f"the model has one weight under {count(len(read), 'name')}, and the file has "
                f"other numbers under {' and '.join(others)} than under {main}: some loaders keep "
                "both, others put one in the place of the other",
                tensors=read,
                fix=_UNTIE if reference and reference.loader != LOAD_STATE_DICT else None,
            )


def _are_apart(evidence: Evidence, names: Sequence[str]) -> bool:
    return len({evidence.canonical.tensors[name].extents for name in names}) > 1


def _told_of(evidence: Evidence, copied: Sequence[Sequence[str]]) -> str:
    tensors = sum(map(len, copied))
    spare = sum(
        (len({evidence.canonical.tensors[name].extents for name in names}) - 1)
        * _bytes(evidence, names[0])
        for names in copied
    )
    return (
        f"{tensors:,} tensors hold the content of {len(copied):,}: {size(spare)} are in the file "
        "more than once, on purpose if they are averages or tied weights"
    )


def _bytes(evidence: Evidence, name: str) -> int:
    return evidence.canonical.tensors[name].nbytes
