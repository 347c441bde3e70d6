"""A folder of parts is one checkpoint for every command, whatever it is named by."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import pytest
import safetensors.torch
import torch

import ckpttool
from ckpttool.findings.inventory import Standing
from ckpttool.inputs.paths import SearchOptions, targets_of
from tests.builders import distributed
from tests.builders.commands import invoke

pytestmark = pytest.mark.skipif(not distributed.LISTS, reason="this torch lists them elsewhere")

FOLDERS = {"dcp": distributed.good, "parts": distributed.good_parts}


@pytest.fixture(params=FOLDERS)
def build(request: pytest.FixtureRequest) -> Callable[[Path], Path]:
    return FOLDERS[request.param]


def same_tensors(folder: Path) -> dict[str, torch.Tensor]:
    with ckpttool.open_checkpoint(folder) as checkpoint:
        return {name: info.torch() for name, info in checkpoint.items()}


def test_a_folder_has_one_target_and_the_other_files_are_its_parts(
    tmp_path: Path, build: Callable[[Path], Path]
) -> None:
    path = build(tmp_path / "c")
    found = targets_of([str(tmp_path)])
    assert [target.path for target in found.targets] == [str(path)]
    assert {item.standing for item in found.items} == {Standing.PART}


def test_a_changed_part_stands_for_the_whole(tmp_path: Path, build: Callable[[Path], Path]) -> None:
    path = build(tmp_path / "c")
    part = max(one for one in path.parent.iterdir() if one != path)
    found = targets_of([str(part)], choice=SearchOptions(whole=True))
    assert [target.path for target in found.targets] == [str(path)]


def test_it_is_converted_to_what_it_holds(tmp_path: Path, build: Callable[[Path], Path]) -> None:
    build(tmp_path / "c")
    tensors = same_tensors(tmp_path / "c")
    done = invoke("convert", str(tmp_path / "c"), "--to", "safetensors")
    assert done.code == 0, done.out
    written = tmp_path / "c.safetensors"
    stored = safetensors.torch.load_file(written)
    assert stored.keys() == tensors.keys()
    assert all(torch.equal(stored[name], tensor) for name, tensor in tensors.items())
    diff = invoke("diff", str(tmp_path / "c"), str(written))
    assert f"all {len(tensors)} tensors identical" in diff.out


def test_it_is_proven_to_be_the_source_and_a_schema(
    tmp_path: Path, build: Callable[[Path], Path]
) -> None:
    build(tmp_path / "c")
    out = str(tmp_path / "x.safetensors")
    assert invoke("convert", str(tmp_path / "c"), "--to", "safetensors", "-o", out).code == 0
    proof = invoke("prove", out, "--from", str(tmp_path / "c"))
    assert proof.code == 0
    assert "2 shards -> 1 file" in proof.out
    schema = ("--schema", str(tmp_path / "c"), "--no-forward")
    assert invoke("verify", out, *schema).code == 0


def test_shards_of_it_are_written_with_their_index(tmp_path: Path) -> None:
    distributed.good(tmp_path / "c")
    out = tmp_path / "out.safetensors"
    done = invoke(
        *("convert", str(tmp_path / "c"), "--to", "safetensors", "--max-shard-size", "50B"),
        *("-o", str(out)),
    )
    assert done.code == 0, done.out
    with ckpttool.open_checkpoint(f"{out}.index.json") as checkpoint:
        assert list(checkpoint) == ["weight", "bias", "scale"]


def test_without_an_output_the_result_has_the_name_of_the_folder(tmp_path: Path) -> None:
    distributed.good(tmp_path / "step-100")
    done = ckpttool.convert(tmp_path / "step-100", to="safetensors")
    assert done.destination == str(tmp_path / "step-100.safetensors")


def test_a_lock_of_it_holds_until_a_part_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    distributed.good(tmp_path / "c")
    terms = ("--no-forward", "--schema", "none")
    assert invoke("lock", "c", *terms, "-o", "ckpttool.lock").code == 0
    held = ("verify", "c", *terms, "--lock", "ckpttool.lock")
    assert invoke(*held).code == 0
    changed = tuple(
        one._replace(tensor=one.tensor + 1) if one.name == "model.scale" else one
        for one in distributed.PIECES
    )
    distributed.write(tmp_path / "c", changed)
    assert invoke(*held).code == 1


def test_stored_sums_of_assembled_tensors_are_compared(tmp_path: Path) -> None:
    path = distributed.good(tmp_path / "c")
    whole = (tmp_path / "c" / distributed.FILE).read_bytes()
    at = whole.index(distributed.WEIGHT[:2, :4].clone().numpy().tobytes())
    (tmp_path / "c" / distributed.FILE).write_bytes(whole[:at] + b"\xff" + whole[at + 1 :])
    # the local data are those of one chunk of four
    done = invoke("convert", str(path), "--to", "safetensors", "-o", str(tmp_path / "x"))
    assert done.code == 1
    assert "checksum" in done.out


def test_a_path_of_the_machine_in_it_is_private(tmp_path: Path) -> None:
    def change(told: object) -> None:
        from torch.distributed.checkpoint.metadata import StorageMeta

        told.storage_meta = StorageMeta(checkpoint_id="/home/somebody/runs/1")  # type: ignore[attr-defined]

    path = distributed.write(tmp_path / "c", change=change)
    done = invoke("verify", str(path), "--no-forward")
    assert "storage_meta.checkpoint_id" in done.out
    assert "/home/somebody" in done.out
