"""Update tables of ``docs/safety.md`` from ``benchmarks/comparison/hostile.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Iterator, Sequence

from benchmarks.comparison.hostile import RESULTS, SLOW_EVERY
from benchmarks.comparison.tools import ACCEPTS, FOR_CODE, REJECTS, SAFETENSORS, Tool
from docs.tables import put_in

#: For safetensors no file of torch is one of its own, honest or not.
_FOR_PICKLES = [tool for tool in FOR_CODE if tool is not SAFETENSORS]
PAGE = Path(__file__).parent / "safety.md"


def page(text: str, results: Any) -> str:
    """Return the page's text with its tables as the results have them."""
    tables = {
        "BESIDE": _asked(results),
        "ATTACKED": _rows("technique", results["attacks"], FOR_CODE, REJECTS, ACCEPTS),
        "ALARMS": _rows("kind", results["honest"], _FOR_PICKLES, ACCEPTS, REJECTS),
    }
    return put_in(text, {name: "\n".join(lines) for name, lines in tables.items()})


def _asked(results: Any) -> Iterator[str]:
    packages = ", ".join(one.replace("==", " ") for one in results["packages"])
    yield f"Run on {results['date']} with Python {results['python']}. The packages are {packages}."
    yield ""
    yield "| tool | how it is asked |"
    yield "|---|---|"
    for tool in FOR_CODE:
        version = results["versions"][tool.package]
        command = f"`{results['commands'][tool.name]}`"
        yield f"| {tool.title} {version} | {command}{_some(tool)} |"


def _some(tool: Tool) -> str:
    return f", one of {SLOW_EVERY} files of each row, since it takes seconds" if tool.slow else ""


def _rows(what: str, rows: Any, tools: Sequence[Tool], usual: str, other: str) -> Iterator[str]:
    yield f"| {what} | files | " + " | ".join(tool.title for tool in tools) + " |"
    yield "|---|---|" + "---|" * len(tools)
    lines = {name: [row] for name, row in rows.items()}
    lines["in all"] = list(rows.values())
    for name, some in lines.items():
        cells = " | ".join(_cell(some, tool, usual, other) for tool in tools)
        yield f"| {name} | {sum(row['files'] for row in some)} | {cells} |"


def _cell(rows: Any, tool: Tool, usual: str, other: str) -> str:
    """Return the number of the usual verdict alone or, if there are others, all three numbers."""
    asked = wrong = unread = ran = 0
    for row in rows:
        said = row["said"][tool.name]
        asked += said.get("asked", row["files"])
        wrong += len(said.get(other, ()))
        ran += len(said.get("ran", ()))
        unread += sum(
            len(names)
            for verdict, names in said.items()
            if verdict not in ("asked", "ran", usual, other)
        )
    if not wrong and not unread:
        return str(asked) + _ran(ran)
    shown = f"**{wrong}**" if wrong else "0"
    return f"{asked - wrong - unread} / {shown} / {unread}" + _ran(ran)


def _ran(number: int) -> str:
    return f", **{number} ran**" if number else ""


def main() -> None:
    """Bring the tables of the page up to date."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")


if __name__ == "__main__":
    main()
