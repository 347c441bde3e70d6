"""What the reader of sharded checkpoints accepts, and that it refuses everything else."""

from __future__ import annotations

import json
import resource
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckpttool import open_checkpoint
from ckpttool.files.sources import FileSource, read_bytes
from ckpttool.findings import rules
from ckpttool.findings.errors import (
    CkpttoolError,
    MalformedError,
    UnreadableError,
    UnsupportedError,
    UsageError,
)
from ckpttool.formats.sharded import index as shard_index
from ckpttool.formats.sharded import shards as sharded
from ckpttool.tensors.catalogue import Checkpoint, Entry
from tests.builders import safetensors as files
from tests.builders import shards


def parse(path: Path) -> Checkpoint:
    source = FileSource(str(path))
    try:
        return sharded.read(source, None)
    except BaseException:
        source.close()
        raise


def test_the_tensors_of_all_shards_are_read_in_the_order_of_the_index(tmp_path: Path) -> None:
    path = shards.good(tmp_path)
    with parse(path) as checkpoint:
        assert list(checkpoint.tensors) == ["b", "a", "c"]
        assert checkpoint.format == "safetensors-sharded"
        assert [Path(source.name).name for source in checkpoint.sources] == [
            shards.INDEX,
            shards.FIRST,
            shards.SECOND,
        ]
        assert checkpoint.sources[0].name == checkpoint.path == str(path)
        for info in checkpoint.tensors.values():
            (extent,) = info.extents
            assert read_bytes(extent.source, extent.offset, extent.length) == bytes(info.nbytes)


def test_metadata_is_what_all_shards_agree_on(tmp_path: Path) -> None:
    with parse(shards.good(tmp_path)) as checkpoint:
        assert checkpoint.metadata == {"format": "pt"}
        assert checkpoint.entries == (Entry("metadata.total_size", "int", "12"),)


def test_an_index_without_metadata_is_read(tmp_path: Path) -> None:
    (tmp_path / "one.safetensors").write_bytes(files.sharing({"a": 1}))
    with parse(shards.write_text(tmp_path, '{"weight_map":{"a":"one.safetensors"}}')) as found:
        assert found.parameters == 1


def test_an_index_named_without_a_folder_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards.good(tmp_path)
    monkeypatch.chdir(tmp_path)
    with parse(Path(shards.INDEX)) as found:
        assert found.sources[1].name == shards.FIRST


def test_the_cache_of_the_hub_is_read_through_its_links(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "0a1b"
    shards.good(blobs)
    snapshot.mkdir(parents=True)
    for number, name in enumerate((shards.INDEX, shards.FIRST, shards.SECOND)):
        (blobs / name).rename(blobs / f"{number:064x}")
        (snapshot / name).symlink_to(f"../../blobs/{number:064x}")
    with parse(snapshot / shards.INDEX) as checkpoint:
        assert list(checkpoint.tensors) == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("build", "code", "word"), shards.DEFECTS.values(), ids=list(shards.DEFECTS)
)
def test_a_defect_is_refused_with_its_rule(
    tmp_path: Path, build: Callable[[Path], Path], code: str, word: str
) -> None:
    path = build(tmp_path / "folder")
    with pytest.raises(CkpttoolError) as caught:
        parse(path)
    text = str(caught.value)
    assert caught.value.rule is not None
    assert (caught.value.rule.code, "\n" in text) == (code, False)
    assert word in text


def test_every_offender_is_named(tmp_path: Path) -> None:
    shards.good(tmp_path)
    path = shards.write(tmp_path, {"a": shards.SECOND, "x": shards.FIRST, "y": "gone.safetensors"})
    with pytest.raises(MalformedError) as caught:
        parse(path)
    for offender in (
        "a lies in",
        "x lies in",
        "1 of 3 shards not there: gone.safetensors",
        "b in",
        "c in",
    ):
        assert offender in caught.value.message


