"""What each way to spell a call comes to: data, a class that is needed, a call, an attack."""

from __future__ import annotations

from typing import Callable

import pytest

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.findings.uses import NameUse, Use
from ckpttool.formats.safety import judge
from ckpttool.formats.safety.watch import Watch
from tests.builders import pickles as p

BUILD, EMPTY = b"b", b"}"


def uses_of(*bodies: bytes) -> list[tuple[str, str]]:
    """The uses of names in a pickle of these values, in order."""
    return [(use.use.value, use.name) for use in seen(*bodies)]


def seen(*bodies: bytes) -> tuple[NameUse, ...]:
    with Watch() as watch:
        watch.parse(p.PROTO4 + p.tuple_of(*bodies) + p.STOP)
    return watch.uses


def attributes(*names: str) -> bytes:
    return p.dict_of(*((p.text(name), b"N") for name in names))


OWN = p.name("m", "C")
OBJECT = p.new(OWN)
FACTORY = p.call(p.name("m", "f"))
NAMESPACE = p.call(p.name("argparse", "Namespace"))
PARTIAL = p.call(p.name("functools", "partial"), OWN)
GETATTR = p.name("builtins", "getattr")

ITERATOR = p.call(p.name("itertools", "accumulate"), b"]", p.name("m", "f"))

DATA = {
    "an ordered dictionary": p.ordered_dict(),
    "a namespace with attributes": NAMESPACE + attributes("a") + BUILD,
    "a path": p.call(p.name("pathlib", "PosixPath"), p.text("a"), p.text("b")),
    "a set of Python 2": p.call(p.name("__builtin__", "set"), p.list_of(b"K\x01")),
    "bytes of Python 2": p.call(p.name("_codecs", "encode"), p.text("x"), p.text("latin1")),
    "a member of a flag": p.call(p.name("re", "RegexFlag"), b"K\x02"),
    "a class made without arguments": p.new(p.name("uuid", "UUID")) + attributes("int") + BUILD,
    "an instance by copyreg": p.call(
        p.name("copy_reg", "_reconstructor"),
        p.name("argparse", "Namespace"),
        p.name("__builtin__", "object"),
        b"N",
    ),
    "an attribute of data": p.call(GETATTR, EMPTY, p.text("get")),
    "the type of None": p.call(p.name("builtins", "type"), b"N"),
    "an alias": p.call(
        p.name("_operator", "getitem"), p.name("typing", "List"), p.name("builtins", "int")
    ),
    "a union of types": p.call(
        p.name("functools", "reduce"),
        p.name("_operator", "or_"),
        p.tuple_of(p.name("builtins", "int"), p.name("builtins", "str")),
    ),
    "a union with None": p.call(
        p.name("functools", "reduce"),
        p.name("_operator", "or_"),
        p.tuple_of(p.name("builtins", "int"), b"N", p.call(p.name("builtins", "type"), b"N")),
    ),
    "a numpy function by name": p.call(
        p.name("numpy.core", "_ufunc_reconstruct"), p.text("numpy"), p.text("sin")
    ),
    "a deque with items": p.call(p.name("collections", "deque")) + b"(K\x01e",
    "a type that is named": p.name("numpy", "float32"),
    "a memory format by any module": p.text("m") + p.text("torch.channels_last") + b"\x93",
}


@pytest.mark.parametrize("body", DATA.values(), ids=DATA.keys())
def test_a_constructor_of_data_is_not_worth_a_word(body: bytes) -> None:
    assert uses_of(body) == []


CLASSES = {
    "NEWOBJ": OBJECT,
    "with attributes": OBJECT + attributes("a", "b") + BUILD,
    "with no state": OBJECT + b"N" + BUILD,
    "a dictionary with items": OBJECT + b"K\x01K\x02s" + attributes("a") + BUILD,
    "a list with items": OBJECT + b"(K\x01e",
    "copyreg._reconstructor": p.call(
        p.name("copyreg", "_reconstructor"), OWN, p.name("builtins", "dict"), EMPTY
    ),
    "copyreg.__newobj__": p.call(p.name("copyreg", "__newobj__"), OWN),
    "copyreg.__newobj_ex__": p.call(p.name("copyreg", "__newobj_ex__"), OWN, b")", EMPTY),
    "NEWOBJ_EX without any": OWN + b")}\x92",
    "NEWOBJ_EX as protocol 3 writes it": p.call(
        p.call(p.name("functools", "partial"), p.call(GETATTR, OWN, p.text("__new__")))
        + p.tuple_of(p.call(GETATTR, OWN, p.text("__new__")), p.tuple_of(OWN), EMPTY, b"N")
        + BUILD
    ),
}


