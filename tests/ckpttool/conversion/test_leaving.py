"""What a conversion leaves in its source is told by name and bytes, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest
import torch

from ckpttool.conversion.convert import convert_file
from ckpttool.conversion.options import ConvertOptions
from ckpttool.conversion.result import NOT_WRITTEN, WRITTEN, Conversion
from ckpttool.findings import rules
from ckpttool.findings.finding import Finding
from ckpttool.findings.rules import Rule, Severity
from tests.builders import modules
from tests.builders import state_dicts as built
from tests.builders.checkpoints import saved

pytestmark = pytest.mark.filterwarnings("ignore:.*quantize:UserWarning")

Content = Callable[[], object]


def convert(folder: Path, content: Content, **options: Any) -> Conversion:
    chosen = ConvertOptions("safetensors", sync=False, **options)
    return convert_file(saved(folder, content), str(folder / "out.safetensors"), chosen)


def of_rule(converted: Conversion, rule: Rule) -> list[Finding]:
    return [found for found in converted.file.findings if found.rule is rule]


def mostly_elsewhere() -> object:
    return {"first": built.net(4, 8), "second": built.net(4, 7), "third": built.net(4, 7)}


def copies_in_a_list() -> object:
    return {"nets": [built.net(4, 8) for _ in range(3)]}


def averages() -> object:
    return {f"model{name}": built.net(4, 8) for name in ("", "_ema", "_ema2", "_swa")}


def optimizers() -> object:
    return {"model": built.net(4, 8), "a": built.optimizer(8, 16), "b": [built.optimizer(8, 16)]}


@pytest.mark.parametrize("content", [mostly_elsewhere, copies_in_a_list, built.memory_beside])
def test_a_choice_that_leaves_most_bytes_behind_is_left_to_the_caller(
    content: Content, tmp_path: Path
) -> None:
    refused = convert(tmp_path, content)
    (found,) = of_rule(refused, rules.MOST_OUTSIDE)
    assert refused.state == NOT_WRITTEN
    assert not (tmp_path / "out.safetensors").exists()
    wrapper = refused.file.wrapper
    assert found.fix is not None
    assert f"--wrapper {wrapper}" in found.fix
    assert convert(tmp_path, content, wrapper=wrapper).state == WRITTEN


@pytest.mark.parametrize("content", [averages, optimizers, built.student_and_teacher])
def test_averages_and_optimizers_may_be_larger_than_the_weights(
    content: Content, tmp_path: Path
) -> None:
    assert convert(tmp_path, content).state == WRITTEN


def test_the_way_out_that_a_refusal_names_takes_everything(tmp_path: Path) -> None:
    (found,) = of_rule(convert(tmp_path, mostly_elsewhere), rules.MOST_OUTSIDE)
    assert found.fix is not None
    assert "--wrapper ''" in found.fix
    whole = convert(tmp_path, mostly_elsewhere, wrapper="")
    assert whole.file.tensors == 6
    assert whole.file.findings == ()


def test_other_state_dicts_and_tensors_are_warnings_with_keys_and_bytes(tmp_path: Path) -> None:
    converted = convert(tmp_path, built.gan)
    (others,) = of_rule(converted, rules.WRAPPER_CHOICE)
    assert "'D' (4 tensors, 196 B), 'G_ema' (4 tensors, 304 B)" in others.message
    (loose,) = of_rule(converted, rules.OUTSIDE)
    assert loose.message.endswith("'latent_avg' (1 tensor, 64 B)")
    assert {others.severity, loose.severity} == {Severity.WARNING}


def test_of_a_pickled_object_the_class_is_named(tmp_path: Path) -> None:
    (found,) = of_rule(convert(tmp_path, built.memory_beside), rules.OUTSIDE)
    assert "in an object of tests.builders.state_dicts.Memory" in found.message


def test_attributes_that_no_state_dict_lists_are_a_note(tmp_path: Path) -> None:
    converted = convert(tmp_path, modules.with_everything)
    (loose,) = of_rule(converted, rules.OUTSIDE)
    assert "'$attributes' (2 tensors" in loose.message
    assert loose.severity is Severity.NOTE


def test_quantized_tensors_are_refused_with_names_and_bytes(tmp_path: Path) -> None:
    refused = convert(tmp_path, built.quantized)
    (found,) = of_rule(refused, rules.UNREAD_ENTRY)
    assert refused.state == NOT_WRITTEN
    assert found.message == "1 tensor cannot be read, 4.10 kB: a quantized tensor"
    assert found.tensors == ("fc._packed_params._packed_params.0",)


def test_bytes_of_quantized_tensors_beside_the_state_dict_are_counted(tmp_path: Path) -> None:
    beside = {"model": built.net(64, 64), "small": built.quantized()}
    (entry,) = convert(tmp_path, lambda: beside).left_out
    assert entry.nbytes == 64 * 64 + 4 * 64 + 4


def test_state_of_the_model_is_told_apart_from_what_lies_beside_it(tmp_path: Path) -> None:
    content = {"model": built.module_state(), "epoch": 1}
    converted = convert(tmp_path, lambda: content)
    (found,) = of_rule(converted, rules.MODEL_STATE)
    assert found.message.endswith(
        "3 entries, model.0._extra_state (dict 1 entry), model.version (str '1.2'), "
        "model.steps (NoneType None)"
    )
    assert "epoch" not in found.message
    with_sidecar = convert(tmp_path, lambda: content, sidecar=str(tmp_path / "a.json"), force=True)
    (found,) = of_rule(with_sidecar, rules.MODEL_STATE)
    assert found.fix == "Put them back from the sidecar where the module needs them."


def test_nested_names_come_back_flat_and_equal(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    content: Any = built.nested()
    convert(tmp_path, lambda: content)
    read = load_file(str(tmp_path / "out.safetensors"))
    assert torch.equal(read["enc.l1.b"], content["enc"]["l1"]["b"])
    assert len(read) == 5


def test_a_vocabulary_that_is_left_out_is_a_warning_that_names_it(tmp_path: Path) -> None:
    (found,) = of_rule(convert(tmp_path, built.with_a_vocabulary), rules.DATA_BESIDE)
    assert found.severity is Severity.WARNING
    assert found.message.endswith("may need it: vocabulary (dict 3 entries)")
    assert "--sidecar" in (found.fix or found.rule.fix)


def test_a_vocabulary_in_the_sidecar_is_not_left_out(tmp_path: Path) -> None:
    done = convert(tmp_path, built.with_a_vocabulary, sidecar=str(tmp_path / "beside.json"))
    assert (done.state, of_rule(done, rules.DATA_BESIDE)) == (WRITTEN, [])
    assert '"vocabulary"' in (tmp_path / "beside.json").read_text()


def test_numbers_alone_beside_the_weights_are_a_note(tmp_path: Path) -> None:
    content = {"model": built.net(4, 8), "num_classes": 10, "arch": "net", "epoch": 3}
    (found,) = of_rule(convert(tmp_path, lambda: content), rules.DATA_BESIDE)
    assert found.severity is Severity.NOTE
    assert found.message.endswith("may need it: num_classes (int 10), arch (str 'net')")


def test_names_of_classes_among_what_a_run_goes_on_by_are_told_of(tmp_path: Path) -> None:
    content = {"state_dict": built.net(4, 8), "meta": {"epoch": 1, "CLASSES": ("cat", "dog")}}
    (found,) = of_rule(convert(tmp_path, lambda: content), rules.DATA_BESIDE)
    assert found.message.endswith("may need it: meta (dict 2 entries)")


@pytest.mark.parametrize("further", [{}, {"names": [], "args": None}], ids=["none", "empty"])
def test_nothing_is_said_of_what_a_run_goes_on_by(tmp_path: Path, further: Any) -> None:
    run = {"epoch": 3, "best_acc": 0.5, "lr_schedulers": [{"last_epoch": 3}], "loss": [0.1, 0.2]}
    content = {"model": built.net(4, 8), "optimizer": built.optimizer(8, 16), **run, **further}
    assert of_rule(convert(tmp_path, lambda: content), rules.DATA_BESIDE) == []
