"""Run every tool on attacks and honest files: ``python -m benchmarks.comparison.hostile [FOLDER]``.

A tool is started once and forks for each file, and its verdict is the exit code of its own command
line. For some files the command line itself is started as well, and has to come to the same. The
environments of the tools lie in FOLDER, by default a temporary one. The results are kept in
``hostile.json``, and ``make docs`` writes the tables of ``docs/safety.md``.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Sequence, Tuple

from benchmarks.comparison.environments import installed, versions
from benchmarks.comparison.running import Said, alone, together
from benchmarks.comparison.samples import PACKAGES, Sample, attacks, honest, shipped
from benchmarks.comparison.tools import ACCEPTS, FOR_CODE, REJECTS, Tool
from tests.builders.torch_files import torch_zip

RESULTS = Path(__file__).parent / "hostile.json"
#: One of so many files is given to the command line too.
ALONE_EVERY = 97
#: A slow tool gets one of so many files of each row, beginning with the first.
SLOW_EVERY = 6

#: What each tool says of each file that it got, by the names of the two.
Verdicts = Mapping[str, Mapping[Tuple[str, str], Said]]


def main() -> None:
    """Install, run, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="where the tools' environments lie")
    given = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        programs = installed(given or scratch / "tools", FOR_CODE)
        bad, good = attacks(), [*honest(), *shipped(scratch / "packages")]
        said = {
            tool.name: verdicts(tool, asked(tool, [*bad, *good]), programs, scratch)
            for tool in FOR_CODE
        }
        found = versions(programs, FOR_CODE)
    RESULTS.write_text(document(found, bad, good, said), encoding="utf-8")


def document(
    found: Mapping[str, str], bad: Sequence[Sample], good: Sequence[Sample], said: Verdicts
) -> str:
    """Return what is kept: the versions, and the rows of both tables."""
    results = {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "python": platform.python_version(),
        "versions": found,
        "packages": list(PACKAGES),
        "commands": {tool.name: tool.shown() for tool in FOR_CODE},
        "attacks": counted(bad, said, REJECTS),
        "honest": counted(good, said, ACCEPTS),
    }
    return json.dumps(results, indent=1) + "\n"


def asked(tool: Tool, samples: Iterable[Sample]) -> List[Sample]:
    """Return the files that a tool gets: all, or some of each row if it is slow."""
    seen: Dict[str, int] = Counter()
    chosen = []
    for sample in samples:
        if not tool.slow or seen[sample.group] % SLOW_EVERY == 0:
            chosen.append(sample)
        seen[sample.group] += 1
    return chosen


def written(samples: Sequence[Sample], folder: Path) -> List[Path]:
    """Write every file into a folder of its own."""
    paths = []
    for number, sample in enumerate(samples):
        paths.append(folder / str(number) / sample.name)
        paths[-1].parent.mkdir(parents=True)
        sample.write(paths[-1])
    return paths


def verdicts(
    tool: Tool, samples: Sequence[Sample], programs: Mapping[str, Path], scratch: Path
) -> Dict[Tuple[str, str], Said]:
    """Return what a tool says of every file, and see that its command line says the same.

    Raises:
        SystemExit: it does not.
    """
    begun = time.monotonic()
    warm = scratch / "warm" / "model.pth"
    warm.parent.mkdir(exist_ok=True)
    warm.write_bytes(torch_zip())
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        paths = written(samples, Path(folder))
        every = together(tool, paths, programs, scratch, warm)
        for path, batched in list(zip(paths, every))[::ALONE_EVERY]:
            said = alone(tool, path, programs)
            if (said.exit, said.ran) != (batched.exit, batched.ran):
                raise SystemExit(f"{tool.name}, {path.name}: {said} alone, {batched} in the batch")
    seconds = time.monotonic() - begun
    counts = dict(Counter(one.verdict for one in every))
    print(f"{tool.name}: {counts}, {seconds:.0f} s", file=sys.stderr)
    return {(sample.group, sample.what): one for sample, one in zip(samples, every)}


def counted(samples: Sequence[Sample], said: Verdicts, usual: str) -> Dict[str, Any]:
    """Return the rows: how many files each has and, of each tool, what is not as usual.

    ``asked`` is how many of them a tool got, where not all; the names of those with another verdict
    than the usual one follow under it, and under ``ran`` those whose payload ran in the tool.
    """
    rows: Dict[str, Any] = {}
    for group, files in Counter(sample.group for sample in samples).items():
        rows[group] = {"files": files, "said": {}}
    for tool, every in said.items():
        for group, row in rows.items():
            ours = [sample.what for sample in samples if sample.group == group]
            got = {what: every[group, what] for what in ours if (group, what) in every}
            row["said"][tool] = _exceptions(got, usual, row["files"])
    return rows


def _exceptions(got: Mapping[str, Said], usual: str, files: int) -> Dict[str, Any]:
    found: Dict[str, Any] = {} if len(got) == files else {"asked": len(got)}
    for what, one in got.items():
        if one.verdict != usual:
            found.setdefault(one.verdict, []).append(what)
        if one.ran:
            found.setdefault("ran", []).append(what)
    return found


if __name__ == "__main__":
    main()