@pytest.mark.parametrize("body", CLASSES.values(), ids=CLASSES.keys())
def test_an_unknown_class_made_without_arguments_is_needed(body: bytes) -> None:
    assert uses_of(body) == [("class", "m.C")]


CALLS = {
    "REDUCE": p.call(OWN, b"K\x01"),
    "REDUCE without arguments": p.call(OWN),
    "OBJ": b"(" + OWN + b"o",
    "INST": b"(im\nC\n",
    "NEWOBJ with arguments": p.new(OWN, b"K\x01"),
    "copyreg.__newobj_ex__ with arguments": p.call(
        p.name("copyreg", "__newobj_ex__"), OWN, p.tuple_of(b"K\x01"), EMPTY
    ),
    "NEWOBJ_EX with keywords": OWN + b")" + attributes("a") + b"\x92",
    "a second BUILD": OBJECT + (attributes("a") + BUILD) * 2,
    "items after BUILD": OBJECT + attributes("extend") + BUILD + b"(K\x01e",
    "added items after BUILD": OBJECT + attributes("add") + BUILD + b"(K\x01\x90",
    "set items after BUILD": OBJECT + attributes("a") + BUILD + b"K\x01K\x02s",
    "a state that is a tuple": OBJECT + p.tuple_of(b"K\x01") + BUILD,
    "slots": OBJECT + p.tuple_of(b"N", attributes("a")) + BUILD,
    "a state with a number for a key": OBJECT + p.dict_of((b"K\x01", b"N")) + BUILD,
    "another class among the attributes": OBJECT + attributes("__class__") + BUILD,
}


@pytest.mark.parametrize("body", CALLS.values(), ids=CALLS.keys())
def test_any_other_call_of_an_unknown_name_is_one(body: bytes) -> None:
    assert uses_of(body) == [("call", "m.C")]


def partial_of(*state: bytes) -> bytes:
    return p.call(p.name("functools", "partial"), OWN) + p.tuple_of(*state) + BUILD


