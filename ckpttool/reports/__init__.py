"""Reporters: what a person or a machine reads of a run, in one visible table.

A reporter is a function ``write(report, stream)`` and a line in :data:`REPORTERS`. It is named
by module and function, because importing one reporter should not cost what the others need.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Callable, TextIO

if TYPE_CHECKING:
    from ckpttool.findings.results import Report
    from ckpttool.reports.terminal.view import TextView

#: The formats of ``verify`` and ``report``: a module of this package with ``write``.
REPORTERS = {
    "text": "terminal.report",
    "concise": "machine.concise",
    "json": "machine.json",
    "junit": "machine.junit",
    "sarif": "machine.sarif",
    "github": "machine.github",
    "gitlab": "machine.gitlab",
    "markdown": "machine.markdown",
}
#: Those that a person reads at a terminal, with the paths that they typed.
FOR_PEOPLE = ("text", "concise")


def reporter(name: str, view: TextView | None = None) -> Callable[[Report, TextIO], None]:
    """Return the reporter of a format; ``KeyError`` for one that is not in the table.

    Args:
        name: the format.
        view: how a person wants it; for ``text``, which alone leaves a choice.
    """
    module = import_module(f"ckpttool.reports.{REPORTERS[name]}")
    write: Callable[[Report, TextIO], None] = module.write
    return write if view is None or name != "text" else partial(module.write, view=view)
