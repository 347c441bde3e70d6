"""Every tensor beside the state dict is found under its dotted key, whatever it lies in."""

from __future__ import annotations

import argparse
import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import pytest
import torch

from ckpttool import open_checkpoint
from ckpttool.conversion.documents import sidecar as make_sidecar
from ckpttool.formats.objects.beside import LONGEST_KEY, Beside, joined, steps, tensors_beside
from ckpttool.formats.pickles import parse
from ckpttool.formats.pickles.nodes import Call, Global, New, PersistentId
from ckpttool.tensors.gather import fill
from tests.builders import pickles as p
from tests.builders.checkpoints import with_attributes
from tests.builders.nodes import dict_node

if TYPE_CHECKING:
    from pathlib import Path

    from ckpttool.tensors.catalogue import TensorInfo

pytestmark = [
    pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*quantize:UserWarning"),
]


def found(folder: Path, beside: dict[str, Any], *, as_zip: bool = True) -> dict[str, Any]:
    """Name to values of the tensors beside a state dict of two tensors."""
    weights = {"w": torch.ones(2), "b": torch.zeros(2)}
    torch.save(
        {"model": weights, **beside}, folder / "a.pth", _use_new_zipfile_serialization=as_zip
    )
    with open_checkpoint(str(folder / "a.pth")) as checkpoint:
        return {info.name: values_of(info) for info in tensors_beside(checkpoint)}


def values_of(info: TensorInfo) -> Any:
    data = bytearray(info.nbytes)
    fill(info, 0, memoryview(data))
    return torch.frombuffer(data, dtype=getattr(torch, info.dtype.name)).tolist()


@pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "legacy"])
def test_tensors_lie_in_dictionaries_lists_tuples_and_objects(tmp_path: Path, as_zip: bool) -> None:
    one = torch.arange(3.0)
    beside = {
        "optimizer": {"state": {0: {"exp_avg": one, "step": torch.tensor(4.0)}}},
        "list": [1, (one + 1,)],
        "args": argparse.Namespace(mean=one + 2),
        "ordered": OrderedDict(x=one + 3),
        "alone": one + 4,
    }
    assert found(tmp_path, beside, as_zip=as_zip) == {
        "optimizer.state.0.exp_avg": [0.0, 1.0, 2.0],
        "optimizer.state.0.step": [4.0],
        "list.1.0": [1.0, 2.0, 3.0],
        "args.mean": [2.0, 3.0, 4.0],
        "ordered.x": [3.0, 4.0, 5.0],
        "alone": [4.0, 5.0, 6.0],
    }


def test_a_tensor_that_is_shared_comes_once_and_one_of_the_state_dict_too(tmp_path: Path) -> None:
    shared = {"x": torch.ones(1)}
    shared["self"] = shared  # type: ignore[assignment]
    assert found(tmp_path, {"a": shared, "b": [shared, shared]}) == {"a.x": [1.0]}


def test_storages_alone_and_those_of_what_is_not_read_lose_no_byte(tmp_path: Path) -> None:
    sparse = torch.eye(2).to_sparse()
    quantized = torch.quantize_per_tensor(torch.ones(2), 1.0, 0, torch.qint8)
    names = found(tmp_path, {"x": [sparse, quantized, torch.ones(2).untyped_storage()]})
    assert names["x.2"] == [0, 0, 128, 63, 0, 0, 128, 63]
    assert names["x.1.$args.0"] == [1, 1]
    assert {name: values for name, values in names.items() if name.startswith("x.0.")} == {
        "x.0.$args.1.0": [0, 1, 0, 1],
        "x.0.$args.1.1": [1.0, 1.0],
    }


def test_a_tensor_may_be_the_attribute_of_a_weight(tmp_path: Path) -> None:
    weight = with_attributes(torch.ones(2), scale=torch.zeros(1), group=3)
    torch.save({"model": {"w": weight, "b": torch.ones(2)}}, tmp_path / "a.pth")
    with open_checkpoint(str(tmp_path / "a.pth")) as checkpoint:
        assert [info.name for info in tensors_beside(checkpoint)] == ["model.w.$self.scale"]
        assert [row[:3] for row in checkpoint.outside] == [("model.w.$self", 1, 4)]
        (entry,) = sidecar(checkpoint)["entries"]
    assert entry == {
        "key": "model.w.$self",
        "value": {"scale": {"$left_out": "tensor"}, "group": 3},
    }


