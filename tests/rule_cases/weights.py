"""STR, NUM and MOD: weights that are not the model's, or not those of a trained one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Mapping, NamedTuple, Sequence, cast

import numpy as np
import torch
from safetensors.torch import save_file

from ckpttool.findings.finding import Finding
from ckpttool.findings.results import NO_ITEMS
from ckpttool.models.code.held import Held, held_by
from ckpttool.models.grouping import Groups
from ckpttool.models.reference import reference_of
from ckpttool.verification.checks.forward_pass import check_forward
from ckpttool.verification.checks.values import check_everything_was_read
from ckpttool.verification.options import VerifyOptions
from ckpttool.verification.run import verify_file
from ckpttool.verification.schema_sources import read_schema
from mae.large import MAEViTLarge
from tests.builders import checkpoints as built
from tests.builders import evidence, models, zero3
from tests.builders.language_models import Weights, without_a_layer
from tests.builders.language_models import saved as language_model
from tests.builders.state_dicts import optimizer
from tests.builders.tensors import in_memory
from tests.rule_cases.runs import SOUND, Case, Run, saved

if TYPE_CHECKING:
    from ckpttool.models.reference import Code

State = Dict[str, torch.Tensor]


def changed(change: Callable[[State], object], **options: object) -> Run:
    """Verify sound weights after one change."""

    def content() -> object:
        state = built.state()
        change(state)
        return {"model": state}

    return saved(content, **options)


def filled(name: str, value: float) -> Run:
    return changed(lambda state: state[name].fill_(value))


def with_one(name: str, value: float) -> Run:
    return changed(lambda state: state[name].view(-1)[:1].fill_(value))


def block_copied(state: State) -> None:
    for name in [name for name in state if name.startswith("blocks.0.")]:
        state[name.replace(".0.", ".1.")] = state[name].clone()


def no_qkv_bias(state: State) -> None:
    for number in range(models.TINY.depth):
        state[f"blocks.{number}.attn.qkv.bias"].zero_()


def no_key_bias(state: State) -> None:
    width = models.TINY.embed_dim
    for number in range(models.TINY.depth):
        state[f"blocks.{number}.attn.qkv.bias"][width : 2 * width].zero_()


def decoder_not_loaded() -> object:
    model = MAEViTLarge(models.TINY)
    model.load_state_dict(models.encoder_of(built.state()), strict=False)
    return {"model": model.state_dict()}


def untrained() -> object:
    return {"model": MAEViTLarge(models.TINY).state_dict()}


def computes(**changes: Any) -> Run:
    """Check a sound forward pass with some fields changed."""

    def run(_: Path) -> Iterable[Finding]:
        forward = evidence.sane_forward()._replace(**changes)
        return check_forward(evidence.evidence({"a": np.arange(4.0)}, forward=forward))

    return run


def of_type(dtype: str, data: bytes) -> Run:
    def run(_: Path) -> Iterable[Finding]:
        info = in_memory(data, dtype, (6,))
        return check_everything_was_read(evidence.evidence({"w": info}))

    return run


def against_its_own_schema(
    change: Callable[[Weights], object], groups: Mapping[str, Sequence[str]] = NO_ITEMS
) -> Run:
    """Verify a language model after one change against what it was."""

    def run(folder: Path) -> Iterable[Finding]:
        own = read_schema(language_model(folder / "own.safetensors"))
        path = language_model(folder / "weights.safetensors", change)
        return verify_file(path, VerifyOptions(reference=own, groups=Groups(groups))).findings

    return run


class Tied(NamedTuple):
    """A model in code whose head is its embedding."""

    held: Held
    name: str = "Tied"
    said: str = "from code"
    loader: str = "load_state_dict"


def tied(head: float) -> Run:
    """Verify a file that stores an embedding of ones, and a head of one number."""

    def run(folder: Path) -> Iterable[Finding]:
        state = {"embed": torch.ones(4, 4), "head": torch.full((4, 4), head)}
        held = held_by({"embed": state["embed"]})._replace(tied={"head": "embed"})
        reference = reference_of("Tied", held.tensors, cast("Code", Tied(held)))
        path = folder / "tied.safetensors"
        save_file(state, path, {"format": "pt"})
        options = VerifyOptions(reference=reference, forward=False)
        return verify_file(str(path), options).findings

    return run


FORWARD = saved(built.sound, forward=True)

CASES: Dict[str, Case] = {
    "STR001": Case(saved(built.encoder_block_missing), SOUND),
    "STR002": Case(saved(built.encoder_only), SOUND),
    "STR003": Case(saved(built.decoder_cut_in_half), saved(built.encoder_only)),
    "STR004": Case(saved(built.classifier_head_added), SOUND),
    "STR005": Case(saved(built.norm_too_wide), SOUND),
    "STR006": Case(saved(built.half_precision), SOUND),
    "STR007": Case(saved(built.integer_weight), saved(built.half_precision)),
    "STR008": Case(saved(built.averaged_weights_beside), SOUND),
    "STR009": Case(saved(built.module_prefix), SOUND),
    "STR010": Case(saved(built.no_tensor), SOUND),
    "STR011": Case(saved(built.sparse_tensor_added), SOUND),
    "STR012": Case(saved(built.another_model), saved(built.encoder_block_missing)),
    "STR013": Case(saved(built.query_without_key_and_value), saved(built.another_model)),
    "STR014": Case(saved(built.half_of_the_weights_halved), saved(built.half_precision)),
    "STR015": Case(saved(zero3.stub), saved(zero3.a_few_empty)),
    "STR017": Case(saved(built.sound, model="mae_vit_large_patch16"), SOUND),
    "STR016": Case(
        saved(lambda: {"model": built.state(), "center": torch.rand(8)}),
        saved(lambda: {"model": built.state(), "optimizer": optimizer(4, 8)}),
    ),
    "STR020": Case(
        saved(built.encoder_block_missing, expected_missing=("blocks.1.*",)),
        saved(built.encoder_block_missing),
    ),
    "STR021": Case(
        saved(built.sound, expected_missing=("block.1.*",)),
        saved(built.sound, expected_missing=("blocks.1.*",)),
    ),
    "STR022": Case(
        against_its_own_schema(without_a_layer),
        against_its_own_schema(lambda _: None),
    ),
    "STR023": Case(
        saved(built.another_model, model="auto"), saved(built.another_model, model="tiny")
    ),
    "STR024": Case(
        against_its_own_schema(lambda _: None, {"attention": ["*.attention.*"]}),
        against_its_own_schema(lambda _: None, {"attention": ["*.self_attn.*"]}),
    ),
    "STR025": Case(tied(2.0), tied(1.0)),
    "NUM001": Case(with_one("norm.weight", float("nan")), SOUND),
    "NUM002": Case(with_one("norm.weight", float("inf")), with_one("norm.weight", float("nan"))),
    "NUM003": Case(filled("patch_embed.proj.weight", 0), filled("norm.bias", 0)),
    "NUM004": Case(filled("patch_embed.proj.weight", 0.5), filled("norm.bias", 0.5)),
    "NUM005": Case(filled("norm.bias", 0.5), SOUND),
    "NUM006": Case(of_type("float4_e2m1", b"abc"), of_type("float8_e5m2", b"abcdef")),
    "NUM007": Case(saved(built.large_block), saved(lambda: built.large_block(factor=1.0))),
    "NUM008": Case(saved(built.one_weight_copied_over_another), changed(block_copied)),
    "NUM009": Case(changed(no_qkv_bias), changed(no_key_bias)),
    "MOD001": Case(saved(untrained), SOUND),
    "MOD002": Case(changed(block_copied), saved(built.one_weight_copied_over_another)),
    "MOD003": Case(changed(lambda state: state["pos_embed"].mul_(1.01)), SOUND),
    "MOD004": Case(computes(outputs={}), computes()),
    "MOD005": Case(changed(lambda state: state["norm.weight"].fill_(3e38), forward=True), FORWARD),
    "MOD006": Case(
        changed(lambda state: state["patch_embed.proj.weight"].zero_(), forward=True), FORWARD
    ),
    "MOD010": Case(saved(built.learned_positions), SOUND),
    "MOD007": Case(saved(built.sound, forward=False), FORWARD),
    "MOD008": Case(saved(decoder_not_loaded), saved(untrained)),
}
