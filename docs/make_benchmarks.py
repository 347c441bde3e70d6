"""Update the tables of ``docs/benchmarks.md`` from ``benchmarks/results``: ``make docs``."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, Sequence

from benchmarks.measure import Row
from benchmarks.results import Results, saved
from docs.tables import put_in

PAGE = Path(__file__).parent / "benchmarks.md"
PROCESSORS = "processors"


def tables(results: Sequence[Results]) -> dict[str, str]:
    """Return each table of the page by its name: the processors, then every benchmark."""
    found = {PROCESSORS: "\n".join(_processors(results))}
    for name in dict.fromkeys(name for one in results for name in one.sections):
        found[name] = "\n".join(_section([one.sections.get(name, ()) for one in results]))
    return found


def page(text: str, results: Sequence[Results]) -> str:
    """Return the page's text with its tables as the results have them.

    Raises:
        ValueError: there is no place for a table on the page.
    """
    return put_in(text, tables(results))


def _processors(results: Sequence[Results]) -> Iterator[str]:
    yield "| column | processor | versions |"
    yield "|---|---|---|"
    for letter, one in zip(_LETTERS, results):
        versions = ", ".join(f"{name} {number}" for name, number in one.versions.items())
        yield f"| {letter} | {one.processor} | {versions} |"


def _section(columns: Sequence[Sequence[Row]]) -> Iterator[str]:
    letters = " | ".join(_LETTERS[: len(columns)])
    yield f"| measured | against | target | {letters} |"
    yield f"|---|---|---|{'---|' * len(columns)}"
    found = [{row.key: row for row in rows} for rows in columns]
    for key in dict.fromkeys(key for rows in found for key in rows):
        rows = [one.get(key) for one in found]
        target = next(row.target for row in rows if row)
        yield f"| {key[0]} | {key[1]} | {target} | {' | '.join(map(_figure, rows))} |"


def _figure(row: Row | None) -> str:
    if row is None:
        return "-"
    return row.figure if row.met else f"**{row.figure}**"


_LETTERS = "ABCDEFGH"


def main() -> None:
    """Bring the tables of the page up to date."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(page(text, list(saved())), encoding="utf-8")


if __name__ == "__main__":
    main()
