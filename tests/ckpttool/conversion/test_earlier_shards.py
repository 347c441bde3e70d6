from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ckpttool.conversion.earlier import stale_shards
from ckpttool.files import strict_json

if TYPE_CHECKING:
    from pathlib import Path

SHARDS = [f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]


def index(folder: Path, weight_map: Any) -> str:
    """An index of an earlier result."""
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": weight_map}))
    return str(path)


def test_shards_that_are_not_written_anew_are_stale(tmp_path: Path) -> None:
    path = index(tmp_path, {f"t{number}": name for number, name in enumerate(SHARDS * 2)})
    written = [str(tmp_path / SHARDS[1])]
    assert stale_shards(path, written, ".safetensors") == (
        str(tmp_path / SHARDS[0]),
        str(tmp_path / SHARDS[2]),
    )


@pytest.mark.parametrize(
    "name",
    [
        "../model-00001-of-00003.safetensors",
        "/model-00001-of-00003.safetensors",
        "other-00001-of-00003.safetensors",
        "model-1-of-3.safetensors",
        "model-00001-of-00003.safetensors/../precious",
        "precious",
        7,
    ],
)
def test_an_index_cannot_make_another_file_stale(tmp_path: Path, name: object) -> None:
    assert stale_shards(index(tmp_path, {"t": name}), [], ".safetensors") == ()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": []}', "\xff", "[" * 100_000])
def test_an_index_that_cannot_be_read_makes_nothing_stale(tmp_path: Path, text: str) -> None:
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(text, encoding="latin-1")
    assert stale_shards(str(path), [], ".safetensors") == ()


def test_without_an_index_nothing_is_stale(tmp_path: Path) -> None:
    assert stale_shards(str(tmp_path / "model.safetensors.index.json"), [], ".safetensors") == ()


def test_a_shard_written_anew_is_not_stale_however_it_is_spelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = index(tmp_path, {"t": SHARDS[0], "u": SHARDS[1]})
    monkeypatch.chdir(tmp_path)
    assert stale_shards(path, [SHARDS[0]], ".safetensors") == (str(tmp_path / SHARDS[1]),)


def test_an_index_larger_than_any_real_one_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = index(tmp_path, {"t": SHARDS[0]})
    size = (tmp_path / "model.safetensors.index.json").stat().st_size
    monkeypatch.setattr(strict_json, "MAX_JSON", size)
    assert len(stale_shards(path, [], ".safetensors")) == 1
    monkeypatch.setattr(strict_json, "MAX_JSON", size - 1)
    assert stale_shards(path, [], ".safetensors") == ()
