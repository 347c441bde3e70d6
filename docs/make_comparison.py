"""Update the table of ``docs/comparison.md`` from ``benchmarks/comparison/results.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Iterator

from benchmarks.comparison.tools import ACCEPTS, FOR_WEIGHTS, OTHER, REJECTS
from docs.tables import put_in

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "comparison" / "results.json"
PAGE = Path(__file__).parent / "comparison.md"


def page(text: str, results: Any) -> str:
    """Return the page's text with its tables as the results have them."""
    return put_in(
        text, {"VERSIONS": _versions(results), "COMPARISON": "\n".join(_table(results["files"]))}
    )


def _versions(results: Any) -> str:
    named = ", ".join(f"{name} {number}" for name, number in results["versions"].items())
    return f"Run on {results['date']} with Python {results['python']}, {named}."


def _table(files: Any) -> Iterator[str]:
    yield "| file | " + " | ".join(f"`{tool.name}`" for tool in FOR_WEIGHTS) + " |"
    yield "|---|" + "---|" * len(FOR_WEIGHTS)
    for good, title in ((True, "nothing is wrong with it"), (False, "something is wrong with it")):
        yield f"| **{title}** |" + " |" * len(FOR_WEIGHTS)
        for file in files:
            if file["good"] is good:
                cells = " | ".join(_cell(file["said"][tool.name], good) for tool in FOR_WEIGHTS)
                yield f"| `{file['suffix']}`: {file['what']} | {cells} |"


def _cell(said: Any, good: bool) -> str:
    """Return a verdict, bold where it is not the right one, with the codes of ours."""
    word = "" if said["verdict"] == OTHER else said["verdict"]
    if said["verdict"] in (ACCEPTS, REJECTS) and good is not (said["verdict"] == ACCEPTS):
        word = f"**{word}**"
    found = " ".join(f"[{code}](rules/{code}.md)" for code in said.get("found", ()))
    return f"{word} {found}".strip() + (", **code ran**" if said.get("ran") else "")


def main() -> None:
    """Bring the tables of the page up to date."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")


if __name__ == "__main__":
    main()
