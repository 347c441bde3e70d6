"""Checks for paths and credentials of the author in the text beside the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Iterator, NamedTuple

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.private_text import MAX_TEXT, has_path, is_secret, masked
from ckpttool.findings.text import some_of
from ckpttool.formats.objects.leaves import leaves

if TYPE_CHECKING:
    from ckpttool.findings.rules import Rule
    from ckpttool.verification.evidence import Evidence

#: Characters of all texts that are searched: a hostile file costs no more.
MAX_SEARCHED = 1_000_000

# Where the texts are metadata, which convert keeps.
_FIXES = {
    rules.CREDENTIAL: "If it is one, revoke it, whether or not you publish the file, and write the "
    "file again without it.",
    rules.PRIVATE_PATH: "Write the file again without these values in its metadata.",
}

# What is named in one finding, and characters of a value that are shown.
_SHOWN, _LONGEST = 10, 80


class _Text(NamedTuple):
    key: str
    value: str


def check_private_text(evidence: Evidence) -> Iterator[Finding]:
    """Paths and credentials in what lies beside the weights, each with its key."""
    texts, complete = _texts(evidence)
    found = (
        *_found(rules.CREDENTIAL, texts, is_secret, "looks like a credential", masked),
        *_found(rules.PRIVATE_PATH, texts, has_path, "contains a local path", _shortened),
    )
    # what lies beside the weights of a pickle is left out by convert, metadata are kept
    kept = bool(evidence.checkpoint.metadata)
    yield from (one._replace(fix=_FIXES[one.rule]) if kept else one for one in found)
    if not complete:
        yield finding(
            rules.PRIVATE_PATH,
            f"of the texts beside the weights only the first {MAX_SEARCHED:,} characters were "
            "searched for paths and credentials",
            severity=rules.Severity.NOTE,
        )


def _texts(evidence: Evidence) -> tuple[list[_Text], bool]:
    """Return the texts beside the weights, each once, and whether these are all."""
    texts: dict[_Text, None] = {}
    left = MAX_SEARCHED
    for key, value in _scalars(evidence):
        if isinstance(value, str) and value:
            left -= len(key) + min(len(value), MAX_TEXT)  # keys are matched as well
            if left < 0:
                return list(texts), False
            texts[_Text(key, value[:MAX_TEXT])] = None
    return list(texts), True


def _scalars(evidence: Evidence) -> Iterator[tuple[str, object]]:
    checkpoint = evidence.checkpoint
    yield from checkpoint.metadata.items()
    for entry, node in zip(checkpoint.entries, checkpoint.aside):
        yield from leaves(entry.key, node)


def _found(
    rule: Rule,
    texts: list[_Text],
    is_one: Callable[[str, str], bool],
    what: str,
    shown: Callable[[str], str],
) -> Iterator[Finding]:
    hits = [text for text in texts if is_one(*text)]
    if hits:
        named = some_of([f"{text.key} = {shown(text.value)}" for text in hits], _SHOWN)
        yield finding(rule, f"text beside the weights {what}: {named}")


def _shortened(value: str) -> str:
    return repr(value) if len(value) <= _LONGEST else f"{value[:_LONGEST]!r}..."