ABUSED = {
    "an instance to iterate over": (p.call(p.name("builtins", "list"), OBJECT), "builtins.list"),
    "attributes that hide a method": (
        p.call(p.name("builtins", "str"), NAMESPACE + attributes("a") + BUILD),
        "builtins.str",
    ),
    "an iterator in the pairs of a dictionary": (
        p.call(
            p.name("builtins", "dict"),
            p.list_of(p.call(p.name("itertools", "accumulate"), b"]", p.name("m", "f"))),
        ),
        "builtins.dict",
    ),
    "an iterator that is run at once": (
        p.call(
            p.name("itertools", "product"),
            p.call(p.name("itertools", "accumulate"), b"]", p.name("m", "f")),
        ),
        "itertools.product",
    ),
    "an iterator for a state": (
        p.call(p.name("random", "Random"))
        + p.tuple_of(
            b"K\x02", p.call(p.name("itertools", "accumulate"), b"]", p.name("m", "f")), b"N"
        )
        + BUILD,
        "random.Random",
    ),
    "an iterator that an exception reads": (
        p.call(p.name("builtins", "SyntaxError"), p.text("m"), ITERATOR),
        "builtins.SyntaxError",
    ),
    "an iterator behind a function that gives it back": (
        p.call(p.name("torch.jit._pickle", "restore_type_tag"), ITERATOR, p.text("t")),
        "torch.jit._pickle.restore_type_tag",
    ),
    "an iterator in a tuple that a call gives": (
        p.call(
            p.name("builtins", "dict"),
            p.call(p.name("builtins", "tuple"), p.list_of(ITERATOR)),
        ),
        "builtins.dict",
    ),
    "an iterator appended to what a call gives": (
        p.call(
            p.name("builtins", "dict"), p.call(p.name("builtins", "list")) + b"(" + ITERATOR + b"e"
        ),
        "builtins.dict",
    ),
    "attributes that hide a method, in a list": (
        p.call(p.name("builtins", "str"), p.list_of(NAMESPACE + attributes("a") + BUILD)),
        "builtins.str",
    ),
    "an attribute that numpy looks up": (
        p.call(p.name("types", "SimpleNamespace")) + attributes("__array__") + BUILD,
        "types.SimpleNamespace",
    ),
    "an iterator for the fill value of a masked array": (
        p.call(
            p.name("numpy.ma.core", "_mareconstruct"),
            p.name("numpy.ma.core", "MaskedArray"),
            p.name("numpy", "ndarray"),
            b"K\x00\x85",
            p.text("b"),
        )
        + p.tuple_of(ITERATOR)
        + BUILD,
        "numpy.ma.core._mareconstruct",
    ),
    "an iterator for the arguments of a partial": (
        PARTIAL + p.tuple_of(OWN, ITERATOR, b"}", b"N") + BUILD,
        "functools.partial",
    ),
    "a builtin below typing": (
        p.call(p.name("_operator", "getitem"), p.name("typing", "__builtins__"), p.text("eval")),
        "_operator.getitem",
    ),
    "numpy's random generator by a function": (
        p.call(p.name("numpy.random._pickle", "__generator_ctor"), p.text("x"), p.name("m", "f")),
        "numpy.random._pickle.__generator_ctor",
    ),
    "an array of a class of somebody's": (
        p.call(p.name("numpy.core.multiarray", "_reconstruct"), OWN, b"K\x00\x85", p.text("b")),
        "numpy.core.multiarray._reconstruct",
    ),
    "another codec": (
        p.call(p.name("_codecs", "encode"), p.text("x"), p.text("rot13")),
        "_codecs.encode",
    ),
    "a codec of no text": (
        p.call(p.name("_codecs", "encode"), b"]", p.text("latin1")),
        "_codecs.encode",
    ),
    "an attribute by a number": (p.call(GETATTR, EMPTY, b"K\x01"), "builtins.getattr"),
    "an attribute of an attribute": (p.call(GETATTR, OWN, p.text("a.b")), "builtins.getattr"),
    "attributes of a bound method": (
        p.call(GETATTR, EMPTY, p.text("get")) + attributes("a") + BUILD,
        "builtins.getattr",
    ),
    "a class by copyreg without a state": (
        p.call(p.name("copyreg", "_reconstructor"), OWN, p.name("builtins", "object")),
        "copyreg._reconstructor",
    ),
    "an alternative that is no type": (
        p.call(
            p.name("functools", "reduce"),
            p.name("_operator", "or_"),
            p.tuple_of(p.name("builtins", "int"), p.text("x")),
        ),
        "functools.reduce",
    ),
    "a tensor of a class without its size": (
        p.call(p.name("torch._utils", "_rebuild_wrapper_subclass"), OWN, b"N"),
        "torch._utils._rebuild_wrapper_subclass",
    ),
    "a codec that is no text": (
        p.call(p.name("_codecs", "encode"), p.text("x"), b"]"),
        "_codecs.encode",
    ),
    "a base that is no plain type": (
        p.call(p.name("copyreg", "_reconstructor"), OWN, p.name("m", "Base"), b"N"),
        "copyreg._reconstructor",
    ),
    "a function of another package by name": (
        p.call(p.name("numpy.core", "_ufunc_reconstruct"), p.text("m"), p.text("f")),
        "numpy.core._ufunc_reconstruct",
    ),
    "a class that three arguments make": (
        p.call(p.name("builtins", "type"), p.text("C"), b")", EMPTY),
        "builtins.type",
    ),
    "reduce with another function": (
        p.call(p.name("functools", "reduce"), p.name("m", "f"), p.tuple_of(OWN)),
        "functools.reduce",
    ),
    "a subscript of a class of somebody's": (
        p.call(p.name("_operator", "getitem"), OWN, b"K\x01"),
        "_operator.getitem",
    ),
    "a state after items": (
        p.ordered_dict() + attributes("a") + BUILD + b"K\x01K\x02s",
        "collections.OrderedDict",
    ),
    "items where a constructor takes none": (
        p.call(p.name("pathlib", "PosixPath")) + b"(K\x01e",
        "pathlib.PosixPath",
    ),
    "a partial that is called": (p.call(PARTIAL), "m.C"),
    "a called partial of three parts": (partial_of(OWN, b")", EMPTY) + b")R", "functools.partial"),
    "a called partial with attributes": (
        partial_of(p.name("builtins", "dict"), b")", EMPTY, attributes("a")) + b")R",
        "m.C",
    ),
    "a called partial of __new__ of another class": (
        partial_of(p.name("m", "Other.__new__"), p.tuple_of(OWN), EMPTY, b"N") + b")R",
        "m.C",
    ),
    "a bound method that is called": (
        p.call(p.call(GETATTR, EMPTY, p.text("get"))),
        "builtins.getattr",
    ),
}


