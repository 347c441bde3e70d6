"""The model: its names and sizes, its numbers against a computation by hand, its loading."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import pytest
import torch
from torch import Tensor

from mae.config import CONFIGS, is_decoder_name
from mae.large import MAEViTLarge, mae_vit_large_patch16
from tests.builders import models
from tests.builders.layouts import vit_large_names
from tests.mae.large import by_hand

State = Dict[str, Tensor]

# torch 2.0 warns of its own use of a class when it loads or saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")


def in_numpy(tensor: Tensor) -> by_hand.Array:
    array: by_hand.Array = tensor.detach().numpy().astype(np.float64)
    return array


# --- names and sizes ---------------------------------------------------------------------


def test_the_names_are_the_published_ones() -> None:
    state = mae_vit_large_patch16(device="meta").state_dict()
    assert set(state) == set(vit_large_names())
    assert len(vit_large_names()) == 398


@pytest.mark.parametrize(
    ("name", "tensors", "encoder", "full"),
    [
        ("mae_vit_base_patch16", 150, 85_798_656, 111_907_840),
        ("mae_vit_large_patch16", 294, 303_301_632, 329_541_888),
        ("mae_vit_huge_patch14", 390, 630_764_800, 657_074_508),
    ],
    ids=["base", "large", "huge"],
)
def test_every_size_has_the_published_counts(
    name: str, tensors: int, encoder: int, full: int
) -> None:
    sizes = {k: v.numel() for k, v in MAEViTLarge(CONFIGS[name], "meta").state_dict().items()}
    own = [size for key, size in sizes.items() if not is_decoder_name(key)]
    assert (len(own), sum(own)) == (tensors, encoder)
    assert (len(sizes) - len(own), sum(sizes.values())) == (104, full)


def test_everything_in_the_state_dict_is_a_parameter() -> None:
    model = models.tiny_model()
    assert list(model.state_dict()) == [name for name, _ in model.named_parameters()]


def test_only_the_position_tables_are_not_trained() -> None:
    fixed = {name for name, p in models.tiny_model().named_parameters() if not p.requires_grad}
    assert fixed == {"pos_embed", "decoder_pos_embed"}


def test_every_layer_norm_has_the_epsilon_of_the_sizes() -> None:
    model = MAEViTLarge(models.TINY._replace(layer_norm_eps=0.25), device="meta")
    norms = [module for module in model.modules() if isinstance(module, torch.nn.LayerNorm)]
    assert [norm.eps for norm in norms] == [0.25] * (2 * 2 + 1 + 2 * 1 + 1)
    assert models.TINY.layer_norm_eps == 1e-6


def test_nothing_is_allocated_or_drawn_on_the_meta_device() -> None:
    before = torch.get_rng_state()
    model = MAEViTLarge(models.TINY, device="meta")
    assert all(parameter.is_meta for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), before)


def test_sizes_can_be_overridden() -> None:
    model = mae_vit_large_patch16(device="meta", depth=1, norm_pix_loss=True)
    assert len(model.blocks) == 1
    assert model.config.norm_pix_loss


# --- initialisation ----------------------------------------------------------------------


def test_the_initialisation_is_that_of_the_paper() -> None:
    torch.manual_seed(0)
    state = MAEViTLarge(models.TINY._replace(embed_dim=64, mlp_ratio=8.0)).state_dict()
    for name, tensor in state.items():
        if "norm" in name:
            assert (tensor == (1 if name.endswith("weight") else 0)).all(), name
        elif name.endswith("bias"):
            assert not tensor.any(), name
        elif name.endswith("weight"):
            fan_out, fan_in = tensor.shape[0], tensor[0].numel()
            bound = (6 / (fan_in + fan_out)) ** 0.5
            assert 0.9 * bound < tensor.abs().max() <= bound * (1 + 1e-6), name
            assert tensor.std().item() == pytest.approx(bound / 3**0.5, rel=0.1), name
    assert state["cls_token"].std().item() == pytest.approx(0.02, rel=0.4)
    assert state["mask_token"].std().item() == pytest.approx(0.02, rel=0.8)


def test_the_position_tables_are_the_sin_cos_tables_in_float32() -> None:
    state = MAEViTLarge(models.TINY).state_dict()
    assert not state["pos_embed"][0, 0].any()
    assert state["pos_embed"][0, 2, 0].item() == np.float32(np.sin(1.0))  # column 1, row 0
    assert state["pos_embed"][0, 5, 8].item() == np.float32(np.sin(1.0))  # column 0, row 1
    assert state["decoder_pos_embed"][0, 5, 4].item() == np.float32(np.sin(1.0))


def test_the_same_seed_gives_the_same_weights() -> None:
    drawn = []
    for seed in (1, 1, 2):
        model = MAEViTLarge(models.TINY, device="meta").to_empty(device="cpu")
        model.initialise_weights(torch.Generator().manual_seed(seed))
        drawn.append(model.state_dict()["decoder_pred.weight"])
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


# --- numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({}, id="pixels"),
        pytest.param({"norm_pix_loss": True}, id="normalised-pixels"),
        pytest.param({"class_token": False}, id="no-class-token"),
        pytest.param({"qkv_bias": False}, id="no-qkv-bias"),
        pytest.param({"img_size": (16, 64)}, id="oblong"),
        pytest.param({"mlp_ratio": 2.5, "decoder_mlp_ratio": 3.0}, id="ratios"),
    ],
)
def test_the_forward_pass_is_that_computed_by_hand(change: dict[str, Any]) -> None:
    model = models.tiny_model(config=models.TINY._replace(**change))
    images, noise = models.images_and_noise()
    images = images.reshape(2, 3, *model.config.image)
    with torch.no_grad():
        features, mask, _ = model.forward_encoder(images, 0.75, noise)
        loss, pred, same_mask = model(images, 0.75, noise)

    state = {name: in_numpy(tensor) for name, tensor in model.state_dict().items()}
    hidden_errors = []
    for b, image in enumerate(in_numpy(images)):
        kept = [int(k) for k in np.argsort(in_numpy(noise)[b], kind="stable")[:4]]
        expected = by_hand.encode(model.config, state, image, kept)
        np.testing.assert_allclose(in_numpy(features[b]), expected, rtol=1e-3, atol=1e-4)
        expected = by_hand.decode(model.config, state, expected, kept)
        np.testing.assert_allclose(in_numpy(pred[b]), expected, rtol=1e-3, atol=1e-4)
        each = by_hand.errors(model.config, image, expected)
        hidden_errors += [error for k, error in enumerate(each) if k not in kept]
        assert [k for k in range(16) if mask[b, k] == 0] == sorted(kept)
    assert torch.equal(mask, same_mask)
    assert float(loss) == pytest.approx(float(np.mean(hidden_errors)), rel=1e-4)


def test_features_without_masking_are_those_computed_by_hand() -> None:
    model = models.tiny_model()
    images, _ = models.images_and_noise()
    with torch.no_grad():
        features = model.forward_features(images)
    assert features.shape == (2, 17, 16)
    state = {name: in_numpy(tensor) for name, tensor in model.state_dict().items()}
    expected = by_hand.encode(model.config, state, in_numpy(images[1]), list(range(16)))
    np.testing.assert_allclose(in_numpy(features[1]), expected, rtol=1e-3, atol=1e-4)


def test_the_loss_looks_at_hidden_patches_only() -> None:
    model = models.tiny_model()
    images, _ = models.images_and_noise()
    mask = torch.zeros(2, 16)
    mask[0, 3] = mask[1, 5] = 1
    pred = model.patchify(images)
    pred[0, 3] += 2.0  # an error of 4 where it counts
    pred[1, 6] += 100.0  # and a large one where it does not
    assert float(model.forward_loss(images, pred, mask)) == pytest.approx(2.0)


def test_gradients_reach_every_trained_parameter() -> None:
    model = models.tiny_model()
    images, noise = models.images_and_noise()
    model(images, 0.75, noise)[0].backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name


def test_patches_hold_row_then_column_then_channel() -> None:
    model = models.tiny_model()
    images = torch.arange(3 * 32 * 32, dtype=torch.float32).reshape(1, 3, 32, 32)
    patches = model.patchify(images)
    assert patches.shape == (1, 16, 192)
    for patch, row, column, channel in ((0, 0, 0, 1), (0, 0, 1, 0), (0, 1, 0, 0), (6, 7, 3, 2)):
        top, left = divmod(patch, 4)
        pixel = images[0, channel, top * 8 + row, left * 8 + column]
        assert patches[0, patch, (row * 8 + column) * 3 + channel] == pixel


def test_unpatchify_is_the_inverse_of_patchify() -> None:
    model = models.tiny_model()
    images, _ = models.images_and_noise()
    assert torch.equal(model.unpatchify(model.patchify(images)), images)


@pytest.mark.parametrize(
    "call",
    [
        lambda model: model.forward_features(torch.zeros(1, 3, 32, 40)),
        lambda model: model(torch.zeros(1, 3, 64, 64)),
        lambda model: model.patchify(torch.zeros(1, 3, 32, 36)),
        lambda model: model.patchify(torch.zeros(1, 3, 30, 30)),
        lambda model: model.unpatchify(torch.zeros(1, 15, 192)),
        lambda _: MAEViTLarge(models.TINY._replace(img_size=30), "meta"),
        lambda _: MAEViTLarge(models.TINY._replace(num_heads=3), "meta"),
    ],
    ids=["oblong", "too-large", "patchify-oblong", "patchify-rest", "15-patches", "size", "heads"],
)
def test_sizes_that_do_not_fit_are_refused(call: Callable[[MAEViTLarge], object]) -> None:
    with pytest.raises(ValueError, match=r"pixel|15 patches|heads"):
        call(models.tiny_model())


# --- loading -----------------------------------------------------------------------------


def test_an_encoder_file_loads_the_encoder_and_leaves_the_decoder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source, model = models.tiny_model(1), models.tiny_model(2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    path = models.saved(tmp_path, models.encoder_of(source.state_dict()))
    with caplog.at_level(logging.INFO, logger="mae"):
        loaded = model.load_pretrained_encoder(path)
    for name, tensor in model.state_dict().items():
        wanted = before if is_decoder_name(name) else source.state_dict()
        assert torch.equal(tensor, wanted[name]), name
    assert (len(loaded.encoder), len(loaded.decoder), len(loaded.missing)) == (30, 0, 20)
    assert "30 encoder and 0 decoder tensors" in caplog.text


def test_a_full_file_loads_everything(tmp_path: Path) -> None:
    source, model = models.tiny_model(1), models.tiny_model(2)
    loaded = model.load_pretrained_encoder(models.saved(tmp_path, source.state_dict()))
    assert all(torch.equal(t, source.state_dict()[k]) for k, t in model.state_dict().items())
    assert (len(loaded.decoder), loaded.missing) == (20, ())


def test_half_a_decoder_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = models.decoder_cut_in_half(models.tiny_model().state_dict())
    loaded = models.tiny_model(2).load_pretrained_encoder(models.saved(tmp_path, state))
    assert len(loaded.missing) == 10
    assert "only a part of the decoder" in caplog.text


@pytest.mark.parametrize(
    ("defect", "message"),
    [
        (models.missing_a_block, "12 encoder tensors are missing: 'blocks.1.norm1.weight'"),
        (models.with_a_classifier, "1 names are unknown to the model: 'head.weight'"),
        (models.with_another_width, "1 tensors have another shape: 'norm.weight'"),
        (models.with_a_string, "1 tensors have another shape: 'norm.bias'"),
        (list, 'no state dict under "model"'),
    ],
    ids=["missing", "unexpected", "shape", "no-tensor", "no-state-dict"],
)
def test_a_file_that_does_not_fit_is_refused_and_changes_nothing(
    tmp_path: Path, defect: Callable[[State], object], message: str
) -> None:
    model = models.tiny_model(2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    path = models.saved(tmp_path, defect(models.tiny_model(1).state_dict()))
    with pytest.raises(ValueError, match=message):
        model.load_pretrained_encoder(path)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_model_without_memory_is_not_loaded_into(tmp_path: Path) -> None:
    path = models.saved(tmp_path, models.tiny_model().state_dict())
    with pytest.raises(ValueError, match="meta device"):
        MAEViTLarge(models.TINY, device="meta").load_pretrained_encoder(path)
