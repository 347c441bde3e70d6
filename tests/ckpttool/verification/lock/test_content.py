"""How far outputs are apart, and which checkpoint of a lock file is meant."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from ckpttool.findings.results import OutputSummary
from ckpttool.verification.lock.content import Lock, distance, name_from
from tests.builders import locks as built


def far(changed: OutputSummary) -> float:
    return distance({"features": built.output()}, {"features": changed})


def test_equal_outputs_are_no_distance_apart() -> None:
    assert far(built.output()) == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"mean": 0.35},
        {"std": 1.1},
        {"min": -3.1},
        {"max": 2.9},
    ],
    ids=lambda fields: str(*fields),
)
def test_a_distance_is_in_parts_of_the_root_mean_square(fields: dict[str, float]) -> None:
    assert far(built.output(**fields)) == pytest.approx(0.1 / math.hypot(0.25, 1.0))


def test_a_projection_counts_as_well() -> None:
    moved = built.output()._replace(projection=(0.5, -1.0))
    assert far(moved) == pytest.approx(0.5 / math.hypot(0.25, 1.0))


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"features": built.output(max=math.nan)}, id="NaN"),
        pytest.param({"features": built.output(max=math.inf)}, id="infinity"),
        pytest.param({"features": built.output()._replace(shape=(2, 5, 17))}, id="a shape"),
        pytest.param({"features": built.output()._replace(projection=(0.5,))}, id="a number less"),
        pytest.param({}, id="no output"),
        pytest.param({"pred": built.output()}, id="another output"),
    ],
)
def test_what_cannot_be_compared_is_infinitely_far(changed: dict[str, OutputSummary]) -> None:
    assert distance({"features": built.output()}, changed) == math.inf


def test_a_constant_zero_has_no_size_to_compare_with() -> None:
    flat = built.output()._replace(mean=0.0, std=0.0)
    assert distance({"features": flat}, {"features": flat}) == math.inf


# --- which checkpoint is meant ---------------------------------------------------------------

OTHER = "ckpt1:" + "00" * 32
TWO = Lock(
    "ckpttool.lock",
    (
        built.checkpoint("data/a.pth"),
        built.checkpoint("model.safetensors.index.json")._replace(fingerprint=OTHER),
    ),
)


@pytest.mark.parametrize(
    ("path", "fingerprint", "name"),
    [
        pytest.param("data/a.pth", None, "data/a.pth", id="its path"),
        pytest.param("x.pth", OTHER, "model.safetensors.index.json", id="its weights"),
        pytest.param("converted/a.safetensors", None, "data/a.pth", id="its name, packed anew"),
        pytest.param("model.pth", None, "model.safetensors.index.json", id="a name, merged"),
        pytest.param("data/a.pth", OTHER, "data/a.pth", id="its path before its weights"),
    ],
)
def test_a_checkpoint_is_found(path: str, fingerprint: str | None, name: str) -> None:
    found = TWO.of(path, fingerprint)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize("name", ["m.pth.tar", "M.PTH", "m.safetensors", "m.bin.index.json"])
def test_however_it_is_packed_it_is_the_same_checkpoint(name: str) -> None:
    lock = Lock("ckpttool.lock", (built.checkpoint(name), built.checkpoint("other.pth")))
    assert lock.of(name[0] + ".ckpt", None) is lock.checkpoints[0]


def test_a_checkpoint_that_is_not_locked_is_not_found() -> None:
    assert TWO.of("b.pth", None) is None


# --- weights under another name, wherever the folder lies ------------------------------------

SIZES = Lock(
    "repo/ckpttool.lock",
    tuple(
        built.checkpoint(name)._replace(fingerprint=f"ckpt1:{number:064x}")
        for number, name in enumerate(("base/m.pth", "large/m.pth", "large/m.safetensors", "x.pth"))
    ),
)


@pytest.mark.parametrize(
    ("path", "weights_of", "name"),
    [
        pytest.param("/copy/large/m.pth", 0, "large/m.pth", id="a copy of the folder elsewhere"),
        pytest.param("large/m.pth", 0, "large/m.pth", id="from another working folder"),
        pytest.param("/copy/x.pth", 1, "x.pth", id="a copy of the file elsewhere"),
        pytest.param("/copy/x.safetensors", 1, "x.pth", id="a copy that is packed anew"),
        pytest.param("/copy/base/m.bin", 1, "base/m.pth", id="the same in a folder"),
        pytest.param("/copy/huge/m.pth", 1, "large/m.pth", id="a renamed folder, by its weights"),
        pytest.param("/copy/other.pth", 1, "large/m.pth", id="a renamed file, by its weights"),
    ],
)
def test_a_name_counts_before_weights(path: str, weights_of: int, name: str) -> None:
    found = SIZES.of(path, SIZES.checkpoints[weights_of].fingerprint)
    assert found is not None
    assert found.name == name


def test_weights_of_another_name_are_not_taken_for_those_of_a_renamed_folder() -> None:
    """Two entries are called so; the weights are those of a third, which has another name."""
    assert SIZES.of("/copy/huge/m.pth", SIZES.checkpoints[3].fingerprint) is None


def test_the_only_checkpoint_is_meant_by_every_path() -> None:
    assert Lock("x", TWO.checkpoints[:1]).of("whatever.pth", None) == TWO.checkpoints[0]


def test_a_name_is_relative_to_the_lock_file_or_has_no_folder(tmp_path: Path) -> None:
    lock = str(tmp_path / "ckpttool.lock")
    assert name_from(lock, str(tmp_path / "data" / "a.pth")) == "data/a.pth"
    assert name_from(lock, str(tmp_path.parent / "a.pth")) == "a.pth"
    assert name_from(lock, str(tmp_path / ".." / "a.pth")) == "a.pth"
    assert name_from(lock, str(tmp_path / "x" / ".." / "data" / "a.pth")) == "data/a.pth"
