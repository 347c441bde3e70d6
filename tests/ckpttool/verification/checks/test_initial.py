from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

import numpy as np
import pytest

from ckpttool.findings import rules
from ckpttool.findings.finding import causes_only
from ckpttool.findings.rules import Severity
from ckpttool.tensors.catalogue import Entry
from ckpttool.verification.checks import initial, meaning
from tests.builders import evidence as built
from tests.builders import initial as small

if TYPE_CHECKING:
    from ckpttool.findings.finding import Finding
    from ckpttool.verification.evidence import Evidence
    from tests.builders.evidence import Arrays

TOLD = (rules.NOT_LOADED, rules.CONSTANT_ROLE)


def examined(arrays: Any, outside: tuple[str, ...] = ()) -> Evidence:
    return built.evidence(arrays, coverage=built.covering(outside))


def findings(evidence: Evidence) -> tuple[Finding, ...]:
    checks = (meaning.check_layernorms, initial.check_initial)
    return causes_only([one for check in checks for one in check(evidence)])


def told(arrays: Any, outside: tuple[str, ...] = ()) -> list[Finding]:
    """What is said of parts and roles, the note on single values aside."""
    return [one for one in findings(examined(arrays, outside)) if one.rule in TOLD]


def test_trained_weights_have_no_finding() -> None:
    assert findings(examined(small.trained())) == ()


# --- a part that was not loaded -----------------------------------------------------------


@pytest.mark.parametrize("drawn", small.DRAWN)
def test_a_decoder_as_initialised_beside_a_trained_encoder_is_an_error(drawn: str) -> None:
    arrays = small.trained()
    small.initialise(arrays, small.decoder(arrays), drawn)
    (found,) = findings(examined(arrays))
    assert (found.rule, found.severity) == (rules.NOT_LOADED, Severity.ERROR)
    assert found.message.startswith("the decoder is as initialised, while the rest is trained (")
    assert set(found.tensors) == {*small.decoder(arrays)} - {"mask_token"}


def test_what_the_weights_were_drawn_from_is_told() -> None:
    arrays = small.trained()
    small.initialise(arrays, small.decoder(arrays))
    (found,) = told(arrays)
    assert found.message.endswith(
        "(LayerNorms of 1 and 0, biases of 0, weights uniform within sqrt(6 / (fan_in + fan_out)), "
        "as Xavier's)"
    )


@pytest.mark.parametrize(
    ("numbers", "words"),
    [((2, 3), "blocks 2-3 of the encoder are"), ((1,), "block 1 of the encoder is")],
)
def test_blocks_as_initialised_are_named(numbers: tuple[int, ...], words: str) -> None:
    arrays = small.trained()
    small.initialise(arrays, small.blocks(arrays, *numbers))
    (found,) = findings(examined(arrays))
    assert found.message.startswith(words)
    assert list(found.tensors) == small.blocks(arrays, *numbers)


def test_parts_of_both_sides_are_one_finding() -> None:
    arrays = small.trained()
    small.initialise(arrays, [*small.blocks(arrays, 0, 2), *small.decoder(arrays)])
    (found,) = told(arrays)
    assert found.message.startswith("blocks 0, 2 of the encoder, the decoder are as initialised")


def test_an_encoder_that_was_not_loaded_is_found_too() -> None:
    arrays = small.trained()
    decoder = small.decoder(arrays)
    small.initialise(arrays, [n for n in arrays if n not in decoder and "pos_embed" not in n])
    (found,) = told(arrays)
    assert found.message.startswith("the encoder is as initialised")


def test_a_patch_projection_alone_that_was_loaded_makes_no_trained_model() -> None:
    arrays = small.trained()
    small.initialise(
        arrays, [n for n in arrays if not n.startswith("patch_embed") and "pos_embed" not in n]
    )
    (found,) = findings(examined(arrays))
    assert found.rule is rules.NOT_LOADED
    assert found.message.startswith("blocks 0-3 of the encoder, norm, the decoder are as")


def test_query_key_and_value_may_be_drawn_one_by_one() -> None:
    arrays = small.trained()
    small.initialise(arrays, small.decoder(arrays))
    random = np.random.default_rng(3)
    for name in small.blocks(arrays, 0, 1, 2, stack="decoder_blocks"):
        if name.endswith("qkv.weight"):
            parts = [small.DRAWN["Xavier"](random, (48, 48)) for _ in range(3)]
            arrays[name] = np.concatenate(parts).astype(np.float32)
    (found,) = told(arrays)
    assert (found.severity, found.message[:11]) == (Severity.ERROR, "the decoder")