def test_what_lies_deep_in_an_attribute_is_in_the_sidecar(tmp_path: Path) -> None:
    deep: Any = "end"
    for _ in range(100):
        deep = [deep]
    weight = with_attributes(torch.ones(2), of=deep)
    torch.save({"w": weight, "b": torch.ones(2)}, tmp_path / "a.pth")
    with open_checkpoint(str(tmp_path / "a.pth")) as checkpoint:
        entries = sidecar(checkpoint)["entries"]
    assert len(entries) == 3
    assert '"end"' in json.dumps(entries)


def sidecar(checkpoint: Any) -> Any:
    return json.loads(make_sidecar(checkpoint, (), {})[1])


def shell_of(body: bytes) -> Call | None:
    """What a container around the state dict has besides its content."""
    node = parse(p.pickle(body)).root
    beside = Beside(tuple, fail, False, frames=lambda: [("k", node)])
    shells = list(beside.shells())
    assert [key for key, _ in shells] in ([], ["k.$self"])
    return shells[0][1] if shells else None


def fail(_: PersistentId) -> Any:
    raise AssertionError("no storage is looked for")


ORDERED, ENTRY = p.ordered_dict(), p.text("a") + b"K\x01s"


def test_a_plain_container_is_its_content_and_no_more() -> None:
    versions = p.dict_of((p.text("_metadata"), p.dict_of())) + b"b"
    for body in (p.dict_of((p.text("a"), b"N")), b"]", ORDERED + ENTRY, ORDERED + ENTRY + versions):
        assert shell_of(body) is None


def test_what_a_container_has_besides_its_content_is_kept() -> None:
    attributes = p.dict_of((p.text("_metadata"), b"N"), (p.text("mine"), b"K\x01")) + b"b"
    shell = shell_of(ORDERED + ENTRY + attributes)
    assert shell is not None
    assert (shell.args, shell.mapped) == ((), None)
    assert [list(state.pairs()) for state in shell.states or ()] == [
        [("_metadata", None), ("mine", 1)]
    ]
    factory = p.call(p.name("collections", "defaultdict"), p.name("builtins", "int")) + ENTRY
    shell = shell_of(factory)
    assert shell is not None
    assert [str(one) for one in shell.args] == ["builtins.int"]
    assert (shell.mapped, shell.states) == (None, None)


def test_a_file_without_a_pickle_has_none(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"w": torch.ones(1)}, str(tmp_path / "a.safetensors"))
    with open_checkpoint(str(tmp_path / "a.safetensors")) as checkpoint:
        assert list(tensors_beside(checkpoint)) == []


def test_names_are_unique_however_deep_or_alike(tmp_path: Path) -> None:
    deep: Any = torch.zeros(1)
    for number in range(300):
        deep = {"a level": deep, "here": torch.full((1,), float(number))}
    names = found(tmp_path, {"deep": deep, "a.b": {"c": deep}, "a": {1: deep, "1": torch.ones(1)}})
    assert len(names) == 302
    assert max(map(len, names)) < LONGEST_KEY + 20


def test_entries_beyond_those_that_are_listed_are_there_too(tmp_path: Path) -> None:
    names = found(tmp_path, {f"e{number}": {"t": torch.ones(1)} for number in range(1200)})
    assert len(names) == 1200


def test_every_part_of_an_object_has_a_step() -> None:
    node = New(Global("a", "B"), (1,), dict_node(("k", 2)))
    node.mapped = dict_node(("m", 3))
    node.appended = [4]
    node.states = [(dict_node(("attribute", 5)), dict_node(("slot", 6))), "other"]
    parts = [part for part, _ in steps(node)]
    assert parts == ["$args.0", "$keywords", "m", "$items.0", "attribute", "slot", "$state"]
    assert [part for part, _ in steps(Call(Call(Global("a", "f"), ()), ()))] == ["$function"]


def test_a_key_of_any_kind_is_a_part_of_a_dotted_key() -> None:
    several = dict_node((1, 0), ("1", 0), (None, 0), ((1, "a"), 0), (([],), 0), (b"x", 0))
    keys = [part for part, _ in steps(several) if not part.startswith("$key")]
    assert keys == ["1", '"1"', "None", "(1, a)", "<tuple>", "b'x'"]


def test_a_dotted_key_ends_somewhere() -> None:
    key = "k"
    for _ in range(10_000):
        key = joined(key, "part")
    assert len(key) < LONGEST_KEY
    assert key != joined(key, "part")
