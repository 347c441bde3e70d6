"""Update the tables of ``docs/safety.md`` from the corpora of the tests: ``make docs``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Iterator

from ckpttool.formats.safety.allowed import ROWS, makers_of
from docs.tables import put_in
from tests.builders.attacks import ATTACKS
from tests.builders.honest import HONEST

PAGE = Path(__file__).parent / "safety.md"

_SAID = {
    "nothing": "nothing",
    "note": "a note, SEC008",
    "warning": "a warning, SEC003",
    "error": "an error, SEC002",
}


def tables() -> dict[str, str]:
    """Return each table of the page by its name."""
    return {
        "CONSTRUCTORS": "\n".join(_constructors()),
        "ATTACKS": "\n".join(_attacks()),
        "HONEST": "\n".join(_honest()),
    }


def page(text: str) -> str:
    """Return the page's text with its tables as they are now."""
    return put_in(text, tables())


def _constructors() -> Iterator[str]:
    yield "| module | may be called |"
    yield "|---|---|"
    for module in ROWS:
        names = ", ".join(f"`{name}`" for name in makers_of(module))
        yield f"| `{module}` | {names} |"


def _attacks() -> Iterator[str]:
    yield "| technique | files | for example |"
    yield "|---|---|---|"
    counts = Counter(attack.technique for attack in ATTACKS)
    for technique, number in counts.items():
        first = next(attack for attack in ATTACKS if attack.technique == technique)
        yield f"| {technique} | {number} | `{first.names[0]}` |"
    yield f"| in all | {len(ATTACKS)} | |"


def _honest() -> Iterator[str]:
    yield "| kind | what is reported | values |"
    yield "|---|---|---|"
    for kind in dict.fromkeys(honest.kind for honest in HONEST):
        for level, said in _SAID.items():
            ours = [one.what for one in HONEST if (one.kind, one.level) == (kind, level)]
            if ours:
                yield f"| {kind} | {said} | {len(ours)}: {', '.join(sorted(ours))} |"


def main() -> None:
    """Bring the tables of the page up to date."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
