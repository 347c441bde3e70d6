"""A model small enough for every test, known to the tool as ``tiny``."""

from __future__ import annotations

import pytest

from mae.config import CONFIGS
from tests.builders.sizes import TINY


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(CONFIGS, "tiny", TINY)
    return "tiny"
