"""Waivers: findings that are accepted for a while, and findings on the waivers themselves."""

from __future__ import annotations

import glob
import os
import posixpath
import re
from contextlib import suppress
from datetime import date
from pathlib import PurePath
from typing import Iterable, Iterator, NamedTuple, Sequence

from ckpttool.findings import rules
from ckpttool.findings.arguments import check_day, check_text, check_type, wrong
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.names import summarise
from ckpttool.findings.patterns import SHOWN, matches, matches_glob
from ckpttool.findings.results import FileReport, Waived
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import meant, printable

# "./" and "../", which a path that was pasted from a report may begin with.
_LEADING = re.compile(r"^(?:\.\.?/)+")


class Waiver(NamedTuple):
    """An entry of ``[[tool.ckpttool.waivers]]``.

    Attributes:
        code: the rule whose findings it covers.
        reason: why they are accepted.
        tensors: a pattern of names in the canonical layout, see :mod:`ckpttool.findings.patterns`;
            ``None`` covers any.
        path: a file's path, in any way that the tool prints it, or its name; a glob on one; or
            a folder that it lies in. ``None`` covers any.
        owner: who is responsible for it.
        expires: the last day on which it holds.
        fingerprint: of the weights that it was given for; it holds for no others.
        folder: of the configuration, so that ``path`` means the same from anywhere.
        place: for messages: ``waiver 2 of ckpttool.toml``.
    """

    code: str
    reason: str
    tensors: str | None = None
    path: str | None = None
    owner: str | None = None
    expires: date | None = None
    fingerprint: str | None = None
    folder: str | None = None
    place: str = ""

    def is_for(self, file: FileReport) -> bool:
        """Whether the waiver is for this file, by its path."""
        if self.path is None:
            return True
        shown = [*_spellings(file.path, self.folder)]
        ends = _ends(file.path, self.folder)
        return any(
            _LEADING.sub("", one) in ends or any(_is_path(path, one) for path in shown)
            for one in (self.path, self.path.replace("\\", "/"))  # as Windows prints it
        )

    def is_for_something(self) -> bool:
        """Whether its path leads to a file or folder that exists, in this run or not."""
        if self.path is None or self.folder is None or self.path == posixpath.curdir:
            return True
        # a glob, or a file whose name has brackets
        place = os.path.join(glob.escape(self.folder), self.path)  # noqa: PTH118 (a glob)
        literally = os.path.join(self.folder, self.path)  # noqa: PTH118 (any text)
        try:
            return os.path.lexists(literally) or bool(glob.glob(place))  # noqa: PTH207 (any text)
        except (OSError, ValueError):  # too long a name, or a null character
            return False

    def is_of_these_weights(self, file: FileReport) -> bool:
        """Whether the file holds the weights that the waiver was given for."""
        return self.fingerprint is None or self.fingerprint == file.fingerprint

    def has_expired(self, today: date) -> bool:
        """Whether its last day is over."""
        return self.expires is not None and today > self.expires

    def covered(self, found: Finding) -> frozenset[str]:
        """Return the finding's tensors that the waiver covers; ``""`` stands for no tensor."""
        if found.rule.code != self.code:
            return frozenset()
        names = found.tensors or ("",)
        if self.tensors is None:
            return frozenset(names)
        # a finding that names no tensor is about more than the tensors that were accepted
        return frozenset(name for name in names if name and matches(self.tensors, name))


class Settled(NamedTuple):
    """A file's findings, sorted by whether they are waived.

    Attributes:
        open: those that count.
        waived: those that do not, with the waivers' reasons and owners.
        used: waivers that covered something.
        lapsed: waivers that would have, but have expired.
    """

    open: tuple[Finding, ...]
    waived: tuple[Waived, ...]
    used: frozenset[Waiver]
    lapsed: frozenset[Waiver]


