"""The report for a machine: its shape is a promise (docs/json.md)."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpttool._version import __version__
from ckpttool.findings import rules
from ckpttool.findings.results import FileReport
from ckpttool.reports.machine.json import dump, write
from tests.builders import reports as built


def text_of(*files: FileReport) -> str:
    stream = io.StringIO()
    write(built.report(*files), stream)
    return stream.getvalue()


def loaded(*files: FileReport) -> Any:
    return json.loads(text_of(*files))


def test_the_head_says_who_speaks_and_how_it_ended() -> None:
    report = loaded(built.encoder_only(), built.incomplete())
    files = report.pop("files")
    assert report == {
        "schema_version": 1,
        "tool": "ckpttool",
        "version": __version__,
        "command": "verify",
        "verdict": "fail",
        "exit_code": 1,
        "fail_on": "error",
        "findings": [],
        "inventory": [],
    }
    assert [file["verdict"] for file in files] == ["pass", "fail"]


def test_a_file_has_the_promised_fields() -> None:
    (file,) = loaded(built.incomplete())["files"]
    assert list(file) == [
        "path",
        "format",
        "size",
        "wrapper",
        "layout",
        "verdict",
        "tensors",
        "parameters",
        "diagnosis",
        "fingerprint",
        "coverage",
        "values",
        "forward",
        "published",
        "unchecked",
        "findings",
        "waived",
        "lock",
        "lock_lines",
        "locked",
        "configuration",
        "fail_on",
        "loading",
        "schema_from",
        "against",
        "quantized",
    ]
    assert list(file["coverage"]) == ["schema", "groups", "unexpected"]
    assert file["coverage"]["unexpected"] == ["head.weight"]
    encoder = file["coverage"]["groups"]["encoder"]
    assert (encoder["expected"], encoder["matched"]) == (294, 292)
    assert encoder["missing"] == ["blocks.7.norm1.weight"]
    assert encoder["mismatched"] == [
        {
            "name": "norm.weight",
            "expected": {"dtype": "float32", "shape": [1024]},
            "found": {"dtype": "float32", "shape": [768]},
        }
    ]
    assert file["findings"][1] == {
        "code": "STR005",
        "rule": "shape-mismatch",
        "severity": "error",
        "message": "a",
        "tensor": "norm.weight",
        "tensors": ["norm.weight"],
        "expected": "[1024]",
        "found": "[768]",
        "fix": rules.SHAPE.fix,
    }


def test_a_file_that_could_not_be_read_has_the_same_fields() -> None:
    report = loaded(built.unreadable(), built.encoder_only())
    unread, whole = report["files"]
    assert list(unread) == list(whole)
    assert (unread["format"], unread["coverage"], unread["forward"]) == (None, None, None)
    assert (report["verdict"], report["exit_code"]) == ("cannot-tell", 2)


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(allow_nan=False, allow_infinity=False),
            st.text().filter(lambda text: "::" not in text and "##[" not in text),
        ),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("ab\u00e9\n"), inner),
    )
)
def test_the_text_is_that_of_the_standard_library(content: Any) -> None:
    stream = io.StringIO()
    dump(content, stream)
    assert stream.getvalue() == json.dumps(content, indent=2) + "\n"


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), object()])
def test_what_is_no_json_is_refused(odd: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        dump([{"a": odd}], io.StringIO())


def test_numbers_that_json_lacks_are_strings() -> None:
    (file,) = loaded(built.not_finite())["files"]
    features = file["forward"]["outputs"]["features"]
    assert (features["mean"], features["std"], features["min"]) == ("NaN", "Infinity", "-Infinity")


def test_untrusted_text_cannot_act_and_comes_back_as_it_was() -> None:
    text = text_of(built.hostile())
    assert text.isascii()
    assert "::" not in text
    assert "##[" not in text
    assert "\x1b" not in text
    (file,) = json.loads(text)["files"]
    assert file["path"] == built.HOSTILE
    assert file["coverage"]["unexpected"] == [built.HOSTILE]


def test_a_backslash_before_colons_survives() -> None:
    odd = built.encoder_only()._replace(path="a\\::b\\##[c:::")
    assert loaded(odd)["files"][0]["path"] == "a\\::b\\##[c:::"
