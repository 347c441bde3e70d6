"""Arrays and scalars of numpy are read as numpy reads them, and what numpy refuses is none."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest

from ckpttool.formats.objects.arrays import is_array
from ckpttool.formats.objects.numpy_values import Array, array_of
from ckpttool.formats.pickles import parse
from tests.builders import arrays
from tests.builders import pickles as p

EIGHT = p.bytes_of(bytes(range(8)))
BYTEARRAY = p.call(p.name("builtins", "bytearray"), EIGHT)
TWO, THREE = p.tuple_of(b"K\x02"), p.tuple_of(b"K\x03")


def read(body: bytes) -> Array | None:
    return array_of(parse(p.pickle(body)).root)


def loaded(body: bytes) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the old name of numpy's core
        return pickle.loads(p.pickle(body))


CUBE = np.arange(24, dtype="i2").reshape(2, 3, 4)


@pytest.mark.parametrize("array", [CUBE, np.asfortranarray(CUBE)], ids=["rows", "columns"])
def test_an_array_of_three_axes_is_read_row_by_row(array: Any) -> None:
    found = array_of(parse(pickle.dumps(array, 2)).root)
    assert found is not None
    assert (found.shape, found.data) == ((2, 3, 4), np.arange(24, dtype="<i2").tobytes())


SAME = {
    "by columns, of one axis": arrays.array(EIGHT, columns=arrays.YES),
    "by columns, without elements": arrays.array(
        p.bytes_of(b""), p.tuple_of(b"K\x00", b"K\x02"), columns=arrays.YES
    ),
    "of texts in bytes, in another order": arrays.array(
        EIGHT, kind=arrays.dtype("S4", ">", item=b"K\x04")
    ),
    "of a bytearray": arrays.from_buffer(BYTEARRAY, TWO, "C"),
    "of a bytearray, by columns": arrays.from_buffer(BYTEARRAY, TWO, "F"),
}


@pytest.mark.parametrize("body", SAME.values(), ids=SAME)
def test_an_array_has_the_elements_that_numpy_reads(body: bytes) -> None:
    found, expected = read(body), loaded(body)
    assert found is not None
    assert found.shape == expected.shape
    assert found.data == expected.astype(expected.dtype.newbyteorder("<")).tobytes()


def test_a_string_of_python_2_is_the_bytes_that_it_was() -> None:
    found = read(arrays.array(b"U\x08abcdefgh"))
    assert found is not None
    assert found.data == b"abcdefgh"


NONE = {
    "a state of another version": arrays.array(EIGHT, version=b"K\x02"),
    "a state of another form": arrays.array(EIGHT) + b"N" + b"b",
    "an order that numpy does not write": arrays.from_buffer(EIGHT, TWO, "A"),
    "a shape that is no tuple": arrays.array(EIGHT, b"]"),
    "a negative size": arrays.array(EIGHT, p.tuple_of(p.integer(-2))),
    "more elements than bytes": arrays.array(EIGHT, THREE),
    "a code of a superscript": arrays.array(EIGHT, kind=arrays.dtype("f\u00b2")),
    "a code of other digits": arrays.array(EIGHT, kind=arrays.dtype("f\u0664")),
    "a code of a billion bytes": arrays.array(EIGHT, kind=arrays.dtype("S1000000000")),
    "dates without a unit": arrays.scalar(arrays.time_type(), EIGHT),
    "dates of a unit that is no text": arrays.scalar(arrays.time_type(b"N", b"K\x01"), EIGHT),
    "dates of parts of a unit": arrays.scalar(
        arrays.time_type(p.text("D"), b"K\x01", b"K\x02", b"K\x01"), EIGHT
    ),
}


@pytest.mark.parametrize("body", NONE.values(), ids=NONE)
def test_what_numpy_does_not_write_is_no_array(body: bytes) -> None:
    assert read(body) is None


def test_a_unit_of_dates_is_text_or_the_bytes_of_old_protocols() -> None:
    for unit in (p.text("D"), p.bytes_of(b"D")):
        found = read(arrays.scalar(arrays.time_type(unit, b"K\x01", b"K\x01", b"K\x01"), EIGHT))
        assert found is not None
        assert found.type.code == "M8[D]"


NUMBERS = {
    "bytes": (EIGHT, True),
    "a bytearray": (BYTEARRAY, True),
    "a bytearray of text": (p.call(p.name("builtins", "bytearray"), p.text("x")), False),
    "bytes of Python 2": (
        p.call(p.name("_codecs", "encode"), p.text("x"), p.text("latin1")),
        True,
    ),
    "no bytes": (p.call(p.name("builtins", "bytes")), True),
    "a list": (b"]", False),
    "bytes that are changed": (
        p.call(p.name("builtins", "bytes")) + p.dict_of((p.text("a"), b"N")) + b"b",
        False,
    ),
    "what another call gives": (p.call(p.name("m", "f")), False),
}


@pytest.mark.parametrize(("data", "yes"), NUMBERS.values(), ids=NUMBERS)
def test_an_array_of_numbers_has_bytes_for_its_elements(data: bytes, yes: bool) -> None:
    assert is_array(parse(p.pickle(arrays.array(data))).root) is yes
