"""A folder as one tree, for a person."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.builders import checkpoints, pipelines, releases
from tests.builders.commands import invoke

if TYPE_CHECKING:
    from pathlib import Path


def inspected(*arguments: object) -> str:
    return invoke("inspect", *map(str, arguments)).out


def line_of(text: str, name: str) -> str:
    (line,) = [line for line in text.splitlines() if line.lstrip().startswith(name)]
    return " ".join(line.split())


def test_a_pipeline_is_one_tree_with_what_each_folder_is(tmp_path: Path) -> None:
    text = inspected(pipelines.pipeline(tmp_path))
    first = text.splitlines()[0]
    assert "StableDiffusionPipeline · 3 checkpoints · 6 tensors · 1,300 parameters" in first
    assert line_of(text, "unet/").startswith("unet/ UNet2DConditionModel 1,000 4.")
    assert line_of(text, "scheduler/").startswith("scheduler/ PNDMScheduler 32 B")
    assert text.count("safetensors, float32") == 3
    assert "vocab.json" in text


def test_the_bytes_of_a_folder_are_those_of_all_its_files(tmp_path: Path) -> None:
    folder = pipelines.pipeline(tmp_path)
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert f"· {total / 1000:.2f} kB" in inspected(folder).splitlines()[0]


def test_files_are_shown_in_full_only_if_that_is_asked_for(tmp_path: Path) -> None:
    folder = pipelines.pipeline(tmp_path)
    text = inspected(folder)
    assert "conv.weight" not in text
    assert "One file in full: ckpttool inspect FILE; all of them: --all." in text
    for options in (["--all"], ["--depth", "3"], ["--sort", "size"], ["--include", "*weight"]):
        assert "float32 [500]" in inspected(*options, folder)


def test_the_one_checkpoint_of_a_folder_is_shown_in_full(tmp_path: Path) -> None:
    releases.release(tmp_path)
    text = inspected(tmp_path)
    assert "2 x 12 tensors" in text
    assert "One file in full" not in text


def test_shards_are_a_part_of_their_index(tmp_path: Path) -> None:
    releases.shards(tmp_path)
    text = inspected(tmp_path)
    assert "(2 files) each a shard of model.safetensors.index.json" in line_of(text, "(2 files)")
    total = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert f"· {total / 1000:.1f} kB" in text.splitlines()[0]


def test_what_is_wrong_with_a_file_is_said_below_the_tree(tmp_path: Path) -> None:
    folder = pipelines.pipeline(tmp_path)
    path = checkpoints.saved(folder / "unet", checkpoints.attack_beside, "evil.bin")
    done = invoke("inspect", str(folder))
    assert done.code == 1
    assert done.out.splitlines()[0].split()[1] == "FAIL"
    assert "evil.bin FAIL, torch-zip" in line_of(done.out, "evil.bin")
    assert f"FAIL {path}" in done.out
    assert "SEC001" in done.out


def test_hostile_names_of_classes_and_folders_are_escaped(tmp_path: Path) -> None:
    folder = pipelines.pipeline(tmp_path, _class_name="A\x1b[2J\u202e")
    (folder / "x\x1b[2Jy").mkdir()
    (folder / "x\x1b[2Jy" / "a.txt").write_text("text", encoding="utf-8")
    text = inspected(folder)
    assert "A\\x1b[2J\\u202e" in text
    assert "x\\x1b[2Jy/" in text
    assert "\x1b" not in text


def test_many_other_files_are_counted_by_kind(tmp_path: Path) -> None:
    folder = pipelines.pipeline(tmp_path)
    for number in range(30):
        (folder / f"{number}.txt").write_text("text", encoding="utf-8")
    text = inspected(folder)
    assert line_of(text, "(31 files)").startswith("(31 files) 30 text, 1 JSON")
    assert "7.txt" not in text


def test_json_says_what_folders_are_for(tmp_path: Path) -> None:
    folder = pipelines.pipeline(tmp_path)
    found = json.loads(invoke("inspect", "--format", "json", str(folder)).out)["components"]
    assert {
        "folder": f"{folder}/vae",
        "what": "AutoencoderKL",
        "said_by": "model_index.json",
    } in found


def test_folders_in_each_other_without_end_are_no_deep_tree(tmp_path: Path) -> None:
    folder = pipelines.pipeline(tmp_path)
    deep = folder.joinpath(*"d" * 200)
    deep.mkdir(parents=True)
    (deep / "a.txt").write_text("text", encoding="utf-8")
    text = inspected(folder)
    assert "d/d/a.txt" in text
    assert max(len(line) - len(line.lstrip()) for line in text.splitlines()) < 100


def test_a_file_that_cannot_be_read_stands_in_the_tree_and_below_it(tmp_path: Path) -> None:
    folder = pipelines.pipeline(tmp_path)
    (folder / "vae" / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    text = inspected(folder)
    assert line_of(text, "cut.safetensors").startswith("cut.safetensors FAIL")
    assert "FAIL " in text.splitlines()[0]
    assert f"FAIL {folder / 'vae' / 'cut.safetensors'}" in text
