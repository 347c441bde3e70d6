"""A small model, LoRA adapters for it, and what mergers make of both, right and wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Callable, Dict, NamedTuple, Tuple

import torch
from safetensors.torch import save_file

if TYPE_CHECKING:
    from pathlib import Path

State = Dict[str, torch.Tensor]
Config = Dict[str, Any]

SIZE, HIDDEN, WORDS, RANK, ALPHA = 24, 40, 60, 4, 8
LAYERS = range(2)
LINEAR = ("self_attn.q_proj", "self_attn.v_proj", "mlp.up_proj", "mlp.down_proj")
Q0 = "model.layers.0.self_attn.q_proj"
PEFT = "base_model.model."
CONFIG: Config = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA}


def _random(*shape: int, seed: int, scale: float = 0.05) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


def _sizes(module: str) -> Tuple[int, int]:
    return {"up_proj": (HIDDEN, SIZE), "down_proj": (SIZE, HIDDEN)}.get(
        module.rpartition(".")[2], (SIZE, SIZE)
    )


def modules() -> list[str]:
    """The modules that the adapter is for."""
    return [f"model.layers.{layer}.{name}" for layer in LAYERS for name in LINEAR]


def base(dtype: torch.dtype = torch.float32, seed: int = 0) -> State:
    """The model before the merge: two layers, an embedding, norms."""
    state = {
        f"{name}.weight": _random(*_sizes(name), seed=seed + place)
        for place, name in enumerate(modules())
    }
    state["model.embed_tokens.weight"] = _random(WORDS, SIZE, seed=seed + 50)
    state["lm_head.weight"] = _random(WORDS, SIZE, seed=seed + 51)
    for layer in LAYERS:
        state[f"model.layers.{layer}.self_attn.q_proj.bias"] = _random(SIZE, seed=seed + 60 + layer)
        state[f"model.layers.{layer}.input_layernorm.weight"] = 1 + _random(
            SIZE, seed=seed + 70 + layer
        )
    return {name: tensor.to(dtype) for name, tensor in state.items()}


def lora(dtype: torch.dtype = torch.float32, seed: int = 100, rank: int = RANK) -> State:
    """The adapter, as PEFT saves one."""
    state: State = {}
    for place, name in enumerate(modules()):
        rows, columns = _sizes(name)
        state[f"{PEFT}{name}.lora_A.weight"] = _random(rank, columns, seed=seed + place)
        state[f"{PEFT}{name}.lora_B.weight"] = _random(rows, rank, seed=seed + 50 + place)
    return {name: tensor.to(dtype) for name, tensor in state.items()}


def for_modules(adapter: State, change: Callable[[str], str]) -> State:
    """The adapter for other modules: ``change`` is given each name without PEFT's prefix."""
    return {f"{PEFT}{change(name[len(PEFT) :])}": tensor for name, tensor in adapter.items()}


def merged(
    before: State, adapter: State, scale: float = ALPHA / RANK, *, within: torch.dtype | None = None
) -> State:
    """What PEFT's ``merge_and_unload`` makes: ``within`` is the type of what is added."""
    after = {name: tensor.clone() for name, tensor in before.items()}
    for name, down in adapter.items():
        if not name.endswith("lora_A.weight"):
            continue
        up = adapter[name.replace("lora_A", "lora_B")]
        delta = (up.float() @ down.float()) * scale
        if within is not None:
            delta = delta.to(within)
        target = f"{name[len(PEFT) :].replace('.lora_A', '')}"
        after[target] = (before[target].float() + delta.float()).to(before[target].dtype)
    return after


def cast(state: State, dtype: torch.dtype) -> State:
    """The same, cast."""
    return {name: tensor.to(dtype) for name, tensor in state.items()}


def write(folder: Path, adapter: State, config: Config | None = CONFIG, name: str = "lora") -> str:
    """Write an adapter as PEFT does; ``None`` for no configuration."""
    place = folder / name
    place.mkdir(parents=True)
    save_file(
        {key: value.clone().contiguous() for key, value in adapter.items()},
        place / "adapter_model.safetensors",
    )
    if config is not None:
        (place / "adapter_config.json").write_text(json.dumps(config))
    return str(place)


