"""What is written is what was read; and where anything is wrong, nothing is written at all."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import pathlib
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
import safetensors
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from ckpttool import open_checkpoint
from ckpttool.comparison.textconv import lines_of
from ckpttool.conversion import convert as convert_module
from ckpttool.conversion import output as output_module
from ckpttool.conversion import proving, selecting
from ckpttool.conversion.convert import convert_file, destinations
from ckpttool.conversion.options import ConvertOptions
from ckpttool.conversion.result import Conversion
from ckpttool.findings.finding import Verdict
from ckpttool.models.canonical import canonicalize
from ckpttool.tensors.gather import chunks
from ckpttool.verification.options import VerifyOptions
from ckpttool.verification.run import verify_file
from tests.builders import checkpoints, shards, sharing
from tests.builders import safetensors as st
from tests.builders import torch_files as tf
from tests.builders.repository import FIXTURES

# torch 2.0 warns of its own use of a class when it saves and loads.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

FILES = sorted(FIXTURES.glob("torch-*/*.pth"))
TO_SAFETENSORS = ConvertOptions("safetensors", sync=False)
TO_PTH = ConvertOptions("pth", sync=False)
WITH_FINGERPRINT = TO_SAFETENSORS._replace(fingerprint=True)


def test_what_stops_a_conversion_is_an_error(tmp_path: Path) -> None:
    path, output = tmp_path / "a.pth", tmp_path / "a.safetensors"
    torch.save({"of_another_model": torch.ones(2)}, path)
    options = TO_SAFETENSORS._replace(encoder_only=True)
    converted = convert_file(str(path), str(output), options)
    assert converted.file.verdict is Verdict.CANNOT_TELL
    assert [one.severity.value for one in converted.file.findings] == ["error"]
    assert not output.exists()


State = sharing.State


def convert(source: object, output: Path, options: ConvertOptions = TO_SAFETENSORS) -> Conversion:
    chosen = options._replace(output=str(output))
    (destination,) = destinations([str(source)], chosen)
    return convert_file(str(source), destination, chosen)


def proven(source: object, output: Path, options: ConvertOptions = TO_SAFETENSORS) -> Conversion:
    converted = convert(source, output, options)
    assert (converted.state, converted.file.verdict) == ("written", Verdict.PASS), converted
    return converted


def saved(folder: Path, content: object, name: str = "weights.pth") -> Path:
    path = folder / name
    torch.save(content, path)
    return path


def codes(converted: Conversion) -> list[str]:
    return [finding.rule.code for finding in converted.file.findings]


def tensors_in(path: object) -> dict[str, tuple[str, tuple[int, ...], str]]:
    """Name to dtype, shape and SHA-256 of the elements, as the strict reader sees them."""
    found = {}
    with open_checkpoint(str(path)) as checkpoint:
        for name, info in checkpoint.tensors.items():
            sha = hashlib.sha256()
            for piece in chunks(info, memoryview(bytearray(4096))):
                sha.update(piece)
            found[name] = (info.dtype.name, info.shape, sha.hexdigest())
    return found


def listing(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def held(path: object, *but: str) -> dict[str, tuple[str, tuple[int, ...], str]]:
    """What safetensors has a place for, but for some dtypes."""
    but = ("complex128", *but)
    return {name: found for name, found in tensors_in(path).items() if found[0] not in but}


def without_the_rest(path: Path, *but: str) -> ConvertOptions:
    rest = set(tensors_in(path)) - set(held(path, *but))
    return TO_SAFETENSORS._replace(exclude=tuple(sorted(rest)))


# --- there and back ----------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_real_files_go_there_and_back_unchanged(path: Path, tmp_path: Path) -> None:
    there = tmp_path / "there.safetensors"
    before = held(path)
    proven(path, there, without_the_rest(path)._replace(keep_aliases=True))
    assert tensors_in(there) == before
    back = tmp_path / "back.pth"
    proven(there, back, TO_PTH)
    assert tensors_in(back) == before
    proven(path, tmp_path / "clean.pth", TO_PTH)
    assert tensors_in(tmp_path / "clean.pth") == tensors_in(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_real_files_read_the_same_by_torch_and_by_safetensors(path: Path, tmp_path: Path) -> None:
    before = tensors_in(path)
    # older releases of the library do not know complex64
    proven(path, tmp_path / "out.safetensors", without_the_rest(path, "complex64"))
    wrapper = proven(path, tmp_path / "out.pth", TO_PTH).wrapper
    loaded = torch.load(tmp_path / "out.pth", weights_only=True)
    by_torch = loaded[wrapper] if wrapper else loaded
    by_library = load_file(str(tmp_path / "out.safetensors"))
    with safe_open(str(tmp_path / "out.safetensors"), framework="pt") as file:
        tied = {name: kept for name, kept in file.metadata().items() if kept in by_library}
    by_library.update({name: by_library[kept] for name, kept in tied.items()})
    for found, expected in ((by_torch, before), (by_library, held(path, "complex64"))):
        assert {
            name: (str(tensor.dtype)[6:], tuple(tensor.shape), digest(tensor))
            for name, tensor in found.items()
        } == expected


def digest(tensor: torch.Tensor) -> str:
    storage = tensor.contiguous().clone().untyped_storage()
    return hashlib.sha256(bytes(storage)).hexdigest()


DTYPES = """
    float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool complex64
    float8_e4m3fn float8_e5m2 uint16 uint32 uint64
