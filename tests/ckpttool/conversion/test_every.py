"""Every state dict of a file is converted to a file of its own, with its key in the name."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from ckpttool import open_checkpoint
from ckpttool.conversion import every
from ckpttool.conversion.every import convert_all, file_texts, named
from ckpttool.conversion.result import NOT_WRITTEN, PLANNED, WRITTEN
from ckpttool.findings import rules
from ckpttool.findings.errors import OutputError, UsageError
from tests.builders import modules
from tests.builders import state_dicts as built
from tests.builders.checkpoints import saved
from tests.builders.commands import invoke

ALL = "--to safetensors --all-wrappers".split()


def run() -> dict[str, Any]:
    """A run as detectors and others save it."""
    return {
        "model": modules.small(),
        "model_ema": modules.small().state_dict(),
        "nets": {"G": built.net(4, 3), "D": built.net(3, 2)},
        "optimizer": built.optimizer(4, 3),
        "epoch": 3,
    }


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".pth")


def test_each_state_dict_is_a_file_with_its_key_before_the_suffix(tmp_path: Path) -> None:
    content = run()
    done = convert_all(saved(tmp_path, lambda: content, "run.pth"), to="safetensors", sync=False)
    assert [one.state for one in done.files] == [WRITTEN] * 4
    assert done.exit_code == 0
    assert names_in(tmp_path) == [
        f"run.{key}.safetensors" for key in ("model", "model_ema", "nets.D", "nets.G")
    ]
    expected = {
        "model": content["model"].state_dict(),
        "model_ema": content["model_ema"],
        **{f"nets.{key}": state for key, state in content["nets"].items()},
    }
    for key, state in expected.items():
        with open_checkpoint(tmp_path / f"run.{key}.safetensors") as checkpoint:
            assert list(checkpoint) == list(state)
            assert all(torch.equal(checkpoint[name].torch(), state[name]) for name in state)


def test_what_has_a_file_of_its_own_is_not_left_out(tmp_path: Path) -> None:
    done = convert_all(saved(tmp_path, run, "run.pth"), to="safetensors", sync=False)
    for one in done.files:
        assert rules.WRAPPER_CHOICE not in {found.rule for found in one.file.findings}
        assert {"optimizer", "epoch"} <= {entry.key for entry in one.left_out}
        assert not {"model", "model_ema"} & {entry.key for entry in one.left_out}


def test_one_at_the_root_has_no_key(tmp_path: Path) -> None:
    content = {**built.net(4, 3), "ema": built.net(4, 3)}
    convert_all(saved(tmp_path, lambda: content, "run.pth"), to="safetensors", sync=False)
    assert names_in(tmp_path) == ["run.ema.safetensors", "run.safetensors"]


def test_the_only_one_has_its_key_too(tmp_path: Path) -> None:
    convert_all(saved(tmp_path, lambda: {"model": built.net(4, 3)}, "run.pth"), to="safetensors")
    assert names_in(tmp_path) == ["run.model.safetensors"]


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("out", ["run.D.safetensors", "run.G.safetensors", "run.G_ema.safetensors"]),
        ("out/a.safetensors", ["a.D.safetensors", "a.G.safetensors", "a.G_ema.safetensors"]),
        ("out/a.weights", ["a.D.weights", "a.G.weights", "a.G_ema.weights"]),
    ],
)
def test_the_keys_go_into_the_name_that_is_asked_for(
    output: str, expected: list[str], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    source = saved(tmp_path, built.gan, "run.pth")
    convert_all(source, tmp_path / output, to="safetensors", sync=False)
    assert names_in(tmp_path / "out") == expected


def test_a_name_that_differs_by_its_key_is_not_called_clean(tmp_path: Path) -> None:
    convert_all(saved(tmp_path, built.gan, "run.pth"), to="pth", sync=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("run.D.pth", "run.G.pth", "run.G_ema.pth", "run.pth")
    ]


def test_a_sidecar_and_a_receipt_have_the_key_too(tmp_path: Path) -> None:
    source = saved(tmp_path, built.gan, "run.pth")
    beside = {name: tmp_path / f"{name}.json" for name in ("sidecar", "receipt")}
    done = convert_all(source, to="safetensors", sync=False, **beside)
    assert {one.receipt for one in done.files} == {
        str(tmp_path / f"receipt.{key}.json") for key in ("G", "D", "G_ema")
    }
    told = (tmp_path / "receipt.D.json").read_text()
    assert "run.D.safetensors" in told
    assert "run.G.safetensors" not in told
    assert (tmp_path / "sidecar.D.json").exists()


def test_keys_that_no_file_is_called_are_made_names_that_differ() -> None:
    texts = file_texts(["", "a/b", "A_b", "a b", "..", "../../x", "x" * 300, "模型", "\ud800", "2"])
    assert texts == {
        "": "",
        "a/b": "a_b",
        "A_b": "A_b-2",
        "a b": "a_b-3",
        "..": "state_dict",
        "../../x": "_.._x",
        "x" * 300: "x" * 80,
        "模型": "模型",
        "\ud800": "_",
        "2": "2",
    }
    assert len({text.casefold() for text in texts.values()}) == len(texts)


def test_a_key_leads_out_of_no_folder(tmp_path: Path) -> None:
    inner = tmp_path / "in"
    inner.mkdir()
    content = {"../../x": built.net(4, 3), "/etc/y": built.net(4, 3), "C:\\z": built.net(4, 3)}
    done = convert_all(saved(inner, lambda: content, "run.pth"), to="safetensors", sync=False)
    assert {Path(str(one.destination)).parent for one in done.files} == {inner}
    assert names_in(tmp_path) == ["in"]


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("a/run.safetensors", "m", "a/run.m.safetensors"),
        ("a/run.clean.safetensors", "m", "a/run.m.safetensors"),
        ("a/run.clean.safetensors", "", "a/run.clean.safetensors"),
        ("a.b/run", "m", "a.b/run.m"),
    ],
)
def test_a_key_stands_before_the_suffix(path: str, text: str, expected: str) -> None:
    assert named(path, text, ".safetensors") == expected


def test_of_names_that_are_taken_nothing_is_written(tmp_path: Path) -> None:
    source = saved(tmp_path, built.gan, "run.pth")
    (tmp_path / "run.G_ema.safetensors").write_bytes(b"other")
    with pytest.raises(OutputError, match="exists"):
        convert_all(source, to="safetensors", sync=False)
    assert names_in(tmp_path) == ["run.G_ema.safetensors"]
    done = convert_all(source, to="safetensors", sync=False, force=True)
    assert done.files[2].replaced == (str(tmp_path / "run.G_ema.safetensors"),)


def test_of_receipts_that_are_taken_nothing_is_written(tmp_path: Path) -> None:
    source = saved(tmp_path, built.gan, "run.pth")
    (tmp_path / "r.G_ema.json").write_bytes(b"other")
    with pytest.raises(OutputError, match="exists"):
        convert_all(source, to="safetensors", receipt=tmp_path / "r.json")
    assert names_in(tmp_path) == ["r.G_ema.json"]


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    done = convert_all(saved(tmp_path, built.gan, "run.pth"), to="safetensors", dry_run=True)
    assert [one.state for one in done.files] == [PLANNED] * 3
    assert names_in(tmp_path) == []


def test_an_interrupt_leaves_those_that_are_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, calls = sys.modules["ckpttool.conversion.convert"].copy, []

    def interrupted(*args: Any) -> Any:
        calls.append(args)
        copied = copy(*args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return copied

    monkeypatch.setattr(sys.modules["ckpttool.conversion.convert"], "copy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        convert_all(saved(tmp_path, built.gan, "run.pth"), to="safetensors", sync=False)
    assert names_in(tmp_path) == ["run.G.safetensors"]
    with open_checkpoint(tmp_path / "run.G.safetensors") as checkpoint:
        assert len(checkpoint) == 4


def test_one_that_is_refused_does_not_keep_the_others(tmp_path: Path) -> None:
    content = {"model": built.net(4, 3), "small": {"w": torch.ones(2, dtype=torch.complex128)}}
    done = convert_all(saved(tmp_path, lambda: content, "run.pth"), to="safetensors", sync=False)
    states = {one.file.wrapper: one.state for one in done.files}
    assert states == {"model": WRITTEN, "small": NOT_WRITTEN}
    assert done.exit_code == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"wrapper": "G"}, "one state dict was named"),
        ({"layout": "hf"}, "one model in a folder"),
        ({"to": "onnx"}, "target"),
    ],
)
def test_what_does_not_go_with_all_of_them_is_refused(
    options: dict[str, str], told: str, tmp_path: Path
) -> None:
    source = saved(tmp_path, built.gan, "run.pth")
    with pytest.raises(UsageError, match=told):
        convert_all(source, **{"to": "safetensors", **options})
    assert names_in(tmp_path) == []


def test_two_of_one_key_are_refused(tmp_path: Path) -> None:
    content = {"a": {"b": built.net(4, 3), "c": 1}, "a.b": built.net(3, 2), "x": 1}
    source = saved(tmp_path, lambda: content, "run.pth")
    with pytest.raises(UsageError, match="the same key"):
        convert_all(source, to="safetensors")


def test_more_than_anybody_keeps_side_by_side_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(every, "MOST", 2)
    with pytest.raises(UsageError, match="more state dicts") as caught:
        convert_all(saved(tmp_path, built.gan, "run.pth"), to="safetensors")
    assert caught.value.expected == "at most 2"


def test_a_file_without_state_dicts_has_one_result(tmp_path: Path) -> None:
    convert_all(saved(tmp_path, built.gan, "run.pth"), to="safetensors", sync=False)
    (one,) = convert_all(tmp_path / "run.G.safetensors", to="pth", sync=False).files
    assert one.destination == str(tmp_path / "run.G.pth")
    (tmp_path / "broken.pth").write_bytes(b"no checkpoint")
    (one,) = convert_all(tmp_path / "broken.pth", to="safetensors").files
    assert one.state == NOT_WRITTEN


def test_the_command_converts_all_and_counts_them(tmp_path: Path) -> None:
    saved(tmp_path, built.gan, "run.pth")
    done = invoke("convert", str(tmp_path), *ALL, "--format", "json")
    assert done.code == 0
    files = json.loads(done.out)["files"]
    assert [one["wrapper"] for one in files] == ["G", "D", "G_ema"]


def test_results_of_a_run_replace_none_of_its_files(tmp_path: Path) -> None:
    one = saved(tmp_path, built.gan, "run.pth")
    other = saved(tmp_path, built.gan, "run.G.pth")
    before = Path(other).read_bytes()
    done = invoke("convert", one, other, "--to", "pth", "--all-wrappers", "--force")
    assert done.code == 2
    assert "another file of this run" in done.out + done.err
    assert Path(other).read_bytes() == before


def test_another_state_dict_is_told_with_the_way_to_all(tmp_path: Path) -> None:
    source = saved(tmp_path, built.gan, "run.pth")
    assert "--all-wrappers" in invoke("convert", source, "--to", "safetensors").out
    assert invoke("convert", source, *ALL, "--force").code == 0
