"""CRC-32 by whichever library is there is that of zlib."""

from __future__ import annotations

import importlib
import sys
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpttool.files import crc
from ckpttool.files.crc import crc32_of


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_the_sum_is_that_of_zlib_and_goes_on_from_an_earlier_one(
    first: bytes, second: bytes
) -> None:
    assert crc32_of(first) == zlib.crc32(first)
    assert crc32_of(memoryview(second), crc32_of(bytearray(first))) == zlib.crc32(first + second)


def test_long_runs_give_the_sum_of_zlib() -> None:
    data = bytes(range(256)) * 5_000
    assert crc32_of(data) == zlib.crc32(data)


def test_zlib_is_taken_where_the_extra_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "isal", None)
    monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)
    try:
        assert importlib.reload(crc).crc32_of is zlib.crc32
    finally:
        monkeypatch.undo()
        importlib.reload(crc)


def test_the_extra_is_taken_where_it_is_installed() -> None:
    pytest.importorskip("isal", reason="the extra `fast` is not installed")
    assert crc32_of.__module__ == "isal.isal_zlib"
