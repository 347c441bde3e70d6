"""Another naming convention: the same bytes, there and back, and nothing left out in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from ckpttool import open_checkpoint
from ckpttool.conversion import convert as converting
from ckpttool.conversion import proving
from ckpttool.conversion.renaming.spelling import read_back
from ckpttool.conversion.result import Conversion, Rows
from ckpttool.models.families.mae import MAE
from ckpttool.models.layouts.conventions import CONVENTIONS
from ckpttool.models.layouts.renames import Layout
from tests.builders import checkpoints, models
from tests.builders.layouts import encoder_names

STATE = checkpoints.state()
QKV = "blocks.1.attn.qkv.weight"
QUERY, KEY, VALUE = (
    f"vit.encoder.layer.1.attention.attention.{part}.weight" for part in ("query", "key", "value")
)


def convert(source: object, output: Path, **options: Any) -> Conversion:
    return converting.convert(
        str(source), output, **{"to": "safetensors", "sync": False, **options}
    )


def saved(folder: Path, state: object, name: str = "a.pth") -> Path:
    torch.save(state, folder / name)
    return folder / name


def elements(path: object) -> dict[str, bytes]:
    with open_checkpoint(str(path)) as checkpoint:
        return {name: info.numpy(view=True).tobytes() for name, info in checkpoint.items()}


def codes(done: Conversion) -> list[str]:
    return [one.rule.code for one in done.findings]


@pytest.mark.parametrize("asked", CONVENTIONS)
@pytest.mark.parametrize("to", ["safetensors", "pth"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_there_and_back_is_the_identity(
    tmp_path: Path, asked: str, to: str, dtype: torch.dtype
) -> None:
    whole = asked in ("facebook", "hf", "mmpretrain")
    state = {name: tensor.to(dtype) for name, tensor in STATE.items()}
    state = state if whole else models.encoder_of(state)
    source = saved(tmp_path, {"model": state})
    there, back = tmp_path / f"there.{to}", tmp_path / "back.pth"
    done = convert(source, there, to=to, layout=asked, fingerprint=True)
    assert done.state == "written", done
    assert done.fingerprint == done.file.fingerprint  # of the canonical names
    again = convert(there, back, to="pth", layout="facebook")
    assert again.state == "written", again
    assert elements(back) == elements(source)
    assert list(torch.load(back)["model"]) == list(state)


@pytest.mark.parametrize("layout", MAE.layouts, ids=[one.name for one in MAE.layouts])
@pytest.mark.parametrize("prefix", ["", "module.", "student.trunk."])
def test_every_layout_that_is_read_becomes_the_published_one(
    tmp_path: Path, layout: Layout, prefix: str
) -> None:
    spelled: dict[str, torch.Tensor] = {}
    for name, tensor in STATE.items():
        others = layout.names_of(name) or ()
        parts = tensor.chunk(len(others)) if others else ()
        spelled.update((prefix + other, part.clone()) for other, part in zip(others, parts))
    done = convert(saved(tmp_path, spelled), tmp_path / "out.safetensors", layout="facebook")
    assert done.state == "written", done.findings
    found = elements(tmp_path / "out.safetensors")
    assert found == {name: STATE[name].numpy().tobytes() for name in found}
    assert len(found) in (len(STATE), len(models.encoder_of(STATE)))


def test_every_convention_becomes_every_other_in_one_step(tmp_path: Path) -> None:
    source = saved(tmp_path, STATE)
    whole = ("facebook", "hf", "mmpretrain")
    for one in whole:
        convert(source, tmp_path / f"{one}.safetensors", layout=one)
    for one in whole:
        for other in whole:
            found = tmp_path / "found.safetensors"
            convert(tmp_path / f"{one}.safetensors", found, layout=other, force=True)
            assert elements(found) == elements(tmp_path / f"{other}.safetensors")


def test_a_fused_tensor_is_split_by_its_rows_and_the_map_says_so(tmp_path: Path) -> None:
    source = saved(tmp_path, STATE)
    receipt = tmp_path / "receipt.json"
    done = convert(source, tmp_path / "hf.safetensors", layout="hf", receipt=receipt)
    assert done.map[KEY] == (Rows(QKV, 16, 32),)
    found, third = elements(tmp_path / "hf.safetensors"), STATE[QKV].chunk(3)
    assert [found[name] for name in (QUERY, KEY, VALUE)] == [
        part.numpy().tobytes() for part in third
    ]
    listed = {one["name"]: one["from"] for one in json.loads(receipt.read_text())["map"]}
    assert listed[VALUE] == [{"name": QKV, "rows": [32, 48], "transposed": False}]
    assert done.to_dict()["files"][0]["map"] == json.loads(receipt.read_text())["map"]
    back = convert(tmp_path / "hf.safetensors", tmp_path / "fb.safetensors", layout="facebook")
    assert back.map[QKV] == tuple(Rows(name, 0, 16) for name in (QUERY, KEY, VALUE))


def test_the_stored_sums_of_what_is_split_are_compared_too(tmp_path: Path) -> None:
    done = convert(saved(tmp_path, STATE), tmp_path / "hf.safetensors", layout="hf")
    assert done.proof is not None
    assert done.proof.checksums == len(STATE)


def test_damage_in_what_is_split_is_found(tmp_path: Path) -> None:
    source = saved(tmp_path, STATE)
    raw, part = bytearray(source.read_bytes()), STATE[QKV].numpy().tobytes()
    raw[raw.index(part) + 100] ^= 1
    source.write_bytes(raw)
    done = convert(source, tmp_path / "hf.safetensors", layout="hf")
    assert (done.state, codes(done)) == ("not-written", ["INT004"])


def test_a_strided_tensor_is_split_all_the_same(tmp_path: Path) -> None:
    turned = {**STATE, QKV: STATE[QKV].T.contiguous().T}
    convert(saved(tmp_path, turned), tmp_path / "hf.safetensors", layout="hf")
    convert(saved(tmp_path, STATE, "b.pth"), tmp_path / "b.safetensors", layout="hf")
    assert elements(tmp_path / "hf.safetensors") == elements(tmp_path / "b.safetensors")


def test_a_cast_and_shards_go_with_another_convention(tmp_path: Path) -> None:
    options = {"layout": "hf", "dtype": "float16", "max_shard_size": 4000}
    done = convert(saved(tmp_path, STATE), tmp_path / "hf.safetensors", **options)
    assert done.state == "written"
    assert len(done.outputs) > 3
    (tmp_path / "back").mkdir()
    index = tmp_path / "hf.safetensors.index.json"
    convert(index, tmp_path / "back" / "a.safetensors", layout="facebook")
    halves = {name: tensor.half().numpy().tobytes() for name, tensor in STATE.items()}
    assert elements(tmp_path / "back" / "a.safetensors") == halves


def test_tied_tensors_are_stored_each_where_a_loader_looks_for_every_key(tmp_path: Path) -> None:
    state = {**STATE, "norm.bias": STATE["blocks.0.norm1.bias"]}
    source = saved(tmp_path, state)
    convert(source, tmp_path / "hf.safetensors", layout="hf")
    names = elements(tmp_path / "hf.safetensors")
    assert {"vit.layernorm.bias", "vit.encoder.layer.0.layernorm_before.bias"} <= set(names)
    done = convert(source, tmp_path / "timm.safetensors", layout="timm", encoder_only=True)
    assert done.tied == {"norm.bias": "blocks.0.norm1.bias"}


# --- where the tensors lie --------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "before", "after"),
    [
        pytest.param("facebook", None, "model", id="facebook"),
        pytest.param("facebook", "state_dict", "model", id="facebook of lightning"),
        pytest.param("timm", "state_dict", "state_dict", id="timm"),
        pytest.param("hf", "model", None, id="hf"),
        pytest.param("mmpretrain", "model", None, id="mmpretrain"),
        pytest.param("mmseg", "model", None, id="mmseg"),
    ],
)
def test_a_pth_has_them_where_its_loader_looks(
    tmp_path: Path, asked: str, before: str | None, after: str | None
) -> None:
    state = models.encoder_of(STATE)
    source = saved(tmp_path, {before: state} if before else state)
    convert(source, tmp_path / "out.pth", to="pth", layout=asked)
    with open_checkpoint(str(tmp_path / "out.pth")) as checkpoint:
        assert checkpoint.wrapper == after


def test_a_prefix_is_not_part_of_a_convention(tmp_path: Path) -> None:
    source = saved(tmp_path, {f"module.{name}": tensor for name, tensor in STATE.items()})
    convert(source, tmp_path / "out.safetensors", layout="facebook")
    assert sorted(elements(tmp_path / "out.safetensors")) == sorted(STATE)


def test_an_encoder_of_a_larger_model_is_recognised_once_its_prefix_is_cut(tmp_path: Path) -> None:
    encoder = models.encoder_of(STATE)
    names = {f"student.trunk.{name}": tensor for name, tensor in encoder.items()}
    source = saved(tmp_path, {**names, "student.queue": torch.zeros(3)})
    options = {"layout": "timm", "strip_prefix": "student.trunk.", "exclude": "student.queue"}
    done = convert(source, tmp_path / "out.safetensors", **options)
    assert done.state == "written"
    assert sorted(elements(tmp_path / "out.safetensors")) == sorted(encoder_names(2))


def test_a_few_tensors_are_spelled_by_what_the_whole_file_is(tmp_path: Path) -> None:
    source = saved(tmp_path, STATE)
    options = {"layout": "hf", "include": ("norm.*", QKV)}
    done = convert(source, tmp_path / "out.safetensors", **options)
    assert done.state == "written"
    names = {"vit.layernorm.weight", "vit.layernorm.bias", QUERY, KEY, VALUE}
    assert set(elements(tmp_path / "out.safetensors")) == names


def test_a_part_of_what_would_be_joined_is_refused(tmp_path: Path) -> None:
    convert(saved(tmp_path, STATE), tmp_path / "hf.safetensors", layout="hf")
    options = {"layout": "facebook", "exclude": KEY}
    done = convert(tmp_path / "hf.safetensors", tmp_path / "out.safetensors", **options)
    assert (done.state, done.findings[0].tensors) == ("not-written", (QUERY, VALUE))


# --- what has no name there -------------------------------------------------------------


@pytest.mark.parametrize("asked", ["timm", "mmseg"])
def test_a_decoder_is_refused_where_it_has_no_name(tmp_path: Path, asked: str) -> None:
    source = saved(tmp_path, STATE)
    refused = convert(source, tmp_path / "out.safetensors", layout=asked)
    assert (refused.state, refused.exit_code, codes(refused)) == ("not-written", 1, ["CVT211"])
    assert len(refused.findings[0].tensors) == len(STATE) - len(models.encoder_of(STATE))
    done = convert(source, tmp_path / "out.safetensors", layout=asked, encoder_only=True)
    assert done.state == "written"
    assert set(done.excluded) == set(refused.findings[0].tensors)


WITH_HEAD = models.with_a_classifier(models.encoder_of(STATE))


@pytest.mark.parametrize("asked", ["facebook", "timm"])
def test_a_head_keeps_its_name_where_names_are_canonical(tmp_path: Path, asked: str) -> None:
    done = convert(saved(tmp_path, WITH_HEAD), tmp_path / "out.safetensors", layout=asked)
    assert (done.state, codes(done)) == ("written", ["CVT212"])
    assert "head.weight" in elements(tmp_path / "out.safetensors")


def test_hugging_face_has_a_name_of_its_own_for_it(tmp_path: Path) -> None:
    there, back = tmp_path / "there.pth", tmp_path / "back.pth"
    convert(saved(tmp_path, WITH_HEAD), there, to="pth", layout="hf")
    assert "classifier.weight" in elements(there)
    convert(there, back, to="pth", layout="facebook")
    assert elements(back) == elements(saved(tmp_path, WITH_HEAD))


@pytest.mark.parametrize("asked", ["mmpretrain", "mmseg"])
@pytest.mark.parametrize(
    ("way", "name"),
    [
        pytest.param({"exclude": "head.*"}, None, id="left out"),
        pytest.param({"rename": {"head.*": "head.*"}}, "head.weight", id="kept"),
        pytest.param({"rename": {"head.*": "classifier.*"}}, "classifier.weight", id="renamed"),
    ],
)
def test_elsewhere_it_is_left_out_or_named_by_the_caller(
    tmp_path: Path, asked: str, way: dict[str, Any], name: str | None
) -> None:
    source = saved(tmp_path, WITH_HEAD)
    refused = convert(source, tmp_path / "out.safetensors", layout=asked)
    assert (refused.state, refused.findings[0].tensors) == ("not-written", ("head.weight",))
    done = convert(source, tmp_path / "out.safetensors", layout=asked, **way)
    assert done.state == "written"
    others = set(elements(tmp_path / "out.safetensors"))
    assert len(others & {"head.weight", "classifier.weight"}) == (name is not None)
    assert name is None or name in others


def test_parts_that_do_not_fit_together_are_named(tmp_path: Path) -> None:
    convert(saved(tmp_path, STATE), tmp_path / "hf.pth", to="pth", layout="hf")
    state = torch.load(tmp_path / "hf.pth")
    del state[KEY]
    done = convert(saved(tmp_path, state), tmp_path / "out.safetensors", layout="facebook")
    assert (done.state, codes(done)) == ("not-written", ["CVT211"])
    assert set(done.findings[0].tensors) == {QUERY, VALUE}
    assert "not put together" in done.findings[0].message


def test_names_of_no_known_model_cannot_be_spelled(tmp_path: Path) -> None:
    source = saved(tmp_path, {"conv.weight": torch.zeros(2, 2)})
    done = convert(source, tmp_path / "out.safetensors", layout="hf")
    assert (done.state, done.exit_code) == ("not-written", 2)
    assert "no known layout" in done.findings[0].message


def test_a_fused_tensor_without_thirds_cannot_be_split(tmp_path: Path) -> None:
    state = {**STATE, QKV: torch.zeros(47, 16)}
    done = convert(saved(tmp_path, state), tmp_path / "out.safetensors", layout="hf")
    assert done.state == "not-written"
    assert f"{QKV} cannot be split into 3 parts" in done.findings[0].message


# --- the proof --------------------------------------------------------------------------


def test_rows_in_another_order_would_be_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way back is another than the way there."""

    def turned(*arguments: Any) -> dict[str, tuple[Rows, ...]]:
        found = read_back(*arguments)
        return {**found, QKV: found[QKV][::-1] or (), "norm.bias": ()}

    monkeypatch.setattr(proving, "read_back", turned)
    done = convert(saved(tmp_path, STATE), tmp_path / "out.safetensors", layout="hf")
    assert (done.state, codes(done)) == ("not-written", ["CVT202"])
    assert not (tmp_path / "out.safetensors").exists()


# --- what is said of a tensor is said by its name in the source --------------------------


@pytest.mark.parametrize(
    ("tensor", "options"),
    [
        pytest.param(torch.zeros(48, 16, dtype=torch.complex128), {}, id="a type"),
        pytest.param(torch.zeros(1).expand(3 << 40, 16), {}, id="expanded"),
        pytest.param(torch.full((48, 16), 1e30), {"dtype": "float16"}, id="a cast"),
    ],
)
def test_what_stops_a_conversion_is_called_as_exclude_takes_it(
    tmp_path: Path, tensor: torch.Tensor, options: dict[str, Any]
) -> None:
    source = saved(tmp_path, {**STATE, QKV: tensor})
    done = convert(source, tmp_path / "out.safetensors", layout="hf", **options)
    assert done.state == "not-written"
    errors = [one for one in done.findings if one.severity.value == "error"]
    assert {one.tensors for one in errors} == {(QKV,)}
    left_out = convert(source, tmp_path / "out.safetensors", layout="hf", exclude=QKV, **options)
    assert left_out.state == "written"
