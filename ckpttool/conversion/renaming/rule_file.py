"""Rules in a file: renames, joins, splits and transposes as TOML; see ``docs/convert.md``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ckpttool.conversion.renaming.rules import Kind, Rule, Rules
from ckpttool.files.toml import parse_toml
from ckpttool.findings.errors import UsageError

# As a configuration: no table of names comes near it.
_MAX_SIZE = 1 << 20
_PREFIXES = "strip-prefix"
# Which sides of a rule are several names.
_SEVERAL = {Kind.JOIN: ("from",), Kind.SPLIT: ("to",)}


def read_rules(path: str) -> Rules:
    """Return the rules in a file: joins, splits and transposes first, then renames.

    Raises:
        UsageError: it cannot be read, or is no such file.
    """
    try:
        if not Path(path).is_file():
            raise UsageError("there is no such file of rules", path=path)
        if Path(path).stat().st_size > _MAX_SIZE:
            raise UsageError("the file of rules is too large", path=path)
        content = Path(path).read_bytes()
    except OSError as error:
        raise UsageError(
            f"the file of rules cannot be read: {error.strerror}", path=path
        ) from error
    document = parse_toml(content, path)
    try:
        return _rules(document)
    except UsageError as error:
        error.path = path
        raise


def _rules(document: dict[str, Any]) -> Rules:
    # a rename speaks of many tensors ('net.*=*'), and of several rules the first counts
    kinds = (Kind.JOIN, Kind.SPLIT, Kind.TRANSPOSE, Kind.RENAME)
    known = (_PREFIXES, *(kind.value for kind in kinds))
    for key in document:
        if key not in known:
            raise UsageError("a key that does not exist", expected=", ".join(known), found=key)
    prefixes = document.get(_PREFIXES, [])
    rules = tuple(rule for kind in kinds for rule in _of_kind(kind, document.get(kind.value, [])))
    return Rules(_texts(prefixes, _PREFIXES), rules)


def _of_kind(kind: Kind, tables: Any) -> list[Rule]:
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise UsageError(f"{kind.value} is not a list of tables", fix=f"Write [[{kind.value}]].")
    found = []
    for number, table in enumerate(tables, 1):
        what = f"{kind.value} {number}"
        if set(table) != {"from", "to"}:
            raise UsageError(
                f"{what} needs from and to, and nothing else", found=", ".join(map(str, table))
            )
        before, after = (
            _texts(table[side], f"{side} of {what}")
            if side in _SEVERAL.get(kind, ())
            else (_text(table[side], f"{side} of {what}"),)
            for side in ("from", "to")
        )
        if kind in _SEVERAL and max(len(before), len(after)) < 2:
            raise UsageError(f"{what} is of one part", fix="Write it as a rename.")
        found.append(Rule(kind, before, after))
    return found


def _texts(value: object, what: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise UsageError(f"{what} is not a list of names", found=str(value))
    return tuple(_text(one, what) for one in value)


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{what} is not a name", found=str(value))
    return value
