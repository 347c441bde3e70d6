from __future__ import annotations

import pytest

from ckpttool.findings.errors import UsageError
from ckpttool.findings.name_filter import NameFilter

NAMES = ("blocks.0.norm1.weight", "blocks.0.norm1.bias", "head.weight", "optimizer.state.0.step")


def checked(*, include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> list[str]:
    names = NameFilter(include, exclude)
    wanted = [name for name in NAMES if names.wants(name)]
    names.check("tensor")
    return wanted


@pytest.mark.parametrize(
    ("include", "exclude", "wanted"),
    [
        pytest.param((), (), list(NAMES), id="none"),
        pytest.param(("blocks.*",), (), list(NAMES[:2]), id="a wildcard runs over dots"),
        pytest.param(("head.weight", "*.bias"), (), [NAMES[1], NAMES[2]], id="two"),
        pytest.param(("*.weight",), ("blocks.*",), ["head.weight"], id="exclude counts more"),
        pytest.param((), ("*",), [], id="all left out"),
    ],
)
def test_patterns_choose(
    include: tuple[str, ...], exclude: tuple[str, ...], wanted: list[str]
) -> None:
    assert checked(include=include, exclude=exclude) == wanted


@pytest.mark.parametrize(
    ("pattern", "tip"),
    [
        pytest.param("typo*", "ckpttool inspect --all", id="nothing near"),
        pytest.param("haed.weight", "Did you mean head.weight?", id="a name"),
        pytest.param("optimzer*", "Did you mean optimizer.*?", id="what names begin with"),
        pytest.param("blocks", "Did you mean blocks.*?", id="no wildcard"),
        pytest.param("blocks.0.nrm1.*", "Did you mean blocks.0.norm1.*?", id="an inner part"),
        pytest.param("Head.*", "Did you mean head.*?", id="another case"),
    ],
)
@pytest.mark.parametrize("option", ["include", "exclude"])
def test_a_pattern_that_matches_nothing_is_named_with_a_tip(
    option: str, pattern: str, tip: str
) -> None:
    patterns = ("head.*", pattern)
    with pytest.raises(UsageError) as caught:
        checked(include=patterns) if option == "include" else checked(exclude=patterns)
    assert f"no tensor name matches {pattern} ({option})" in str(caught.value)
    assert tip in str(caught.value)


def test_a_name_in_other_words_counts_too() -> None:
    names = NameFilter(exclude=("model.head.*",))
    assert not names.wants("head.weight", "model.head.weight")
    names.check("tensor")


@pytest.mark.parametrize("pattern", ["ema.model.w", "ema.*", "em*", "*.w"])
def test_a_pattern_that_may_match_what_was_not_looked_at_is_not_refused(pattern: str) -> None:
    names = NameFilter(exclude=(pattern,))
    names.wants("head.bias")
    names.check("tensor", below=("ema",))
    with pytest.raises(UsageError):
        names.check("tensor", below=("other",) if pattern[0] != "*" else ())
