"""The table of rules as text, JSON and Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Sequence, TextIO

from rich.text import Text

from ckpttool.findings.json_fields import document
from ckpttool.findings.rules import RULE_FAMILIES, Rule
from ckpttool.reports.machine.json import dump
from ckpttool.reports.machine.rule_pages import ignoring, markdown_table, waiving
from ckpttool.reports.terminal.findings import severity_text
from ckpttool.reports.terminal.page import Page

if TYPE_CHECKING:
    from ckpttool.findings.rules import RuleFamily

_CODE = re.compile(r"`([^`]*)`")  # rules are written in Markdown, for the pages in docs/rules


def write_explanations(rules: Sequence[Rule], stream: TextIO) -> None:
    """Write all that the table says about each rule."""
    page = Page(stream)
    for number, rule in enumerate(rules):
        if number:
            page.blank()
        _write_explanation(page, rule)


def _write_explanation(page: Page, rule: Rule) -> None:
    family = RULE_FAMILIES[rule.letters]
    page.line(page.code(rule.code, rule.name), 0, 2)
    page.row("severity", severity_text(page, rule.severity))
    page.row("family", Text(f"{family.letters}: {family.title}"))
    page.row("meaning", Text(rule.meaning))
    page.row("fix", Text(rule.fix))
    if rule.more:
        page.row("more", Text(_CODE.sub(r"\1", rule.more)))
    if family.judged:  # by a policy, which has no say in what stops a conversion
        _write_lines(page, "to leave it out of every run", ignoring(rule))
        if not rule.of_run:
            _write_lines(page, "to accept it here, for a while", waiving(rule))


def _write_lines(page: Page, label: str, lines: Sequence[str]) -> None:
    page.blank()
    page.line(Text(f"{label}, in ckpttool.toml or pyproject.toml:"), 2)
    for line in lines:
        page.line(Text(line), 4)


def write_text(rules: Sequence[Rule], stream: TextIO) -> None:
    """Write the rules, a line each, under their families."""
    page = Page(stream)
    for number, (family, members) in enumerate(_by_family(rules)):
        if number:
            page.blank()
        page.line(Text(f"{family.letters}  {family.title}", style="bold"), 0, 5)
        width = 0 if page.is_narrow else max(len(rule.name) for rule in members)
        for rule in members:
            text = Text(f"{rule.code}  ")
            text.append(severity_text(page, rule.severity))
            text.append(f" {rule.name.ljust(width)}  {rule.meaning}")
            page.line(text, 2, 8)


def _by_family(rules: Sequence[Rule]) -> list[tuple[RuleFamily, list[Rule]]]:
    grouped = [
        (family, [rule for rule in rules if rule.letters == family.letters])
        for family in RULE_FAMILIES.values()
    ]
    return [(family, members) for family, members in grouped if members]


def write_json(rules: Sequence[Rule], stream: TextIO) -> None:
    """Write the rules as JSON; see ``docs/json.md``."""
    dump(document("rules", {"rules": [_fields(rule) for rule in rules]}), stream)


def _fields(rule: Rule) -> dict[str, Any]:
    return {
        **rule._asdict(),
        "severity": rule.severity.value,
        "family": RULE_FAMILIES[rule.letters].title,
    }


def write_markdown(rules: Sequence[Rule], stream: TextIO) -> None:
    """Write the rules as tables for a page in Markdown."""
    stream.write(markdown_table(rules))
