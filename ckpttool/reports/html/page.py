"""A page: its parts as plain values, and how they become one file.

All of it is in that file, and a policy in its head forbids everything else: a style sheet and a
script by their digests, pictures as data, no request to anywhere.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from ckpttool._version import __version__
from ckpttool.findings.errors import UnsupportedError
from ckpttool.findings.finding import Verdict
from ckpttool.findings.text import printable
from ckpttool.reports.html import ramp
from ckpttool.reports.html.shown import Drawn

if TYPE_CHECKING:
    from jinja2 import Environment


class Look(NamedTuple):
    """How a verdict is shown: its word, a sign beside it, and its class in the style sheet."""

    word: str
    sign: str
    key: str


LOOKS = {
    Verdict.PASS: Look("PASS", "✓", "pass"),
    Verdict.FAIL: Look("FAIL", "✗", "fail"),
    Verdict.CANNOT_TELL: Look("CANNOT TELL", "?", "unsure"),
}


class Fact(NamedTuple):
    """A label with its text; ``code`` for what is compared letter by letter."""

    label: str
    text: str
    code: bool = False


class Section(NamedTuple):
    """A section of a part of the page.

    Attributes:
        key: its anchor within the part, and the name of its form in ``sections.html``.
        title: its heading.
        content: what its form shows; ``None`` where there is nothing, and ``note`` says why.
        note: a sentence below the heading.
        form: the name of another form than ``key``.
    """

    key: str
    title: str
    content: Any = None
    note: str = ""
    form: str = ""


class Part(NamedTuple):
    """What the page says of one file, or of one pair.

    Attributes:
        anchor: of the part, and the start of all anchors in it.
        title: the file.
        look: the verdict.
        lead: the verdict in a sentence.
        tiles: the facts that matter most.
        unchecked: what was not looked at.
        sections: in their order.
    """

    anchor: str
    title: str
    look: Look
    lead: str
    tiles: tuple[Fact, ...] = ()
    unchecked: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()


class Overview(NamedTuple):
    """A run of several files: a row for each, and what was left out."""

    heads: tuple[str, ...]
    rows: tuple[tuple[Look, str, tuple[str, ...]], ...]
    left_out: int = 0


class Page(NamedTuple):
    """A page.

    Attributes:
        command: what made the result: ``verify``.
        title: of the page; of one file its name.
        look: the verdict of the run.
        lead: the same in a sentence.
        parts: one per file.
        overview: the files of a run of several.
        sections: on the run as a whole.
        version: of the ckpttool that made the result.
    """

    command: str
    title: str
    look: Look
    lead: str
    parts: tuple[Part, ...]
    overview: Overview | None = None
    sections: tuple[Section, ...] = ()
    version: str = __version__


def write_page(page: Page, stream: TextIO) -> None:
    """Write a page."""
    environment = _environment()
    style, script = _style(), _source("script.js")
    text = environment.get_template("page.html").render(
        page=page, style=Drawn(style), script=Drawn(script), policy=_policy(style, script)
    )
    # references, so that the page is right whatever the encoding of the stream is
    stream.write(text.encode("ascii", "xmlcharrefreplace").decode("ascii"))


def check_installed() -> None:
    """Raise the error for a missing Jinja2, before anything is read."""
    _library()


def _library() -> Any:
    try:
        return import_module("jinja2")
    except ModuleNotFoundError as error:
        if error.name not in ("jinja2", "markupsafe"):
            raise
        raise UnsupportedError(
            f"an HTML report needs {error.name}, which is not installed",
            fix="pip install 'ckpttool[html]'.",
        ) from error


@lru_cache(maxsize=1)
def _environment() -> Environment:
    jinja = _library()
    made: Environment = jinja.Environment(
        loader=jinja.PackageLoader("ckpttool.reports.html"),
        autoescape=True,
        undefined=jinja.StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return made


def _finalized(value: object) -> object:
    """Return a value as a page shows it: text of which nothing acts, markup of our own as it is."""
    # those who make the parts shorten names; what they left unescaped is escaped here
    return printable(value, len(value)) if type(value) is str else value


@lru_cache(maxsize=1)
def _style() -> str:
    return _source("style.css") + ramp.rules()


def _source(file: str) -> str:
    environment = _environment()
    assert environment.loader is not None  # noqa: S101 (it was made with one)
    # the digest is of what a browser reads, which has no carriage returns
    return environment.loader.get_source(environment, file)[0].replace("\r\n", "\n")


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
