"""The pages in ``docs/rules``: one for each rule and an index, made from the table of rules."""

from __future__ import annotations

import textwrap
from typing import Iterator, Sequence

from ckpttool.findings.rules import RULE_FAMILIES, RULES, Rule

#: The page that lists all others.
INDEX = "README.md"

_MADE = "<!-- Made from ckpttool/findings/rules by `make docs`: change it there. -->"
_WIDTH = 98
_INDEX_INTRO = """\
# Rules

Everything that ckpttool can find wrong, by stable code: a code is never used again for
something else. `ckpttool explain CODE` says the same on the command line, and
`ckpttool rules --format json` gives the table to a machine.

An error fails the run; warnings and notes do not, unless `--fail-on` says so.
"""


def pages() -> dict[str, str]:
    """Return the content of every page by its file name."""
    return {INDEX: _index(), **{page_name(rule): _page(rule) for rule in RULES.values()}}


def page_name(rule: Rule) -> str:
    """Return the file name of a rule's page."""
    return f"{rule.code}.md"


def markdown_table(rules: Sequence[Rule], *, linked: bool = False) -> str:
    """Return the rules in Markdown, a table for each family."""
    parts = []
    for family in RULE_FAMILIES.values():
        members = [rule for rule in rules if rule.letters == family.letters]
        if members:
            rows = "".join(f"{_row(rule, linked)}\n" for rule in members)
            parts.append(
                f"## {family.letters}: {family.title}\n\n"
                f"| code | name | severity | meaning |\n|---|---|---|---|\n{rows}"
            )
    return "\n".join(parts)


def ignoring(rule: Rule) -> list[str]:
    """Return the lines of a configuration that leaves the rule out."""
    return ["[tool.ckpttool]", f'ignore = ["{rule.code}"]']


def waiving(rule: Rule) -> list[str]:
    """Return the lines of a configuration that accepts findings of the rule on one file."""
    return [
        "[[tool.ckpttool.waivers]]",
        f'code = "{rule.code}"',
        'path = "model.safetensors"',
        'reason = "why this is accepted"',
        'owner = "who answers for it"',
        "expires = 2099-12-31",
    ]


def _index() -> str:
    return f"{_MADE}\n\n{_INDEX_INTRO}\n{markdown_table(list(RULES.values()), linked=True)}"


def _row(rule: Rule, linked: bool) -> str:
    code = f"[{rule.code}]({page_name(rule)})" if linked else rule.code
    return f"| {code} | {rule.name} | {rule.severity.value} | {rule.meaning} |"


def _page(rule: Rule) -> str:
    paragraphs = "\n\n".join(_paragraphs(rule))
    return f"{paragraphs}\n"


def _paragraphs(rule: Rule) -> Iterator[str]:
    family = RULE_FAMILIES[rule.letters]
    yield _MADE
    yield f"# {rule.code}: {rule.name}"
    yield (
        "| severity | family |\n|---|---|\n"
        f"| {rule.severity.value} | {family.letters}: {family.title} |"
    )
    yield _filled(rule.meaning)
    yield _filled(f"**What to do.** {rule.fix}")
    if rule.more:
        yield from map(_filled, rule.more.split("\n\n"))
    if not family.judged:
        yield _filled("It stops `convert`, or tells what it did: no policy leaves it out.")
        return
    yield "## Where this is intended"
    yield _filled(
        "In `ckpttool.toml`, or under the same names in `pyproject.toml`. To leave the rule out of "
        "every run:"
    )
    yield _toml(ignoring(rule))
    if rule.of_run:
        yield _filled("It concerns a run as a whole and not a file, so no waiver covers it.")
        return
    yield _filled(
        "To accept its findings in one file for a while, with a reason that the reports show "
        "(`tensors`, a glob, narrows it further):"
    )
    yield _toml(waiving(rule))
    if family.stops and rule.severity.value == "error":
        yield _filled(
            "Neither helps where the reading of the file ended here: nothing more is known of it."
        )


def _filled(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _toml(lines: Sequence[str]) -> str:
    return "\n".join(["```toml", *lines, "```"])
