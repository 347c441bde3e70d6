"""A lock file that somebody edited or merged is refused, with the line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ckpttool.findings.errors import MalformedError, UnreadableError
from ckpttool.verification.lock.reading import parse, read_lock
from ckpttool.verification.lock.writing import render
from tests.builders import locks as built

TEXT = render([built.checkpoint()])
TENSOR = f"tensor norm.weight float32 [2,3] {'ef' * 32}"
WEIGHTS = "weights.pth"
NOT_THEIRS = "the fingerprint of weights.pth is not that of its tensors"
NOT_BELOW = "the tolerance of weights.pth is not below all controls that count"
OUTPUT, PROJECTION = "output features [2,5,16] 0.25 1 -3 3", "projection features 0.5 -1.5"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        pytest.param("lock 1\n", "", "line 3 of the lock file: the first line", id="no version"),
        pytest.param("lock 1\n", "lock 2\n", "line 2 of the lock file: the lock", id="a newer one"),
        pytest.param(TENSOR, f"<<<<<<< HEAD\n{TENSOR}", "<<<<<<< is unknown", id="a conflict"),
        pytest.param(TENSOR, f"{TENSOR}\n{TENSOR}", "norm.weight occurs twice", id="a line twice"),
        pytest.param(f"{TENSOR}\n", "", "has 1 tensors, not 2", id="a tensor gone"),
        pytest.param("ef" * 32, "ef" * 31, "not a SHA-256", id="a digest cut"),
        pytest.param("[2,3]", "[2,-3]", "[2,-3] is not a shape", id="a negative length"),
        pytest.param("[2,3]", "2,3", "2,3 is not a shape", id="no brackets"),
        pytest.param("[2,3]", "[2," + "9" * 19 + "]", "not a whole number", id="a huge length"),
        pytest.param(" float32", "", "3 words where 4 belong", id="a word gone"),
        pytest.param("tensors 2", "tensors two", "two is not a whole number", id="not a number"),
        pytest.param("tensors 2\n", "", "has no line tensors", id="no number of tensors"),
        pytest.param("schema tiny\n", "", "has no line schema", id="no schema"),
        pytest.param("rounding 1e-06\n", "", "none rounding", id="half a forward pass"),
        pytest.param("schema tiny", "schema tiny\nschema x", "occurs twice", id="two schemas"),
        pytest.param("schema tiny", "schema tiny x", "2 words where 1", id="a word too many"),
        pytest.param("checkpoint weights.pth", "checkpoint", "0 words where 1", id="no name"),
        pytest.param("rounding 1e-06", "rounding", "0 words where 1", id="no number behind it"),
        pytest.param("lock 1\n", "lock 1\nlock 1\n", "before the first", id="a version twice"),
        pytest.param(OUTPUT, f"{OUTPUT}\n{OUTPUT}", "features occurs twice", id="two outputs"),
        pytest.param(
            PROJECTION, f"{PROJECTION}\n{PROJECTION}", "features occurs twice", id="two projections"
        ),
        pytest.param("does-not-count", "maybe", "neither counts", id="a control in doubt"),
        pytest.param("output features", "output x", "before the output", id="an output gone"),
        pytest.param("norm.weight float", "norm.weight  float", "single spaces", id="two spaces"),
        pytest.param("norm.weight", '"norm.weight', "single spaces", id="a quote left open"),
        pytest.param("norm.weight", '"norm\\q"', "Invalid", id="an escape that is none"),
        pytest.param("checkpoint weights.pth\n", "", "before the first", id="no checkpoint"),
        *(
            pytest.param(f"checkpoint {WEIGHTS}", f"checkpoint {name}", "is no path below", id=name)
            for name in (".", "..", "../x.pth", "a/../../x.pth", "/x.pth", '""')
        ),
        pytest.param("ckpt1:", "ckpt1:0", NOT_THEIRS, id="another fingerprint"),
        pytest.param("[2,3]", "[3,2]", NOT_THEIRS, id="a shape alone"),
        pytest.param("ef" * 32, "ab" * 32, NOT_THEIRS, id="a digest alone"),
        pytest.param("norm.weight float", "norm.w float", NOT_THEIRS, id="a name alone"),
        pytest.param("tolerance 0.001", "tolerance inf", NOT_BELOW, id="no end of tolerance"),
        pytest.param("tolerance 0.001", "tolerance 1", NOT_BELOW, id="tolerance of a defect"),
        pytest.param("tolerance 0.001", "tolerance nan", NOT_BELOW, id="tolerance of no number"),
        pytest.param(" counts", " does-not-count", NOT_BELOW, id="no control that counts"),
        pytest.param("tolerance 0.001", "tolerance none", "but no tolerance", id="no tolerance"),
        pytest.param("kept 0", "kept 00", "00 is not a whole number", id="zeros before a number"),
        pytest.param("0.25", "0_25", "0_25 is not a number", id="a number of Python"),
    ],
)
def test_what_is_wrong_is_said(old: str, new: str, told: str) -> None:
    assert old in TEXT
    with pytest.raises(MalformedError) as caught:
        parse(TEXT.replace(old, new, 1), "ckpttool.lock")
    assert told in str(caught.value)
    assert "ckpttool.lock" in str(caught.value)
    assert "[FIL502]" in str(caught.value)


def test_a_lock_file_of_nothing_is_refused() -> None:
    with pytest.raises(MalformedError, match="no checkpoint in it"):
        parse(render([]), "x")


@pytest.mark.parametrize("line", ["lock 1", "checkpoint weights.pth"])
def test_a_lock_file_that_was_put_behind_itself_is_refused(line: str) -> None:
    again = TEXT[TEXT.index(line) :]
    with pytest.raises(MalformedError, match="twice"):
        parse(TEXT + again, "x")


def test_the_line_ends_of_windows_are_read_as_well() -> None:
    assert parse(TEXT.replace("\n", "\r\n"), "x") == parse(TEXT, "x")


def test_comments_and_empty_lines_are_passed_over() -> None:
    assert parse(TEXT.replace("schema", "# a word\n\nschema"), "x").checkpoints


def test_a_lock_file_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="No such file"):
        read_lock(str(tmp_path / "gone.lock"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "ckpttool.lock"
    os.mkfifo(path)
    with pytest.raises(UnreadableError, match="not a regular file"):
        read_lock(str(path))


def test_a_lock_file_with_other_letters_than_ascii_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ckpttool.lock"
    path.write_bytes(TEXT.encode() + b"\xff")
    with pytest.raises(MalformedError, match=f"not ASCII text, from byte {len(TEXT)} on"):
        read_lock(str(path))


def test_a_line_without_end_is_refused_before_it_is_taken_apart() -> None:
    with pytest.raises(MalformedError, match="line 9 of the lock file: the line is longer"):
        parse(TEXT.replace("kept 0", "kept" + " 0" * 500_000), "x")


def test_more_checkpoints_than_anybody_has_are_refused() -> None:
    empty = f"fingerprint {built.holding('x', {}).fingerprint}\nschema x\ntensors 0\n"
    text = "lock 1\n" + "".join(f"checkpoint {number}\n{empty}" for number in range(10_001))
    with pytest.raises(MalformedError, match="more than 10,000 checkpoints"):
        parse(text, "x")
