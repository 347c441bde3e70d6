r"""Making untrusted text safe to print.

Names come from files that may be hostile: a tensor called ``\\x1b[2J`` must not clear the
reader's screen, a right-to-left mark must not reorder a line, and ``::error::`` must not
become an annotation in a CI log.
"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Iterable, Sequence

# Cc control, Cf format (bidi marks, zero-width), Cs surrogate, Co private use and Cn unassigned
# (which terminals show in their own ways), Zl and Zp line separators.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

# What CI systems take for commands: GitHub's runner a line that begins with ::, and its older form,
# Azure Pipelines and TeamCity what stands anywhere in a line: ##[error], ##vso[task.complete].
_COMMAND = re.compile(r"::|##(?=[A-Za-z]*\[)")

_HEXADECIMAL = frozenset("0123456789abcdef")

#: Longest piece of untrusted text that is printed whole, in characters.
MAX_SHOWN = 200

# Digits of a number beyond which a float32 has none.
_MOST_DIGITS = 8
# Shares in percent that are smaller are not told apart.
_LEAST_PERCENT = 0.001

# The share of letters that two words have in common from which on they are alike.
_ALIKE = 0.6


def brief(kind: str, *facts: str | None) -> str:
    """Return a line for an interactive session: ``<Report: PASS, 1 file>``."""
    return f"<{kind}: {printable(', '.join(fact for fact in facts if fact))}>"


def printable(text: str, limit: int = MAX_SHOWN) -> str:
    r"""Return ``text`` with everything that could act on a terminal or a CI log escaped.

    Control and format characters become ``\xNN`` or ``\uNNNN``; a backslash stays as it is,
    so ordinary names are unchanged. Commands of CI systems (``::error::``, ``##[error]``,
    ``##vso[task.complete]``) are broken up. In a text longer than ``limit`` characters the middle
    is replaced by a count.
    """
    # cut first: the text may have a gigabyte, and escaping makes six characters of one
    if len(text) > limit:
        kept = limit // 2
        text = f"{text[:kept]}...({len(text) - 2 * kept} characters)...{text[-kept:]}"
    if not (text.isascii() and text.isprintable()):  # nearly every name is left alone
        text = "".join(_escape(character) for character in text)
    return without_commands(text, r"\x")


def without_commands(text: str, escape: str) -> str:
    r"""Return text in which no CI system finds a command: ``::`` as two escapes, ``\x3a\x3a``.

    Args:
        text: printable, or a JSON document.
        escape: what stands before the two hexadecimal digits of a character.
    """
    if "::" not in text and "##" not in text:
        return text
    return _COMMAND.sub(
        lambda found: "".join(f"{escape}{ord(one):02x}" for one in found.group()), text
    )


def _escape(character: str) -> str:
    if unicodedata.category(character) not in _UNPRINTABLE:
        return character
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def is_sha256(text: str) -> bool:
    """Whether it is a SHA-256 in hexadecimal, as ckpttool writes it everywhere."""
    # lower case only: sums are compared as text
    return len(text) == 64 and _HEXADECIMAL.issuperset(text)


def count(number: int, noun: str) -> str:
    """Return ``number`` and ``noun`` in agreement: ``1 tensor``, ``2,000 tensors``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def some_of(texts: Sequence[str], most: int) -> str:
    """Return the first ``most`` texts separated by commas, and the number of the others."""
    more = f" and {len(texts) - most:,} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def closest(word: str, known: Iterable[str], cutoff: float = _ALIKE) -> str | None:
    """Return the known word that is closest, in letters of either size; ``None`` if none is."""
    from difflib import get_close_matches  # late: for misspelled words only

    # the last of two that differ in their case alone
    lower = {_compared(one): one for one in known}
    typed = _compared(word)
    if typed in lower:
        return lower[typed]
    # what was broken off: of several, the one that comes first
    begun = [one for one in lower if typed and one.startswith(typed)]
    # one that is less like it, as html and xml are, must at least begin with the same letter
    alike = [one for one in lower if one[:1] == typed[:1]]
    close = (
        begun[:1]
        or get_close_matches(typed, lower, 1, _ALIKE)
        or get_close_matches(typed, alike, 1, cutoff)
    )
    return lower[close[0]] if close else None


def _compared(word: str) -> str:
    # the dashes of options are alike in any two of them, and --gpu is not nearly --map
    return word.lower().lstrip("-")


def meant(word: str, known: Iterable[str]) -> str | None:
    """Return the question whether the closest known word was meant, if one is close."""
    near = closest(word, known)
    return None if near is None else f"Did you mean {near}?"


def size(nbytes: int) -> str:
    """Return a number of bytes in decimal units, as file managers and hubs show it."""
    if nbytes < 1000:
        return f"{nbytes} B"
    value = float(nbytes)
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        value /= 1000
        if value < 999.5 or unit == "PB":  # 999.5 and more would be printed as 1000
            break
    return f"{value:.2f} {unit}" if value < 10 else f"{value:.1f} {unit}"


def rounded(number: int) -> str:
    """Return a number as people say it, in three or four digits: ``303.3 M``."""
    if number < 10_000:
        return f"{number:,}"
    value = float(number)
    for unit in ("k", "M", "B", "T"):
        value /= 1000
        if value < 999.95 or unit == "T":
            break
    return f"{value:.2f} {unit}" if value < 10 else f"{value:.1f} {unit}"


def percent(part: float, whole: float) -> str:
    """Return a share, rounded down: 100.00 % is said of the whole alone."""
    return f"{math.floor(10_000 * part / whole) / 100:.2f} %" if whole else "0 %"


def short_percent(part: int, whole: int) -> str:
    """Return a share in three digits: 0 and 100 % are said of nothing and of the whole alone."""
    if not part or part >= whole:
        return "100 %" if part else "0 %"
    share = 100 * part / whole
    text = f"{share:.3g} %"
    if text == "100 %":
        return ">99.9 %"
    return text if share >= _LEAST_PERCENT else f"<{_LEAST_PERCENT} %"


def digits_of(low: float | None, high: float | None, least: int) -> int:
    """Return how many digits show two numbers apart: ``least``, and more where they are close.

    The values of a norm's weights differ in the fourth digit, and ``1 to 1`` says nothing of them.
    """
    if low is None or high is None or not math.isfinite(low) or not math.isfinite(high):
        return least
    # halves, since the distance of two numbers may be beyond float64
    apart, peak = high / 2 - low / 2, max(abs(low), abs(high)) / 2
    if apart <= 0 or not peak:
        return least
    return min(max(math.ceil(math.log10(peak) - math.log10(apart)) + 2, least), _MOST_DIGITS)


def is_encodable(text: str) -> bool:
    """Whether UTF-8 holds a text, as a file system does."""
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True
