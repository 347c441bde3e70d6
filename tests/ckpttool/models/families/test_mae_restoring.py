"""What an MAE restores: which patches are hidden, the loss, and the pixels behind the output."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
import torch

from ckpttool.models.families.mae_forward import MASK_RATIO
from ckpttool.models.families.mae_restoring import MAE_RESTORING, visible_first
from ckpttool.models.restoring import Restored
from mae.config import MAEConfig
from tests.builders import models

MEAN = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)
DEVIATION = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)


def images(number: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(number, 3, *models.TINY.image, generator=generator)


def noise() -> torch.Tensor:
    order = torch.tensor(visible_first(models.TINY.num_patches))
    return torch.argsort(order).float()[None]


def restored(model: Any, pixels: torch.Tensor) -> Restored:
    with torch.inference_mode():
        return MAE_RESTORING.run(model, pixels)


def test_the_same_patches_are_visible_on_every_machine() -> None:
    assert visible_first(16)[:4] == [1, 11, 6, 13]
    numbers = visible_first(196)
    assert sorted(numbers) == list(range(196))
    assert numbers[0] == min(range(196), key=lambda n: sha256(f"1 {n}".encode()).hexdigest())


def test_three_quarters_of_the_patches_are_hidden_in_every_image() -> None:
    found = restored(models.tiny_model(), images())
    assert (found.patches, found.hidden) == (16, 12)
    assert int(found.mask.sum()) == 12 * 8 * 8
    first = visible_first(16)[0]
    row, column = divmod(first, 4)
    assert not found.mask[row * 8, column * 8]


@pytest.mark.parametrize("normalised", [False, True])
def test_the_loss_is_that_of_the_model(normalised: bool) -> None:
    model = models.tiny_model(config=models.TINY._replace(norm_pix_loss=normalised))
    pixels = images(1)
    with torch.inference_mode():
        loss, _, _ = model((pixels - MEAN) / DEVIATION, MASK_RATIO, noise())
    found = restored(model, pixels)
    guess = found.by_patch if normalised else found.plain
    assert guess.losses == pytest.approx([float(loss)], rel=1e-5)


def test_an_output_that_is_the_pixels_is_shown_as_the_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, pixels = models.tiny_model(), images()
    target = model.patchify((pixels - MEAN) / DEVIATION)
    monkeypatch.setattr(model, "forward_decoder", lambda *_: target)
    plain = restored(model, pixels).plain
    assert torch.allclose(plain.pixels, pixels, atol=1e-5)
    assert plain.losses == pytest.approx([0, 0], abs=1e-9)


def test_an_output_that_is_normalised_by_patch_is_shown_as_the_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, pixels = models.tiny_model(), images()
    target = model.patchify((pixels - MEAN) / DEVIATION)
    mean, deviation = model.patch_scale(target)
    monkeypatch.setattr(model, "forward_decoder", lambda *_: (target - mean) / deviation)
    by_patch = restored(model, pixels).by_patch
    assert torch.allclose(by_patch.pixels, pixels, atol=1e-5)
    assert by_patch.losses == pytest.approx([0, 0], abs=1e-9)


def test_the_constant_is_the_mean_colour_of_what_is_visible() -> None:
    pixels = torch.full((1, 3, 32, 32), 0.5)
    pixels[:, 0] = 0.25  # of one colour all over: nothing is nearer than its mean
    assert restored(models.tiny_model(), pixels).plain.constant_losses == pytest.approx([0])
    row, column = divmod(visible_first(16)[-1], 4)
    at = (slice(row * 8, row * 8 + 8), slice(column * 8, column * 8 + 8))
    pixels[(0, 1, *at)] += 0.224  # one deviation, in one channel of one of 12 hidden patches
    found = restored(models.tiny_model(), pixels).plain
    assert found.constant_losses == pytest.approx([1 / 36], rel=1e-5)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"decoder_depth": 0}, "no decoder"),
        ({"in_chans": 1}, "1 channels, not 3"),
        ({"num_heads": 3}, "3 heads"),
    ],
)
def test_what_restores_no_images_is_told_with_the_reason(change: Any, reason: str | None) -> None:
    config: MAEConfig = models.TINY._replace(**change)
    told = MAE_RESTORING.why_not(config)
    assert told is None if reason is None else reason in str(told)
