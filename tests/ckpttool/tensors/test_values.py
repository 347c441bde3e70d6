from __future__ import annotations

import hashlib
import pickle
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, UnreadableError
from ckpttool.tensors import examining, read_plan, sharing
from ckpttool.tensors.catalogue import Checksum, Extent, TensorInfo
from ckpttool.tensors.dtypes import DTYPES
from ckpttool.tensors.examining import TensorValues
from ckpttool.tensors.sharing import AMPLIFIED
from ckpttool.tensors.values import BadChecksum, Values, start_values
from tests.builders import tensors as built
from tests.builders.executors import EXECUTORS, executor

if TYPE_CHECKING:
    from typing import Collection, Mapping, Sequence


def values_of(
    tensors: Mapping[str, TensorInfo],
    checksums: Sequence[Checksum] = (),
    keep: Collection[str] = (),
    workers: int = 2,
) -> Values:
    with start_values(tensors, checksums, keep=keep, workers=workers) as run:
        return run.result()


def one(info: TensorInfo) -> TensorValues:
    return values_of({"it": info}).tensors["it"]


def zoo() -> dict[str, TensorInfo]:
    """Tensors of many kinds and sizes, some of them the same."""
    random = np.random.default_rng(0)
    infos = [
        built.from_array(random.normal(size=(40, 50)).astype(np.float32), "big"),
        built.from_array(random.normal(size=7).astype(np.float16), "half"),
        built.from_array(np.array([1.5, float("nan")]), "bad"),
        built.from_array(np.arange(-3, 9, dtype=np.int64), "ids"),
        built.in_memory(bytes(range(48)), "float32", (3, 4), (1, 3), name="transposed"),
        built.in_memory(b"", "float32", (0, 4), name="empty"),
        built.in_memory(b"\x3f\x80\0\0", "float32", (1,), big_endian=True, name="big-endian"),
        built.in_parts([b"abcd", b"efghijkl"], "float32", (3,)),
        built.in_memory(bytes(16), "complex64", (2,), name="complex"),
        built.in_memory(b"abc", "float4_e2m1", (6,), name="tiny"),
    ]
    found = dict(built.catalogue(infos))
    found["alias"] = found["big"]._replace(name="alias")
    return found


def test_the_digest_is_of_the_little_endian_contiguous_bytes() -> None:
    matrix = np.arange(12, dtype=">f4").reshape(3, 4)
    info = built.in_memory(matrix.tobytes(), "float32", (4, 3), (1, 4), big_endian=True)
    assert one(info).digest == hashlib.sha256(matrix.T.astype("<f4").tobytes()).hexdigest()


def test_digests_are_computed_only_if_they_are_asked_for() -> None:
    with start_values(zoo(), (), digests=False) as run:
        found = run.result()
    assert {one.digest for one in found.tensors.values()} == {""}
    plain = values_of(zoo())
    assert (found.digested, plain.digested) == (False, True)
    assert [one[1:] for one in found.tensors.values()] == [
        one[1:] for one in plain.tensors.values()
    ]


def test_statistics_are_over_the_elements() -> None:
    found = one(built.from_array(np.array([[3.0, -4.0]], np.float32)))
    assert found[1:3] == (-4.0, 3.0)
    assert found.rms == pytest.approx(12.5**0.5)
    assert (found.nan, found.infinite) == (0, 0)


def test_an_empty_tensor_has_a_digest_and_nothing_else() -> None:
    found = one(built.in_memory(b"", "float32", (0,)))
    assert found == TensorValues(hashlib.sha256(b"").hexdigest(), None, None, None, 0, 0, 0)


def test_complex_numbers_have_counts_only() -> None:
    array = np.array([1 + 2j, complex(float("nan"), float("inf"))], np.complex64)
    assert one(built.from_array(array))[1:6] == (None, None, None, 1, 1)


def test_types_below_a_byte_have_a_digest_only() -> None:
    found = one(built.in_memory(b"abc", "float4_e2m1", (6,)))
    assert (found.digest, *found[1:6]) == (hashlib.sha256(b"abc").hexdigest(), *[None] * 3, 0, 0)


