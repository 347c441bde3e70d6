"""What `make coverage` leaves out is said where it is left out, and why."""

from __future__ import annotations

import re
from typing import List

import coverage
import pytest

from tests.builders.repository import ROOT

SOURCES = sorted((ROOT / "ckpttool").rglob("*.py"))


def excluding_patterns() -> List[str]:
    config = coverage.Coverage(config_file=str(ROOT / "pyproject.toml"), data_file=None)
    patterns = []
    for option in ("report:exclude_lines", "report:partial_branches"):
        found = config.get_option(option)
        assert isinstance(found, list)
        patterns += found
    return patterns


def excludes(line: str) -> bool:
    return any(re.search(pattern, line) for pattern in excluding_patterns())


def test_each_exclusion_has_its_reason_in_the_line() -> None:
    lines = [line for path in SOURCES for line in path.read_text("utf-8").splitlines()]

    assert [line for line in lines if "pragma:" in line and not excludes(line)] == []


@pytest.mark.parametrize("what", ["cover", "branch"])
def test_an_exclusion_counts_with_its_reason_alone(what: str) -> None:
    assert excludes(f"    return None  # pragma: no {what} (Windows alone)")
    assert not excludes(f"    return None  # pragma: no {what}")
    assert not excludes(f"    return None  # pragma: no {what} ()")


@pytest.mark.parametrize("line", ["if TYPE_CHECKING:", "class Target(Protocol):"])
def test_what_never_runs_is_left_out(line: str) -> None:
    assert excludes(line)


@pytest.mark.parametrize(
    "line", ["        ...", "    raise NotImplementedError", "if TYPES:", "class Target(Base):"]
)
def test_other_lines_count(line: str) -> None:
    assert not excludes(line)
