"""QNT: quantized weights that lack a part, or have one that does not fit; and sound ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Iterable

import torch
from safetensors.torch import save_file

from ckpttool.findings.finding import Finding
from ckpttool.verification.options import VerifyOptions
from ckpttool.verification.run import verify_file
from tests.builders import quantized_models as models
from tests.builders.quantized_models import MODULES, Model
from tests.rule_cases.runs import Case, Run

Change = Callable[[Model], object]

FIRST, EXPERT = MODULES[0], MODULES[3]


def sound(model: Callable[[], Model], **config: Any) -> Run:
    return changed(model, lambda _: None, **config)


def changed(model: Callable[[], Model], change: Change, **config: Any) -> Run:
    """Verify a quantized model after one change, as one of no known model."""

    def run(folder: Path) -> Iterable[Finding]:
        built = model()
        change(built)
        path = models.written(folder, built, **config)
        return verify_file(path, VerifyOptions(forward=False)).findings

    return run


def without(name: str) -> Change:
    return lambda model: model.tensors.pop(name)


def put(name: str, make: Callable[[torch.Tensor], torch.Tensor]) -> Change:
    def change(model: Model) -> None:
        model.tensors[name] = make(model.tensors[name])

    return change


def first(value: float) -> Callable[[torch.Tensor], torch.Tensor]:
    """The same tensor with another first number."""

    def make(tensor: torch.Tensor) -> torch.Tensor:
        other = tensor.clone()
        other.view(-1)[:1] = value
        return other

    return make


def whole(model: Model) -> None:
    """One expert stored in bfloat16, as if it had never been quantized."""
    for name in [name for name in model.tensors if name.startswith(f"{EXPERT}.")]:
        del model.tensors[name]
    model.tensors[f"{EXPERT}.weight"] = torch.randn(models.SHAPE).bfloat16()


def scales_of_whole(model: Model) -> None:
    """One weight cast to bfloat16, its scales left beside it."""
    name = f"{FIRST}.weight"
    model.tensors[name] = model.tensors[name].bfloat16()
    model.config["config_groups"]["group_0"]["targets"] = [f"re:.*{EXPERT}"]
    model.config["ignore"] = ["re:.*self_attn.q_proj"]
    for module in MODULES:
        if module != FIRST and module.endswith("q_proj"):
            for part in ("weight", "weight_scale", "weight_zero_point"):
                del model.tensors[f"{module}.{part}"]


def leaving_out(name: str) -> Change:
    return lambda model: model.config["ignore"].append(name)


def cast(*, scaled: bool) -> Run:
    """Two weights of 8-bit floats in bfloat16, multiplied by their scales or not."""

    def run(folder: Path) -> Iterable[Finding]:
        tensors: Dict[str, torch.Tensor] = {}
        for name in ("a.weight", "b.weight"):
            weight = torch.randn(64, 64, generator=torch.Generator().manual_seed(len(tensors)))
            scale = weight.abs().max() / 448
            codes = (weight / scale).round()  # as coarse as the floats, which old torch has not
            tensors[name] = (codes * scale if scaled else codes).bfloat16()
        path = folder / "cast.safetensors"
        save_file(tensors, path, {"format": "pt"})
        return verify_file(str(path), VerifyOptions(forward=False)).findings

    return run


GPTQ = sound(models.gptq)
PACKED = sound(models.pack_quantized)
INT8 = sound(models.int8_of_channels)

CASES: Dict[str, Case] = {
    "QNT001": Case(changed(models.int8_of_channels, without(f"{EXPERT}.weight_scale")), INT8),
    "QNT002": Case(changed(models.gptq, without(f"{FIRST}.qweight")), GPTQ),
    "QNT003": Case(
        changed(models.gptq, put(f"{FIRST}.scales", lambda scales: scales[:-1].contiguous())), GPTQ
    ),
    "QNT004": Case(
        changed(models.gptq, put(f"{FIRST}.scales", lambda scales: scales.to(torch.int16))), GPTQ
    ),
    "QNT005": Case(changed(models.gptq, put(f"{FIRST}.scales", first(float("nan")))), GPTQ),
    "QNT006": Case(changed(models.gptq, put(f"{FIRST}.scales", first(0))), GPTQ),
    "QNT007": Case(
        changed(models.nf4, put(f"{FIRST}.weight.quant_map", first(-7))), sound(models.nf4)
    ),
    "QNT008": Case(changed(models.gptq, put(f"{FIRST}.g_idx", first(4))), GPTQ),
    "QNT009": Case(changed(models.int8_of_channels, whole), INT8),
    "QNT010": Case(changed(models.int8_of_channels, leaving_out(FIRST)), INT8),
    "QNT011": Case(sound(models.gptq, quantization_config=None), GPTQ),
    "QNT012": Case(changed(models.pack_quantized, put(f"{FIRST}.weight_shape", first(95))), PACKED),
    "QNT013": Case(changed(models.int8_of_channels, scales_of_whole), INT8),
    "QNT015": Case(cast(scaled=False), cast(scaled=True)),
    "QNT014": Case(
        changed(models.gptq, lambda model: model.config.update(quant_method="awq")), GPTQ
    ),
}
