"""A sample of the inputs that ``make nightly`` and ``make fuzz`` try, and oracles that can fail."""

from __future__ import annotations

import os
from random import Random
from typing import Any, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpttool.findings.errors import MalformedError
from tests.builders import extras
from tests.fuzzing.budget import LARGEST, PATIENT_SECONDS, Budget
from tests.fuzzing.inputs import changed, numbered
from tests.fuzzing.judging import outcome_of
from tests.fuzzing.mutations import raw
from tests.fuzzing.parser import SAME, Parser, ViolationError
from tests.fuzzing.running import run, run_in_processes, warm

PARSERS = extras.parsers()

#: Every hundredth of the first 100,000 inputs.
SAMPLE = range(0, 100_000, 100)

each_parser = pytest.mark.parametrize("parser", PARSERS.values(), ids=list(PARSERS))


class Planted:
    """A reader that does with an input what is planted in it."""

    NAME = "planted"

    def __init__(self, *plants: bytes) -> None:
        self._plants = plants

    def seeds(self) -> Sequence[bytes]:
        return (b"good",)

    def mutate(self, _: bytes, random: Random) -> bytes:
        return random.choice(self._plants)

    def read(self, content: bytes) -> object:
        if content == b"slow":
            while True:
                pass
        if content == b"large":
            return bytearray(2**29)
        if content == b"other error":
            raise KeyError(content)
        if content == b"crash":
            os._exit(9)
        if content == b"refused":
            raise MalformedError("no")
        return content

    def compare(self, content: bytes, said: object) -> str:
        if content == b"differs":
            raise ViolationError("differs")
        return SAME if said == content else "refused here"


def findings_of(*plants: bytes) -> list[Any]:
    return run(Planted(*plants), range(1)).findings


@each_parser
def test_every_oracle_holds_for_a_sample_of_the_inputs(parser: Parser) -> None:
    tally = run(parser, SAMPLE, seconds=PATIENT_SECONDS)
    assert tally.findings == []
    assert tally.inputs == len(SAMPLE)
    assert tally.read["refused"], "no input was broken: the changes change nothing"
    assert tally.compared[SAME], "no input was held to the reference"


@each_parser
@settings(derandomize=True, max_examples=50, deadline=None)
@given(random=st.randoms(use_true_random=False))
def test_no_choice_of_changes_breaks_an_oracle(parser: Parser, random: Random) -> None:
    """Hypothesis makes the choices here, and looks for the fewest that break one."""
    warm(parser)
    assert outcome_of(parser, changed(parser, random), Budget(PATIENT_SECONDS)).finding == ""


@each_parser
@pytest.mark.parametrize("number", range(5))
def test_a_file_of_10_mb_stays_within_the_budget(parser: Parser, number: int) -> None:
    warm(parser)
    random = Random(number)  # noqa: S311
    content = raw.grow(random.choice(parser.seeds()), random, LARGEST)[:LARGEST]
    assert outcome_of(parser, content, Budget(PATIENT_SECONDS)).finding == ""


def test_long_numbers_of_the_memo_stay_within_the_budget() -> None:
    """Nothing behind a line may be copied for it: there are 700,000 of them."""
    parser = PARSERS["pickle"]
    warm(parser)
    content = (b"K\x01" + b"p%011d\n" % 7 * (LARGEST // 13))[:LARGEST]
    assert outcome_of(parser, content, Budget(PATIENT_SECONDS)).finding == ""


@each_parser
def test_the_files_that_are_changed_are_good_ones(parser: Parser) -> None:
    for content in parser.seeds():
        assert parser.compare(content, parser.read(content)) == SAME


@each_parser
def test_a_number_stands_for_the_same_input_every_time(parser: Parser) -> None:
    some = [numbered(parser, number) for number in range(50)]
    assert [numbered(parser, number) for number in reversed(range(50))] == some[::-1]
    assert len(set(some)) > 20
    assert [numbered(parser, number, seed=2) for number in range(50)] != some


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (b"slow", "too slow"),
        (b"large", "too much memory"),
        (b"other error", "KeyError"),
        (b"differs", "differs"),
    ],
)
def test_an_oracle_that_does_not_hold_is_a_finding(plant: bytes, said: str) -> None:
    (found,) = findings_of(plant)
    assert said in found["what"]
    assert found["input"] == 0


@pytest.mark.parametrize("plant", [b"good", b"refused"])
def test_what_is_read_or_refused_is_no_finding(plant: bytes) -> None:
    assert findings_of(plant) == []


def test_a_process_that_dies_is_a_finding_and_the_rest_is_tried() -> None:
    parser = Planted(b"crash", b"good", b"refused")
    numbers = range(20)
    deadly = [number for number in numbers if numbered(parser, number) == b"crash"]
    tally = run_in_processes(parser, numbers, processes=2)
    assert sorted(found["input"] for found in tally.findings) == deadly
    assert deadly
