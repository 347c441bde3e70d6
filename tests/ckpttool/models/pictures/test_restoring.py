"""Reconstructions of images: the four pictures, and how the model's pixels are taken."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ckpttool.models.choosing import Judged, Said
from ckpttool.models.families.mae import MAE
from ckpttool.models.pictures.restoring import Stated, restore, stated_of
from tests.builders import models
from tests.builders.images import photo

JUDGED = Judged(MAE, models.TINY, "tiny")


def restored(model: Any, *photos: Any, stated: Stated | None = None) -> Any:
    tensors = models.in_memory(model.state_dict())
    return restore(JUDGED, tensors, photos or (photo(),), stated)


def test_the_visible_patches_are_the_originals_and_the_hidden_are_the_models() -> None:
    (found,) = restored(models.tiny_model())
    assert (found.image, found.patches, found.hidden) == ("ramp.png", 16, 12)
    assert found.fitted == "the middle 24 x 24 of 40 x 24 pixels, resized to 32 x 32"
    columns = zip(
        *(
            [picture.pixels[at : at + 3] for at in range(0, 32 * 32 * 3, 3)]
            for picture in (found.original, found.masked, found.restored, found.pasted)
        )
    )
    kinds = [0, 0]
    for original, masked, made, pasted in columns:
        hidden = masked == b"\x7f\x7f\x7f"
        assert pasted == (made if hidden else original)
        assert hidden or masked == original
        kinds[hidden] += 1
    assert kinds == [4 * 64, 12 * 64]


def test_images_beyond_those_at_once_are_the_same_as_alone() -> None:
    model = models.tiny_model()
    photos = [photo(f"{number}.png", (20 + number, 30)) for number in range(10)]
    together = restored(model, *photos)
    assert [one.image for one in together] == [one.path for one in photos]
    alone = restored(model, photos[9])
    assert together[9].loss == pytest.approx(alone[0].loss, rel=1e-5)


def test_weights_that_are_no_numbers_have_no_loss_and_black_pixels() -> None:
    model = models.tiny_model()
    with torch.no_grad():
        model.decoder_pred.bias.fill_(float("nan"))
    (found,) = restored(model)
    assert found.loss != found.loss
    assert set(found.restored.pixels) == {0}


def test_a_missing_tensor_is_the_reason_why_there_are_none() -> None:
    tensors = models.in_memory(models.encoder_of(models.tiny_model().state_dict()))
    assert "missing" in str(restore(JUDGED, tensors, [photo()], None))


# --- how the pixels are taken -------------------------------------------------------------


def perfect(by_patch: bool, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A model whose output is what it should be, read in one of the two ways."""
    from mae.large.mae_vit_large import MAEViTLarge

    seen: list[torch.Tensor] = []
    encode = MAEViTLarge.forward_encoder

    def forward_encoder(self: Any, images: torch.Tensor, *rest: Any) -> Any:
        seen[:] = [images]
        return encode(self, images, *rest)

    def forward_decoder(self: Any, *_: Any) -> torch.Tensor:
        target = self.patchify(seen[0])
        mean, deviation = self.patch_scale(target)
        wanted: torch.Tensor = (target - mean) / deviation if by_patch else target
        return wanted

    monkeypatch.setattr(MAEViTLarge, "forward_encoder", forward_encoder)
    monkeypatch.setattr(MAEViTLarge, "forward_decoder", forward_decoder)
    return models.tiny_model()


@pytest.mark.parametrize("by_patch", [False, True])
def test_where_nothing_is_said_what_fits_is_taken_and_called_assumed(
    by_patch: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = restored(perfect(by_patch, monkeypatch))
    assert found.normalised is by_patch
    assert found.basis.startswith("assumed: norm_pix_loss is not given; the loss is 0 % of")
    difference = zip(found.original.pixels, found.restored.pixels)
    assert max(abs(one - other) for one, other in difference) <= 1


def test_where_neither_way_fits_that_is_said() -> None:
    (found,) = restored(models.tiny_model())
    assert (found.normalised, found.loss > found.constant_loss) == (False, True)
    assert found.basis.endswith("neither way the loss is below the mean colour's")


def test_what_is_said_counts_whatever_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    stated = Stated(True, "norm_pix_loss in config.json")
    (found,) = restored(perfect(False, monkeypatch), stated=stated)
    assert (found.normalised, found.basis) == stated


def test_the_callers_word_comes_before_the_files_and_that_before_nothing() -> None:
    said = Said({"norm_pix_loss": False}, {"args.norm_pix_loss": True})
    assert stated_of(JUDGED, {"norm_pix_loss": False}, said) == Stated(False, "as asked for")
    assert stated_of(JUDGED, {}, said) == Stated(True, "args.norm_pix_loss in the file")
    assert stated_of(JUDGED, {}, said._replace(arguments={})) == Stated(
        False, "norm_pix_loss in config.json"
    )
    assert stated_of(JUDGED, {}, Said()) is None
    assert stated_of(JUDGED, {}, Said({"norm_pix_loss": "yes"})) is None
