"""What the safetensors reader accepts, and that it refuses everything else with its rule."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any, Callable

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpttool import open_checkpoint
from ckpttool.files.sources import FileSource, read_bytes
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError, UsageError
from ckpttool.formats.safetensors import header as safetensors_header
from ckpttool.formats.safetensors import whole as reader
from ckpttool.tensors.dtypes import SAFETENSORS_DTYPES
from tests.builders import safetensors as files
from tests.builders.memory import MemorySource


def parse(data: bytes) -> reader.Header:
    return reader.read_header(MemorySource(data))


def test_a_file_of_the_library_reads_as_the_library_reads_it(tmp_path: Path) -> None:
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "blocks.0.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
        "scalar": np.array(7, dtype=np.int64),
        "empty": np.zeros((0, 5), dtype=np.float16),
        "flags": np.array([True, False, True]),
        "bytes é \u2603": np.arange(5, dtype=np.uint8),
    }
    path = tmp_path / "model.safetensors"
    safetensors.numpy.save_file(arrays, str(path), metadata={"format": "pt", "é": "\n"})
    with reader.read(FileSource(str(path)), None) as checkpoint:
        assert set(checkpoint.tensors) == set(arrays)
        assert checkpoint.metadata == {"format": "pt", "é": "\n"}
        assert checkpoint.format == "safetensors"
        for name, array in arrays.items():
            info = checkpoint.tensors[name]
            (extent,) = info.extents
            assert (info.dtype.name, info.shape) == (array.dtype.name, array.shape)
            assert info.strides is None
            assert read_bytes(extent.source, extent.offset, extent.length) == array.tobytes()


def test_tensors_come_in_the_order_of_the_header() -> None:
    header = parse(files.file(files.two((8, 18), (0, 8))))
    assert list(header.tensors) == ["a", "b"]
    assert header.tensors["b"].extents[0].offset < header.tensors["a"].extents[0].offset


@pytest.mark.parametrize("code", SAFETENSORS_DTYPES, ids=str)
def test_every_element_type_is_read(code: str) -> None:
    bits = SAFETENSORS_DTYPES[code].bits
    (info,) = parse(files.file(files.one(code, [4, 2], 0, bits), bytes(bits))).tensors.values()
    assert (info.dtype.safetensors, info.nbytes) == (code, bits)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(files.GOOD + b"   ", id="padded-with-spaces"),
        pytest.param(json.dumps(json.loads(files.GOOD), indent=2).encode(), id="indented"),
        pytest.param(json.dumps(json.loads(files.GOOD), sort_keys=True).encode(), id="sorted"),
        pytest.param(files.GOOD.replace(b'"shape"', b'"\\u0073hape"'), id="escaped-field"),
        pytest.param(files.GOOD.replace(b'"w"', b'"\\u0077"'), id="escaped-name"),
        pytest.param(files.GOOD.replace(b":", b"\t:\r\n"), id="all-white-space"),
    ],
)
def test_another_spelling_of_the_header_reads_the_same(header: bytes) -> None:
    found = parse(files.file(header))
    expected = parse(files.file())
    assert found.metadata == expected.metadata == {"format": "pt"}
    assert {(i.name, i.dtype, i.shape) for i in found.tensors.values()} == {
        (i.name, i.dtype, i.shape) for i in expected.tensors.values()
    }


@pytest.mark.parametrize(("build", "word"), files.ODDITIES.values(), ids=list(files.ODDITIES))
def test_what_the_library_reads_is_read_with_a_note(
    tmp_path: Path, build: Callable[[], bytes], word: str
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(build())
    with safetensors.safe_open(str(path), "np") as library:
        names = library.keys()
        expected = {name: tuple(library.get_slice(name).get_shape()) for name in names}
        metadata = library.metadata()
    with open_checkpoint(str(path)) as checkpoint:
        assert {name: info.shape for name, info in checkpoint.tensors.items()} == expected
        assert checkpoint.metadata == (metadata or {})
        (remark,) = checkpoint.remarks
    assert (remark.rule, word in remark.message) == (rules.SAFETENSORS_SPELLING, True)


def test_of_many_further_keys_some_are_named() -> None:
    keys = b"".join(b'"key%d":0,' % number for number in range(100))
    header = files.GOOD.replace(b'"shape":[],', b'"shape":[],' + keys)
    (oddity,) = parse(files.file(header)).oddities
    assert oddity == "further keys in entries: key0, key1, key2, key3, key4, key5, key6, key7"


def test_types_and_shapes_are_the_same_where_those_seen_before_are_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(safetensors_header, "_MOST_KINDS", 0)
    tensors = parse(files.file()).tensors.values()
    assert [(info.dtype.name, info.shape) for info in tensors] == [
        ("float32", (2, 2)),
        ("bfloat16", ()),
    ]


def test_what_the_text_of_the_format_has_is_read_without_a_note(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(files.file(files.GOOD + b"  "))
    with open_checkpoint(str(path)) as checkpoint:
        assert checkpoint.remarks == ()


@pytest.mark.parametrize(
    "name",
    [
        "",
        'quote"',
        "back\\slash",
        "\\",
        '\\"',
        "\x1b[2J",
        "new\nline",
        "\U0001f600",
        "a/b.c[0]{,:}",
    ],
    ids=repr,
)
def test_any_name_that_json_can_hold_is_read_exactly(name: str) -> None:
    for spelled in (json.dumps(name), json.dumps(name, ensure_ascii=False)):
        header = b'{%s:{"dtype":"U8","shape":[18],"data_offsets":[0,18]}}' % spelled.encode()
        assert list(parse(files.file(header)).tensors) == [name]


def test_no_tensors_are_an_empty_catalogue() -> None:
    assert parse(files.file(b"{}", b"")) == ({}, {}, 2, ())


def test_empty_tensors_may_share_a_place() -> None:
    assert len(parse(files.sharing({"a": 0, "b": 0, "c": 3, "d": 0})).tensors) == 4


@pytest.mark.parametrize(("build", "code"), files.DEFECTS.values(), ids=list(files.DEFECTS))
def test_a_defect_is_refused_with_its_rule(build: Callable[[], bytes], code: str) -> None:
    with pytest.raises(CkpttoolError) as caught:
        parse(build())
    assert caught.value.rule is not None
    assert (caught.value.rule.code, "\n" in str(caught.value)) == (code, False)
    assert len(str(caught.value)) < 700


def many(ranges: list[tuple[int, int]], data: int) -> bytes:
    """Return a file of ``data`` bytes whose tensors claim these ranges."""
    header = {
        f"w{number}": {"dtype": "U8", "shape": [end - begin], "data_offsets": [begin, end]}
        for number, (begin, end) in enumerate(ranges)
    }
    return files.file(json.dumps(header).encode(), bytes(data))


def test_tensors_that_claim_the_same_bytes_are_refused_before_all_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[object] = []
    usual = safetensors_header.HeaderReader._usual

    def counted(self: safetensors_header.HeaderReader, match: Any) -> Any:
        read.append(match)
        return usual(self, match)

    monkeypatch.setattr(safetensors_header.HeaderReader, "_usual", counted)
    with pytest.raises(MalformedError, match="overlaps the one before it") as raised:
        parse(many([(0, 100)] * 2_000, 1_000))
    assert raised.value.rule is rules.SAFETENSORS_LAYOUT
    assert len(read) < 20


def test_holes_between_the_first_tensors_are_no_defect_while_others_are_to_come() -> None:
    ranges = [(begin, begin + 10) for begin in range(0, 1_000, 10)]
    assert len(parse(many(ranges[::2] + ranges[1::2], 1_000)).tensors) == 100
    with pytest.raises(MalformedError, match="ends before its tensors do") as raised:
        parse(many(ranges[::2] + ranges[1::2], 300))
    assert raised.value.rule is rules.TRUNCATED
    assert raised.value.found == f"{len(many(ranges[::2] + ranges[1::2], 300)):,}"


@pytest.mark.parametrize("spaced", [False, True])
def test_tensors_out_of_the_order_of_their_bytes_are_checked_as_well(spaced: bool) -> None:
    assert len(parse(many([(10, 20), (0, 10), (20, 20), (20, 30)], 30)).tensors) == 4
    with pytest.raises(MalformedError, match="belong to none"):
        parse(many([(10, 20), (0, 9), (20, 30)], 30))
    with pytest.raises(MalformedError, match="behind the last tensor"):
        parse(many([(10, 20), (0, 10)] if spaced else [(0, 10), (10, 20)], 30))


def test_an_error_in_the_header_has_its_place_in_the_file() -> None:
    data = files.file(files.GOOD.replace(b"[2,2]", b"[2,x]"))
    with pytest.raises(MalformedError) as caught:
        parse(data)
    assert (caught.value.offset, caught.value.tensor) == (data.index(b"x]"), "w")


def test_cut_anywhere_it_is_refused() -> None:
    data = files.file()
    for length in range(len(data)):
        with pytest.raises(MalformedError):
            parse(data[:length])


@pytest.mark.parametrize(
    ("name", "most", "header"),
    [
        ("MAX_TENSORS", 1, files.GOOD),
        ("MAX_HEADER", 50, files.GOOD),
        ("MAX_WIDE_HEADER", 50, files.GOOD.replace(b"pt", "é".encode())),
        ("MAX_WIDE_HEADER", 50, files.GOOD.replace(b"pt", b"\\u00e9")),
    ],
    ids=["tensors", "header", "wide-header", "escaped-header"],
)
def test_more_than_any_real_file_has_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, most: int, header: bytes
) -> None:
    monkeypatch.setattr(reader, name, most)
    with pytest.raises(MalformedError) as caught:
        parse(files.file(header))
    assert caught.value.rule == rules.LIMIT


def test_more_metadata_than_any_real_file_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safetensors_header, "MAX_STRINGS", 1)
    with pytest.raises(MalformedError) as caught:
        parse(files.sharing({"w": 1}, {"a": "b", "c": "d"}))
    assert caught.value.rule == rules.LIMIT


def test_more_unusual_entries_than_any_real_file_has_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(safetensors_header, "MAX_UNUSUAL", 0)
    with pytest.raises(MalformedError) as caught:
        parse(files.file(files.GOOD.replace(b'"shape"', b'"\\u0073hape"')))
    assert caught.value.rule == rules.LIMIT


def test_a_claim_of_a_huge_header_allocates_nothing() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(MalformedError):
            parse(files.file(length=99_999_999))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("head", "answer"),
    [
        (files.file()[:512], True),
        (files.file(length=0), True),
        (b"PK\x03\x04", False),
        (b"", False),
    ],
    ids=["good", "length-zero", "zip", "empty"],
)
def test_the_brace_after_the_length_decides_the_format(head: bytes, answer: bool) -> None:
    assert reader.matches(head) is answer


def test_there_is_no_wrapper_to_ask_for(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(files.file())
    source = FileSource(str(path))
    assert reader.read(source, "").wrapper is None
    with pytest.raises(UsageError):
        reader.read(source, "model")
    source.close()


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_flipped_bytes_end_in_a_domain_error_or_a_tiling(data: st.DataObject) -> None:
    good = bytearray(files.file())
    for _ in range(data.draw(st.integers(1, 3))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        header = parse(bytes(good))
    except CkpttoolError:
        return
    # whatever is accepted, the library reads as the same
    expected = dict(safetensors.deserialize(bytes(good)))  # type: ignore[no-untyped-call]
    assert set(header.tensors) == set(expected)
    for name, info in header.tensors.items():
        extent = info.extents[0]
        assert list(info.shape) == expected[name]["shape"]
        assert good[extent.offset : extent.offset + extent.length] == expected[name]["data"]
