"""Models of transformers of all families: no fault is found where there is none, and each is named.

Ten run with every test. All of them have the mark ``slow``: ``pytest -m slow``.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from shutil import copytree
from typing import Callable, List

import pytest

import ckpttool
from ckpttool import FileReport, Severity, Verdict
from tests.builders.architectures import (
    ARCHITECTURES,
    DIFFERENT,
    INDEX,
    WHOLE,
    names_in,
    reshaped,
    save,
    shards_of,
    without,
)

pytest.importorskip("transformers")

#: Of any such folder: no licence, no card, vectors as initialised, a table that all layers repeat.
EXPECTED = {"HUB010", "HUB011", "NUM005", "NUM008"}

each = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in DIFFERENT else [pytest.mark.slow])
        for name in ARCHITECTURES
    ],
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return what saves an architecture, once for all tests."""
    home = tmp_path_factory.mktemp("architectures")

    def save_once(name: str, *, in_shards: bool = False) -> Path:
        folder = home / f"{name}{' in shards' if in_shards else ''}"
        if not folder.exists():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of transformers on its own code
                save(ARCHITECTURES[name], folder, in_shards=in_shards)
        return folder

    return save_once


def verified(folder: Path, schema: Path) -> FileReport:
    (report,) = ckpttool.verify(folder, schema=schema).files
    return report


def codes(report: FileReport) -> List[str]:
    """Return the codes of what was found beside the expected."""
    return [found.rule.code for found in report.findings if found.rule.code not in EXPECTED]


@each
def test_a_folder_as_saved_has_no_fault(saved: Callable[..., Path], name: str) -> None:
    report = verified(saved(name), saved(name, in_shards=True) / INDEX)
    assert codes(report) == []
    assert report.verdict is Verdict.PASS
    assert not [one for one in report.findings if one.severity is Severity.ERROR]


@each
def test_a_folder_in_shards_has_no_fault(saved: Callable[..., Path], name: str) -> None:
    report = verified(saved(name, in_shards=True), saved(name) / WHOLE)
    assert (report.path[-len(INDEX) :], codes(report)) == (INDEX, [])


@each
def test_one_tensor_that_is_gone_is_named(
    saved: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    folder = Path(copytree(saved(name), tmp_path / "folder"))
    names = names_in(folder)
    gone = names[len(names) // 2]
    without(folder, [gone])
    report = verified(folder, saved(name) / WHOLE)
    assert codes(report) == ["STR022"]
    assert report.findings[0].tensors == (gone,)


@each
def test_one_shape_that_changed_is_named(
    saved: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    folder = Path(copytree(saved(name), tmp_path / "folder"))
    names = names_in(folder)
    changed = names[len(names) // 3]
    reshaped(folder, changed)
    report = verified(folder, saved(name) / WHOLE)
    assert codes(report) == ["STR005"]
    assert report.findings[0].tensors == (changed,)


@each
def test_one_shard_that_is_gone_is_named(
    saved: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    folder = Path(copytree(saved(name, in_shards=True), tmp_path / "folder"))
    gone = shards_of(folder)[1]
    gone.unlink()
    report = verified(folder, saved(name) / WHOLE)
    assert codes(report) == ["FIL401"]
    assert report.verdict is Verdict.FAIL
    assert report.findings[0].message.endswith(
        f"1 of {len(shards_of(folder))} shards not there: {gone.name}"
    )