def test_biases_as_torch_draws_them_are_initial() -> None:
    arrays = small.trained()
    small.initialise(arrays, small.decoder(arrays), "torch's default")
    random = np.random.default_rng(3)
    for name in small.decoder(arrays):
        if name.endswith(("qkv.bias", "proj.bias", "fc1.bias", "fc2.bias")):
            inputs = arrays[name.replace("bias", "weight")].shape[1]
            bound = inputs**-0.5
            if arrays[name].size >= 64:
                arrays[name] = random.uniform(-bound, bound, arrays[name].shape).astype("f4")
    (found,) = told(arrays)
    assert "biases as they are drawn" in found.message


def test_half_precision_changes_nothing() -> None:
    arrays = small.trained()
    small.initialise(arrays, small.decoder(arrays))
    infos = {name: built.as_bfloat16(array, name) for name, array in arrays.items()}
    (found,) = told(infos)
    assert found.message.startswith("the decoder is as initialised")


def test_an_untrained_model_is_told_once() -> None:
    arrays = small.trained()
    small.initialise(arrays, [name for name in arrays if "pos_embed" not in name])
    found = findings(examined(arrays))
    assert [one.rule for one in found] == [rules.LAYERNORM_INITIAL]


def test_an_untrained_model_with_biases_of_torch_is_untrained() -> None:
    arrays = small.trained()
    small.initialise(arrays, [name for name in arrays if "pos_embed" not in name])
    random = np.random.default_rng(3)
    for name in arrays:
        if name.endswith("bias") and "norm" not in name:
            bound = np.prod(arrays[name.replace("bias", "weight")].shape[1:]) ** -0.5
            arrays[name] = random.uniform(-bound, bound, arrays[name].shape).astype("f4")
            if "mlp" in name:
                arrays[name] = random.normal(0, 1e-6, arrays[name].shape).astype("f4")
    assert told(arrays) == []


def test_one_step_of_training_shows() -> None:
    arrays = small.trained()
    small.initialise(arrays, small.decoder(arrays))
    for name in small.decoder(arrays):
        arrays[name] = small.moved(arrays[name])
    assert told(arrays) == []


@pytest.mark.parametrize("by", [1e-6, 1e-4, 5e-3])
@pytest.mark.parametrize("coarse", [False, True])
def test_after_few_steps_nothing_is_called_lost(by: float, coarse: bool) -> None:
    # gains round to 1 where biases move, and what moved least looks drawn
    arrays = small.trained()
    small.initialise(arrays, [name for name in arrays if "pos_embed" not in name])
    for name, array in arrays.items():
        if array.ndim == 1:
            arrays[name] = small.moved(array, by)
        if name.endswith("norm1.weight"):
            arrays[name] = np.ones_like(array)
    infos = {name: built.as_bfloat16(array, name) for name, array in arrays.items()}
    assert told(infos if coarse else arrays) == []


def test_biases_of_torch_that_moved_a_little_do_not_show_it_in_few_digits() -> None:
    arrays = small.trained()
    small.initialise(arrays, ["decoder_pred.weight"], "torch's default")
    bias = np.random.default_rng(0).uniform(-(48**-0.5), 48**-0.5, 192)
    arrays["decoder_pred.bias"] = small.moved(bias, 1e-3)
    assert told({name: built.as_bfloat16(array, name) for name, array in arrays.items()}) == []


def test_gains_of_1_in_few_digits_are_a_warning() -> None:
    arrays = small.trained()
    for name in small.roles(arrays, "norm1.weight"):
        arrays[name][...] = 1
    (found,) = told({name: built.as_bfloat16(array, name) for name, array in arrays.items()})
    assert (found.rule, found.severity) == (rules.CONSTANT_ROLE, Severity.WARNING)
    assert found.message.endswith("in this type small steps leave a 1 as it is")


def test_a_model_without_biases_is_judged_by_its_gains_and_weights() -> None:
    arrays = {name: array for name, array in small.trained().items() if name[-4:] != "bias"}
    assert told(arrays) == []
    small.initialise(arrays, small.blocks(arrays, 2, 3))
    (found,) = told(arrays)
    assert found.message.startswith("blocks 2-3 of the encoder are as initialised")
    assert "biases" not in found.message


