"""``python -m tests.ckpttool.reports.names``: each field in turn, and many names in all at once.

The fields of results of every kind get the worst name one by one, in every format and on terminals;
then names of random pieces stand in all fields at a time. Seed and counts are printed.
"""

from __future__ import annotations

import argparse
import random
import sys
from itertools import islice
from typing import Iterator, List

from ckpttool.reports import FORMATS
from tests.builders import hostile_names as hostile
from tests.builders import planted
from tests.builders.every_field import KINDS, made
from tests.ckpttool.reports.names.rendering import (
    SPARED,
    at_once,
    wrong_on_terminals,
    wrong_with,
)

_PIECES = [piece for pieces in hostile.PIECES.values() for piece in pieces]
_PLAIN = ("blocks.0", ".", "/", " ", ": ", "weight", "\u4e2d", "\xe9", "-", "'")
#: Names for all the fields of a result, which are given out in turn.
_AT_ONCE = 50


def main() -> int:
    """Run all of it and say what was found; 1 if anything was."""
    parser = argparse.ArgumentParser(prog="python -m tests.ckpttool.reports.names")
    parser.add_argument("--names", type=int, default=10_000, help="names of random pieces")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found: List[str] = []
    fields = renderings = 0
    for kind in KINDS:
        for result in made(kind):
            for place in planted.places(result):
                if not place.endswith(SPARED):
                    odd = planted.at(result, place, hostile.SHORT)
                    found += [f"{place}: {wrong}" for wrong in _wrong(kind, odd)]
                    fields += 1
                    renderings += len(FORMATS[kind])
    names = _names(random.Random(options.seed), options.names)  # noqa: S311 (for tests)
    count = 0
    while True:
        some = list(islice(names, _AT_ONCE))
        if not some:
            break
        count += len(some)
        for kind in KINDS:
            results = made(kind)
            result = at_once(results[count // _AT_ONCE % len(results)], some)
            found += list(_wrong(kind, result))
            renderings += len(FORMATS[kind])
    told = f"{fields:,} fields of {len(KINDS)} kinds of results in turn, then {count:,} names"
    print(f"{told} (seed {options.seed}); {renderings:,} reports; {len(found):,} not inert")  # noqa: T201
    for line in found[:100]:
        print(line)  # noqa: T201
    return 1 if found else 0


def _wrong(kind: str, result: object) -> Iterator[str]:
    yield from wrong_with(kind, result)
    yield from wrong_on_terminals(kind, result)


def _names(source: random.Random, number: int) -> Iterator[str]:
    for _ in range(number):
        pieces = source.choices(_PIECES + list(_PLAIN) * 3, k=source.randint(1, 6))
        if source.random() < 0.2:
            pieces.append(chr(source.choice((source.randrange(0x100), source.randrange(0x11000)))))
        yield "".join(pieces)


if __name__ == "__main__":
    sys.exit(main())
