"""Files rebuilt from public reports of fuzzers: what brought other readers down.

Each is an error in words here, with the place, and quick; none is called an attack for its form.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError
from ckpttool.formats import open_checkpoint
from tests.builders import pickles as p
from tests.builders import safetensors, torch_files

FOUR = {"dtype": "F32", "data_offsets": [0, 16]}


def header(**entry: object) -> bytes:
    """A safetensors file of one tensor with these fields."""
    return safetensors.file(json.dumps({"w": {**FOUR, "shape": [4], **entry}}).encode(), bytes(16))


def laughs(depth: int) -> bytes:
    """A list of ten lists of ten lists ..., each stored once."""
    body = b"]"
    for level in range(depth):
        put, get = b"r" + struct.pack("<I", level), b"j" + struct.pack("<I", level)
        body += put + b"0](" + get * 10 + b"e"
    return p.dict_of((p.text("w"), body))


#: Bodies of a pickle, from reports on torch's reader of weights only and on CPython's.
PICKLES = {
    "too few values for a tuple": b"K\x01K\x02\x87",
    "too few values for a call": b"R",
    "a memo entry that nobody put": b"h\x07",
    "a number that ends early": b"J\x01\x02",
    "a text that is no UTF-8": b"X\x02\x00\x00\x00\xff\xfe",
    "a name that is no UTF-8": b"c\xff\n\xfe\n",
    "a mark that is not there": b"t",
    "items for what takes none": b"K\x01(K\x02e",
    "a state for nothing": b"b",
}

#: Headers that others allocated by, or whose products wrapped to what the check wanted.
HEADERS = {
    "a product of 2**64 elements": header(shape=[2**32, 2**32]),
    "a product that wraps to 4": header(shape=[2**62 + 1, 4]),
    "a product that wraps to 0 elements, with no bytes": header(
        shape=[2**32, 2**32], data_offsets=[0, 0]
    ),
    "a size of 2**63 + 2": header(shape=[2**63 + 2, 2]),
    "no offsets": header(data_offsets=[]),
    "one offset": header(data_offsets=[0]),
    "three offsets": header(data_offsets=[0, 16, 16]),
    "an end before the beginning": header(data_offsets=[16, 0]),
    "fewer bytes than the shape says": header(shape=[32, 8]),
    "more bytes than the shape says": header(shape=[1]),
    "a header of 2**64 - 1 bytes": safetensors.file(length=2**64 - 1),
    "a header of 2**64 - 5 bytes": safetensors.file(length=2**64 - 5),
    "a header of -1 bytes in 63 bits": safetensors.file(length=2**63 - 1),
    "a header of no bytes": safetensors.file(length=0),
}


@pytest.mark.parametrize("body", PICKLES.values(), ids=list(PICKLES))
@pytest.mark.parametrize("write", [torch_files.torch_zip, torch_files.torch_legacy])
def test_a_broken_pickle_is_malformed_at_a_place(
    body: bytes, write: object, tmp_path: Path
) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(write(body))  # type: ignore[operator]
    with pytest.raises(MalformedError) as error:
        open_checkpoint(path)
    assert error.value.offset is not None
    assert error.value.uses == ()


@pytest.mark.parametrize("content", HEADERS.values(), ids=list(HEADERS))
def test_a_header_that_lies_about_sizes_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(CkpttoolError) as error:
        open_checkpoint(path)
    assert error.value.rule is not None


def test_a_list_that_holds_itself_is_read(tmp_path: Path) -> None:
    """As ``fickling`` met it: reading it by recursion has no end."""
    around = p.dict_of((p.text("w"), b"]q\x00h\x00a"))
    path = tmp_path / "model.pth"
    path.write_bytes(torch_files.torch_zip(around))
    with pytest.raises(CkpttoolError) as error:
        open_checkpoint(path)
    assert error.value.uses == ()
    assert "tensor" in error.value.message


@pytest.mark.parametrize("depth", [3, 9, 200])
def test_lists_of_ten_lists_of_ten_lists_cost_what_their_opcodes_cost(
    depth: int, tmp_path: Path
) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(torch_files.torch_zip(laughs(depth)))
    with pytest.raises(CkpttoolError):
        open_checkpoint(path)


def test_a_memo_entry_of_a_large_number_takes_no_room(tmp_path: Path) -> None:
    """As CPython met it: its table of entries grew to the largest number."""
    path = tmp_path / "model.pth"
    path.write_bytes(torch_files.torch_zip(b"}r\xff\xff\xff\xff"))
    with pytest.raises(MalformedError, match="a memo index is far larger") as caught:
        open_checkpoint(path)
    assert caught.value.rule is rules.LIMIT
