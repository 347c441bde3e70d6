"""``ckpttool convert`` on the command line: streams, exit codes, batches, the configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result
from safetensors.torch import load_file

from ckpttool.cli import main
from tests.builders import checkpoints as built
from tests.builders import quantized, sharing
from tests.builders.commands import runner
from tests.builders.repository import DOCS

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")


def run(*arguments: str) -> Result:
    return runner().invoke(main, ["convert", *arguments])


def saved(folder: Path, content: object, name: str = "weights.pth") -> Path:
    path = folder / name
    torch.save(content, path)
    return path


def report(*arguments: str) -> tuple[int, Any]:
    result = run(*arguments, "--format", "json")
    return result.exit_code, json.loads(result.stdout)


def test_the_first_line_says_that_it_is_written_and_proven(tmp_path: Path) -> None:
    path = built.saved(tmp_path, built.sound)
    result = run("--to", "safetensors", path)
    out = tmp_path / "weights.safetensors"
    assert result.exit_code == 0
    assert f"WRITTEN AND PROVEN {path} -> {out}  " in result.output.splitlines()[0]
    assert load_file(str(out)).keys() == built.state().keys()


def test_a_refusal_says_that_nothing_is_written(tmp_path: Path) -> None:
    path = built.saved(tmp_path, built.attack_beside)
    result = run("--to", "safetensors", path)
    assert result.exit_code == 1
    assert f"REFUSED, NOTHING WRITTEN {path}" in result.output.splitlines()[0]
    assert [one.name for one in tmp_path.iterdir()] == ["weights.pth"]


def test_another_layout_in_a_folder_is_called_as_its_loader_looks_for_it(tmp_path: Path) -> None:
    path = built.saved(tmp_path, built.encoder_only)
    (tmp_path / "hf").mkdir()
    result = run("--to", "safetensors", "--layout", "hf", "-o", str(tmp_path / "hf"), path)
    assert result.exit_code == 0
    assert f"{tmp_path / 'hf' / 'model.safetensors'}  38" in result.output.splitlines()[0]
    told = [line for line in result.output.splitlines() if line.strip().startswith("names ")]
    assert "of hf: 38 tensors with another name or other rows" in told[0]


def test_the_report_says_that_the_wrapper_is_gone(tmp_path: Path) -> None:
    path = built.saved(tmp_path, built.encoder_only)
    result = run("--to", "pth", "--layout", "mmseg", "-o", str(tmp_path / "mm.pth"), path)
    assert "the tensors lie at the root, as mmseg has them" in result.output
    kept = run("--to", "pth", "-o", str(tmp_path / "same.pth"), path)
    assert "the tensors lie under model, as they did" in kept.output


def test_renames_are_counted_with_what_they_join(tmp_path: Path) -> None:
    path = saved(tmp_path, {"net.a": torch.ones(2), "net.b": torch.ones(2)})
    (tmp_path / "r.toml").write_text('[[join]]\nfrom = ["a", "b"]\nto = "ab"\n')
    result = run(
        *("--to", "pth", "--strip-prefix", "net.", "--rename-file", str(tmp_path / "r.toml")),
        *("-o", str(tmp_path / "out.pth"), str(path)),
    )
    assert result.exit_code == 0
    assert "1 tensor with another name or other rows than in the source, 1 joined" in result.output


def test_an_existing_destination_exits_2(tmp_path: Path) -> None:
    path = built.saved(tmp_path, built.sound)
    assert run("--to", "pth", "-o", str(tmp_path / "out.pth"), path).exit_code == 0
    result = run("--to", "pth", "-o", str(tmp_path / "out.pth"), path)
    assert result.exit_code == 2
    assert "NOTHING WRITTEN" in result.output.splitlines()[0]
    assert run("--to", "pth", "-o", str(tmp_path / "out.pth"), "--force", path).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["weights.pth"], "--to", id="no target"),
        pytest.param(["--to", "onnx", "weights.pth"], "onnx", id="an unknown target"),
        pytest.param(["--to", "pth", "-"], "pipe", id="standard input"),
        pytest.param(["--to", "pth", "-o", "-", "weights.pth"], "pipe", id="standard output"),
        pytest.param(
            ["--to", "safetensors", "--max-shard-size", "5 apples", "w"], "5GB", id="size"
        ),
        pytest.param(["--to", "safetensors", "--metadata", "x", "w"], "KEY=VALUE", id="metadata"),
        pytest.param(["--to", "safetensors", "--layout", "onnx", "w"], "mmseg", id="a layout"),
        pytest.param(["--to", "safetensors", "--rename", "x", "w"], "PATTERN=NAME", id="rename"),
        pytest.param(
            ["--to", "pth", "--rename", "x=y", "--rename", "x=z", "w"],
            "two names",
            id="renamed twice",
        ),
        pytest.param(["--to", "safetensors", "--metadata", "x=\ud800", "w"], "text", id="no text"),
        pytest.param(["--to", "safetensors", "--dtype", "int8", "w"], "int8", id="dtype"),
        pytest.param(["--to", "safetensors", "--workers", "0", "w"], "workers", id="workers"),
    ],
)
def test_wrong_usage_exits_2(
    arguments: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    built.saved(tmp_path, built.sound, "w")
    result = run(*arguments)
    assert result.exit_code == 2
    assert told in result.stderr


# --- batches -----------------------------------------------------------------------------


def test_a_batch_goes_into_a_folder_and_the_worst_counts(tmp_path: Path) -> None:
    good = saved(tmp_path, {"w": torch.ones(1)}, "good.pth")
    other = saved(tmp_path, {"w": torch.ones(2)}, "other.pt")
    bad = saved(tmp_path, built.attack_beside(), "bad.pth")
    (tmp_path / "out").mkdir()
    result = run(
        "--to", "safetensors", "-o", str(tmp_path / "out"), str(good), str(bad), str(other)
    )
    assert result.exit_code == 1
    assert result.output.splitlines()[-1] == "3 files: 2 converted, 1 not"
    assert sorted(one.name for one in (tmp_path / "out").iterdir()) == [
        "good.safetensors",
        "other.safetensors",
    ]


def test_what_cannot_be_done_with_one_file_does_not_stop_the_others(tmp_path: Path) -> None:
    good = saved(tmp_path, {"model_ema": {"w": torch.ones(1)}}, "good.pth")
    other = saved(tmp_path, {"model": {"w": torch.ones(2)}}, "other.pth")
    code, told = report("--to", "safetensors", "--wrapper", "model_ema", str(other), str(good))
    assert code == 2
    assert [file["state"] for file in told["files"]] == ["not-written", "written"]
    assert told["files"][0]["findings"][0]["code"] == "CVT201"


# --- the configuration -------------------------------------------------------------------


def test_without_a_source_the_configured_checkpoint_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path, {"w": torch.ones(1)})
    (tmp_path / "pyproject.toml").write_text('[tool.ckpttool]\ncheckpoint = "weights.pth"\n')
    monkeypatch.chdir(tmp_path)
    result = run("--to", "safetensors")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "weights.safetensors").exists()


def test_without_a_source_and_a_configuration_it_is_wrong_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ckpttool.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    result = run("--to", "safetensors")
    assert result.exit_code == 2
    assert "nothing to look at: no path was given" in result.stderr


# --- globs and folders -------------------------------------------------------------------


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two checkpoints and a text in the folder ``runs``."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs"
    folder.mkdir()
    for name in ("b.pth", "a.pth"):
        saved(folder, {"w": torch.ones(1)}, name)
    (folder / "log.txt").write_text("epoch 1")
    return folder


@pytest.mark.parametrize("path", ["runs/*.pth", "**/[ab].pth", "runs"])
def test_a_glob_or_a_folder_stands_for_its_checkpoints(runs: Path, path: str) -> None:
    code, told = report("--to", "safetensors", path)
    assert code == 0
    assert [Path(file["path"]).as_posix() for file in told["files"]] == ["runs/a.pth", "runs/b.pth"]
    assert {one.name for one in runs.glob("*.safetensors")} == {"a.safetensors", "b.safetensors"}


def test_what_a_glob_matches_goes_to_one_folder(runs: Path, tmp_path: Path) -> None:
    result = run("--to", "safetensors", "-o", "one.safetensors", "runs/*.pth")
    assert result.exit_code == 2
    assert "several files need a folder" in result.stderr
    (tmp_path / "out").mkdir()
    assert run("--to", "safetensors", "-o", "out", "runs/*.pth").exit_code == 0
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_glob_that_matches_nothing_is_reported_beside_what_is_converted(runs: Path) -> None:
    code, told = report("--to", "safetensors", "runs/*.bin", "runs/a.pth")
    assert code == 2
    assert [file["state"] for file in told["files"]] == ["not-written", "written"]
    assert "no file matches" in told["files"][0]["findings"][0]["message"]
    assert (runs / "a.safetensors").exists()


def test_a_file_that_is_called_like_a_glob_is_that_file(runs: Path) -> None:
    (runs / "a.pth").rename(runs / "[ab].pth")
    code, told = report("--to", "safetensors", "runs/[ab].pth")
    assert (code, len(told["files"])) == (0, 1)
    assert (runs / "[ab].safetensors").exists()


def test_the_configuration_leaves_files_of_a_glob_out(runs: Path) -> None:
    Path("ckpttool.toml").write_text('exclude = ["b.*"]')
    _, told = report("--to", "safetensors", "runs/*.pth")
    assert [Path(file["path"]).name for file in told["files"]] == ["a.pth"]


def test_a_second_name_of_a_file_is_said_not_to_be_converted(runs: Path) -> None:
    (runs / "link.pth").symlink_to(runs / "a.pth")
    result = run("--to", "safetensors", "runs/a.pth", "runs/link.pth")
    assert result.exit_code == 0
    assert "runs/link.pth: not converted: the same file as runs/a.pth" in result.stderr


# --- JSON --------------------------------------------------------------------------------


def test_json_says_all_that_the_text_does(tmp_path: Path) -> None:
    content = {"model": sharing.tied(), "epoch": 3}
    path = saved(tmp_path, content)
    out = tmp_path / "weights.safetensors"
    code, told = report("--to", "safetensors", "--no-sync", str(path))
    (file,) = told["files"]
    assert (code, told["command"], told["exit_code"]) == (0, "convert", 0)
    assert (file["state"], file["to"], file["destination"]) == ("written", "safetensors", str(out))
    assert file["outputs"] == [
        {"path": str(out), "size": out.stat().st_size, "tensors": 2, "sha256": None}
    ]
    assert file["tied"] == {"lm_head.weight": "embed.weight"}
    assert file["left_out"] == [
        {"key": "epoch", "kind": "int", "summary": "3", "nbytes": 0, "sidecar": None}
    ]
    assert (file["proof"]["tensors"], file["proof"]["nbytes"]) == (2, 32)
    assert file["proof"]["checksums"] == 2
    assert (file["fingerprint"], file["source_fingerprint"]) == (None, None)
    assert [finding["code"] for finding in file["findings"]] == ["CVT203"]


def test_every_field_of_the_json_report_is_documented(tmp_path: Path) -> None:
    text = (DOCS / "json.md").read_text()
    section = text.partition("## `convert`")[2].partition("\n## ")[0]
    _, told = report("--to", "pth", built.saved(tmp_path, built.sound))
    fields = set(told["files"][0])
    missing = {name for name in fields if f"`{name}`" not in section}
    assert {name for name in missing if f"`{name}[]`" not in section} == set()


def test_hostile_names_are_escaped(tmp_path: Path) -> None:
    path = built.saved(tmp_path, built.hostile_name)
    result = run("--to", "safetensors", "--exclude", "norm.*", path)
    assert result.exit_code == 0
    named = run("--to", "pth", "--include", "\x1b*", "-o", str(tmp_path / "x.pth"), path)
    for text in (result.output, named.output):
        assert "\x1b" not in text
        assert "::error::" not in text


# --- what the first line says ------------------------------------------------------------


def first_line(path: object, *options: str) -> str:
    result = run("--to", "safetensors", "--no-sync", "--force", *options, str(path))
    assert result.exit_code == 0, result.output
    return result.stdout.rstrip().split("\n")[0]


@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["written", "planned"])
def test_the_first_line_says_which_tensors_are_not_in_it(
    tmp_path: Path, dry: tuple[str, ...]
) -> None:
    weights = {"a": torch.ones(4), "b": torch.ones(2)}
    moments = {"state": {0: {"exp_avg": torch.ones(8)}}}
    content = {"model": weights, "optimizer": moments, "epoch": 3}
    path = saved(tmp_path, content)
    told = first_line(path, "--exclude", "b", *dry)
    assert " · without 1 tensor left out by name · without 32 B of tensors beside" in told
    assert told.endswith("(optimizer)")


def test_the_first_line_says_nothing_where_everything_is_in_it(tmp_path: Path) -> None:
    path = saved(tmp_path, {"model": {"a": torch.ones(4)}, "epoch": 3})
    assert first_line(path).endswith("  1 tensor · 144 B")


def test_the_first_line_names_other_state_dicts_and_counts_the_rest(tmp_path: Path) -> None:
    others = {f"ema_{number}": {"a": torch.ones(4)} for number in range(6)}
    path = saved(tmp_path, {"model": {"a": torch.ones(4)}, **others})
    told = first_line(path, "--wrapper", "model")
    assert told.endswith(
        "96 B of tensors beside the weights (ema_0, ema_1, ema_2, ema_3 and 2 more)"
    )


def test_the_first_line_counts_no_more_than_was_looked_into(tmp_path: Path) -> None:
    others = {f"extra.{number}": {"t": torch.ones(1)} for number in range(1001)}
    path = saved(tmp_path, {"model": {"a": torch.ones(4)}, **others})
    assert "without at least 4.00 kB of tensors" in first_line(path, "--wrapper", "model")
    plain = {f"note.{number}": number for number in range(1001)}
    path = saved(tmp_path, {"model": {"a": torch.ones(4)}, **plain})
    assert "1 further entries beside the weights that were not looked into" in first_line(path)


def test_the_first_line_says_what_was_not_cast(tmp_path: Path) -> None:
    state, plain = quantized.nf4()
    path = saved(tmp_path, state)
    told = first_line(path, "--dtype", "bfloat16", "--dtype-except-quantized")
    assert told.endswith(
        f" · {len(state) - len(plain)} tensors of quantized weights or beside them not cast"
    )


def test_the_proof_says_what_cast_tensors_are_equal_to(tmp_path: Path) -> None:
    path = saved(tmp_path, {"a": torch.ones(4), "b": torch.arange(3)})
    whole = run("--to", "safetensors", "--no-sync", str(path)).stdout
    assert "every byte read back and equal to the source's;" in whole
    assert "; 2 stored CRC-32 sums compared;" in whole
    cast = run("--to", "pth", "--no-sync", "--dtype", "float16", str(path)).stdout
    assert "equal to the source's (1 to what the cast made of them);" in cast


def test_the_proof_says_what_resized_tables_are_equal_to(tmp_path: Path) -> None:
    path = built.saved(tmp_path, built.encoder_only)
    # 8 x 6 patches of 8 pixels
    result = run("--to", "safetensors", "--no-sync", "--resize-pos-embed", "64x48", path)
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    how = "sin-cos at 4 x 4, computed again at 8 x 6"
    assert f"resized pos_embed [1, 17, 16] -> [1, 49, 16]: {how}" in lines
    assert "equal to the source's (1 to what resizing made of them);" in result.stdout
    assert lines[0].endswith(" · 1 position table resized")


def test_an_entry_that_is_nothing_but_tensors_is_not_kept(tmp_path: Path) -> None:
    content = {
        "state_dict": {"w.a": torch.ones(4), "w.b": torch.ones(4)},
        "moments": {"of": [torch.zeros(2)]},
        "optimizer": {"state": {0: torch.zeros(2)}, "param_groups": [{"lr": 0.1}]},
        "epoch": 3,
    }
    torch.save(content, tmp_path / "a.pth")
    given = [str(tmp_path / "a.pth"), "--to", "safetensors"]
    output = run(*given, "--sidecar", str(tmp_path / "s.json")).output
    assert "moments: dict 1 entry, 8 B of tensors, not kept\n" in output
    assert "8 B of tensors, partly in the sidecar: its tensors are not\n" in output
    assert "epoch: int 3, kept in the sidecar\n" in output
    assert "sidecar" not in run(*given, "--force").output


@pytest.mark.parametrize(
    ("dry", "told"),
    [
        pytest.param((), "2 files: 1 converted, 1 not", id="written"),
        pytest.param(("--dry-run",), "2 files: 1 would be converted, 1 not", id="planned"),
    ],
)
def test_the_last_line_on_several_counts_them(
    tmp_path: Path, dry: tuple[str, ...], told: str
) -> None:
    good = saved(tmp_path, {"w": torch.zeros(1)}, "good.pth")
    bad = saved(tmp_path, {"w": torch.zeros(1, dtype=torch.complex128)}, "bad.pth")
    result = run("--to", "safetensors", *dry, str(good), str(bad))
    assert result.output.splitlines()[-1] == told
