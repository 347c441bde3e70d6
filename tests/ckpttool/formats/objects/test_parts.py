"""The parts of tensors that are more than bytes are torch's own, bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ckpttool.findings.errors import MalformedError
from ckpttool.formats import open_checkpoint
from ckpttool.formats.objects import parts
from ckpttool.formats.objects.parts import facts_of
from ckpttool.tensors.in_parts import InParts
from tests.builders import arrays, checkpoints, in_parts
from tests.builders import pickles as p
from tests.builders.repository import ROOT
from tests.builders.torch_files import torch_zip

# torch warns of layouts that are in beta, and torch 2.0 of its own use of a class.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Sparse:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*nested tensors:UserWarning"),
    pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning"),
    pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning"),
]

TORCHAO = ROOT / "tests" / "fixtures" / "torchao-0.18.0"
UTILS = "torch._utils"


def parts_of(folder: Path, content: dict[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    """Each tensor's parts, by what they are of it."""
    with open_checkpoint(checkpoints.saved(folder, lambda: content)) as checkpoint:
        assert [name for name, _ in checkpoint.unread] == [n for n in content if n != "plain"]
        return {
            one.name: dict(zip(one.suffixes, (info.torch() for info in one.parts)))
            for one in checkpoint.in_parts
        }


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.dtype == other.dtype and torch.equal(one, other)


def test_codes_and_scales_are_those_of_torch(tmp_path: Path) -> None:
    content = in_parts.quantized()
    found = parts_of(tmp_path, content)
    for name, tensor in content.items():
        parts = found[name]
        assert same(parts["int_repr"], tensor.int_repr())
        if tensor.qscheme() == torch.per_tensor_affine:
            assert parts.keys() == {"int_repr", "scale", "zero_point"}
            assert parts["scale"].item() == tensor.q_scale()
            assert parts["zero_point"].item() == tensor.q_zero_point()
        else:
            assert same(parts["scales"], tensor.q_per_channel_scales())
            assert same(parts["zero_points"], tensor.q_per_channel_zero_points())
            assert parts["axis"].item() == tensor.q_per_channel_axis()


def test_indices_and_values_are_those_of_torch(tmp_path: Path) -> None:
    content = in_parts.sparse()
    found = parts_of(tmp_path, content)
    for name, tensor in content.items():
        for part, one in found[name].items():
            own = f"_{part}" if tensor.layout == torch.sparse_coo else part
            assert same(one, getattr(tensor, own)()), (name, part)
    assert found["csr"].keys() == {"crow_indices", "col_indices", "values"}
    assert found["bsc"].keys() == {"ccol_indices", "row_indices", "values"}


def test_a_nested_tensor_is_its_values_and_their_places(tmp_path: Path) -> None:
    found = parts_of(tmp_path, {"x": in_parts.nested()})["x"]
    assert found["nested_size"].tolist() == [[2, 3], [4, 3]]
    assert same(found["values"], in_parts.nested().values())


@pytest.mark.skipif(not hasattr(torch, "float8_e4m3fn"), reason="this torch has no such type")
@pytest.mark.parametrize("name", ["int8", "int8_dynamic", "float8", "intx"])
def test_parts_of_torchao_are_its_attributes(name: str) -> None:
    from safetensors.torch import load_file

    expected = load_file(TORCHAO / f"{name}.expected.safetensors")
    del expected["dequantized"]
    with open_checkpoint(TORCHAO / f"{name}.pt") as checkpoint:
        (one,) = checkpoint.in_parts
        found = dict(zip(one.suffixes, (info.torch() for info in one.parts)))
        assert checkpoint.unread == (("0.weight", f"a tensor subclass, {one.cls}"),)
        facts = facts_of(one)
    assert found.keys() == expected.keys()
    for part, tensor in expected.items():
        assert torch.equal(found[part].view(torch.uint8), tensor.view(torch.uint8))
    assert (one.dtype, one.shape) == ("bfloat16", (4, 32))
    assert "block_size" in facts["attributes"]  # type: ignore[operator]


def test_codes_that_share_bytes_are_no_parts(tmp_path: Path) -> None:
    (one,) = made(tmp_path, {"x": in_parts.in_four_bits()})
    assert (one.dtype, one.shape, one.parts) == ("quint4x2", (3, 4), ())
    assert one.closed == "several codes share a byte"


def made(folder: Path, content: dict[str, torch.Tensor]) -> tuple[InParts, ...]:
    with open_checkpoint(checkpoints.saved(folder, lambda: content)) as checkpoint:
        return checkpoint.in_parts


# --- forged ---------------------------------------------------------------------------------


def size(*sizes: int) -> bytes:
    return p.call(p.name("torch", "Size"), p.tuple_of(*map(p.integer, sizes)))


def layout(name: str) -> bytes:
    return p.call(p.name("torch.serialization", "_get_layout"), p.text(f"torch.{name}"))