def save(folder: Path, name: str, state: State) -> str:
    """Write a model."""
    path = folder / name
    save_file({key: value.clone().contiguous() for key, value in state.items()}, path)
    return str(path)


class Wrong(NamedTuple):
    """A merge that went wrong, as a public report has it, and what is to be said.

    Attributes:
        before, after: A and B.
        adapter, config: what is named as merged.
        said: a part of the reason of each tensor that is unexplained, or of the adapter's part.
        named: how many tensors of B are unexplained.
        unmerged: how many parts of the adapter are.
    """

    before: State
    after: State
    said: str
    named: int
    adapter: State
    config: Config = CONFIG
    unmerged: int = 0


def _each(state: State, other: State, chosen: Callable[[str], bool]) -> State:
    return {name: other[name] if chosen(name) else tensor for name, tensor in state.items()}


def _is_linear(name: str) -> bool:
    return name.endswith("proj.weight")


def wrong() -> Dict[str, Wrong]:
    """Merges that went wrong, by what happened."""
    before, adapter = base(), lora()
    after = merged(before, adapter)
    everything = len(modules())
    tuned = {**adapter, f"{PEFT}lm_head.weight": _random(WORDS, SIZE, seed=900)}
    added = {f"{PEFT}{name}": tensor for name, tensor in before.items()}
    beside = {
        **{
            name.replace(".q_proj.weight", ".q_proj.base_layer.weight"): t
            for name, t in added.items()
        },
        **{name.replace(".weight", ".default.weight"): t for name, t in adapter.items()},
    }
    return {
        "never merged": Wrong(before, before, "the adapter was not merged into it", 8, adapter),
        "never merged, and cast": Wrong(
            before,
            cast(before, torch.bfloat16),
            "it equals A's cast to bfloat16: the adapter was not merged into it",
            everything,
            adapter,
        ),
        "only the attention": Wrong(
            before,
            _each(before, after, lambda name: "self_attn" in name),
            "the adapter was not merged into it",
            4,
            adapter,
        ),
        "one layer left out": Wrong(
            before,
            _each(after, before, lambda name: ".1." in name),
            "the adapter was not merged into it",
            4,
            adapter,
        ),
        "merged twice": Wrong(before, merged(after, adapter), "merged twice", everything, adapter),
        "twice the scale": Wrong(
            before, merged(before, adapter, 4.0), "with twice its scale", 8, adapter
        ),
        "alpha left out": Wrong(
            before, merged(before, adapter, 1.0), "without its scale (alpha / rank)", 8, adapter
        ),
        "not divided by the rank": Wrong(
            before, merged(before, adapter, 8.0), "with alpha, not divided by the rank", 8, adapter
        ),
        "the root of the rank forgotten": Wrong(
            before,
            after,
            "with alpha / rank, not alpha / sqrt(rank): 2 instead of 4",
            everything,
            adapter,
            {**CONFIG, "use_rslora": True},
        ),
        "subtracted": Wrong(
            before, merged(before, adapter, -2.0), "the adapter was subtracted", 8, adapter
        ),
        "a third of it": Wrong(
            before, merged(before, adapter, 2 / 3), "0.333333 x its scale", 8, adapter
        ),
        "1.2 % more than it": Wrong(
            before,
            merged(before, adapter, 2.024),
            "with 1.012 x its scale: 2.024 instead of 2",
            8,
            adapter,
        ),
        "1 % less than it, in 16 bits": Wrong(
            before,
            merged(before, adapter, 1.98, within=torch.float16),
            "with 0.99 x its scale: 1.98 instead of 2",
            8,
            adapter,
        ),
        "into another model": Wrong(
            before,
            merged(base(seed=500), adapter),
            "elements differ from the merge, the first at [0, 0]; the adapter makes up",
            len(before),
            adapter,
        ),
        "another adapter": Wrong(
            before, merged(before, lora(seed=300)), "the adapter makes up", everything, adapter
        ),
        "other layers": Wrong(
            before,
            before,
            "neither file has a tensor for it",
            0,
            for_modules(adapter, lambda name: name.replace("layers.", "layers.3")),
            CONFIG,
            everything,
        ),
        "modules to save left out": Wrong(
            before,
            after,
            "the adapter's, which has another one, was not put in its place",
            1,
            tuned,
        ),
        "lying beside the weights": Wrong(
            before, beside, "a part of an adapter, which lies beside the weights", 24, adapter
        ),
        "initialised by taking it out of A": Wrong(
            before,
            merged(merged(before, lora(seed=700), -2.0), adapter),
            "it was initialised by pissa, which changes A before the training",
            everything,
            adapter,
            {**CONFIG, "init_lora_weights": "pissa"},
        ),
        "another rank than it says": Wrong(
            before,
            after,
            "its rank is 4, and 16 in adapter_config.json",
            8,
            adapter,
            {**CONFIG, "r": 16},
            everything,
        ),
        "names of an older diffusers": Wrong(
            before,
            before,
            "it is a part of no kind that is replayed",
            0,
            {f"{Q0}.to_q_lora.{part}.weight": _random(4, 4, seed=7) for part in ("up", "down")},
            CONFIG,
            2,
        ),
        "a classifier that was saved at random": Wrong(
            {**before, "score.weight": _random(3, SIZE, seed=960)},
            {**after, "score.weight": _random(3, SIZE, seed=961)},
            "72 of 72 elements differ from the adapter's",
            1,
            {**adapter, f"{PEFT}score.weight": _random(3, SIZE, seed=962)},
        ),
        "noise below the last place of bfloat16": Wrong(
            before,
            {
                name: tensor + before[name] * 2**-9 * _random(*tensor.shape, seed=970, scale=0.5)
                for name, tensor in after.items()
            },
            "elements differ from the merge",
            len(before),
            adapter,
        ),
        "a base that was quantized": Wrong(
            before,
            merged({name: (t * 64).round() / 64 for name, t in before.items()}, adapter),
            "elements differ from the merge",
            len(before),
            adapter,
        ),
        "a vocabulary that was resized before": Wrong(
            before,
            {
                **after,
                "model.embed_tokens.weight": torch.cat(
                    [after["model.embed_tokens.weight"], _random(2, SIZE, seed=950)]
                ),
            },
            "A's has the shape [60, 24]; its first 60 rows are those of A's",
            1,
            adapter,
        ),
    }


