"""The folders in which the commands of the pages run, by the name that a page gives.

Everything in them is small and made with fixed seeds, so that the pages are the same everywhere.
"""

from __future__ import annotations

import shutil
import subprocess
import warnings
from typing import TYPE_CHECKING, Callable, Dict, Mapping

import torch
from safetensors.torch import load_file, save_file

import ckpttool
from tests.builders import (
    adapters,
    checkpoints,
    distributed,
    hugging_face,
    in_parts,
    language_models,
    models,
    pipelines,
    quantized_models,
    releases,
)
from tests.builders.attacks import ATTACKS
from tests.builders.repository import ROOT

if TYPE_CHECKING:
    from pathlib import Path

State = Dict[str, torch.Tensor]


def empty(folder: Path) -> None:
    """Nothing."""


def mae(folder: Path) -> None:
    """model.pth, a whole masked autoencoder."""
    checkpoints.saved(folder, checkpoints.sound, "model.pth")


def first_steps(folder: Path) -> None:
    """The trained model of the repository; broken.pth, which lost a tensor and has NaN; another."""
    shutil.copy(ROOT / "data" / "mae_demo.pth", folder / "model.pth")
    (folder / "README.md").write_text(releases.CARD)
    state = torch.load(folder / "model.pth", weights_only=True)["model"]
    tuned = dict(state)
    for name in ("blocks.1.mlp.fc1.weight", "blocks.1.mlp.fc2.weight"):
        tuned[name] = state[name] * 1.01
    save_file(tuned, folder / "finetuned.safetensors", metadata={"format": "pt"})
    broken = models.with_a_nan(state, "blocks.1.mlp.fc2.bias")
    del broken["norm.weight"]
    torch.save({"model": broken}, folder / "broken.pth")


def demo(folder: Path) -> None:
    """The small trained model of the repository, and two pictures."""
    for name in ("mae_demo.pth", "chelsea.png", "astronaut.png"):
        shutil.copy(ROOT / "data" / name, folder)


def hostile(folder: Path) -> None:
    """downloaded.pth, which calls os.system when it is loaded."""
    (attack,) = (one for one in ATTACKS if one.what == "direct-os-system")
    (folder / "downloaded.pth").write_bytes(attack.data("ran"))


def release(folder: Path) -> None:
    """release/, with a model, its configuration, card and lock file, and the model beside it."""
    (folder / "release").mkdir()
    releases.release(folder / "release")
    shutil.copy(folder / "release" / "model.safetensors", folder)
    ckpttool.lock(folder / "release" / "model.safetensors", folder / "ckpttool.lock")


def policy(folder: Path) -> None:
    """release/, with a weight of zeros."""
    (folder / "release").mkdir()
    weights = checkpoints.state()
    weights["blocks.1.attn.proj.weight"].zero_()
    releases.release(folder / "release", weights=weights)


def repository(folder: Path) -> None:
    """A repository of git with a checkpoint in it."""
    mae(folder)
    for command in ("init -q", "add .", "-c user.name=a -c user.email=a@b commit -qm first"):
        subprocess.run(["git", *command.split()], cwd=folder, check=True)


