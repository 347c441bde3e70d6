"""The tables of SECURITY.md are those of the runs, and of every parser there is one."""

from __future__ import annotations

import pytest

from docs.make_security import PAGE, page
from tests.builders import extras
from tests.builders.repository import ROOT
from tests.fuzzing import results
from tests.fuzzing.found import FOUND, Found
from tests.fuzzing.led import Led
from tests.fuzzing.results import NONE, Run, added
from tests.fuzzing.running import Tally

PARSERS = extras.parsers()
TALLY = Tally(2_000, {"accepted": 500}, {"same": 400}, [{"input": 1, "what": "x"}], 3_600.0, 0.5)
RUN = Run("abc", "a processor", "2026-11-26", 0, 2_000)
EMPTY = "<!-- BEGIN FUZZING -->\n<!-- END FUZZING -->\n<!-- BEGIN FOUND -->\n<!-- END FOUND -->\n"


def test_the_tables_are_up_to_date() -> None:
    """Run ``make docs`` when this fails."""
    text = PAGE.read_text(encoding="utf-8")
    assert page(text, results.load(), FOUND) == text


def test_every_parser_that_is_fuzzed_has_results() -> None:
    assert set(results.load()) == set(PARSERS)


def test_a_row_says_what_came_of_a_parser() -> None:
    stored = {"header": added(NONE, TALLY, RUN)._replace(led=Led(7_000, 1_800.0), mended=2)}
    rows = page(EMPTY, stored, ()).splitlines()
    assert "| header | 2,000 | 500 | 400 | 7,000 | 0.50 s | 1.50 h | 2 | 1 |" in rows
    assert "`make fuzz`, seed 1, 2026-11-26, of `abc`, on a processor." in rows


@pytest.mark.parametrize("found", FOUND, ids=lambda found: found.test)
def test_what_was_found_has_its_test(found: Found) -> None:
    file, _, name = found.test.partition("::")
    assert found.parser in PARSERS
    assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")
