"""A whole module gives the tensors of its ``state_dict()``, bit for bit, and runs no code."""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path
from typing import Callable

import pytest
import torch
from torch import nn

from ckpttool import open_checkpoint
from ckpttool.conversion.convert import convert
from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError, UnsupportedError
from ckpttool.findings.finding import Verdict
from ckpttool.formats.pickles.nodes import Dict
from ckpttool.formats.state_dicts.holding import MAX_DEPTH
from ckpttool.formats.state_dicts.modules import MAX_DEPTH as MAX_MODULE_DEPTH
from ckpttool.inspection.listing import inspect
from ckpttool.tensors.catalogue import Checkpoint
from tests.builders import modules as built
from tests.builders import pickles as p
from tests.builders import torch_files as tf
from tests.builders.commands import invoke
from tests.builders.honest_classes import Backend

# what torch warns of in classes without source, and in quantization, is not what is tested
pytestmark = pytest.mark.filterwarnings("ignore::")

#: Protocol and container: all that torch.save can write.
CONTAINERS = [(2, True), (2, False), (3, True), (4, True), (5, True), (5, False)]


def saved(content: object, path: Path, protocol: int = 2, zipped: bool = True) -> str:
    try:
        torch.save(content, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    except AttributeError as error:
        if "<locals>" not in str(error):
            raise
        pytest.skip("this torch cannot pickle its own module, which holds a local function")
    return str(path)


def assert_is_state_dict(checkpoint: Checkpoint, expected: dict[str, torch.Tensor]) -> None:
    assert list(checkpoint) == list(expected)
    for name, tensor in expected.items():
        read = checkpoint[name].torch()
        assert (read.dtype, read.shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(read, tensor.contiguous())


@pytest.mark.parametrize(("protocol", "zipped"), CONTAINERS)
@pytest.mark.parametrize("make", built.MODULES.values(), ids=built.MODULES.keys())
def test_a_whole_module_has_the_tensors_of_its_state_dict(
    make: Callable[[], nn.Module], protocol: int, zipped: bool, tmp_path: Path
) -> None:
    module = make()
    with open_checkpoint(saved(module, tmp_path / "a.pt", protocol, zipped)) as checkpoint:
        assert_is_state_dict(checkpoint, module.state_dict())
        assert checkpoint.wrapper is None
        assert checkpoint.unread == ()
        assert checkpoint.wrappers[0].module == f"{type(module).__module__}.{type(module).__name__}"


def test_a_parameter_is_persistent_whatever_the_names_of_buffers_are(tmp_path: Path) -> None:
    module = nn.Module()
    module.weight = nn.Parameter(torch.ones(2))
    module._non_persistent_buffers_set.add("weight")
    with open_checkpoint(saved(module, tmp_path / "m.pt")) as checkpoint:
        assert_is_state_dict(checkpoint, module.state_dict())


def test_of_a_module_of_old_torch_all_buffers_are_persistent(tmp_path: Path) -> None:
    module = built.of_old_torch()
    expected = built.small().state_dict()
    with open_checkpoint(saved(module, tmp_path / "a.pt")) as checkpoint:
        assert list(checkpoint) == list(expected)


@pytest.mark.parametrize("wrap", [built.release_of, built.training_of])
@pytest.mark.parametrize(("protocol", "zipped"), CONTAINERS)
def test_a_detector_is_read_without_its_classes(
    wrap: Callable[[nn.Module], dict[str, object]], protocol: int, zipped: bool, tmp_path: Path
) -> None:
    with built.detector() as model:
        expected = model.state_dict()
        path = saved(wrap(model), tmp_path / "best.pt", protocol, zipped)
    with pytest.raises(ModuleNotFoundError, match="ultralytics"):
        torch.load(path, weights_only=False)
    with open_checkpoint(path) as checkpoint:
        assert_is_state_dict(checkpoint, expected)
        assert checkpoint.wrapper == ("model" if wrap is built.release_of else "ema")
        assert checkpoint.wrappers[0].module == "ultralytics.nn.tasks.DetectionModel"
    assert "ultralytics" not in sys.modules


def test_a_whole_module_is_told_and_passes_with_a_warning(tmp_path: Path) -> None:
    with built.detector() as model:
        path = saved(built.release_of(model), tmp_path / "best.pt")
    file = inspect(path).file
    assert file.verdict is Verdict.PASS
    found = {one.rule: one for one in file.findings}
    assert set(found) == {rules.NEEDED_CLASS, rules.WHOLE_MODULE, rules.BEYOND_DEFAULT}
    told = found[rules.WHOLE_MODULE].message
    assert "'model' of class ultralytics.nn.tasks.DetectionModel" in told
    assert "weights_only=True) refuses" in told
    with pytest.raises(Exception, match=r"[Ww]eights"):
        torch.load(path, weights_only=True)


def test_a_state_dict_is_called_no_whole_module(tmp_path: Path) -> None:
    path = saved(built.small().state_dict(), tmp_path / "a.pt")
    listing = inspect(path)
    assert listing.wrappers[0].module is None
    assert listing.file.findings == ()


def test_convert_takes_the_weights_out_of_a_module_without_its_classes(tmp_path: Path) -> None:
    with built.detector() as model:
        expected = model.state_dict()
        path = saved(built.release_of(model), tmp_path / "best.pt")
    converted = convert(path, tmp_path / "best.safetensors", to="safetensors", sync=False)
    assert converted.file.verdict is Verdict.PASS
    with open_checkpoint(tmp_path / "best.safetensors") as checkpoint:
        assert sorted(checkpoint) == sorted(expected)
        assert all(torch.equal(checkpoint[name].torch(), expected[name]) for name in expected)


def test_every_command_works_on_the_tensors_of_a_whole_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with built.detector() as model:
        expected = model.state_dict()
        saved(built.release_of(model), tmp_path / "best.pt")
        saved(expected, tmp_path / "state.pt")
    for command, code in (
        ("inspect best.pt", 0),
        ("verify best.pt --schema state.pt --no-forward", 0),
        ("diff best.pt state.pt --weights-only", 0),
        ("schema best.pt -o best.schema", 0),
        ("verify state.pt --schema best.schema --no-forward", 0),
        ("lock best.pt -o w.lock --schema none --no-forward", 0),
        ("verify best.pt --lock w.lock --schema none --no-forward", 0),
        ("convert best.pt --to safetensors --sidecar best.json", 0),
        ("prove best.safetensors --from best.pt", 0),
        ("convert best.pt --to pth -o clean.pth", 0),
        ("inspect best.pt --wrapper model.model.0", 0),
        ("inspect best.pt --wrapper model.none", 2),
    ):
        done = invoke(*command.split())
        assert done.code == code, (command, done.out, done.err)
    assert torch.load("clean.pth", weights_only=True)["model"].keys() == expected.keys()
    assert "person" in (tmp_path / "best.json").read_text()


def test_a_layer_of_another_class_is_a_difference_beside_the_weights(tmp_path: Path) -> None:
    paths = [
        saved(nn.Sequential(nn.Linear(1, 1), act), tmp_path / f"{number}.pt")
        for number, act in enumerate((nn.ReLU(), nn.GELU()))
    ]
    torch.manual_seed(0)
    done = invoke("diff", *paths)
    assert done.code == 1
    assert "torch.nn.modules.activation.ReLU" in done.out
    assert "$attributes.1.$self" in done.out


class Net(nn.Module):
    """As a script defines it."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 2)


def test_a_module_of_a_script_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Net, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "Net", Net, raising=False)
    module = Net()
    path = saved(module, tmp_path / "a.pt")
    monkeypatch.delattr(sys.modules["__main__"], "Net")
    with pytest.raises(AttributeError, match="Net"):
        torch.load(path, weights_only=False)
    with open_checkpoint(path) as checkpoint:
        assert_is_state_dict(checkpoint, module.state_dict())
        assert checkpoint.wrappers[0].module == "__main__.Net"


def compiled_by(module: nn.Module) -> nn.Module:
    return torch.compile(module, backend="eager")  # type: ignore[return-value]


def test_a_compiled_module_has_the_names_of_its_state_dict(tmp_path: Path) -> None:
    module = compiled_by(built.small())
    with open_checkpoint(saved(module, tmp_path / "a.pt")) as checkpoint:
        assert_is_state_dict(checkpoint, module.state_dict())
        assert next(iter(checkpoint)).startswith("_orig_mod.")
        assert checkpoint.wrappers[0].module == ("torch.nn.modules.container.Sequential, compiled")


class Learner:
    """As libraries pickle a whole run: the model is an attribute."""

    def __init__(self) -> None:
        self.model, self.path, self.recorder = built.small(), "models", [0.5, 0.25]


def test_the_model_of_a_pickled_run_is_found(tmp_path: Path) -> None:
    learner = Learner()
    with open_checkpoint(saved(learner, tmp_path / "export.pkl")) as checkpoint:
        assert checkpoint.wrapper == "model"
        assert_is_state_dict(checkpoint, learner.model.state_dict())


def test_a_run_with_settings_of_its_own_class_is_read(tmp_path: Path) -> None:
    content = {
        "state_dict": built.small().state_dict(),
        "hyper_parameters": argparse.Namespace(lr=0.1, net=built.small()),
        "pytorch-lightning_version": "2.1.0",
    }
    with open_checkpoint(saved(content, tmp_path / "last.ckpt")) as checkpoint:
        assert checkpoint.wrapper == "state_dict"
        assert len(checkpoint) == len(built.small().state_dict())


def test_modules_side_by_side_are_state_dicts_of_their_own(tmp_path: Path) -> None:
    content = {"G": nn.Linear(2, 3), "D": nn.Linear(3, 1), "G_ema": nn.Linear(2, 3)}
    with open_checkpoint(saved(content, tmp_path / "a.pt")) as checkpoint:
        assert [one.key for one in checkpoint.wrappers] == ["G", "D", "G_ema"]
        assert {one.module for one in checkpoint.wrappers} == {"torch.nn.modules.linear.Linear"}
    with open_checkpoint(tmp_path / "a.pt", wrapper="D") as checkpoint:
        assert_is_state_dict(checkpoint, content["D"].state_dict())


def test_modules_that_make_up_one_model_are_read_as_one_and_told_each_once(tmp_path: Path) -> None:
    encoder, head = nn.Linear(2, 3), nn.Linear(3, 1)
    parts = {"encoder": encoder, "head": head, "again": encoder, "scale": {"by": torch.ones(2)}}
    path = saved({"model": parts}, tmp_path / "a.pt")
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.wrapper == "model"
        assert list(checkpoint) == [
            *(f"encoder.{name}" for name in encoder.state_dict()),
            *(f"head.{name}" for name in head.state_dict()),
            *(f"again.{name}" for name in encoder.state_dict()),
            "scale.by",
        ]
        (note,) = checkpoint.remarks
    linear = "torch.nn.modules.linear.Linear"
    told = f"2 whole modules were pickled, 'model.encoder' of class {linear}, 'model.head' of class"
    assert note.message.startswith(told)
    assert "their weights were read out of their attributes" in note.message


def test_modules_below_another_dictionary_have_its_key_in_their_names(tmp_path: Path) -> None:
    content = {"nets": {"encoder": nn.Linear(2, 3)}, "head": nn.Linear(3, 1)}
    with open_checkpoint(saved(content, tmp_path / "a.pt"), wrapper="") as checkpoint:
        assert list(checkpoint)[:2] == ["nets.encoder.weight", "nets.encoder.bias"]
        assert "'nets.encoder' of class" in checkpoint.remarks[0].message


def test_an_object_that_several_modules_refer_to_is_beside_them_once(tmp_path: Path) -> None:
    layers = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    settings = {"width": 1}
    for layer in layers:
        layer.__dict__["config"] = settings
    with open_checkpoint(saved(layers, tmp_path / "a.pt")) as checkpoint:
        (node,) = checkpoint.aside
        assert isinstance(node, Dict)
        names = node.flat[::2]
    assert [name for name in names if name.endswith("config")] == ["0.config"]
    assert {"0.in_features", "1.in_features"} <= set(names)


def test_a_part_of_a_module_is_taken_under_its_name(tmp_path: Path) -> None:
    module = nn.ModuleDict({"encoder": built.small(), "head": nn.Linear(2, 1)})
    with open_checkpoint(saved(module, tmp_path / "a.pt"), wrapper="encoder") as checkpoint:
        assert_is_state_dict(checkpoint, module["encoder"].state_dict())


def test_what_no_state_dict_lists_is_beside_it(tmp_path: Path) -> None:
    with open_checkpoint(saved(built.with_everything(), tmp_path / "a.pt")) as checkpoint:
        (row,) = checkpoint.outside
        assert (row.key, row.tensors) == ("$attributes", 2)
        (node,) = checkpoint.aside
        assert isinstance(node, Dict)
        beside = dict(node.pairs())
        assert {"stride", "mask", "act", "training", "heads.b.$self"} <= set(beside)
        # nothing that is empty, and the embedding under its first name alone
        assert not any("hook" in name or "_modules" in name for name in beside)
        assert "embedding.num_embeddings" in beside
        assert "again.num_embeddings" not in beside


def test_a_module_under_two_names_and_tied_tensors_are_listed_under_each(tmp_path: Path) -> None:
    with open_checkpoint(saved(built.with_everything(), tmp_path / "a.pt")) as checkpoint:
        names = ("embedding.weight", "head.weight", "again.weight")
        assert len({checkpoint[name].view for name in names}) == 1


def renamed(module: nn.Module, state: dict[str, object], *_: object) -> None:
    for name in list(state):
        state[f"x.{name}"] = state.pop(name)


def test_hooks_that_may_rename_are_told(tmp_path: Path) -> None:
    module = built.small()
    module._register_state_dict_hook(renamed)  # type: ignore[no-untyped-call]
    for content, told in ((module, True), (built.normed(), False)):
        (note,) = (
            one
            for one in inspect(saved(content, tmp_path / "a.pt")).file.findings
            if one.rule is rules.WHOLE_MODULE
        )
        assert ("1 hook of its state_dict() may rename" in note.message) is told


def test_the_backend_of_modules_of_old_torch_is_no_unknown_code(tmp_path: Path) -> None:
    module = built.of_old_torch()
    module.__dict__["_backend"] = Backend()
    path = saved(module, tmp_path / "a.pt")
    with open_checkpoint(path) as checkpoint:
        assert len(checkpoint) == len(built.small().state_dict())
    assert inspect(path).file.verdict is Verdict.PASS


def test_the_format_of_images_in_transformers_of_timm_is_no_unknown_code(tmp_path: Path) -> None:
    made = p.call(p.name("timm.layers.format", "Format"), p.text("NHWC"))
    told = [
        one.rule
        for one in inspect(opened(module(WEIGHT, p.text("f") + made), tmp_path)).file.findings
    ]
    assert rules.UNKNOWN_CALL not in told
    other = p.call(p.name("timm.layers.format", "Format"), p.call(p.name("mylib", "f")))
    file = inspect(opened(module(WEIGHT, p.text("f") + other), tmp_path)).file
    assert file.verdict is Verdict.FAIL


def test_an_attribute_that_is_a_function_of_source_is_unknown_code_and_the_weights_are_read(
    tmp_path: Path,
) -> None:
    # as dill and cloudpickle write a lambda: its code, and a call that makes a function of it
    code = p.call(p.name("dill._dill", "_create_code"), p.integer(1), p.text("x"))
    made = p.call(p.name("dill._dill", "_create_function"), code, b"}", p.text("<lambda>"))
    path = opened(module(WEIGHT, p.text("act") + made), tmp_path)
    with open_checkpoint(path) as checkpoint:
        assert list(checkpoint) == ["weight"]
    found = {one.rule for one in inspect(path).file.findings}
    assert rules.UNKNOWN_CALL in found
    assert rules.KNOWN_ATTACK not in found


# --- what cannot be told --------------------------------------------------------------------------


def quantized(*layers: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made: nn.Module = torch.ao.quantization.quantize_dynamic(  # type: ignore[no-untyped-call]
            nn.Sequential(*layers), {nn.Linear}
        )
        return made


def test_packed_weights_are_named_as_not_read(tmp_path: Path) -> None:
    module = quantized(nn.Linear(2, 2), nn.LayerNorm(2))
    with open_checkpoint(saved(module, tmp_path / "a.pt")) as checkpoint:
        assert list(checkpoint) == ["1.weight", "1.bias"]
        ((name, reason),) = checkpoint.unread
    assert name == "0._packed_params._packed_params"
    assert "torch.ScriptObject" in reason
    converted = convert(tmp_path / "a.pt", tmp_path / "b.safetensors", to="safetensors")
    assert converted.file.verdict is Verdict.FAIL
    assert not (tmp_path / "b.safetensors").exists()


def test_a_module_with_packed_weights_alone_says_where_they_are(tmp_path: Path) -> None:
    path = saved(quantized(nn.Linear(2, 2)), tmp_path / "a.pt")
    with pytest.raises(UnsupportedError, match=r"_packed_params is in an object of torch.Script"):
        open_checkpoint(path)


class Closed(nn.Module):
    """A module whose state is one of its own making."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(1, 1)

    def __getstate__(self) -> tuple[object, ...]:
        return 1, self.fc.weight, self.fc.bias

    def __setstate__(self, state: tuple[object, ...]) -> None:
        raise NotImplementedError


def test_a_module_with_a_state_of_its_own_is_named_as_not_read(tmp_path: Path) -> None:
    path = saved(nn.Sequential(nn.Linear(1, 1), Closed()), tmp_path / "a.pt")
    with open_checkpoint(path) as checkpoint:
        assert list(checkpoint) == ["0.weight", "0.bias"]
        assert [name for name, _ in checkpoint.unread] == ["1"]


def test_a_graph_module_alone_is_a_program(tmp_path: Path) -> None:
    graph = torch.fx.symbolic_trace(built.small())
    with pytest.raises(UnsupportedError, match=r"a program, a module of torch\.fx"):
        open_checkpoint(saved(graph, tmp_path / "a.pt"))


def test_a_graph_module_among_others_is_read_and_its_code_is_unknown(tmp_path: Path) -> None:
    module = nn.Sequential(torch.fx.symbolic_trace(built.small()), nn.Linear(1, 1))
    path = saved(module, tmp_path / "a.pt")
    with open_checkpoint(path) as checkpoint:
        assert_is_state_dict(checkpoint, module.state_dict())
    assert rules.UNKNOWN_CALL in {one.rule for one in inspect(path).file.findings}


# --- hostile ones ---------------------------------------------------------------------------------


def module(parameters: bytes, *more: bytes, modules: bytes = b"}", name: str = "Net") -> bytes:
    """The pickle of a module with such dictionaries; ``more`` are further pairs of its state."""
    state = (
        (p.text("_parameters"), parameters),
        (p.text("_buffers"), b"}"),
        (p.text("_modules"), modules),
    )
    return p.new(p.name("mylib", name)) + p.dict_of(*state)[:-1] + b"".join(more) + b"ub"


WEIGHT = p.dict_of((p.text("weight"), p.tensor()))


def opened(content: bytes, tmp_path: Path) -> str:
    path = tmp_path / "a.pt"
    path.write_bytes(tf.torch_zip(content))
    return str(path)


def test_the_modules_below_are_well_formed(tmp_path: Path) -> None:
    with open_checkpoint(opened(module(WEIGHT), tmp_path)) as checkpoint:
        assert list(checkpoint) == ["weight"]


@pytest.mark.parametrize(
    "attack",
    [
        p.text("x") + p.call(p.name("os", "system"), p.text("true")),
        p.text("x") + p.call(p.name("builtins", "eval"), p.text("1")),
        p.call(p.name("os", "system"), p.text("true")) + b"N",
    ],
    ids=["an attribute", "an expression", "a key"],
)
def test_a_call_in_the_state_of_a_module_fails_it(attack: bytes, tmp_path: Path) -> None:
    file = inspect(opened(module(WEIGHT, attack), tmp_path)).file
    assert file.verdict is Verdict.FAIL
    assert rules.KNOWN_ATTACK in {one.rule for one in file.findings}


def test_a_second_state_is_read_by_nobody(tmp_path: Path) -> None:
    second = p.dict_of((p.text("_parameters"), b"}")) + b"b"
    with pytest.raises(UnsupportedError, match="mylib"):
        open_checkpoint(opened(module(WEIGHT) + second, tmp_path))


def test_items_given_to_a_module_are_read_by_nobody(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"mylib|no dictionary"):
        open_checkpoint(opened(module(WEIGHT) + b"(K\x01K\x02u", tmp_path))


@pytest.mark.parametrize("twice", ["_parameters", "training"])
def test_an_attribute_that_is_there_twice_is_malformed(twice: str, tmp_path: Path) -> None:
    more = (p.text("training") + b"\x88", p.text(twice) + (b"}" if "_" in twice else b"\x89"))
    with pytest.raises(MalformedError, match="same name"):
        open_checkpoint(opened(module(WEIGHT, *more), tmp_path))


def test_a_parameter_with_the_name_of_another_one_is_refused(tmp_path: Path) -> None:
    inner = p.dict_of((p.text("a"), module(WEIGHT)))
    outer = p.dict_of((p.text("a.weight"), p.tensor()))
    with pytest.raises(UnsupportedError, match="same name"):
        open_checkpoint(opened(module(outer, modules=inner), tmp_path))


def test_a_module_under_a_number_is_no_part_of_the_state_dict_and_that_is_said(
    tmp_path: Path,
) -> None:
    other = module(p.dict_of((p.text("weight"), p.tensor(p.storage("1")))))
    content = module(WEIGHT, modules=p.dict_of((p.integer(1), other)))
    records = {"0": tf.FOUR_FLOATS, "1": tf.FOUR_FLOATS}
    (tmp_path / "a.pt").write_bytes(tf.torch_zip(content, storages=records))
    with open_checkpoint(tmp_path / "a.pt") as checkpoint:
        assert list(checkpoint) == ["weight"]
        assert [(row.key, row.tensors) for row in checkpoint.outside] == [("1", 1)]


@pytest.mark.parametrize("value", [b"K\x01", p.dict_of((p.text("y"), b"K\x01"))])
def test_what_is_no_tensor_among_the_parameters_is_beside_the_state_dict(
    value: bytes, tmp_path: Path
) -> None:
    parameters = p.dict_of((p.text("weight"), p.tensor()), (p.text("x"), value))
    with open_checkpoint(opened(module(parameters), tmp_path)) as checkpoint:
        assert list(checkpoint) == ["weight"]
        (node,) = checkpoint.aside
        assert isinstance(node, Dict)
        assert node.flat[::2] == ["x"]


def chain(depth: int) -> bytes:
    """Modules in modules, the innermost with a tensor."""
    before, after = b"", b""
    empty = module(b"}", modules=b"<below>")
    start, end = empty.split(b"<below>")
    for _ in range(depth):
        before, after = before + start + b"}(" + p.text("m"), b"u" + end + after
    return before + module(WEIGHT) + after


def test_modules_are_nested_as_deep_as_no_network_is(tmp_path: Path) -> None:
    assert MAX_MODULE_DEPTH > MAX_DEPTH
    with open_checkpoint(opened(chain(MAX_MODULE_DEPTH - 1), tmp_path)) as checkpoint:
        assert list(checkpoint) == ["m." * (MAX_MODULE_DEPTH - 1) + "weight"]
    with pytest.raises(MalformedError, match="nested deeper") as caught:
        open_checkpoint(opened(chain(MAX_MODULE_DEPTH), tmp_path))
    assert caught.value.rule is rules.LIMIT


def test_a_module_that_contains_itself_is_listed_once(tmp_path: Path) -> None:
    content = (
        p.new(p.name("mylib", "Net"))
        + p.put(1)
        + p.dict_of(
            (p.text("_parameters"), WEIGHT),
            (p.text("_buffers"), b"}"),
            (p.text("_modules"), p.dict_of((p.text("me"), p.get(1)))),
        )
        + b"b"
    )
    with open_checkpoint(opened(content, tmp_path)) as checkpoint:
        assert list(checkpoint) == ["weight"]


def test_modules_that_are_shared_at_every_level_are_refused_quickly(tmp_path: Path) -> None:
    content = module(WEIGHT) + p.put(0) + b"0"
    for level in range(40):
        below = p.dict_of((p.text("a"), p.get(level)), (p.text("b"), p.get(level)))
        content += module(b"}", modules=below) + p.put(level + 1) + b"0"
    with pytest.raises(MalformedError, match="shared too often"):
        open_checkpoint(opened(content + p.get(40), tmp_path))


def test_a_long_name_at_every_level_is_refused_quickly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ckpttool.formats.state_dicts.modules.MAX_NAMES", 10_000)
    content = module(WEIGHT)
    for _ in range(100):
        content = module(b"}", modules=p.dict_of((p.text("m" * 150), content)))
    with pytest.raises(MalformedError, match="too long names") as caught:
        open_checkpoint(opened(content, tmp_path))
    assert caught.value.rule is rules.LIMIT
