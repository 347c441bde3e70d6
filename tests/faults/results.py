"""What came of the runs, in ``results.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, NamedTuple

PATH = Path(__file__).with_name("results.json")


class Came(NamedTuple):
    """What came of runs: how many left what stood there, and how many all that is new.

    ``old`` are those that told an error, or were killed before it was done; of some runs that were
    killed only the next run is looked at.
    """

    runs: int = 0
    old: int = 0
    new: int = 0

    @classmethod
    def of(cls, told: bool) -> Came:
        """Return that of one run, by whether it told an error."""
        return cls(1, int(told), int(not told))

    def plus(self, other: Came) -> Came:
        """Return the sums."""
        return Came(self.runs + other.runs, self.old + other.old, self.new + other.new)


class OfWriter(NamedTuple):
    """What came of one writer.

    Attributes:
        calls: of the system that concern the destination, in a run without a fault.
        failing: of runs in which one call failed.
        killed: of runs that were killed.
        full: of runs on full disks.
    """

    calls: int
    failing: Came
    killed: Came
    full: Came


class Results(NamedTuple):
    """All of it, of one commit, by the names of writers and of faults."""

    commit: str
    processor: str
    date: str
    writers: Dict[str, OfWriter]
    faults: Dict[str, Came]


def load(path: Path = PATH) -> Results:
    """Return what is stored."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    writers = {name: _writer(values) for name, values in stored.pop("writers").items()}
    faults = {name: Came(**values) for name, values in stored.pop("faults").items()}
    return Results(**stored, writers=writers, faults=faults)


def save(results: Results, path: Path = PATH) -> None:
    """Store it."""
    writers = {
        name: {
            "calls": one.calls,
            **{key: getattr(one, key)._asdict() for key in ("failing", "killed", "full")},
        }
        for name, one in results.writers.items()
    }
    faults = {name: one._asdict() for name, one in results.faults.items()}
    document = {**results._asdict(), "writers": writers, "faults": faults}
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _writer(values: Dict[str, Any]) -> OfWriter:
    calls = values.pop("calls")
    return OfWriter(calls, **{key: Came(**came) for key, came in values.items()})
