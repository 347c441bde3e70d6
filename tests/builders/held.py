"""Checkpoints that are held against another one, each with one thing done to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, NamedTuple, Tuple

import torch
from safetensors.torch import save_file

from ckpttool.findings.finding import Verdict

State = Dict[str, torch.Tensor]
Change = Callable[[State], State]

LAYERS = 3


def state() -> State:
    """A small language model of no family that is known here, its head a copy of its embedding."""
    generator = torch.Generator().manual_seed(0)
    shapes: Dict[str, Tuple[int, ...]] = {"model.embed_tokens.weight": (16, 4)}
    for number in range(LAYERS):
        layer = f"model.layers.{number}"
        shapes[f"{layer}.input_norm.weight"] = (4,)
        shapes[f"{layer}.mixer.q_proj.weight"] = (4, 4)
        shapes[f"{layer}.mixer.v_proj.weight"] = (4, 4)
        shapes[f"{layer}.up.weight"] = (8, 4)
    shapes["model.final_norm.weight"] = (4,)
    found = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    head = torch.randn((16, 4), generator=generator)
    return {**found, "lm_head.weight": head, ZEROS: torch.zeros(4)}


ZEROS = "lm_head.bias"
Q = "model.layers.1.mixer.q_proj.weight"


def same(tensors: State) -> State:
    return tensors


def without(*names: str) -> Change:
    return lambda tensors: {key: one for key, one in tensors.items() if key not in names}


def with_one(name: str, tensor: Callable[[torch.Tensor], torch.Tensor]) -> Change:
    return lambda tensors: {**tensors, name: tensor(tensors[name])}


def moved(name: str, to: str) -> Change:
    return lambda tensors: {(to if key == name else key): one for key, one in tensors.items()}


def nudged(tensor: torch.Tensor) -> torch.Tensor:
    changed = tensor.clone()
    changed.view(-1)[-1] += 0.5
    return changed


def changed_in(part: str) -> Change:
    """Nudge every tensor with this in its name."""
    return lambda tensors: {
        name: nudged(one) if part in name else one for name, one in tensors.items()
    }


def of_type(dtype: torch.dtype) -> Change:
    return lambda tensors: {name: one.to(dtype) for name, one in tensors.items()}


def truncated(tensors: State) -> State:
    """bfloat16 by cutting bits off, as exporters do that do not round."""
    cut = {
        name: (one.view(torch.int32) >> 16).to(torch.int16).view(torch.bfloat16)
        for name, one in tensors.items()
    }
    assert any(not torch.equal(cut[name], one.to(torch.bfloat16)) for name, one in tensors.items())
    return cut


def extra(tensors: State) -> State:
    return {**tensors, "model.layers.0.mixer.lora_A.weight": torch.ones(2, 4)}


class Held(NamedTuple):
    """What was done to a checkpoint, what is demanded of the result, and what is found.

    Attributes:
        change: what was done.
        options: of ``verify``.
        codes: of the findings of errors, warnings and undecided ones.
        verdict: of the file.
    """

    change: Change
    options: Dict[str, Any] = {}  # noqa: RUF012 (never changed)
    codes: Tuple[str, ...] = ()
    verdict: Verdict = Verdict.PASS


FAIL, UNTOLD = Verdict.FAIL, Verdict.CANNOT_TELL
CAST = {"allow_cast": "bfloat16"}
MERGED = {"must_change": "*.mixer.*"}
FROZEN = {"must_not_change": "model.embed_tokens.*"}

HELD: Dict[str, Held] = {
    "the same": Held(same),
    "a tensor is missing": Held(without(Q), {}, ("AGN001",), FAIL),
    "a tensor is missing, which is allowed": Held(without(Q), {"expected_missing": Q}),
    "a layer is missing": Held(
        without(*(name for name in state() if ".layers.2." in name)), {}, ("AGN001",), FAIL
    ),
    "another shape": Held(with_one(Q, lambda one: one[:2]), {}, ("AGN002",), FAIL),
    "the axes exchanged": Held(
        with_one("lm_head.weight", lambda one: one.t().contiguous()), {}, ("AGN002",), FAIL
    ),
    "another dtype": Held(of_type(torch.bfloat16), {}, ("AGN003",), FAIL),
    "rounded": Held(of_type(torch.bfloat16), CAST),
    "rounded to another dtype than allowed": Held(of_type(torch.float16), CAST, ("AGN003",), FAIL),
    "rounded to either": Held(of_type(torch.float16), {"allow_cast": ("bfloat16", "float16")}),
    "truncated": Held(truncated, CAST, ("AGN004",), FAIL),
    "one value": Held(with_one(Q, nudged), {}, ("AGN005",), FAIL),
    "the sign of a zero": Held(with_one(ZEROS, torch.neg), {}, ("AGN005",), FAIL),
    "merged": Held(changed_in(".mixer."), MERGED),
    "merged into no layer": Held(same, MERGED, ("AGN006",), FAIL),
    "merged into all but one": Held(
        lambda tensors: {**changed_in(".mixer.")(tensors), Q: tensors[Q]}, MERGED, ("AGN006",), FAIL
    ),
    "merged, and more": Held(
        lambda tensors: nudge_norm(changed_in(".mixer.")(tensors)), MERGED, ("AGN005",), FAIL
    ),
    "merged, and more that may change": Held(
        lambda tensors: nudge_norm(changed_in(".mixer.")(tensors)), {**MERGED, **FROZEN}
    ),
    "merged and rounded": Held(
        lambda tensors: of_type(torch.bfloat16)(changed_in(".mixer.")(tensors)),
        {**MERGED, **CAST},
    ),
    "rounded and not merged": Held(of_type(torch.bfloat16), {**MERGED, **CAST}, ("AGN006",), FAIL),
    "tuned with a part frozen": Held(changed_in(".layers."), FROZEN),
    "tuned, and the frozen part moved": Held(changed_in("model."), FROZEN, ("AGN005",), FAIL),
    "one more": Held(extra, {}, ("AGN010",)),
    "one more, which is allowed": Held(extra, {"allow_unexpected": "*lora*"}),
    "another name": Held(moved(Q, "q"), {}, ("AGN001", "AGN010"), FAIL),
    "nothing of it, which is allowed": Held(
        lambda _: extra({}), {"expected_missing": "*", "allow_unexpected": "*"}, ("AGN007",), UNTOLD
    ),
    "another name, which is given": Held(moved(Q, "q"), {"map": {Q: "q"}}),
    "a prefix": Held(
        lambda tensors: {f"module.{name}": one for name, one in tensors.items()}, {}, ("AGN012",)
    ),
}


def nudge_norm(tensors: State) -> State:
    return with_one("model.final_norm.weight", nudged)(tensors)


def written(folder: Path, held: Held) -> Tuple[str, str]:
    """Write the other checkpoint and the file, and return their paths in this order."""
    source, path = folder / "a.safetensors", folder / "b.safetensors"
    save(state(), source)
    save(held.change(state()), path)
    return str(source), str(path)


def save(tensors: State, path: Path) -> str:
    whole = {name: one.contiguous() for name, one in tensors.items()}
    if path.suffix == ".safetensors":
        save_file(whole, str(path), {"format": "pt"})
    else:
        torch.save(whole, path)
    return str(path)
