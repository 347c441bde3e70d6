"""One list says how checkpoints are called, and what is left of a name without its suffix."""

from __future__ import annotations

import pytest

from ckpttool.files.suffixes import (
    INDEX,
    SUFFIXES,
    ShardName,
    is_called_checkpoint,
    is_called_index,
    is_shard_of,
    shard_name,
    stem_of,
    without_index,
)


@pytest.mark.parametrize("suffix", [*SUFFIXES, *(suffix + INDEX for suffix in SUFFIXES)])
def test_what_is_called_a_checkpoint_has_its_suffix_taken_off(suffix: str) -> None:
    assert is_called_checkpoint(f"a/x{suffix}")
    assert is_called_checkpoint(f"a/x{suffix.upper()}")
    assert stem_of(f"a/x{suffix}") == stem_of(f"x{suffix.upper()}") == "x"


@pytest.mark.parametrize(
    ("index", "file"),
    [
        ("model.safetensors.index.json", "model.safetensors"),
        ("m/model.safetensors.index.fp16.json", "m/model.safetensors"),
        ("pytorch_model.bin.index.json", "pytorch_model.bin"),
        ("unet.bin.INDEX.non_ema.JSON", "unet.bin"),
    ],
)
def test_an_index_is_known_by_its_name_in_any_variant(index: str, file: str) -> None:
    assert is_called_index(index)
    assert is_called_checkpoint(index)
    assert without_index(index) == file


@pytest.mark.parametrize(
    "name", ["index.json", "a.index.b.c.json", "a.index.json.txt", "aindex.json"]
)
def test_no_other_json_is_called_an_index(name: str) -> None:
    # "index.json" alone begins with the dot's other side: it names no file that it stands for
    assert not is_called_index(name)
    assert without_index(name) == name


@pytest.mark.parametrize("name", ["x", "x.tar", "x.th", "x.pkl", "x.json", "pth", "x.pth.1"])
def test_no_other_name_says_so(name: str) -> None:
    assert not is_called_checkpoint(name)
    assert stem_of(name) == name


@pytest.mark.parametrize(
    ("path", "stem"),
    [
        ("a/model.pth", "model"),
        ("checkpoint-99.pth.tar", "checkpoint-99"),
        ("a.b.bin", "a.b"),
        ("v1.2", "v1.2"),
        (".pth", ".pth"),
    ],
)
def test_one_suffix_is_taken_off_once(path: str, stem: str) -> None:
    assert stem_of(path) == stem


@pytest.mark.parametrize(
    "name",
    [
        ".metadata",
        "shard-00001-model-00001-of-00001.safetensors",
        "zero_pp_rank_0_mp_rank_00_optim_states.pt",
    ],
)
def test_a_checkpoint_of_parts_is_called_as_its_folder(name: str) -> None:
    assert stem_of(f"a/run/{name}") == "run"
    assert stem_of(f"/{name}") == "model"


def test_the_shards_of_a_variant_are_a_series_of_their_own() -> None:
    name = "model-00001-of-00002.fp16.safetensors"
    assert shard_name(name) == ShardName("model", 1, 2, ".fp16.safetensors")
    assert str(shard_name(name)) == name
    assert not is_shard_of(name, "model", ".safetensors")


@pytest.mark.parametrize("stem", ["model", "a/model", "", "two\nlines", "x-00001-of-00002"])
def test_a_shard_is_known_by_its_name(stem: str) -> None:
    shard = ShardName(stem, 2, 13, ".safetensors")
    assert str(shard) == f"{stem}-00002-of-00013.safetensors"
    assert shard_name(str(shard)) == shard
    assert is_shard_of(str(shard), stem, ".safetensors")
    assert not is_shard_of(str(shard), stem, ".bin")
    assert not is_shard_of(str(shard), "other", ".safetensors")


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors",
        "model-1-of-2.safetensors",
        "model-00001-of-00002",
        "model-00001-of-00002.safetensors.index.json",
        "model-0000\u0661-of-00002.safetensors",
        "model-00001-of-00002.bin\n",
        "run/shard-00001-model-00001-of-00002.safetensors",
    ],
)
def test_no_other_name_is_that_of_a_shard(name: str) -> None:
    assert shard_name(name) is None
