"""torch's three containers: what is read, and what is refused and why."""

from __future__ import annotations

import argparse
import collections
import struct
from pathlib import Path
from typing import Any, Callable

import pytest
import torch

from ckpttool import open_checkpoint
from ckpttool.files.sources import read_bytes
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError, UnsupportedError, UsageError
from ckpttool.findings.rules import Rule
from ckpttool.formats.objects.attributes import MAX_DIMENSIONS
from ckpttool.formats.state_dicts.holding import MAX_DEPTH
from ckpttool.formats.torch import legacy, tar
from ckpttool.tensors.catalogue import Checkpoint
from tests.builders import pickles as p
from tests.builders import torch_files as t

Opener = Callable[..., Checkpoint]


@pytest.fixture
def opened(tmp_path: Path) -> Opener:
    """Writes bytes to a file and opens it."""

    def write_and_open(data: bytes, wrapper: str | None = None) -> Checkpoint:
        path = tmp_path / "a.pth"
        path.write_bytes(data)
        return open_checkpoint(path, wrapper=wrapper)

    return write_and_open


@pytest.fixture
def saved(tmp_path: Path) -> Opener:
    """Saves an object with torch and opens the file."""

    def save_and_open(value: object, wrapper: str | None = None, **how: Any) -> Checkpoint:
        path = tmp_path / "a.pth"
        torch.save(value, path, **how)
        return open_checkpoint(path, wrapper=wrapper)

    return save_and_open


def bytes_of(checkpoint: Checkpoint, name: str) -> bytes:
    return b"".join(read_bytes(*extent) for extent in checkpoint.tensors[name].extents)


GOOD = {"zip": t.torch_zip(), "legacy": t.torch_legacy(), "tar": t.torch_tar()}


@pytest.mark.parametrize("data", GOOD.values(), ids=GOOD.keys())
def test_a_good_file_gives_its_tensor(data: bytes, opened: Opener) -> None:
    with opened(data) as checkpoint:
        info = checkpoint.tensors["w"]
        assert (info.dtype.name, info.strides) == ("float32", None)
        assert bytes_of(checkpoint, "w") == t.FOUR_FLOATS


@pytest.mark.parametrize("container", ["zip", "legacy", "tar"])
def test_truncation_at_every_byte_gives_a_domain_error(container: str, opened: Opener) -> None:
    data = GOOD[container].rstrip(b"\0") if container == "tar" else GOOD[container]
    for end in range(len(data)):
        if not any(data[max(end - 8, 0) : end + 8]):
            continue  # one of thousands of places in the padding of a tar
        with pytest.raises(CkpttoolError) as caught:
            opened(data[:end])
        assert caught.value.rule is not None


def one(held: bytes | None = None, **geometry: bytes) -> bytes:
    """A pickle body with one tensor ``w`` of the given geometry."""
    return p.dict_of((p.text("w"), p.tensor(held, **geometry)))


def beside(value: bytes) -> bytes:
    """A pickle body with a tensor ``w`` and something else."""
    return p.dict_of((p.text("w"), p.tensor()), (p.text("x"), value))


def sizes(*numbers: int) -> bytes:
    return p.tuple_of(*(p.integer(number) for number in numbers))


INTEGERS = p.storage(kind="IntStorage")
WEIGHT = p.text("w"), p.tensor()


def parameter(tensor: bytes, gradient: bytes) -> bytes:
    name = p.name("torch._utils", "_rebuild_parameter")
    return p.call(name, tensor, gradient, p.ordered_dict())


