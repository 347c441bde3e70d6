"""A resized table is what was computed, and every other tensor is what it was, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import numpy as np
import pytest
import torch

import ckpttool
from ckpttool import open_checkpoint
from ckpttool.findings import rules
from ckpttool.findings.finding import Verdict
from ckpttool.models.canonical import canonicalize
from ckpttool.verification.checks.positions import position_tables
from ckpttool.verification.options import VerifyOptions
from ckpttool.verification.run import verified
from mae.large.pos_embed import get_2d_sincos_pos_embed
from tests.builders import checkpoints, models
from tests.builders.sizes import TINY

if TYPE_CHECKING:
    from ckpttool.conversion.result import Conversion

# torch 2.0 warns of its own use of a class when it saves and loads.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

WIDE = (64, 48)  # 8 x 6 patches of 8 pixels, where the tiny model has 4 x 4
Convert = Callable[..., "Conversion"]


@pytest.fixture
def convert(tmp_path: Path) -> Convert:
    def run(state: object, size: Any = WIDE, **options: Any) -> Conversion:
        path = checkpoints.saved(tmp_path, lambda: state)
        options = {"to": "safetensors", "sync": False, "resize_pos_embed": size, **options}
        return ckpttool.convert(path, tmp_path / f"out.{options['to']}", **options)

    return run


def table(width: int, rows: int, columns: int) -> Any:
    return get_2d_sincos_pos_embed(width, (rows, columns), cls_token=True)[None]


def by_torch(stored: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Interpolate as scripts for fine-tuning do it."""
    side, width = round((stored.shape[1] - 1) ** 0.5), stored.shape[2]
    patches = stored[:, 1:].reshape(1, side, side, width).permute(0, 3, 1, 2).double()
    wide = torch.nn.functional.interpolate(
        patches, size=(rows, columns), mode="bicubic", align_corners=False
    )
    rest = wide.permute(0, 2, 3, 1).reshape(1, rows * columns, width)
    return torch.cat([stored[:, :1].double(), rest], 1)


def learned() -> Any:
    state = models.encoder_of(checkpoints.state())
    state["pos_embed"] = torch.randn(1, 17, 16, generator=torch.Generator().manual_seed(1)) / 50
    return state


def same_but(state: Any, converted: Conversion, *names: str) -> dict[str, Any]:
    """Return the arrays of the named tensors, once all others were found unchanged."""
    with open_checkpoint(str(converted.result)) as written:
        assert sorted(written) == sorted(state)
        for name, tensor in state.items():
            if name not in names:
                assert torch.equal(written[name].torch(), tensor), name
        return {name: written[name].torch() for name in names}


# --- the numbers ---------------------------------------------------------------------------


def test_the_sin_cos_table_is_computed_anew(convert: Convert) -> None:
    state = checkpoints.state()
    converted = convert({"model": state})
    assert converted.verdict is Verdict.PASS
    found = same_but(state, converted, "pos_embed", "decoder_pos_embed")
    for name, width in (("pos_embed", 16), ("decoder_pos_embed", 8)):
        assert found[name].dtype is torch.float32
        np.testing.assert_array_equal(found[name].numpy(), table(width, 8, 6).astype(np.float32))
    assert [(one.name, one.before, one.after, one.how) for one in converted.resized] == [
        ("pos_embed", (1, 17, 16), (1, 49, 16), "sin-cos at 4 x 4, computed again at 8 x 6"),
        ("decoder_pos_embed", (1, 17, 8), (1, 49, 8), "sin-cos at 4 x 4, computed again at 8 x 6"),
    ]


@pytest.mark.parametrize("size", [WIDE, 48, 16])
def test_a_learned_table_is_interpolated_as_torch_does_it(convert: Convert, size: Any) -> None:
    state = learned()
    rows, columns = (size[0] // 8, size[1] // 8) if isinstance(size, tuple) else (size // 8,) * 2
    converted = convert(state, size)
    found = same_but(state, converted, "pos_embed")["pos_embed"]
    assert torch.equal(found[:, 0], state["pos_embed"][:, 0])
    expected = by_torch(state["pos_embed"], rows, columns).float()
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-9)
    (told,) = converted.resized
    assert told.how.startswith("learned: no sin-cos structure")
    assert told.how.endswith(f"interpolated bicubically at {rows} x {columns}")


def test_an_interpolated_table_is_made_anew_from_its_source(convert: Convert) -> None:
    state = models.encoder_of(checkpoints.state())
    first = state["pos_embed"]
    state["pos_embed"] = by_torch(first, 6, 6).float()
    converted = convert(state)
    found = same_but(state, converted, "pos_embed")["pos_embed"]
    torch.testing.assert_close(found, by_torch(first, 8, 6).float(), rtol=0, atol=2e-7)
    assert converted.resized[0].how == (
        "interpolated bicubically from 4 x 4 to 6 x 6, computed again at 8 x 6"
    )
    report = ckpttool.verify(str(converted.result), forward=False).files[0]
    assert report.verdict is Verdict.PASS
    assert report.values is not None
    told = report.values.position_tables["pos_embed"].text
    assert told == "interpolated bicubically from 4 x 4 to 8 x 6"


