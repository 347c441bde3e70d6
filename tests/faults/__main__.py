"""Let every call of every writer fail in every way, and store what came of it: ``make faults``.

Each writer is also killed at a hundred moments, and put on full disks where the system lets one
mount them. The table is in SECURITY.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, List

from benchmarks import processor
from tests.builders.repository import ROOT
from tests.faults import results
from tests.faults.injector import CALLS
from tests.faults.judging import FAULTS, Bench
from tests.faults.results import Came, OfWriter, Results
from tests.faults.writers import SAMPLE, WRITERS, Writer

_MOMENTS = 100


def main() -> int:
    """Run; return 1 where something did not hold, and store nothing then."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("writers", nargs="*", help="their names; all of them without any")
    given = parser.parse_args()
    chosen = [one for one in WRITERS if not given.writers or one.name in given.writers]
    wrong: List[str] = []
    writers, faults = {}, {fault.name: Came() for fault in FAULTS}
    disks = _program("tests.faults.full_disk") if not given.writers else []
    for writer in chosen:
        writers[writer.name] = _tried(writer, faults, disks, wrong)
        _say(f"{writer.name}: {writers[writer.name].failing.runs:,} runs")
    if not given.writers:
        sample = [one for one in disks if one["writer"] == SAMPLE.name]
        writers[SAMPLE.name] = OfWriter(0, Came(), Came(), _of_disks(sample, wrong))
    for line in wrong:
        _say(f"error: {line}")
    if wrong or given.writers:
        return int(bool(wrong))
    date = datetime.now(timezone.utc).date().isoformat()
    results.save(Results(_commit(), processor.describe(), date, writers, faults))
    return 0


def _tried(
    writer: Writer, faults: Dict[str, Came], disks: List[Dict[str, Any]], wrong: List[str]
) -> OfWriter:
    with tempfile.TemporaryDirectory() as root:
        bench = Bench(Path(root), writer)
        calls = sum(bench.counts.values())
        failing = Came()
        for call in CALLS:
            for fault in (one for one in FAULTS if one.fits(call)):
                for result in bench.every(call, fault):
                    came = Came.of(result.told is not None)
                    failing = failing.plus(came)
                    faults[fault.name] = faults[fault.name].plus(came)
                    where = f"{writer.name}, {call} {result.number}, {fault.name}"
                    wrong += [f"{where}: {one}" for one in result.wrong]
    killed = _program("tests.faults.killing", writer.name, str(_MOMENTS))
    wrong += [f"{writer.name}, killed: {one}" for one in killed if one["wrong"]]
    kills = Came(
        len(killed),
        sum(one["state"] == "old" for one in killed),
        sum(one["state"] == "new" for one in killed),
    )
    own = [one for one in disks if one["writer"] == writer.name]
    return OfWriter(calls, failing, kills, _of_disks(own, wrong))


def _of_disks(disks: List[Dict[str, Any]], wrong: List[str]) -> Came:
    came = Came()
    for one in disks:
        came = came.plus(Came.of(bool(one["told"])))
        wrong += [f"full disk: {one}"] if one["wrong"] else []
    return came


def _program(module: str, *arguments: str) -> List[Dict[str, Any]]:
    """Run one of the programs beside this one, and return what it prints."""
    own_mounts = ["unshare", "-rm"] if module.endswith("full_disk") else []
    with tempfile.TemporaryDirectory() as root:
        done = subprocess.run(
            [*own_mounts, sys.executable, "-m", module, root, *arguments],
            stdout=subprocess.PIPE,
            check=True,
            cwd=ROOT,
        )
    return list(json.loads(done.stdout))


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return done.stdout.strip()


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