BAD_ZIPS: dict[str, tuple[bytes, Rule]] = {
    "second pickle": (
        t.torch_zip(members={"data.pkl": p.pickle(one()) + p.pickle(b"N")}),
        rules.PICKLE,
    ),
    "no version": (t.torch_zip(members={"version": None}), rules.TORCH_ARCHIVE),
    "version of the future": (t.torch_zip(members={"version": b"99"}), rules.TORCH_ARCHIVE),
    "another version of the future": (
        t.torch_zip(members={".data/version": b"99"}),
        rules.TORCH_ARCHIVE,
    ),
    "version no number": (t.torch_zip(members={"version": b"-3"}), rules.TORCH_ARCHIVE),
    "byte order unknown": (t.torch_zip(members={"byteorder": b"middle"}), rules.TORCH_ARCHIVE),
    "byte order in capitals": (
        t.torch_zip(members={"byteorder": None, "ByteOrder": b"big"}),
        rules.TORCH_ARCHIVE,
    ),
    "version in a folder in capitals": (
        t.torch_zip(members={".DATA/version": b"3\n"}),
        rules.TORCH_ARCHIVE,
    ),
    "constants in capitals": (t.torch_zip(members={"Constants.pkl": b"N."}), rules.TORCH_ARCHIVE),
    "alignment no number": (
        t.torch_zip(members={".storage_alignment": b"wide"}),
        rules.TORCH_ARCHIVE,
    ),
    "alignment empty": (t.torch_zip(members={".storage_alignment": b""}), rules.TORCH_ARCHIVE),
    "id no text": (t.torch_zip(members={".data/serialization_id": b"\xff1"}), rules.TORCH_ARCHIVE),
    "second top folder": (t.torch_zip(members={"../other/x": b""}), rules.ZIP_NAME),
    "record missing": (t.torch_zip(storages={}), rules.MISSING_STORAGE),
    "record short": (t.torch_zip(storages={"0": bytes(15)}), rules.STORAGE_SIZE),
    "record long": (t.torch_zip(storages={"0": bytes(17)}), rules.STORAGE_SIZE),
    "two dtypes": (
        t.torch_zip(
            p.dict_of(
                (p.text("a"), p.tensor()),
                (p.text("b"), p.tensor(p.storage(kind="IntStorage"))),
            )
        ),
        rules.STORAGE_SIZE,
    ),
    "negative offset": (t.torch_zip(one(offset=p.integer(-1))), rules.GEOMETRY),
    "offset true": (t.torch_zip(one(offset=b"\x88")), rules.GEOMETRY),
    "offset beyond": (t.torch_zip(one(offset=p.integer(1))), rules.GEOMETRY),
    "size negative": (t.torch_zip(one(shape=sizes(-4))), rules.GEOMETRY),
    "size true": (t.torch_zip(one(shape=b"\x88\x85")), rules.GEOMETRY),
    "size list": (t.torch_zip(one(shape=b"](K\x04e")), rules.GEOMETRY),
    "size beyond": (t.torch_zip(one(shape=sizes(5))), rules.GEOMETRY),
    "stride negative": (t.torch_zip(one(strides=sizes(-1))), rules.GEOMETRY),
    "stride beyond": (t.torch_zip(one(strides=sizes(2))), rules.GEOMETRY),
    "ranks differ": (t.torch_zip(one(strides=sizes(1, 1))), rules.GEOMETRY),
    "elements overflow": (
        t.torch_zip(one(shape=sizes(2**62, 4), strides=sizes(0, 0))),
        rules.GEOMETRY,
    ),
    "overflow beside a zero": (
        t.torch_zip(one(shape=sizes(2**62, 0, 4), strides=sizes(0, 0, 0))),
        rules.GEOMETRY,
    ),
    "span overflows": (t.torch_zip(one(shape=sizes(2), strides=sizes(2**63 - 1))), rules.GEOMETRY),
    "storage key a number": (
        t.torch_zip(one(p.tuple_of(p.text("storage"), b"NK\x01NK\x04") + b"Q")),
        rules.PERSISTENT_ID,
    ),
    "storage without a location": (
        t.torch_zip(
            one(
                p.tuple_of(
                    p.text("storage"), p.name("torch", "FloatStorage"), p.text("0"), b"N", b"K\x04"
                )
                + b"Q"
            )
        ),
        rules.PERSISTENT_ID,
    ),
    "persistent id of text": (t.torch_zip(one(p.text("0") + b"Q")), rules.PERSISTENT_ID),
    "storage class unknown": (
        t.torch_zip(one(p.storage(kind="Storage", module="evil"))),
        rules.PERSISTENT_ID,
    ),
    "persistent id of no tensor, empty": (t.torch_zip(beside(b")Q")), rules.PERSISTENT_ID),
    "persistent id of no tensor, of another class": (
        t.torch_zip(beside(p.storage(kind="Linear", module="torch.nn"))),
        rules.PERSISTENT_ID,
    ),
    "storage is no persistent id": (t.torch_zip(one(b"N")), rules.PERSISTENT_ID),
    "gradient of whole numbers": (t.torch_zip(one(INTEGERS, gradient=b"\x88")), rules.GEOMETRY),
    "gradient of whole numbers in a parameter": (
        t.torch_zip(p.dict_of((p.text("w"), parameter(p.tensor(INTEGERS), b"\x88")))),
        rules.GEOMETRY,
    ),
    "attribute of an object twice": (
        t.torch_zip(p.new(p.name("user", "State")) + p.dict_of(*[WEIGHT] * 2) + b"b"),
        rules.DUPLICATE_KEY,
    ),
    "item of an object twice": (
        t.torch_zip(p.new(p.name("user", "State")) + b"(" + b"".join(WEIGHT) * 2 + b"u"),
        rules.DUPLICATE_KEY,
    ),
    "text beside the tensors as a persistent id": (
        t.torch_zip(beside(p.text("0") + b"Q")),
        rules.PERSISTENT_ID,
    ),
    "record of no tensor missing": (
        t.torch_zip(beside(p.storage("1"))),
        rules.MISSING_STORAGE,
    ),
    "record of a call that is not run missing": (
        t.torch_zip(beside(p.call(p.name("mylib", "f"), p.storage("1")))),
        rules.MISSING_STORAGE,
    ),
    "rebuild without arguments": (
        t.torch_zip(
            p.dict_of(
                (p.text("w"), p.call(p.name("torch._utils", "_rebuild_tensor_v2"))),
                (p.text("x"), p.tensor()),
            )
        ),
        rules.GEOMETRY,
    ),
    "parameter around itself": (
        t.torch_zip(
            p.dict_of(
                (p.text("w"), p.call(p.name("torch._utils", "_rebuild_parameter"), b"N")),
            )
        ),
        rules.GEOMETRY,
    ),
    "name twice": (
        t.torch_zip(p.dict_of((p.text("w"), p.tensor()), (p.text("w"), p.tensor()))),
        rules.DUPLICATE_KEY,
    ),
    "python 2 name twice": (
        t.torch_zip(p.dict_of((p.text("w"), p.tensor()), (b"U\x01w", p.tensor()))),
        rules.DUPLICATE_KEY,
    ),
}


