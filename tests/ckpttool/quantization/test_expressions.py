"""Expressions match as Python's do, in one pass; what has no such form is told."""

from __future__ import annotations

import random
import re

import pytest

from ckpttool.quantization.choosing_modules import Patterns
from ckpttool.quantization.expressions import any_of

EXPRESSIONS = [
    r".*lm_head",
    r"model.layers.\d+.self_attn.(q|k|v)_proj",
    "a*",
    "(a|b)*c",
    "a{2,3}b?",
    "[^x]+y",
    "ab|cd",
    "(?:ab)+c{2}",
    "a.?b",
    "x{0,2}y",
    r"(a?b)*c|\d+",
    "",
    "(a*)*b",
    "a+?b",
    r"\.b",
    "[]a]b",
    "a{0}b",
    "(|a)b",
]


def texts() -> list[str]:
    chosen = random.Random(1)  # noqa: S311 (not for secrets)
    made = ["".join(chosen.choices("abcxyd.1", k=size)) for size in range(9) for _ in range(60)]
    return [*made, "model.layers.12.self_attn.k_proj", "lm_head", "a.lm_head"]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_match_ends_where_pythons_may(expression: str) -> None:
    found, unread = any_of([expression])
    assert unread == []
    known = re.compile(expression)
    for text in texts():
        ends = [end for end in range(len(text) + 1) if known.fullmatch(text, 0, end)]
        assert list(found.ends(text)) == ends


@pytest.mark.parametrize("expression", ["^ab$", "a$|b", "[a-c]+$", ".*gate$", "^"])
def test_the_start_and_the_end_are_those_of_the_text(expression: str) -> None:
    found, _ = any_of([expression])
    for text in texts():
        assert bool(found.ends(text)) == bool(re.match(expression, text))


@pytest.mark.parametrize("times", ["{\u00b2}", "{1,\u00b2}", "{\u0663}", "{}", "{,}"])
def test_times_that_are_no_number_are_not_read(times: str) -> None:
    _, unread = any_of([f"a{times}"])
    assert unread == [f"a{times}"]


def test_any_of_several_may_match() -> None:
    found, unread = any_of(["a+", "(?=b)", "c$"])
    assert unread == ["(?=b)"]
    assert [bool(found.ends(text)) for text in ("aa", "b", "c", "cd")] == [True, False, True, False]


def test_no_expression_matches_nothing() -> None:
    assert any_of([])[0].ends("") == ()


@pytest.mark.parametrize(
    "expression",
    [
        *(r"(?=a)", r"\1", "(?P<n>a)", "(", "a)", "[a", "a{9999}", "*a", "a**", r"\ba", "a{x}"),
        *("[b-a]", "((((a{200}){200}){200}))", "(" * 100 + "a" + ")" * 100, "\\"),
    ],
)
def test_what_cannot_be_matched_is_told(expression: str) -> None:
    assert any_of([expression])[1] == [expression]


@pytest.mark.parametrize("expression", ["(a*)*b", "(a+a+)+b", "(.*)(.*)(.*)(.*)=b"])
def test_one_that_takes_python_for_ever_takes_one_pass(expression: str) -> None:
    assert any_of([expression])[0].ends("a" * 5000) == ()


def test_expressions_that_take_too_long_are_given_up_and_said_to_be_unread() -> None:
    odd = [chr(0x4E00 + number) for number in range(3_000)]
    many = Patterns(starts=[".*" * 8_000])
    few = Patterns(starts=[".*" * 8 + "x"])
    assert not few.match("".join(odd))
    assert not few.unread
    for _ in range(3):  # as few characters of a name as that
        many.match("".join(odd))
    assert many.unread == ("expressions that take too long",)
    assert not many.match("a")
