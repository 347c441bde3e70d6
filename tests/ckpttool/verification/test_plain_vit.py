"""A ViT whose folder says that it is one is not held to be an MAE with a wrong table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import ckpttool
from ckpttool.findings import rules
from ckpttool.findings.rules import Severity
from tests.builders import checkpoints, kinds

if TYPE_CHECKING:
    from pathlib import Path

    from ckpttool.findings.finding import Finding


def found(folder: Path, config: object, model: str = "auto") -> Finding:
    path = checkpoints.saved(folder, kinds.learned, "w.pth")
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    report = ckpttool.verify([path], forward=False, model=model)
    (one,) = [one for one in report.files[0].findings if one.rule is rules.LEARNED_POSITIONS]
    return one


def test_a_folder_that_says_so_has_a_vit(tmp_path: Path) -> None:
    one = found(tmp_path, {"model_type": "vit"})
    assert one.severity is Severity.NOTE
    assert one.message.endswith("and config.json says that it is none")


@pytest.mark.parametrize("config", [None, {}, {"model_type": "vit_mae"}], ids=str)
def test_without_that_it_is_no_mae(config: object, tmp_path: Path) -> None:
    assert found(tmp_path, config).severity is Severity.ERROR


def test_an_mae_that_was_asked_for_is_not_there(tmp_path: Path) -> None:
    one = found(tmp_path, {"model_type": "vit"}, "mae_vit_large_patch16")
    assert one.severity is Severity.ERROR
