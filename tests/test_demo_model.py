"""The demo model in data/ is trained: the checks and a picture tell it from one that is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckpttool import verify
from ckpttool.findings.finding import Verdict
from ckpttool.findings.results import FileReport
from ckpttool.models.sample import write_sample
from tests.builders import extras
from tests.builders.repository import ROOT

DATA = ROOT / "data"
MODEL = "mae_vit_demo_patch8"
#: A picture that the model was not trained on, and one that it was.
PICTURES = [str(DATA / "chelsea.png"), str(DATA / "astronaut.png")]
#: What is said of weights that nobody has trained.
UNTRAINED = {"MOD001"}


@pytest.fixture(scope="module")
def trained() -> FileReport:
    extras.pillow()
    return verify(DATA / "mae_demo.pth", images=PICTURES).files[0]


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> FileReport:
    extras.pillow()
    path = tmp_path_factory.mktemp("untrained") / "sample.pth"
    write_sample(str(path), MODEL, full=True, seed=0)
    return verify(path, images=PICTURES).files[0]


def codes(file: FileReport) -> set[str]:
    return {one.rule.code for one in file.findings}


def test_the_demo_model_passes_with_nothing_but_its_container_to_note(trained: FileReport) -> None:
    assert (trained.verdict, codes(trained)) == (Verdict.PASS, {"SEC005"})
    assert trained.diagnosis is not None
    assert trained.diagnosis.model == MODEL
    assert trained.coverage is not None
    assert all(group.complete for group in trained.coverage.groups.values())
    assert trained.values is not None
    tables = trained.values.position_tables
    assert {name: table.kind for name, table in tables.items()} == {
        "pos_embed": "sin-cos",
        "decoder_pos_embed": "sin-cos",
    }


def test_a_sample_of_the_same_model_is_told_to_be_untrained(untrained: FileReport) -> None:
    assert codes(untrained) >= UNTRAINED


def test_the_demo_model_restores_pictures_better_than_their_mean_colour(
    trained: FileReport,
) -> None:
    unseen, seen = trained.reconstructions
    assert unseen.loss < 0.85 * unseen.constant_loss
    assert seen.loss < 0.55 * seen.constant_loss
    assert not unseen.normalised


def test_an_untrained_model_does_not(untrained: FileReport) -> None:
    for one in untrained.reconstructions:
        assert one.loss > one.constant_loss


def test_the_demo_model_is_small_enough_for_git() -> None:
    assert (DATA / "mae_demo.pth").stat().st_size < 4_000_000
    assert sum(Path(one).stat().st_size for one in PICTURES) < 100_000
