"""Models of transformers of all families: no fault is found where there is none, and each is named.

Ten run with every test. All of them have the mark ``slow``: ``pytest -m slow``.
"""

from __future__ import annotations

import json
import shlex
import warnings
from pathlib import Path
from shutil import copytree
from typing import Callable, List, Union

import pytest

import ckpttool
from ckpttool import FileReport, Severity, Verdict
from ckpttool.findings.rules import RULES
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
from tests.builders.commands import invoke

pytest.importorskip("transformers")

#: Of any such folder: no licence, no card, vectors as initialised, a table that all layers repeat.
EXPECTED = {"HUB010", "HUB011", "NUM005", "NUM008"}

#: An encoder whose names are all of an MAE's.
LIKE_MAE = {"ViT"}
QUANTIZED = {"architectures": ["T5Model"], "quantization_config": {}}

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


def verified(folder: Path, schema: Union[Path, str] = "hf") -> FileReport:
    (report,) = ckpttool.verify(folder, schema=schema).files
    return report


def codes(report: FileReport) -> List[str]:
    """Return the codes of what was found beside the expected."""
    return [found.rule.code for found in report.findings if found.rule.code not in EXPECTED]


@each
def test_a_folder_as_saved_has_no_fault(saved: Callable[..., Path], name: str) -> None:
    for schema in ("hf", saved(name, in_shards=True) / INDEX):
        report = verified(saved(name), schema)
        assert codes(report) == []
        assert report.verdict is Verdict.PASS
        assert not [one for one in report.findings if one.severity is Severity.ERROR]


@each
def test_a_folder_in_shards_has_no_fault(saved: Callable[..., Path], name: str) -> None:
    for schema in ("hf", saved(name) / WHOLE):
        report = verified(saved(name, in_shards=True), schema)
        assert (report.path[-len(INDEX) :], codes(report)) == (INDEX, [])