@pytest.mark.parametrize("chunk", [16, 64, 4 << 20])
@pytest.mark.parametrize("workers", [1, 4])
def test_workers_and_chunks_change_nothing(
    workers: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examining, "CHUNK", chunk)
    monkeypatch.setattr(read_plan, "_GROUP", 64)
    tensors = zoo()
    found = values_of(tensors, keep=tensors, workers=workers)
    assert list(found.tensors) == list(tensors)
    for name, info in tensors.items():
        data = bytes(found.kept[name].data)
        assert found.tensors[name].digest == hashlib.sha256(data).hexdigest()
        assert len(data) == info.nbytes
    plain = values_of(zoo(), workers=1)
    if chunk == 4 << 20:
        assert found.tensors == plain.tensors
    assert [(v.digest, v.minimum, v.maximum, v.nan) for v in found.tensors.values()] == [
        (v.digest, v.minimum, v.maximum, v.nan) for v in plain.tensors.values()
    ]


@pytest.mark.parametrize("name", EXECUTORS)
def test_an_executor_of_the_caller_changes_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_plan, "_GROUP", 64)
    with executor(name) as given, start_values(zoo(), (), executor=given) as run:
        assert run.result() == values_of(zoo(), workers=1)


def test_what_is_kept_is_aligned_writable_and_only_what_was_asked_for() -> None:
    random = np.random.default_rng(0)
    tensors = {
        name: built.from_array(random.normal(size=5).astype(np.float32), name) for name in "abc"
    }
    kept = values_of(tensors, keep=["c", "a", "stranger"]).kept
    assert list(kept) == ["a", "c"]
    for stored in kept.values():
        assert np.frombuffer(stored.data, np.uint8).ctypes.data % 64 == 0
        assert not stored.data.readonly
        assert (stored.dtype, stored.shape, len(stored.data)) == (DTYPES["float32"], (5,), 20)


def test_the_bytes_outlive_the_pass() -> None:
    kept = values_of({"a": built.in_memory(b"abcd", "float32", (1,))}, keep=["a"]).kept
    assert bytes(kept["a"].data) == b"abcd"


def test_the_same_view_is_read_once_and_shared() -> None:
    info = built.in_memory(b"abcd", "float32", (1,))
    found = values_of({"a": info, "b": info._replace(name="b")}, keep=["b"])
    assert found.tensors["a"] is found.tensors["b"]
    assert found.kept["a"].data is found.kept["b"].data
    source = info.extents[0].source
    assert isinstance(source, built.FencedSource)
    assert source.read_bytes == 4


def test_results_are_picklable() -> None:
    found = values_of(zoo())
    assert pickle.loads(pickle.dumps(found.tensors)) == found.tensors


# --- checksums ---------------------------------------------------------------------------


def covered_by(case: str) -> tuple[TensorInfo, TensorInfo]:
    """A tensor, and the one whose extent the stored checksum is over."""
    whole = built.in_memory(bytes(range(24)), "float16", (12,))
    source, offset, _ = whole.extents[0]
    return {
        "a whole tensor": whole,
        "a part of it": whole._replace(shape=(2,), extents=(Extent(source, offset, 4),)),
        "a transposed tensor": whole._replace(shape=(3, 4), strides=(1, 3)),
        "a big-endian tensor": whole._replace(big_endian=True),
        "nothing": built.in_memory(b"ab", "float16", (1,)),
    }[case], whole


