"""What killed runs left in a folder: it is told from files that a running one has, and removed.

A run holds a lock on each of its temporary files, which the system releases when the process ends
in any way. So a file of that name that is not locked was left by a killed run. Such a run is done
if each of its temporary files has its final name as well; then only its hidden names remained to
be removed. Otherwise it is undone: what stood at the names before is put back.
"""

from __future__ import annotations

import os
from typing import List, NamedTuple

from ckpttool.files.sources import release
from ckpttool.files.temporary import HiddenName, has_locks, lock_now, parsed_name, remove
from ckpttool.files.turns import turn_now


class _Left(NamedTuple):
    """A file of a killed run: its hidden name, the one that it was for, and its status."""

    hidden: str
    path: str
    status: os.stat_result


class _Run:
    """What one run has in a folder."""

    def __init__(self) -> None:
        self.growing: List[_Left] = []
        self.old: List[_Left] = []
        self.others: List[_Left] = []
        self.is_alive = False
        self.is_of_another = False

    def is_done(self) -> bool:
        """Whether every file has its name."""
        return all(_is(one.path, one.status) for one in self.growing)

    def may_be_removed(self) -> bool:
        """Whether nothing but its temporary files is concerned, or all of it is ours.

        In a folder for all, another user can make files of such names, and so must not have a say
        in what is put back under which name, or removed.
        """
        named = self.old or any(_is(one.path, one.status) for one in self.growing)
        return not self.is_alive and not (self.is_of_another and named)


def clean(folder: str) -> list[str]:
    """Remove the files that killed runs left in ``folder``; return their names.

    If a run was killed while it named a set of files, the old set is restored. Nothing is done
    while another run names its files there.
    """
    if not has_locks() or not _hidden(folder):
        return []
    with turn_now(folder) as ours:
        if not ours:
            return []
        # Locks are held until the files are removed, so that nobody else takes them for leftovers.
        held: list[int] = []
        try:
            gone = []
            for run in _runs(folder, held).values():
                if run.may_be_removed():
                    gone += _finish(run) if run.is_done() else _undo(run)
            return sorted(gone)
        finally:
            for fd in held:
                release(fd)


def _hidden(folder: str) -> list[tuple[str, HiddenName]]:
    """Return the hidden names in a folder and what they say, sorted."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 (no Path needed)
    except OSError:
        return []  # creating a file there will raise the error
    found = ((name, parsed_name(name)) for name in sorted(names))
    return [(name, parsed) for name, parsed in found if parsed is not None]


def _runs(folder: str, held: list[int]) -> dict[str, _Run]:
    runs: dict[str, _Run] = {}
    for name, parsed in _hidden(folder):
        run = runs.setdefault(parsed.run, _Run())
        hidden = os.path.join(folder, name)  # noqa: PTH118
        path = os.path.join(folder, parsed.name)  # noqa: PTH118
        if parsed.kind == "tmp":
            fd = lock_now(hidden)
            if fd is None:
                run.is_alive = True
                continue
            held.append(fd)
            status = os.fstat(fd)
        else:
            try:
                status = os.lstat(hidden)
            except OSError:
                continue
        run.is_of_another |= status.st_uid != os.geteuid()
        kinds = {"tmp": run.growing, "old": run.old}
        kinds.get(parsed.kind, run.others).append(_Left(hidden, path, status))
    return runs


def _finish(run: _Run) -> list[str]:
    return [name for one in (*run.old, *run.others, *run.growing) for name in _removed(one.hidden)]


def _undo(run: _Run) -> list[str]:
    """Put back what stood there; the temporary files go last, as signs that it is not done."""
    gone: list[str] = []
    growing = {one.path: one for one in run.growing}
    for one in run.old:
        new = growing.get(one.path)
        # Without hard links the temporary file itself has the name.
        ours = new is None or _is(one.path, new.status)
        if ours or not os.path.lexists(one.path):
            try:
                os.replace(one.hidden, one.path)  # noqa: PTH105
            except OSError:
                return gone
            # rename does nothing, and keeps both, where two names are of one file already
            remove(one.hidden)
            gone.append(os.path.basename(one.hidden))  # noqa: PTH119
        else:  # the old file is there still, or somebody wrote another since
            gone += _removed(one.hidden)
    kept = {one.path for one in run.old}
    for one in run.growing:
        if one.path not in kept and _is(one.path, one.status):
            gone += _removed(one.path)
    return gone + [name for one in (*run.others, *run.growing) for name in _removed(one.hidden)]


def _is(path: str, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.lstat(path), status)
    except OSError:
        return False


def _removed(path: str) -> list[str]:
    return [os.path.basename(path)] if remove(path) else []  # noqa: PTH119
