"""Faults of ckpttool that mutated files brought to light, and the tests that hold them mended."""

from __future__ import annotations

from typing import NamedTuple, Tuple


class Found(NamedTuple):
    """A fault.

    Attributes:
        parser: whose inputs showed it.
        what: what was wrong, in a sentence.
        test: the test, as ``file::name`` below ``tests/``.
    """

    parser: str
    what: str
    test: str


_HEADER = "ckpttool/formats/safetensors/test_whole.py::test_a_defect_is_refused_with_its_rule"

FOUND: Tuple[Found, ...] = (
    Found(
        "header",
        "A file was read that the format's library refuses: a further key of a tensor had a number "
        "beyond 64 bits, such as `1e400`.",
        _HEADER,
    ),
    Found(
        "header",
        "Millions of values in a further key of a tensor took seconds to skip.",
        _HEADER,
    ),
    Found(
        "header",
        "A text longer than the limit was called malformed, where a limit was reached.",
        _HEADER,
    ),
    Found(
        "header",
        "`numpy()` of a tensor without elements failed with numpy's own error where its other "
        "sizes were too large.",
        "ckpttool/tensors/test_in_memory.py::"
        "test_sizes_beside_a_zero_that_numpy_cannot_hold_are_an_error_of_ours",
    ),
)
