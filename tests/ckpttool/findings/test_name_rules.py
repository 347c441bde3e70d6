"""Pairs of names that one rule explains are told once."""

from __future__ import annotations

import pytest

from ckpttool.findings.name_rules import rules_of


def told(*pairs: tuple[str, str]) -> dict[str, int]:
    return {str(rule): len(alike) for rule, alike in rules_of(pairs).items()}


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        pytest.param(lambda name: f"net.{name}", "* -> net.*", id="a prefix"),
        pytest.param(lambda name: name[len("layers.") :], "layers.* -> *", id="no prefix"),
        pytest.param(
            lambda name: name.replace("layers", "h"), "layers.* -> h.*", id="another stack"
        ),
        pytest.param(lambda name: name.replace(".fc.", ".up."), "*.fc.* -> *.up.*", id="a module"),
        pytest.param(lambda name: name.replace("weight", "w"), "*.weight -> *.w", id="the end"),
        pytest.param(
            lambda name: name.replace("fc.", "fc.base."),
            "*.weight -> *.base.weight",
            id="something between",
        ),
    ],
)
def test_a_rule_stands_for_all_names_that_differ_alike(change: object, rule: str) -> None:
    names = [f"layers.{number}.fc.weight" for number in range(3)]
    assert told(*((name, change(name)) for name in names)) == {rule: 3}  # type: ignore[operator]


def test_one_pair_is_told_in_full() -> None:
    assert told(("a.weight", "b.weight")) == {"a.weight -> b.weight": 1}


def test_names_that_no_rule_joins_stay_apart() -> None:
    pairs = [("a.x", "b.y"), ("c.x", "d.y")]
    assert told(*pairs) == {"a.x -> b.y": 1, "c.x -> d.y": 1}


def test_a_hostile_name_of_many_parts_is_not_taken_apart() -> None:
    long = ".".join("a" * 100_000)
    assert told((long, f"x.{long}"), ("b", "x.b")) == {f"{long} -> x.{long}": 1, "b -> x.b": 1}
