"""A model small enough for every test, and what the oldest libraries cannot write or read."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Generator

import pytest

from mae.config import CONFIGS
from tests.builders.repository import ROOT
from tests.builders.sizes import TINY

#: What tests are told by a torch before 2.1, without floats of 8 bits, and by the releases of
#: safetensors of its time; and the reason why they are skipped.
_TOO_OLD = {
    r"module 'torch' has no attribute 'float[48]_\w+'": "this torch has no such type",
    r"Error while deserializing header: InvalidHeaderDeserialization": (
        "this release of safetensors has no such type"
    ),
    r"Internal error: NestedTensorImpl doesn't support sizes": (
        "this torch cannot save nested tensors"
    ),
    r"\s*Some tensors share memory,": "this release of safetensors takes all empty tensors for one",
}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> str:
    """The small model, known to the tool by its name."""
    monkeypatch.setitem(CONFIGS, "tiny", TINY)
    return "tiny"


@pytest.hookimpl(hookwrapper=True)
def pytest_pyfunc_call() -> Generator[None, Any, None]:
    """Skip what libraries are too old for, if it was the test that asked them, not ckpttool."""
    outcome = yield
    if outcome.excinfo is None or hasattr(sys.modules.get("torch"), "float8_e4m3fn"):
        return
    _, error, trace = outcome.excinfo
    for pattern, reason in _TOO_OLD.items():
        if re.match(pattern, str(error)) and not _is_in_the_code(trace):
            skipped = pytest.skip.Exception(reason, _use_item_location=True)
            outcome.force_exception(skipped)


def _is_in_the_code(trace: TracebackType | None) -> bool:
    while trace is not None:
        if ROOT / "ckpttool" in Path(trace.tb_frame.f_code.co_filename).parents:
            return True
        trace = trace.tb_next
    return False
