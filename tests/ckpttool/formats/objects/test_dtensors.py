"""DTensors: whole on one rank they are read as plain tensors, and a part is said to be one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import ckpttool
from ckpttool.findings.errors import MalformedError
from ckpttool.findings.finding import Verdict
from ckpttool.formats import open_checkpoint
from ckpttool.tensors.catalogue import Checkpoint
from tests.builders import pickles as p
from tests.builders.repository import ROOT
from tests.builders.torch_files import torch_zip

FOLDER = ROOT / "tests" / "fixtures" / "dtensors-torch-2.13.0"
WHOLE = ("plain", "replicated", "parameter", "alone")
PARTS = {
    "rows": "one rank's part of a DTensor (placed Shard(0) on a mesh of 2)",
    "summand": "one rank's part of a DTensor (placed Partial(sum) on a mesh of 2)",
    "columns": "one rank's part of a DTensor (placed Shard(1), Replicate() on a mesh of 2 x 1)",
}


@pytest.mark.parametrize("rank", range(2))
def test_a_dtensor_that_is_whole_on_a_rank_is_read_bit_for_bit(rank: int) -> None:
    expected = torch.load(FOLDER / "expected.pt")
    with open_checkpoint(FOLDER / f"rank{rank}.pt") as checkpoint:
        assert set(WHOLE) <= set(checkpoint)
        for name, info in checkpoint.items():
            assert torch.equal(info.torch(), expected[name])
            assert info.dtype.name == "float32"
        # the only row is the first rank's; the second has none of it
        assert ("shorter" in checkpoint) == (rank == 0)


def test_a_part_is_named_with_its_placement_and_mesh() -> None:
    with open_checkpoint(FOLDER / "rank0.pt") as checkpoint:
        assert dict(checkpoint.unread) == PARTS
        shapes = {one.name: (one.cls, one.dtype, one.shape) for one in checkpoint.in_parts}
    assert shapes["rows"] == ("torch.distributed.tensor.DTensor", "float32", (4, 3))


def test_a_file_of_dtensors_is_no_attack() -> None:
    report = ckpttool.verify(FOLDER / "rank0.pt", forward=False)
    assert report.verdict is Verdict.CANNOT_TELL
    assert not {one.rule.code for one in report.findings} & {"SEC001", "SEC002", "SEC003", "INT009"}
    assert report.files[0].unchecked is not None
    assert not any("1 tensor in" in one for one in report.files[0].unchecked)


def test_a_conversion_says_how_to_get_parts_whole(tmp_path: Path) -> None:
    source = FOLDER / "rank0.pt"
    converted = ckpttool.convert(source, tmp_path / "a.safetensors", to="safetensors", parts=True)
    (problem,) = (one for one in converted.findings if one.rule.code == "STR011")
    assert problem.fix is not None
    assert "full_tensor()" in problem.fix
    assert "--parts" not in problem.fix
    assert converted.exit_code == 1
    done = ckpttool.convert(
        source, tmp_path / "b.safetensors", to="safetensors", exclude=list(PARTS)
    )
    assert done.exit_code == 0


# --- forged ---------------------------------------------------------------------------------

_MODULE = "torch.distributed.tensor"
_TWO, _STRIDES = p.tuple_of(b"K\x02", b"K\x02"), p.tuple_of(b"K\x02", b"K\x01")


def placement(name: str, module: str = f"{_MODULE}.placement_types") -> bytes:
    return p.new(p.name(module, name)) + p.dict_of() + b"b"


def mesh(layout: bytes) -> bytes:
    """A mesh whose layout has these attributes."""
    inner = p.new(p.name("torch.distributed._mesh_layout", "_MeshLayout")) + layout + b"b"
    made = p.new(p.name("torch.distributed.device_mesh", "DeviceMesh"))
    return made + p.dict_of((p.text("_layout"), inner)) + b"b"


def dtensor(
    *placements: bytes,
    local: bytes | None = None,
    shape: bytes = _TWO,
    dtype: str = "float32",
    further: bytes = b"",
    on: bytes = b"N",
    state: bytes | None = None,
) -> bytes:
    """A DTensor of 2 x 2, whose local tensor has that shape, too, if it is not given."""
    spec = p.new(p.name(f"{_MODULE}._dtensor_spec", "DTensorSpec"))
    places = (p.text("placements"), p.tuple_of(*placements))
    spec += p.dict_of(places, (p.text("mesh"), on)) + b"b"
    local = p.tensor(shape=_TWO, strides=_STRIDES) if local is None else local
    if state is None:
        state = p.dict_of((p.text("_local_tensor"), local), (p.text("_spec"), spec))
    layout = p.call(p.name("torch.serialization", "_get_layout"), p.text("torch.strided"))
    cls = p.name(_MODULE, "DTensor")
    device = p.call(p.name("torch", "device"), p.text("cpu"))
    args = (cls, p.name("torch", dtype), shape, _STRIDES, b"K\x00", layout, device, b"\x89")
    return (
        p.call(
            p.name("torch._tensor", "_rebuild_from_type_v2"),
            p.name("torch._utils", "_rebuild_wrapper_subclass"),
            cls,
            p.tuple_of(*args),
            state,
        )
        + further
    )


def opened(folder: Path, value: bytes) -> Checkpoint:
    path = folder / "forged.pth"
    path.write_bytes(torch_zip(p.dict_of((p.text("x"), value), (p.text("w"), p.tensor()))))
    return open_checkpoint(path)


def test_a_forged_one_that_is_whole_is_read(tmp_path: Path) -> None:
    with opened(tmp_path, dtensor(placement("Replicate"))) as checkpoint:
        assert checkpoint["x"].shape == (2, 2)


FORGED = {
    "a local tensor of another shape": dtensor(placement("Replicate"), local=p.tensor()),
    "a local tensor of another type": dtensor(placement("Replicate"), dtype="int32"),
    "a summand of the whole shape": dtensor(placement("Partial")),
    "no placement": dtensor(),
    "no local tensor": dtensor(placement("Replicate"), state=p.dict_of()),
    "no state": dtensor(placement("Replicate"), state=b"N"),
    "a placement of another module": dtensor(placement("Replicate", "evil")),
    "a shape of 2**60": dtensor(
        placement("Replicate"), shape=p.tuple_of(p.integer(2**60), p.integer(2**60))
    ),
    "no shape": dtensor(placement("Replicate"), shape=p.text("large")),
}


@pytest.mark.parametrize("value", FORGED.values(), ids=FORGED.keys())
def test_one_that_contradicts_itself_is_not_read(tmp_path: Path, value: bytes) -> None:
    with opened(tmp_path, value) as checkpoint:
        assert [name for name, _ in checkpoint.unread] == ["x"]
        assert list(checkpoint) == ["w"]


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        pytest.param(_TWO, " on a mesh of 2 x 2", id="several axes"),
        pytest.param(b"K\x02", " on a mesh of 2", id="one axis"),
        pytest.param(p.text("large"), "", id="no sizes"),
        pytest.param(p.tuple_of(b"K\x00"), "", id="a size of none"),
    ],
)
def test_a_mesh_is_told_by_the_shape_of_its_layout(shape: bytes, told: str, tmp_path: Path) -> None:
    on = mesh(p.dict_of((p.text("shape"), shape), (p.text("stride"), b"K\x01")))
    with opened(tmp_path, dtensor(placement("Partial"), on=on)) as checkpoint:
        reason = f"one rank's part of a DTensor (placed Partial(){told})"
        assert checkpoint.unread == (("x", reason),)


def test_a_dtensor_that_is_changed_after_its_call_is_refused(tmp_path: Path) -> None:
    changed = dtensor(placement("Replicate"), further=p.dict_of((p.text("a"), b"N")) + b"b")
    with pytest.raises(MalformedError, match="changed after its call"):
        opened(tmp_path, changed)


def test_a_dtensor_in_a_dtensor_is_not_read(tmp_path: Path) -> None:
    inner = dtensor(placement("Replicate"))
    with opened(tmp_path, dtensor(placement("Replicate"), local=inner)) as checkpoint:
        assert [name for name, _ in checkpoint.unread] == ["x"]
