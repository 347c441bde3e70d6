"""The content of a lock file: the weights of a release, and what they compute."""

from __future__ import annotations

import math
import os
from itertools import takewhile
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, Iterator, NamedTuple, Sequence

from ckpttool.files.suffixes import stem_of
from ckpttool.findings.finding import Finding, Verdict
from ckpttool.findings.json_fields import document, plain
from ckpttool.findings.results import NO_ITEMS, OutputSummary, Report


class LockedTensor(NamedTuple):
    """A tensor in the canonical layout: torch's dtype, shape, SHA-256 of its contiguous bytes."""

    dtype: str
    shape: tuple[int, ...]
    sha256: str


class LockedFile(NamedTuple):
    """A file that the weights lay in when they were locked; ``size`` is in bytes."""

    name: str
    size: int
    sha256: str


class Control(NamedTuple):
    """A model that is wrong on purpose, and how far its outputs are from the right one's.

    Attributes:
        name: what was done to it.
        distance: as :func:`distance`; infinite where outputs are not finite.
        counts: whether it moved far enough from rounding to prove anything.
    """

    name: str
    distance: float
    counts: bool


class LockedForward(NamedTuple):
    """What the model computes with the weights on the fixed input.

    Attributes:
        scope: what was run: the core of the model (``encoder``), or ``full``.
        kept: the patches that the fixed masking noise leaves visible.
        outputs: by name.
        rounding: how far float32 is from float64, as :func:`distance`.
        tolerance: the distance that is accepted; ``None`` where no control counts.
        controls: the proof that a comparison can fail.
    """

    scope: str
    kept: tuple[int, ...]
    outputs: dict[str, OutputSummary]
    rounding: float
    tolerance: float | None
    controls: tuple[Control, ...]


class LockedCheckpoint(NamedTuple):
    """What is known of one checkpoint.

    Attributes:
        name: its path from the lock file's folder, or its file name where it lies elsewhere.
        fingerprint: of the weights, in any container.
        schema: the model that it was verified against.
        files: that held it; other files may hold the same weights.
        forward: ``None`` where the model was not run.
        tensors: by name in the canonical layout, sorted by code points.
        lines: the line of each tensor in the lock file, from 1; empty before it is written.
    """

    name: str
    fingerprint: str
    schema: str
    files: tuple[LockedFile, ...]
    forward: LockedForward | None
    tensors: dict[str, LockedTensor]
    lines: dict[str, int] = NO_ITEMS