def runs(folder: Path) -> None:
    """Checkpoints of training runs, of several kinds, and a configuration."""
    mae(folder)
    for name in ("mae.pth", "big.pth", "runs/epoch-1.pth"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(folder / "model.pth", folder / name)
    torch.save(models.tiny_model(), folder / "best.pt")
    releases.release(folder)
    checkpoints.saved(folder, checkpoints.training_run, "training.pth")
    checkpoints.saved(folder, checkpoints.averaged_weights_beside, "run.ckpt")
    state = {f"student.trunk.{name}": tensor for name, tensor in checkpoints.state().items()}
    torch.save(state, folder / "student.ckpt")
    (folder / "vit-mae").mkdir()
    (folder / "ckpttool.toml").write_text('checkpoint = "mae.pth"\n')


def listing(folder: Path) -> None:
    """training.pth with an optimizer, pipeline/, as diffusers writes one, and lora/, an adapter."""
    checkpoints.saved(folder, checkpoints.training_run, "training.pth")
    pipelines.pipeline(folder / "pipeline")
    config = {**adapters.CONFIG, "base_model_name_or_path": "meta-llama/Llama-3.2-1B"}
    adapters.write(folder, adapters.lora(), config)


def shards(folder: Path) -> None:
    """release/, shards without their index."""
    (folder / "release").mkdir()
    releases.shards(folder / "release").unlink()


def language_model(folder: Path) -> None:
    """model-a.safetensors, and model-b.safetensors, which lost a layer."""
    language_models.saved(folder / "model-a.safetensors")
    language_models.saved(folder / "model-b.safetensors", language_models.without_a_layer)
    ckpttool.schema(folder / "model-a.safetensors", folder / "model-a.schema.json")


def export(folder: Path) -> None:
    """A base, an export that lost a layer and changed a number, and a merge that left out one."""
    language_models.saved(folder / "base.safetensors")
    base = load_file(folder / "base.safetensors")
    exported = {name: tensor for name, tensor in base.items() if ".layers.2." not in name}
    exported["model.layers.1.mlp.up_proj.weight"][2, 1] += 0.25
    save_file(exported, folder / "export.safetensors", metadata={"format": "pt"})
    base = load_file(folder / "base.safetensors")
    merged = {
        name: (tensor + ("self_attn" in name and ".3." not in name)).bfloat16()
        for name, tensor in base.items()
    }
    save_file(merged, folder / "merged.safetensors", metadata={"format": "pt"})


def tuned(folder: Path) -> None:
    """base.pth, tuned.pth, of which one block was trained further, and cast.safetensors."""
    random = torch.Generator().manual_seed(0)
    state = {
        f"layers.{number}.{part}.{name}": torch.randn(shape, generator=random) / 16
        for number in range(12)
        for part in ("attn", "mlp")
        for name, shape in (("weight", (64, 64)), ("bias", (64,)))
    }
    state = {name: value * (not name.endswith("bias")) for name, value in state.items()}
    torch.save({"model": state}, folder / "base.pth")
    save_file(
        {name: value.bfloat16() for name, value in state.items()}, folder / "cast.safetensors"
    )
    after = {name: value.clone() for name, value in state.items()}
    for name, value in after.items():
        if name.endswith("bias"):
            value += torch.randn(value.shape, generator=random) / 4096
        elif name.startswith("layers.5."):
            value += torch.randn(value.shape, generator=random) / 256
    after["layers.7.mlp.weight"][2, :3] = float("nan")
    torch.save({"model": after, "epoch": 3}, folder / "tuned.pth")


def conversion(folder: Path) -> None:
    """model.pth, model.safetensors in another layout and type, and broken.safetensors."""
    mae(folder)
    (folder / "made").mkdir()
    ckpttool.convert(
        folder / "model.pth", folder / "made", to="safetensors", layout="hf", dtype="bfloat16"
    )
    made = folder / "made" / "model.safetensors"
    shutil.move(str(made), folder)
    shutil.rmtree(folder / "made")
    state = load_file(folder / "model.safetensors")
    key = "vit.encoder.layer.1.attention.attention.key.weight"
    state[key] = state[key].clone()
    state[key][0, 0] += 1
    del state["vit.encoder.layer.0.output.dense.bias"]
    save_file(state, folder / "broken.safetensors")


def merges(folder: Path) -> None:
    """A base, an adapter, the merge of both, one that left a layer out, and its shards."""
    base, adapter = adapters.base(), adapters.lora()
    merged = adapters.merged(base, adapter)
    half = {**merged, **{name: base[name] for name in base if ".layers.1." in name}}
    adapters.save(folder, "base.safetensors", base)
    adapters.save(folder, "merged.safetensors", merged)
    adapters.save(folder, "half.safetensors", half)
    adapters.write(folder, adapter)
    (folder / "release").mkdir()
    ckpttool.convert(
        folder / "merged.safetensors",
        folder / "release" / "model.safetensors",
        to="safetensors",
        max_shard_size=20_000,
    )


def _experts() -> State:
    """The linear layers of a small mixture of experts, and a norm."""
    names = [f"model.layers.{layer}.self_attn.q_proj" for layer in range(2)]
    names += ["model.layers.0.mlp.up_proj"]
    names += [f"model.layers.1.mlp.experts.{number}.up_proj" for number in range(8)]
    random = torch.Generator().manual_seed(0)
    weights = {f"{name}.weight": torch.randn(64, 64, generator=random) / 8 for name in names}
    return {**weights, "model.norm.weight": 1 + torch.randn(64, generator=random) / 8}


def _quantized(folder: Path, model: quantized_models.Model, whole: State) -> State:
    """Write a quantized model and its configuration, and return its tensors."""
    folder.mkdir()
    tensors = quantized_models.quantized(whole, model)
    quantized_models.written(folder, model._replace(tensors=tensors))
    return tensors


def quantized(folder: Path) -> None:
    """fp8/, which lost scales, gptq/, which says so nowhere, and llama/, a sound one."""
    _quantized(folder / "fp8", quantized_models.fp8_in_blocks(), _experts())
    hugging_face.change_weights(folder / "fp8", _without_scales)
    _quantized(folder / "gptq", quantized_models.gptq(), _experts())
    (folder / "gptq" / "config.json").write_text('{"model_type": "llama"}')
    hugging_face.saved(folder / "llama", "decoder")
    hugging_face.in_fp8(folder / "llama")


def _without_scales(weights: State) -> None:
    experts = "model.layers.1.mlp.experts"
    for number in (3, 5):
        del weights[f"{experts}.{number}.up_proj.weight_scale_inv"]
    weights[f"{experts}.1.up_proj.weight_scale_inv"][0, 0] = float("nan")


def dequantised(folder: Path) -> None:
    """fp8/, codes and scales, of base/, and broken/, in which a scale was doubled."""
    (folder / "base").mkdir()
    whole = {name: tensor.bfloat16() for name, tensor in _experts().items()}
    save_file(whole, folder / "base" / "model.safetensors")
    _quantized(folder / "fp8", quantized_models.fp8_in_blocks(), whole)
    shutil.copytree(folder / "fp8", folder / "broken")
    hugging_face.change_weights(folder / "broken", _doubled)


def _doubled(weights: State) -> None:
    weights["model.layers.0.mlp.up_proj.weight_scale_inv"][1, 0] *= 2


def hugging(folder: Path) -> None:
    """model/, a model of transformers."""
    hugging_face.saved(folder / "model", "experts")


def parts(folder: Path) -> None:
    """quantized.pth, with tensors that torch quantized."""
    with warnings.catch_warnings():  # torch 2.13 means to leave them behind
        warnings.simplefilter("ignore")
        torch.save(in_parts.quantized(), folder / "quantized.pth")


def dcp(folder: Path) -> None:
    """step-1000/, a folder of torch.distributed.checkpoint."""
    (folder / "step-1000").mkdir()
    distributed.good(folder / "step-1000")
    ckpttool.convert(folder / "step-1000", folder / "model.safetensors", to="safetensors")


_CODE = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, depth=4, name="base"):
        super().__init__()
        self.embed = nn.Embedding(100, 64)
        self.blocks = nn.ModuleList(nn.Linear(64, 64) for _ in range(depth))
        self.head = nn.Linear(64, 10)

    def forward(self, ids):
        hidden = self.embed(ids).mean(1)
        for block in self.blocks:
            hidden = block(hidden).relu()
        return {"logits": self.head(hidden)}