def test_a_storage_beside_the_tensors_is_read_like_those_of_tensors(opened: Opener) -> None:
    with opened(t.torch_zip(beside(p.storage()))) as checkpoint:
        assert [entry.key for entry in checkpoint.entries] == ["x"]


@pytest.mark.parametrize(("data", "rule"), BAD_ZIPS.values(), ids=BAD_ZIPS.keys())
def test_a_bad_zip_is_refused(data: bytes, rule: Rule, opened: Opener) -> None:
    with pytest.raises(MalformedError) as caught:
        opened(data)
    assert caught.value.rule is rule
    assert str(caught.value).count("\n") == 0


def number(value: int) -> bytes:
    return p.pickle(p.integer(value))


def viewed(*views: bytes) -> bytes:
    """A legacy stream with a tensor of two elements for each view of its one storage."""
    tensors = [
        (
            p.text(f"w{number}"),
            p.tensor(p.legacy_storage(view=view), shape=b"K\x02\x85"),
        )
        for number, view in enumerate(views)
    ]
    return t.torch_legacy(p.dict_of(*tensors))


def view(key: str, offset: int = 0, count: int = 2) -> bytes:
    return p.tuple_of(p.text(key), p.integer(offset), p.integer(count))


def module(*parts: bytes) -> bytes:
    """The persistent id of the source text of a class."""
    return p.tuple_of(p.text("module"), *parts) + b"Q"


