"""Without Jinja2, the extra ``html``: a page is refused, and nothing else."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from ckpttool.cli import main
from ckpttool.findings.errors import UnsupportedError
from ckpttool.reports import check_format
from ckpttool.reports.html import page as pages
from tests.builders import extras
from tests.builders.commands import runner


@pytest.fixture
def without_jinja(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)


@pytest.mark.usefixtures("without_jinja")
def test_a_page_without_jinja_is_refused_with_the_way_to_install_it() -> None:
    with pytest.raises(UnsupportedError, match="jinja2, which is not installed") as told:
        check_format("html")
    assert told.value.fix == "pip install 'ckpttool[html]'."
    check_format("json")


@pytest.mark.usefixtures("without_jinja")
@pytest.mark.parametrize("asked", [["--report", "html=x.html"], ["--format", "html"]])
def test_it_is_refused_before_anything_is_read(
    asked: list[str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.pth").write_bytes(b"no checkpoint")
    done = runner().invoke(main, ["verify", "model.pth", *asked])
    assert done.exit_code == 2
    assert "ckpttool[html]" in done.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "model.pth"]


def test_with_jinja_it_is_not_refused() -> None:
    extras.pages()
    check_format("html")
    pages.check_installed()