class Right(NamedTuple):
    """A merge that is to be proven.

    Attributes:
        before, after: A and B.
        adapter, config: what was merged.
        merged: how many tensors it was merged into.
        arithmetic: what explains all of them.
    """

    before: State
    after: State
    adapter: State
    config: Config = CONFIG
    merged: int = len(LAYERS) * len(LINEAR)
    arithmetic: str = "float32"


def right() -> Dict[str, Right]:
    """Merges that are to be proven, by what is special about each."""
    before, adapter = base(), lora()
    after = merged(before, adapter)
    low, half = base(torch.bfloat16), base(torch.float16)
    shorter = {name.replace("model.", "", 1): tensor for name, tensor in before.items()}
    flat = {
        f"lora_unet_{name[len(PEFT) :].partition('.lora_')[0].replace('.', '_')}."
        + {"A": "lora_down.weight", "B": "lora_up.weight"}[name[-8]]: tensor
        for name, tensor in adapter.items()
    }
    flat.update({f"{name.partition('.')[0]}.alpha": torch.tensor(8.0) for name in list(flat)})
    zeros = {name: t * 0 if "lora_B" in name else t for name, t in adapter.items()}
    nan = {name: t.clone() for name, t in adapter.items()}
    nan[f"{PEFT}{Q0}.lora_B.weight"][3, 0] = float("nan")
    embedding = {
        **adapter,
        f"{PEFT}model.embed_tokens.lora_embedding_A": _random(RANK, WORDS, seed=800),
        f"{PEFT}model.embed_tokens.lora_embedding_B": _random(SIZE, RANK, seed=801),
    }
    words = (
        embedding[f"{PEFT}model.embed_tokens.lora_embedding_B"]
        @ embedding[f"{PEFT}model.embed_tokens.lora_embedding_A"]
    ).t() * 2
    bigger = {
        **adapter,
        f"{PEFT}model.embed_tokens.weight": _random(WORDS + 4, SIZE, seed=850),
        f"{PEFT}lm_head.modules_to_save.default.weight": _random(WORDS + 4, SIZE, seed=851),
    }
    tied = {name: tensor for name, tensor in before.items() if name != "lm_head.weight"}
    head = {
        f"{PEFT}lm_head.lora_A.weight": _random(RANK, SIZE, seed=860),
        f"{PEFT}lm_head.lora_B.weight": _random(WORDS, RANK, seed=861),
    }
    put_back = {**tied, "lm_head.weight": tied["model.embed_tokens.weight"]}
    taken = merged(put_back, head)["lm_head.weight"]
    return {
        "float32": Right(before, after, adapter),
        "into bfloat16": Right(low, merged(low, adapter), adapter),
        "in float32, saved as bfloat16": Right(before, cast(after, torch.bfloat16), adapter),
        "an adapter in bfloat16": Right(
            low, merged(low, lora(torch.bfloat16)), lora(torch.bfloat16)
        ),
        "within bfloat16": Right(
            low, merged(low, adapter, within=torch.bfloat16), adapter, arithmetic="bfloat16"
        ),
        "within float16": Right(
            half, merged(half, adapter, within=torch.float16), adapter, arithmetic="float16"
        ),
        "a base in bfloat16 that was merged in float16": Right(
            low,
            merged(cast(low, torch.float16), adapter, within=torch.float16),
            adapter,
            arithmetic="float16",
        ),
        "without PEFT's prefix": Right(
            before, after, {name[len(PEFT) :]: tensor for name, tensor in adapter.items()}
        ),
        "the adapter's name in it": Right(
            before,
            after,
            {name.replace(".weight", ".default.weight"): t for name, t in adapter.items()},
        ),
        "a model without its prefix": Right(shorter, merged_shorter(shorter, adapter), adapter),
        "a text model within a larger one": Right(
            before,
            after,
            for_modules(adapter, lambda name: name.replace("model.", "model.language_model.", 1)),
        ),
        "an adapter of the model without its head": Right(
            before, after, for_modules(adapter, lambda name: name.replace("model.", "", 1))
        ),
        "PEFT's prefix left": Right(
            before, {f"{PEFT}{name}": tensor for name, tensor in after.items()}, adapter
        ),
        "names of kohya's scripts": Right(before, after, flat),
        "an adapter that adds nothing": Right(before, before, zeros),
        "an alpha of 0": Right(before, before, adapter, {**CONFIG, "lora_alpha": 0}),
        "NaN in it": Right(before, merged(before, nan), nan),
        "rslora": Right(
            before, merged(before, adapter, 4.0), adapter, {**CONFIG, "use_rslora": True}
        ),
        "an alpha of its own": Right(
            before,
            {**after, f"{Q0}.weight": merged(before, adapter, 3.0)[f"{Q0}.weight"]},
            adapter,
            {**CONFIG, "alpha_pattern": {"layers.0.self_attn.q_proj": 12}},
        ),
        "an embedding": Right(
            before,
            {**after, "model.embed_tokens.weight": before["model.embed_tokens.weight"] + words},
            embedding,
            merged=9,
        ),
        "a vocabulary that was resized, in the adapter": Right(
            before,
            {
                **after,
                "model.embed_tokens.weight": bigger[f"{PEFT}model.embed_tokens.weight"],
                "lm_head.weight": bigger[f"{PEFT}lm_head.modules_to_save.default.weight"],
            },
            bigger,
        ),
        "a tied head that was merged alone": Right(
            tied, {**tied, "lm_head.weight": taken}, head, merged=1
        ),
        "a tied head that took the embedding with it": Right(
            tied, {**tied, "model.embed_tokens.weight": taken}, head, merged=1
        ),
    }


def merged_shorter(before: State, adapter: State) -> State:
    """The merge into a model whose names lack the first part."""
    shorter = {name.replace(f"{PEFT}model.", PEFT, 1): tensor for name, tensor in adapter.items()}
    return merged(before, shorter)
