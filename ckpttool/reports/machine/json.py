"""The JSON report; ``docs/json.md`` has the fields.

Only ASCII is written, and numbers are finite or strings (``"NaN"``).
"""

from __future__ import annotations

import json
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from math import isfinite
from typing import TYPE_CHECKING, Any, TextIO, Union

from ckpttool.findings.json_fields import report_document
from ckpttool.findings.results import Report

if TYPE_CHECKING:
    from ckpttool.comparison.result import Comparison
    from ckpttool.conversion.result import Conversions
    from ckpttool.findings.listing import Listings


def write(result: Union[Report, Listings, Conversions, Comparison], stream: TextIO) -> None:
    """Write the result of a command."""
    # not Report.to_dict(): it makes paths portable, and on a terminal they stay as typed
    dump(report_document(result) if isinstance(result, Report) else result.to_dict(), stream)


def dump(content: Any, stream: TextIO) -> None:
    """Write plain values as JSON."""
    text = _spelled(content, "\n")
    # A tensor's name must not make a line of a CI log a workflow command (::error::, ##[error]).
    # Neither occurs outside of strings, where parsers read the escapes as the same characters.
    text = text.replace("::", r"\u003a\u003a").replace("##[", r"\u0023\u0023[")
    stream.write(text + "\n")


def _spelled(value: Any, line: str) -> str:
    """Return the text of ``json.dumps(indent=2, allow_nan=False)``; ``line`` begins a new one.

    That has an encoder in C only without ``indent``, and takes three times as long with it.
    """
    if type(value) is str:
        return encode_basestring_ascii(value)
    if type(value) is int or (type(value) is float and isfinite(value)):
        return repr(value)
    if value is None:
        return "null"
    if value and type(value) is dict:
        inner = f"{line}  "
        rows = [f"{_name(key)}: {_spelled(item, inner)}" for key, item in value.items()]
        return f"{{{inner}{f',{inner}'.join(rows)}{line}}}"
    if value and type(value) is list:
        inner = f"{line}  "
        return f"[{inner}{f',{inner}'.join([_spelled(item, inner) for item in value])}{line}]"
    return json.dumps(value, allow_nan=False)


@lru_cache(maxsize=1024)  # the fields are the same in every row
def _name(key: str) -> str:
    return encode_basestring_ascii(key)