def test_a_table_that_was_trained_is_interpolated(convert: Convert) -> None:
    state = models.encoder_of(checkpoints.state())
    noise = torch.randn(1, 17, 16, generator=torch.Generator().manual_seed(2)) / 50
    state["pos_embed"] = state["pos_embed"] + noise
    converted = convert(state)
    found = same_but(state, converted, "pos_embed")["pos_embed"]
    expected = by_torch(state["pos_embed"], 8, 6).float()
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-7)
    assert converted.resized[0].how.startswith("near sin-cos at 4 x 4 (correlation 0.99")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_table_keeps_its_type(convert: Convert, dtype: torch.dtype) -> None:
    state = {name: tensor.to(dtype) for name, tensor in checkpoints.state().items()}
    converted = convert(state)
    found = same_but(state, converted, "pos_embed", "decoder_pos_embed")["pos_embed"]
    assert torch.equal(found, torch.tensor(table(16, 8, 6)).to(dtype))
    assert "sin-cos at 4 x 4, computed again" in converted.resized[0].how


def test_it_may_be_cast_afterwards(convert: Convert) -> None:
    converted = convert(checkpoints.state(), dtype="bfloat16")
    with open_checkpoint(str(converted.result)) as written:
        expected = torch.tensor(table(16, 8, 6)).float().bfloat16()
        assert torch.equal(written["pos_embed"].torch(), expected)


def test_rows_and_columns_of_a_sin_cos_table_are_read_off_it(convert: Convert) -> None:
    # 6 patches: 3 x 2, or 2 x 3
    tall = models.tiny_model(config=models.TINY._replace(img_size=(24, 16))).state_dict()
    converted = convert(tall)
    assert converted.resized[0].how == "sin-cos at 3 x 2, computed again at 8 x 6"


# --- what is said --------------------------------------------------------------------------


def test_verify_says_what_the_result_is(convert: Convert) -> None:
    converted = convert(checkpoints.state())
    options = VerifyOptions(forward=True)
    with verified(str(converted.result), options) as (report, evidence):
        assert report.verdict is Verdict.PASS
        assert report.forward is not None
        assert report.forward.status == "run"
        assert evidence is not None
        assert position_tables(evidence)["pos_embed"].text == "sin-cos at 8 x 6"


def test_the_receipt_has_the_table_of_the_source(convert: Convert, tmp_path: Path) -> None:
    state = checkpoints.state()
    converted = convert({"model": state}, receipt=tmp_path / "receipt.json")
    receipt = json.loads((tmp_path / "receipt.json").read_text())
    told = receipt["resized"][0]
    assert (told["name"], told["before"], told["after"]) == ("pos_embed", [1, 17, 16], [1, 49, 16])
    tensors = {one["name"]: one for one in receipt["tensors"]}
    assert told["sha256"] == tensors["pos_embed"]["source"]["sha256"]
    assert tensors["pos_embed"]["sha256"] != told["sha256"]
    assert tensors["norm.bias"]["sha256"] == tensors["norm.bias"]["source"]["sha256"]
    source = checkpoints.saved(tmp_path, lambda: {"model": state})
    assert converted.file.fingerprint == ckpttool.fingerprint(source)
    assert converted.fingerprint == ckpttool.fingerprint(str(converted.result))
    assert converted.fingerprint != converted.file.fingerprint


def test_other_names_may_be_written_at_once(convert: Convert, tmp_path: Path) -> None:
    converted = convert(
        checkpoints.state(), layout="hf", to="safetensors", receipt=tmp_path / "receipt.json"
    )
    assert converted.verdict is Verdict.PASS
    with open_checkpoint(str(converted.result)) as written:
        assert written["vit.embeddings.position_embeddings"].shape == (1, 49, 16)
        assert canonicalize(written.tensors).layout == "hf-vitmae"
    receipt = json.loads((tmp_path / "receipt.json").read_text())
    tensors = {one["name"]: one for one in receipt["tensors"]}
    source = tensors["vit.embeddings.position_embeddings"]["source"]
    assert source["sha256"] == receipt["resized"][0]["sha256"]


def test_the_configuration_of_the_result_has_the_new_size(convert: Convert, tmp_path: Path) -> None:
    (tmp_path / "hf").mkdir()
    path = checkpoints.saved(tmp_path, checkpoints.sound)
    converted = ckpttool.convert(
        path, tmp_path / "hf", to="safetensors", layout="hf", resize_pos_embed=48, sync=False
    )
    assert converted.verdict is Verdict.PASS
    assert json.loads((tmp_path / "hf" / "config.json").read_text())["image_size"] == 48


