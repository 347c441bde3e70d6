"""A schema that somebody names: whose model it is, its groups, and under which names it is held."""

from __future__ import annotations

from typing import Mapping

import pytest
import torch

from ckpttool.findings.errors import UnsupportedError
from ckpttool.models.families.mae import MAE
from ckpttool.models.grouping import MOST_GROUPS, OTHERS, ROOT
from ckpttool.models.reference import NONE, reference_of
from ckpttool.models.schema_file import described
from ckpttool.tensors.catalogue import TensorInfo
from tests.builders import checkpoints
from tests.builders.language_models import weights


def infos(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, TensorInfo]:
    return {name: described(name, "float32", shape) for name, shape in shapes.items()}


def of_state(state: Mapping[str, torch.Tensor]) -> dict[str, TensorInfo]:
    return infos({name: tuple(tensor.shape) for name, tensor in state.items()})


def llama() -> dict[str, TensorInfo]:
    return infos({name: array.shape for name, array in weights().items()})


def test_the_groups_of_a_model_are_its_top_level_modules() -> None:
    schema = reference_of("x", llama()).schema
    assert schema.groups == ("model", "lm_head")
    assert schema.entries["model.norm.weight"].group == "model"


def test_what_lies_in_no_module_has_a_group() -> None:
    schema = reference_of("x", infos({"cls_token": (1,), "norm.weight": (1,)})).schema
    assert schema.groups == (ROOT, "norm")


def test_a_million_modules_are_a_dozen_groups() -> None:
    names = {f"m{number}.w": (1,) for number in range(2000)}
    schema = reference_of("x", infos({**names, "large.a": (1,), "large.b": (1,)})).schema
    assert len(schema.groups) == MOST_GROUPS
    assert {"large", OTHERS} <= set(schema.groups)
    assert len(schema.entries) == 2002


def test_a_whole_mae_has_its_encoder_and_decoder() -> None:
    reference = reference_of("x", of_state(checkpoints.state()))
    assert reference.family is MAE
    assert reference.is_known
    assert reference.schema.groups == ("encoder", "decoder")


def test_an_encoder_alone_may_be_of_any_model() -> None:
    names = {name: one for name, one in checkpoints.state().items() if "decoder" not in name}
    del names["mask_token"]
    assert not reference_of("x", of_state(names)).is_known


def test_of_an_unknown_model_nothing_is_renamed() -> None:
    prefixed = {f"module.{name}": info for name, info in of_state(checkpoints.state()).items()}
    canonical = reference_of("x", llama()).canonical(prefixed)
    assert list(canonical.tensors) == list(prefixed)
    assert canonical.layout is None


def test_without_a_schema_names_are_those_of_the_file() -> None:
    prefixed = {f"module.{name}": info for name, info in of_state(checkpoints.state()).items()}
    assert list(NONE.canonical(prefixed).tensors) == list(prefixed)


def test_names_that_are_listed_are_canonical_and_those_of_another_model_stay() -> None:
    encoder = of_state(checkpoints.state())
    listed = reference_of("x.lock", {**encoder, "head.weight": encoder["norm.weight"]}, listed=True)
    prefixed = {f"module.{name}": info for name, info in encoder.items()}
    assert list(listed.canonical(prefixed).tensors) == list(encoder)
    assert list(listed.canonical(llama()).tensors) == list(llama())
    assert list(NONE.canonical(llama()).tensors) == list(llama())


def test_nothing_is_no_schema() -> None:
    assert NONE.is_empty
    with pytest.raises(UnsupportedError, match="no tensor"):
        reference_of("x", {})
