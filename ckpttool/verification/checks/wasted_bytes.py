"""Checks for bytes of a torch file's storages that belong to no tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, Sequence

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.text import count, size
from ckpttool.formats.objects.beside import beside_of
from ckpttool.formats.objects.describing import MORE
from ckpttool.formats.objects.plain import storage_keys
from ckpttool.tensors.sharing import covered

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.verification.evidence import Evidence


def check_wasted_bytes(evidence: Evidence) -> Iterator[Finding]:
    """Storages that tensors cover only in part, or that nothing refers to."""
    checkpoint = evidence.checkpoint
    views: dict[str, list[TensorInfo]] = {}
    for info in checkpoint.tensors.values():
        if info.storage in checkpoint.storages:
            views.setdefault(info.storage, []).append(info)
    hidden = {key: checkpoint.storages[key].length - _shown(infos) for key, infos in views.items()}
    lost = {key: checkpoint.storages[key].length for key in _unreferred(evidence, views)}
    most = evidence.limits.wasted_share * sum(info.nbytes for info in checkpoint.tensors.values())
    # two findings, because the way out differs: to copy views, or to drop what is not used
    if sum(hidden.values()) > most:
        wasteful = [key for key, nbytes in hidden.items() if nbytes]
        yield _of_views(evidence, sum(hidden.values()), [views[key] for key in wasteful])
    if sum(lost.values()) > most:
        yield finding(
            rules.WASTED_BYTES,
            f"{_exactly(sum(lost.values()))} lie in {count(len(lost), 'storage')} that nothing in "
            "the pickle refers to",
            fix="Load the state dict and save it again, alone.",
        )


def _of_views(evidence: Evidence, wasted: int, views: Sequence[Sequence[TensorInfo]]) -> Finding:
    infos = [info for one in views for info in one]
    stored = sum(evidence.checkpoint.storages[one[0].storage or ""].length for one in views)
    shown = sum(map(_shown, views))
    return finding(
        rules.WASTED_BYTES,
        f"{_exactly(wasted)} of {count(len(views), 'storage')} belong to no tensor: "
        f"{count(len(infos), 'tensor')} show {size(shown)} of {size(stored)}",
        tensors=[info.name for info in infos],
    )


def _shown(infos: Sequence[TensorInfo]) -> int:
    """Return how many bytes of their storage the tensors cover at most."""
    if len(infos) == len(infos[0].extents) == 1:  # as in most files: the same without sorting
        return min(infos[0].extents[0].length, infos[0].nbytes)
    distinct = {info.view: info.nbytes for info in infos}
    spans = (extent for info in infos for extent in info.extents)
    # the span of a strided tensor has gaps, so the elements' own bytes are a second bound
    return min(covered(spans), sum(distinct.values()))


def _unreferred(evidence: Evidence, views: dict[str, list[TensorInfo]]) -> list[str]:
    checkpoint = evidence.checkpoint
    # tensors that are not read have storages too, and so may the cut end of a long list
    if checkpoint.unread or any(node is MORE for node in checkpoint.aside):
        return []
    others = [key for key in checkpoint.storages if key not in views]
    if not others:
        return []
    around = beside_of(checkpoint)
    shells = [node for _, node in around.shells()] if around else []
    beside = storage_keys((*checkpoint.aside, *shells))
    return [key for key in others if key not in beside]


def _exactly(nbytes: int) -> str:
    return f"{count(nbytes, 'byte')} ({size(nbytes)})"
