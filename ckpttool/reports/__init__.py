"""Reporters: what a person or a machine reads of a run, in one visible table a command.

A reporter is a function ``write(report, stream)`` and a line in :data:`REPORTERS`. It is named
by module and function, because importing one reporter should not cost what the others need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Callable, TextIO

if TYPE_CHECKING:
    from ckpttool.results import Report

#: What ``--format`` offers for ``verify``: a module of this package with ``write``.
REPORTERS = {"text": "text", "json": "json"}


def reporter(name: str) -> Callable[[Report, TextIO], None]:
    """Return the reporter of a format; ``KeyError`` for one that is not in the table."""
    module = import_module(f"ckpttool.reports.{REPORTERS[name]}")
    write: Callable[[Report, TextIO], None] = module.write
    return write
