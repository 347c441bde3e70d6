"""``python -m tests.nothing_runs``: every file through every entry, and whole processes of all."""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.nothing_runs.files import laid_out
from tests.nothing_runs.running import COMMANDS, sound, watched, wrong_in_process


def main() -> int:
    """Run all of it and say what was found; 1 if anything was."""
    parser = argparse.ArgumentParser(prog="python -m tests.nothing_runs", description=__doc__)
    parser.add_argument("--step", type=int, default=1, help="take one pair in so many")
    parser.add_argument("--processes", type=int, default=2, help="how many run at a time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = laid_out(folder / "files")
        step = options.step * options.processes
        starts = [options.step * number for number in range(options.processes)]
        with ThreadPoolExecutor(options.processes) as pool:
            told = list(pool.map(lambda start: watched(folder, files, step, start), starts))
        found = [f"{what}: {event}" for one in told for what, event in one.events]
        found += [f"loaded: {module}" for one in told for module in one.modules]
        count = 0
        attacks = [one for one in files if one.names and Path(one.path).is_file()]
        out = folder / "results"
        out.mkdir()
        for number, command in enumerate(COMMANDS):
            plain = sound(command, files, out)
            for file in attacks[number :: len(COMMANDS) * options.step]:
                found += wrong_in_process(command, file, out, plain)
                count += 1
        found += [f"a payload ran: {path}" for path in folder.rglob("ran*")]
        pairs = sum(one.pairs for one in told)
        print(  # noqa: T201
            f"{len(files):,} files of {len({one.kind for one in files})} kinds, "
            f"{told[0].entries} entries, {pairs:,} pairs; {count:,} whole processes; "
            f"{len(found):,} forbidden events"
        )
        for line in found[:100]:
            print(line)  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
