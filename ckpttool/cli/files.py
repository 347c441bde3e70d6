"""Files that a command writes beside its report: all of them whole, or none.

Whatever stood there is replaced only when everything is written. So what takes minutes can try
its files first: a folder that is not there is then said before, not after.
"""

from __future__ import annotations

from typing import Mapping

from ckpttool.cli.console import say


def write_files(contents: Mapping[str, bytes], *, sync: bool = False) -> None:
    """Write files, by path.

    Args:
        contents: what belongs into each.
        sync: whether they must be on the disk before they get their names.

    Raises:
        OutputError: one cannot be written; what stood there before is untouched.
    """
    _write(contents, sync, publish=True)


def try_files(*paths: str) -> None:
    """Do everything that :func:`write_files` does, but leave no file behind.

    Raises:
        OutputError: one cannot be written.
    """
    _write(dict.fromkeys(paths, b""), sync=False, publish=False)


def _write(contents: Mapping[str, bytes], sync: bool, publish: bool) -> None:
    """Write files under temporary names; give them their own, or take them away."""
    from ckpttool.files.destination import Destination
    from ckpttool.files.positional import write_parts

    with Destination(force=True, sync=sync) as place:
        place.check({path: len(content) for path, content in contents.items()})
        for path, content in contents.items():
            write_parts(place.create(path, len(content)).fd, [(0, content)])
        if publish:
            place.publish()
    for path in place.cleaned:
        say(f"cleaned up {path}: left by a run that was killed")
