"""A page of text: wrapped with hanging indents on a terminal, one line a fact in a pipe.

All text is shown as it is: nothing in it is taken for markup, and what could act on a terminal
is escaped by :func:`ckpttool.findings.text.printable` before it comes here.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING, Literal, TextIO

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from typing import Mapping

#: What is right, wrong, and merely told.
GOOD, BAD, TOLD = "\u2713\u2717\u00b7"
#: Shades, from light to full.
SHADES = "\u2591\u2592\u2593\u2588"
#: What a sign is where the encoding has no such character.
_ASCII: dict[str, str] = dict(zip((GOOD, BAD, TOLD, *SHADES), "+x-:oO#"))
DOUBTFUL = "!"

# Narrower than this, there is no room for a column of labels ...
_NARROW = 64
# ... and narrower than this, a terminal may as well wrap by itself.
_NARROWEST = 30


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave the exit code to the command: rich would end the process with that of a finding."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class Page:
    """Writes lines to a stream.

    Attributes:
        width: columns of the terminal; ``None`` where the stream is none, and lines stay whole.
    """

    def __init__(self, stream: TextIO, environment: Mapping[str, str] = os.environ) -> None:
        self._stream = stream
        terminal = stream.isatty()
        self._console = _Console(
            file=stream,
            highlight=False,
            markup=False,
            emoji=False,
            force_terminal=terminal,
            color_system=_colors(stream, environment),
        )
        self.width = max(self._console.width, _NARROWEST) if terminal else None

    def sign(self, character: str) -> str:
        """Return one of the signs above, in ASCII where the stream cannot encode it."""
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        try:
            character.encode(encoding)
        except (LookupError, UnicodeEncodeError):
            return _ASCII[character]
        return character

    def blank(self) -> None:
        """Write an empty line."""
        self._stream.write("\n")

    def line(self, text: Text, indent: int = 0, hang: int | None = None) -> None:
        """Write a paragraph; lines after the first are indented by ``hang`` columns."""
        if self.width is None:
            self._write(Text(" " * indent) + text)
            return
        hang = indent if hang is None else hang
        # wrapped as if the first line began at the hang, for its head stands there already
        head = min(max(hang - indent, 0), len(text))
        first, rest = text[:head], text[head:]
        for number, piece in enumerate(rest.wrap(self._console, self.width - hang)):
            piece.rstrip()
            start = Text(" " * indent) + first if number == 0 else Text(" " * hang)
            self._write(start + piece)

    def row(self, label: str, text: Text, indent: int = 2, hang: int = 15) -> None:
        """Write a fact: a label, and its text in a column of its own."""
        if self.width is not None and self.width < _NARROW:
            self.line(styled(f"{label}  ", "dim").append(text), indent, indent + 2)
            return
        self.line(styled(label.ljust(hang - indent), "dim").append(text), indent, hang)

    def whole(self, label: str, text: Text, indent: int = 2, hang: int = 15) -> None:
        """Write a fact that is to be copied: never broken, on a line of its own if need be."""
        if self.width is None or hang + len(text) <= self.width:
            self.row(label, text, indent, hang)
            return
        self._write(Text(" " * indent).append(label, "dim"))
        self._write(Text(" " * (2 * indent)) + text)

    def _write(self, text: Text) -> None:
        text.rstrip()
        # captured, so that the stream is written to here; rich flushes it all the same
        with self._console.capture() as captured:
            self._console.print(text, soft_wrap=True)
        self._stream.write(captured.get())


def _colors(stream: TextIO, environment: Mapping[str, str]) -> Literal["auto", "standard"] | None:
    """Return the colours a stream gets; bold and dim go with them, for plain is plain.

    ``NO_COLOR`` counts more than ``FORCE_COLOR``, which is for what is looked at: a report in
    a file has the same bytes with it and without.
    """
    if environment.get("NO_COLOR"):
        return None
    forced = environment.get("FORCE_COLOR", "") not in ("", "0")
    if forced and stream in (sys.stdout, sys.stderr):
        return "standard"
    return "auto" if stream.isatty() else None


def styled(text: str, style: str) -> Text:
    """Return text whose style ends where it does; ``Text(style=...)`` styles what is appended."""
    return Text().append(text, style)
