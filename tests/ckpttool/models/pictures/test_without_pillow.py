"""Without Pillow, the extra ``images``: an image is refused, and nothing else."""

from __future__ import annotations

import re
import sys

import pytest

from ckpttool.findings.errors import UsageError
from ckpttool.models.pictures.images import read_images


def test_without_pillow_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(UsageError, match=re.escape("pip install 'ckpttool[images]'")):
        read_images(["cat.png"])


def test_without_an_image_pillow_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert read_images([]) == ()