BAD_LEGACY: dict[str, tuple[bytes, Rule]] = {
    "one view in two places": (viewed(view("v"), view("v", 2)), rules.LEGACY_STREAM),
    "one view of two lengths": (viewed(view("v"), view("v", 0, 3)), rules.LEGACY_STREAM),
    "view with a storage's key": (viewed(view("0", 1)), rules.LEGACY_STREAM),
    "view with a number for a key": (
        viewed(p.tuple_of(b"K\x01", b"K\x00", b"K\x02")),
        rules.PERSISTENT_ID,
    ),
    "view from a list on": (
        viewed(p.tuple_of(p.text("v"), b"]", b"K\x02")),
        rules.PERSISTENT_ID,
    ),
    "view of two parts": (viewed(p.tuple_of(p.text("v"), b"K\x00")), rules.PERSISTENT_ID),
    "view from True on": (
        viewed(p.tuple_of(p.text("v"), b"\x88", b"K\x02")),
        rules.PERSISTENT_ID,
    ),
    "view outside": (viewed(view("v", 3)), rules.GEOMETRY),
    "object in place of a class": (
        t.torch_legacy(module(one(p.legacy_storage()), b"N", b"N")),
        rules.PERSISTENT_ID,
    ),
    "a tar archive too": (t.legacy_and_tar(), rules.LEGACY_STREAM),
    "persistent id in the facts of the system": (
        t.torch_legacy(system=p.dict_of((p.text("little_endian"), p.legacy_storage()))),
        rules.LEGACY_STREAM,
    ),
    "persistent id in the list of keys": (
        t.torch_legacy(keys=p.pickle(b"](" + p.text("0") + b"e)Q0")),
        rules.LEGACY_STREAM,
    ),
    "key not listed": (t.torch_legacy(keys=p.pickle(b"]")), rules.LEGACY_STREAM),
    "key listed twice": (
        t.torch_legacy(keys=p.pickle(b"](" + p.text("0") * 2 + b"e")),
        rules.LEGACY_STREAM,
    ),
    "key of nothing": (
        t.torch_legacy(keys=p.pickle(b"](" + p.text("0") + p.text("1") + b"e")),
        rules.LEGACY_STREAM,
    ),
    "keys no list": (t.torch_legacy(keys=p.pickle(b"N")), rules.LEGACY_STREAM),
    "count of -1": (t.torch_legacy(storages=t.legacy_record(-1)), rules.STORAGE_SIZE),
    "count of 2**60": (t.torch_legacy(storages=t.legacy_record(2**60)), rules.STORAGE_SIZE),
    "huge on both sides": (
        t.torch_legacy(one(p.legacy_storage(count=2**60)), storages=t.legacy_record(2**60)),
        rules.TRUNCATED,
    ),
    "trailing bytes": (t.torch_legacy() + b"x", rules.LEGACY_STREAM),
    "storage missing": (t.torch_legacy(storages=b""), rules.TRUNCATED),
    "storage of two types": (
        t.torch_legacy(
            p.dict_of(
                (p.text("a"), p.tensor(p.legacy_storage())),
                (p.text("b"), p.tensor(p.legacy_storage(kind="LongStorage"))),
            )
        ),
        rules.STORAGE_SIZE,
    ),
    "protocol number": (
        t.torch_legacy(magic=number(t.MAGIC) + number(7)),
        rules.LEGACY_STREAM,
    ),
}


@pytest.mark.parametrize(("data", "rule"), BAD_LEGACY.values(), ids=BAD_LEGACY.keys())
def test_a_bad_legacy_stream_is_refused(data: bytes, rule: Rule, opened: Opener) -> None:
    with pytest.raises(MalformedError) as caught:
        opened(data)
    assert caught.value.rule is rule


WRONG_CHECKSUM = bytearray(t.torch_tar())
WRONG_CHECKSUM[0] ^= 1

