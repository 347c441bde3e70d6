"""Files that are written beside a result: all of them whole, or none.

Whatever stood there is replaced only when everything is written. So what takes minutes can try
its files first: a folder that is not there is then said before, not after.
"""

from __future__ import annotations

from typing import Mapping

from ckpttool.files.destination import Destination
from ckpttool.files.positional import write_parts


def write_files(contents: Mapping[str, bytes], *, sync: bool = False) -> tuple[str, ...]:
    """Write files, by path.

    Args:
        contents: what belongs into each.
        sync: whether they must be on the disk before they get their names.

    Returns:
        What was cleaned up: files beside them that a killed run left.

    Raises:
        OutputError: one cannot be written; what stood there before is untouched.
    """
    return _write(contents, sync, publish=True)


def try_files(*paths: str) -> tuple[str, ...]:
    """Do everything that :func:`write_files` does, but leave no file behind.

    Raises:
        OutputError: one cannot be written.
    """
    return _write(dict.fromkeys(paths, b""), sync=False, publish=False)


def _write(contents: Mapping[str, bytes], sync: bool, publish: bool) -> tuple[str, ...]:
    """Write files under temporary names; give them their own, or take them away."""
    with Destination(force=True, sync=sync) as place:
        place.check({path: len(content) for path, content in contents.items()})
        for path, content in contents.items():
            write_parts(place.create(path, len(content)).fd, [(0, content)])
        if publish:
            place.publish()
    return tuple(place.cleaned)