def numbers(key: str, count: int, *shape: int, kind: str = "LongStorage") -> bytes:
    """A tensor of some type, row-major."""
    strides: list[bytes] = []
    step = 1
    for length in reversed(shape):
        strides.insert(0, p.integer(step))
        step *= length
    return p.tensor(
        p.storage(key, count, kind),
        shape=p.tuple_of(*map(p.integer, shape)),
        strides=p.tuple_of(*strides),
    )


def coo(indices: bytes, values: bytes, shape: bytes) -> bytes:
    data = p.tuple_of(indices, values, shape)
    return p.call(p.name(UTILS, "_rebuild_sparse_tensor"), layout("sparse_coo"), data)


def csr(
    starts: bytes, places: bytes, values: bytes, shape: bytes, name: str = "sparse_csr"
) -> bytes:
    data = p.tuple_of(starts, places, values, shape)
    return p.call(p.name(UTILS, "_rebuild_sparse_tensor"), layout(name), data)


def quantized(kind: str, *params: bytes, count: int = 16, rows: int = 16) -> bytes:
    return p.call(
        p.name(UTILS, "_rebuild_qtensor"),
        p.storage("c", count, kind),
        b"K\x00",
        p.tuple_of(p.integer(rows)),
        b"K\x01\x85",
        p.tuple_of(*params),
        b"\x89",
        p.ordered_dict(),
    )


def subclass(state: bytes, cls: bytes = p.name("evil", "Tensor"), *, least: bool = False) -> bytes:
    """A tensor of a class; ``least`` leaves out what torch writes after its type."""
    args = (cls, p.name("torch", "float32"), size(2), size(1), b"K\x00", b"N", b"N", b"\x89")
    rebuild = p.name(UTILS, "_rebuild_wrapper_subclass")
    function = p.name("torch._tensor", "_rebuild_from_type_v2")
    return p.call(function, rebuild, cls, p.tuple_of(*args[: 2 if least else None]), state)


def subclasses(times: int) -> bytes:
    """A tensor in so many of a class, one in the other."""
    value = VALUES
    for _ in range(times):
        value = subclass(p.dict_of((p.text("a"), value)))
    return value


OF_NUMPY = p.call(
    p.name(UTILS, "_rebuild_device_tensor_from_numpy"),
    arrays.array(p.bytes_of(bytes(8))),
    p.name("torch", "float32"),
    p.text("cpu"),
    b"\x89",
)


PLACES, VALUES = numbers("i", 2, 1, 2), numbers("v", 2, 2, kind="FloatStorage")
BY_TENSOR = (p.name("torch", "per_tensor_affine"), b"G?\xf0" + 6 * b"\x00", b"K\x00")
STORAGES = {"i": 16, "v": 8, "c": 16, "d": 24, "w": 16}

FORGED = {
    "too few indices": (coo(numbers("i", 2, 1, 1), VALUES, size(9)), "do not fit together"),
    "a shape of another rank": (coo(PLACES, VALUES, size(9, 9)), "do not fit together"),
    "a size of 2**70": (coo(PLACES, VALUES, size(2**70)), "do not fit together"),
    "indices that are floats": (
        coo(numbers("v", 2, 1, 2, kind="FloatStorage"), VALUES, size(9)),
        "int64",
    ),
    "indices that are no tensor": (coo(b"N", VALUES, size(9)), "indices is not a tensor"),
    "values that are no tensor": (coo(PLACES, p.text("x"), size(9)), "values is not a tensor"),
    "an unknown layout": (
        p.call(p.name(UTILS, "_rebuild_sparse_tensor"), layout("evil"), p.tuple_of()),
        "other arguments",
    ),
    "no row": (csr(numbers("d", 3), numbers("i", 2, 2), VALUES, size(9, 4)), "do not fit"),
    "blocks of nothing": (
        csr(
            numbers("i", 2, 2),
            numbers("i", 2, 2),
            numbers("v", 2, 2, 0, 1, kind="FloatStorage"),
            size(4, 4),
            name="sparse_bsr",
        ),
        "do not fit",
    ),
    "a quantized tensor of no scheme": (quantized("QInt8Storage"), "other arguments"),
    "scales that are integers": (
        quantized(
            "QInt8Storage",
            p.name("torch", "per_channel_affine"),
            numbers("i", 2, 2),
            numbers("i", 2, 2),
            b"K\x00",
            rows=2,
        ),
        "of another type",
    ),
    "a class of less": (subclass(p.dict_of(), least=True), "other arguments"),
    "an attribute twice": (
        subclass(p.dict_of((p.text("a"), VALUES), (p.text("a"), VALUES))),
        "twice",
    ),
    "classes in classes": (subclasses(10), "too deep"),
    "a quantized tensor of half bytes in a class": (
        subclass(p.dict_of((p.text("a"), quantized("QUInt4x2Storage", *BY_TENSOR)))),
        "a: several codes share a byte",
    ),
    "a tensor of a device in a class": (
        subclass(p.dict_of((p.text("a"), OF_NUMPY))),
        "a: a tensor pi",
    ),
    "too few rows": (csr(numbers("d", 3, 3), numbers("i", 2, 2), VALUES, size(9, 4)), "do not fit"),
    "starts of another type": (
        csr(numbers("d", 6, 3, kind="IntStorage"), numbers("i", 2, 2), VALUES, size(2, 4)),
        "int64 or int32",
    ),
    "codes beyond the storage": (quantized("QInt8Storage", *BY_TENSOR, rows=17), "outside storage"),
    "codes of another kind": (
        quantized("FloatStorage", *BY_TENSOR, count=4, rows=4),
        "no quantized one",
    ),
    "a scale that is text": (
        quantized("QInt8Storage", BY_TENSOR[0], p.text("x"), b"K\x00"),
        "not a number",
    ),
    "an unknown scheme": (quantized("QInt8Storage", p.name("evil", "scheme")), "not known"),
    "an axis that is not there": (
        quantized("QInt8Storage", p.name("torch", "per_channel_affine"), VALUES, PLACES, b"K\x05"),
        "no such axis",
    ),
    "two scales for sixteen channels": (
        quantized(
            "QInt8Storage",
            p.name("torch", "per_channel_affine"),
            VALUES,
            numbers("i", 2, 2),
            b"K\x00",
        ),
        "of other numbers",
    ),
    "tensors in a list": (subclass(p.dict_of((p.text("a"), p.list_of(VALUES)))), "a container"),
    "a large attribute": (
        subclass(p.dict_of((p.text("a"), p.list_of(*([b"K\x00"] * 1001))))),
        "too large",
    ),
    "a long text": (subclass(p.dict_of((p.text("a"), p.text("x" * 200_000)))), "too large"),
}


