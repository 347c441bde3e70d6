"""A further container needs a module and a line in the table, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar, Mapping, Sequence

import click
import pytest
import torch

from ckpttool.cli.commands.convert import convert as command
from ckpttool.conversion.convert import convert_file, destinations
from ckpttool.conversion.options import ConvertOptions, check
from ckpttool.findings.errors import UsageError
from ckpttool.formats import single as formats
from ckpttool.formats.writing import TARGETS
from ckpttool.formats.writing.file_layout import FileLayout, PlannedTensor, Slot
from ckpttool.tensors.catalogue import Checkpoint, Extent, TensorInfo
from ckpttool.tensors.dtypes import DTYPES, DType
from tests.builders import sharing
from tests.builders.commands import invoke

if TYPE_CHECKING:
    from pathlib import Path

    from ckpttool.files.sources import FileSource

MAGIC = b"RAW1"


class Raw:
    """A made-up container: a line of JSON at its start, then 32-bit floats one after the other.

    It has no views, no place for metadata and no wrapper, and it is never in shards.
    """

    SUFFIX = ".raw"
    HOLDS_VIEWS = HOLDS_METADATA = HOLDS_WRAPPER = IN_SHARDS = False
    RESERVED: ClassVar[Mapping[str, str]] = {"RAW1": "it would be taken for the beginning"}

    def holds(self, dtype: DType, _shape: tuple[int, ...], /) -> bool:
        return dtype.name == "float32"

    def plan(
        self, pieces: Sequence[PlannedTensor], _: Mapping[str, str], _wrapper: str | None, /
    ) -> FileLayout:
        header = json.dumps([(piece.name, piece.shape) for piece in pieces]).encode()
        head = MAGIC + header + b"\n"
        slots = []
        end = len(head)
        for piece in pieces:
            slots.append(Slot(end, piece.nbytes, piece))
            end += piece.nbytes
        return FileLayout(head, tuple(slots), end)

    def finish(
        self,
        layout: FileLayout,
        _pieces: Sequence[PlannedTensor],
        _metadata: Mapping[str, str],
        _crcs: Mapping[str, int],
        /,
    ) -> list[tuple[int, bytes]]:
        return [(0, layout.head)]

    def read_with_library(self, _path: str, /) -> None:
        """There is no other reader."""

    # --- and the reader, which the proof needs ---------------------------------------------

    def matches(self, head: bytes) -> bool:
        return head.startswith(MAGIC)

    def read(self, source: FileSource, _: str | None) -> Checkpoint:
        content = bytearray(source.size)
        source.read_into(0, memoryview(content))
        end = content.index(b"\n")
        offset = end + 1
        tensors = {}
        for name, shape in json.loads(content[len(MAGIC) : end]):
            extent = Extent(source, offset, 4 * torch.Size(shape).numel())
            tensors[name] = TensorInfo(name, DTYPES["float32"], tuple(shape), None, (extent,))
            offset += extent.length
        return Checkpoint(source.name, "raw", (source,), tensors)


@pytest.fixture(autouse=True)
def raw(monkeypatch: pytest.MonkeyPatch) -> None:
    """The container, in the table of what can be written and in that of what can be read."""
    monkeypatch.setitem(TARGETS, "raw", Raw())
    monkeypatch.setattr(formats, "FORMATS", (Raw(), *formats.FORMATS))


def test_a_target_of_its_own_is_written_and_proven(tmp_path: Path) -> None:
    source = tmp_path / "in.pth"
    torch.save({"model": sharing.tied(), "epoch": 3}, source)
    options = ConvertOptions("raw", receipt=str(tmp_path / "receipt.json"))
    (output,) = destinations([str(source)], options)
    converted = convert_file(str(source), output, options)
    assert (converted.state, converted.findings) == ("written", ())
    assert output == str(tmp_path / "in.raw")
    assert converted.fingerprint == converted.file.fingerprint
    assert (converted.wrapper, converted.tied) == (None, {})
    assert converted.proof is not None
    assert len(converted.proof.readers) == 1
    receipt = json.loads((tmp_path / "receipt.json").read_text())
    assert receipt["result"]["format"] == "raw"
    back = convert_file(output, str(tmp_path / "back.pth"), ConvertOptions("pth", fingerprint=True))
    assert back.fingerprint == converted.fingerprint
    assert list(torch.load(tmp_path / "back.pth", weights_only=True)) == list(sharing.tied())


def test_what_a_target_does_not_hold_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "in.pth"
    torch.save({"w": torch.zeros(2, dtype=torch.int8), "RAW1": torch.zeros(1)}, source)
    converted = convert_file(str(source), str(tmp_path / "out.raw"), ConvertOptions("raw"))
    assert converted.state == "not-written"
    assert [found.tensors for found in converted.findings] == [("w",), ("RAW1",)]
    assert {found.rule.code for found in converted.findings} == {"CVT101"}
    assert "taken for the beginning" in converted.findings[1].message


@pytest.mark.parametrize(
    "options",
    [
        ConvertOptions("raw", max_shard_size=1),
        ConvertOptions("raw", metadata=(("a", "b"),)),
        ConvertOptions("raw", keep=("a",)),
        ConvertOptions("raw", keep_aliases=True),
    ],
)
def test_options_are_for_targets_that_can(options: ConvertOptions) -> None:
    with pytest.raises(UsageError, match="is for safetensors only"):
        check(options)


def test_a_name_that_says_another_target_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="says raw, but it would hold pth"):
        destinations(["in.pth"], ConvertOptions("pth", output=str(tmp_path / "x.raw")))


def test_the_command_takes_what_is_in_the_table(tmp_path: Path) -> None:
    torch.save(sharing.tied(), tmp_path / "in.pth")
    assert invoke("convert", "--to", "raw", str(tmp_path / "in.pth")).code == 0
    assert (tmp_path / "in.raw").read_bytes().startswith(MAGIC)


def test_the_command_names_what_is_in_the_table() -> None:
    wrong = invoke("convert", "--to", "zip", "in.pth")
    assert wrong.code == 2
    assert "possible values: safetensors, pth, raw" in wrong.err
    assert "[safetensors|pth|raw]" in invoke("convert", "--help").out
    (to,) = (option for option in command.params if option.name == "to")
    offered = to.shell_complete(click.Context(command), "")
    assert [item.value for item in offered] == ["safetensors", "pth", "raw"]
