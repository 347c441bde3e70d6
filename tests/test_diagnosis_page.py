"""The screens of docs/diagnosis.md are what verify says of the files of the tests."""

from __future__ import annotations

import sys

import pytest

from docs.make_diagnosis import PAGE, page


# random numbers and what torch.save writes may differ between releases of torch
@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="made with the torch of one Python")
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")
def test_the_screens_are_up_to_date() -> None:
    """Run ``make docs`` when this fails."""
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text
