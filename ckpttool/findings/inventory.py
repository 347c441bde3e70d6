"""The standing of every file that a run found, as plain values for every report.

A verdict is about the files that were checked. The inventory lists the others, so that a pass of a
folder never hides a file that nobody looked at.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import Iterable, NamedTuple, Sequence

from ckpttool.findings.text import count, printable, some_of

# Kinds in one line, and files of each kind that are named; the rest is counted.
_KINDS, _NAMED = 5, 3


class Standing(Enum):
    """How the run treated a file; the value is the word in reports.

    Attributes:
        CHECKED: a checkpoint with a report of its own.
        PART: a part of a checkpoint, for example a shard, checked with it.
        SAME: a link to, or another path of, a file that counts already.
        KNOWN: by its content a kind without weights, which calls nothing when it is loaded.
        TRAINING: the state of a training run: its calls are judged, its tensors are not.
        EXCLUDED: left out by a pattern.
        UNSEEN: not looked at, so that it may be anything.
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
        standing: how the run treated it.
        what: a description: ``JSON``, ``a GGUF file``, ``excluded by *.onnx``.
        link: the target of a link out of the folder, else ``None``.
        weighty: whether a file that was not looked at could hold weights.
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
    """Return one line on the files that were not checked; an empty one without any.

    ``5 other files known, 1 training state, 1 not looked at: events.out (a log)``: files that were
    not looked at come last and by name, since they are the ones to act on.
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


# Standings that are only counted, in this order; the others are named.
_COUNTED = {
    Standing.KNOWN: ("other file", "known"),
    Standing.TRAINING: ("file", "of training state"),
    Standing.PART: ("part", "of checkpoints"),
    Standing.SAME: ("path", "of a file that counts already"),
}


def named(items: Iterable[Item]) -> str:
    """Return the kinds of items, each with a few paths, those that could hold weights first."""
    alike: dict[tuple[bool, str], list[Item]] = {}
    for item in items:
        alike.setdefault((not item.weighty, item.what), []).append(item)
    # then rare kinds first: a hundred source files must not hide a socket
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
    """Return the number of items of each kind, the most first: ``3 JSON, 2 text``."""
    numbers = Counter(item.what for item in items)
    told = sorted(numbers.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{number:,} {printable(what)}" for what, number in told)