def check_waiver(waiver: Waiver, number: int) -> Waiver:
    """Check a waiver and return it with a place for messages, by its number in the policy.

    Raises:
        UsageError: it is none, or has a value that is not allowed.
    """
    check_type(waiver, Waiver, f"waiver {number}")
    check_text(waiver.place, "place")
    waiver = waiver._replace(place=waiver.place or f"waiver {number} of the policy")
    of_it = f"of {waiver.place}"
    check_code(waiver.code, f"code {of_it}")
    check_type(waiver.reason, str, f"reason {of_it}")
    for what in ("tensors", "path", "owner", "fingerprint", "folder"):
        check_text(getattr(waiver, what), f"{what} {of_it}")
    check_day(waiver.expires, f"expires {of_it}")
    return waiver


def check_code(code: object, what: str) -> None:
    """Refuse what is not the whole code of a rule whose findings are about files."""
    if not isinstance(code, str) or code not in rules.RULES:
        fix = meant(str(code), rules.RULES) or "`ckpttool rules` lists them."
        raise wrong(what, "the code of a rule", code, fix)
    if rules.RULES[code].of_run:  # a waiver belongs to files, and there is none
        fix = f"Leave it out with ignore: {code} is about a run as a whole."
        raise wrong(what, "the code of a rule on files", code, fix)


def _spellings(path: str, folder: str | None) -> Iterator[str]:
    """Yield the paths by which a waiver may name a file: all that the tool prints of it."""
    yield posixpath.normpath(PurePath(path).as_posix())
    yield PurePath(path).name
    if folder is None:
        return
    whole = PurePath(os.path.abspath(path))  # noqa: PTH100 (without .., and links stay)
    yield whole.as_posix()
    with suppress(OSError, ValueError):  # it lies elsewhere, or the working folder is gone
        yield whole.relative_to(os.getcwd()).as_posix()  # noqa: PTH109 (text)
    with suppress(ValueError):
        inside = whole.relative_to(folder).as_posix()
        yield inside
        yield f"./{inside}"  # the folder itself is called "."


def _ends(path: str, folder: str | None) -> frozenset[str]:
    """Return the ends of a file's path: what reports show of it from folders above.

    Of a file in the configuration's folder, only those that name the folder too.
    """
    whole = PurePath(os.path.abspath(path))  # noqa: PTH100 (as above)
    if folder is None:
        return frozenset()
    parts = whole.parts[1:]
    # inside, paths are relative to the folder: "b/c.pth" there must not cover "a/b/c.pth" too
    inside = PurePath(folder) in whole.parents
    last = len(PurePath(folder).parts) - 1 if inside else len(parts)
    return frozenset("/".join(parts[start:]) for start in range(last))


def _is_path(path: str, written: str) -> bool:
    """Whether ``written`` is a path, a glob on it, or a folder that it lies in."""
    pattern = posixpath.normpath(written)
    return any(
        matches_glob(pattern, text) or matches_glob(f"{pattern}/*", text)
        for text in (path, printable(path, SHOWN))  # as it may be pasted from a report
    )


def settle(file: FileReport, waivers: Iterable[Waiver], today: date) -> Settled:
    """Separate the findings that waivers cover from those that count.

    A finding on several tensors is waived when all of them are covered, by one waiver or by
    several together; otherwise all of it counts.
    """
    ours = [one for one in waivers if one.is_for(file) and one.is_of_these_weights(file)]
    live = [one for one in ours if not one.has_expired(today)]
    still_open: list[Finding] = []
    waived: list[Waived] = []
    for found in file.findings:
        covering = [one for one in live if one.covered(found)]
        if _is_covered(found, covering):
            waived.append(_waived(found, covering))
        else:
            still_open.append(_partly(found, covering))
    return Settled(
        tuple(still_open),
        tuple(waived),
        frozenset(one for one in live if any(map(one.covered, file.findings))),
        frozenset(one for one in ours if one not in live and any(map(one.covered, file.findings))),
    )


def _is_covered(found: Finding, covering: Sequence[Waiver]) -> bool:
    return _covered(found, covering) >= frozenset(found.tensors or ("",))


def _covered(found: Finding, covering: Sequence[Waiver]) -> frozenset[str]:
    return frozenset(name for one in covering for name in one.covered(found))


