from __future__ import annotations

import hashlib
import re
import struct

import pytest

from ckpttool.tensors.fingerprint import Entry, fingerprint
from tests.builders.repository import DOCS

DIGEST = hashlib.sha256(b"").hexdigest()
ENTRIES: list[Entry] = [
    ("norm.weight", "float32", (2,), DIGEST),
    ("cls_token", "bfloat16", (1, 1, 2), DIGEST),
    ("Zeta", "float32", (), DIGEST),
]


def test_the_worked_example_of_the_specification_holds() -> None:
    text = (DOCS / "fingerprint.md").read_text(encoding="utf-8")
    cls_token = hashlib.sha256(bytes.fromhex("803f 00c0")).hexdigest()
    norm = hashlib.sha256(struct.pack("<2f", 1, 2)).hexdigest()
    records = (
        f'["cls_token","bfloat16",[1,1,2],"{cls_token}"]\n["norm.weight","float32",[2],"{norm}"]\n'
    )
    assert records in text
    documented = re.findall(r"^ckpt1:[0-9a-f]{64}$", text, re.MULTILINE)
    assert documented == ["ckpt1:" + hashlib.sha256(records.encode("ascii")).hexdigest()]
    entries: list[Entry] = [
        ("norm.weight", "float32", (2,), norm),
        ("cls_token", "bfloat16", [1, 1, 2], cls_token),
    ]
    assert [fingerprint(entries)] == documented


def test_the_order_of_the_tensors_does_not_matter() -> None:
    assert fingerprint(ENTRIES) == fingerprint(reversed(ENTRIES))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(("cls_token2", "bfloat16", (1, 1, 2), DIGEST), id="name"),
        pytest.param(("cls_token", "float16", (1, 1, 2), DIGEST), id="dtype"),
        pytest.param(("cls_token", "bfloat16", (1, 2), DIGEST), id="shape"),
        pytest.param(("cls_token", "bfloat16", (1, 1, 2), "0" * 64), id="elements"),
    ],
)
def test_every_part_of_a_tensor_matters(other: Entry) -> None:
    assert fingerprint([ENTRIES[0], other]) != fingerprint(ENTRIES[:2])


def test_a_name_cannot_pass_for_two_tensors() -> None:
    joined = f'a","float32",[],"{DIGEST}"]\n["b'
    two: list[Entry] = [(name, "float32", (), DIGEST) for name in "ab"]
    assert fingerprint([(joined, "float32", (), DIGEST)]) != fingerprint(two)


def test_names_beyond_ascii_are_escaped_and_sorted_by_code_point() -> None:
    names = ["\x7f", "\u00e9", "\U0001f600", "\uffff", "\ud800"]
    entries: list[Entry] = [(name, "int8", (0,), DIGEST) for name in names]
    escaped = ["\\u007f", "\\u00e9", "\\ud800", "\\uffff", "\\ud83d\\ude00"]
    records = "".join(f'["{name}","int8",[0],"{DIGEST}"]\n' for name in escaped)
    assert fingerprint(entries) == "ckpt1:" + hashlib.sha256(records.encode()).hexdigest()


def test_a_name_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="cls_token"):
        fingerprint([ENTRIES[1], ENTRIES[1]])
