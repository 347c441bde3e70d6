r"""The report that a machine reads; its fields are documented in ``docs/json.md``.

Only ASCII is written, numbers are finite or strings (``"NaN"``), and ``::`` and ``##[`` are
broken up by escapes, so that no line can be a workflow command of a CI system whatever a
tensor is called. Any JSON parser gives the names back as they were.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TextIO, Union

from ckpttool.findings.json_fields import report_document
from ckpttool.findings.results import Report

if TYPE_CHECKING:
    from ckpttool.comparison.result import Comparison
    from ckpttool.conversion.result import Conversions
    from ckpttool.findings.listing import Listings


def write(result: Union[Report, Listings, Conversions, Comparison], stream: TextIO) -> None:
    """Write the result of a command; that of ``verify`` with the paths as it has them."""
    dump(report_document(result) if isinstance(result, Report) else result.to_dict(), stream)


def dump(content: Any, stream: TextIO) -> None:
    """Write plain values as JSON."""
    text = json.dumps(content, indent=2, ensure_ascii=True, allow_nan=False)
    # neither pair occurs outside of strings, where the escape means the same characters
    text = text.replace("::", r"\u003a\u003a").replace("##[", r"\u0023\u0023[")
    stream.write(text + "\n")