@pytest.mark.parametrize(("body", "name"), ABUSED.values(), ids=ABUSED.keys())
def test_a_constructor_that_may_run_code_with_what_it_is_given_is_a_call(
    body: bytes, name: str
) -> None:
    assert ("call", name) in uses_of(body)


def test_a_list_that_is_filled_later_is_looked_at_again() -> None:
    accumulate = p.call(p.name("itertools", "accumulate"), b"]", p.name("m", "f"))
    shared = b"]" + p.put(0)
    filled = p.get(0) + accumulate + b"a"
    first = p.call(p.name("builtins", "list"), p.get(0))
    second = p.call(p.name("builtins", "dict"), p.get(0))
    assert ("call", "builtins.dict") in uses_of(PARTIAL, shared, first, filled, second)


def test_torch_calls_what_a_rebuild_function_is_given() -> None:
    rebuild = p.name("torch._tensor", "_rebuild_from_type_v2")
    tensor = p.name("torch", "Tensor")
    assert uses_of(p.call(rebuild, p.name("m", "f"), tensor, b")", b"N")) == [("call", "m.f")]
    made = p.call(rebuild, p.name("torch", "Tensor"), p.name("m", "C"), b")", attributes("a"))
    assert uses_of(made) == [("class", "m.C")]
    changed = p.call(rebuild, tensor, p.name("m", "C"), b")", attributes("__class__"))
    assert uses_of(changed) == [("call", "m.C")]


def test_calls_that_stand_for_others_are_followed_to_a_depth() -> None:
    rebuild, tensor = p.name("torch._tensor", "_rebuild_from_type_v2"), p.name("torch", "Tensor")
    args = b")"
    for _ in range(5_000):
        args = p.tuple_of(rebuild, tensor, args, b"}")
    uses = uses_of(p.call(p.name("os", "system"), p.text("x")), rebuild + args + b"R")
    assert uses == [("attack", "os.system"), ("call", "torch._tensor._rebuild_from_type_v2")]


def test_many_attributes_do_not_hide_one() -> None:
    padding = [(p.text(f"a{number}"), b"N") for number in range(5_000)]
    state = p.dict_of(*padding, (p.text("close"), p.name("os", "system")))
    assert ("attack", "os.system") in uses_of(OBJECT + state + BUILD)


def test_a_module_that_a_call_imports_may_act() -> None:
    walk = p.call(
        p.name("numpy.core", "_ufunc_reconstruct"), p.text("numpy.f2py.__main__"), p.text("x")
    )
    assert uses_of(walk) == [("call", "numpy.f2py.__main__.x")]


def test_what_a_result_does_is_told_once() -> None:
    parameter = p.call(p.name("torch._utils", "_rebuild_parameter"), FACTORY, b"\x89", b"N")
    assert uses_of(parameter) == [("call", "m.f")]


ATTACKS = {
    "by its name": (p.call(p.name("os", "system"), p.text("x")), "os.system"),
    "by its name of Python 2": (
        p.call(p.name("__builtin__", "eval"), p.text("x")),
        "builtins.eval",
    ),
    "by a walk": (
        p.text("torch")
        + p.text("serialization.os.system")
        + b"\x93"
        + p.tuple_of(p.text("x"))
        + b"R",
        "torch.serialization.os.system",
    ),
    "by getattr": (
        p.call(p.call(GETATTR, p.name("torch", "os"), p.text("system")), p.text("x")),
        "torch.os.system",
    ),
    "by a partial": (
        p.call(p.call(p.name("functools", "partial"), p.name("os", "system")), p.text("x")),
        "os.system",
    ),
    "by an argument": (p.call(p.name("m", "apply"), p.name("os", "system")), "os.system"),
    "by an attribute": (
        OBJECT + p.dict_of((p.text("close"), p.name("os", "system"))) + BUILD,
        "os.system",
    ),
}


@pytest.mark.parametrize(("body", "name"), ATTACKS.values(), ids=ATTACKS.keys())
def test_what_runs_commands_is_an_attack(body: bytes, name: str) -> None:
    assert ("attack", name) in uses_of(body)


def test_what_honest_objects_load_with_is_none() -> None:
    loader = OBJECT + p.dict_of((p.text("loader"), p.name("torch", "load"))) + BUILD
    assert uses_of(loader) == [("class", "m.C"), ("named", "torch.load")]


