"""Messages on standard error, all in one shape.

::

    error: nosuch.pth: no such file
      tip: did you mean nosuch2.pth?

The first line says what is wrong, each further one what to do about it.
"""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from typing import Iterable

import click

from ckpttool.cli.display import colored, verbose
from ckpttool.findings.text import printable

# Characters of a line: a name in a hostile pickle may be megabytes long.
_LONGEST = 4000
_COLORS = {"error": "red", "warning": "yellow", "note": "cyan", "tip": "green", "usage": "cyan"}

# A word that begins a sentence; names of programs and people keep their capital.
_SENTENCE = re.compile(r"(?:A|I[a-z]+|[A-Z][a-z]+)(?=[\s,.:;?!]|$)")
_NAMES = frozenset({"Git", "Hugging", "Linux", "Python"})


def error(text: str, tips: Iterable[str] = ()) -> None:
    """Write what is wrong, and what to do about it."""
    _message("error", text, tips)


def warning(text: str, tips: Iterable[str] = ()) -> None:
    """Write what may be wrong, and what to do about it."""
    _message("warning", text, tips)


def note(text: str) -> None:
    """Write what was done, or left undone, unasked."""
    _message("note", text, ())


def usage(text: str) -> None:
    """Write how a command is called, below an error."""
    _line("usage", text, "  ")


def say(line: str) -> None:
    """Write one line to standard error, and never fail because of it."""
    _write(_one_line(line))


def tell(line: str) -> None:
    """Say with ``--verbose`` what is being done."""
    if verbose():
        say(line)


def as_tip(sentence: str) -> str:
    """Return an advice as a tip has it: ``Name a file.`` is ``name a file``."""
    sentence = sentence.strip()
    first = _SENTENCE.match(sentence)
    if first is not None and first.group() not in _NAMES:
        sentence = sentence[0].lower() + sentence[1:]
    alone = ". " not in sentence and not sentence.endswith("..")
    return sentence[:-1] if alone and sentence.endswith(".") else sentence


def _message(kind: str, text: str, tips: Iterable[str]) -> None:
    _line(kind, text[:-1] if text.endswith(".") and ". " not in text else text, "")
    for tip in tips:
        _line("tip", as_tip(tip), "  ")


def _line(kind: str, text: str, indent: str) -> None:
    word = f"{kind}:"
    if colored(sys.stderr):
        word = click.style(word, fg=_COLORS[kind], bold=True)
    _write(f"{indent}{word} {_one_line(text)}")


def _one_line(text: str) -> str:
    # one line, whatever a message quotes: logs are searched line by line
    return printable(" ".join(text.split("\n")), _LONGEST)


def _write(line: str) -> None:
    stream = sys.stderr
    with suppress(AttributeError, OSError, ValueError):  # none at all, full or closed
        stream.write(f"{line}\n")
        stream.flush()