BAD_TARS: dict[str, tuple[bytes, Rule]] = {
    "link": (t.torch_tar(extra=t.tar_member("x", b"", kind=b"2")), rules.TAR_STRUCTURE),
    "storage of no type": (
        t.torch_tar(storages=t.tar_storages().replace(b"FloatStorage", b"UntypedStorage")),
        rules.TAR_STRUCTURE,
    ),
    "hard link": (t.torch_tar(extra=t.tar_member("x", b"", kind=b"1")), rules.TAR_STRUCTURE),
    "device": (t.torch_tar(extra=t.tar_member("x", b"", kind=b"3")), rules.TAR_STRUCTURE),
    "sparse": (t.torch_tar(extra=t.tar_member("x", b"", kind=b"S")), rules.TAR_STRUCTURE),
    "name twice": (t.torch_tar(extra=t.tar_member("pickle", b"N.")), rules.TAR_STRUCTURE),
    "name outside": (t.torch_tar(extra=t.tar_member("../x", b"")), rules.TAR_STRUCTURE),
    "renamed by pax": (
        t.torch_tar(extra=t.tar_member("x", b"", extended=b"15 path=pickle\n")),
        rules.TAR_STRUCTURE,
    ),
    "pax of noise": (
        t.torch_tar(extra=t.tar_member("x", b"", extended=b"noise")),
        rules.TAR_STRUCTURE,
    ),
    "too many members": (
        t.torch_tar(extra=b"".join(t.tar_member(f"x{i}", b"") for i in range(70))),
        rules.LIMIT,
    ),
    "no end": (t.torch_tar(end=b""), rules.TRUNCATED),
    "bytes after the end": (t.torch_tar(end=bytes(1024) + b"x"), rules.TAR_STRUCTURE),
    "checksum": (bytes(WRONG_CHECKSUM), rules.CHECKSUM),
    "storage count -1": (t.torch_tar(storages=t.tar_storages(count=-1)), rules.TAR_STRUCTURE),
    "storage count 2**60": (
        t.torch_tar(storages=t.tar_storages(count=2**60)),
        rules.TAR_STRUCTURE,
    ),
    "view outside": (
        t.torch_tar(
            storages=t.tar_storages(b"]" + p.tuple_of(*map(p.integer, (8, 7, 3, 2))) + b"a")
        ),
        rules.GEOMETRY,
    ),
    "view of nothing": (
        t.torch_tar(
            storages=t.tar_storages(b"]" + p.tuple_of(*map(p.integer, (8, 6, 0, 2))) + b"a")
        ),
        rules.MISSING_STORAGE,
    ),
    "bytes after the storages": (
        t.torch_tar(storages=t.tar_storages() + b"x"),
        rules.TAR_STRUCTURE,
    ),
    "view under the key of its storage": (
        t.torch_tar(
            storages=t.tar_storages(b"]" + p.tuple_of(*map(p.integer, (7, 7, 0, 2))) + b"a")
        ),
        rules.TAR_STRUCTURE,
    ),
    "location no text": (
        t.torch_tar(storages=t.tar_storages(place=p.integer(0))),
        rules.TAR_STRUCTURE,
    ),
    "tensor twice": (t.torch_tar(tensors=t.tar_tensors(times=2)), rules.TAR_STRUCTURE),
    "too many dimensions": (
        t.torch_tar(tensors=t.tar_tensors(shape=(1,) * (MAX_DIMENSIONS + 1))),
        rules.TAR_STRUCTURE,
    ),
    "tensor of no storage": (
        t.torch_tar(tensors=t.tar_tensors(storage=5)),
        rules.MISSING_STORAGE,
    ),
    "tensor beyond its storage": (
        t.torch_tar(tensors=t.tar_tensors(shape=(3, 2))),
        rules.GEOMETRY,
    ),
    "object refers to no tensor": (
        t.torch_tar(tensors=t.tar_tensors(key=10)),
        rules.MISSING_STORAGE,
    ),
    "object in place of a class": (
        t.torch_tar(
            body=p.tuple_of(p.dict_of((p.text("w"), p.text("9") + b"Q")), b"N", b"N") + b"Q"
        ),
        rules.PERSISTENT_ID,
    ),
    "second pickle": (
        t.torch_tar(body=p.dict_of((p.text("w"), p.text("9") + b"Q")) + b".N"),
        rules.PICKLE,
    ),
}


def test_a_storage_that_a_dropped_object_refers_to_counts(opened: Opener) -> None:
    body = p.legacy_storage() + b"0" + p.dict_of((p.text("w"), p.tensor(p.legacy_storage())))
    with opened(t.torch_legacy(body)) as checkpoint:
        assert bytes_of(checkpoint, "w") == t.FOUR_FLOATS


@pytest.mark.parametrize(("data", "rule"), BAD_TARS.values(), ids=BAD_TARS.keys())
def test_a_bad_tar_is_refused(data: bytes, rule: Rule, opened: Opener) -> None:
    with pytest.raises(MalformedError) as caught:
        opened(data)
    assert caught.value.rule is rule


UNSUPPORTED = {
    "torchscript": t.torch_zip(members={"constants.pkl": b"N.", "code/a.py": b""}),
    "pickle of no checkpoint": p.pickle(p.dict_of((p.text("a"), b"K\x01"))),
    "text": b"(this is not a pickle)",
    "noise": b"\x01\x02\x03\x04",
    "tar of something else": t.tar_member("readme", b"hello") + bytes(1024),
    "tar of something else, many times": t.tar_member("readme", b"hello") * 70 + bytes(1024),
    "tar of quantized numbers": t.torch_tar(storages=t.tar_storages(kind="QInt8Storage")),
    "zip without a pickle": t.torch_zip(members={"data.pkl": None}),
    "zip without tensors": t.torch_zip(b"N"),
    "a single tensor": t.torch_zip(p.tensor()),
    "pickled module": t.torch_zip(p.name("mylib", "Net") + b")\x81" + one() + b"b"),
}


