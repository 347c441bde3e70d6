"""Opening files beside a checkpoint by name, and no other file of this machine.

These are the shards of an index, the config.json and the model card of a release. They must be in
the folder of the checkpoint, or of the file that it is a link to: the hub's cache keeps all of
them as links into one folder of blobs. A link to anywhere else is refused, since a downloaded
checkpoint must not choose which files of this machine are read.
"""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING

from ckpttool.files.sources import FileSource
from ckpttool.findings.errors import UnreadableError
from ckpttool.findings.text import printable

if TYPE_CHECKING:
    from contextlib import ExitStack

SHOWN = 20  # offenders that are named; the others are counted

_NAMED = 3  # missing shards of a series that are named
_NUMBERED = re.compile(r"(.*-)(\d{5})(-of-(\d{5})\.safetensors)", re.DOTALL)


class Folder:
    """The folder of an index (or another checkpoint), from which shards are opened.

    Attributes:
        missing: the files that do not exist.
        links: links out of the folder, which are not followed.
        offenders: one line for each file that exists and was not opened.
    """

    def __init__(self, index: FileSource, opened: ExitStack) -> None:
        self._folder, own_name = os.path.split(index.name)
        self._allowed = {
            os.path.realpath(self._folder or os.curdir),
            os.path.split(os.path.realpath(index.name))[0],
        }
        self._seen = {index.identity[:2]: own_name}
        self._opened = opened
        self.missing: list[str] = []
        self.links: list[str] = []
        self.offenders: list[str] = []

    def open(self, file: str) -> FileSource | None:
        """Open the shard ``file``, a plain name; ``None`` if it is missing or refused.

        Raises:
            UnreadableError: it exists but cannot be opened.
        """
        path = os.path.join(self._folder, file)  # noqa: PTH118 (keeps the caller's spelling)
        if not os.path.exists(path):  # noqa: PTH110 (a name too long is an error in pathlib)
            self.missing.append(file)
            return None
        if os.path.split(os.path.realpath(path))[0] not in self._allowed:
            self.links.append(file)
            self._refuse(file, "is a link that leads out of the folder")
            return None
        source = _open(path)
        self._opened.callback(source.close)
        identity = source.identity[:2]
        other = self._seen.get(identity)
        # by device and inode: a second name would count its tensors twice
        if other is not None:
            self._refuse(file, f"is the same file as {printable(other)}")
            return None
        self._seen[identity] = file
        return source

    def _refuse(self, file: str, why: str) -> None:
        self.offenders.append(f"{printable(file)} {why}")


def uncounted(files: list[str]) -> list[str]:
    """Return a line for each shard that must exist by the names of others but is not listed.

    ``model-00001-of-00003.safetensors`` says that there are three.
    """
    series: dict[tuple[str, str], set[int]] = {}
    for match in filter(None, map(_NUMBERED.fullmatch, files)):
        prefix, number, suffix, _ = match.groups()
        series.setdefault((prefix, suffix), set()).add(int(number))
    lines = []
    for (prefix, suffix), numbers in series.items():
        total = int(suffix[len("-of-") : -len(".safetensors")])
        strange = sorted(number for number in numbers if not 1 <= number <= total)
        lines += [f"{printable(f'{prefix}{n:05d}{suffix}')} counts itself wrong" for n in strange]
        # a generator: the names of a hostile index may count up to 99,999
        absent = (number for number in range(1, total + 1) if number not in numbers)
        named = [f"{prefix}{number:05d}{suffix}" for number, _ in zip(absent, range(_NAMED))]
        number = total - len(numbers) + len(strange)
        if number == 1:
            lines.append(f"{printable(named[0])} is not listed")
        elif number:
            more = f" and {number - _NAMED:,} more" if number > _NAMED else ""
            shown = ", ".join(map(printable, named))
            lines.append(f"{number:,} shards that the names count are not listed: {shown}{more}")
    return lines


def _open(path: str) -> FileSource:
    try:
        return FileSource(path)
    except UnreadableError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
            error.fix = "Allow more open files (ulimit -n): up to a hundred shards stay open."
        raise
