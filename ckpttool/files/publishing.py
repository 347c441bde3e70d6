"""Files that are written beside a result: all of them whole, or none.

Whatever stood there is replaced only when everything is written. So what takes minutes can try
its files first: a folder that is not there is then said before, not after.
"""

from __future__ import annotations

import os
import stat
from typing import Mapping

from ckpttool.files.destination import Destination
from ckpttool.files.positional import unwritable
from ckpttool.files.temporary import repeated


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


def clean_beside(path: str) -> tuple[str, ...]:
    """Clean up what killed runs left beside a file, which may then need no writing."""
    with Destination() as place:
        place.clean((path,))
    return tuple(place.cleaned)


def head_at(path: str, most: int) -> bytes | None:
    """Return the first bytes of what a file may replace; ``None`` if nothing is there.

    Of what is no regular file there are none.

    Raises:
        OutputError: it cannot be looked at.
    """
    try:
        if not stat.S_ISREG(repeated(os.stat, path).st_mode):
            return b""
        with open(path, "rb") as file:
            return file.read(most)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # writing says what is wrong
        return None
    except OSError as error:
        raise unwritable(error, "be replaced", path=path) from error


def is_there(path: str) -> bool:
    """Whether something has a name, be it a link to nothing.

    Raises:
        OutputError: it cannot be looked at.
    """
    try:
        repeated(os.lstat, path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError as error:
        raise unwritable(error, path=path) from error
    return True


def _write(contents: Mapping[str, bytes], sync: bool, publish: bool) -> tuple[str, ...]:
    """Write files under temporary names; give them their own, or take them away."""
    with Destination(force=True, sync=sync) as place:
        place.clean(contents)
        place.check({path: len(content) for path, content in contents.items()})
        for path, content in contents.items():
            place.write(path, content)
        if publish:
            place.publish()
    return tuple(place.cleaned)
