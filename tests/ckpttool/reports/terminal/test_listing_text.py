"""The listing that a person reads."""

from __future__ import annotations

import io

import pytest

from ckpttool.findings import rules
from ckpttool.findings.finding import Verdict, finding
from ckpttool.findings.listing import Listing, Listings, TensorRow
from ckpttool.findings.results import FileReport
from ckpttool.reports.terminal.listing_text import write
from ckpttool.reports.terminal.view import TreeView


def listed(names: list[str], *, fold: bool = True) -> str:
    file = FileReport("x.pth", Verdict.PASS, (), "torch-zip", 1, tensors=len(names), parameters=1)
    rows = tuple(TensorRow(name, "float32", (1,), 4) for name in names)
    stream = io.StringIO()
    write(Listings((Listing(file, rows),)), stream, TreeView(fold=fold))
    return stream.getvalue()


def test_a_flood_of_tensors_is_cut_and_counted() -> None:
    text = listed([f"tensor{number}x" for number in range(5_000)])
    assert "tensor1999x" in text
    assert "tensor2000x" not in text
    assert text.endswith("and 3,000 more tensors (--format json lists all)\n")


def test_the_tensors_of_folded_blocks_are_counted_as_shown() -> None:
    blocks = [f"blocks.{block}.part{part}" for block in range(10) for part in range(2_100)]
    # one line is the blocks' own, so 101 tensors of each of the ten are not shown
    assert "and 1,010 more tensors" in listed(blocks)


@pytest.mark.parametrize("fold", [True, False], ids=["folded", "unfolded"])
def test_what_is_whole_has_no_count(fold: bool) -> None:
    names = [f"blocks.{block}.{part}" for block in range(24) for part in ("weight", "bias")]
    text = listed(names, fold=fold)
    assert "more" not in text
    assert ("blocks.{0-23}" in text) is fold


@pytest.mark.parametrize(
    ("verdict", "rule", "word"),
    [
        (Verdict.PASS, rules.NEEDED_CLASS, "LISTED x.pth"),
        (Verdict.FAIL, rules.UNKNOWN_CALL, "FAIL x.pth"),
    ],
    ids=["listed", "failed"],
)
def test_a_listing_never_says_pass(verdict: Verdict, rule: rules.Rule, word: str) -> None:
    file = FileReport("x.pth", verdict, (finding(rule, "told"),), "torch-zip", 1)
    stream = io.StringIO()
    write(Listings((Listing(file),)), stream, TreeView())
    first = stream.getvalue().splitlines()[0]
    assert word in first
    assert f": {rule.name.replace('-', ' ')}" in first
    assert "PASS" not in stream.getvalue()


def test_a_tied_tensor_is_counted_under_each_name_and_said_to_be_one() -> None:
    file = FileReport("x.pth", Verdict.PASS, (), "torch-zip", 1, tensors=2, parameters=2)
    rows = tuple(TensorRow(name, "float32", (1,), 4) for name in ("a", "b"))
    stream = io.StringIO()
    write(Listings((Listing(file, rows, tied=(("a", "b"),)),)), stream, TreeView())
    assert "2 float32; 4 B of it under 1 name tied to others" in stream.getvalue()
    assert "tied" not in listed(["a", "b"])


def test_what_was_found_stands_below_the_first_line_the_worst_first() -> None:
    found = (finding(rules.NEEDED_CLASS, "a class"), finding(rules.UNKNOWN_CALL, "a call"))
    file = FileReport("x.pth", Verdict.FAIL, found, "torch-zip", 1)
    stream = io.StringIO()
    write(Listings((Listing(file),)), stream, TreeView())
    lines = stream.getvalue().splitlines()
    assert rules.UNKNOWN_CALL.code in lines[2]
    assert stream.getvalue().index("a call") < stream.getvalue().index("a class")
    assert lines.index("  container    torch-zip") > lines.index(lines[2])