@pytest.mark.parametrize("build", shards.TOTALS.values(), ids=list(shards.TOTALS))
def test_another_total_size_is_a_note(tmp_path: Path, build: Callable[[Path], Path]) -> None:
    with parse(build(tmp_path)) as checkpoint:
        (remark,) = checkpoint.remarks
    assert (remark.rule, remark.expected) == (rules.INDEX_TOTAL, "12")


def test_the_right_total_size_is_no_note(tmp_path: Path) -> None:
    with parse(shards.good(tmp_path)) as checkpoint:
        assert checkpoint.remarks == ()


def test_how_the_header_of_a_shard_is_spelled_is_told_of_the_index(tmp_path: Path) -> None:
    path = shards.good(tmp_path)
    header = json.dumps({"a": {"dtype": "U8", "shape": [3], "data_offsets": [0, 3]}})
    (tmp_path / shards.FIRST).write_bytes(files.file(header.encode() + b"\n", bytes(3)))
    with parse(path) as checkpoint:
        (remark,) = checkpoint.remarks
    assert shards.FIRST in remark.message


def test_missing_shards_are_one_line(tmp_path: Path) -> None:
    path = shards.good(tmp_path)
    for name in (shards.FIRST, shards.SECOND):
        (tmp_path / name).unlink()
    with pytest.raises(MalformedError) as caught:
        parse(path)
    assert caught.value.message == f"2 of 2 shards not there: {shards.FIRST}, {shards.SECOND}"
    assert caught.value.fix is not None
    assert "Put the missing files beside the index" in caught.value.fix
    assert "ckpttool index FOLDER --force" in caught.value.fix


def test_shards_that_nothing_lists_are_not_to_be_left_out_of_another_index(tmp_path: Path) -> None:
    names = [f"model-0000{number}-of-00003.safetensors" for number in (1, 3)]
    for name in names:
        (tmp_path / name).write_bytes(files.sharing({name: 1}))
    path = shards.write(tmp_path, {name: name for name in names})
    with pytest.raises(MalformedError, match=r"00002-of-00003.* is not listed") as caught:
        parse(path)
    assert caught.value.fix is not None
    assert "export again" in caught.value.fix
    assert "ckpttool index" not in caught.value.fix


def test_what_is_in_a_missing_shard_is_said(tmp_path: Path) -> None:
    path = shards.good(tmp_path)
    (tmp_path / shards.SECOND).unlink()
    with pytest.raises(MalformedError) as caught:
        parse(path)
    assert caught.value.message == f"1 of 2 shards not there: {shards.SECOND}, with 2 of 3 tensors"


def test_shards_that_only_the_names_count_are_one_line(tmp_path: Path) -> None:
    shards.good(tmp_path)
    (tmp_path / shards.FIRST).rename(tmp_path / "model-00001-of-00030.safetensors")
    path = shards.write(tmp_path, {"a": "model-00001-of-00030.safetensors"})
    with pytest.raises(MalformedError) as caught:
        parse(path)
    assert "29 shards that the names count are not listed" in caught.value.message
    assert caught.value.message.count(".safetensors") == 3


def test_many_offenders_are_counted(tmp_path: Path) -> None:
    shards.good(tmp_path)
    path = shards.write(tmp_path, {**shards.MAP, **{f"x{i}": shards.FIRST for i in range(1000)}})
    with pytest.raises(MalformedError) as caught:
        parse(path)
    assert "+980 more" in caught.value.message
    assert len(caught.value.message) < 5000


@pytest.mark.parametrize("name", ["MAX_SHARDS", "MAX_TENSORS"])
def test_more_than_any_real_index_has_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(shard_index, name, 1)
    with pytest.raises(MalformedError) as caught:
        parse(shards.good(tmp_path))
    assert caught.value.rule == rules.LIMIT


@pytest.mark.parametrize(("name", "most"), [("MAX_TENSORS", 2), ("MAX_HEADERS", 200)])
def test_shards_that_are_too_much_together_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    monkeypatch.setattr(sharded, name, most)
    with pytest.raises(MalformedError) as caught:
        parse(shards.good(tmp_path))
    assert caught.value.rule == rules.LIMIT


