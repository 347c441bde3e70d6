"""HUB: folders that are not as a release should be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict

from safetensors.torch import save_file

from tests.builders import checkpoints, releases
from tests.rule_cases.runs import SOUND, Case, Run, saved, verified

RELEASE = verified(releases.release)


def with_config(**config: Any) -> Case:
    return Case(verified(lambda folder: releases.release(folder, config=config)), RELEASE)


def of_normalised_pixels(norm_pix_loss: bool) -> Run:
    name = "mae_pretrain_vit_base_full.pth"

    def build(folder: Path) -> Path:
        return releases.pickled(folder, checkpoints.sound, name, norm_pix_loss=norm_pix_loss)

    return verified(build)


def without_metadata(folder: Path) -> Path:
    path = folder / "weights.safetensors"
    save_file(checkpoints.state(), path)
    return path


def with_a_long_header(folder: Path) -> Path:
    path = releases.release(folder)
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    header = data[8:end] + b" " * 25_000_000
    path.write_bytes(len(header).to_bytes(8, "little") + header + data[end:])
    return path


def with_a_fifo(folder: Path) -> Path:
    path = releases.release(folder)
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    return path


def with_an_adapter(folder: Path) -> Path:
    path = releases.release(folder)
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    (folder / "adapter_model.safetensors").write_bytes(path.read_bytes())
    return path


CASES: Dict[str, Case] = {
    "HUB001": Case(saved(checkpoints.training_run), SOUND),
    "HUB002": Case(
        verified(lambda folder: releases.shards(folder, "model-00003-of-00003.safetensors")),
        verified(releases.shards),
    ),
    "HUB003": Case(verified(lambda folder: releases.release(folder, config="{")), RELEASE),
    "HUB004": with_config(num_attention_heads=4),
    "HUB005": with_config(model_type="vit"),
    "HUB006": with_config(layer_norm_eps=1e-12),
    "HUB007": Case(of_normalised_pixels(False), of_normalised_pixels(True)),
    "HUB008": Case(verified(without_metadata), RELEASE),
    "HUB009": Case(verified(with_a_long_header), RELEASE),
    "HUB010": Case(verified(lambda folder: releases.release(folder, card="# A model")), RELEASE),
    "HUB011": Case(verified(lambda folder: releases.release(folder, card=None)), RELEASE),
    "HUB012": Case(verified(with_a_fifo), RELEASE),
    "HUB013": Case(verified(with_an_adapter), RELEASE),
}