def test_a_name_that_is_never_called_is_named_whatever_it_is() -> None:
    assert uses_of(p.name("os", "system"), p.name("m", "f")) == [
        ("named", "os.system"),
        ("named", "m.f"),
    ]


@pytest.mark.parametrize(
    ("module", "use"), [("antigravity", "attack"), ("mypackage.__main__", "call")]
)
def test_a_module_that_acts_when_it_is_imported_is_no_mere_name(module: str, use: str) -> None:
    assert uses_of(p.name(module, "x")) == [(use, f"{module}.x")]


STATE = attributes("a") + BUILD


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("tempfile", "_TemporaryFileCloser"),
        ("zipfile", "ZipExtFile"),
        ("encodings.rot_13", "StreamReader"),
        ("torch.utils.data.datapipes.datapipe", "_IterDataPipeSerializationWrapper"),
        ("numpy.lib.npyio", "DataSource"),
        ("fsspec.caching", "MMapCache"),
        ("torch", "serialization.Net"),
    ],
)
def test_a_class_whose_instances_run_code_is_called(module: str, name: str) -> None:
    body = p.text(module) + p.text(name) + b"\x93)\x81" + STATE
    assert [use for use, _ in uses_of(body)] in (["call"], ["attack"])


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("string", "Template"),
        ("torch.nn.modules.linear", "Linear"),
        ("networkx.classes.graph", "Graph"),
        ("mypackage.code", "Popen"),
        ("code.models", "Net"),
        ("mypackage", "Outer.Inner"),
    ],
)
def test_a_class_of_anybody_else_is_needed(module: str, name: str) -> None:
    body = p.text(module) + p.text(name) + b"\x93)\x81" + STATE
    assert uses_of(body) == [("class", f"{module}.{name}")]


def test_an_error_that_was_caught_is_data_and_others_of_its_module_are_no_attack() -> None:
    error = p.call(p.name("subprocess", "CalledProcessError"), b"K\x01", p.text("ls"))
    assert uses_of(error) == []
    error = p.call(p.name("subprocess", "SubprocessError"), p.text("ls"))
    assert uses_of(error) == [("call", "subprocess.SubprocessError")]


GIVEN = NAMESPACE + p.dict_of((p.text("_get_args"), PARTIAL)) + BUILD
LOADS = p.name("pickle", "loads")
MESH = p.new(p.name("torch.distributed.device_mesh", "DeviceMesh"))


@pytest.mark.parametrize(
    ("module", "name"),
    [("builtins", "ValueError"), ("builtins", "slice"), ("itertools", "repeat")],
)
def test_what_stores_a_value_is_data_until_it_is_asked_for_it(module: str, name: str) -> None:
    stored = p.call(p.name(module, name), GIVEN)
    assert uses_of(stored) == [("named", "m.C")]
    text = p.name("builtins", "str")
    assert ("call", "builtins.str") in uses_of(p.call(text, stored))
    assert uses_of(p.call(text, p.call(p.name(module, name), b"K\x01"))) == []


def test_what_bytes_gave_is_asked_for_items_only_if_all_in_them_is_data() -> None:
    items = p.name("builtins", "list")
    quiet = p.call(LOADS, p.bytes_of(p.pickle(b"]")))
    assert uses_of(p.call(items, quiet)) == []
    acting = p.call(LOADS, p.bytes_of(p.pickle(ITERATOR)))
    assert uses_of(acting) == [("named", "m.f")]
    assert ("call", "builtins.list") in uses_of(p.call(items, acting))


def test_a_reader_of_pickles_that_is_handed_over_is_told() -> None:
    partial = p.name("functools", "partial")
    data = p.bytes_of(p.pickle(p.call(p.name("os", "system"), p.text("x"))))
    assert uses_of(p.call(partial, LOADS, data)) == [
        ("attack", "os.system"),
        ("attack", "pickle.loads"),
    ]
    keyword = p.dict_of((p.text("b"), data))
    reader = p.name("torch.storage", "_load_from_bytes")
    state = p.tuple_of(reader, b")", keyword, b"N") + BUILD
    assert ("call", "functools.partial") in uses_of(p.call(partial, reader) + state)
    assert uses_of(LOADS) == [("named", "pickle.loads")]
    assert uses_of(p.call(partial, LOADS)) == [("named", "pickle.loads")]
    told = uses_of(p.call(partial, LOADS) + p.tuple_of(LOADS, b")", EMPTY, b"N") + BUILD + b")R")
    assert ("attack", "pickle.loads") in told
    assert uses_of(p.call(partial, p.name("m", "loads"), data)) == [("named", "m.loads")]