@each
def test_one_tensor_that_is_gone_is_named(
    saved: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    folder = Path(copytree(saved(name), tmp_path / "folder"))
    names = names_in(folder)
    gone = names[len(names) // 2]
    without(folder, [gone])
    report = verified(folder)
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
    report = verified(folder)
    assert codes(report) == ["STR005"]
    assert report.findings[0].tensors == (changed,)


@each
def test_one_shard_that_is_gone_is_named(
    saved: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    folder = Path(copytree(saved(name, in_shards=True), tmp_path / "folder"))
    gone = shards_of(folder)[1]
    gone.unlink()
    report = verified(folder)
    assert codes(report) == ["FIL401"]
    assert report.verdict is Verdict.FAIL
    shards, names = shards_of(folder), json.loads((folder / INDEX).read_text())["weight_map"]
    inside = [one for one in names if names[one] == gone.name]
    assert report.findings[0].message.startswith(
        f"1 of {len(shards)} shards not there: {gone.name}, "
        f"with {len(inside)} of {len(names)} tensors"
    )


@each
def test_without_a_schema_its_class_is_told_and_the_command_that_checks_it(
    saved: Callable[..., Path], name: str
) -> None:
    folder = saved(name)
    (report,) = ckpttool.verify(folder, forward=False).files
    assert report.diagnosis is not None
    assert report.diagnosis.next is not None
    assert shlex.split(report.diagnosis.next) == [
        *"ckpttool verify".split(),
        str(folder / WHOLE),
        *"--schema hf".split(),
    ]
    if name in LIKE_MAE:  # all of an MAE's encoder, and nothing beside it
        return
    assert codes(report) == ["STR023"]
    assert report.verdict is Verdict.CANNOT_TELL
    assert ARCHITECTURES[name].model in report.findings[0].message
    assert "ckpttool verify PATH --schema hf." in report.findings[0].advice


def test_where_transformers_is_missing_it_is_said_how_to_have_it(
    saved: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ckpttool.verification.release_files.find_spec", lambda _: None)
    (report,) = ckpttool.verify(saved("T5"), forward=False).files
    assert "pip install 'ckpttool[hf]'" in report.findings[0].advice
    assert report.diagnosis is not None
    assert report.diagnosis.next is not None
    assert report.diagnosis.next.startswith("ckpttool inspect ")


def test_a_config_that_names_no_class_is_not_advised(
    saved: Callable[..., Path], tmp_path: Path
) -> None:
    folder = Path(copytree(saved("T5"), tmp_path / "folder"))
    for config in ({}, {"architectures": ["no name; rm"]}, {"architectures": 5}, QUANTIZED):
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        (report,) = ckpttool.verify(folder, forward=False).files
        assert report.findings[0].message == "no schema: names and shapes were not checked"
        assert report.findings[0].advice == RULES["STR023"].fix


#: Those whose names an MAE has, too, so that they have other names in fingerprint and lock file.
NAMED_LIKE_MAE = ("BEiT", "DINOv2", "ViT", "Qwen2-VL")


@pytest.mark.parametrize("name", [*NAMED_LIKE_MAE, "T5"])
def test_a_lock_holds_whatever_a_file_is_held_against(
    saved: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    folder, lock = saved(name), tmp_path / "ckpttool.lock"
    texts = set()
    for schema in ("hf", "none", folder / WHOLE):
        locked = ckpttool.lock(folder / WHOLE, lock, schema=schema)
        texts.add(locked.text.replace(f"schema {locked.checkpoints[0].schema}", "schema"))
        assert locked.checkpoints[0].forward is None
        assert locked.checkpoints[0].fingerprint == ckpttool.fingerprint(folder / WHOLE)
    assert len(texts) == 1
    for source in ("hf", "none", lock):
        for target in (folder, saved(name, in_shards=True)):
            (report,) = ckpttool.verify(target, lock=lock, schema=source, forward=False).files
            assert codes(report) == []
            assert report.verdict is Verdict.PASS
    assert ckpttool.diff(lock, folder / WHOLE).exit_code == 0


@each
def test_a_lock_is_made_without_a_forward_pass_and_finds_a_change(
    saved: Callable[..., Path], tmp_path: Path, name: str
) -> None:
    folder, lock = Path(copytree(saved(name), tmp_path / "folder")), tmp_path / "ckpttool.lock"
    ckpttool.lock(folder, lock, schema="hf")
    (report,) = ckpttool.verify(folder, lock=lock, schema="hf").files
    assert codes(report) == []
    gone = names_in(folder)[0]
    without(folder, [gone])
    (report,) = ckpttool.verify(folder, lock=lock, schema="hf").files
    assert codes(report)[:2] == ["STR022", "DIF002"]


def test_of_a_lock_of_several_the_entry_of_the_files_name_is_the_schema(
    saved: Callable[..., Path], tmp_path: Path
) -> None:
    for name in ("T5", "BEiT", "Mamba"):
        copytree(saved(name), tmp_path / name)
    lock = tmp_path / "ckpttool.lock"
    ckpttool.lock([tmp_path / name / WHOLE for name in ("T5", "BEiT")], lock, schema="hf")
    of_one, of_other = (verified(tmp_path / name, lock) for name in ("T5", "BEiT"))
    assert (codes(of_one), codes(of_other)) == ([], [])
    assert of_one.coverage is not None
    assert of_one.coverage.schema == f"ckpttool.lock (T5/{WHOLE})"
    gone = names_in(tmp_path / "T5")[5]
    without(tmp_path / "T5", [gone])
    assert verified(tmp_path / "T5", lock).findings[0].tensors == (gone,)
    stranger = verified(tmp_path / "Mamba", lock)
    assert stranger.verdict is Verdict.CANNOT_TELL
    assert "no entry by the name of this checkpoint" in stranger.findings[0].message
    assert stranger.findings[0].expected == f"BEiT/{WHOLE}, T5/{WHOLE}"


def test_a_lock_of_several_is_no_schema_to_write_down(
    saved: Callable[..., Path], tmp_path: Path
) -> None:
    for name in ("T5", "Mamba"):
        copytree(saved(name), tmp_path / name)
    lock = tmp_path / "ckpttool.lock"
    ckpttool.lock([tmp_path / name / WHOLE for name in ("T5", "Mamba")], lock, schema="hf")
    with pytest.raises(ckpttool.UnsupportedError, match="several checkpoints") as caught:
        ckpttool.schema(lock)
    assert caught.value.found is not None


@each
def test_every_command_takes_it(saved: Callable[..., Path], tmp_path: Path, name: str) -> None:
    whole, index = saved(name) / WHOLE, saved(name, in_shards=True) / INDEX
    torch_file, half = tmp_path / "weights.pth", tmp_path / "half.safetensors"
    for command in (
        ["inspect", whole],
        ["inspect", index],
        ["schema", whole],
        ["diff", whole, index],
        ["convert", whole, "--to", "pth", "-o", torch_file],
        ["convert", index, "--to", "safetensors", "--dtype", "bfloat16", "-o", half],
        ["prove", index, "--from", whole],
        ["prove", torch_file, "--from", whole],
        ["prove", half, "--from", whole],
        ["verify", torch_file, "--against", whole, "--schema", "none"],
    ):
        done = invoke(*map(str, command))
        assert (done.code, command) == (0, command), done.err
