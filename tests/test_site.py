"""The documentation builds as a site, without a broken link, and has every page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest

from docs.pages import site
from tests.builders import extras
from tests.builders.repository import DOCS, ROOT

yaml: Any = extras.yaml()


def pages(entries: Any) -> Iterator[str]:
    """Yield the files of a navigation."""
    if isinstance(entries, str):
        yield entries
        return
    for entry in entries.values() if isinstance(entries, dict) else entries:
        yield from pages(entry)


def test_every_page_is_in_the_navigation() -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    own = [*(path.name for path in DOCS.glob("*.md")), "rules/README.md"]
    assert sorted(pages(nav)) == sorted([*own, *site.PAGES.values()])


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """``make site`` installs what it takes."""
    pytest.importorskip("mkdocs")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "index.html").exists()
    for path in DOCS.rglob("*.md"):
        name = path.relative_to(DOCS).with_suffix(".html")
        name = name.with_name("index.html") if name.name == "README.html" else name
        assert (tmp_path / name).exists()
