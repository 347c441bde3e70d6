"""A page of text: wrapped with hanging indents on a terminal, one line a fact in a pipe.

Callers escape untrusted text with :func:`ckpttool.findings.text.printable`, which also shortens it.
What they leave is escaped here, whatever it is: a stored result may have any text in any field.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING, Literal, TextIO

from rich.console import Console
from rich.style import Style
from rich.text import Text

from ckpttool.findings.text import printable
from ckpttool.reports.links import page_of

if TYPE_CHECKING:
    from typing import Mapping

#: Signs for what is right, wrong, information, and in doubt.
GOOD, BAD, TOLD = "\u2713\u2717\u00b7"
DOUBTFUL = "!"
#: Shades, from light to full.
SHADES = "\u2591\u2592\u2593\u2588"
#: Heights, from the lowest to the highest, which is the fullest shade.
HEIGHTS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
# For encodings without these characters, as consoles of Windows may have.
_ASCII: dict[str, str] = dict(zip((GOOD, BAD, TOLD, *SHADES, *HEIGHTS), "+x-:oO#_.,-=+*#"))

# Narrower than this, there is no room for a column of labels ...
_NARROW = 64
# ... and narrower than this, a terminal may as well wrap by itself.
_NARROWEST = 30
_HEIGHT = 25


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise the error: rich would exit with 1, which means that a finding was made."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class Page:
    """Writes lines to a stream.

    Attributes:
        width: columns of the terminal; ``None`` for a file or a pipe, where lines stay whole.
    """

    def __init__(self, stream: TextIO, environment: Mapping[str, str] = os.environ) -> None:
        self._stream = stream
        terminal = stream.isatty()
        self._console = _Console(
            file=stream,
            # text comes from files: "[bold]" and ":smile:" in a name are just that
            highlight=False,
            markup=False,
            emoji=False,
            force_terminal=terminal,  # or FORCE_COLOR would make a file a terminal
            force_jupyter=False,  # or in a notebook each line would be shown there, and empty
            color_system=_colors(stream, environment),
            _environ=with_sizes(environment),
            # nothing depends on it; without one rich takes 80 columns on a dumb terminal
            height=_HEIGHT,
        )
        self.width = max(self._console.width, _NARROWEST) if terminal else None
        self._links = terminal and self._console.color_system is not None

    @property
    def is_narrow(self) -> bool:
        """Whether there is no room for columns."""
        return self.width is not None and self.width < _NARROW

    def code(self, code: str, name: str) -> Text:
        """Return a rule's code and name; on a coloured terminal the code is a link to its page."""
        address = page_of(code) if self._links else None
        style = Style(bold=True) if address is None else Style(bold=True, link=address)
        return Text().append(code, style).append(f" {name}", "bold")

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
        text = _inert(text)
        if self.width is None:
            self._write(Text(" " * indent) + text)
            return
        hang = self._fitting(indent if hang is None else hang)
        # rich wraps all lines to one width, so what fills the hang of the first is cut off before
        head = min(max(hang - indent, 0), len(text))
        first, rest = text[:head], text[head:]
        for number, piece in enumerate(rest.wrap(self._console, self.width - hang)):
            piece.rstrip()
            start = Text(" " * indent) + first if number == 0 else Text(" " * hang)
            self._write(start + piece)

    def row(self, label: str, text: Text, indent: int = 2, hang: int = 15) -> None:
        """Write a fact: a label, and its text in a second column."""
        if self.is_narrow:
            self.line(styled(f"{label}  ", "dim").append(text), indent, indent + 2)
            return
        hang = self._fitting(hang)
        column = max(hang - indent, len(label) + 1)  # a longer label moves the rest of its line
        self.line(styled(label.ljust(column), "dim").append(text), indent, hang)

    def whole(self, label: str, text: Text, indent: int = 2, hang: int = 15) -> None:
        """Write a fact that people copy, and so never wrapped: if need be on a line of its own."""
        if self.width is None or hang + text.cell_len <= self.width:
            self.row(label, text, indent, hang)
            return
        self._write(Text(" " * indent).append(label, "dim"))
        self._write(Text(" " * (2 * indent)) + _inert(text))

    def _fitting(self, hang: int) -> int:
        """Return a hang that leaves half of the line, however long a label from a file is."""
        return hang if self.width is None else min(hang, self.width // 2)

    def _write(self, text: Text) -> None:
        text.rstrip()
        # captured, so that errors of writing are raised here, not handled by rich
        with self._console.capture() as captured:
            self._console.print(text, soft_wrap=True)
        self._stream.write(captured.get())


def _inert(text: Text) -> Text:
    """Return text of which nothing acts on a terminal or in a log; escaped, it has no styles."""
    shown = printable(text.plain, len(text.plain))
    return text if shown == text.plain else Text(shown)


def with_sizes(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without sizes of a terminal that are none.

    Shells and terminals without a size set them to 0. Python then asks the terminal; rich would
    write nothing into no columns.
    """
    return {
        name: value
        for name, value in environment.items()
        if name not in ("COLUMNS", "LINES") or (value.isdecimal() and int(value) > 0)
    }


def _colors(stream: TextIO, environment: Mapping[str, str]) -> Literal["auto", "standard"] | None:
    """Return the colours a stream gets; without colours there is no bold or dim either."""
    if environment.get("NO_COLOR"):  # https://no-color.org: any value but an empty one
        return None
    forced = environment.get("FORCE_COLOR", "") not in ("", "0")
    # standard streams only: a report in a file has the same bytes with it and without
    if forced and stream in (sys.stdout, sys.stderr):
        return "standard"
    return "auto" if stream.isatty() else None


def styled(text: str, style: str) -> Text:
    """Return text whose style ends where it does; ``Text(style=...)`` styles what is appended."""
    return Text().append(text, style)
