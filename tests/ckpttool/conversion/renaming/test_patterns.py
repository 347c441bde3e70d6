"""A pattern keeps what its wildcards stand for, and a replacement puts it back in order."""

from __future__ import annotations

import pytest

from ckpttool.conversion.renaming.patterns import pattern_of, template_of
from ckpttool.findings.errors import UsageError


@pytest.mark.parametrize(
    ("pattern", "replacement", "name", "renamed"),
    [
        pytest.param("net.*", "*", "net.blocks.0.norm1.weight", "blocks.0.norm1.weight", id="star"),
        pytest.param("a.b", "c", "a.b", "c", id="literal"),
        pytest.param("h.{n}.*", "blocks.{n}.*", "h.12.mlp.w", "blocks.12.mlp.w", id="number"),
        pytest.param("*.{n}.*", "{n}/*/*", "a.b.7.c", "7/a.b/c", id="another order"),
        pytest.param("{n}.{n}", "{n}-{n}", "3.10", "3-10", id="two numbers"),
        pytest.param("*.weight", "*.w", "a.weight.weight", "a.weight.w", id="the end counts"),
        pytest.param("a[0].*", "a.*", "a[0].w", "a.w", id="no other wildcards"),
        pytest.param("*x*", "*y*", "axbxc", "aybxc", id="as little as it can"),
        pytest.param("net.*", "*.net", "net.", ".net", id="nothing is text too"),
        pytest.param("a\n*", "*", "a\nb", "b", id="a line break"),
    ],
)
def test_a_name_is_renamed(pattern: str, replacement: str, name: str, renamed: str) -> None:
    captures = pattern_of(pattern, "rename").match(name)
    assert captures is not None
    assert template_of(replacement, "rename").filled(captures) == renamed


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        pytest.param("net.*", "my.net.a", id="in the middle"),
        pytest.param("a.b", "a.bc", id="more behind it"),
        pytest.param("a.b", "a-b", id="a dot is a dot"),
        pytest.param("h.{n}.w", "h.x.w", id="not a number"),
        pytest.param("h.{n}.w", "h.07.w", id="a leading zero"),
        pytest.param("h.{n}.w", "h.\u0661.w", id="another script's digit"),
        pytest.param("*.bias", "a.weight", id="another end"),
        pytest.param("a*b*c", "acb", id="another order"),
    ],
)
def test_a_name_that_does_not_match(pattern: str, name: str) -> None:
    assert pattern_of(pattern, "rename").match(name) is None


@pytest.mark.parametrize("pattern", ["*a*a*a*a*b", "*{n}*{n}*x", "{n}{n}{n}{n}x", "*.*.*.*.*.*!"])
@pytest.mark.parametrize("name", ["a" * 100_000, "1" * 100_000, "." * 100_000])
def test_a_hostile_name_takes_no_longer_than_its_length(pattern: str, name: str) -> None:
    # one that backtracks would take days
    assert pattern_of(pattern, "rename").match(name) is None


def test_a_name_is_not_empty() -> None:
    with pytest.raises(UsageError, match="empty"):
        template_of("", "rename")