class Lock(NamedTuple):
    """A lock file.

    Attributes:
        path: of the file.
        checkpoints: what is locked; none where the verification before it failed.
        report: that verification; ``None`` for a lock file that was read.
        replaced: whether another lock file was replaced.
        cleaned: files of a killed run that were removed from the folder.
    """

    path: str
    checkpoints: tuple[LockedCheckpoint, ...]
    report: Report | None = None
    replaced: bool = False
    cleaned: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """That of the verification; a lock file that could be read passes."""
        return self.report.verdict if self.report else Verdict.PASS

    @property
    def exit_code(self) -> int:
        """The exit status of ``lock``."""
        return self.verdict.exit_code

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Those of the verification."""
        return self.report.findings if self.report else ()

    @property
    def text(self) -> str:
        """The content of the lock file; the same weights give the same text."""
        from ckpttool.verification.lock.writing import render  # which knows this class

        return render(self.checkpoints)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it in plain values, the report as :meth:`Report.to_dict` has it."""
        fields: dict[str, Any] = plain(self._replace(report=None))
        report = self.report.to_dict() if self.report else None
        head = {"verdict": self.verdict.value, "exit_code": self.exit_code}
        return document("lock", {**head, **fields, "report": report})

    def of(self, path: str, fingerprint: str | None) -> LockedCheckpoint | None:
        """Return the entry for a file: the only one, or by its path, its name, its weights.

        A name counts without its suffix, because weights may be converted, and with as many of
        its folders as tell it from the others.
        """
        if len(self.checkpoints) == 1:
            return self.checkpoints[0]
        # names before weights: other weights under this name are what a lock is there to notice
        called = name_from(self.path, path)
        exact = [one for one in self.checkpoints if one.name == called]
        alike = exact or _called_alike(self.checkpoints, _whole(path).as_posix())
        if len(alike) == 1:
            return alike[0]
        # two folders that were renamed, for example: only the weights tell which of them is meant
        return next(
            (one for one in alike or self.checkpoints if one.fingerprint == fingerprint), None
        )

    def unmatched(
        self, folders: Sequence[str], files: Sequence[tuple[str, str | None]]
    ) -> list[LockedCheckpoint]:
        """Return the entries that belong in folders and that no file of them matches.

        Args:
            folders: that were searched completely.
            files: the path and the fingerprint of every checkpoint that was found.
        """
        home = _whole(self.path).parent
        wholes = [_whole(folder) for folder in folders]
        matched = [
            (path, one) for path, one in ((file[0], self.of(*file)) for file in files) if one
        ]
        if all(whole == home or home in whole.parents for whole in wholes):
            places = [*wholes, *self._copied(wholes, matched)]
        else:  # a folder elsewhere is a copy of the release: all of it is expected there
            places = [home]
        names = {one.name for _, one in matched}
        return [
            one
            for one in self.checkpoints
            if one.name not in names
            and any(place == home or place in (home / one.name).parents for place in places)
        ]

    def _copied(
        self, folders: Sequence[Path], matched: Sequence[tuple[str, LockedCheckpoint]]
    ) -> Iterator[Path]:
        """Yield the folders of which copies lie in ``folders``, so that all of them is expected."""
        home = _whole(self.path).parent
        for path, one in matched:
            found, place = _whole(path), home / one.name
            if stem_of(found.name) == stem_of(place.name) and found.parent == place.parent:
                continue
            for folder in folders:
                if folder in found.parents:
                    # the copy begins where the ends of both paths stop agreeing
                    below = found.parent.relative_to(folder).parts[::-1]
                    pairs = zip(below, place.parent.relative_to(home).parts[::-1])
                    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
                    yield (place.parent, *place.parent.parents)[same]


def _called_alike(checkpoints: Sequence[LockedCheckpoint], path: str) -> list[LockedCheckpoint]:
    """Return the checkpoints whose names agree with the end of a path in the most parts."""
    agreeing = [_agreement(one.name, path) for one in checkpoints]
    most = max(agreeing, default=(0, False))
    if not most[0]:
        return []
    return [one for one, agreement in zip(checkpoints, agreeing) if agreement == most]


def _agreement(name: str, path: str) -> tuple[int, bool]:
    """Return how many parts agree from the end on, and whether the ending does too."""
    if stem_of(name) != stem_of(path):
        return 0, False
    ours, theirs = PurePosixPath(name).parts[-2::-1], PurePosixPath(path).parts[-2::-1]
    same = takewhile(lambda pair: pair[0] == pair[1], zip(ours, theirs))
    return 1 + sum(1 for _ in same), PurePosixPath(name).name == PurePosixPath(path).name


def name_from(lock: str, path: str) -> str:
    """Return a checkpoint's name in a lock file: its path from there, or its file name."""
    try:
        return _whole(path).relative_to(_whole(lock).parent).as_posix()
    except ValueError:  # above or elsewhere: such a path would hold on this machine alone
        return PurePath(path).name


def _whole(path: str) -> Path:
    """Return an absolute path; links are not followed, because their own names count."""
    return Path(os.path.normpath(Path(path).absolute()))


def distance(one: dict[str, OutputSummary], other: dict[str, OutputSummary]) -> float:
    """Return how far outputs are apart, in parts of the root mean square of ``one``.

    The largest difference of any mean, deviation, smallest or largest element and projection;
    infinite where an output is missing or has another shape, or a number is not finite.
    """
    if {name: out.shape for name, out in one.items()} != {
        name: out.shape for name, out in other.items()
    }:
        return math.inf
    return max((_apart(one[name], other[name]) for name in one), default=math.inf)


def _apart(one: OutputSummary, other: OutputSummary) -> float:
    numbers = [(*out[1:5], *out.projection) for out in (one, other)]
    size = math.hypot(one.mean, one.std)  # the root mean square, as std is the population's
    if len(numbers[0]) != len(numbers[1]) or not size > 0:  # NaN as well
        return math.inf
    differences = [abs(a - b) for a, b in zip(*numbers)]
    # max() alone would pass over NaN
    return max(differences) / size if all(map(math.isfinite, differences)) else math.inf
