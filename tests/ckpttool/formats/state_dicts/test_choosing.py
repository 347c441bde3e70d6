"""Which of a file's dictionaries is the state dict: those that projects save, one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, NamedTuple

import numpy as np
import pytest
import safetensors.numpy
import torch

from ckpttool import open_checkpoint
from ckpttool.findings.errors import MalformedError, UnsupportedError, UsageError
from ckpttool.formats.objects.describing import MAX_KEY
from ckpttool.formats.pickles.nodes import Call, Global
from ckpttool.formats.state_dicts.choosing import is_averaged
from ckpttool.formats.state_dicts.holding import MAX_DEPTH, may_hold
from tests.builders import pickles as p
from tests.builders import state_dicts as built
from tests.builders import torch_files as t
from tests.builders.checkpoints import saved
from tests.builders.nodes import dict_node

pytestmark = pytest.mark.filterwarnings("ignore:.*quantize:UserWarning")


class Record:
    """An object with one attribute."""

    def __init__(self, value: object) -> None:
        self.value = value


class Own(torch.Tensor):
    """A tensor of which only its class knows what it is."""


class Taken(NamedTuple):
    """What is expected of a file: wrapper, tensors taken, other state dicts, other tensors."""

    wrapper: str | None
    names: tuple[str, ...] | int
    others: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()


FILES: dict[Callable[[], object], Taken] = {
    built.list_of_one: Taken("state_dict.0", 4, (), ("acc",)),
    built.list_of_layers: Taken("weights.0", 2, ("weights.1",), ("weights.1", "acc")),
    built.weights_and_optimizer: Taken("0", 4),
    built.epoch_and_weights: Taken("1", 4),
    built.nested: Taken(None, ("enc.l0.w", "enc.l0.b", "enc.l1.w", "enc.l1.b", "dec.l0.w")),
    built.nested_below_a_key: Taken("model", 6),
    built.encoder_and_decoder: Taken("encoder", 4, ("decoder",), ("decoder",)),
    built.encoder_and_decoder_of_one_layer: Taken(
        None, ("encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias")
    ),
    built.gan: Taken("G", 4, ("D", "G_ema"), ("D", "G_ema", "latent_avg")),
    built.gan_with_a_large_discriminator: Taken("netG", 2, ("netD",), ("netD",)),
    built.gan_below_keys: Taken(
        "nets.G.state_dict", 4, ("nets.D.state_dict",), ("nets.D.state_dict",)
    ),
    built.cycle_gan: Taken("G_A", 4, ("G_B", "D_A", "D_B"), ("G_B", "D_A", "D_B")),
    built.averages_beside: Taken("state_dict", 4, ("state_dict_ema",), ("state_dict_ema",)),
    built.optimizer_of_another_structure: Taken("net", 4, ("opt_state",), ("opt_state",)),
    built.averages_without_names: Taken("state_dict", 4, ("ema",), ("ema",)),
    built.student_and_teacher: Taken(
        "student", 4, ("dino_loss", "teacher"), ("dino_loss", "teacher")
    ),
    built.lightning: Taken("state_dict", 4, (), ("callbacks",)),
    built.fairseq: Taken("model", 4, (), ("extra_state",)),
    built.ordered_with_metadata: Taken("state_dict", 7),
    built.in_a_namespace: Taken("state_dict", 4),
    built.integer_keys: Taken(None, ("0", "1")),
    built.tensors_in_a_tuple: Taken(None, ("0.weight", "0.bias", "fc._packed.0")),
    built.embedding_of_a_token: Taken("string_to_param", ("*",), (), ("string_to_token",)),
    built.memory_beside: Taken("state_dict", 2, (), ("memory",)),
    built.module_beside: Taken("best", ("weight", "bias"), ("state_dict",), ("state_dict",)),
}


@pytest.mark.parametrize(
    ("content", "expected"), FILES.items(), ids=[content.__name__ for content in FILES]
)
def test_the_state_dict_is_found_and_what_is_not_in_it_is_named(
    content: Callable[[], object], expected: Taken, tmp_path: Path
) -> None:
    with open_checkpoint(saved(tmp_path, content)) as checkpoint:
        names = tuple(checkpoint.tensors)
        assert checkpoint.wrapper == expected.wrapper
        assert (len(names) if isinstance(expected.names, int) else names) == expected.names
        assert tuple(wrapper.key for wrapper in checkpoint.wrappers[1:]) == expected.others
        assert tuple(row.key for row in checkpoint.outside) == expected.outside


def test_quantized_tensors_in_a_tuple_are_found_and_their_bytes_counted(tmp_path: Path) -> None:
    with open_checkpoint(saved(tmp_path, built.quantized)) as checkpoint:
        packed = "fc._packed_params._packed_params"
        assert list(checkpoint.tensors) == ["fc.scale", f"{packed}.1"]
        assert checkpoint.unread == ((f"{packed}.0", "a quantized tensor"),)
        assert checkpoint.unread_bytes == 64 * 64
        assert [entry.key for entry in checkpoint.entries] == ["fc._packed_params.dtype"]


def of_the_size(content: Callable[[], object], folder: Path) -> dict[str, int]:
    with open_checkpoint(saved(folder, content)) as checkpoint:
        return {row.key: row.nbytes for row in checkpoint.outside}


def test_bytes_outside_are_those_of_storages_that_the_state_dict_does_not_show(
    tmp_path: Path,
) -> None:
    weights = built.net(4, 8)
    beside = {"view": weights["0.weight"][1], "own": torch.rand(5), "model": weights}
    assert of_the_size(lambda: beside, tmp_path) == {"own": 20}
    assert of_the_size(built.gan, tmp_path) == {
        "D": 4 * (4 * 8 + 8 + 8 + 1),
        "G_ema": 4 * (4 * 8 + 8 + 8 * 4 + 4),
        "latent_avg": 64,
    }


def test_the_state_of_random_generators_is_no_tensor_that_anybody_misses(tmp_path: Path) -> None:
    states = {"model": built.net(4, 8), "rng": {"torch": torch.get_rng_state()}}
    assert of_the_size(lambda: states, tmp_path) == {}


ASKED = {
    "": (built.gan, 4 + 4 + 4 + 1),
    "G_ema": (built.gan, 4),
    "nets": (built.gan_below_keys, 8),
    "nets.D": (built.gan_below_keys, 4),
    "nets.D.state_dict": (built.gan_below_keys, 4),
    "weights": (built.list_of_layers, 4),
    "weights.1": (built.list_of_layers, 2),
    "optim_G": (built.gan, 12),
    "ema": (built.averages_without_names, 4),
    "callbacks.ModelCheckpoint{'every': 1.5}": (built.lightning, 1),
}


@pytest.mark.parametrize(("wrapper", "given"), ASKED.items(), ids=ASKED.keys())
def test_whatever_holds_tensors_can_be_asked_for_by_its_keys(
    wrapper: str, given: tuple[Callable[[], object], int], tmp_path: Path
) -> None:
    content, tensors = given
    with open_checkpoint(saved(tmp_path, content), wrapper=wrapper) as checkpoint:
        assert (checkpoint.wrapper or "") == wrapper
        assert len(checkpoint.tensors) == tensors


def test_all_state_dicts_are_told_apart_by_their_keys_where_all_are_asked_for(
    tmp_path: Path,
) -> None:
    with open_checkpoint(saved(tmp_path, built.gan_below_keys), wrapper="nets") as checkpoint:
        assert "D.state_dict.0.weight" in checkpoint.tensors
        assert [entry.key for entry in checkpoint.entries] == ["step"]


def test_averages_at_the_root_stay_apart_also_when_the_root_is_asked_for(tmp_path: Path) -> None:
    content = {**built.net(4, 8), "ema": built.net(4, 8)}
    with open_checkpoint(saved(tmp_path, lambda: content), wrapper="") as checkpoint:
        assert list(checkpoint.tensors) == ["0.weight", "0.bias"]
        assert [wrapper.key for wrapper in checkpoint.wrappers] == ["", "ema"]


def test_a_list_of_tensors_can_be_taken_by_number(tmp_path: Path) -> None:
    path = saved(tmp_path, lambda: [torch.rand(2), torch.rand(3)])
    with pytest.raises(UnsupportedError, match="a list of tensors that have no names"):
        open_checkpoint(path)
    with open_checkpoint(path, wrapper="") as checkpoint:
        assert list(checkpoint.tensors) == ["0", "1"]


@pytest.mark.parametrize("wrapper", ["optim", "latent_avg", "latent_avg.x", "G.0"])
def test_a_key_that_leads_to_no_state_dict_is_a_usage_error_that_names_the_others(
    wrapper: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="'G', 'D', 'G_ema'"):
        open_checkpoint(saved(tmp_path, built.gan), wrapper=wrapper)


def test_a_key_that_can_be_read_in_a_million_ways_is_looked_for_in_some(tmp_path: Path) -> None:
    levels: list[dict[str, object]] = [{}, {"a": {}}]
    for _ in range(40):
        levels.append({"a": levels[-1], "a.a": levels[-2]})
    content = {"model": built.net(4, 8), "a": levels[-1]}
    with pytest.raises(UsageError, match="no state dict under that wrapper"):
        open_checkpoint(saved(tmp_path, lambda: content), wrapper="a." * 42 + "b")


def test_tensors_beyond_the_state_dicts_that_are_looked_for_are_counted_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ckpttool.formats.state_dicts.choosing._MOST", 3)
    content = {key: built.net(4, 8) for key in "abcd"}
    with open_checkpoint(saved(tmp_path, lambda: content)) as checkpoint:
        assert [wrapper.key for wrapper in checkpoint.wrappers] == ["a", "b"]
        assert [row.key for row in checkpoint.outside] == ["b", "c", "d"]


@pytest.mark.parametrize(
    "content",
    [
        {0: torch.ones(1), "0": torch.zeros(1)},
        {"model": {"a.b": torch.ones(1), "a": {"b": torch.ones(1)}}},
        {"a": {1: torch.ones(1), "1": torch.ones(1)}, "b": {"c": torch.ones(1)}},
        {0: built.net(4, 8), "0": built.net(4, 8)},
        {"model": {0: {"v": torch.ones(1)}, "0": {"w": torch.ones(1)}}},
        {"model": {"a.b": built.layer(1, 1), "a": {"b": built.layer(1, 1)}, "c": torch.ones(1)}},
    ],
    ids=[
        "a number and its text",
        "a dotted key and a nested one",
        "nested",
        "two",
        "two inside",
        "two inside by a dotted key and by nested ones",
    ],
)
def test_two_parts_of_one_written_name_are_refused(content: object, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="have the same name once keys are written"):
        open_checkpoint(saved(tmp_path, lambda: content))


def test_entries_among_the_tensors_are_told_from_those_beside(tmp_path: Path) -> None:
    content = {"model": built.module_state(), "epoch": 1, "optimizer": built.optimizer(4, 8)}
    with open_checkpoint(saved(tmp_path, lambda: content)) as checkpoint:
        inside = [entry.key for entry in checkpoint.entries if entry.inside]
        assert inside == ["model.0._extra_state", "model.version", "model.steps"]
        assert [entry.key for entry in checkpoint.entries if not entry.inside] == [
            "epoch",
            "optimizer",
        ]


def test_a_dictionary_that_holds_itself_is_read_once(tmp_path: Path) -> None:
    cycle: dict[str, object] = {"w": torch.ones(2), "list": [torch.ones(3)]}
    cycle["again"] = [cycle, {"deeper": cycle}]
    with open_checkpoint(saved(tmp_path, lambda: cycle)) as checkpoint:
        assert list(checkpoint.tensors) == ["w", "list.0"]


def test_the_same_dictionary_under_two_keys_is_one_state_dict(tmp_path: Path) -> None:
    weights = built.net(4, 8)
    content = {"model": weights, "state_dict": weights}
    with open_checkpoint(saved(tmp_path, lambda: content)) as checkpoint:
        assert [wrapper.key for wrapper in checkpoint.wrappers] == ["model"]
        assert checkpoint.outside == ()


def test_shared_dictionaries_do_not_multiply_without_end(tmp_path: Path) -> None:
    """Each level holds the one below twice: thirty of them stand for a billion tensors."""
    body = b"}" + p.text("w") + p.tensor() + b"s" + p.put(1) + b"0"
    for level in range(2, MAX_DEPTH):
        twice = p.text("a") + p.get(level - 1) + p.text("b") + p.get(level - 1)
        body += b"}(" + twice + b"u" + p.put(level) + b"0"
    body += p.dict_of((p.text("model"), p.get(MAX_DEPTH - 1)))
    (tmp_path / "a.pth").write_bytes(t.torch_zip(body))
    with pytest.raises(MalformedError, match="nested dictionaries are shared"):
        open_checkpoint(str(tmp_path / "a.pth"))


BESIDE_A_LARGE_TENSOR: dict[str, dict[str, object]] = {
    "features": {"model": built.net(4, 8), "features": torch.rand(500)},
    "a queue": {"state_dict": built.net(4, 8), "queue": torch.rand(500), "amp": None},
    "a list of them": {"net": built.layer(4, 8), "replay": [torch.rand(500), torch.rand(500)]},
}


@pytest.mark.parametrize(
    "content", BESIDE_A_LARGE_TENSOR.values(), ids=BESIDE_A_LARGE_TENSOR.keys()
)
def test_a_tensor_beside_a_state_dict_is_not_taken_for_it_however_large(
    content: dict[str, object], tmp_path: Path
) -> None:
    with open_checkpoint(saved(tmp_path, lambda: content)) as checkpoint:
        assert checkpoint.wrapper == next(iter(content))
        assert len(checkpoint.tensors) == 2
        assert [row.nbytes >= 2000 for row in checkpoint.outside] == [True]


def test_a_number_beside_nested_tensors_of_one_model_goes_with_them(tmp_path: Path) -> None:
    content = {"model": {"layer": built.layer(2, 2), "scale": torch.tensor(2.0)}}
    with open_checkpoint(saved(tmp_path, lambda: content)) as checkpoint:
        assert list(checkpoint.tensors) == ["layer.weight", "layer.bias", "scale"]


def test_what_is_remembered_of_small_nests_is_nothing() -> None:
    assert not may_hold([[], [1, dict_node()], (None, "x")])
    assert not may_hold(dict_node(("k", [1.5])))
    assert may_hold([[[Call(Global("torch._utils", "_rebuild_tensor_v2"), ())]]])
    assert may_hold([[[0] * 100]])
    assert not may_hold("text")


@pytest.mark.parametrize("key", [b"w", ("w", 1), "w" * (MAX_KEY + 1)])
def test_a_nested_tensor_under_a_key_that_is_no_part_of_a_name_is_not_read_and_that_is_said(
    key: object, tmp_path: Path
) -> None:
    content = {"model": {"layer": {key: torch.ones(2), "v": torch.ones(1)}, "x": torch.ones(3)}}
    with open_checkpoint(saved(tmp_path, lambda: content)) as checkpoint:
        assert list(checkpoint.tensors) == ["layer.v", "x"]
        ((name, reason),) = checkpoint.unread
    assert name.startswith("layer.")
    assert reason == "its key cannot be part of a name"


NONE = {
    "a module without weights": (
        {"model": torch.nn.ReLU(), "epoch": 1},
        "a pickled module under 'model', of class torch.nn.modules.activation.ReLU, without",
    ),
    "a module alone": (torch.nn.ReLU(), "the file is a pickled module, of class torch.nn"),
    "a single tensor": (torch.ones(2), "a single tensor, not a state dict"),
    "a sparse one": (torch.eye(2).to_sparse(), r"a single tensor \(a sparse tensor\)"),
    "an empty dictionary": ({"model": {}, "epoch": 1}, "the dictionary under 'model' is empty"),
    "an optimizer": (built.optimizer(4, 8), "the state of an optimizer and no weights"),
    "an optimizer below a key": (
        {"optimizer": built.optimizer(4, 8), "epoch": 1},
        "the state of an optimizer and no weights",
    ),
    "a wrapped optimizer": (
        {"optimizer_state_dict": {"zero_stage": 3, "fp32_flat_groups": [torch.ones(9)]}},
        "the state of an optimizer and no weights",
    ),
    "storages": ({"w": torch.ones(2).untyped_storage()}, "the file holds only storages"),
    "tensors without a name": (
        {"records": [Record(torch.ones(2))]},
        r"no dictionary that can be looked into holds tensors by name; "
        r"there are some in records \(1 tensor\)",
    ),
    "keys that are no text": (
        {b"w": torch.ones(2), ("b", 1): torch.ones(2)},
        r"no dictionary that can be looked into holds tensors by name; "
        r"there are some in b'w' \(1 tensor\), "
        r"<tuple> \(1 tensor\)",
    ),
    "a tensor of a class of its own": (
        torch.ones(2).as_subclass(Own),
        r"a single tensor \(of class tests\..*\.Own\)",
    ),
    "arrays under keys that are no text": (
        {b"w": np.ones(2), ("b", 1): np.ones(2)},
        "there is no dictionary of tensors in the file",
    ),
    "an array in an object": (
        {"record": Record(np.ones(2))},
        "no dictionary in the file holds tensors by name",
    ),
    "scalars": (
        {"epoch": 1},
        "there is no dictionary of tensors in the file: it holds no tensor",
    ),
}


@pytest.mark.parametrize("array", [False, True], ids=["tensor", "array"])
def test_a_single_tensor_can_be_read_once_it_is_saved_as_the_fix_says(
    array: bool, tmp_path: Path
) -> None:
    path = str(tmp_path / "a.pth")
    torch.save(np.ones(2) if array else torch.ones(2), path)
    with pytest.raises(UnsupportedError, match="the file holds a single") as caught:
        open_checkpoint(path)
    assert "state_dict()" not in (caught.value.fix or "")
    names = {"torch": torch, "path": path, "tensor": torch.ones(2), "array": np.ones(2)}
    names["safetensors"] = safetensors
    exec((caught.value.fix or "").partition("name: ")[2].rstrip("."), names)  # noqa: S102
    with open_checkpoint(path) as checkpoint:
        assert list(checkpoint.tensors) == ["weight"]


@pytest.mark.parametrize("value", [np.array([{}]), torch.eye(2).to_sparse()])
def test_what_no_advice_helps_with_gets_none(value: object, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="not a state dict") as caught:
        open_checkpoint(saved(tmp_path, lambda: value))
    assert caught.value.fix == ""


@pytest.mark.parametrize(("content", "message"), NONE.values(), ids=NONE.keys())
def test_a_file_without_a_state_dict_is_told_by_what_is_in_it(
    content: object, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedError, match=message):
        open_checkpoint(saved(tmp_path, lambda: content))


@pytest.mark.parametrize(
    ("key", "averaged"),
    [
        *(
            ("model_ema", True),
            ("teacher", True),
            ("target_encoder", True),
            ("averagedModel", True),
        ),
        *(("schema", False), ("target", False), ("encoder", False), ("predictor", False)),
    ],
)
def test_the_average_of_a_model_is_told_by_its_key(key: str, averaged: bool) -> None:
    assert is_averaged(key) is averaged


def test_of_an_encoder_its_target_and_a_predictor_it_is_the_encoder(tmp_path: Path) -> None:
    sides = ("encoder", "predictor", "target_encoder")
    content = {**{side: built.net(4, 8, 4) for side in sides}, "opt": {"state": {}}, "epoch": 3}
    with open_checkpoint(saved(tmp_path, lambda: content)) as checkpoint:
        assert checkpoint.wrapper == "encoder"
        assert [row.key for row in checkpoint.outside if row.is_average] == ["target_encoder"]
