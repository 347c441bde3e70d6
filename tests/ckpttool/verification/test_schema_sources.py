"""Schemas from checkpoints, indexes, lock files, receipts and schema files: the same from each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable

import pytest
import torch

import ckpttool
from ckpttool import MalformedError, UsageError, Verdict, read_schema, schema
from ckpttool.findings.errors import CkpttoolError
from ckpttool.models.reference import NONE
from tests.builders import checkpoints
from tests.builders import language_models as built

pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")


def checkpoint(folder: Path) -> str:
    return built.saved(folder / "weights.safetensors")


def as_torch(folder: Path) -> str:
    path = folder / "weights.pth"
    torch.save({name: torch.from_numpy(one) for name, one in built.weights().items()}, path)
    return str(path)


def sharded(folder: Path) -> str:
    out = str(folder / "out.safetensors")
    ckpttool.convert(checkpoint(folder), out, to="safetensors", max_shard_size=400)
    return f"{out}.index.json"


def lock_file(folder: Path) -> str:
    ckpttool.lock(checkpoint(folder), folder / "x.lock", schema="none")
    return str(folder / "x.lock")


def receipt(folder: Path) -> str:
    ckpttool.convert(checkpoint(folder), folder / "out.pth", to="pth", receipt=folder / "r.json")
    return str(folder / "r.json")


def schema_file(folder: Path) -> str:
    schema(checkpoint(folder), folder / "x.json")
    return str(folder / "x.json")


SOURCES = [checkpoint, as_torch, sharded, lock_file, receipt, schema_file]


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_gives_the_same_schema_file(
    tmp_path: Path, source: Callable[[Path], str]
) -> None:
    assert schema(source(tmp_path)).text == schema(checkpoint(tmp_path)).text


@pytest.mark.parametrize("source", SOURCES)
def test_a_checkpoint_fits_every_list_of_its_tensors(
    tmp_path: Path, source: Callable[[Path], str]
) -> None:
    report = ckpttool.verify(checkpoint(tmp_path), schema=source(tmp_path))
    assert report.verdict is Verdict.PASS
    assert not report.findings


def test_a_mae_fits_itself_in_another_layout(tmp_path: Path) -> None:
    own = checkpoints.saved(tmp_path, checkpoints.sound)
    ckpttool.convert(own, tmp_path / "hf.safetensors", to="safetensors", layout="hf")
    other = read_schema(tmp_path / "hf.safetensors")
    assert other.schema.entries == read_schema(own).schema.entries
    report = ckpttool.verify(own, schema=schema_of(tmp_path / "hf.safetensors"))
    assert report.verdict is Verdict.PASS
    assert [one.coverage and list(one.coverage.groups) for one in report.files] == [
        ["encoder", "decoder"]
    ]


def schema_of(path: Path) -> str:
    written = path.with_suffix(".json")
    schema(path, written)
    return str(written)


def test_a_tied_name_that_is_recorded_is_in_the_schema_and_in_the_file(tmp_path: Path) -> None:
    tensors = {name: torch.from_numpy(one) for name, one in built.weights().items()}
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
    torch.save(tensors, tmp_path / "tied.pth")
    ckpttool.convert(tmp_path / "tied.pth", tmp_path / "tied.safetensors", to="safetensors")
    one, other = str(tmp_path / "tied.pth"), str(tmp_path / "tied.safetensors")
    assert schema(one).text == schema(other).text
    for path, source in ((one, other), (other, one)):
        assert ckpttool.verify(path, schema=source).verdict is Verdict.PASS


def test_a_schema_is_written_once_and_replaced_by_a_schema_alone(tmp_path: Path) -> None:
    source = checkpoint(tmp_path)
    content = Path(source).read_bytes()
    schema(source, tmp_path / "x.json")
    written = schema(source, tmp_path / "x.json")
    assert (tmp_path / "x.json").read_text() == written.text
    with pytest.raises(UsageError, match="not a schema file"):
        schema(source, source)
    assert Path(source).read_bytes() == content


def test_none_is_no_schema_and_one_that_was_read_stays(tmp_path: Path) -> None:
    assert read_schema("none") is NONE
    read = read_schema(checkpoint(tmp_path))
    assert read_schema(read) is read


@pytest.mark.parametrize(
    "text",
    [
        '{"ckpttool_schema": 1, "tensors": {"a": {"dtype": "int8", "shape": []}, "a": 1}}',
        '{"ckpttool_schema": 1, "tensors": {"a": {"dtype": "int8", "shape": [NaN]}}}',
        '{"ckpttool_schema": 1, "tensors": {"a": {"dtype": "int8", "shape": [' + "9" * 99 + "]}}}",
        '{"ckpttool_schema": 1, "tensors": {"a": {"dtype": "int8", "shape": ' + "[" * 99999,
        '{"ckpttool_schema": 1, "tensors": {"{0-99999999}": {"dtype": "int8", "shape": []}}}',
        '{"ckpttool_schema": 1',
    ],
)
def test_a_file_that_two_readers_could_see_differently_is_refused(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(MalformedError) as caught:
        read_schema(tmp_path / "x.json")
    assert caught.value.path == str(tmp_path / "x.json")


@pytest.mark.parametrize("content", [b"", b"{}", b"no schema", json.dumps({"a": 1}).encode()])
def test_what_is_no_source_is_an_error_with_its_path(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(CkpttoolError) as caught:
        read_schema(tmp_path / "x")
    assert caught.value.path == str(tmp_path / "x")
