"""The JSON report; ``docs/json.md`` has the fields.

Only ASCII is written, and numbers are finite or strings (``"NaN"``).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TextIO, Union

from ckpttool.findings.json_fields import report_document
from ckpttool.findings.results import Report
from ckpttool.findings.text import without_commands

if TYPE_CHECKING:
    from ckpttool.comparison.result import Comparison
    from ckpttool.conversion.result import Conversions
    from ckpttool.findings.listing import Listings
    from ckpttool.proof.result import Proof


def write(result: Union[Report, Listings, Conversions, Comparison, Proof], stream: TextIO) -> None:
    """Write the result of a command."""
    # not Report.to_dict(): it makes paths portable, and on a terminal they stay as typed
    dump(report_document(result) if isinstance(result, Report) else result.to_dict(), stream)


def dump(content: Any, stream: TextIO) -> None:
    """Write plain values as JSON."""
    text = json.dumps(content, indent=2, ensure_ascii=True, allow_nan=False)
    # A tensor's name must not make a line of a CI log a command (::error::, ##vso[task.complete]).
    # None occurs outside of strings, where parsers read the escapes as the same characters.
    stream.write(without_commands(text, r"\u00") + "\n")