def test_gains_and_biases_alone_are_a_warning() -> None:
    arrays = small.trained()
    vectors = [n for n in small.blocks(arrays, 2, 3) if arrays[n].ndim == 1]
    small.initialise(arrays, vectors)
    (found,) = told(arrays)
    assert (found.rule, found.severity) == (rules.NOT_LOADED, Severity.WARNING)
    assert found.message.startswith("LayerNorms and biases of blocks 2-3 of the encoder are as")


@pytest.mark.parametrize("module", ["patch_embed.proj", "decoder_pred"])
def test_a_module_outside_of_the_blocks_is_a_warning(module: str) -> None:
    arrays = small.trained()
    small.initialise(arrays, [f"{module}.weight", f"{module}.bias"])
    (found,) = findings(examined(arrays))
    assert (found.rule, found.severity) == (rules.NOT_LOADED, Severity.WARNING)
    assert found.message.startswith(f"{module} is as initialised")
    assert "Frozen on purpose" in found.advice


@pytest.mark.parametrize(("deviation", "told_of"), [(0.02, True), (2e-5, True), (0.05, False)])
def test_a_new_head_of_a_classifier_is_a_warning(deviation: float, told_of: bool) -> None:
    arrays = {
        name: array
        for name, array in small.trained().items()
        if not name.startswith(("decoder", "mask"))
    }
    head = np.random.default_rng(5).normal(0, deviation, (100, 64))
    arrays["head.weight"] = head.astype(np.float32)
    arrays["head.bias"] = np.zeros(100, np.float32)
    found = told(arrays)
    assert [(one.rule, one.severity) for one in found] == (
        [(rules.NOT_LOADED, Severity.WARNING)] if told_of else []
    )


def test_a_final_layernorm_that_did_not_move_is_a_note() -> None:
    arrays = small.trained()
    small.initialise(arrays, ["norm.weight", "norm.bias"])
    (found,) = findings(examined(arrays))
    assert found.rule is rules.CONSTANT_VECTOR


def test_one_weight_that_was_drawn_in_every_block_is_an_error() -> None:
    arrays = small.trained()
    names = [n for n in small.roles(arrays, "mlp.fc1.weight") if not n.startswith("decoder")]
    small.initialise(arrays, names)
    (found,) = findings(examined(arrays))
    assert found.message.startswith(
        "mlp.fc1.weight in all 4 blocks of the encoder is as initialised"
    )
    assert list(found.tensors) == names


@pytest.mark.parametrize("drawn", ["normal 0.02", "Xavier"])
def test_weights_that_all_look_drawn_beside_trained_gains_prove_nothing(drawn: str) -> None:
    # after few steps, or where the weights were frozen: there is nothing to compare them with
    arrays = small.trained()
    small.initialise(arrays, [name for name in arrays if arrays[name].ndim == 2], drawn)
    assert told(arrays) == []


def test_a_file_that_counts_no_step_is_a_warning() -> None:
    arrays = small.trained()
    small.initialise(arrays, small.decoder(arrays))
    evidence = examined(arrays)
    for key, severity in (("global_step", Severity.WARNING), ("epoch", Severity.ERROR)):
        evidence.checkpoint.entries = (Entry(key, "int", "0"),)
        (found,) = findings(evidence)
        assert found.severity is severity
        assert ("global_step is 0: no step was made" in found.message) is (key != "epoch")


def test_what_the_model_has_no_place_for_is_not_judged() -> None:
    arrays = small.trained()
    head = {"proj.weight": np.ones((64, 64)), "proj.bias": np.zeros(64)}
    small.initialise(head, head)
    arrays.update({f"head.{name}": array for name, array in head.items()})
    arrays.update({f"blocks.{n}.gamma_1": np.full(64, 1e-4, "f4") for n in range(4)})
    outside = tuple(name for name in arrays if name.startswith("head.") or "gamma" in name)
    assert told(arrays, outside) == []


def test_of_blocks_without_a_weight_nothing_is_said() -> None:
    arrays = small.trained()
    for number in (4, 5):
        arrays[f"blocks.{number}.norm1.weight"] = np.ones(64, np.float32)
    assert told(arrays) == []


