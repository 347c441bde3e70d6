"""The classifier: its names and shapes, and its logits against a computation by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mae.config import MAEConfig
from mae.large.classifier import ViTClassifier
from tests.builders import models
from tests.mae.large import by_hand

CHANGES: list[dict[str, Any]] = [
    {},
    {"pooling": "fc_norm"},
    {"probe": True},
    {"img_size": (16, 64), "qkv_bias": False},
    {"class_token": False},
    {"class_token": False, "pooling": "fc_norm"},
]


def config_of(change: dict[str, Any]) -> MAEConfig:
    return models.TINY._replace(num_classes=5, **change)


@pytest.mark.parametrize("change", CHANGES)
def test_names_and_shapes_are_those_of_the_sizes(change: dict[str, Any]) -> None:
    config = config_of(change)
    state = ViTClassifier(config, device="meta").state_dict()
    assert {name: tuple(one.shape) for name, one in state.items()} == config.shapes
    assert list(state) == list(config.shapes)


@pytest.mark.parametrize("change", CHANGES)
def test_the_logits_are_those_computed_by_hand(change: dict[str, Any]) -> None:
    model = models.tiny_classifier(config_of(change))
    images, _ = models.images_and_noise()
    images = images.reshape(2, 3, *model.config.image)
    with torch.no_grad():
        logits = model(images)
    state = {name: one.numpy().astype(np.float64) for name, one in model.state_dict().items()}
    for image, found in zip(images.numpy().astype(np.float64), logits.numpy()):
        expected = by_hand.classify(model.config, state, image)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_a_probe_divides_by_the_deviation_that_the_published_code_divides_by() -> None:
    model = models.tiny_classifier(config_of({"probe": True}))
    batch_norm = model.head[0]  # type: ignore[index]
    batch_norm.running_mean.zero_()
    batch_norm.running_var.zero_()
    with torch.no_grad():
        found = batch_norm(torch.full((1, 16), 1e-3))
    torch.testing.assert_close(found, torch.ones(1, 16))  # 1e-3 / sqrt(1e-6)


def test_relative_positions_are_not_computed() -> None:
    with pytest.raises(ValueError, match="relative positions"):
        ViTClassifier(config_of({"rel_pos": (7, 7)}), device="meta")
