"""The table of rules: stable codes, whole rows, and a page for each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ckpttool.findings import rules
from ckpttool.reports.machine.rule_pages import pages
from tests.builders.repository import DOCS
from tests.rule_cases import CASES

PAGES = DOCS / "rules"


@pytest.mark.parametrize("rule", rules.RULES.values(), ids=lambda rule: str(rule.code))
def test_a_rule_is_told_in_whole_short_sentences(rule: rules.Rule) -> None:
    assert re.fullmatch(r"[A-Z]{3}\d{3}", rule.code)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.name)
    for line in (rule.meaning, rule.fix):
        assert re.fullmatch(r"[A-Z\"].{10,99}\.", line)


def test_codes_and_names_are_given_once() -> None:
    values = [value for value in vars(rules).values() if isinstance(value, rules.Rule)]
    assert len({rule.code for rule in values}) == len({rule.name for rule in values})
    assert sorted(values) == sorted(rules.RULES.values())


def test_every_code_is_of_its_family() -> None:
    assert {rule.letters for rule in rules.RULES.values()} == set(rules.RULE_FAMILIES)


@pytest.mark.parametrize("text", ["NUM001", "num001", "nan", "NaN"])
def test_a_rule_is_found_by_code_and_by_name(text: str) -> None:
    assert rules.named(text) is rules.NAN


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("NUM01", "NUM001"),
        ("infinit", "infinite"),
        ("no-license", "no-licence"),
        ("qqq", None),
    ],
)
def test_what_somebody_may_have_meant_is_named(text: str, meant: str | None) -> None:
    assert rules.named(text) is None
    assert next(iter(rules.close_to(text)), None) == meant


# --- the pages in docs/rules ------------------------------------------------------------


def test_the_pages_are_those_of_the_table() -> None:
    """Run ``make docs`` when this fails."""
    current = {path.name: path.read_text(encoding="utf-8") for path in PAGES.iterdir()}
    made = pages()
    assert sorted(current) == sorted(made)
    assert [name for name in made if current[name] != made[name]] == []


def test_the_index_links_every_page() -> None:
    links = re.findall(r"\]\(([^)]+)\)", pages()["README.md"])
    assert sorted(links) == sorted(f"{code}.md" for code in rules.RULES)


# --- every rule can fire, and can stay quiet --------------------------------------------


def test_every_rule_has_something_that_makes_it_fire() -> None:
    """Add a line to the table of its family in ``tests/rule_cases`` when this fails."""
    assert sorted(CASES) == sorted(rules.RULES)


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")
@pytest.mark.parametrize("code", CASES)
def test_a_rule_fires_where_it_should_and_nowhere_else(code: str, tmp_path: Path) -> None:
    found = {}
    for side in ("fires", "quiet"):
        folder = tmp_path / side
        folder.mkdir()
        run = getattr(CASES[code], side)
        found[side] = {one.rule.code for one in run(folder)}
    assert code in found["fires"]
    assert code not in found["quiet"]
