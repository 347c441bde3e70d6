from __future__ import annotations

import pytest

from ckpttool.comparison.numbers import blocks


@pytest.fixture(autouse=True)
def _tiny_blocks_stand_for_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_QUICK", 1)
