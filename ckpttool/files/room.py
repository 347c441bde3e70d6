"""Checking, before anything is written, that the disks have room for all of it.

Sizes are added up by device: two folders of one disk share its room.
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

#: Bytes of room to leave on the disk, for the file system's own blocks and for other programs.
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
        raise OutputError("not a folder", rules.UNWRITABLE, path=folder)
    return status.st_dev


def _check(folder: str, nbytes: int) -> None:
    # without it writing will fail if there is no room
    if not hasattr(os, "statvfs"):  # pragma: no cover (Windows)
        return
    try:
        status = os.statvfs(folder)
    except OSError:
        return  # unknown: writing will fail if there is no room
    # f_bavail leaves out the blocks that are reserved for root, as f_bfree does not
    room = status.f_bavail * status.f_frsize
    # some network and overlay file systems report no blocks at all
    if status.f_blocks and room < nbytes + SLACK:
        raise OutputError(
            "there is not enough room on the disk",
            rules.NO_SPACE,
            path=folder,
            expected=f"{sized(nbytes + SLACK)} ({nbytes:,} bytes and some slack)",
            found=sized(room),
            fix="Make room, or write to another disk.",
        )