""".split()
KNOWN = [name for name in DTYPES if hasattr(torch, name)]


def of_dtype(name: str) -> torch.Tensor:
    """Twelve elements of many bit patterns, or of both values for bool."""
    if name == "bool":
        return torch.tensor([True, False] * 6)
    dtype = getattr(torch, name)
    raw = torch.arange(12 * 16, dtype=torch.uint8)[
        : 12 * torch.empty(0, dtype=dtype).element_size()
    ]
    return raw.view(dtype).reshape(3, 4)


@pytest.mark.parametrize("name", KNOWN)
def test_every_dtype_keeps_its_bits(name: str, tmp_path: Path) -> None:
    source = saved(tmp_path, {"w": of_dtype(name)})
    proven(source, tmp_path / "there.safetensors")
    proven(tmp_path / "there.safetensors", tmp_path / "back.pth", TO_PTH)
    loaded = torch.load(tmp_path / "back.pth", weights_only=True)["w"]
    assert loaded.dtype == getattr(torch, name)
    assert digest(loaded) == digest(of_dtype(name))


def test_the_wrapper_comes_back_through_safetensors(tmp_path: Path) -> None:
    source = saved(tmp_path, {"model": {"w": torch.ones(2)}, "epoch": 3})
    proven(source, tmp_path / "there.safetensors")
    proven(tmp_path / "there.safetensors", tmp_path / "back.pth", TO_PTH)
    loaded = torch.load(tmp_path / "back.pth", weights_only=True)
    assert list(loaded) == ["model"]
    assert torch.equal(loaded["model"]["w"], torch.ones(2))


def test_tied_names_are_stored_once_and_come_back_as_one_storage(tmp_path: Path) -> None:
    source = saved(tmp_path, sharing.tied())
    there = proven(source, tmp_path / "there.safetensors")
    assert there.tied == {"lm_head.weight": "embed.weight"}
    assert set(load_file(str(tmp_path / "there.safetensors"))) == {"bias", "embed.weight"}
    back = proven(tmp_path / "there.safetensors", tmp_path / "back.pth", TO_PTH)
    assert back.restored == there.tied
    loaded = torch.load(tmp_path / "back.pth", weights_only=True)
    assert loaded["lm_head.weight"].data_ptr() == loaded["embed.weight"].data_ptr()
    assert tensors_in(tmp_path / "back.pth") == tensors_in(source)


def test_tied_names_survive_another_safetensors_file(tmp_path: Path) -> None:
    proven(saved(tmp_path, sharing.tied()), tmp_path / "one.safetensors")
    proven(tmp_path / "one.safetensors", tmp_path / "two.safetensors")
    assert (tmp_path / "one.safetensors").read_bytes() == (
        tmp_path / "two.safetensors"
    ).read_bytes()


@pytest.mark.parametrize("keep", [(), ("lm_head.weight",)], ids=["the embedding", "the head"])
def test_the_stored_name_of_a_safetensors_file_stays_stored(
    tmp_path: Path, keep: tuple[str, ...]
) -> None:
    source = saved(tmp_path, sharing.tied())
    one = proven(source, tmp_path / "one.safetensors", TO_SAFETENSORS._replace(keep=keep))
    two = proven(tmp_path / "one.safetensors", tmp_path / "two.safetensors")
    assert two.tied == one.tied
    (other,) = one.tied
    keep_other = TO_SAFETENSORS._replace(keep=(other,))
    three = proven(tmp_path / "one.safetensors", tmp_path / "three.safetensors", keep_other)
    assert three.tied == {one.tied[other]: other}


@pytest.mark.parametrize("size", [None, 24, 60], ids=["one file", "a tensor each", "shards"])
@pytest.mark.parametrize("keep", [(), ("lm_head",)], ids=["the first", "the last"])
@pytest.mark.parametrize("wrapper", [None, "model"])
def test_the_order_of_the_names_comes_back(
    tmp_path: Path, size: int | None, keep: tuple[str, ...], wrapper: str | None
) -> None:
    state = sharing.tied_in_places()
    source = saved(tmp_path, state if wrapper is None else {wrapper: state})
    options = TO_SAFETENSORS._replace(max_shard_size=size, keep=keep)
    there = proven(source, tmp_path / "there.safetensors", options)
    stored = [name for name in state if name not in there.tied]
    with open_checkpoint(there.outputs[-1].path) as checkpoint:
        assert list(checkpoint.tensors) == stored
    proven(there.outputs[-1].path, tmp_path / "back.pth", TO_PTH)
    loaded = torch.load(tmp_path / "back.pth", weights_only=True)
    loaded = loaded if wrapper is None else loaded[wrapper]
    assert list(loaded) == list(state)
    assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize("names", [("", "a"), ("a", ""), ("ü", "é"), ("ckpttool.order", "a")])
def test_any_names_can_be_tied(tmp_path: Path, names: tuple[str, str]) -> None:
    weight = torch.ones(3)
    state = {names[0]: weight, "x": torch.zeros(1), names[1]: weight}
    proven(saved(tmp_path, state), tmp_path / "there.safetensors")
    proven(tmp_path / "there.safetensors", tmp_path / "back.pth", TO_PTH)
    proven(saved(tmp_path, state), tmp_path / "again.pth", TO_PTH)
    for path in (tmp_path / "back.pth", tmp_path / "again.pth"):
        loaded = torch.load(path, weights_only=True)
        assert list(loaded) == list(state)
        assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())


def test_a_library_that_goes_by_offsets_finds_the_order_too(tmp_path: Path) -> None:
    names = ["z", "a", "m", "b"]
    source = saved(tmp_path, {name: torch.ones(2) for name in names})
    proven(source, tmp_path / "out.safetensors")
    with safe_open(tmp_path / "out.safetensors", framework="pt") as file:
        if not hasattr(file, "offset_keys"):
            pytest.skip("this release of safetensors lists names in alphabetical order only")
        assert list(file.offset_keys()) == names


@pytest.mark.parametrize(
    "state",
    [
        pytest.param({"pt": torch.ones(2)}, id="the name of the format"),
        pytest.param({"model": {"model": torch.ones(2)}}, id="the name of the wrapper"),
    ],
)
def test_what_the_metadata_say_of_the_file_is_no_tied_name(tmp_path: Path, state: object) -> None:
    proven(saved(tmp_path, state), tmp_path / "there.safetensors")
    back = proven(tmp_path / "there.safetensors", tmp_path / "back.pth", TO_PTH)
    assert (back.restored, len(tensors_in(tmp_path / "back.pth"))) == ({}, 1)


@pytest.mark.parametrize(
    "order",
    [
        "",
        "[]",
        "7",
        "{",
        "[" * 100_000,
        '{"lm_head":-1}',
        '{"lm_head":"x"}',
        '{"lm_head":true}',
        '{"lm_head":1e999}',
        '{"lm_head":' + "9" * 100_000 + "}",
        '{"lm_head":999999999}',
        '{"other":0}',
    ],
    ids=lambda text: text[:24],
)
def test_an_order_that_says_nothing_puts_the_names_at_the_end(tmp_path: Path, order: str) -> None:
    source = tmp_path / "in.safetensors"
    metadata = {"lm_head": "embed", "ckpttool.order": order}
    save_file({"embed": torch.ones(2), "z": torch.ones(1)}, str(source), metadata=metadata)
    proven(source, tmp_path / "back.pth", TO_PTH)
    assert list(torch.load(tmp_path / "back.pth", weights_only=True)) == ["embed", "z", "lm_head"]


def test_tied_names_count_in_the_fingerprint_however_they_are_stored(
    tmp_path: Path, tiny: str
) -> None:
    source = saved(tmp_path, sharing.tied_in_places())
    converted = [
        proven(source, tmp_path / f"{name}.safetensors", WITH_FINGERPRINT._replace(**options))
        for name, options in KEPT.items()
    ]
    options = VerifyOptions(model=tiny, forward=False, fingerprint=True)
    paths = [str(source), *(str(one.destination) for one in converted)]
    prints = {verify_file(path, options).fingerprint for path in paths}
    assert prints == {one.file.fingerprint for one in converted}
    assert len(prints) == 1
    assert None not in prints


def test_the_text_of_tied_names_is_the_same_however_they_are_stored(tmp_path: Path) -> None:
    source = saved(tmp_path, sharing.tied_in_places())
    texts = {tuple(lines_of(str(source)))}
    for name, options in KEPT.items():
        proven(source, tmp_path / f"{name}.safetensors", TO_SAFETENSORS._replace(**options))
        texts.add(tuple(lines_of(str(tmp_path / f"{name}.safetensors"))))
    # what the file says of itself is no part of the weights
    assert len({tuple(line for line in text if ": " not in line) for text in texts}) == 1


KEPT: dict[str, dict[str, Any]] = {
    "first": {},
    "another": {"keep": ("lm_head",)},
    "all": {"keep_aliases": True},
}


@pytest.mark.parametrize("build", [sharing.overlapping, sharing.expanded, sharing.neighbours])
def test_views_are_written_out_in_full(build: Callable[[], State], tmp_path: Path) -> None:
    source = saved(tmp_path, build())
    proven(source, tmp_path / "out.safetensors")
    found = load_file(str(tmp_path / "out.safetensors"))
    assert {name: tensor.tolist() for name, tensor in found.items()} == {
        name: tensor.tolist() for name, tensor in build().items()
    }


# --- determinism, metadata, fingerprint ----------------------------------------------------


@pytest.mark.parametrize("options", [TO_SAFETENSORS, TO_PTH], ids=lambda options: options.to)
def test_any_number_of_workers_gives_the_same_bytes(
    options: ConvertOptions, tmp_path: Path
) -> None:
    source = checkpoints.saved(tmp_path, checkpoints.sound)
    contents = set()
    for workers in (1, 2, 7):
        output = tmp_path / f"{workers}.{options.to}"
        proven(source, output, options._replace(workers=workers))
        contents.add(output.read_bytes())
    assert len(contents) == 1


class Counted:
    """A progress that counts."""

    def __init__(self) -> None:
        self.total = self.done = 0

    def start(self, total: int) -> None:
        self.total = total

    def advance(self, nbytes: int) -> None:
        self.done += nbytes


@pytest.mark.parametrize("options", [TO_SAFETENSORS, TO_PTH], ids=lambda options: options.to)
def test_progress_is_told_all_bytes_of_the_tensors(options: ConvertOptions, tmp_path: Path) -> None:
    source = checkpoints.saved(tmp_path, checkpoints.sound)
    counted = Counted()
    convert_file(source, str(tmp_path / f"out.{options.to}"), options._replace(workers=1), counted)
    with open_checkpoint(source) as checkpoint:
        nbytes = sum(info.nbytes for info in checkpoint.values())
    assert (counted.total, counted.done) == (nbytes, nbytes)


def test_a_result_is_one_line_where_it_is_shown(tmp_path: Path) -> None:
    source = checkpoints.saved(tmp_path, checkpoints.sound)
    output = str(tmp_path / "out.safetensors")
    converted = convert_file(source, output, TO_SAFETENSORS)
    assert repr(converted) == f"<Conversion: written {source} -> {output}>"


def metadata_in(path: Path) -> dict[str, str]:
    with open_checkpoint(str(path)) as checkpoint:
        return checkpoint.metadata


def test_the_fingerprint_is_the_one_that_verify_gives(tmp_path: Path, tiny: str) -> None:
    source = checkpoints.saved(tmp_path, checkpoints.sound)
    output = tmp_path / "out.safetensors"
    converted = proven(source, output, WITH_FINGERPRINT)
    options = VerifyOptions(model=tiny, forward=False, fingerprint=True)
    prints = {verify_file(str(path), options).fingerprint for path in (source, output)}
    assert prints == {converted.file.fingerprint, converted.fingerprint}
    assert metadata_in(output)["ckpttool.fingerprint"] == converted.fingerprint


def test_joined_tensors_have_the_fingerprint_of_their_whole(tmp_path: Path, tiny: str) -> None:
    """Query, key and value of Hugging Face files are one tensor by the canonical names."""
    state = checkpoints.state()
    split = {}
    for name, tensor in state.items():
        if name.startswith("blocks.") and ".attn.qkv." in name:
            number, kind = name.split(".")[1], name.split(".")[-1]
            for part, piece in zip(("query", "key", "value"), tensor.chunk(3)):
                base = f"vit.encoder.layer.{number}.attention.attention"
                split[f"{base}.{part}.{kind}"] = piece.clone()
    split["vit.embeddings.patch_embeddings.projection.weight"] = state["patch_embed.proj.weight"]
    source = saved(tmp_path, split)
    converted = proven(source, tmp_path / "out.safetensors", WITH_FINGERPRINT)
    options = VerifyOptions(model=tiny, forward=False, fingerprint=True)
    assert converted.file.layout == "hf-vitmae"
    assert verify_file(str(source), options).fingerprint == converted.fingerprint


def test_metadata_of_the_source_and_of_the_user_are_kept_in_order(tmp_path: Path) -> None:
    source = tmp_path / "in.safetensors"
    save_file({"w": torch.ones(1)}, str(source), metadata={"z": "1", "format": "pt"})
    options = WITH_FINGERPRINT._replace(metadata=(("licence", "none"),))
    proven(source, tmp_path / "out.safetensors", options)
    found = metadata_in(tmp_path / "out.safetensors")
    assert list(found) == ["format", "ckpttool.fingerprint", "licence", "z"]


def test_a_fingerprint_is_there_only_where_it_was_asked_for(tmp_path: Path) -> None:
    source = checkpoints.saved(tmp_path, checkpoints.sound)
    receipt = str(tmp_path / "receipt.json")
    found = {}
    for name, options in (
        ("plain", TO_SAFETENSORS),
        ("asked", WITH_FINGERPRINT),
        ("receipt", TO_SAFETENSORS._replace(receipt=receipt)),
    ):
        converted = proven(source, tmp_path / name, options)
        prints = {converted.fingerprint, converted.file.fingerprint}
        assert prints == {metadata_in(tmp_path / name).get("ckpttool.fingerprint")}
        found[name] = prints.pop()
    assert found["plain"] is None
    assert found["asked"] == found["receipt"] is not None
    assert (tmp_path / "asked").read_bytes() == (tmp_path / "receipt").read_bytes()


@pytest.mark.parametrize("options", [TO_SAFETENSORS, WITH_FINGERPRINT], ids=["none", "anew"])
def test_the_fingerprint_of_a_source_is_not_passed_on_unseen(
    tmp_path: Path, options: ConvertOptions
) -> None:
    """It may be that of a damaged file before, or of tensors that were cast."""
    source = tmp_path / "in.safetensors"
    said = {"ckpttool.fingerprint": "ckpt1:" + 64 * "0"}
    save_file({"w": torch.ones(1)}, str(source), metadata=said)
    converted = proven(source, tmp_path / "out.safetensors", options)
    found = metadata_in(tmp_path / "out.safetensors").get("ckpttool.fingerprint")
    assert found == converted.fingerprint
    assert found != said["ckpttool.fingerprint"]


# --- shards --------------------------------------------------------------------------------


def test_shards_read_as_one_checkpoint_and_convert_back(tmp_path: Path) -> None:
    source = checkpoints.saved(tmp_path, checkpoints.sound)
    out = tmp_path / "model.safetensors"
    converted = proven(source, out, TO_SAFETENSORS._replace(max_shard_size=20_000))
    index = tmp_path / "model.safetensors.index.json"
    assert converted.outputs[-1].path == str(index)
    assert len(converted.outputs) > 3
    assert not out.exists()
    assert tensors_in(index) == tensors_in(source)
    assert converted.proof is not None
    with open_checkpoint(str(source)) as checkpoint:
        assert converted.proof.checksums == len(checkpoint.checksums)
    proven(index, tmp_path / "back.pth", TO_PTH)
    assert tensors_in(tmp_path / "back.pth") == tensors_in(source)


def test_the_index_counts_what_is_in_the_shards(tmp_path: Path) -> None:
    state = {"a": torch.zeros(4), "b": torch.zeros(3, dtype=torch.int64), "c": torch.zeros(())}
    source = saved(tmp_path, state)
    out = tmp_path / "model.safetensors"
    proven(source, out, TO_SAFETENSORS._replace(max_shard_size=30))
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    first, second = (f"model-{n:05d}-of-00002.safetensors" for n in (1, 2))
    assert index == {
        "metadata": {"total_size": 44, "total_parameters": 8},
        "weight_map": {"a": first, "b": second, "c": second},
    }


def test_shards_of_an_earlier_run_go_when_there_are_fewer(tmp_path: Path) -> None:
    source = saved(tmp_path, {name: torch.zeros(4) for name in "abcd"})
    out = tmp_path / "out" / "model.safetensors"
    out.parent.mkdir()
    options = TO_SAFETENSORS._replace(force=True)
    for size, files in ((16, 5), (32, 3), (64, 1), (32, 3)):
        proven(source, out, options._replace(max_shard_size=size))
        assert len(listing(out.parent)) == files
        assert out.exists() == (files == 1)


def test_shards_of_an_earlier_run_stay_unless_files_may_be_replaced(tmp_path: Path) -> None:
    source = saved(tmp_path, {name: torch.zeros(4) for name in "abcd"})
    out = tmp_path / "model.safetensors"
    proven(source, out, TO_SAFETENSORS._replace(max_shard_size=32))
    before = listing(tmp_path)
    proven(source, out)
    assert {name: listing(tmp_path)[name] for name in before} == before
    assert out.exists()


def test_a_whole_file_beside_new_shards_is_not_replaced_unasked(tmp_path: Path) -> None:
    source = saved(tmp_path, {name: torch.zeros(4) for name in "abcd"})
    out = tmp_path / "model.safetensors"
    out.write_bytes(b"mine")
    refused = convert(source, out, TO_SAFETENSORS._replace(max_shard_size=32))
    assert codes(refused) == ["CVT103"]
    assert out.read_bytes() == b"mine"


# --- casts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("options", [TO_SAFETENSORS, TO_PTH], ids=lambda options: options.to)
def test_floats_are_cast_as_torch_does_and_integers_left_alone(
    name: str, options: ConvertOptions, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    state = {
        "single": torch.randn(1000),
        "double": torch.randn(10, 7, dtype=torch.float64).t(),
        "brain": torch.randn(9).bfloat16(),
        "count": torch.arange(5),
    }
    source = saved(tmp_path, state)
    asked = options._replace(dtype=name, fingerprint=True)
    converted = proven(source, tmp_path / f"out.{options.to}", asked)
    dtype = getattr(torch, name)
    expected = {
        key: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for key, tensor in state.items()
    }
    assert tensors_in(tmp_path / f"out.{options.to}") == {
        key: (str(tensor.dtype)[6:], tuple(tensor.shape), digest(tensor))
        for key, tensor in expected.items()
    }
    assert {cast.name for cast in converted.casts} == {
        key for key, tensor in state.items() if tensor.is_floating_point() and tensor.dtype != dtype
    }
    assert converted.fingerprint != converted.file.fingerprint


def test_what_overflows_is_refused_unless_it_is_allowed(tmp_path: Path) -> None:
    source = saved(tmp_path, {"w": torch.tensor([1e5, 1.0, float("inf")])})
    out = tmp_path / "out.safetensors"
    half = TO_SAFETENSORS._replace(dtype="float16")
    refused = convert(source, out, half)
    assert (refused.file.verdict, codes(refused), out.exists()) == (Verdict.FAIL, ["CVT205"], False)
    assert refused.casts[0].overflow == 1
    allowed = proven(source, out, half._replace(allow_overflow=True))
    assert [finding.severity.value for finding in allowed.file.findings] == ["warning"]


@pytest.mark.parametrize(
    ("numbers", "dtype", "rule", "advice"),
    [
        (torch.tensor([1e30]), "float16", "CVT205", "Cast to bfloat16"),
        (torch.tensor([1e300], dtype=torch.float64), "float16", "CVT205", "--exclude"),
        (torch.tensor([1e300], dtype=torch.float64), "bfloat16", "CVT205", "--exclude"),
        (torch.tensor([1e-30]), "float16", "CVT206", "Cast to bfloat16"),
        (torch.tensor([1e-300], dtype=torch.float64), "float16", "CVT206", "--exclude"),
        (torch.tensor([1e-300], dtype=torch.float64), "float32", "CVT206", "--exclude"),
    ],
)
def test_the_advice_on_what_a_cast_loses_keeps_it(
    numbers: torch.Tensor, dtype: str, rule: str, advice: str, tmp_path: Path
) -> None:
    source = saved(tmp_path, {"w": numbers})
    done = convert(source, tmp_path / "out.safetensors", TO_SAFETENSORS._replace(dtype=dtype))
    (found,) = done.file.findings
    assert found.rule.code == rule
    assert advice in (found.fix or found.rule.fix)


def test_what_underflows_is_told(tmp_path: Path) -> None:
    source = saved(tmp_path, {"w": torch.tensor([1e-10, 0.0, 1.0])})
    half = TO_SAFETENSORS._replace(dtype="float16")
    converted = proven(source, tmp_path / "out.safetensors", half)
    assert codes(converted) == ["CVT206"]
    assert converted.casts[0].underflow == 1


# --- what lies beside, sidecar and receipt -------------------------------------------------


def training() -> object:
    weight = torch.ones(4)
    optimizer = {"state": {0: {"exp_avg": torch.zeros(8)}}, "param_groups": [{"lr": 0.1}]}
    return {"model": {"w": weight}, "optimizer": optimizer, "epoch": 7}


def test_what_is_left_out_is_named_with_its_size(tmp_path: Path) -> None:
    converted = proven(saved(tmp_path, training()), tmp_path / "out.safetensors")
    assert [
        (entry.key, entry.kind, entry.nbytes, entry.sidecar) for entry in converted.left_out
    ] == [
        ("optimizer", "dict", 32, None),
        ("epoch", "int", 0, None),
    ]


def test_cleaning_a_training_checkpoint_keeps_its_weights_alone(tmp_path: Path) -> None:
    path = saved(tmp_path, training())
    (destination,) = destinations([str(path)], TO_PTH)
    assert destination == str(tmp_path / "weights.clean.pth")
    convert_file(str(path), destination, TO_PTH)
    loaded = torch.load(destination, weights_only=True)
    assert {key: list(value) for key, value in loaded.items()} == {"model": ["w"]}


def test_the_sidecar_keeps_what_is_plain(tmp_path: Path) -> None:
    sidecar = tmp_path / "beside.json"
    options = TO_SAFETENSORS._replace(sidecar=str(sidecar))
    converted = proven(saved(tmp_path, training()), tmp_path / "out.safetensors", options)
    assert [entry.sidecar for entry in converted.left_out] == ["partly", "whole"]
    state = {"$pairs": [[0, {"exp_avg": {"$left_out": "tensor"}}]]}
    assert json.loads(sidecar.read_text())["entries"] == [
        {"key": "optimizer", "value": {"state": state, "param_groups": [{"lr": 0.1}]}},
        {"key": "epoch", "value": 7},
    ]


def test_the_sidecar_says_how_much_of_each_entry_it_holds(tmp_path: Path) -> None:
    sidecar = tmp_path / "beside.json"
    shared = [1, 2]
    content = {
        "state_dict": {"w.a": torch.ones(4), "w.b": torch.ones(4)},
        "moments": {"of": [torch.zeros(2)]},
        "optimizer": {"state": {0: torch.zeros(2)}, "param_groups": [{"betas": (0.9, 0.99)}]},
        "rng": np.arange(3),
        "run": argparse.Namespace(folder=pathlib.PurePosixPath("/a"), of=shared),
        "again": shared,
        "nothing": {},
    }
    options = TO_SAFETENSORS._replace(sidecar=str(sidecar))
    converted = proven(saved(tmp_path, content), tmp_path / "out.safetensors", options)
    assert [(entry.key, entry.sidecar) for entry in converted.left_out] == [
        ("moments", None),
        ("optimizer", "partly"),
        ("rng", "whole"),
        ("run", "whole"),
        ("again", "whole"),
        ("nothing", "whole"),
    ]
    values = {one["key"]: one["value"] for one in json.loads(sidecar.read_text())["entries"]}
    assert values["moments"] == {"of": [{"$left_out": "tensor"}]}
    assert values["rng"] == {"$array": "int64", "shape": [3], "data": [0, 1, 2]}
    assert values["run"] == {
        "$object": "argparse.Namespace",
        "attributes": {"folder": {"$PurePosixPath": "/a"}, "of": [1, 2]},
    }
    assert values["again"] == {"$ref": "run.of"}


def test_the_sidecar_holds_entries_that_the_report_only_counts(tmp_path: Path) -> None:
    sidecar = tmp_path / "beside.json"
    content = {"model": {"w": torch.ones(4)}, **{f"e{number}": number for number in range(1_100)}}
    options = TO_SAFETENSORS._replace(sidecar=str(sidecar))
    converted = proven(saved(tmp_path, content), tmp_path / "out.safetensors", options)
    assert converted.left_out[-1][:3] == ("...", "more", "100 further entries")
    assert converted.left_out[-1].sidecar == "whole"
    assert len(json.loads(sidecar.read_text())["entries"]) == 1_100


def test_metadata_that_a_pth_cannot_hold_is_named(tmp_path: Path) -> None:
    source = tmp_path / "in.safetensors"
    save_file({"w": torch.ones(1)}, str(source), metadata={"note": "x", "format": "pt"})
    converted = proven(source, tmp_path / "out.pth", TO_PTH)
    assert [entry.key for entry in converted.left_out] == ["__metadata__.note"]


def test_the_receipt_holds_the_sums_of_the_files_as_they_are(tmp_path: Path) -> None:
    source = checkpoints.saved(tmp_path, checkpoints.sound)
    receipt = tmp_path / "receipt.json"
    options = TO_SAFETENSORS._replace(receipt=str(receipt), max_shard_size=20_000)
    converted = proven(source, tmp_path / "model.safetensors", options)
    document = json.loads(receipt.read_text())
    for file in (*document["source"]["files"], *document["result"]["files"]):
        content = (tmp_path / file["name"]).read_bytes()
        assert (file["size"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert [written.sha256 for written in converted.outputs] == [
        file["sha256"] for file in document["result"]["files"]
    ]
    assert {row["name"]: row["sha256"] for row in document["tensors"]} == {
        name: sha for name, (_, _, sha) in tensors_in(source).items()
    }
    assert document["source"]["fingerprint"] == document["result"]["fingerprint"]


def test_what_the_source_would_have_called_is_left_behind_and_listed(tmp_path: Path) -> None:
    beside = {"pair": checkpoints.Pair(1, 2), "recorder": checkpoints.Recorder()}
    source = saved(tmp_path, {"model": {"w": torch.ones(2)}, **beside})
    receipt = tmp_path / "receipt.json"
    options = TO_SAFETENSORS._replace(receipt=str(receipt))
    converted = proven(source, tmp_path / "out.safetensors", options)
    told = {one.rule.code: one.severity.value for one in converted.file.findings}
    assert (told["SEC002"], told["SEC003"]) == ("warning", "warning")
    listed = json.loads(receipt.read_text())["not_called"]
    assert [(row["use"], row["name"]) for row in listed] == [
        ("call", "tests.builders.checkpoints.Pair"),
        ("class", "tests.builders.checkpoints.Recorder"),
    ]
    assert b"Pair" not in (tmp_path / "out.safetensors").read_bytes()


def test_the_receipt_is_the_same_in_another_folder(tmp_path: Path) -> None:
    texts = set()
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        source = saved(folder, sharing.tied())
        options = TO_SAFETENSORS._replace(receipt=str(folder / "receipt.json"))
        proven(source, folder / "out.safetensors", options)
        texts.add((folder / "receipt.json").read_text())
    assert len(texts) == 1
    assert str(tmp_path) not in texts.pop()


# --- nothing is written --------------------------------------------------------------------


def bad_checksum(folder: Path) -> Path:
    """A weight with one bit of its bytes flipped."""
    path = saved(folder, {"w": torch.arange(1000, dtype=torch.float32)})
    content = bytearray(path.read_bytes())
    with open_checkpoint(str(path)) as checkpoint:
        content[checkpoint.tensors["w"].extents[0].offset + 5] ^= 1
    path.write_bytes(content)
    return path


def cut_short(folder: Path) -> Path:
    path = saved(folder, {"w": torch.zeros(1000)})
    path.write_bytes(path.read_bytes()[:-100])
    return path


def missing(folder: Path) -> Path:
    return folder / "missing.pth"


def attack(folder: Path) -> Path:
    return Path(checkpoints.saved(folder, checkpoints.attack_beside))


def bomb(folder: Path) -> Path:
    return saved(folder, sharing.bomb())


def sparse(folder: Path) -> Path:
    return saved(folder, {"w": torch.eye(3).to_sparse(), "v": torch.zeros(1)})


def complex_double(folder: Path) -> Path:
    return saved(folder, {"w": torch.zeros(1, dtype=torch.complex128)})


def no_checkpoint(folder: Path) -> Path:
    path = folder / "notes.txt"
    path.write_text("not a checkpoint at all, only a line of text")
    return path


@pytest.mark.parametrize(
    ("build", "code", "verdict"),
    [
        (bad_checksum, "INT004", Verdict.FAIL),
        (cut_short, "FIL006", Verdict.FAIL),
        (attack, "SEC001", Verdict.FAIL),
        (bomb, "INT005", Verdict.FAIL),
        (sparse, "STR011", Verdict.FAIL),
        (complex_double, "CVT101", Verdict.FAIL),
        (missing, "FIL001", Verdict.CANNOT_TELL),
        (no_checkpoint, "FIL002", Verdict.CANNOT_TELL),
    ],
)
def test_bad_input_writes_nothing(
    build: Callable[[Path], Path], code: str, verdict: Verdict, tmp_path: Path
) -> None:
    source = build(tmp_path)
    before = listing(tmp_path)
    options = TO_SAFETENSORS._replace(
        sidecar=str(tmp_path / "s.json"), receipt=str(tmp_path / "r.json")
    )
    converted = convert(source, tmp_path / "out.safetensors", options)
    assert (converted.file.verdict, converted.state) == (verdict, "not-written")
    assert codes(converted) == [code]
    assert listing(tmp_path) == before


@pytest.mark.parametrize("name", sorted(st.DEFECTS))
def test_every_damaged_safetensors_file_is_refused(name: str, tmp_path: Path) -> None:
    build, code = st.DEFECTS[name]
    source = tmp_path / "in.safetensors"
    source.write_bytes(build())
    converted = convert(source, tmp_path / "out.pth", TO_PTH)
    assert codes(converted) == [code]
    assert converted.state == "not-written"
    assert [path.name for path in tmp_path.iterdir()] == ["in.safetensors"]


def test_a_storage_that_is_missing_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "in.pth"
    source.write_bytes(tf.torch_zip(storages={}))
    converted = convert(source, tmp_path / "out.safetensors")
    assert (codes(converted), converted.file.verdict) == (["INT003"], Verdict.FAIL)


@pytest.mark.parametrize("force", [False, True])
def test_the_source_is_never_replaced(force: bool, tmp_path: Path) -> None:
    source = saved(tmp_path, {"w": torch.zeros(1)})
    before = listing(tmp_path)
    os.link(source, tmp_path / "same.pth")
    for output in (source, tmp_path / "same.pth"):
        refused = convert(source, output, TO_PTH._replace(force=force))
        assert (codes(refused), refused.file.verdict) == (["CVT105"], Verdict.CANNOT_TELL)
    (tmp_path / "same.pth").unlink()
    assert listing(tmp_path) == before


def test_an_existing_destination_needs_force(tmp_path: Path) -> None:
    source = saved(tmp_path, {"w": torch.zeros(1)})
    out = tmp_path / "out.safetensors"
    out.write_bytes(b"mine")
    refused = convert(source, out)
    assert (codes(refused), out.read_bytes()) == (["CVT103"], b"mine")
    assert refused.file.findings[0].message.startswith(f"{out}: ")
    proven(source, out, TO_SAFETENSORS._replace(force=True))
    assert tensors_in(out) == tensors_in(source)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    source = saved(tmp_path, {"w": torch.zeros(1)})
    out = tmp_path / "out.safetensors"
    (tmp_path / "link").symlink_to(tmp_path)
    for other in (out, tmp_path / "link" / out.name):
        for given in (
            {"receipt": str(other)},
            {"sidecar": str(other)},
            {"receipt": str(tmp_path / "both"), "sidecar": str(tmp_path / "link" / "both")},
        ):
            refused = convert(source, out, TO_SAFETENSORS._replace(**given))  # type: ignore[arg-type]
            assert (codes(refused), out.exists()) == (["CVT201"], False)


def test_a_dry_run_writes_nothing_and_tells_the_size(tmp_path: Path) -> None:
    source = checkpoints.saved(tmp_path, checkpoints.sound)
    before = listing(tmp_path)
    out = tmp_path / "out.safetensors"
    options = TO_SAFETENSORS._replace(max_shard_size=20_000)
    planned = convert(source, out, options._replace(dry_run=True))
    assert (planned.state, planned.file.verdict) == ("planned", Verdict.PASS)
    assert listing(tmp_path) == before
    assert planned.outputs == proven(source, out, options).outputs
    assert {written.path: written.size for written in planned.outputs} == {
        written.path: Path(written.path).stat().st_size for written in planned.outputs
    }


@pytest.mark.parametrize("damage", ["name", "dtype", "shape"])
def test_a_reader_that_sees_something_else_stops_it(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof itself is shown to fail: what it reads again is not what was to be written."""
    source = saved(tmp_path, {"w": torch.zeros(2, 2)})

    def damaged(path: str) -> Any:
        checkpoint = open_checkpoint(path)
        info = checkpoint.tensors.pop("w")
        with_another = {
            "name": info._replace(name="v"),
            "dtype": info._replace(dtype=info.dtype._replace(safetensors="I32")),
            "shape": info._replace(shape=(4,)),
        }[damage]
        checkpoint.tensors[with_another.name] = with_another
        return checkpoint

    monkeypatch.setattr(proving, "open_checkpoint", damaged)
    before = listing(tmp_path)
    refused = convert(source, tmp_path / "out.safetensors")
    assert (codes(refused), refused.file.verdict) == (["CVT202"], Verdict.CANNOT_TELL)
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    ("dtype", "state", "told"),
    [
        pytest.param(torch.complex64, "written", "CVT207", id="a type that came late"),
        pytest.param(torch.float32, "not-written", "CVT202", id="any other"),
    ],
)
def test_a_library_that_refuses_the_file_is_told_of(
    dtype: torch.dtype, state: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object, **__: object) -> None:
        raise safetensors.SafetensorError("InvalidHeaderDeserialization")

    monkeypatch.setattr(safetensors, "safe_open", refuses)
    source = saved(tmp_path, {"w": torch.zeros(2, dtype=dtype)})
    converted = convert(source, tmp_path / "out.safetensors")
    assert (converted.state, codes(converted)) == (state, [told])
    assert (tmp_path / "out.safetensors").exists() == (state == "written")


