r"""What people write and what the tool prints both stand for the names that are meant."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpttool.findings.names import compress, summarise
from ckpttool.findings.patterns import matcher, matches
from ckpttool.findings.text import printable


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("norm.weight", "norm.weight"),
        ("blocks.*.bias", "blocks.0.attn.bias"),
        ("blocks.?.bias", "blocks.0.bias"),
        ("blocks.[0-3].bias", "blocks.2.bias"),
        ("blocks.[!4].bias", "blocks.2.bias"),
        ("blocks.{0-11}.norm1.{weight,bias}", "blocks.11.norm1.bias"),
        ("blocks.{0-6,8-23}.norm1.*", "blocks.23.norm1.weight"),
        ("blocks.{0-999999999999}.w", "blocks.123456.w"),
        ("{encoder,decoder*}.w", "decoder_blocks.w"),
        ("norm.weight, blocks.{0-1}.w", "blocks.1.w"),
        ("odd[0].w", "odd[0].w"),
        (r"odd\{0\}.w", "odd{0}.w"),
        (r"odd\\.w", "odd\\.w"),
        ("a.{01,b}", "a.01"),
        ("a.{" + "9" * 5_000 + ",b}", "a." + "9" * 5_000),
        (r"a\x1b[2J", "a\x1b[2J"),
        (r"\x3a\x3aerror\x3a\x3a", "::error::"),
        ("[", "["),
        ("a[]b]c", "abc"),
        ("{", "{"),
        ("a, b", "a, b"),
    ],
)
def test_a_name_is_meant(pattern: str, name: str) -> None:
    assert matches(pattern, name)
    assert matcher(pattern)(name)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("norm.weight", "norm.weights"),
        ("norm.weight", "decoder_norm.weight"),
        ("blocks.{0-11}.w", "blocks.12.w"),
        ("blocks.{0-6,8-23}.w", "blocks.7.w"),
        ("blocks.{0-11}.w", "blocks.01.w"),
        ("blocks.{0-11}.w", "blocks.x.w"),
        ("blocks.{3-1}.w", "blocks.2.w"),
        ("blocks.[z-a].w", "blocks.b.w"),
        ("a.{b,c}", "a.d"),
        ("a.b, c", "a"),
        ("norm.weight and 3 more", "norm.bias"),
        ("", "a"),
        ("blocks.0.*", "blocksx0.w"),
    ],
)
def test_another_name_is_not(pattern: str, name: str) -> None:
    assert not matches(pattern, name)
    assert not matcher(pattern)(name)


WORDS = st.text("ab01.{}[]*?\\-,^\x1b", min_size=1, max_size=12)


@settings(deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=6))
def test_what_is_printed_stands_for_the_names_that_it_was_printed_of(names: list[str]) -> None:
    whole = printable(summarise(names, most=99), 2000)
    assert all(matches(whole, name) for name in names)


@settings(deadline=None)
@given(WORDS, st.lists(st.text("ab01.", min_size=1, max_size=5), max_size=4))
def test_a_group_stands_for_no_other_name(name: str, names: list[str]) -> None:
    if name not in names:
        assert not any(matches(group, name) for group in compress(names))


@settings(deadline=None)
@given(st.text("ab*?.", max_size=8), st.text("ab.", max_size=8))
def test_globs_are_those_of_shells(pattern: str, name: str) -> None:
    assert matches(pattern, name) == fnmatchcase(name, pattern)


@settings(deadline=None)
@given(WORDS, WORDS)
def test_what_is_made_for_many_names_matches_the_same(pattern: str, name: str) -> None:
    assert matcher(pattern)(name) == matches(pattern, name)
