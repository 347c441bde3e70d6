from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ckpttool.findings.finding import Finding
from ckpttool.formats import open_checkpoint
from ckpttool.verification.checks.wasted_bytes import check_wasted_bytes
from ckpttool.verification.options import Thresholds
from tests.builders import checkpoints, sharing
from tests.builders import evidence as built
from tests.builders import torch_files as tf

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")


def on_file(path: Path, **limits: float) -> list[Finding]:
    with open_checkpoint(str(path)) as checkpoint:
        evidence = built.evidence(built.trained())._replace(
            checkpoint=checkpoint, limits=Thresholds(**limits)
        )
        return list(check_wasted_bytes(evidence))


def findings(folder: Path, content: object, zipped: bool = True) -> list[Finding]:
    path = folder / "w.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return on_file(path)


BIG = torch.arange(1000, dtype=torch.float32).reshape(100, 10)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    ("view", "wasted"),
    [
        pytest.param(BIG[:1], "3,960 bytes (3.96 kB)", id="a row"),
        pytest.param(BIG[:, :1], "3,600 bytes (3.60 kB)", id="a column"),
        pytest.param(BIG[::2], "2,000 bytes (2.00 kB)", id="every second row"),
    ],
)
def test_the_bytes_that_no_tensor_shows_are_counted(
    tmp_path: Path, view: Any, wasted: str, zipped: bool
) -> None:
    (found,) = findings(tmp_path, {"w": view, "b": torch.ones(3)}, zipped)
    assert found.message.startswith(f"{wasted} of 1 storage belong to no tensor")
    assert found.tensors == ("w",)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({"w": BIG}, id="whole"),
        pytest.param({"w": BIG.t()}, id="transposed"),
        pytest.param({"w": BIG[1:], "v": BIG[:1]}, id="in two parts"),
        pytest.param({"w": BIG[1:], "v": BIG[:2]}, id="in parts that overlap"),
        pytest.param({"w": BIG.reshape(-1)[:995]}, id="half a percent"),
        pytest.param(sharing.expanded(), id="expanded"),
        pytest.param(sharing.tied(), id="tied"),
        pytest.param({"model": {"w": BIG}, "optimizer": {"m": BIG * 2}}, id="beside the weights"),
        pytest.param({"w": torch.empty(0, 3)}, id="empty"),
        pytest.param({"w": checkpoints.with_attributes(BIG, of=BIG * 2)}, id="an attribute"),
    ],
)
def test_a_storage_that_is_shown_is_quiet(tmp_path: Path, content: object) -> None:
    assert findings(tmp_path, content) == []


def test_the_share_is_the_policys(tmp_path: Path) -> None:
    torch.save({"w": BIG.reshape(-1)[:995]}, tmp_path / "w.pth")
    assert len(on_file(tmp_path / "w.pth", wasted_share=0.001)) == 1


def test_a_storage_that_nothing_refers_to_is_found(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(tf.torch_zip(storages={"0": tf.FOUR_FLOATS, "7": bytes(100)}))
    (found,) = on_file(path)
    assert found.message == (
        "100 bytes (100 B) lie in 1 storage that nothing in the pickle refers to"
    )


def test_what_a_tensor_that_is_not_read_refers_to_is_not_lost(tmp_path: Path) -> None:
    assert findings(tmp_path, {"w": BIG, "mask": torch.eye(40).to_sparse()}) == []


def test_the_storages_of_a_tar_are_known(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(tf.torch_tar(tensors=tf.tar_tensors(shape=(2,))))
    (found,) = on_file(path)
    assert found.message.startswith("8 bytes (8 B) of 1 storage belong to no tensor")
