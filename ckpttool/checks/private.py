"""Checks on text that tells about the machine, or opens the accounts, of who wrote the file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Callable, Iterator, NamedTuple

from ckpttool import rules
from ckpttool.findings import Finding, finding
from ckpttool.formats.leaves import leaves

if TYPE_CHECKING:
    from ckpttool.checks.examined import Examined
    from ckpttool.rules import Rule

#: Characters of all texts that are searched, and of one of them.
MAX_SEARCHED = 1_000_000
MAX_TEXT = 4_096

# What is named in one finding, and characters of a value that are shown.
_SHOWN, _LONGEST = 10, 80

# An absolute path of two and more parts, not in a URL or a relative path.
_START = r"(?:(?<![\w/.~-])|(?<=file://))"
_PATH = re.compile(rf"{_START}/(?:([\w.@+-]+)(?:/[\w.@+ -]+)+|root(?![\w.-]))")
_DRIVE = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]:(?:\\{1,2}|/(?!/))[\w. -]+(?:[\\/]{1,2}[\w. -]+)+")
# Folders that every machine has: they tell nothing.
_PUBLIC = frozenset("bin boot dev etc lib lib64 opt proc run sbin sys tmp usr var".split())

_SECRETS = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/:@]{0,100}:[^\s/@]{1,200}@"  # a URL with a password
    r"|\bhf_[A-Za-z0-9]{20,}"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}"
    r"|\bglpat-[\w-]{20,}"
    r"|\bAKIA[0-9A-Z]{16}\b"
    r"|\bAIza[\w-]{35}"
    r"|\bxox[abeoprs]-[\w-]{10,}"
    r"|\bsk-[\w-]{20,}"
    r"|-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----"
)
_SECRET_KEY = re.compile(
    r"(?:.*_)?(?:api_?key|secret|secret_key|access_key|passwd|password"
    r"|(?:access|api|auth|bearer|gh|github|gitlab|hf|hub|wandb)_token)",
    re.IGNORECASE | re.DOTALL,
)
_SHORTEST_SECRET = 8


class _Text(NamedTuple):
    key: str
    value: str


def check_private_text(examined: Examined) -> Iterator[Finding]:
    """Paths and credentials in what lies beside the weights, each with its key."""
    texts, all_of_them = _texts(examined)
    yield from _found(rules.CREDENTIAL, texts, _is_secret, "looks like a credential", _masked)
    yield from _found(rules.PRIVATE_PATH, texts, _has_path, "holds a path of a machine", _shortened)
    if not all_of_them:
        yield finding(
            rules.PRIVATE_PATH,
            f"of the texts beside the weights only the first {MAX_SEARCHED:,} characters were "
            "searched for paths and credentials",
            severity=rules.Severity.NOTE,
        )


def _texts(examined: Examined) -> tuple[list[_Text], bool]:
    """Return the texts beside the weights, each once, and whether these are all."""
    texts: dict[_Text, None] = {}
    left = MAX_SEARCHED
    for key, value in _scalars(examined):
        if isinstance(value, str) and value:
            left -= len(key) + min(len(value), MAX_TEXT)
            if left < 0:
                return list(texts), False
            texts[_Text(key, value[:MAX_TEXT])] = None
    return list(texts), True


def _scalars(examined: Examined) -> Iterator[tuple[str, object]]:
    checkpoint = examined.checkpoint
    yield from checkpoint.metadata.items()
    for entry, node in zip(checkpoint.entries, checkpoint.aside):
        yield from leaves(entry.key, node)


def _found(
    rule: Rule,
    texts: list[_Text],
    is_one: Callable[[_Text], bool],
    what: str,
    shown: Callable[[str], str],
) -> Iterator[Finding]:
    hits = [text for text in texts if is_one(text)]
    if hits:
        named = ", ".join(f"{text.key} = {shown(text.value)}" for text in hits[:_SHOWN])
        more = f" and {len(hits) - _SHOWN:,} more" if len(hits) > _SHOWN else ""
        yield finding(rule, f"text beside the weights {what}: {named}{more}")


def _has_path(text: _Text) -> bool:
    return _DRIVE.search(text.value) is not None or any(
        match.group(1) not in _PUBLIC for match in _PATH.finditer(text.value)
    )


def _is_secret(text: _Text) -> bool:
    name = text.key.rpartition(".")[2]
    word = text.value.strip()
    telling = len(word) >= _SHORTEST_SECRET and not any(map(str.isspace, word))
    return _SECRETS.search(text.value) is not None or (
        telling and _SECRET_KEY.fullmatch(name) is not None
    )


def _shortened(value: str) -> str:
    return repr(value) if len(value) <= _LONGEST else f"{value[:_LONGEST]!r}..."


def _masked(value: str) -> str:
    """Return enough to find it by: a report is read by more people than may know a secret."""
    found = _SECRETS.search(value)
    secret = found.group() if found else value
    scheme, separator, _ = secret.partition("://")
    if separator:
        return f"a password in a URL that begins with {scheme}://"
    return f"{secret[:4]!r}... ({len(secret):,} characters)"
