"""Names of the left file that the caller says are called otherwise in the right one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, Sequence, Tuple

from ckpttool.conversion.renaming.patterns import pattern_of, template_of
from ckpttool.findings.errors import UsageError
from ckpttool.findings.name_filter import tip
from ckpttool.findings.text import printable
from ckpttool.models.layouts.renames import NUMBER

if TYPE_CHECKING:
    from ckpttool.conversion.renaming.patterns import Captures, Pattern, Template

#: Patterns of names on the left, and what these are called on the right.
Given = Sequence[Tuple[str, str]]


def check(given: Given) -> None:
    """Raise UsageError for patterns that cannot be read."""
    for before, after in given:
        _read(before, after)


def given_names(names: Iterable[str], given: Given) -> dict[str, str]:
    """Return each name with what it is called on the other side; for most it is itself.

    Of several patterns that match a name, the first counts.

    Raises:
        UsageError: a pattern matches nothing, or two names become one.
    """
    read = [_read(before, after) for before, after in given]
    unused = set(range(len(read)))
    found: dict[str, str] = {}
    taken: dict[str, str] = {}
    for name in names:
        number, new = _first(name, read)
        unused.discard(number)
        if new in taken:
            raise UsageError(
                f"two tensors would be compared with {printable(new)} (map)",
                found=f"{printable(taken[new])} and {printable(name)}",
                fix="Map one of them to another name, or leave it out with --exclude.",
            )
        found[name], taken[new] = new, name
    for number in sorted(unused):
        text = given[number][0]
        raise UsageError(
            f"no tensor name of the left file matches {printable(text)} (map)",
            fix=tip(text.replace(NUMBER, "*"), found),
        )
    return found


def _read(before: str, after: str) -> tuple[Pattern, Template]:
    pattern, template = pattern_of(before, "map"), template_of(after, "map")
    if pattern.template.wildcards != template.wildcards:
        raise UsageError(
            "both sides of a map need the same wildcards, as many * and as many {n}",
            found=f"{before}={after}",
            fix="A * on the right is what the * on the left stood for: 'net.*=*'.",
        )
    return pattern, template


def _first(name: str, read: Sequence[tuple[Pattern, Template]]) -> tuple[int, str]:
    for number, (pattern, template) in enumerate(read):
        captures: Captures | None = pattern.match(name)
        if captures is not None:
            return number, template.filled(captures)
    return -1, name
