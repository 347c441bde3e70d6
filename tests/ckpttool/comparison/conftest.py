from __future__ import annotations

import pytest

from ckpttool.comparison.numbers import stretches


@pytest.fixture(autouse=True)
def _tiny_blocks_stand_for_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "SMALL", 1)
