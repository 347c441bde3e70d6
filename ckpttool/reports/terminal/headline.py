"""The first line of every report: the verdict, what it is about, and what matters most.

``✓ PASS model.pth  mae_vit_large_patch16 encoder · 294/294 tensors · forward ok``
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, NamedTuple, Sequence, Union

from rich.text import Text

from ckpttool.findings.finding import Verdict
from ckpttool.findings.text import printable
from ckpttool.reports.details import LONG
from ckpttool.reports.terminal.page import BAD, DOUBTFUL, GOOD, TOLD, styled

if TYPE_CHECKING:
    from ckpttool.reports.terminal.page import Page


class Sign(NamedTuple):
    """How a verdict looks: a sign of :mod:`page`, a word and a style. The word is always there."""

    character: str
    word: str
    style: str


#: How the verdicts of ``verify``, ``inspect`` and ``lock`` look.
VERDICTS = {
    Verdict.PASS: Sign(GOOD, "PASS", "bold green"),
    Verdict.FAIL: Sign(BAD, "FAIL", "bold red"),
    Verdict.CANNOT_TELL: Sign(DOUBTFUL, "CANNOT TELL", "bold yellow"),
}


def write_headline(
    page: Page,
    sign: Sign,
    paths: Sequence[str],
    facts: Iterable[Union[str, Text]] = (),
    between: str = " | ",
) -> None:
    """Write the first line on a file or a pair.

    Args:
        page: where to.
        sign: how the verdict looks.
        paths: one or two, as the caller named them; they are escaped here.
        facts: a few words each, the most important first, escaped; empty ones are left out.
        between: what stands between two paths.
    """
    page.line(headline(page, sign, paths, facts, between), 0, 2)


def headline(
    page: Page,
    sign: Sign,
    paths: Sequence[str],
    facts: Iterable[Union[str, Text]] = (),
    between: str = " | ",
) -> Text:
    """Return the line that :func:`write_headline` writes."""
    text = sign_text(page, sign).append(" ")
    text.append(between.join(printable(path, LONG) for path in paths), "bold")
    told = joined(page, facts)
    return text.append("  ").append_text(told) if told else text


def joined(page: Page, facts: Iterable[Union[str, Text]]) -> Text:
    """Return facts of a few words each, with a dot between them; empty ones are left out."""
    text = Text()
    for fact in facts:
        if fact:
            text.append(f" {page.sign(TOLD)} " if text else "")
            text.append_text(Text(fact) if isinstance(fact, str) else fact)
    return text


def sign_text(page: Page, sign: Sign) -> Text:
    """Return the sign and the word of a verdict."""
    return styled(f"{page.sign(sign.character)} {sign.word}", sign.style)