def test_a_shard_that_is_missing_is_refused(tmp_path: Path) -> None:
    index = shards.good(tmp_path)
    (tmp_path / shards.FIRST).unlink()
    before = listing(tmp_path)
    refused = convert(index, tmp_path / "out.pth", TO_PTH)
    assert (codes(refused), refused.file.verdict) == (["FIL401"], Verdict.FAIL)
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    ("options", "recognised"),
    [
        pytest.param(TO_PTH, 1, id="all of it"),
        pytest.param(TO_PTH._replace(encoder_only=True), 2, id="a part of it, too"),
        pytest.param(TO_PTH._replace(fingerprint=True), 2, id="and what was written"),
    ],
)
def test_a_source_is_opened_once_and_its_names_are_recognised_once(
    options: ConvertOptions, recognised: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = checkpoints.saved(tmp_path, checkpoints.sound)
    opened: list[str] = []
    names: list[int] = []

    def opening(path: str, **options: Any) -> Any:
        opened.append(path)
        return open_checkpoint(path, **options)

    def recognising(tensors: Any) -> Any:
        names.append(len(tensors))
        return canonicalize(tensors)

    for module in (convert_module, proving):
        monkeypatch.setattr(module, "open_checkpoint", opening)
    for module in (convert_module, selecting, output_module):
        monkeypatch.setattr(module, "canonicalize", recognising)
    convert(source, tmp_path / "out.pth", options)
    assert [path for path in opened if path == source] == [source]
    assert (len(opened), len(names)) == (2, recognised)
