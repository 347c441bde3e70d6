from __future__ import annotations

import zlib
from typing import List

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpttool.formats.writing.folding import _FAR, _NEAR, _STEP, FoldedCrc32

#: x^32 + x^26 + ... + 1 of ISO 3309, the highest term included.
POLYNOMIAL = 0x104C11DB7


def power_of_x(exponent: int) -> int:
    """The remainder of x to a power by the polynomial of CRC-32."""
    result = 1
    for bit in f"{exponent:b}":
        result = remainder(carryless(result, result) << int(bit))
    return result


def carryless(left: int, right: int) -> int:
    product = 0
    while right:
        product ^= left * (right & 1)
        left, right = left << 1, right >> 1
    return product


def remainder(value: int) -> int:
    while value.bit_length() > 32:
        value ^= POLYNOMIAL << (value.bit_length() - 33)
    return value


def message(length: int) -> bytes:
    return np.random.default_rng(length).bytes(length)


def around(length: int) -> List[int]:
    return [length - 1, length, length + 1]


def summed(parts: List[bytes]) -> int:
    crc32 = FoldedCrc32()
    for part in parts:
        crc32.update(memoryview(part))
    return crc32.value


def test_the_polynomial_divides_what_bytes_are_moved_by() -> None:
    assert power_of_x(91639) ^ power_of_x(41678) == 1
    assert power_of_x(8 * _FAR) ^ power_of_x(8 * (_FAR - _NEAR)) == 1
    assert power_of_x(8 * _FAR) ^ power_of_x(8 * _NEAR) != 1


@pytest.mark.parametrize(
    "length",
    [4, 5, *around(_NEAR), *around(_FAR), *around(_STEP), _STEP + _NEAR, _STEP + _FAR, 800_000],
)
def test_it_is_the_sum_that_zlib_has(length: int) -> None:
    assert summed([message(length)]) == zlib.crc32(message(length))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 150_000), min_size=1, max_size=6))
def test_where_the_bytes_are_cut_does_not_matter(cuts: List[int]) -> None:
    whole = message(4 + sum(cuts))
    places = np.cumsum([0, *cuts]).tolist()
    parts = [whole[start:end] for start, end in zip(places, [*places[1:], len(whole)])]
    assert summed(parts) == zlib.crc32(whole)


def test_the_sum_can_be_asked_for_on_the_way() -> None:
    crc32, data = FoldedCrc32(), message(400_000)
    for start in range(0, len(data), 100_000):
        crc32.update(memoryview(data)[start : start + 100_000])
        assert crc32.value == zlib.crc32(data[: start + 100_000])


@pytest.mark.parametrize("place", [0, 3, 4, 60_000, 216_721, 216_722, 399_999])
def test_one_flipped_bit_changes_it(place: int) -> None:
    data = bytearray(message(400_000))
    before = summed([bytes(data)])
    data[place] ^= 0x10
    assert summed([bytes(data)]) != before