def test_a_partial_is_called_with_the_state_it_had() -> None:
    state = p.tuple_of(p.name("builtins", "dict"), b")", EMPTY, b"N") + BUILD
    made = p.call(p.name("functools", "partial"), p.name("builtins", "dict"))
    assert uses_of(made + state + b")R") == []
    later = made + p.put(7) + b")R0" + p.get(7) + state
    assert ("call", "functools.partial") in uses_of(later)


def test_a_base_takes_items_as_they_are_from_its_own_kind_only() -> None:
    made = [p.name("copyreg", "_reconstructor"), p.name("m", "C"), p.name("builtins", "dict")]
    assert uses_of(p.call(*made, p.dict_of((p.text("a"), ITERATOR)))) == [
        ("class", "m.C"),
        ("named", "m.f"),
    ]
    told = uses_of(p.call(*made, p.list_of(ITERATOR)))
    assert ("call", "copyreg._reconstructor") in told
    assert uses_of(p.call(*made, p.list_of(p.tuple_of(p.text("a"), b"N")))) == [("class", "m.C")]


def test_torch_asks_what_a_rebuild_function_gave_to_be_another_class() -> None:
    rebuild = p.name("torch._tensor", "_rebuild_from_type_v2")
    tensor = p.name("torch", "Tensor")
    size = p.call(rebuild, p.name("torch", "Size"), tensor, b")", b"N")
    assert uses_of(size) == [("call", "torch._tensor._rebuild_from_type_v2")]
    assert uses_of(p.call(rebuild, tensor, tensor, b")", b"N")) == []


def test_a_method_of_a_mesh_may_call_what_lies_in_it() -> None:
    assert uses_of(MESH + attributes("mesh_dim_names") + BUILD) == []
    acting = MESH + p.dict_of((p.text("_hash_key"), PARTIAL)) + BUILD
    assert uses_of(acting) == [
        ("call", "torch.distributed.device_mesh.DeviceMesh"),
        ("named", "m.C"),
    ]


@pytest.mark.parametrize("place", range(3))
def test_the_parts_of_a_persistent_id_are_compared_and_put_into_text(place: int) -> None:
    parts = [p.text("storage"), p.name("torch", "FloatStorage"), p.text("0")]
    assert uses_of(p.tuple_of(*parts) + b"Q", GIVEN) == [("named", "m.C")]
    parts[place] = GIVEN
    assert ("call", "argparse.Namespace") in uses_of(p.tuple_of(*parts) + b"Q")
    parts[place] = p.list_of(b"N", GIVEN)
    assert ("call", "argparse.Namespace") in uses_of(p.tuple_of(*parts) + b"Q")


