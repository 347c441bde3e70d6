"""The sidecar holds what a container that is no pickle says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from ckpttool.conversion.convert import convert_file
from ckpttool.conversion.options import ConvertOptions
from ckpttool.conversion.result import Conversion


def convert(source: Path, to: str) -> tuple[Conversion, dict[str, Any]]:
    sidecar = source.with_name("beside.json")
    options = ConvertOptions(to, sync=False, sidecar=str(sidecar))
    done = convert_file(str(source), str(source.with_name(f"out.{to}")), options)
    assert done.state == "written", done
    entries = json.loads(sidecar.read_text())["entries"]
    return done, {entry["key"]: entry["value"] for entry in entries}


def index_of_one(folder: Path, metadata: str) -> Path:
    save_file({"a": torch.ones(2)}, folder / "one.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(f'{{"metadata": {metadata}, "weight_map": {{"a": "one.safetensors"}}}}')
    return index


def test_metadata_that_a_pth_has_no_place_for_is_kept(tmp_path: Path) -> None:
    source = tmp_path / "in.safetensors"
    save_file({"a": torch.ones(2)}, source, metadata={"format": "pt", "author": "me"})
    done, beside = convert(source, "pth")
    assert beside == {"__metadata__.author": "me"}
    assert [(entry.key, entry.sidecar) for entry in done.left_out] == [
        ("__metadata__.author", "whole")
    ]


@pytest.mark.parametrize("to", ["safetensors", "pth"])
def test_what_an_index_says_of_itself_is_kept(tmp_path: Path, to: str) -> None:
    index = index_of_one(tmp_path, '{"total_size": 8, "labels": {"0": ["cat", null, 0.5]}}')
    done, beside = convert(index, to)
    assert beside == {"metadata.labels": {"0": ["cat", None, 0.5]}}
    assert [entry.sidecar for entry in done.left_out] == ["whole"]


def test_a_deep_or_endless_value_of_an_index_is_kept_as_json_has_it(tmp_path: Path) -> None:
    deep = "[" * 400 + "1e999" + "]" * 400
    _, beside = convert(index_of_one(tmp_path, f'{{"deep": {deep}}}'), "pth")
    assert {"$float": "inf"} in innermost(beside)


def innermost(beside: dict[str, Any]) -> list[Any]:
    """What the lists of a sidecar hold that is no list; a deep one is in several entries."""
    waiting, found = list(beside.values()), []
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        else:
            found.append(value)
    return found
