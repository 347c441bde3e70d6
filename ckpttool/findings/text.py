r"""Making untrusted text safe to print.

Names come from files that may be hostile: a tensor called ``\\x1b[2J`` must not clear the
reader's screen, a right-to-left mark must not reorder a line, and ``::error::`` must not
become an annotation in a CI log.
"""

from __future__ import annotations

import unicodedata
from typing import Iterable, Sequence

# Cc control, Cf format (bidi marks, zero-width), Cs surrogate, Zl and Zp line separators.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

_HEXADECIMAL = frozenset("0123456789abcdef")

#: Longest piece of untrusted text that is printed whole, in characters.
MAX_SHOWN = 200


def printable(text: str, limit: int = MAX_SHOWN) -> str:
    r"""Return ``text`` with everything that could act on a terminal or a CI log escaped.

    Control and format characters become ``\xNN`` or ``\uNNNN``; a backslash stays as it is,
    so ordinary names are unchanged. Workflow commands (``::error::``, ``##[error]``) are
    broken up. Longer than ``limit`` characters, the middle is replaced by a count.
    """
    if len(text) > limit:
        kept = limit // 2
        text = f"{text[:kept]}...({len(text) - 2 * kept} characters)...{text[-kept:]}"
    if not (text.isascii() and text.isprintable()):
        text = "".join(_escape(character) for character in text)
    return text.replace("::", r"\x3a\x3a").replace("##[", r"\x23\x23[")


def _escape(character: str) -> str:
    if unicodedata.category(character) not in _UNPRINTABLE:
        return character
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def is_sha256(text: str) -> bool:
    """Whether it is a SHA-256 in hexadecimal, as ckpttool writes it everywhere."""
    return len(text) == 64 and _HEXADECIMAL.issuperset(text)


def count(number: int, noun: str) -> str:
    """Return ``number`` and ``noun`` in agreement: ``1 tensor``, ``2,000 tensors``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def some_of(texts: Sequence[str], most: int) -> str:
    """Return the first ``most`` of some texts with commas between, and how many more there are."""
    more = f" and {len(texts) - most:,} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def meant(word: str, known: Iterable[str]) -> str | None:
    """Return a question after the known word that is nearest, if one is near."""
    from difflib import get_close_matches  # late: most runs have nothing to ask

    close = get_close_matches(word, list(known), 1)
    return f"Did you mean {close[0]}?" if close else None


def size(nbytes: int) -> str:
    """Return a number of bytes in decimal units, as file managers and hubs show it."""
    if nbytes < 1000:
        return f"{nbytes} B"
    value = float(nbytes)
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        value /= 1000
        if value < 999.5 or unit == "PB":
            break
    return f"{value:.2f} {unit}" if value < 10 else f"{value:.1f} {unit}"
