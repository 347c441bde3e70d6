"""What must hold after a call failed: what stood there is whole, or all that is new is."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional

from ckpttool.files.leftovers import clean
from tests.faults.injector import Fault, Injector
from tests.faults.writers import Writer, make_sources

Content = Dict[str, bytes]

#: Errors of the system that a writer may tell, by the words that the system has for them.
FAULTS = [
    *(
        Fault(name, getattr(errno, name))
        for name in ("EIO", "ENOSPC", "EDQUOT", "EROFS", "EACCES", "EINTR")
    ),
    Fault("short", much=0.5),
    Fault("one byte", much=0.0001),
    Fault("nothing", much=0.0),
    Fault("EIO, done", errno.EIO, is_done=True),
    Fault("EINTR, done", errno.EINTR, is_done=True),
    Fault("EROFS for good", errno.EROFS, for_good=True),
    Fault("ENOSPC for good", errno.ENOSPC, for_good=True),
]


class Result(NamedTuple):
    """What came of a run.

    Attributes:
        number: which call failed.
        has_failed: whether there was such a call.
        told: the error that was told; ``None`` if the writer did its work.
        wrong: what does not hold; empty if all does.
    """

    number: int
    has_failed: bool
    told: Optional[str]
    wrong: List[str]


class Bench:
    """A folder in which one writer runs again and again, from the same beginning."""

    def __init__(self, root: Path, writer: Writer) -> None:
        self._writer = writer
        self._sources, self._before = root / "sources", root / "before"
        self.folder = root / "folder"
        for folder in (self._sources, self._before):
            folder.mkdir()
        make_sources(self._sources)
        writer.prepare(self._before)
        self.old = content(self._before)
        self.reset()
        with Injector(str(self.folder), Fault("none"), number=-1) as injector:
            told = self.write()
        assert told == [], told
        #: How many calls of each kind a run makes in which none fails.
        self.counts = injector.counts
        self.new = content(self.folder)
        assert self.new != self.old
        self.write()
        #: What is there after a second run; a receipt says then that it replaced the first one's.
        self.twice = content(self.folder)

    def reset(self) -> None:
        """Put back what stood there before."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self._before, self.folder)

    def write(self) -> List[str]:
        """Let the writer write; return the errors that it tells."""
        return self._writer.write(self._sources, self.folder)

    def run(self, call: str, fault: Fault, number: int) -> Result:
        """Run with one call failing, and judge what is there afterwards."""
        self.reset()
        with Injector(str(self.folder), fault, call, number) as injector:
            told = self.write()
        told_of = "; ".join(told) or None
        wrong = list(self._wrong(call, fault, told_of)) if injector.has_failed else []
        return Result(number, injector.has_failed, told_of, wrong)

    def every(self, call: str, fault: Fault) -> Iterator[Result]:
        """Let each call of a kind fail, until a run has none that did."""
        number = 0
        while True:
            result = self.run(call, fault, number)
            if not result.has_failed:
                return
            yield result
            number += 1

    def _wrong(self, call: str, fault: Fault, told: str | None) -> Iterator[str]:
        found = content(self.folder)
        hidden = hidden_in(found)
        if hidden and not _may_leave(call, fault):
            yield f"temporary files are left: {', '.join(hidden)}"
        if hidden:
            clean(str(self.folder))  # as the next run does
            found = content(self.folder)
        if is_new(found, self.old, self.new):
            if told is not None and not _may_be_told(call, fault):
                yield f"all is written, and told is {told}"
        elif found != self.old:
            yield f"neither old nor new: {_difference(found, self.old, self.new)}"
        elif told is None:
            yield "nothing is written, and no error is told"
        if told is not None:
            yield from _unclear(told, fault, str(self.folder))
        elif not _may_succeed(call, fault):
            yield "no error is told"


def content(folder: Path) -> Content:
    """Return all files of a folder, by their names."""
    return {one.name: one.read_bytes() for one in sorted(folder.iterdir())}


def hidden_in(found: Content) -> List[str]:
    """Return the hidden names."""
    return [name for name in found if name.startswith(".")]


def is_new(found: Content, old: Content, new: Content) -> bool:
    """Whether all that is new is there; what remains of an earlier result, a report names."""
    remains = set(found) - set(new)
    return all(found[name] == old.get(name) for name in remains) and new == {
        name: data for name, data in found.items() if name not in remains
    }


def _may_leave(call: str, fault: Fault) -> bool:
    """Whether a temporary file may stay: nothing can be removed any more."""
    return fault.for_good or (call == "unlink" and fault.error != errno.EINTR)


def _may_be_told(call: str, fault: Fault) -> bool:
    return fault.for_good


def _may_succeed(call: str, fault: Fault) -> bool:
    """Whether a run may do its work in spite of the fault."""
    if fault.much == 0.0:
        return call == "preadv"  # of what stands there
    if fault.much is not None or fault.is_done or fault.error == errno.EINTR:
        return True
    # what only looks has a substitute, or is asked again before anything depends on it
    return call not in ("posix_fallocate", "ftruncate", "pwrite", "fsync", "replace", "mkdir")


def _unclear(told: str, fault: Fault, folder: str) -> Iterator[str]:
    """Yield what the error lacks: a rule, the file, the reason of the system."""
    if fault.error is not None and os.strerror(fault.error) not in told:
        yield f"the reason is not told: {told}"
    if folder not in told:
        yield f"the file is not told: {told}"
    if ".ckpttool-" in told:
        yield f"a hidden name is told: {told}"
    if not told.endswith("]"):
        yield f"no rule is told: {told}"


def _difference(found: Content, old: Content, new: Content) -> str:
    def state(name: str) -> str:
        if name not in found:
            return "missing"
        if found[name] == old.get(name):
            return "old"
        return "new" if found[name] == new.get(name) else "neither"

    names = sorted({*found, *old, *new})
    return ", ".join(f"{name} {state(name)}" for name in names)
