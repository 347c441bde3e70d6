"""The first line of a report."""

from __future__ import annotations

import io

import pytest

from ckpttool.findings.finding import Verdict
from ckpttool.reports.terminal.headline import VERDICTS, write_headline
from ckpttool.reports.terminal.page import Page, styled
from tests.builders.reports import Terminal


def line(*paths: str, facts: tuple[str, ...] = ()) -> str:
    stream = io.StringIO()
    write_headline(Page(stream), VERDICTS[Verdict.PASS], paths, facts)
    return stream.getvalue()


def test_the_verdict_stands_first_then_the_path_and_the_facts() -> None:
    told = line("a.pth", facts=("an encoder", "", "294/294 tensors"))
    assert told == "✓ PASS a.pth  an encoder · 294/294 tensors\n"


def test_a_pair_has_both_paths() -> None:
    assert line("a.pth", "b.pth") == "✓ PASS a.pth | b.pth\n"


def test_a_hostile_path_stays_one_line() -> None:
    assert line("a\n::error::\x1b[2J.pth").count("\n") == 1
    assert "\x1b" not in line("\x1b[2J")


def test_every_verdict_has_its_sign_and_word() -> None:
    assert set(VERDICTS) == set(Verdict)
    assert len({sign.character for sign in VERDICTS.values()}) == len(Verdict)


def test_only_the_words_are_coloured_that_were_styled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for convention in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(convention, raising=False)
    stream = Terminal()
    facts = ("plain", styled("red", "red"))
    write_headline(Page(stream, {}), VERDICTS[Verdict.FAIL], ["x"], facts)
    assert "\x1b[1mx\x1b[0m  plain · \x1b[31mred\x1b[0m" in stream.getvalue()
