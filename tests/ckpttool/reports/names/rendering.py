"""Results with hostile names, in all formats and on terminals, and what is wrong with them."""

from __future__ import annotations

import io
import os
from typing import Any, Dict, Iterator, List, Sequence
from unittest import mock

from ckpttool.reports import FORMATS, reporter
from ckpttool.reports.terminal.view import DiffView, TextView, TreeView
from tests.builders import inert, planted
from tests.builders.reports import Terminal

#: Ends of places where no text of a file stands: the words of the tables of rules, which a stored
#: result cannot change, and words that the code asks for.
SPARED = (
    ".rule.code",
    ".rule.name",
    ".rule.meaning",
    ".rule.more",
    ".rule.needs[]",
    ".references[].kind",
    ".left_out[].sidecar",
)
#: Widths of terminals: one without room for columns, and the usual ones.
WIDTHS = (40, 80, 130)

_VIEWS: Dict[str, List[Any]] = {
    "Report": [TextView(), TextView(show_waived=True, verbose=True)],
    "Listing": [TreeView(), TreeView(fold=False, sort="name", details=True)],
    "Comparison": [DiffView(), DiffView(sort="name", stat=True)],
}


def at_once(result: Any, names: Sequence[str]) -> Any:
    """Return a result with a name in each place, in turn; the number before it tells the place."""
    return planted.everywhere(
        result, lambda number: f"N{number}N{names[number % len(names)]}", SPARED
    )


def rendered(kind: str, result: Any, name: str, view: object = None) -> str:
    """Return a result in a format, as it is in a file or a pipe."""
    stream = io.StringIO()
    reporter(name, view, kind)(result, stream)
    return stream.getvalue()


def wrong_with(kind: str, result: Any) -> Iterator[str]:
    """Yield what is wrong with a result in the formats that it has."""
    for name in FORMATS[kind]:
        for view in _VIEWS.get(kind, [None]) if name == "text" else [None]:
            for wrong in inert.READERS[name](rendered(kind, result, name, view)):
                yield f"{kind} as {name}: {wrong}"


def wrong_on_terminals(kind: str, result: Any) -> Iterator[str]:
    """Yield what is wrong with the text on terminals, in colours and without."""
    for width in WIDTHS:
        for more in ({"TERM": "xterm"}, {"TERM": "xterm", "NO_COLOR": "1"}):
            for wrong in inert.on_a_terminal(on_terminal(kind, result, width, **more)):
                yield f"{kind} in {width} columns: {wrong}"


def on_terminal(kind: str, result: Any, width: int, **environment: str) -> str:
    """Return the text of a result on a terminal."""
    stream = Terminal()
    sizes = {"COLUMNS": str(width), **environment}
    view = _VIEWS.get(kind, [None])[0]
    kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    with mock.patch.dict(os.environ, {**kept, **sizes}, clear=True):
        reporter("text", view, kind)(result, stream)
    return stream.getvalue()