def test_a_persistent_id_that_is_too_large_to_look_at_may_act(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(judge, "_LARGEST", 100)
    padded = p.tuple_of(p.text("storage"), p.list_of(*[b"N"] * 200, GIVEN)) + b"Q"
    assert ("call", judge.NAMELESS) in uses_of(padded)
    assert uses_of(p.tuple_of(p.text("storage"), p.list_of(*[b"N"] * 200)) + b"Q") == []


ARRAY = p.call(
    p.name("numpy.core.multiarray", "_reconstruct"),
    p.name("numpy", "ndarray"),
    p.tuple_of(b"K\x00"),
    p.bytes_of(b"b"),
)
OBJECTS = p.call(p.name("numpy", "dtype"), p.text("O8"), b"\x89", b"\x88")
PAIRS = p.call(p.name("numpy", "dtype"), p.list_of(p.tuple_of(p.text("a"), p.text("?"))))


def array_of(dtype: bytes, *items: bytes) -> bytes:
    shape = p.tuple_of(p.integer(len(items)))
    return ARRAY + p.tuple_of(b"K\x01", shape, dtype, b"\x89", p.list_of(*items)) + BUILD


FILLED = {
    "an array": lambda item: array_of(OBJECTS, item),
    "a deque": lambda item: p.call(p.name("collections", "deque")) + item + b"a",
    "a deque in a deque": lambda item: p.call(
        p.name("collections", "deque"),
        p.list_of(p.call(p.name("collections", "deque"), p.list_of(item))),
    ),
    "an alias": lambda item: p.call(
        p.name("operator", "getitem"), p.name("builtins", "dict"), item
    ),
}


@pytest.mark.parametrize("filled", FILLED.values(), ids=FILLED.keys())
def test_what_was_filled_is_asked_for_its_text_only_if_all_in_it_is_data(
    filled: Callable[[bytes], bytes],
) -> None:
    text = p.name("builtins", "str")
    assert uses_of(filled(GIVEN)) == [("named", "m.C")]
    assert ("call", "builtins.str") in uses_of(p.call(text, filled(GIVEN)))
    assert uses_of(p.call(text, filled(b"K\x01"))) == []


def test_an_array_of_another_type_than_objects_converts_its_items() -> None:
    assert uses_of(array_of(OBJECTS, p.tuple_of(GIVEN))) == [("named", "m.C")]
    told = uses_of(array_of(PAIRS, p.tuple_of(GIVEN)))
    assert ("call", "numpy.core.multiarray._reconstruct") in told
    assert uses_of(array_of(PAIRS, p.tuple_of(b"K\x01"))) == []
    told = uses_of(array_of(p.text("O8"), GIVEN))
    assert ("call", "numpy.core.multiarray._reconstruct") in told


def test_slots_hold_data() -> None:
    address = p.new(p.name("ipaddress", "IPv4Address"))
    number = p.dict_of((p.text("_ip"), b"K\x01"))
    assert uses_of(address + p.tuple_of(b"N", number) + BUILD) == []
    acting = p.dict_of((p.text("_ip"), GIVEN))
    assert uses_of(address + p.tuple_of(b"N", acting) + BUILD) == [
        ("call", "ipaddress.IPv4Address"),
        ("named", "m.C"),
    ]


def test_a_state_that_is_a_dictionary_is_looked_into() -> None:
    made = p.call(p.name("numpy.random._pickle", "__bit_generator_ctor"), p.text("SFC64"))
    assert uses_of(made + p.dict_of((p.text("state"), p.list_of(b"K\x01"))) + BUILD) == []
    acting = p.dict_of((p.text("state"), p.list_of(GIVEN)))
    told = uses_of(made + acting + BUILD)
    assert ("call", "numpy.random._pickle.__bit_generator_ctor") in told


def test_a_parameter_has_attributes_of_any_kind() -> None:
    rebuild = p.name("torch._utils", "_rebuild_parameter_with_state")
    beside = [p.tensor(), b"\x88", p.ordered_dict()]
    assert uses_of(p.call(rebuild, *beside, p.dict_of((p.text("a"), GIVEN)))) == [("named", "m.C")]
    state = p.dict_of((p.text("__setstate__"), p.name("os", "system")))
    assert ("attack", "os.system") in uses_of(p.call(rebuild, *beside, state) + p.text("x") + BUILD)


def test_a_layout_is_no_value_of_somebody() -> None:
    rebuild = p.name("torch._utils", "_rebuild_sparse_tensor")
    layout = p.call(p.name("torch.serialization", "_get_layout"), p.text("torch.sparse_coo"))
    assert uses_of(p.call(rebuild, layout, p.tuple_of(b"N"))) == []
    held = p.call(p.name("builtins", "ValueError"), GIVEN)
    assert ("call", "torch._utils._rebuild_sparse_tensor") in uses_of(
        p.call(rebuild, held, p.tuple_of(b"N"))
    )


def test_a_long_chain_of_calls_is_walked_once() -> None:
    assert uses_of(p.name("a", "b") + b")R" * 200_000) == [("call", "a.b")]
    chain = p.name("shutil", "copyfile")
    for _ in range(300):
        chain = p.call(p.name("functools", "partial"), chain)
    assert uses_of(chain + b")R") == [("attack", "shutil.copyfile")]


MALFORMED = {
    "too many arguments": p.call(p.name("collections", "deque"), b"]", b"N", b"N"),
    "a number to iterate over": p.call(p.name("builtins", "list"), b"K\x01"),
    "too few for a tensor": p.call(p.name("torch._utils", "_rebuild_tensor"), p.storage()),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_what_no_reader_would_take_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        seen(body)
    assert caught.value.rule is rules.PICKLE
    assert caught.value.offset is not None


def test_of_several_that_no_reader_would_take_the_first_is_told() -> None:
    first, second = MALFORMED["too many arguments"], MALFORMED["a number to iterate over"]
    told = []
    for bodies in ((first,), (first, second), (second, first)):
        with pytest.raises(MalformedError) as caught:
            seen(*bodies)
        told.append(caught.value.found)
    assert told[0] == told[1] != told[2]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"K\x01", id="a number"),
        pytest.param(
            p.call(p.name("_codecs", "encode"), p.text("\u4e2d"), p.text("latin1")),
            id="text that the codec does not have",
        ),
        pytest.param(p.call(p.name("m", "f")), id="what a call gives"),
    ],
)
def test_a_reader_of_pickles_is_called_whatever_it_is_given(data: bytes) -> None:
    assert ("attack", "pickle.loads") in uses_of(p.call(LOADS, data))


