"""The project's configuration: ``[tool.ckpttool]`` of ``pyproject.toml``, or ``ckpttool.toml``.

The nearest file from the working directory upward counts; a ``pyproject.toml`` without that
table is passed over. In ``ckpttool.toml`` the same keys stand at the top.
"""

from __future__ import annotations

import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from ckpttool.errors import UsageError

#: The files that are looked for in every folder, in this order.
FILES = ("ckpttool.toml", "pyproject.toml")

# Beyond this many bytes a file is not somebody's configuration.
_MAX_SIZE = 1_000_000


class Configuration(NamedTuple):
    """What a project says of itself.

    Attributes:
        path: the file that says so.
        checkpoint: the checkpoint that commands without an argument take, relative to the
            working directory where it lies below that; ``None`` if it is not set.
    """

    path: str
    checkpoint: str | None = None


def find_configuration(folder: str | None = None) -> Configuration | None:
    """Return the configuration that holds in a folder, the working directory by default.

    Raises:
        UsageError: the file is not valid TOML, or has a key that does not exist.
    """
    start = Path.cwd() if folder is None else Path(folder).absolute()
    for place in (start, *start.parents):
        for name in FILES:
            table = _table(place / name)
            if table is not None:
                return _configuration(place / name, table, start)
    return None


def _table(path: Path) -> dict[str, Any] | None:
    """Return our part of a file; ``None`` if there is no such file, or no such part."""
    try:
        if not path.is_file():
            return None
        if path.stat().st_size > _MAX_SIZE:
            raise UsageError("the configuration is too large", path=str(path))
        document = _parse(path.read_bytes(), path)
    except OSError as error:
        raise UsageError(
            f"the configuration cannot be read: {error.strerror}", path=str(path)
        ) from error
    if path.name != "pyproject.toml":
        return document
    tools = document.get("tool")
    table = tools.get("ckpttool") if isinstance(tools, dict) else None
    if table is not None and not isinstance(table, dict):
        raise UsageError("tool.ckpttool is not a table", path=str(path))
    return table


def _parse(content: bytes, path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"not valid TOML: {error}", path=str(path)) from error


def _configuration(path: Path, table: dict[str, Any], start: Path) -> Configuration:
    known = [field for field in Configuration._fields if field != "path"]
    for key in table:
        if key not in known:
            close = get_close_matches(key, known, 1)
            raise UsageError(
                f"the configuration has no key {key}",
                path=str(path),
                expected=", ".join(known),
                fix=f"Did you mean {close[0]}?" if close else "Take it out.",
            )
    checkpoint = table.get("checkpoint")
    if checkpoint is None:
        return Configuration(str(path))
    if not isinstance(checkpoint, str) or not checkpoint:
        raise UsageError("checkpoint is not the path of a file", path=str(path), found=checkpoint)
    whole = path.parent / checkpoint
    try:
        # shown to people and named in reports: shorter is better, and no machine's folders
        return Configuration(str(path), str(whole.relative_to(start)))
    except ValueError:
        return Configuration(str(path), str(whole))
