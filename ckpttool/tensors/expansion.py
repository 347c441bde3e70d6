"""Views that a hostile file makes endless: how much writing them out may cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.findings.text import count, size

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import TensorInfo

#: Written out, tensors may hold this many times the bytes of the file that they cover ...
EXPANSION_FACTOR = 4
#: ... and this many bytes more: small stride-0 views are common and harmless.
EXPANSION_SLACK = 64 << 20


def check_expansion(tensors: Mapping[str, TensorInfo], covered: int) -> None:
    """Refuse tensors that would fill the disk with repetitions of a few bytes.

    Raises:
        MalformedError: written out, they have far more bytes than the file has for them.
    """
    written = sum(info.nbytes for info in tensors.values())
    most = EXPANSION_FACTOR * covered + EXPANSION_SLACK
    if written <= most:
        return
    widest = max(tensors.values(), key=lambda info: info.nbytes)
    raise MalformedError(
        f"written out, {count(len(tensors), 'tensor')} would expand far beyond the file",
        rules.AMPLIFICATION,
        tensor=widest.name,
        expected=f"at most {size(most)} for the {size(covered)} that they cover",
        found=size(written),
        fix="Leave the expanded tensors out with --exclude.",
    )
