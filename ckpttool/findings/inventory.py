"""What a run made of each file that it came by: no file of a folder is passed over in silence.

Plain values, for every report. A verdict speaks of what was checked; this says what else there is.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import Iterable, NamedTuple, Sequence

from ckpttool.findings.text import count, printable, some_of

# Kinds that a line tells of, and files of each that it names, before it counts the rest.
_KINDS, _NAMED = 5, 3


class Standing(Enum):
    """What became of a file; the value is the word in reports.

    Attributes:
        CHECKED: a checkpoint, on which there is a report of its own.
        PART: a file of such a checkpoint, a shard say, looked at with it.
        SAME: a link to, or another path of, a file that counts already.
        KNOWN: seen by its content to hold neither weights nor anything that loading would call.
        TRAINING: the state of a training run; judged for what loading it calls, and not held
            against the model.
        EXCLUDED: left out because somebody said so.
        UNSEEN: not looked at, so that nothing is said of it.
    """

    CHECKED = "checked"
    PART = "part"
    SAME = "same"
    KNOWN = "known"
    TRAINING = "training-state"
    EXCLUDED = "excluded"
    UNSEEN = "not-looked-at"


class Item(NamedTuple):
    """A file, or a folder as a whole, of a run.

    Attributes:
        path: where it was found; a folder's ends in ``/``.
        standing: what became of it.
        what: what it is, in words: ``JSON``, ``a GGUF file``, ``excluded by *.onnx``.
        link: where the link leads that leaves the folder; ``None`` where it stays inside.
        weighty: of what was not looked at: whether it could hold weights.
    """

    path: str
    standing: Standing
    what: str
    link: str | None = None
    weighty: bool = False


def of(items: Iterable[Item], *standings: Standing) -> list[Item]:
    """Return the items with one of these standings, in their order."""
    return [item for item in items if item.standing in standings]


def account(items: Sequence[Item]) -> str:
    """Return what there is beside what was checked, in one line; nothing where nothing is.

    ``5 other files known, 1 training state, 1 not looked at: events.out (a log)``: what was not
    looked at comes last and by name.
    """
    told = []
    for standing, (noun, after) in _COUNTED.items():
        number = len(of(items, standing))
        if number:
            told.append(f"{count(number, noun)} {after}")
    leading = sum(1 for item in items if item.link is not None)
    if leading:
        told.append(f"{count(leading, 'link')} out of the folder followed")
    for standing, word in ((Standing.EXCLUDED, "excluded"), (Standing.UNSEEN, "not looked at")):
        ours = of(items, standing)
        if ours:
            told.append(f"{len(ours):,} {word}: {named(ours)}")
    return ", ".join(told)


_COUNTED = {
    Standing.KNOWN: ("other file", "known"),
    Standing.TRAINING: ("file", "of training state"),
    Standing.PART: ("part", "of checkpoints"),
    Standing.SAME: ("path", "of a file that counts already"),
}


def named(items: Iterable[Item]) -> str:
    """Return what kinds there are, each with a few paths, first what could hold weights."""
    alike: dict[tuple[bool, str], list[Item]] = {}
    for item in items:
        alike.setdefault((not item.weighty, item.what), []).append(item)
    # of kinds that weigh the same the rare ones first: a hundred sources must not hide a socket
    groups = [
        alike[key] for key in sorted(alike, key=lambda key: (key[0], len(alike[key]), key[1]))
    ]
    told = [_group(group) for group in groups[:_KINDS]]
    rest = sum(map(len, groups[_KINDS:]))
    return "; ".join([*told, f"{rest:,} of other kinds"] if rest else told)


def _group(items: Sequence[Item]) -> str:
    what = printable(items[0].what)
    paths = [printable(item.path) for item in items]
    if len(paths) == 1:
        return f"{paths[0]} ({what})"
    return f"{len(paths):,} x {what} ({some_of(paths, _NAMED)})"


def kinds(items: Iterable[Item]) -> str:
    """Return how many there are of each kind, the most first: ``3 JSON, 2 text``."""
    numbers = Counter(item.what for item in items)
    told = sorted(numbers.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{number:,} {printable(what)}" for what, number in told)
