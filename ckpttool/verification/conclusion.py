"""One file's report from everything that is known of it: findings, summaries, the verdict."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, AbstractSet, Iterator, Sequence

from ckpttool.files import collecting
from ckpttool.files.suffixes import shard_name
from ckpttool.findings.errors import MalformedError
from ckpttool.findings.finding import verdict_of
from ckpttool.findings.results import FileReport, ValuesSummary
from ckpttool.findings.text import count
from ckpttool.formats.objects.beside import beside_of, tensors_beside
from ckpttool.models.family import FULL
from ckpttool.verification.checks import CHECKS, locked
from ckpttool.verification.checks.positions import position_tables
from ckpttool.verification.diagnosing import told
from ckpttool.verification.loading import loading_of
from ckpttool.verification.published import may_be_published
from ckpttool.verification.quantized_file import in_words, not_looked_at

if TYPE_CHECKING:
    from ckpttool.findings.results import PositionTable
    from ckpttool.findings.statistics import Statistics
    from ckpttool.tensors.catalogue import Checkpoint
    from ckpttool.tensors.values import Values
    from ckpttool.verification.evidence import Evidence
    from ckpttool.verification.published import Origin

_MOST_PARTS = 4  # modules that are named
_MOST_TOLD = 20  # places that are named before the rest is counted


def conclude(known: FileReport, evidence: Evidence, published: Origin | None) -> FileReport:
    """Return ``known`` with the findings of all checks, the summaries and the verdict.

    Args:
        known: what the header says of the file.
        evidence: what the checks look at.
        published: whether it is the published file; ``None`` if that was not asked.
    """
    code = evidence.reference.code if evidence.reference else None
    found = [finding for check in CHECKS for finding in check(evidence)]
    found += published.findings if published else ()
    # sorted() is stable: within a severity the order of CHECKS stays
    findings = tuple(sorted(found, key=lambda finding: -finding.severity.weight))
    return known._replace(
        verdict=verdict_of(findings),  # before any policy, which judge() applies
        findings=findings,
        fingerprint=evidence.fingerprint,
        diagnosis=told(evidence, known, findings),
        coverage=evidence.coverage,
        values=_values_summary(evidence.values, position_tables(evidence)),
        forward=evidence.forward,
        published=published.name if published else None,
        unchecked=tuple(_unchecked(evidence, published)),
        lock=evidence.lock.path if evidence.lock else None,
        lock_lines=evidence.locked.lines if evidence.locked else {},
        locked=locked.summary(evidence),
        loading=loading_of(evidence) if _may_load(evidence) else None,
        quantized=in_words(evidence.quantized),
        schema_from=code.said if code is not None else None,
        statistics=_statistics(evidence) if evidence.values.measured else None,
        reconstructions=evidence.pictures.found,
    )


def _statistics(evidence: Evidence) -> Statistics:
    from ckpttool.statistics.gather import statistics_of  # late: numpy
    from ckpttool.statistics.whole import seen_of

    canonical = evidence.canonical
    if not evidence.has_roles:
        canonical = canonical._replace(family=None)
    with collecting.paused():
        return statistics_of(seen_of(canonical, evidence.values))


def _may_load(evidence: Evidence) -> bool:
    known = not (evidence.is_other or evidence.is_guessed)
    if evidence.reference is not None and evidence.reference.is_listed:
        # a lock file has canonical names, and does not say what the model calls them
        known = known and evidence.canonical.layout is None
    return bool(evidence.coverage.groups) and known


def _values_summary(values: Values, tables: dict[str, PositionTable]) -> ValuesSummary:
    return ValuesSummary(
        len(values.tensors),
        len(values.skipped),
        sum(1 for tensor in values.tensors.values() if tensor.nan),
        sum(1 for tensor in values.tensors.values() if tensor.infinite),
        values.checksums_checked,
        len(values.bad_checksums),
        {name: table.error for name, table in tables.items()},
        tables,
    )


def tensors_left_aside(checkpoint: Checkpoint) -> Iterator[str]:
    """Say where else in the file tensors lie, and how many: state dicts, averages, moments."""
    beside = beside_of(checkpoint)
    if beside is None:
        return
    state_dicts = {wrapper.key for wrapper in checkpoint.wrappers[1:]}  # the first was taken
    keys = state_dicts.union(key for key, _ in beside.items())
    numbers: Counter[str] = Counter()
    try:
        for info in tensors_beside(checkpoint):
            numbers[_place_of(info.name, keys)] += 1
    except MalformedError as error:  # of a storage that the weights do not need
        yield f"what else lies beside the weights ({error.detail()})"
    for key, number in numbers.most_common(_MOST_TOLD):
        told = count(number, "tensor")
        yield f"the state dict {key} ({told})" if key in state_dicts else f"{told} in {key}"
    if len(numbers) > _MOST_TOLD:
        rest = sum(numbers.values()) - sum(n for _, n in numbers.most_common(_MOST_TOLD))
        yield f"{count(rest, 'tensor')} in {len(numbers) - _MOST_TOLD:,} other places"


def _place_of(name: str, keys: AbstractSet[str]) -> str:
    """Return the longest key that a tensor lies under: the state dict, not what that lies in."""
    # a name that occurs again ends in its number: "exp_avg (2)"
    key = name.partition(" (")[0] if name.endswith(")") else name
    while key not in keys and "." in key:
        key = key.rpartition(".")[0]
    return key


def _unchecked(evidence: Evidence, published: Origin | None) -> Iterator[str]:
    """Say what was not looked at: what was skipped is never printed as clean."""
    yield from tensors_left_aside(evidence.checkpoint)
    shard = shard_name(evidence.checkpoint.path)
    if shard is not None:  # opened without its index
        part = f"part {shard.number:,} of {shard.total:,}"
        yield f"the rest of the checkpoint (by its name this is {part})"
    if not evidence.coverage.groups and evidence.companion is None:
        why = "no schema" if evidence.unknown else "--schema none"
        yield f"names, shapes and dtypes ({why})"
    yield from not_looked_at(evidence.quantized)
    if evidence.values.skipped:
        yield f"the values of {count(len(evidence.values.skipped), 'tensor')}"
    if evidence.values.digested and evidence.fingerprint is None:
        read = "not every tensor was read" if evidence.canonical.tensors else "there is no tensor"
        yield f"the fingerprint ({read})"
    yield from _not_run(evidence)
    if evidence.pictures.reason is not None:
        images = count(evidence.pictures.images, "image")
        yield f"the reconstruction of {images} ({evidence.pictures.reason})"
    if published is None:
        # of another name --published could only say that nothing is published under it
        known = may_be_published(evidence.checkpoint.sources[0], evidence.family)
        yield "where the file comes from" + (" (--published)" if known else "")


def _not_run(evidence: Evidence) -> Iterator[str]:
    if evidence.forward.status != "run":
        yield f"the forward pass ({evidence.forward.reason})"
    elif evidence.forward.unused:
        yield f"the forward pass of {_listed(evidence.forward.unused)} (these inputs do not use it)"
    elif evidence.forward.scope != FULL:
        for name, group in evidence.coverage.others.items():
            if not group.absent:
                yield f"the {name}'s forward pass (the {name} is not complete)"


def _listed(parts: Sequence[str]) -> str:
    more = f" and {len(parts) - _MOST_PARTS} more" if len(parts) > _MOST_PARTS else ""
    return ", ".join(parts[:_MOST_PARTS]) + more