@pytest.mark.parametrize("data", UNSUPPORTED.values(), ids=UNSUPPORTED.keys())
def test_what_is_no_checkpoint_is_unsupported(data: bytes, opened: Opener) -> None:
    with pytest.raises(UnsupportedError) as caught:
        opened(data)
    assert caught.value.rule is not None
    assert caught.value.fix or caught.value.expected


@pytest.mark.parametrize(("kind", "width"), [("QInt8Storage", 1), ("QInt32Storage", 4)])
def test_a_quantized_tensor_leaves_the_others_of_a_legacy_stream_readable(
    kind: str, width: int, opened: Opener
) -> None:
    body = p.dict_of(
        (p.text("q"), p.tensor(p.legacy_storage("0", kind=kind))),
        (p.text("w"), p.tensor(p.legacy_storage("1"))),
    )
    keys = p.pickle(b"](" + p.text("0") + p.text("1") + b"e")
    storages = t.legacy_record(4, bytes(4 * width)) + t.legacy_record()
    with opened(t.torch_legacy(body, keys=keys, storages=storages)) as checkpoint:
        assert checkpoint.unread == (("q", "a quantized tensor"),)
        (extent,) = checkpoint.tensors["w"].extents
        assert read_bytes(extent.source, extent.offset, extent.length) == t.FOUR_FLOATS


def empty(storage: Callable[..., bytes], kind: str) -> bytes:
    return p.tensor(storage("9", 0, kind), shape=b"K\x00\x85")


def test_storages_without_elements_may_share_a_key_whatever_their_types(opened: Opener) -> None:
    both = [(p.text(kind), empty(p.storage, kind)) for kind in ("FloatStorage", "LongStorage")]
    data = t.torch_zip(p.dict_of(*both), storages={"9": b""})
    with opened(data) as checkpoint:
        assert [info.dtype.name for info in checkpoint.tensors.values()] == ["float32", "int64"]
    both = [
        (p.text(kind), empty(p.legacy_storage, kind)) for kind in ("FloatStorage", "LongStorage")
    ]
    keys = p.pickle(b"](" + p.text("9") + b"e")
    data = t.torch_legacy(p.dict_of(*both), keys=keys, storages=t.legacy_record(0, b""))
    with opened(data) as checkpoint:
        assert [info.dtype.name for info in checkpoint.tensors.values()] == ["float32", "int64"]


NAMES_WHERE_TORCH_WRITES_NONE = {
    "the magic number": {"magic": p.pickle(p.name("m", "f") + b"0" + p.integer(t.MAGIC))},
    "the system's facts": {"system": p.dict_of((p.text("little_endian"), p.name("m", "f")))},
    "the keys": {"keys": p.pickle(p.name("m", "f") + b"0](" + p.text("0") + b"e")},
}


@pytest.mark.parametrize(
    "parts", NAMES_WHERE_TORCH_WRITES_NONE.values(), ids=NAMES_WHERE_TORCH_WRITES_NONE.keys()
)
def test_a_legacy_stream_names_code_in_its_content_only(
    parts: dict[str, bytes], opened: Opener
) -> None:
    with pytest.raises(MalformedError) as caught:
        opened(t.torch_legacy(**parts))
    assert caught.value.rule is rules.LEGACY_STREAM
    assert "m.f" in str(caught.value)


def test_a_tar_with_a_pickle_beyond_the_limit_is_refused(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tar, "MAX_PICKLE", 8)
    with pytest.raises(MalformedError) as caught:
        opened(t.torch_tar())
    assert (caught.value.rule, caught.value.member) == (rules.LIMIT, "pickle")