def build(**sizes):
    return Net(**sizes)


def inputs():
    return torch.arange(10).reshape(2, 5)
"""


def code(folder: Path) -> None:
    """my/models.py, a model of somebody's own, and net.pth."""
    (folder / "my").mkdir()
    (folder / "my" / "models.py").write_text(_CODE)
    random = torch.Generator().manual_seed(0)
    shapes = {"embed.weight": (100, 64), "head.weight": (10, 64), "head.bias": (10,)}
    for number in range(4):
        shapes.update({f"blocks.{number}.weight": (64, 64), f"blocks.{number}.bias": (64,)})
    state = {name: torch.randn(shape, generator=random) / 8 for name, shape in shapes.items()}
    torch.save(state, folder / "net.pth")


FOLDERS: Mapping[str, Callable[[Path], None]] = {
    "empty": empty,
    "first steps": first_steps,
    "demo": demo,
    "hostile": hostile,
    "release": release,
    "policy": policy,
    "repository": repository,
    "runs": runs,
    "listing": listing,
    "shards": shards,
    "language model": language_model,
    "export": export,
    "tuned": tuned,
    "conversion": conversion,
    "merges": merges,
    "quantized": quantized,
    "dequantised": dequantised,
    "hugging face": hugging,
    "parts": parts,
    "distributed": dcp,
    "code": code,
}