def forged(folder: Path, value: bytes) -> InParts:
    """What is known of a tensor that is not read, beside one that is."""
    path = folder / "forged.pth"
    records = {key: bytes(length) for key, length in STORAGES.items()}
    plain = numbers("w", 4, 4, kind="FloatStorage")
    body = p.dict_of((p.text("x"), value), (p.text("w"), plain))
    path.write_bytes(torch_zip(body, storages=records))
    with open_checkpoint(path) as checkpoint:
        assert list(checkpoint) == ["w"]
        assert [name for name, _ in checkpoint.unread] == ["x"]
        (one,) = checkpoint.in_parts
    return one


@pytest.mark.parametrize(("value", "reason"), FORGED.values(), ids=FORGED.keys())
def test_what_does_not_fit_together_has_no_parts(tmp_path: Path, value: bytes, reason: str) -> None:
    one = forged(tmp_path, value)
    assert one.parts == ()
    assert one.closed is not None
    assert reason in one.closed


@pytest.mark.parametrize("made", ["_rebuild_qtensor", "_rebuild_nested_tensor"])
def test_a_call_that_torch_does_not_write_is_malformed(made: str, tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match="takes no such arguments"):
        forged(tmp_path, p.call(p.name(UTILS, made), VALUES))


def test_a_tensor_of_a_class_may_hold_others_of_classes(tmp_path: Path) -> None:
    inner = p.dict_of((p.text("b"), VALUES), (p.text("scale"), b"K\x03"))
    one = forged(tmp_path, subclass(p.dict_of((p.text("a"), subclass(inner)))))
    assert one.suffixes == ("a.b",)
    assert facts_of(one)["attributes"] == {
        "a": {"class": "evil.Tensor", "dtype": "float32", "shape": [2]},
        "a.scale": 3,
    }


def test_a_quantized_tensor_in_one_of_a_class_keeps_its_scheme(tmp_path: Path) -> None:
    one = forged(
        tmp_path, subclass(p.dict_of((p.text("a"), quantized("QInt8Storage", *BY_TENSOR))))
    )
    assert one.suffixes == ("a.int_repr", "a.scale", "a.zero_point")
    kept = facts_of(one)["attributes"]
    assert isinstance(kept, dict)
    assert kept["a"]["qscheme"] == "per_tensor_affine"


def test_more_parts_than_any_tensor_has_are_not_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MAX_PARTS", 1)
    two = p.dict_of((p.text("a"), VALUES), (p.text("b"), VALUES))
    one = forged(tmp_path, subclass(two))
    assert (one.parts, one.closed) == ((), "it has too many parts")


def test_many_tensors_that_share_their_attributes_do_not_multiply_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MAX_LOOKS", 100)
    shared = p.dict_of(*[(p.text(f"a{number}"), VALUES) for number in range(40)]) + p.put(9)
    tensors = [(p.text(f"x{number}"), subclass(p.get(9))) for number in range(20)]
    body = p.dict_of((p.text("s"), shared), *tensors)
    path = tmp_path / "many.pth"
    path.write_bytes(torch_zip(body, storages={key: bytes(n) for key, n in STORAGES.items()}))
    with open_checkpoint(path) as checkpoint:
        assert len(checkpoint.in_parts) == 20
        assert sum(len(one.parts) for one in checkpoint.in_parts) <= 100 + 20 * parts.LOOKS_EACH
        assert checkpoint.in_parts[-1].closed == "the tensors of the file have too many parts"