def test_of_a_row_of_pickles_a_bounded_number_is_read_for_what_they_call(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(legacy, "_MOST_PICKLES", 2)
    attacks = [p.pickle(p.call(p.name("os", name), p.text("true"))) for name in NAMES]
    with pytest.raises(UnsupportedError) as caught:
        opened(p.pickle(b"N") + b"".join(attacks))
    assert [str(use.name) for use in caught.value.uses] == ["os.system", "os.popen"]


NAMES = ("system", "popen", "execv")


def test_a_pickle_of_joblib_is_not_called_malformed(opened: Opener) -> None:
    wrapper = p.new(p.name("joblib.numpy_pickle", "NumpyArrayWrapper")) + p.dict_of() + b"b"
    with pytest.raises(UnsupportedError) as caught:
        opened(p.PROTO2 + b"](" + wrapper + bytes(64) + b"e.")
    assert "joblib" in str(caught.value)
    assert [use.name for use in caught.value.uses] == ["joblib.numpy_pickle.NumpyArrayWrapper"]


def test_a_state_dict_without_tensors_is_one(saved: Opener) -> None:
    for state in ({}, torch.nn.ReLU().state_dict()):
        with saved(state) as checkpoint:
            assert checkpoint.tensors == {}
            assert checkpoint.uses == ()


def test_the_upper_half_of_a_tars_dimensions_means_nothing(opened: Opener) -> None:
    with opened(t.torch_tar(tensors=t.tar_tensors(after_dimensions=7))) as checkpoint:
        assert checkpoint.tensors["w"].shape == (2, 2)


def test_torch_reads_the_hand_written_tar_as_we_do(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(t.torch_tar())
    theirs = torch.load(path, weights_only=False)["w"]
    assert theirs.tolist() == [[1, 2], [3, 4]]
    with open_checkpoint(str(path)) as checkpoint:
        assert checkpoint.tensors["w"].shape == (2, 2)
        assert bytes_of(checkpoint, "w") == theirs.numpy().tobytes()


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")  # torch 2.0, of its own doing
def test_views_of_a_storage_are_read_where_they_lie(opened: Opener, tmp_path: Path) -> None:
    with opened(viewed(view("a"), view("b", 2), view("a"))) as checkpoint:
        ours = [bytes_of(checkpoint, name) for name in checkpoint.tensors]
    theirs = torch.load(tmp_path / "a.pth", weights_only=True).values()
    assert ours == [tensor.numpy().tobytes() for tensor in theirs]


def test_the_source_text_of_a_class_stands_for_the_class(opened: Opener) -> None:
    ordered = module(p.name("collections", "OrderedDict"), p.text("a.py"), p.text("class"))
    body = p.call(ordered) + p.text("w") + p.tensor(p.legacy_storage()) + b"s"
    with opened(t.torch_legacy(body)) as checkpoint:
        assert list(checkpoint.tensors) == ["w"]


def test_torch_takes_the_stream_that_is_a_tar_too_for_a_tar(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(t.legacy_and_tar())
    # older releases go on to look for the members of the tar
    with pytest.raises((RuntimeError, KeyError), match=r"legacy \.tar format|storages"):
        torch.load(path, weights_only=True)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_honest_strangers_stay_readable_and_are_listed(zipped: bool, saved: Opener) -> None:
    value = {
        "model": {"w": torch.ones(2)},
        "args": argparse.Namespace(lr=1e-3),
        "epoch": 7,
        "path": Path("x"),
    }
    with saved(value, _use_new_zipfile_serialization=zipped) as checkpoint:
        assert checkpoint.wrapper == "model"
        assert "argparse.Namespace" in map(str, checkpoint.references)
        entries = {entry.key: entry for entry in checkpoint.entries}
        assert entries["epoch"].summary == "7"
        assert entries["args"].kind == "argparse.Namespace"
        assert entries["args"].summary == "1 attribute"


def weights(count: int) -> dict[str, torch.Tensor]:
    return {f"w{i}": torch.ones(1) for i in range(count)}


WRAPPERS: dict[str, tuple[dict[str, Any], str | None]] = {
    "bare": (weights(3), None),
    "model": ({"epoch": 1, "model": weights(3)}, "model"),
    "state_dict after a small dict": (
        {"extra": weights(1), "state_dict": weights(4)},
        "state_dict",
    ),
    "average before an unknown name": ({"average": weights(3), "net2": weights(3)}, "net2"),
    "exponential average first in the alphabet": (
        {"a_ema": weights(3), "weights": weights(3)},
        "weights",
    ),
    "shadow and swa last": (
        {"shadow": weights(3), "swa": weights(4), "trained": weights(3)},
        "trained",
    ),
    "raw before average": ({"model_ema": weights(3), "model": weights(3)}, "model"),
    "average with a usual name inside": (
        {"ema": {"module": weights(3)}, "model": weights(3)},
        "model",
    ),
    "the shallower of two alike": ({"a": {"model": weights(3)}, "model": weights(3)}, "model"),
    "average alone": ({"model_ema": weights(3), "epoch": 1}, "model_ema"),
    "student before teacher": ({"teacher": weights(3), "student": weights(3)}, "student"),
    "nested": ({"state": {"inner": {"model": weights(3)}}}, "state.inner.model"),
    "as deep as is looked": ({"a": {"b": {"c": {"d": weights(3)}}}}, "a.b.c.d"),
    "stray tensor at the root": ({"step": torch.ones(1), "model": weights(3)}, "model"),
    "optimizer beside": (
        {
            "optimizer": {"state": {0: {"exp_avg": torch.ones(1)}}, "param_groups": []},
            "model": weights(3),
        },
        "model",
    ),
    "ordered": ({"state_dict": collections.OrderedDict(weights(2))}, "state_dict"),
}


@pytest.mark.parametrize(("value", "taken"), WRAPPERS.values(), ids=WRAPPERS.keys())
def test_the_state_dict_is_found_by_content(
    value: dict[str, Any], taken: str | None, saved: Opener
) -> None:
    with saved(value) as checkpoint:
        assert checkpoint.wrapper == taken
        assert checkpoint.wrappers[0].key == (taken or "")
        assert checkpoint.wrappers[0].tensors == len(checkpoint.tensors)


def test_a_state_dict_that_lies_deeper_is_not_looked_for_and_that_is_said(saved: Opener) -> None:
    value = weights(3)
    for _ in range(MAX_DEPTH):
        value = {"a": value}  # type: ignore[dict-item]
    with pytest.raises(UnsupportedError, match=r"there are some in a \(3 tensors\)"):
        saved(value)


def test_a_wrapper_that_is_asked_for_is_taken(saved: Opener) -> None:
    value = {"model": weights(3), "model_ema": weights(3)}
    with saved(value, "model_ema") as checkpoint:
        assert [wrapper.key for wrapper in checkpoint.wrappers] == ["model_ema", "model"]


def test_a_wrapper_that_is_not_there_is_a_usage_error(saved: Opener) -> None:
    with pytest.raises(UsageError, match="'model'"):
        saved({"model": weights(3)}, "ema")


def test_bytes_as_keys_are_listed_and_not_read(saved: Opener) -> None:
    with saved({"w": torch.ones(1), b"w": torch.ones(1), (1, 2): torch.ones(1)}) as checkpoint:
        assert list(checkpoint.tensors) == ["w"]
        assert [name for name, _ in checkpoint.unread] == ["b'w'", "<tuple>"]


def test_a_sparse_tensor_is_listed_with_its_kind(saved: Opener) -> None:
    sparse = torch.eye(2).to_sparse()
    with saved({"w": torch.ones(1), "s": sparse}) as checkpoint:
        assert checkpoint.unread == (("s", "a sparse tensor"),)


def test_tied_and_strided_tensors_share_their_storage(saved: Opener) -> None:
    base = torch.arange(6.0).view(2, 3)
    with saved({"a": base, "b": base, "t": base.t(), "part": base[1]}) as checkpoint:
        a, b, turned, part = (checkpoint.tensors[name] for name in ("a", "b", "t", "part"))
        assert a.extents == b.extents
        assert a.storage == b.storage == turned.storage == part.storage
        assert turned.strides == (1, 3)
        assert part.strides is None
        assert bytes_of(checkpoint, "part") == struct.pack("<3f", 3, 4, 5)


def test_an_expanded_tensor_lies_in_what_it_repeats(saved: Opener) -> None:
    with saved({"e": torch.ones(1).expand(1000)}) as checkpoint:
        info = checkpoint.tensors["e"]
        assert info.strides == (0,)
        assert sum(extent.length for extent in info.extents) == 4
        assert info.nbytes == 4000


def test_empty_and_single_tensors_are_read(saved: Opener) -> None:
    with saved({"empty": torch.zeros(0, 4), "single": torch.tensor(2.5)}) as checkpoint:
        assert checkpoint.tensors["empty"].shape == (0, 4)
        assert checkpoint.tensors["empty"].extents == ()
        assert bytes_of(checkpoint, "single") == struct.pack("<f", 2.5)


def test_every_storage_has_its_checksum_to_check(saved: Opener) -> None:
    with saved({"a": torch.ones(3), "b": torch.ones(5)}) as checkpoint:
        assert [checksum.extent.length for checksum in checkpoint.checksums] == [12, 20]
