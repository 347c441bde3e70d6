"""The proof fails wherever a reader sees something else than was to be written."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Tuple

import numpy as np
import pytest
import safetensors as library
import torch

from ckpttool.conversion import output
from ckpttool.conversion.convert import convert_file
from ckpttool.conversion.options import ConvertOptions
from ckpttool.conversion.proving import (
    Seen,
    read_again,
    require_equal,
    require_rows,
    require_taken,
)
from ckpttool.conversion.renaming.rows import Naming
from ckpttool.conversion.result import Rows
from ckpttool.conversion.selecting import TensorSelection
from ckpttool.findings.errors import OutputError
from ckpttool.formats.writing import TARGETS, safetensors, torch_zip
from ckpttool.models.canonical import canonicalize
from tests.builders import sharing
from tests.builders import torch_files as tf
from tests.builders.pieces import of_dtype, piece, put
from tests.builders.tensors import from_array

if TYPE_CHECKING:
    from pathlib import Path

    from ckpttool.formats.writing.file_layout import FileLayout, PlannedTensor
    from ckpttool.tensors.catalogue import TensorInfo


def pieces() -> List[PlannedTensor]:
    """Two of one shape, which could be taken for each other, and one without bytes."""
    return [
        piece(from_array(np.full(4, 1, np.float32), "one")),
        piece(from_array(np.full(4, 2, np.float32), "two")),
        piece(from_array(np.zeros((0, 4), np.float32), "empty")),
    ]


def written(folder: Path, to: str) -> FileLayout:
    layout = TARGETS[to].plan(pieces(), {"format": "pt"}, None)
    put(folder / "m", layout)
    return layout


def look(path: Path, expected: List[PlannedTensor], layout: FileLayout, to: str) -> Seen:
    with ExitStack() as opened:
        return read_again(str(path), expected, layout.slots, TARGETS[to], opened)


@pytest.mark.parametrize("to", ["safetensors", "pth"])
def test_what_was_written_is_found(tmp_path: Path, to: str) -> None:
    seen = look(tmp_path / "m", pieces(), written(tmp_path, to), to)
    assert set(seen.tensors) == {"one", "two", "empty"}
    assert [reader.split()[0] for reader in seen.readers] == (
        ["ckpttool", "safetensors"] if to == "safetensors" else ["ckpttool"]
    )
    assert seen.findings == ()


@pytest.mark.parametrize("to", ["safetensors", "pth"])
@pytest.mark.parametrize(
    "expected",
    [
        pytest.param(pieces()[:2], id="one more"),
        pytest.param([*pieces(), of_dtype("int8", (1,), "three")], id="one less"),
        pytest.param([*pieces()[1:], of_dtype("float32", (2, 2), "one")], id="another shape"),
        pytest.param([*pieces()[1:], of_dtype("int32", (4,), "one")], id="another type"),
    ],
)
def test_other_tensors_are_found_out(
    tmp_path: Path, expected: List[PlannedTensor], to: str
) -> None:
    layout = written(tmp_path, to)
    with pytest.raises(OutputError, match="CVT202"):
        look(tmp_path / "m", expected, layout, to)


@pytest.mark.parametrize("to", ["safetensors", "pth"])
def test_a_header_that_takes_two_tensors_for_each_other_is_found_out(
    tmp_path: Path, to: str
) -> None:
    """Every name, shape and type is right then, and so is every byte at its place."""
    layout = written(tmp_path, to)
    slots = {slot.piece.name: slot for slot in layout.slots}
    one, two = slots["one"], slots["two"]
    slots.update(one=one._replace(offset=two.offset), two=two._replace(offset=one.offset))
    with pytest.raises(OutputError, match="its offset is not where"):
        look(tmp_path / "m", pieces(), layout._replace(slots=tuple(slots.values())), to)


def test_an_alias_lies_where_the_other_does(tmp_path: Path) -> None:
    both = [*pieces(), piece(pieces()[0].info._replace(name="tied"), alias_of="one")]
    layout = torch_zip.plan(both)
    put(tmp_path / "m", layout)
    assert "tied" in look(tmp_path / "m", both, layout, "pth").tensors
    both[-1] = both[-1]._replace(alias_of="two")
    with pytest.raises(OutputError, match="its offset is not where"):
        look(tmp_path / "m", both, layout, "pth")


def transposed(path: Path) -> None:
    torch.save({"w": torch.ones(2, 3).t()}, path)


def big_endian(path: Path) -> None:
    path.write_bytes(tf.torch_zip(members={"byteorder": b"big"}))


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")
@pytest.mark.parametrize(
    ("save", "shape"),
    [
        pytest.param(transposed, (3, 2), id="transposed"),
        pytest.param(big_endian, (4,), id="big-endian"),
    ],
)
def test_a_file_that_is_laid_out_otherwise_is_found_out(
    tmp_path: Path, save: Callable[[Path], None], shape: Tuple[int, ...]
) -> None:
    save(tmp_path / "m")
    expected = [of_dtype("float32", shape, "w")]
    with pytest.raises(OutputError, match="row-major"):
        look(tmp_path / "m", expected, torch_zip.plan(expected), "pth")


def test_a_file_that_the_strict_reader_refuses_is_no_result(tmp_path: Path) -> None:
    layout = written(tmp_path, "pth")
    with (tmp_path / "m").open("r+b") as file:
        file.truncate(layout.size - 1)
    with pytest.raises(OutputError, match="strict reader refuses"):
        look(tmp_path / "m", pieces(), layout, "pth")


@pytest.mark.parametrize("damage", ["shape", "dtype", "name"])
def test_a_library_that_sees_something_else_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    real = library.safe_open

    class Slice:
        def get_shape(self) -> List[int]:
            return [2, 2] if damage == "shape" else [4]

        def get_dtype(self) -> str:
            return "I32" if damage == "dtype" else "F32"

    class File:
        def __init__(self, path: str, framework: str) -> None:
            real(path, framework)

        def __enter__(self) -> File:
            return self

        def __exit__(self, *_: object) -> None: ...

        def keys(self) -> List[str]:
            return ["other" if damage == "name" else "one"]

        def get_slice(self, _: str) -> Slice:
            return Slice()

    monkeypatch.setattr(library, "safe_open", File)
    layout = safetensors.plan(pieces()[:1], {})
    put(tmp_path / "m", layout)
    with pytest.raises(OutputError, match=r"safetensors .* sees another tensor"):
        look(tmp_path / "m", pieces()[:1], layout, "safetensors")


def test_equal_facts_are_fine_and_others_are_not() -> None:
    require_equal("the metadata", {"a": "b"}, {"a": "b"})
    with pytest.raises(OutputError, match="the metadata differs"):
        require_equal("the metadata", {"a": "b"}, {"a": "c"})


ONE, TWO = pieces()[0].info, pieces()[1].info
TIED = {"one": ONE, "tied": ONE._replace(name="tied")}


@pytest.mark.parametrize(
    ("taken", "found", "message"),
    [
        pytest.param(TIED, TIED, None, id="the same"),
        pytest.param(TIED, {"one": ONE}, "was selected is missing", id="one less"),
        pytest.param({"one": ONE}, TIED, "there that was not selected", id="one more"),
        pytest.param(TIED, {**TIED, "tied": TWO}, "not the same tensor as one", id="another"),
        pytest.param({**TIED, "tied": TWO}, TIED, "not the same tensor as one", id="never tied"),
    ],
)
def test_every_name_that_was_taken_is_found_tied_ones_too(
    taken: Dict[str, TensorInfo], found: Dict[str, TensorInfo], message: str | None
) -> None:
    same = {"tied": "one"} if len(taken) > 1 else {}
    with pytest.raises(OutputError, match=message) if message else nullcontext():
        require_taken(taken, same, found)


@pytest.mark.parametrize(("rows", "message"), [(4, None), (2, "x has 4 rows, and is made of")])
def test_every_row_of_the_source_is_written_once(rows: int, message: str | None) -> None:
    naming = Naming({"x": ONE._replace(name="x")}, {"x": (Rows("one", 0, rows),)})
    taken = {"one": ONE}
    selection = TensorSelection(taken, (), (), {}, canonicalize(taken), naming)
    with pytest.raises(OutputError, match=message) if message else nullcontext():
        require_rows(selection)


def test_a_tie_that_a_reader_does_not_find_stops_the_conversion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(sharing.tied(), tmp_path / "in.pth")
    monkeypatch.setattr(output, "with_tied", lambda tensors, _: dict(tensors))
    source, out = str(tmp_path / "in.pth"), str(tmp_path / "out.safetensors")
    converted = convert_file(source, out, ConvertOptions("safetensors", sync=False))
    assert converted.state == "not-written"
    assert "was selected is missing" in converted.file.findings[0].message


@pytest.mark.parametrize("what", ["the metadata", "the content fingerprint"])
def test_what_the_readers_make_of_the_whole_is_compared_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The conversion stops where its last comparison fails, and leaves nothing."""
    put(tmp_path / "in.safetensors", safetensors.plan(pieces(), {}))

    def another(*arguments: Any) -> Seen:
        seen = read_again(*arguments)
        narrow = seen.tensors["one"]._replace(shape=(2, 2))
        return {
            "the metadata": seen._replace(metadata={**seen.metadata, "more": ""}),
            "the content fingerprint": seen._replace(tensors={**seen.tensors, "one": narrow}),
        }[what]

    monkeypatch.setattr(output, "read_again", another)
    source, out = str(tmp_path / "in.safetensors"), str(tmp_path / "out.safetensors")
    options = ConvertOptions("safetensors", sync=False, fingerprint=True)
    converted = convert_file(source, out, options)
    (found,) = converted.file.findings
    assert (found.rule.code, converted.state) == ("CVT202", "not-written")
    assert f"{what} differs" in found.message
    assert [path.name for path in tmp_path.iterdir()] == ["in.safetensors"]
