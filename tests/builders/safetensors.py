"""Safetensors files as bytes, good ones and ones with a named defect."""

from __future__ import annotations

import json
import struct
from typing import Callable, Dict, Tuple

#: The good header of two tensors: a vector of four floats and a scalar of two bytes.
GOOD = (
    b'{"__metadata__":{"format":"pt"},'
    b'"w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},'
    b'"b":{"dtype":"BF16","shape":[],"data_offsets":[16,18]}}'
)
DATA = bytes(range(18))


def file(header: bytes = GOOD, data: bytes = DATA, *, length: int | None = None) -> bytes:
    """Return length, header and data; ``length`` is what is said of the header."""
    stated = len(header) if length is None else length
    return struct.pack("<Q", stated) + header + data


def one(dtype: str, shape: list[int], begin: int, end: int) -> bytes:
    """A header of one tensor ``w``."""
    entry = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    return json.dumps({"w": entry}).encode()


def two(first: tuple[int, int], second: tuple[int, int]) -> bytes:
    """A header of two byte tensors ``a`` and ``b`` at these offsets."""
    entries = {
        name: {"dtype": "U8", "shape": [end - begin], "data_offsets": [begin, end]}
        for name, (begin, end) in (("a", first), ("b", second))
    }
    return json.dumps(entries).encode()


def sharing(tensors: Dict[str, int], metadata: Dict[str, str] | None = None) -> bytes:
    """A whole file of byte tensors: name to size."""
    header: dict[str, object] = {} if metadata is None else {"__metadata__": metadata}
    begin = 0
    for name, size in tensors.items():
        end = begin + size
        header[name] = {"dtype": "U8", "shape": [size], "data_offsets": [begin, end]}
        begin = end
    return file(json.dumps(header).encode(), bytes(begin))


def _says(header: bytes, data: bytes = DATA) -> Callable[[], bytes]:
    return lambda: file(header, data)


def _instead(old: bytes, new: bytes) -> Callable[[], bytes]:
    assert old in GOOD
    return lambda: file(GOOD.replace(old, new, 1))


def _further(value: bytes) -> Callable[[], bytes]:
    return _instead(b'"shape":[],', b'"shape":[],"strides":%s,' % value)


#: What the format's library reads although the format's text does not have it, and a word for it.
ODDITIES: Dict[str, Tuple[Callable[[], bytes], str]] = {
    "blank-before-the-object": (_says(b" " + GOOD), "before it"),
    "lines-before-the-object": (_says(b"\r\n\t" + GOOD), "before it"),
    "newline-behind-it": (_says(GOOD + b"\n"), "behind it"),
    "tab-and-return-behind-it": (_says(GOOD + b" \t\r "), "behind it"),
    "metadata-null": (_instead(b'{"format":"pt"}', b" null "), "of null"),
    "entry-as-a-list": (
        _instead(
            b'{"dtype":"BF16","shape":[],"data_offsets":[16,18]}', b' [ "BF16", [ ], [16, 18] ] '
        ),
        "lists",
    ),
    "further-key": (_further(b"[2, 1]"), "strides"),
    "further-key-of-everything": (
        _further(b'{"a": [1, -2.5e-3, true, null, "\\u0041", {}], "b": {"c": []}}'),
        "strides",
    ),
    "further-key-twice": (_further(b'1,"strides":2'), "strides"),
}