def _waived(found: Finding, covering: Sequence[Waiver]) -> Waived:
    """Combine the waivers' reasons and owners."""
    ends = [one.expires for one in covering if one.expires is not None]  # the first one decides
    owners = dict.fromkeys(one.owner for one in covering if one.owner)
    return Waived(
        found,
        "; ".join(dict.fromkeys(one.reason for one in covering)),
        ", ".join(owners) or None,
        min(ends).isoformat() if ends else None,
    )


def _partly(found: Finding, covering: Sequence[Waiver]) -> Finding:
    if not covering:
        return found
    covered = _covered(found, covering)
    told = f" (waivers cover {len(covered):,} of its {len(found.tensors):,} tensors)"
    return found._replace(message=found.message + told)


def findings_on(
    waivers: Sequence[Waiver],
    files: Sequence[FileReport],
    settled: Sequence[Settled],
    today: date,
    unread: Sequence[FileReport] = (),
) -> tuple[Finding, ...]:
    """Return findings on the waivers themselves, after all files of a run.

    Args:
        waivers: all of the policy.
        files: what was verified; waivers for other files that exist are left alone.
        settled: what :func:`settle` returned for each.
        today: the day to compare ``expires`` with.
        unread: files of the run that could not be read to their end.
    """
    used = {waiver for one in settled for waiver in one.used}
    lapsed = {waiver for one in settled for waiver in one.lapsed}
    return tuple(
        _finding_on(one, files, today)
        if one not in lapsed
        else finding(
            rules.WAIVER_EXPIRED,
            f"{one.place}, for {one.code}, has expired: the findings it covered count again",
            expected=f"a day up to {one.expires}",
            found=today.isoformat(),
        )
        for one in waivers
        if one not in used
        and any(one.is_for(file) and _was_looked_for(one, file) for file in files)
    ) + tuple(
        finding(
            rules.WAIVER_UNUSED,
            f"{one.place}, for {one.code}, is for no file of this run, nor for one that is there",
            severity=Severity.NOTE,  # a part of a release may be verified alone
            expected=f"a file that path = {one.path!r} stands for",
        )
        for one in waivers
        if not any(map(one.is_for, (*files, *unread))) and not one.is_for_something()
    )


def _was_looked_for(waiver: Waiver, file: FileReport) -> bool:
    """Whether the run could find what the waiver covers."""
    # with --no-forward, a waiver for the forward pass is not unused
    done = {
        "forward": file.forward is not None and file.forward.status == "run",
        "lock": file.lock is not None,
        "against": file.against is not None,
    }
    return all(done[need] for need in rules.RULES[waiver.code].needs)


def _finding_on(waiver: Waiver, files: Sequence[FileReport], today: date) -> Finding:
    theirs = [file for file in files if waiver.is_for(file)]
    if not any(map(waiver.is_of_these_weights, theirs)):
        return finding(
            rules.WAIVER_OTHER_WEIGHTS,
            f"{waiver.place}, for {waiver.code}, was given for other weights and matches nothing",
            expected=waiver.fingerprint,
            found=", ".join(file.fingerprint or "no fingerprint" for file in theirs[:4]),
        )
    expired = " and has expired" if waiver.has_expired(today) else ""
    message = f"{waiver.place}, for {waiver.code}, covers no finding{expired}: "
    return finding(rules.WAIVER_UNUSED, message + _why(waiver, theirs))


def _why(waiver: Waiver, files: Sequence[FileReport]) -> str:
    """Say which condition of the waiver no finding met: the code, or the tensors."""
    found = [one for file in files for one in file.findings if one.rule.code == waiver.code]
    names = dict.fromkeys(name for one in found for name in one.tensors)
    if not found:
        where = "the file" if len(files) == 1 else f"{len(files):,} files"
        return f"there is no {waiver.code} in {where}" + (
            "" if waiver.path is None else " of its path"
        )
    if not names:
        return f"{waiver.code} was found and names no tensor, which a waiver with tensors asks for"
    return f"tensors = {waiver.tensors!r} is none of those found: {summarise(names, 4)}"
