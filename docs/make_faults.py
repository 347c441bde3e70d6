"""Update the tables of ``SECURITY.md`` on failing writes from what runs left: ``make docs``."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

from docs.tables import put_in
from tests.faults import results
from tests.faults.results import Results

PAGE = Path(__file__).parents[1] / "SECURITY.md"


def page(text: str, stored: Results) -> str:
    """Return the page's text with its tables as the results have them."""
    tables = {"WRITERS": "\n".join(_writers(stored)), "FAULTS": "\n".join(_faults(stored))}
    return put_in(text, tables)


def _writers(stored: Results) -> Iterator[str]:
    yield f"`make faults`, {stored.date}, of `{stored.commit}`, on {stored.processor}."
    yield ""
    yield (
        "| writer | calls of a run | runs with a failing call | error, old whole | done, new whole "
        "| killed | full disks | error, old whole | done, new whole |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, one in stored.writers.items():
        yield (
            f"| {name} | {one.calls:,} | {one.failing.runs:,} | {one.failing.old:,} "
            f"| {one.failing.new:,} | {one.killed.runs:,} | {one.full.runs:,} | {one.full.old:,} "
            f"| {one.full.new:,} |"
        )


def _faults(stored: Results) -> Iterator[str]:
    yield "| what became of the call | runs | error, old whole | done, new whole |"
    yield "|---|---|---|---|"
    for name, one in stored.faults.items():
        yield f"| {name} | {one.runs:,} | {one.old:,} | {one.new:,} |"


def main() -> None:
    """Bring the tables of the page up to date."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), results.load()), encoding="utf-8")


if __name__ == "__main__":
    main()