@contextmanager
def descriptors(folder: Path, more: int) -> Iterator[None]:
    """Let this process open so many files more."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with (folder / "probe").open("wb") as probe:
        used = probe.fileno()  # the lowest that is free
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + more, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_too_few_file_descriptors_are_a_domain_error_with_advice(tmp_path: Path) -> None:
    path = shards.many(tmp_path, 40)
    with descriptors(tmp_path, 20), pytest.raises(UnreadableError) as caught:
        parse(path)
    assert "ulimit" in str(caught.value)
    with parse(path) as checkpoint:  # and the refusal left none open
        assert len(checkpoint.tensors) == 40


def test_more_shards_than_may_be_open_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharded, "MAX_OPEN", 5)
    path = shards.many(tmp_path, 40)
    with descriptors(tmp_path, 20), parse(path) as checkpoint:
        contents = [read_bytes(*info.extents[0]) for info in checkpoint.tensors.values()]
        checkpoint.check_unchanged()
    assert contents == [bytes(1)] * 40


@pytest.mark.parametrize("changed", ["first", "last"])
def test_a_shard_that_another_file_replaced_is_noticed(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharded, "MAX_OPEN", 1)
    with parse(shards.many(tmp_path, 2)) as checkpoint:
        extent = list(checkpoint.tensors.values())[changed == "last"].extents[0]
        path = Path(extent.source.name)
        path.with_suffix(".new").write_bytes(path.read_bytes())
        path.with_suffix(".new").replace(path)
        if changed == "first":  # open, it is still the file that it was
            assert read_bytes(*extent) == bytes(1)
            return
        with pytest.raises(UnreadableError) as caught:
            read_bytes(*extent)
        assert caught.value.rule is rules.CHANGED
        with pytest.raises(UnreadableError):
            checkpoint.check_unchanged()


def test_there_is_no_wrapper_to_ask_for(tmp_path: Path) -> None:
    source = FileSource(str(shards.good(tmp_path)))
    with pytest.raises(UsageError):
        sharded.read(source, "model")
    source.close()


@pytest.mark.parametrize(
    ("head", "answer"),
    [
        (b'{"metadata": {}', True),
        (b' \n\t{\n "weight_map"', True),
        (b"\xef\xbb\xbf{", True),
        (files.file(length=0x7B)[:512], False),
        (b"[1]", False),
        (b"", False),
    ],
    ids=["index", "indented", "byte-order-mark", "safetensors-of-123-bytes", "list", "empty"],
)
def test_an_object_of_json_is_told_from_a_length_that_looks_like_one(
    head: bytes, answer: bool
) -> None:
    assert sharded.matches(head) is answer


@pytest.mark.parametrize(
    "text",
    [
        b'{"loss": 1}\n{"loss": 2}\n',
        b"{% for one in all %}",
        b"{'python': 1}",
        b"{ // a comment\n}",
        b'{"a": 1, "a": 2}',
        b'{"a": ',
        b'{"a": NaN}',
    ],
)
def test_text_that_only_begins_as_an_index_does_is_no_malformed_one(
    text: bytes, tmp_path: Path
) -> None:
    (tmp_path / "log.bin").write_bytes(text)
    with pytest.raises(UnsupportedError, match="it has no weight_map"):
        open_checkpoint(str(tmp_path / "log.bin"))
    (tmp_path / shards.INDEX).write_bytes(text)
    with pytest.raises(MalformedError):
        open_checkpoint(str(tmp_path / shards.INDEX))


def test_cut_anywhere_it_is_refused(tmp_path: Path) -> None:
    path = shards.good(tmp_path)
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(CkpttoolError):
            parse(path)


@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_flipped_bytes_end_in_a_domain_error_or_the_same_tensors(
    tmp_path: Path, data: st.DataObject
) -> None:
    path = shards.good(tmp_path)
    changed = bytearray(path.read_bytes())
    changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(changed))
    try:
        checkpoint = parse(path)
    except CkpttoolError:
        return
    with checkpoint:
        assert list(checkpoint.tensors) == ["b", "a", "c"]
