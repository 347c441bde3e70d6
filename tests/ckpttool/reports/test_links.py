"""Links from a rule's code to its page."""

from __future__ import annotations

import io
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

from ckpttool.findings.rules import RULES
from ckpttool.reports import links
from ckpttool.reports.terminal.page import Page
from tests.builders.reports import Terminal


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for convention in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(convention, raising=False)


def shown(stream: io.StringIO, environment: dict[str, str]) -> str:
    page = Page(stream, environment)
    page.line(page.code("NUM001", "nan"))
    return stream.getvalue()


def test_the_page_on_every_rule_is_there() -> None:
    for code in RULES:
        address = links.page_of(code)
        assert address is not None
        assert Path(unquote(urlparse(address).path)).is_file()


def test_where_the_project_is_published_that_is_the_address() -> None:
    address = links.published("NUM001", "https://example.org/x")
    assert address == "https://example.org/x/blob/main/docs/rules/NUM001.md"
    assert links.published("NUM001", "") is None


def test_a_code_that_is_no_rule_has_no_page() -> None:
    assert links.page_of("NUM999") is None
    assert links.page_of("../../../etc/passwd") is None


def test_a_coloured_terminal_gets_a_link() -> None:
    assert "\x1b]8;" in shown(Terminal(), {})


def test_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(Terminal(), {"NO_COLOR": "1"}) == "NUM001 nan\n"
    assert shown(io.StringIO(), {}) == "NUM001 nan\n"
    pipe = io.StringIO()
    monkeypatch.setattr("sys.stdout", pipe)
    assert "]8;" not in shown(pipe, {"FORCE_COLOR": "1"})