CASES = [
    "a whole tensor",
    "a part of it",
    "a transposed tensor",
    "a big-endian tensor",
    "nothing",
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("change", [0, 1], ids=["right", "wrong"])
def test_a_stored_checksum_is_compared_whatever_covers_it(case: str, change: int) -> None:
    info, whole = covered_by(case)
    checksum = built.stored(whole, change=change)
    found = values_of({"it": info}, [checksum])
    right = checksum.crc32 ^ change
    wanted = (BadChecksum("data/0", checksum.crc32, right),) if change else ()
    assert (found.checksums_checked, found.bad_checksums) == (1, wanted)


def test_of_many_checksums_over_nothing_the_wrong_one_is_found() -> None:
    parts = [built.in_memory(bytes([number]), "uint8", (1,)) for number in range(50)]
    checksums = [built.stored(part, f"data/{n}", n == 33) for n, part in enumerate(parts)]
    found = values_of({}, checksums)
    assert found.checksums_checked == 50
    assert [bad.member for bad in found.bad_checksums] == ["data/33"]


def test_a_checksum_over_a_whole_tensor_costs_no_second_reading() -> None:
    info = built.in_memory(bytes(100), "uint8", (100,))
    checksum = built.stored(info)
    source = info.extents[0].source
    assert isinstance(source, built.FencedSource)
    source.read_bytes = 0
    values_of({"a": info, "b": info._replace(dtype=DTYPES["int8"])}, [checksum])
    assert source.read_bytes == 200  # two views; the sum came with the first


# --- amplification -----------------------------------------------------------------------


def test_a_small_expansion_is_read() -> None:
    info = built.in_memory(b"\0\0\x80\x3f", "float32", (1000, 5), (0, 0))
    assert one(info)[1:4] == (1.0, 1.0, 1.0)


def test_views_that_expand_without_bound_are_not_read() -> None:
    honest = built.from_array(np.ones(4, np.float32), "honest")
    tensors = {"honest": honest, **built.endless_views(20, 1 << 20)}
    found = values_of(tensors, keep=tensors)
    assert list(found.tensors) == ["honest"]
    assert list(found.kept) == ["honest"]
    assert found.skipped == dict.fromkeys(list(tensors)[1:], AMPLIFIED)


@pytest.mark.parametrize(
    ("slack", "refused"), [pytest.param(48, False, id="at"), pytest.param(47, True, id="above")]
)
def test_the_cap_is_on_all_views_together(
    slack: int, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = built.in_memory(bytes(38), "uint8", (38,))
    source, offset, _ = storage.extents[0]
    windows = {  # 10 x 20 bytes over 38 of the file; the cap is 4 x 38 + 48
        f"window{start}": storage._replace(
            shape=(20,), extents=(Extent(source, offset + start, 20),)
        )
        for start in range(0, 20, 2)
    }
    monkeypatch.setattr(sharing, "AMPLIFICATION_SLACK", slack)
    assert set(values_of(windows).skipped) == (set(windows) if refused else set())


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("chunk", [16, 8 << 20])
def test_tensors_are_compared_with_their_twins_as_they_are_read(
    monkeypatch: pytest.MonkeyPatch, workers: int, chunk: int
) -> None:
    monkeypatch.setattr(examining, "ROW", 1)  # none of them is small
    monkeypatch.setattr(examining, "CHUNK", chunk)
    monkeypatch.setattr(examining, "_TWIN", min(chunk, 16))
    tensors, others = zoo(), zoo()
    changed = np.ones((40, 50), np.float32)
    others["big"] = built.from_array(changed, "big")
    others["ids"] = others["ids"]._replace(extents=built.from_array(np.arange(12)).extents)
    twins: dict[object, TensorInfo] = {
        info.view: others[name] for name, info in tensors.items() if name not in ("half", "alias")
    }
    twins[tensors["big"].view] = others["big"]
    with start_values(tensors, (), workers=workers, twins=twins) as run:
        found = run.result()
    same = {name: one.same for name, one in found.tensors.items()}
    assert [name for name, told in same.items() if told is False] == ["big", "ids", "alias"]
    assert [name for name, told in same.items() if told is None] == ["half"]
    plain = values_of(tensors).tensors
    assert repr({name: one._replace(same=None) for name, one in found.tensors.items()}) == repr(
        plain
    )


def test_a_twin_that_cannot_be_read_leaves_it_open() -> None:
    own, other = (built.from_array(np.arange(5000.0), "w") for _ in range(2))
    extent = other.extents[0]
    failing: Any = Failing(extent.source)
    beyond = other._replace(extents=(extent._replace(source=failing),))
    with start_values({"w": own}, (), twins={own.view: beyond}) as run:
        assert run.result().tensors["w"].same is None


class Failing:
    """A source that cannot be read."""

    def __init__(self, source: Any) -> None:
        self.name, self.size = source.name, source.size

    def read_into(self, offset: int, buffer: memoryview) -> None:
        raise UnreadableError(f"no {len(buffer)} bytes at {offset}", rules.UNREADABLE)

    def check_unchanged(self) -> None: ...

    def close(self) -> None: ...


def test_small_tensors_that_lie_together_are_read_together() -> None:
    data = np.arange(4000, dtype=np.float32)
    whole = built.from_array(data)
    source, start, _ = whole.extents[0]
    tensors = {
        str(n): whole._replace(
            name=str(n), shape=(4,), extents=(Extent(source, start + 16 * n, 16),)
        )
        for n in range(1000)
    }
    reads = []
    before = source.read_into
    source.read_into = lambda *given: (reads.append(given), before(*given))[1]  # type: ignore[method-assign, func-returns-value]
    found = values_of(tensors).tensors
    assert len(reads) == 1
    assert [one.minimum for one in found.values()] == data[::4].tolist()


# --- when it does not go well ------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 4])
def test_a_cut_file_is_an_error_that_names_the_tensor(workers: int) -> None:
    tensors = {**zoo(), "cut": built.cut_while_read()}
    with pytest.raises(UnreadableError) as caught:
        values_of(tensors, workers=workers)
    assert caught.value.tensor == "cut"


def test_a_file_that_was_written_to_is_noticed_at_the_end() -> None:
    with pytest.raises(CkpttoolError, match="changed while"):
        values_of({"it": built.changed_while_read()})


def test_a_tensor_beyond_its_bytes_is_named() -> None:
    with pytest.raises(CkpttoolError) as caught:
        values_of({"short": built.too_short()})
    assert (caught.value.rule, caught.value.tensor) == (rules.GEOMETRY, "short")


def test_leaving_the_block_ends_the_threads() -> None:
    before = set(threading.enumerate())
    started = set()

    def interrupted() -> None:
        with start_values(zoo(), (), workers=3):
            started.update(set(threading.enumerate()) - before)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert started
    assert not any(thread.is_alive() for thread in started)


def test_a_cancelled_pass_reads_no_further() -> None:
    started, go_on = threading.Event(), threading.Event()

    def wait_in_the_first_chunk(_: int) -> None:
        started.set()
        go_on.wait(10)

    infos = [built.from_array(np.zeros(2000, np.uint8), f"tensor{n}") for n in range(5)]
    run = start_values(built.catalogue(infos), (), workers=1, progress=wait_in_the_first_chunk)
    assert started.wait(10)
    threading.Timer(0.1, go_on.set).start()
    run.cancel()
    sources = [info.extents[0].source for info in infos]
    assert sum(source.read_bytes for source in sources) == 2000  # type: ignore[attr-defined]


def test_progress_adds_up_to_the_total() -> None:
    told: list[int] = []
    tensors = zoo()
    whole = built.in_memory(bytes(24), "float16", (12,))
    with start_values(tensors, [built.stored(whole)], workers=1, progress=told.append) as run:
        run.result()
    assert sum(told) == run.total > 0


def test_the_result_may_be_asked_for_twice() -> None:
    with start_values(zoo(), ()) as run:
        assert run.result() is run.result()


def test_without_tensors_there_is_nothing_to_wait_for() -> None:
    assert values_of({}) == Values({}, {}, (), 0, {}, True)


def test_fewer_than_one_worker_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="workers"):
        start_values({}, (), workers=0)


def test_more_memory_than_there_is_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("mmap.mmap", refuse)
    with pytest.raises(UnreadableError, match="not enough memory"):
        start_values(zoo(), (), keep=["big"])
