"""What is written as hf is what transformers loads: no key too many, none too few, same numbers.

transformers is in the extra ``dev``; without it these tests skip.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator
from unittest import mock

import pytest
import torch

from ckpttool import open_checkpoint
from ckpttool.conversion.convert import convert
from ckpttool.verification.options import VerifyOptions
from ckpttool.verification.run import verify_file
from mae.config import CONFIGS, MAEConfig
from mae.large import MAEViTLarge
from mae.large.classifier import ViTClassifier
from tests.builders import models
from tests.builders.sizes import TINY

transformers = pytest.importorskip("transformers")

# torch and transformers warn of what they do themselves, each release of something else
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def known() -> Iterator[None]:
    with mock.patch.dict(CONFIGS, tiny=TINY):
        yield


def written(
    folder: Path, model: MAEViTLarge, arguments: object = None, **options: Any
) -> tuple[Path, Path]:
    """The published file of a model, and the folder that it becomes as hf."""
    source, output = folder / "mae.pth", folder / "vit-mae"
    torch.save({"model": model.state_dict(), "args": arguments}, source)
    output.mkdir()
    done = convert(source, output, layout="hf", sync=False, **{"to": "safetensors", **options})
    assert done.state == "written"
    return source, output


def loaded(name: str, folder: Path) -> tuple[Any, dict[str, Any]]:
    """A model of transformers, and what it says of keys."""
    kind = getattr(transformers, name)
    model, told = kind.from_pretrained(folder, output_loading_info=True)
    return model.eval(), {key: sorted(told[key]) for key in ("missing_keys", "unexpected_keys")}


def elements(path: Path) -> dict[str, bytes]:
    with open_checkpoint(str(path)) as checkpoint:
        return {name: info.numpy(view=True).tobytes() for name, info in checkpoint.items()}


NO_KEYS: dict[str, list[str]] = {"missing_keys": [], "unexpected_keys": []}


SIZES = {
    "tiny": TINY,
    "normalised pixels": TINY._replace(norm_pix_loss=True),
    "a larger image": TINY._replace(img_size=48),
    "other channels": TINY._replace(in_chans=5),
    "without biases": TINY._replace(qkv_bias=False),
    "other widths": TINY._replace(embed_dim=32, mlp_ratio=2.0, decoder_mlp_ratio=3.0),
}


@pytest.mark.parametrize("config", SIZES.values(), ids=list(SIZES))
def test_the_model_that_transformers_loads_computes_the_same(
    tmp_path: Path, config: MAEConfig
) -> None:
    ours = models.tiny_model(config=config).eval()
    # what no shape shows, and that biases are not lost
    said = ("num_heads", "decoder_num_heads", "norm_pix_loss", "qkv_bias")
    arguments = {name: getattr(config, name) for name in said}
    _, folder = written(tmp_path, ours, arguments)
    theirs, told = loaded("ViTMAEForPreTraining", folder)
    assert told == NO_KEYS
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, config.in_chans, *config.image, generator=generator)
    noise = torch.rand(2, config.num_patches, generator=generator)
    with torch.no_grad():
        features, mask, restore = ours.forward_encoder(images, 0.75, noise)
        pred = ours.forward_decoder(features, restore)
        loss = ours.forward_loss(images, pred, mask)
        out = theirs(images, noise=noise)
        seen = theirs.vit(images, noise=noise).last_hidden_state
    torch.testing.assert_close(seen, features, rtol=0, atol=1e-5)
    torch.testing.assert_close(out.logits, pred, rtol=0, atol=1e-5)
    torch.testing.assert_close(out.loss, loss, rtol=0, atol=1e-5)
    assert torch.equal(out.mask, mask)


def test_the_encoder_alone_loads_as_a_bare_model(tmp_path: Path) -> None:
    _, folder = written(tmp_path, models.tiny_model(), encoder_only=True)
    _, told = loaded("ViTMAEModel", folder)
    assert told == NO_KEYS


def test_a_file_of_torch_loads_too(tmp_path: Path) -> None:
    _, folder = written(tmp_path, models.tiny_model(), to="pth")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "pytorch_model.bin"]
    _, told = loaded("ViTMAEForPreTraining", folder)
    assert told == NO_KEYS


def test_the_shards_load_too(tmp_path: Path) -> None:
    _, folder = written(tmp_path, models.tiny_model(), max_shard_size=20_000)
    assert (folder / "model.safetensors.index.json").exists()
    _, told = loaded("ViTMAEForPreTraining", folder)
    assert told == NO_KEYS


def test_what_save_pretrained_writes_becomes_the_bytes_of_the_origin(tmp_path: Path) -> None:
    source, folder = written(tmp_path, models.tiny_model())
    model, _ = loaded("ViTMAEForPreTraining", folder)
    saved, back = tmp_path / "saved", tmp_path / "back.pth"
    model.save_pretrained(saved)
    read = verify_file(str(saved / "model.safetensors"), VerifyOptions(model="tiny"))
    assert [one.message for one in read.findings if one.severity.value == "error"] == []
    done = convert(saved / "model.safetensors", back, to="pth", layout="facebook", sync=False)
    assert done.state == "written"
    assert elements(back) == elements(source)
    assert set(torch.load(back)) == {"model"}


def test_a_classifier_of_transformers_is_told_and_computes_the_same(tmp_path: Path) -> None:
    config = TINY._replace(num_classes=5)
    theirs = transformers.ViTForImageClassification(
        transformers.ViTConfig(
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            image_size=32,
            patch_size=8,
            layer_norm_eps=1e-6,
            num_labels=5,
        )
    ).eval()
    # of a masked autoencoder, and not drawn at random
    table = theirs.vit.embeddings.position_embeddings
    table.data = MAEViTLarge(config._replace(num_classes=0)).pos_embed.data.clone()
    saved, back = tmp_path / "saved", tmp_path / "back.pth"
    theirs.save_pretrained(saved)
    report = verify_file(str(saved / "model.safetensors"), VerifyOptions(forward=False))
    assert report.diagnosis is not None
    assert report.diagnosis.kind == "classifier"
    assert "5 classes" in report.diagnosis.text
    assert not {one.rule.code for one in report.findings} & {"STR004", "HUB004", "HUB005", "HUB006"}
    convert(saved / "model.safetensors", back, to="pth", layout="facebook", sync=False)
    ours = ViTClassifier(config).eval()
    ours.load_state_dict(torch.load(back)["model"])
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(theirs(images).logits, ours(images), rtol=0, atol=1e-5)
