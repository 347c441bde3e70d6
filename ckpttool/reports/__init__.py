"""Reporters: what a person or a machine reads of a result, in one table.

A reporter is a module with ``write(result, stream)`` and a line in :data:`FORMATS`.
"""

from __future__ import annotations

import io
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Callable, TextIO, Union

from ckpttool.findings.arguments import check_choice

if TYPE_CHECKING:
    from ckpttool.comparison.result import Comparison
    from ckpttool.conversion.result import Conversion, Conversions
    from ckpttool.findings.listing import Listing
    from ckpttool.findings.results import Report
    from ckpttool.proof.result import Proof
    from ckpttool.verification.lock.content import Lock

    Result = Union[Report, Listing, Conversion, Conversions, Comparison, Proof, Lock]

#: The formats of ``verify`` and ``report``.
REPORTERS = {  # names, not modules: JSON must not wait for rich, which the text needs
    "text": "terminal.report",
    "concise": "machine.concise",
    "json": "machine.json",
    "junit": "machine.junit",
    "sarif": "machine.sarif",
    "github": "machine.github",
    "gitlab": "machine.gitlab",
    "markdown": "machine.markdown",
    "html": "html.verify",
}
#: The formats of every kind of result, by the name of the public class.
FORMATS = {
    "Report": REPORTERS,
    "Listing": {"text": "terminal.listing_text", "json": "machine.json"},
    "Conversion": {"text": "terminal.conversion", "json": "machine.json", "html": "html.convert"},
    "Conversions": {"text": "terminal.conversion", "json": "machine.json", "html": "html.convert"},
    "Comparison": {"text": "terminal.diff_text", "json": "machine.json", "html": "html.diff"},
    "Proof": {"text": "terminal.proof_text", "json": "machine.json"},
    "Lock": {"text": "terminal.lock", "json": "machine.json", "html": "html.lock"},
}
#: Formats of ``verify`` for a terminal, with paths as they were typed; others have portable ones.
FOR_PEOPLE = ("text", "concise")


def reporter(name: str, view: object = None, kind: str = "Report") -> Callable[[Any, TextIO], None]:
    """Return the function that writes a kind of result in a format.

    Args:
        name: the format; ``KeyError`` for one that is not in the table.
        view: options of the ``text`` format; the others have none.
        kind: a key of :data:`FORMATS`.
    """
    module = import_module(f"ckpttool.reports.{FORMATS[kind][name]}")
    write: Callable[[Any, TextIO], None] = module.write
    return write if view is None or name != "text" else partial(module.write, view=view)


def check_format(name: str, kind: str = "Report") -> None:
    """Raise the error for a format that needs a package which is not installed.

    A run of hours must not end in a report that cannot be written.
    """
    if FORMATS[kind].get(name, "").startswith("html."):
        import_module("ckpttool.reports.html.page").check_installed()


def render(result: Result, format: str = "text") -> str:  # noqa: A002 (as --format)
    """Return a result as the command line writes it to a file.

    Args:
        result: what ``verify``, ``inspect``, ``diff``, ``prove``, ``convert``, ``convert_all`` or
            ``lock`` returned.
        format: ``text`` or ``json``; ``html``, but for a listing and a proof; for a report of
            ``verify`` also ``concise``, ``junit``, ``sarif``, ``github``, ``gitlab`` and
            ``markdown``.

    Raises:
        UsageError: there is no such format for such a result, or it is no result.
        UnsupportedError: ``html`` without Jinja2.
    """
    from ckpttool.conversion.result import Conversion, Conversions
    from ckpttool.findings.listing import Listing, Listings
    from ckpttool.findings.portable import portable
    from ckpttool.findings.results import Report

    kind = type(result).__name__
    check_choice(kind, FORMATS, "result to render")
    check_choice(format, FORMATS[kind], f"format for a {kind}")
    of_run: object = result  # these two are written as a run of one file
    if isinstance(result, Listing):
        of_run = Listings((result,))
    elif isinstance(result, Conversion):
        of_run = Conversions((result,))
    elif isinstance(result, Report) and format not in FOR_PEOPLE:
        of_run = portable(result)
    stream = io.StringIO()
    reporter(format, kind=kind)(of_run, stream)
    return stream.getvalue()
