"""Checks on the container and on how the state dict was found in it."""

from __future__ import annotations

import re
from shlex import quote
from typing import TYPE_CHECKING, Iterator

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.text import count, printable, size
from ckpttool.inspection.not_taken import state_dicts_not_taken, tensors_not_taken
from ckpttool.models.canonical import canonicalize
from ckpttool.models.families import conventions
from ckpttool.tensors.in_parts import way_to
from ckpttool.tensors.placeholders import message, placeholders, way_out

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.verification.evidence import Evidence

_NO_DATA = re.compile("without data")
_WITHOUT_DATA = "Load the weights into the model before saving it: it has none."
# What is listed of a long list in one finding.
_SHOWN = 20
_ZIPS = ("torch-zip", "torch-script")
_CONVERT = "Remove it from the names: ckpttool convert PATH --to safetensors"


def check_remarks(evidence: Evidence) -> Iterator[Finding]:
    """Report what was odd about the container when the file was opened."""
    yield from evidence.checkpoint.remarks


def check_checksums(evidence: Evidence) -> Iterator[Finding]:
    """Note that a zip has no checksums; the other containers cannot have any."""
    checkpoint = evidence.checkpoint
    holds_bytes = any(info.nbytes for info in checkpoint.tensors.values())  # or nothing to change
    if checkpoint.format in _ZIPS and holds_bytes and not checkpoint.checksums:
        yield finding(
            rules.NO_CHECKSUMS,
            "the archive was written without checksums, so changed bytes would not be noticed",
            fix=rules.NO_CHECKSUMS.fix,  # its own, so that it is shown with a note
        )


def check_placeholders(evidence: Evidence) -> Iterator[Finding]:
    """Weights without elements, as ZeRO-3 leaves them where it keeps the real ones elsewhere."""
    tensors = evidence.checkpoint.tensors
    empty = placeholders(tensors)
    if empty:
        yield finding(
            rules.PLACEHOLDERS,
            message(empty, tensors),
            tensors=empty,
            fix=way_out(evidence.checkpoint),
        )


def check_unread(evidence: Evidence) -> Iterator[Finding]:
    """Warn of tensors of a kind that is not read: they were left out of everything else."""
    unread = evidence.checkpoint.unread
    if unread:
        reasons = list(dict.fromkeys(reason for _, reason in unread))
        yield finding(
            rules.UNREAD_ENTRY,
            f"{count(len(unread), 'tensor')} not read, {size(evidence.checkpoint.unread_bytes)}: "
            + ", ".join(reasons[:_SHOWN])
            + _looked_at(evidence),
            tensors=[name for name, _ in unread],
            fix=_WITHOUT_DATA
            if all(map(_NO_DATA.search, reasons))
            else way_to(evidence.checkpoint.in_parts)
            if len(evidence.checkpoint.in_parts) == len(unread)
            else None,
        )


def _looked_at(evidence: Evidence) -> str:
    """Say of how many tensors that are not read the parts were looked at."""
    seen = len(evidence.parts.seen)
    if not seen:
        return ""
    whose = "the" if seen == len(evidence.checkpoint.unread) else f"of {seen:,} the"
    return f"; {whose} parts were looked at for NaN, infinity and indices beyond the shape alone"


def check_wrapper_choice(evidence: Evidence) -> Iterator[Finding]:
    """Warn which of several state dicts was taken."""
    yield from state_dicts_not_taken(evidence.checkpoint, "not looked at")


def check_outside(evidence: Evidence) -> Iterator[Finding]:
    """Warn of tensors that lie in no state dict and are no optimizer's."""
    yield from tensors_not_taken(evidence.checkpoint, "not looked at")


def check_prefix(evidence: Evidence) -> Iterator[Finding]:
    """Note what was taken out of names; a plain load_state_dict would miss every one of them."""
    canonical, names = evidence.canonical, len(evidence.checkpoint.tensors)
    if not evidence.has_roles:  # they are held against no names of a known model
        return
    said = [
        f"{one.text} removed {'inside of' if one.inside else 'from'} {one.names} of {names} names"
        for one in canonical.removed
    ]
    if said:
        said[0] = f"{'wrapper' if canonical.removed[0].inside else 'prefix'} {said[0]}"
    said += [
        f"{one.names} names behind {one.prefix or 'no prefix'} match too and were not used"
        for one in canonical.rivals
    ]
    if said:
        more = len(said) - _SHOWN
        said[_SHOWN:] = [f"and {more} more"] if more > 0 else []
        yield finding(rules.NAME_PREFIX, "; ".join(said), fix=_way_to_bare_names(evidence))


def _way_to_bare_names(evidence: Evidence) -> str:
    """Return how to have the names without what was removed; empty where no way is sure."""
    canonical, tensors = evidence.canonical, evidence.checkpoint.tensors
    # longest first, since one may begin as another does, and they are cut one after the other
    prefixes = sorted((one.text for one in canonical.removed if not one.inside), key=len)[::-1]
    inside = len(prefixes) < len(canonical.removed)
    if inside or not prefixes or any(printable(one) != one for one in prefixes):
        if canonical.problems or canonical.apart:
            return ""
        layouts = (
            name
            for name, one in conventions().items()
            if one.layout.name == canonical.layout and (one.keeps_others or not canonical.unclaimed)
        )
        return "".join(f"{_CONVERT} --layout {name}" for name in layouts)
    bare: dict[str, TensorInfo] = {}
    for name, info in tensors.items():
        for prefix in prefixes:
            if name.startswith(prefix) and name != prefix:
                name = name[len(prefix) :]
        bare[name] = info
    # two tensors of one name, or a name that begins with two of them
    if len(bare) < len(tensors) or canonicalize(bare).removed:
        return ""
    return f"{_CONVERT} {' '.join(f'--strip-prefix {quote(one)}' for one in prefixes)}"


def check_names(evidence: Evidence) -> Iterator[Finding]:
    """Warn of names that could not be made canonical, for example a part of a fused tensor."""
    problems = evidence.canonical.problems if evidence.has_roles else ()
    for problem in problems[:_SHOWN]:  # one per block would be hundreds
        yield finding(rules.UNCLEAR_NAMES, problem)
