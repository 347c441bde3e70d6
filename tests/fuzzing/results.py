"""What the runs found, in ``results.json``: counts add up, and a run goes on behind the last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

from tests.fuzzing.led import Led
from tests.fuzzing.running import Tally, joined

PATH = Path(__file__).with_name("results.json")


class Run(NamedTuple):
    """Inputs that were tried in a row.

    Attributes:
        commit: of the code that read them.
        processor: on which they were read.
        date: when the last of them were.
        first, last: numbers of the first input and behind the last one.
    """

    commit: str
    processor: str
    date: str
    first: int
    last: int


class Results(NamedTuple):
    """All that is known of one parser with one seed: of inputs by number, and of those led.

    ``mended`` is how many findings there were that are none any more.
    """

    tally: Tally
    runs: List[Run]
    led: Led = Led()
    mended: int = 0

    @property
    def next(self) -> int:
        """The number of the first input that nobody tried."""
        return max((run.last for run in self.runs), default=0)


NONE = Results(joined([]), [])


def load(path: Path = PATH) -> Dict[str, Results]:
    """Return the stored results by parser."""
    if not path.exists():
        return {}
    stored = json.loads(path.read_text(encoding="utf-8"))
    return {name: _one(values) for name, values in stored["parsers"].items()}


def save(results: Dict[str, Results], seed: int, path: Path = PATH) -> None:
    """Store them; a run that is stopped meanwhile leaves the file as it was."""
    parsers = {
        name: {
            **one.tally._asdict(),
            "runs": [run._asdict() for run in one.runs],
            "led": one.led._asdict(),
            "mended": one.mended,
        }
        for name, one in sorted(results.items())
    }
    text = json.dumps({"seed": seed, "parsers": parsers}, indent=1) + "\n"
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def added(results: Results, tally: Tally, run: Run) -> Results:
    """Return the results with those of one more run."""
    runs = list(results.runs)
    last = runs[-1] if runs else None
    if last and (last.commit, last.processor, last.last) == (run.commit, run.processor, run.first):
        runs[-1] = run._replace(first=last.first)
    else:
        runs.append(run)
    return results._replace(tally=joined([results.tally, tally]), runs=runs)


def _one(values: Dict[str, Any]) -> Results:
    runs = [Run(**run) for run in values.pop("runs")]
    led = Led(**values.pop("led"))
    mended = values.pop("mended", 0)
    return Results(Tally(**values), runs, led, mended)
