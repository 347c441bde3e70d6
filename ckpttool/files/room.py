"""Whether the disks have room for what is to be written, asked before any of it is.

Files are counted by the disk that their folders are on: two folders of one disk share its room.
"""

from __future__ import annotations

import os
import stat
from typing import Mapping

from ckpttool.files.positional import unwritable
from ckpttool.files.temporary import folder_of
from ckpttool.findings import rules
from ckpttool.findings.errors import OutputError
from ckpttool.findings.text import size as sized

#: Bytes of room to leave on the disk.
SLACK = 16 << 20


def require_room(sizes: Mapping[str, int]) -> None:
    """Raise OutputError if a folder is missing, or files would leave too little room.

    Args:
        sizes: path to bytes, of all files that will be created.
    """
    needed: dict[int, tuple[str, int]] = {}
    for path, nbytes in sizes.items():
        folder = folder_of(path)
        device = _device(folder)
        needed[device] = folder, nbytes + needed.get(device, ("", 0))[1]
    for folder, nbytes in needed.values():
        _check(folder, nbytes)


def _device(folder: str) -> int:
    try:
        status = os.stat(folder)  # noqa: PTH116
    except OSError as error:
        raise unwritable(error, path=folder) from error
    if not stat.S_ISDIR(status.st_mode):
        raise OutputError("it is no folder", rules.UNWRITABLE, path=folder)
    return status.st_dev


def _check(folder: str, nbytes: int) -> None:
    if not hasattr(os, "statvfs"):
        return
    try:
        status = os.statvfs(folder)
    except OSError:
        return  # nothing is known; writing will tell
    room = status.f_bavail * status.f_frsize
    # some network and overlay file systems tell nothing, which reads as no blocks at all
    if status.f_blocks and room < nbytes + SLACK:
        raise OutputError(
            "there is not enough room on the disk",
            rules.NO_SPACE,
            path=folder,
            expected=f"{sized(nbytes + SLACK)} ({nbytes:,} bytes and some slack)",
            found=sized(room),
            fix="Make room, or write to another disk.",
        )
