"""Inputs that are led by coverage, where Atheris is installed (``make fuzz`` does that)."""

from __future__ import annotations

import pytest

from tests.fuzzing import led
from tests.fuzzing.led import Led


def test_a_run_tries_as_many_inputs_as_were_asked_for() -> None:
    pytest.importorskip("atheris")
    more = led.run("header", 400, processes=2)
    assert more.inputs >= 400
    assert more.findings == []


def test_a_process_that_fails_is_a_finding() -> None:
    more = led.run("no such parser", 400)
    assert more.inputs == 0
    assert len(more.findings) == 1


def test_counts_of_runs_add_up() -> None:
    assert Led(1, 2.0, ["a"]) + Led(10, 20.0, ["b"]) == Led(11, 22.0, ["a", "b"])
