"""A far source by pages: the same bytes, in fewer requests."""

from __future__ import annotations

import numpy as np
import pytest

from ckpttool.files.paged import MOST_PAGES, PAGE, Paged
from ckpttool.files.sources import MemorySource, read_bytes
from ckpttool.findings.errors import UnreadableError
from tests.builders.memory import FarSource

LENGTHS = (0, 1, 100, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE)


def far(size: int) -> tuple[bytes, FarSource]:
    data = np.random.default_rng(size).bytes(size)
    return data, FarSource(MemorySource(data, "far"))


@pytest.mark.parametrize("size", [1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 5 * PAGE + 77])
def test_every_read_gives_the_bytes_of_the_source(size: int) -> None:
    data, source = far(size)
    paged = Paged(source)
    places = np.random.default_rng(7)
    for _ in range(200):
        begin = int(places.integers(size))
        end = min(size, begin + int(places.choice(LENGTHS)))
        assert read_bytes(paged, begin, end - begin) == data[begin:end]


def test_small_reads_of_one_page_are_one_request() -> None:
    _, source = far(5 * PAGE)
    paged = Paged(source)
    for offset in (0, 9, 700, PAGE - 4):
        read_bytes(paged, offset, 4)
    assert source.requests == [(0, PAGE)]


def test_the_end_of_a_file_is_one_request() -> None:
    _, source = far(5 * PAGE + 10)
    paged = Paged(source)
    for distance in (10, 100, PAGE):
        read_bytes(paged, source.size - distance, 5)
    assert source.requests == [(source.size - PAGE, PAGE)]


def test_a_long_read_goes_through_and_is_not_kept() -> None:
    _, source = far(5 * PAGE)
    paged = Paged(source)
    for _ in range(2):
        read_bytes(paged, 3, 2 * PAGE)
    assert source.requests == [(3, 2 * PAGE)] * 2


def test_the_page_that_was_not_used_for_longest_is_given_up() -> None:
    _, source = far((MOST_PAGES + 4) * PAGE)
    paged = Paged(source)
    for number in range(MOST_PAGES):
        read_bytes(paged, number * PAGE, 1)
    read_bytes(paged, 0, 1)  # used again
    read_bytes(paged, MOST_PAGES * PAGE, 1)
    asked = len(source.requests)
    read_bytes(paged, 0, 1)
    assert len(source.requests) == asked
    read_bytes(paged, PAGE, 1)
    assert len(source.requests) == asked + 1


def test_what_is_asked_of_the_pages_is_asked_of_their_source() -> None:
    asked: list[str] = []

    class Source(MemorySource):
        def check_unchanged(self) -> None:
            asked.append("unchanged")

        def rest(self) -> None:
            asked.append("rest")

        def close(self) -> None:
            asked.append("close")

    paged = Paged(Source(b"", "far"))
    paged.check_unchanged()
    paged.rest()
    paged.close()
    assert asked == ["unchanged", "rest", "close"]


@pytest.mark.parametrize(("offset", "length"), [(-1, 2), (90, 20), (200, 1)])
def test_a_read_outside_of_the_source_is_its_error(offset: int, length: int) -> None:
    _, source = far(100)
    with pytest.raises(UnreadableError):
        read_bytes(Paged(source), offset, length)