def test_a_table_that_is_left_out_is_not_listed(convert: Convert) -> None:
    converted = convert(checkpoints.state(), encoder_only=True)
    assert [one.name for one in converted.resized] == ["pos_embed"]


def test_one_that_is_left_out_may_be_wrong(convert: Convert) -> None:
    state = checkpoints.state()
    state["decoder_pos_embed"][0, 3, 5] += 0.5
    assert convert(state).verdict is Verdict.FAIL
    assert convert(state, encoder_only=True).verdict is Verdict.PASS


def test_names_of_one_table_stay_tied(convert: Convert) -> None:
    state = checkpoints.state()
    state["copy"] = state["pos_embed"]
    converted = convert(state)
    assert converted.tied == {"copy": "pos_embed"}


def test_stored_sums_of_the_source_are_all_compared(convert: Convert) -> None:
    state = checkpoints.state()
    converted = convert(state)
    assert converted.proof is not None
    assert converted.proof.checksums == len(state)


# --- what is refused -----------------------------------------------------------------------


def test_bytes_of_the_table_that_are_damaged_are_found(tmp_path: Path) -> None:
    path = Path(checkpoints.saved(tmp_path, checkpoints.state))
    with open_checkpoint(str(path)) as checkpoint:
        ((_, offset, _),) = checkpoint["pos_embed"].extents
    data = bytearray(path.read_bytes())
    data[offset + 100] ^= 1
    path.write_bytes(data)
    converted = ckpttool.convert(
        path, tmp_path / "out.safetensors", to="safetensors", resize_pos_embed=48
    )
    assert [one.rule for one in converted.findings] == [rules.CHECKSUM]
    assert not (tmp_path / "out.safetensors").exists()


def changed(change: Callable[[Any], object]) -> Any:
    state = checkpoints.state()
    change(state["pos_embed"])
    return state


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (changed(lambda t: t[0, 3, 5].add_(0.5)), "it is sin-cos at 4 x 4 but for 1 element"),
        (changed(lambda t: t[0, 3, 5].fill_(float("nan"))), "it is sin-cos at 4 x 4 but for 1 el"),
        (changed(lambda t: t.copy_(t.roll(-1, 1))), "with the class token's row as token 16"),
        ({**checkpoints.state(), "decoder_pos_embed": torch.ones(1, 26, 8)}, "[1, 26, 8]"),
        ({**learned(), "pos_embed": torch.randn(1, 13, 16)}, "rows and columns of its 12 patches"),
        ({**learned(), "pos_embed": torch.ones(1, 17, 16).long()}, "it is of int64"),
        ({**learned(), "pos_embed": torch.ones(17, 16)}, "it has the shape [17, 16]"),
        (models.of_sizes(TINY._replace(embed_dim=18)), "the model has none of its width"),
    ],
)
def test_a_table_that_resizing_makes_no_better_is_refused(
    convert: Convert, tmp_path: Path, state: Any, why: str
) -> None:
    converted = convert(state)
    assert converted.exit_code == 1
    assert not (tmp_path / "out.safetensors").exists()
    (found,) = [one for one in converted.findings if one.rule is rules.TABLE_NOT_RESIZED]
    assert why in found.message


def test_a_table_that_is_too_large_is_refused(
    convert: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ckpttool.conversion.resizing._MOST_ELEMENTS", 20 * 16)
    converted = convert(checkpoints.state())
    assert {one.message for one in converted.findings} == {
        "the table cannot be resized: it is too large"
    }


def test_a_table_of_that_size_stays_as_it_is(convert: Convert) -> None:
    state = checkpoints.state()
    converted = convert(state, 32)
    same_but(state, converted)
    assert converted.resized == ()
    assert {one.message for one in converted.findings} == {"the table is for 4 x 4 patches already"}


@pytest.mark.parametrize(
    ("state", "size", "why"),
    [
        (checkpoints.state(), 30, "patches of 8 pixels do not fill such an image"),
        (checkpoints.state(), 1 << 20, "the image is too large"),
        ({"w": torch.ones(2)}, 32, "the names follow no known layout"),
        (
            {name: t for name, t in checkpoints.state().items() if "pos_embed" not in name},
            32,
            "there is no position table to resize",
        ),
    ],
)
def test_what_cannot_be_done_is_said(convert: Convert, state: Any, size: Any, why: str) -> None:
    converted = convert(state, size)
    assert converted.verdict is Verdict.CANNOT_TELL
    assert why in converted.findings[0].message


@pytest.mark.parametrize("size", [0, -16, True, "384", 1.5, (16,) * 3, (16, 0), (), 1 << 30])
def test_a_size_is_a_number_of_pixels_or_two(convert: Convert, size: Any) -> None:
    with pytest.raises(ckpttool.UsageError, match="resize_pos_embed"):
        convert(checkpoints.state(), size)
