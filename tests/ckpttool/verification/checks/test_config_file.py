from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ckpttool.findings.finding import Finding
from ckpttool.verification.options import VerifyOptions
from ckpttool.verification.run import verify_file
from tests.builders import checkpoints, kinds, releases
from tests.builders.sizes import TINY

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")


def findings(path: Path, model: str) -> list[Finding]:
    report = verify_file(str(path), VerifyOptions(model=model, forward=False))
    return [found for found in report.findings if found.rule.letters == "HUB"]


def codes(found: list[Finding]) -> list[str]:
    return [one.rule.code for one in found]


def test_a_config_that_fits_is_quiet(tmp_path: Path, tiny: str) -> None:
    assert findings(releases.release(tmp_path), tiny) == []


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"num_attention_heads": 2.0}, id="a number with a point"),
        pytest.param({"patch_size": [8, 8]}, id="a pair of sizes"),
        pytest.param({"mask_ratio": 0.5}, id="what the weights do not need"),
        pytest.param('{"architecture": "vit_tiny"}', id="another library's"),
        pytest.param("{}", id="empty"),
    ],
)
def test_a_config_in_other_words_is_quiet(tmp_path: Path, tiny: str, config: object) -> None:
    assert findings(releases.release(tmp_path, config=config), tiny) == []


@pytest.mark.parametrize(
    ("config", "code", "expected", "found"),
    [
        ({"num_attention_heads": 4}, "HUB004", "num_attention_heads 2", "num_attention_heads 4"),
        ({"num_hidden_layers": 3}, "HUB004", "num_hidden_layers 2", "num_hidden_layers 3"),
        ({"patch_size": [8, 4]}, "HUB004", "patch_size 8", "patch_size [8, 4]"),
        ({"qkv_bias": False}, "HUB004", "qkv_bias true", "qkv_bias false"),
        ({"qkv_bias": 1}, "HUB004", "qkv_bias true", "qkv_bias 1"),
        ({"hidden_act": "relu"}, "HUB004", "hidden_act gelu", "hidden_act relu"),
        ({"hidden_size": None}, "HUB004", "hidden_size 16", "hidden_size None"),
        (
            {"decoder_num_hidden_layers": 8, "hidden_size": 768},
            "HUB004",
            "hidden_size 16, decoder_num_hidden_layers 1",
            "hidden_size 768, decoder_num_hidden_layers 8",
        ),
        ({"hidden_size": {}}, "HUB004", "hidden_size 16", "hidden_size an object"),
        ({"model_type": "vit"}, "HUB005", "vit_mae", "vit"),
        ({"model_type": [["x" * 9999]]}, "HUB005", "vit_mae", "a list"),
        ({"model_type": "x" * 9999}, "HUB005", "vit_mae", "x" * 80),
        ({"layer_norm_eps": 1e-12}, "HUB006", "1e-06", "1e-12"),
    ],
)
def test_what_contradicts_the_weights_is_found(
    tmp_path: Path, tiny: str, config: dict[str, Any], code: str, expected: str, found: str
) -> None:
    (one,) = findings(releases.release(tmp_path, config=config), tiny)
    assert (one.rule.code, one.expected, one.found) == (code, expected, found)


def test_a_config_of_wide_images_is_right_where_their_patches_would_fill_a_square(
    tmp_path: Path,
) -> None:
    # 2 x 8 patches are as many as 4 x 4
    weights = kinds.encoder(TINY._replace(img_size=(16, 64)))
    path = releases.release(tmp_path, weights=weights, config={"image_size": [16, 64]})
    assert findings(path, "auto") == []


def test_a_config_is_right_where_the_file_lacks_what_it_says(tmp_path: Path, tiny: str) -> None:
    weights = {
        name: tensor
        for name, tensor in checkpoints.state().items()
        if not name.startswith("blocks.1.") and not name.endswith("attn.qkv.bias")
    }
    path = releases.release(tmp_path, weights=weights)
    assert "HUB004" not in codes(findings(path, tiny))


def test_of_another_model_no_config_is_held_against_it(tmp_path: Path, tiny: str) -> None:
    config = {"model_type": "bert", "layer_norm_eps": 1e-12, "hidden_size": 3}
    weights = {"bert.pooler.weight": torch.rand(3, 3)}
    path = releases.release(tmp_path, weights=weights, config=config)
    assert not {"HUB004", "HUB005", "HUB006"}.intersection(codes(findings(path, tiny)))


@pytest.mark.parametrize("depth", [100, 900, 960, 990, 100_000])
def test_a_deep_nesting_is_told_of_or_refused(tmp_path: Path, tiny: str, depth: int) -> None:
    text = f'{{"hidden_size": {"[" * depth}{"]" * depth}}}'
    (one,) = findings(releases.release(tmp_path, config=text), tiny)
    assert one.rule.code in ("HUB003", "HUB004")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{", "ends before its JSON does"),
        ("[1]", "of type list"),
        ('{"a": 1, "a": 2}', "occur twice"),
        ('{"a": NaN}', "NaN"),
    ],
)
def test_a_config_that_is_no_object_is_an_error(
    tmp_path: Path, tiny: str, text: str, word: str
) -> None:
    (one,) = findings(releases.release(tmp_path, config=text), tiny)
    assert one.rule.code == "HUB003"
    assert word in one.message


def test_a_decoder_that_is_absent_contradicts_nothing(tmp_path: Path, tiny: str) -> None:
    weights = {
        name: tensor
        for name, tensor in checkpoints.state().items()
        if not name.startswith(("decoder", "mask_token"))
    }
    path = releases.release(tmp_path, config={"decoder_hidden_size": 512}, weights=weights)
    assert findings(path, tiny) == []


@pytest.mark.parametrize(
    ("name", "stated", "number"),
    [
        ("mae_pretrain_vit_large_full.pth", False, 1),
        ("mae_pretrain_vit_large_full.pth", True, 0),
        ("mae_pretrain_vit_large.pth", False, 0),
        ("mae_visualize_vit_large.pth", True, 0),
    ],
)
def test_what_is_known_of_a_published_name_is_compared(
    tmp_path: Path, tiny: str, name: str, stated: bool, number: int
) -> None:
    path = releases.pickled(tmp_path, checkpoints.sound, name, norm_pix_loss=stated)
    assert codes(findings(path, tiny)) == ["HUB007"] * number


@pytest.mark.parametrize(("stated", "number"), [(False, 1), (True, 0)])
def test_the_args_of_the_training_run_are_compared(
    tmp_path: Path, tiny: str, stated: bool, number: int
) -> None:
    path = releases.pickled(tmp_path, checkpoints.training_run, "w.pth", norm_pix_loss=stated)
    found = [one for one in findings(path, tiny) if one.rule.code == "HUB007"]
    assert [one.expected for one in found] == ["true, by args.norm_pix_loss in the file"] * number
