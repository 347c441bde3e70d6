"""Figures of whole runs, kept as JSON: one file a processor, of which the page makes columns."""

from __future__ import annotations

import json
import platform
import re
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Iterator, Mapping, NamedTuple, Sequence

from benchmarks import processor
from benchmarks.measure import Row, table

FOLDER = Path(__file__).parent / "results"


class Results(NamedTuple):
    """What one processor gave.

    Attributes:
        processor: its description, and what was switched off if anything was.
        versions: of Python and of the packages that compute.
        sections: the rows of each benchmark by its name.
    """

    processor: str
    versions: Mapping[str, str]
    sections: Mapping[str, Sequence[Row]]


def report(section: str, rows: Sequence[Row]) -> int:
    """Print a section's table, keep its figures for the page, and return 1 if a target is missed.

    Figures of other sections of the same processor stay as they are.
    """
    where = processor.describe()
    print(f"{section}, on {where}:\n\n{table(rows)}\n")
    path = FOLDER / f"{re.sub('[^a-z0-9]+', '-', where.lower()).strip('-')}.json"
    kept = dict(_read(path).sections) if path.exists() else {}
    document = {
        "processor": where,
        "versions": versions(),
        "sections": {
            name: [row._asdict() for row in found]
            for name, found in {**kept, section: rows}.items()
        },
    }
    FOLDER.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0 if all(row.met for row in rows) else 1


def versions() -> dict[str, str]:
    """Return the versions that figures depend on."""
    found = {"python": platform.python_version()}
    for name in ("torch", "numpy", "safetensors", "isal"):
        with suppress(PackageNotFoundError):  # isal is of the extra ``fast``
            found[name] = version(name)
    return found


def saved() -> Iterator[Results]:
    """Yield the results of every processor, by file name."""
    for path in sorted(FOLDER.glob("*.json")):
        yield _read(path)


def _read(path: Path) -> Results:
    document = json.loads(path.read_text(encoding="utf-8"))
    sections = {name: [Row(**row) for row in rows] for name, rows in document["sections"].items()}
    return Results(document["processor"], document["versions"], sections)