def test_the_message_on_very_many_blocks_is_short() -> None:
    arrays: Arrays = {}
    for number in range(20_000):
        arrays[f"blocks.{number}.attn.proj.weight"] = np.eye(2, dtype=np.float32)
        arrays[f"blocks.{number}.norm1.weight"] = np.ones(2, np.float32)
        arrays[f"blocks.{number}.norm1.bias"] = np.full(2, number % 2, np.float32)
    (found,) = told(arrays)
    assert len(found.message) < 400


# --- a role that is constant --------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "value"),
    [
        ("attn.qkv.bias", 0),
        ("attn.proj.bias", 0),
        ("norm1.weight", 1),
        ("norm1.bias", 0),
        ("mlp.fc2.bias", 0.5),
    ],
)
def test_a_role_that_is_constant_in_every_block_is_an_error(role: str, value: float) -> None:
    arrays = small.trained()
    names = small.roles(arrays, role)
    for name in names:
        arrays[name][...] = value
    (found,) = findings(examined(arrays))
    assert (found.rule, found.severity) == (rules.CONSTANT_ROLE, Severity.ERROR)
    assert found.message == (
        f"{role} is {value:g} in all 4 blocks of the encoder and all 3 blocks of the decoder, "
        "where other gains and biases are trained"
    )
    assert list(found.tensors) == names


def test_a_role_of_one_side_is_told_of_that_side() -> None:
    arrays = small.trained()
    for name in small.roles(arrays, "attn.qkv.bias"):
        if not name.startswith("decoder"):
            arrays[name][...] = 0
    (found,) = told(arrays)
    assert found.message.startswith("attn.qkv.bias is 0 in all 4 blocks of the encoder, where")


def test_all_layernorms_lost_are_no_untrained_model() -> None:
    arrays = small.trained()
    small.initialise(arrays, [name for name in arrays if "norm" in name])
    found = findings(examined(arrays))
    assert [one.rule for one in found] == [rules.CONSTANT_ROLE]
    assert "norm2.bias is 0" in found[0].message


def keys_are_zero(array: Any) -> None:
    array[len(array) // 3 : 2 * len(array) // 3] = 0


def queries_are_zero_in_one_block(arrays: Arrays) -> None:
    arrays["blocks.1.attn.qkv.bias"][...] = 0


def every_key_bias_is_zero(arrays: Arrays) -> None:
    for name in small.roles(arrays, "attn.qkv.bias"):
        keys_are_zero(arrays[name])


def another_value_in_each_block(arrays: Arrays) -> None:
    for number, name in enumerate(small.roles(arrays, "attn.qkv.bias")):
        arrays[name][...] = number


@pytest.mark.parametrize(
    "change",
    [queries_are_zero_in_one_block, every_key_bias_is_zero, another_value_in_each_block],
)
def test_what_is_not_lost_is_no_error(change: Callable[[Arrays], object]) -> None:
    arrays = small.trained()
    change(arrays)
    assert told(arrays) == []


def test_a_model_written_with_zeros_for_biases_that_it_was_made_without_is_a_warning() -> None:
    arrays = small.trained()
    for role in ("attn.qkv.bias", "attn.proj.bias", "mlp.fc1.bias", "mlp.fc2.bias"):
        for name in small.roles(arrays, role):
            arrays[name][...] = 0
    (found,) = told(arrays)
    assert (found.rule, found.severity) == (rules.CONSTANT_ROLE, Severity.WARNING)
    assert found.message.endswith("no bias of a linear layer is anything but 0")


def test_blocks_not_loaded_do_not_hide_a_role_and_are_no_part_of_it() -> None:
    arrays = small.trained()
    small.initialise(arrays, small.decoder(arrays))
    for name in small.blocks(arrays, 0, 1, 2, 3):
        if name.endswith("qkv.bias"):
            arrays[name][...] = 0
    loaded, role = told(arrays)
    assert (loaded.rule, role.rule) == (rules.NOT_LOADED, rules.CONSTANT_ROLE)
    assert {name for name in role.tensors if name.startswith("decoder")} == set()


def test_a_single_block_has_no_roles() -> None:
    arrays = small.trained(small.SMALL._replace(depth=1, decoder_depth=1))
    arrays["blocks.0.attn.qkv.bias"][...] = 0
    (found,) = findings(examined(arrays))
    assert found.rule is rules.CONSTANT_VECTOR
