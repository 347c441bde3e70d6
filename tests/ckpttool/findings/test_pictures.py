"""Pictures as PNG files: as anybody reads them, and back."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpttool.findings.pictures import Picture, picture_of

WIDE = Picture(3, 2, bytes([255, 0, 7, 1, 2, 3, 250, 9, 0, 0, 0, 0, 5, 5, 5, 128, 127, 126]))


@given(st.integers(1, 5), st.integers(1, 5), st.data())
def test_a_picture_comes_back_as_it_was(width: int, height: int, data: st.DataObject) -> None:
    size = width * height * 3
    picture = Picture(width, height, data.draw(st.binary(min_size=size, max_size=size)))
    assert picture_of(picture.base64) == picture


def test_a_png_has_the_parts_that_the_format_demands() -> None:
    png = WIDE.png
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    kinds, at = [], 8
    while at < len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        content = png[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length)[0] == zlib.crc32(kind + content)
        kinds.append(kind)
        at += length + 12
    assert kinds == [b"IHDR", b"IDAT", b"IEND"]


def damaged(at: int, byte: int) -> str:
    png = bytearray(WIDE.png)
    png[at] = byte
    return b64encode(bytes(png)).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no base64 \x1b",
        "AAAA",
        WIDE.base64[:40],
        damaged(19, 4),  # wider than its pixels
        damaged(16, 255),  # of a billion pixels
        damaged(25, 6),  # with an alpha channel
        damaged(45, 255),  # compressed data that is none
        b64encode(b"<svg onload='alert(1)'/>" + WIDE.png).decode(),
    ],
)
def test_what_is_no_such_picture_is_none(text: str) -> None:
    assert picture_of(text) is None


def test_what_follows_a_picture_is_not_taken_over() -> None:
    text = b64encode(WIDE.png + b"<script>").decode()
    read = picture_of(text)
    assert read == WIDE
    assert b"script" not in read.png
