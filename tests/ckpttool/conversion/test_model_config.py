"""The config.json beside weights for transformers: written, kept, refused, or not known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Iterator
from unittest import mock

import pytest
import torch

from ckpttool.conversion.convert import convert
from ckpttool.conversion.result import Conversion
from mae.config import CONFIGS
from tests.builders import checkpoints, models
from tests.builders.sizes import TINY


@pytest.fixture(autouse=True)
def known() -> Iterator[None]:
    with mock.patch.dict(CONFIGS, tiny=TINY):
        yield


def written(
    folder: Path, content: checkpoints.Content = checkpoints.sound, name: str = "a.pth", **how: Any
) -> Conversion:
    out = folder / "out"
    out.mkdir(exist_ok=True)
    (folder / name).parent.mkdir(exist_ok=True)
    torch.save(content(), folder / name)
    options = {"to": "safetensors", "layout": "hf", "sync": False, **how}
    return convert(folder / name, out, **options)


def config(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "out" / "config.json").read_text())
    assert isinstance(found, dict)
    return found


def codes(done: Conversion) -> list[str]:
    return [one.rule.code for one in done.findings]


def test_it_says_what_the_shapes_say_and_the_eps_of_the_code(tmp_path: Path) -> None:
    done = written(tmp_path)
    assert (done.config, done.config_kept) == (str(tmp_path / "out" / "config.json"), False)
    found = config(tmp_path)
    assert found["architectures"] == ["ViTMAEForPreTraining"]
    assert (found["model_type"], found["layer_norm_eps"]) == ("vit_mae", 1e-6)
    assert (found["hidden_size"], found["num_attention_heads"]) == (16, 2)
    assert (found["image_size"], found["decoder_hidden_size"]) == (32, 8)
    assert found["norm_pix_loss"] is False


def test_an_encoder_alone_is_a_bare_model(tmp_path: Path) -> None:
    written(tmp_path, encoder_only=True)
    assert config(tmp_path)["architectures"] == ["ViTMAEModel"]
    assert "decoder_hidden_size" not in config(tmp_path)


def test_a_published_name_says_that_pixels_were_normalised(tmp_path: Path) -> None:
    written(tmp_path, name="mae_pretrain_vit_base_full.pth")
    assert config(tmp_path)["norm_pix_loss"] is True


def test_the_arguments_of_the_run_say_that_pixels_were_normalised(tmp_path: Path) -> None:
    def content() -> object:
        return {"model": checkpoints.state(), "args": {"norm_pix_loss": True}}

    written(tmp_path, content)
    assert config(tmp_path)["norm_pix_loss"] is True


def test_the_config_beside_the_source_says_so_too(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "config.json").write_text('{"norm_pix_loss": true}')
    written(tmp_path, name="in/a.pth")
    assert config(tmp_path)["norm_pix_loss"] is True


def test_one_that_agrees_is_kept_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    text = '{"hidden_size": 16, "image_size": [32, 32], "mine": 1}'
    (tmp_path / "out" / "config.json").write_text(text)
    done = written(tmp_path)
    assert (done.state, done.config_kept) == ("written", True)
    assert (tmp_path / "out" / "config.json").read_text() == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"hidden_size": 17}', id="another width"),
        pytest.param('{"qkv_bias": 1}', id="a number for true"),
        pytest.param("[" * 100_000, id="nested too deeply"),
        pytest.param("[]", id="no object"),
        pytest.param(" " * (2 << 20), id="too large"),
    ],
)
def test_one_that_contradicts_is_replaced_by_force_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.json").write_text(text)
    refused = written(tmp_path)
    assert (refused.state, codes(refused)) == ("not-written", ["CVT214"])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["config.json"]
    forced = written(tmp_path, force=True)
    assert forced.state == "written"
    assert forced.replaced == (str(tmp_path / "out" / "config.json"),)
    assert config(tmp_path)["hidden_size"] == 16


def test_of_a_model_that_is_not_whole_none_is_written_and_that_is_said(tmp_path: Path) -> None:
    done = written(tmp_path, checkpoints.encoder_block_missing)
    assert (done.state, done.config, codes(done)) == ("written", None, ["CVT213"])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.safetensors"]


def test_of_a_model_that_its_class_cannot_be_none_is_written_and_that_is_said(
    tmp_path: Path,
) -> None:
    oblong = models.tiny_model(config=TINY._replace(img_size=(32, 16))).state_dict()
    done = written(tmp_path, lambda: {"model": oblong})
    assert (done.state, done.config, codes(done)) == ("written", None, ["CVT213"])


def test_what_no_shape_shows_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = written(tmp_path)
    assert "no shape shows: norm_pix_loss false: assumed" in known.findings[0].message
    (tmp_path / "out" / "config.json").unlink()
    monkeypatch.delitem(CONFIGS, "tiny")
    done = written(tmp_path, force=True)
    assert (done.state, codes(done)) == ("written", ["CVT215"])
    assert "1 head: assumed" in done.findings[0].message


@pytest.mark.parametrize(
    ("model_type", "heads"),
    [
        pytest.param("vit_mae", 4, id="of the same kind"),
        pytest.param("bert", 1, id="of another model in the folder"),
    ],
)
def test_the_config_beside_the_source_says_how_many_heads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_type: str, heads: int
) -> None:
    monkeypatch.delitem(CONFIGS, "tiny")
    (tmp_path / "in").mkdir()
    said = {"num_attention_heads": 4, "model_type": model_type}
    (tmp_path / "in" / "config.json").write_text(json.dumps(said))
    written(tmp_path, name="in/a.pth")
    assert config(tmp_path)["num_attention_heads"] == heads


def test_beside_a_file_of_another_name_there_is_none(tmp_path: Path) -> None:
    """Nothing would look for it, and other checkpoints of the folder would be held against it."""
    (tmp_path / "config.json").write_text('{"hidden_size": 17}')
    torch.save(checkpoints.sound(), tmp_path / "a.pth")
    done = convert(tmp_path / "a.pth", to="safetensors", layout="hf", sync=False)
    assert (done.state, done.config, codes(done)) == ("written", None, ["CVT213"])
    assert [one.severity.value for one in done.findings] == ["note"]
    assert (tmp_path / "config.json").read_text() == '{"hidden_size": 17}'


def test_where_nothing_is_written_nothing_is_said_of_it(tmp_path: Path) -> None:
    state = {**checkpoints.state(), "probe.weight": torch.rand(3, 16)}
    assert codes(written(tmp_path, lambda: {"model": state})) == ["CVT211"]


def test_a_dry_run_names_it_and_writes_nothing(tmp_path: Path) -> None:
    done = written(tmp_path, dry_run=True)
    assert done.config == str(tmp_path / "out" / "config.json")
    assert list((tmp_path / "out").iterdir()) == []


def test_another_convention_has_none(tmp_path: Path) -> None:
    done = written(tmp_path, layout="facebook")
    assert done.config is None
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.safetensors"]
