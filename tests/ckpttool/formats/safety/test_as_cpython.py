"""What our interpreter names and calls is what CPython's own unpickler would look up and call."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
import torch

from ckpttool.findings.errors import CkpttoolError
from ckpttool.formats import pickles
from ckpttool.formats.pickles import Pickle
from tests.builders import pickles as p
from tests.builders.attacks import ATTACKS
from tests.builders.honest import HONEST
from tests.builders.repository import FIXTURES


class Stub:
    """Stands for whatever a name would be: it takes everything and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> Stub:
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        """Nothing."""

    def __call__(self, *_: Any, **__: Any) -> Stub:
        return Stub()

    def __setstate__(self, state: object) -> None:
        """Nothing."""

    def __setitem__(self, key: object, value: object) -> None:
        """Nothing."""

    def append(self, item: object) -> None:
        """Nothing."""

    def extend(self, items: object) -> None:
        """Nothing."""

    def add(self, item: object) -> None:
        """Nothing."""


class Asked(pickle.Unpickler):
    """CPython's unpickler, written in C, with nothing behind the names."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8", errors="surrogatepass")
        self.names: set[tuple[str, str]] = set()

    def find_class(self, module: str, name: str) -> Any:
        self.names.add((module, name))
        return Stub

    def persistent_load(self, _: object) -> object:
        return Stub()


def asked_by_cpython(data: bytes) -> tuple[set[tuple[str, str]], bool]:
    """The names that are asked for, and whether the pickle was read to its end."""
    reader = Asked(data)
    try:
        reader.load()
    except Exception:  # noqa: BLE001 (a hostile stream may raise anything)
        return reader.names, False
    return reader.names, True


def named_by_us(data: bytes) -> tuple[set[tuple[str, str]], bool]:
    broken: list[Pickle] = []
    try:
        read, whole = pickles.parse(data, broken=broken.append), True
    except CkpttoolError:
        read, whole = broken[0], False
    return {(one.module, one.name) for one in read.references}, whole


def stream_of(data: bytes) -> Iterator[bytes]:
    """The pickles of a stream, one after the other: a legacy file has five."""
    position = 0
    with suppress(CkpttoolError):
        for _ in range(5):
            end = pickles.parse(data, position).end
            yield data[position:end]
            position = end
        return
    yield data[position:]


def pickles_in(data: bytes) -> Iterator[bytes]:
    """Every pickle of a file of the tests: of an archive, else the stream's first ones."""
    if not data.startswith(b"PK"):
        yield from stream_of(data)
        return
    # archives that Python's reader refuses, as for a wrong checksum, have nothing to compare
    with suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive = zipfile.ZipFile(io.BytesIO(data))
        for member in archive.namelist():
            if member.lower().endswith(".pkl"):
                yield archive.read(member)


def saved(make: Callable[[], object], protocol: int, *, zipped: bool = True) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        beside = {"value": make(), "w": torch.ones(1)}
        torch.save(beside, stream, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


def check(data: bytes) -> None:
    for content in pickles_in(data):
        theirs, they_finished = asked_by_cpython(content)
        ours, we_finished = named_by_us(content)
        if we_finished and they_finished:
            assert ours == theirs
        else:
            # a stub may fail where the real thing does not, and we refuse more: but what both
            # have read before either stopped is the same
            assert ours <= theirs or theirs <= ours


@pytest.mark.parametrize("honest", HONEST, ids=lambda honest: str(honest.what))
def test_the_names_of_honest_files_are_those_that_cpython_asks_for(honest: Any) -> None:
    for protocol in honest.protocols:
        try:
            data = saved(honest.make, protocol)
        except ImportError as error:
            pytest.skip(f"{error.name} is not installed")
        for content in pickles_in(data):
            theirs, finished = asked_by_cpython(content)
            ours, whole = named_by_us(content)
            assert whole
            assert ours == theirs or (not finished and theirs <= ours)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: str(attack.what))
def test_the_names_of_hostile_files_are_those_that_cpython_asks_for(attack: Any) -> None:
    check(attack.data("marker"))


FILES = sorted(FIXTURES.rglob("*.pth"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_names_of_files_of_old_torch_are_those_that_cpython_asks_for(path: Path) -> None:
    data = path.read_bytes()
    read = list(pickles_in(data))
    assert read
    for content in read:
        assert named_by_us(content)[0] == asked_by_cpython(content)[0]


def test_a_legacy_stream_has_five_pickles() -> None:
    data = saved(lambda: 1, 2, zipped=False)
    found = list(pickles_in(data))
    assert len(found) == 5
    for content in found:
        assert named_by_us(content) == asked_by_cpython(content)


STREAMS = {
    "global": p.name("m", "f"),
    "stack global": p.text("m") + p.text("f") + b"\x93",
    "inst": b"(im\nf\n",
    "obj": b"(" + p.name("m", "f") + b"o",
    "popped": p.name("m", "f") + b"0N",
    "in a mark that is dropped": b"(" + p.name("m", "f") + b"1N",
    "twice": p.name("m", "f") + p.name("m", "f") + b"\x86",
    "by the memo": p.text("m") + b"\x94" + p.text("f") + b"\x94\x93h\x00h\x01\x93\x86",
}


@pytest.mark.parametrize("body", STREAMS.values(), ids=STREAMS.keys())
def test_every_opcode_that_names_something_does_so_for_both(body: bytes) -> None:
    data = p.PROTO4 + body + p.STOP
    assert named_by_us(data) == asked_by_cpython(data) == ({("m", "f")}, True)