def test_many_calls_of_one_name_are_counted() -> None:
    (use,) = seen(*[p.call(OWN, p.integer(number)) for number in range(5)])
    assert (use.use, use.times, use.text) == (Use.CALL, 5, "m.C(0)")


@pytest.mark.parametrize(
    ("once", "told"),
    [
        pytest.param(p.call(p.name("m", "f")), ("call", "m.f"), id="a function"),
        pytest.param(p.call(p.name("m", "f"), b"K\x01"), ("call", "m.f"), id="with a number"),
        pytest.param(p.call(p.name("os", "system"), b"N"), ("attack", "os.system"), id="an attack"),
        pytest.param(p.new(OWN), ("class", "m.C"), id="a class"),
        pytest.param(p.new(p.name("tempfile", "C")), ("call", "tempfile.C"), id="one that acts"),
    ],
)
def test_calls_like_one_that_was_told_are_counted(once: bytes, told: tuple[str, str]) -> None:
    (use,) = seen(*[once] * 1_000)
    assert (use.use.value, use.name, use.times) == (*told, 1_000)


@pytest.mark.parametrize(
    ("usual", "other", "told"),
    [
        pytest.param(
            p.call(p.name("m", "f")),
            p.call(p.name("m", "f"), p.name("os", "system")),
            ("attack", "os.system"),
            id="a function that is handed an attack",
        ),
        pytest.param(
            p.call(p.name("m", "f")),
            p.call(p.name("m", "f")) + p.list_of(p.name("os", "system")) + BUILD,
            ("attack", "os.system"),
            id="a result whose state is one",
        ),
        pytest.param(OBJECT, p.new(OWN, b"K\x01"), ("call", "m.C"), id="a class with arguments"),
        pytest.param(
            OBJECT, OWN + b")" + attributes("a") + b"\x92", ("call", "m.C"), id="with keywords"
        ),
        pytest.param(OBJECT, OBJECT + b"K\x01" + BUILD, ("call", "m.C"), id="with a state"),
        pytest.param(OBJECT, p.call(OWN), ("call", "m.C"), id="a class that is called"),
        pytest.param(
            p.call(p.name("m", "f")), p.new(p.name("m", "f")), ("class", "m.f"), id="made of one"
        ),
    ],
)
def test_a_call_that_differs_from_many_before_is_judged(
    usual: bytes, other: bytes, told: tuple[str, str]
) -> None:
    assert told in uses_of(*[usual] * 1_000, other, *[usual] * 1_000)
    assert told not in uses_of(*[usual] * 1_000)


def test_the_result_of_a_call_that_was_counted_is_no_data() -> None:
    made = p.call(p.name("m", "f"))
    size = p.call(p.name("torch", "Size"), made)
    assert uses_of(made, size) == uses_of(made, made, size) == [("call", "m.f")]
    filled = p.call(p.name("torch", "Size"), p.list_of(made))
    assert uses_of(made, filled) == uses_of(made, made, filled) == uses_of(filled)


def test_a_use_knows_its_place() -> None:
    with Watch() as watch:
        watch.parse(p.pickle(b"N0" + p.call(OWN)), member="data.pkl", base=1000)
    (use,) = watch.uses
    assert (use.member, use.offset) == ("data.pkl", 1000 + 2 + 2 + len(OWN) + 2)


def test_objects_that_share_a_large_state_are_judged_in_bounded_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(judge, "_LOOKS", 1_000)
    state = p.dict_of((p.text("a"), p.list_of(*[b"]"] * 100))) + b"\x94"
    instances = [OBJECT + b"h\x00" + BUILD for _ in range(50)]
    uses = uses_of(state, p.name("os", "system"), *instances)
    # once too much was looked at, nobody knows any more what is in a state
    assert ("class", "m.C") in uses
    assert ("call", "m.C") in uses