#: Defect to the code of the rule that it breaks.
DEFECTS: Dict[str, Tuple[Callable[[], bytes], str]] = {
    "too-short": (lambda: bytes(9), "FIL006"),
    "length-zero": (lambda: file(length=0), "FIL301"),
    "length-one": (lambda: file(length=1), "FIL301"),
    "length-beyond-the-file": (lambda: file(length=10_000), "FIL006"),
    "length-beyond-the-format": (lambda: file(length=100_000_001), "FIL301"),
    "length-of-64-bits": (lambda: file(length=2**64 - 1), "FIL301"),
    "length-one-short": (lambda: file(length=len(GOOD) - 1), "FIL301"),
    "byte-order-mark": (_says(b"\xef\xbb\xbf" + GOOD), "FIL301"),
    "a-list": (_says(b"[]"), "FIL301"),
    "null": (_says(b"null"), "FIL301"),
    "padded-with-nul": (_says(GOOD + b"\0"), "FIL301"),
    "second-object": (_says(GOOD + b"{}"), "FIL301"),
    "trailing-comma": (_says(GOOD[:-1] + b",}"), "FIL301"),
    "comma-missing": (_instead(b'},"w"', b'} "w"'), "FIL301"),
    "colon-missing": (_instead(b'"b":', b'"b" '), "FIL301"),
    "single-quotes": (_instead(b'"b"', b"'b'"), "FIL301"),
    "comment": (_instead(b'"b":', b'"b":/**/'), "FIL301"),
    "unterminated-string": (_says(b'{"w'), "FIL301"),
    "unterminated-escape": (_says(b'{"w\\"'), "FIL301"),
    "not-utf8": (_instead(b'"b":', b'"\xff":'), "FIL301"),
    "not-utf8-in-metadata": (_instead(b"pt", b"\xff\xfe"), "FIL301"),
    "overlong-utf8": (_instead(b'"b":', b'"\xc0\x80":'), "FIL301"),
    "lone-surrogate": (_instead(b'"b":', b'"\\ud800":'), "FIL301"),
    "bad-escape": (_instead(b'"b":', b'"\\q":'), "FIL301"),
    "raw-control-character": (_instead(b'"b":', b'"\x01":'), "FIL301"),
    "name-without-end": (_says(b'{"' + b"w" * 70_000), "FIL301"),
    "name-too-long": (_instead(b'"b":', b'"' + b"b" * 70_000 + b'":'), "FIL005"),
    "name-without-end-behind-a-quote": (_says(b'{"' + b'w\\"' * 30_000), "FIL301"),
    "deep-lists": (_says(b'{"w":' + b"[" * 100_000), "FIL301"),
    "deep-objects": (_says(b'{"w":' * 100_000), "FIL005"),
    "deep-shape": (_instead(b"[2,2]", b"[" * 100_000), "FIL301"),
    "tensor-twice": (_instead(b'"b":', b'"w":'), "INT008"),
    "tensor-twice-by-an-escape": (_instead(b'"b":', b'"\\u0077":'), "INT008"),
    "field-twice": (_instead(b'"dtype":"BF16",', b'"dtype":"BF16","dtype":"BF16",'), "INT008"),
    "field-twice-and-another-missing": (
        _instead(b'"shape":[],"data_offsets":[16,18]', b'"shape":[],"dtype":"BF16"'),
        "INT008",
    ),
    "shape-twice-by-an-escape": (
        _instead(b'"shape":[],', b'"shape":[],"sh\\u0061pe":[],'),
        "INT008",
    ),
    "metadata-twice": (_instead(b'"b":', b'"__metadata__":{},"b":'), "INT008"),
    "metadata-twice-by-an-escape": (
        _instead(b'"b":', b'"\\u005f_metadata__":{},"b":'),
        "INT008",
    ),
    "metadata-key-twice": (_instead(b'"pt"', b'"pt","format":"tf"'), "INT008"),
    "metadata-key-twice-by-an-escape": (
        _instead(b'"pt"', b'"pt","f\\u006frmat":"tf"'),
        "INT008",
    ),
    "metadata-a-tensor": (_instead(b'"b":', b'"__metadata__":'), "INT008"),
    "metadata-only-a-tensor": (
        _says(b'{"__metadata__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'),
        "FIL301",
    ),
    "metadata-a-number": (_instead(b'"pt"', b"1"), "FIL301"),
    "metadata-nested": (_instead(b'"pt"', b'{"a":"b"}'), "FIL301"),
    "metadata-a-list": (_instead(b'{"format":"pt"}', b"[]"), "FIL301"),
    "tensor-null": (_says(b'{"w":null}'), "FIL301"),
    "tensor-a-list": (_says(b'{"w":[]}'), "FIL301"),
    "tensor-without-fields": (_says(b'{"w":{}}'), "FIL301"),
    "field-missing": (_instead(b'"shape":[],', b""), "FIL301"),
    "field-unknown-of-nothing": (_further(b""), "FIL301"),
    "field-unknown-of-nan": (_further(b"NaN"), "FIL301"),
    "field-unknown-beyond-64-bits": (_further(b"1e400"), "FIL301"),
    "field-unknown-of-400-digits": (_further(b"[-" + b"9" * 400 + b"]"), "FIL301"),
    "field-unknown-of-half-a-list": (_further(b"[1"), "FIL301"),
    "field-unknown-with-a-leading-zero": (_further(b"01"), "FIL301"),
    "field-unknown-of-many-values": (_further(b"[" + b"0," * 250_000 + b"0]"), "FIL005"),
    "field-unknown-too-deep": (_further(b"[" * 200 + b"]" * 200), "FIL005"),
    "other-white-space-before-it": (_says(b"\x0b" + GOOD), "FIL301"),
    "other-white-space-behind-it": (_says(GOOD + b"\x0c"), "FIL301"),
    "metadata-null-twice": (
        _instead(b'{"format":"pt"}', b'null,"__metadata__":null'),
        "INT008",
    ),
    "no-object-that-long": (lambda: file(b"x" * 20, length=999), "FIL301"),
    "dtype-unknown": (_instead(b"BF16", b"F17"), "FIL003"),
    "dtype-in-small-letters": (_instead(b"BF16", b"bf16"), "FIL003"),
    "dtype-empty": (_instead(b"BF16", b""), "FIL301"),
    "dtype-a-number": (_instead(b'"BF16"', b"16"), "FIL301"),
    "shape-a-number": (_instead(b"[2,2]", b"4"), "FIL301"),
    "shape-negative": (_instead(b"[2,2]", b"[-2,-2]"), "FIL301"),
    "shape-a-fraction": (_instead(b"[2,2]", b"[2.0,2]"), "FIL301"),
    "shape-an-exponent": (_instead(b"[2,2]", b"[4e0]"), "FIL301"),
    "shape-true": (_instead(b"[2,2]", b"[4,true]"), "FIL301"),
    "shape-text": (_instead(b"[2,2]", b'["4"]'), "FIL301"),
    "shape-nan": (_instead(b"[2,2]", b"[NaN]"), "FIL301"),
    "shape-infinite": (_instead(b"[2,2]", b"[Infinity]"), "FIL301"),
    "shape-leading-zero": (_instead(b"[2,2]", b"[04]"), "FIL301"),
    "shape-minus-zero": (_instead(b"[2,2]", b"[-0]"), "FIL301"),
    "shape-trailing-comma": (_instead(b"[2,2]", b"[2,2,]"), "FIL301"),
    "shape-of-many-digits": (_instead(b"[2,2]", b"[" + b"9" * 100_000 + b"]"), "FIL301"),
    "shape-overflows": (_says(one("F32", [2**40, 2**40], 0, 16)), "FIL302"),
    "shape-overflows-beside-a-zero": (_says(one("F32", [0, 2**40, 2**40], 0, 0)), "FIL302"),
    "shape-of-many-dimensions": (_says(one("U8", [1] * 1_000, 0, 1)), "FIL005"),
    "shape-is-not-the-range": (_instead(b"[2,2]", b"[2,3]"), "FIL302"),
    "offsets-negative": (_instead(b"[16,18]", b"[-2,18]"), "FIL301"),
    "offsets-reversed": (_instead(b"[16,18]", b"[18,16]"), "FIL302"),
    "offsets-three": (_instead(b"[16,18]", b"[16,18,20]"), "FIL301"),
    "offsets-of-64-bits": (
        _instead(b"[16,18]", b"[18446744073709551600,18446744073709551602]"),
        "FIL301",
    ),
    "hole-at-the-start": (_says(two((1, 8), (8, 18))), "FIL302"),
    "hole-between": (_says(two((0, 8), (9, 18))), "FIL302"),
    "overlap": (_says(two((0, 9), (8, 18))), "FIL302"),
    "same-range-twice": (_says(two((0, 18), (0, 18))), "FIL302"),
    "trailing-bytes": (lambda: file() + b"\0", "FIL302"),
    "data-cut-off": (lambda: file()[:-1], "FIL006"),
    "empty-tensor-off-the-tiling": (_says(two((0, 18), (9, 9))), "FIL302"),
    "four-bit-elements-odd": (_says(one("F4", [35], 0, 18)), "FIL302"),
    "six-bit-elements-odd": (_says(one("F6_E2M3", [23], 0, 18)), "FIL302"),
}
