"""What the pages show is so: commands and their outputs, scripts, settings, links."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any, Callable, Mapping
from xml.etree import ElementTree as ET

import pytest

from docs.make_tour import FOLDER as PICTURES
from docs.make_tour import SCREENS, WIDTHS, Screen, described, drawn, file_name
from docs.pages.blocks import MARKS, Block, blocks
from docs.pages.run import PAGES, run_page
from tests.builders import extras
from tests.builders.page_folders import FOLDERS
from tests.builders.repository import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

yaml: Any = extras.yaml()

TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in PAGES}
BLOCKS = [(name, block) for name, text in TEXTS.items() for block in blocks(text)]
#: tests/test_api.py runs that one, with a model of another size.
RUN_HERE = [name for name in PAGES if name != "docs/python.md"]
RUN = ("console", "sh", "python", "pycon")

PARSERS: Mapping[str, Callable[[str], Any]] = {
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
    "json": json.loads,
    "xml": ET.fromstring,
    "python": lambda text: compile(text, "page", "exec"),
    "pycon": str,
    "gitattributes": str,
}


def outside_of_code(text: str) -> str:
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.M | re.S)


def place(one: tuple[str, Block]) -> str:
    return f"{one[0]}:{one[1].line}"


# random numbers and what torch.save writes may differ between releases of torch
@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="made with the torch of one Python")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in RUN_HERE if any(blocks(TEXTS[name]))])
def test_a_page_shows_what_its_commands_say(name: str) -> None:
    """Run ``make docs`` when this fails."""
    for ran in run_page(TEXTS[name]):
        assert not ran.wrong, f"{name}:{ran.block.line}"
        if not ran.current:
            assert ran.text == ran.block.text, f"{name}:{ran.block.line}"


@pytest.mark.parametrize("one", BLOCKS, ids=place)
def test_a_block_is_run_or_parsed_or_says_why_it_is_not(one: tuple[str, Block]) -> None:
    block = one[1]
    assert set(block.marks) <= set(MARKS)
    if block.language in PARSERS:
        PARSERS[block.language](block.text)
    elif block.language not in RUN:
        assert block.language == "text"
        assert len(block.marks.get("not run", "")) > 5
    if block.language == "console":
        assert block.text.startswith("$ ")


ALL = sorted({*PAGES, *(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))})
LINKS = [
    (name, link)
    for name in (*ALL, "CHANGELOG.md")
    for link in re.findall(
        r"\]\(([^)\s]+)\)", outside_of_code((ROOT / name).read_text(encoding="utf-8"))
    )
    if "://" not in link
]


def anchors(path: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them of headings."""
    text = outside_of_code(path.read_text(encoding="utf-8"))
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, re.M)}


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_all_links_lead_somewhere() -> None:
    broken = []
    for name, link in LINKS:
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append((name, link))
    assert len(LINKS) > 200
    assert broken == []


def test_every_page_can_be_reached_from_readme() -> None:
    reached, new = set(), {"README.md"}
    while new:
        reached |= new
        found = {
            os.path.normpath(Path(name).parent / link.partition("#")[0])
            for name, link in LINKS
            if name in new and link.partition("#")[0].endswith(".md")
        }
        new = found - reached
    assert set(ALL) <= reached


def test_every_folder_is_used() -> None:
    named = {block.marks["in"] for _, block in BLOCKS if "in" in block.marks}
    assert named | {screen.folder for _, screen in SCREENS} | {"empty"} == set(FOLDERS)


# --- the pictures of the tour -------------------------------------------------------------


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="made with the torch of one Python")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "screen"), SCREENS, ids=[name for name, _ in SCREENS])
def test_the_pictures_of_the_tour_show_what_commands_say(name: str, screen: Screen) -> None:
    """Run ``make docs`` when this fails."""
    for columns in WIDTHS:
        kept = (PICTURES / file_name(name, columns)).read_text(encoding="utf-8")
        assert described(kept) == described(drawn(screen, columns))
        assert len(kept) < 60_000
        assert "http" not in kept.replace("http://www.w3.org/2000/svg", "")


def test_the_tour_shows_every_picture() -> None:
    shown = set(re.findall(r"images/tour/([\w-]+\.svg)", TEXTS["docs/tour.md"]))
    assert shown == {path.name for path in PICTURES.iterdir()}
    assert shown == {file_name(name, columns) for name, _ in SCREENS for columns in WIDTHS}
