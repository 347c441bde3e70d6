"""What differs between two runs or two machines, and is not compared."""

from __future__ import annotations

import re
from typing import Tuple

#: Patterns, and the word that stands for whatever they match. All else is compared exactly.
VARYING: Tuple[Tuple[str, str], ...] = (
    # how long it took, and how fast that is
    (r"\b\d+(\.\d+)? (ms|s|min)\b", "TIME"),
    (r"\b\d+(\.\d+)? [kMG]B/s\b", "RATE"),
    # what a model computes: processors round sums differently
    (r"\b(mean|std) -?[\d.]+(e-?\d+)?", r"\1 NUMBER"),
    (r"from -?[\d.]+(e-?\d+)? to -?[\d.]+(e-?\d+)?", "from NUMBER to NUMBER"),
    (r"differ by up to [\d.]+(e-?\d+)?", "differ by up to NUMBER"),
    (r"\b(residual|loss|mean colour:) [\d.]+(e-?\d+)?", r"\1 NUMBER"),
    (r"\d+ % of the mean colour's, the other way \d+ %", "PART of the mean colour's"),
    (r"outputs [\de.-]+ from the locked", "outputs NUMBER from the locked"),
    (r"within the tolerance of [\de.-]+", "within the tolerance of NUMBER"),
    # releases of packages
    (
        r"\b(ckpttool|torch|numpy|transformers|safetensors|Python) \d+(\.\w+)+(\+\w+)?",
        r"\1 VERSION",
    ),
)


def constant(text: str) -> str:
    """Return a text with a word in the place of whatever may vary."""
    for pattern, word in VARYING:
        text = re.sub(pattern, word, text)
    return text
