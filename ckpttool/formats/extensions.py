"""File names with the extension of another format, which mislead readers that go by the name."""

from __future__ import annotations

import re

from ckpttool.files.suffixes import SAFETENSORS, TORCH
from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding

# How the name of a format ends, as far as its reports say: what its files are called.
_ENDINGS = {
    "safetensors": SAFETENSORS,
    "torch": (*TORCH, ".th"),  # which other programs use, too: by itself it says nothing
}
# Formats that are not called after what their files are.
_WRITERS = {"deepspeed-zero": "torch"}
_ENDING = re.compile(r"\.[A-Za-z]+(?:\.tar)?\Z")


def remarks_on(path: str, format: str) -> tuple[Finding, ...]:  # noqa: A002 (a report's word)
    """Return the finding on a name with the extension of another format than ``format``.

    None for unknown extensions, ``.json`` of a shard index among them.
    """
    found = _ENDING.search(path)
    ending = found.group().lower() if found else ""
    family = _WRITERS.get(format, format.partition("-")[0])
    if not any(ending in endings for other, endings in _ENDINGS.items() if other != family):
        return ()
    return (
        finding(
            rules.OTHER_NAME,
            f"the name ends in {ending}, but the content is {format}",
            expected=f"a name that ends in {_ENDINGS[family][0]}",
            found=ending,
        ),
    )
