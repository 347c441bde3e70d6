"""CVT, and what else keeps a file from being written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Callable, Dict, Iterable
from unittest import mock

import safetensors
import torch
from safetensors.torch import save_file

from ckpttool import open_checkpoint
from ckpttool.conversion import earlier, proving
from ckpttool.findings import rules
from ckpttool.findings.finding import Finding
from mae.config import CONFIGS, MAEConfig
from tests.builders import checkpoints, quantized, quantized_models, sharing, state_dicts
from tests.builders.sizes import TINY
from tests.rule_cases.runs import Case, Run, convert, converted

WRITTEN = converted(checkpoints.sound)


def to(name: str, **options: Any) -> Run:
    """Convert to another name in the folder."""

    def run(folder: Path) -> Iterable[Finding]:
        return convert(checkpoints.saved(folder, checkpoints.sound), folder / name, **options)

    return run


def over_another_file(folder: Path) -> Iterable[Finding]:
    (folder / "out.safetensors").write_bytes(b"mine")
    return WRITTEN(folder)


def through_a_link(folder: Path) -> Iterable[Finding]:
    (folder / "out.safetensors").symlink_to(folder / "elsewhere")
    return converted(checkpoints.sound, force=True)(folder)


def over_its_source(folder: Path) -> Iterable[Finding]:
    return to("weights.pth", to="pth", force=True)(folder)


def on_a_full_disk(folder: Path) -> Iterable[Finding]:
    status = os.statvfs(folder)
    full = os.statvfs_result((*status[:3], 0, 0, *status[5:]))
    with mock.patch.object(os, "statvfs", return_value=full):
        return WRITTEN(folder)


def on_a_disk_that_lies(folder: Path) -> Iterable[Finding]:
    write = os.pwrite

    def flips(fd: int, data: bytes, offset: int) -> int:
        return write(fd, bytes([data[0] ^ 1]) + bytes(data[1:]), offset)

    # the casts are written from memory, wherever the system copies the rest
    with mock.patch.object(os, "pwrite", flips):
        return converted(checkpoints.sound, dtype="bfloat16")(folder)


def read_back_otherwise(folder: Path) -> Iterable[Finding]:
    def damaged(path: str) -> Any:
        checkpoint = open_checkpoint(path)
        name, info = checkpoint.tensors.popitem()
        checkpoint.tensors[f"{name}.other"] = info
        return checkpoint

    with mock.patch.object(proving, "open_checkpoint", damaged):
        return WRITTEN(folder)


def with_an_old_library(folder: Path) -> Iterable[Finding]:
    """The type came to the library late, so that only the strict reader proves it."""
    refused = mock.Mock(side_effect=safetensors.SafetensorError("unknown variant"))
    with mock.patch.object(safetensors, "safe_open", refused):
        return converted(lambda: {"z": torch.ones(2, dtype=torch.complex64)})(folder)


def stale(*paths: str) -> Run:
    return lambda _: earlier.left_behind(earlier.Earlier((), paths), force=True)


def single(value: float) -> checkpoints.Content:
    return lambda: {"w": torch.tensor([value, 1.0])}


def as_hf(content: checkpoints.Content, config: str | None = None, **sizes: MAEConfig) -> Run:
    """Convert to a folder for transformers, with a config.json in it if there is to be one."""

    def run(folder: Path) -> Iterable[Finding]:
        if config is not None:
            (folder / "config.json").write_text(config)
        with mock.patch.dict(CONFIGS, sizes):
            source = checkpoints.saved(folder, content)
            return convert(source, folder / "model.safetensors", layout="hf")

    return run


def table_changed() -> object:
    state = checkpoints.state()
    state["pos_embed"][0, 3, 5] += 0.5
    return state


def without_scales() -> quantized_models.Model:
    model = quantized_models.int8_of_channels()
    scale = next(name for name in model.tensors if name.endswith("_scale"))
    return model._replace(
        tensors={name: one for name, one in model.tensors.items() if name != scale}
    )


def dequantised(build: Callable[[], quantized_models.Model], name: str = "out") -> Run:
    """Decode a model with its config.json, to a file beside it or in a folder."""

    def run(folder: Path) -> Iterable[Finding]:
        model = build()
        save_file(model.tensors, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps({"quantization_config": model.config}))
        (folder / "out").mkdir()
        return convert(str(folder / "model.safetensors"), folder / name, dequantise="bfloat16")

    return run


HALF = {"dtype": "float16"}

CASES: Dict[str, Case] = {
    rules.UNWRITABLE.code: Case(to("none/out.safetensors"), WRITTEN),
    "CVT216": Case(
        converted(table_changed, resize_pos_embed=48),
        converted(checkpoints.sound, resize_pos_embed=48),
    ),
    "CVT217": Case(dequantised(without_scales), dequantised(quantized_models.int8_of_channels)),
    "CVT218": Case(
        dequantised(quantized_models.int8_of_channels, "plain.safetensors"),
        dequantised(quantized_models.int8_of_channels),
    ),
    "CVT101": Case(converted(lambda: {"w": torch.zeros(1, dtype=torch.complex128)}), WRITTEN),
    "CVT102": Case(on_a_disk_that_lies, converted(checkpoints.sound, dtype="bfloat16")),
    "CVT209": Case(
        converted(lambda: quantized.nf4()[0], dtype="bfloat16"),
        converted(lambda: quantized.nf4()[0], dtype="bfloat16", except_quantized=True),
    ),
    "CVT103": Case(over_another_file, WRITTEN),
    "CVT104": Case(through_a_link, WRITTEN),
    "CVT105": Case(over_its_source, WRITTEN),
    "CVT106": Case(on_a_full_disk, WRITTEN),
    "CVT201": Case(converted(checkpoints.sound, include=("nothing.*",)), WRITTEN),
    "CVT202": Case(read_back_otherwise, WRITTEN),
    "CVT203": Case(converted(sharing.tied), converted(sharing.neighbours)),
    "CVT204": Case(converted(sharing.overlapping), converted(sharing.neighbours)),
    "CVT205": Case(converted(single(1e5), **HALF), converted(single(1e3), **HALF)),
    "CVT206": Case(converted(single(1e-9), **HALF), converted(single(1e-3), **HALF)),
    "CVT207": Case(
        with_an_old_library,
        converted(lambda: {"z": torch.ones(2)}),
    ),
    "CVT210": Case(
        converted(checkpoints.sound, max_shard_size=8),
        converted(checkpoints.sound, max_shard_size=1_000_000),
    ),
    "CVT208": Case(stale("model-00001-of-00002.safetensors"), stale()),
    "CVT301": Case(converted(state_dicts.module_state), WRITTEN),
    "CVT303": Case(converted(state_dicts.with_a_vocabulary), WRITTEN),
    "CVT302": Case(converted(state_dicts.memory_beside), converted(state_dicts.gan)),
    "CVT211": Case(
        converted(checkpoints.sound, layout="timm"),
        converted(checkpoints.sound, layout="timm", encoder_only=True),
    ),
    "CVT212": Case(
        converted(checkpoints.classifier_head_added, layout="facebook"),
        converted(checkpoints.sound, layout="facebook"),
    ),
    "CVT213": Case(
        as_hf(checkpoints.encoder_block_missing, tiny=TINY),
        as_hf(checkpoints.encoder_only, tiny=TINY),
    ),
    "CVT214": Case(
        as_hf(checkpoints.sound, config='{"hidden_size": 17}'),
        as_hf(checkpoints.sound, config='{"hidden_size": 16}'),
    ),
    "CVT215": Case(as_hf(checkpoints.sound), as_hf(checkpoints.encoder_only, tiny=TINY)),
}
