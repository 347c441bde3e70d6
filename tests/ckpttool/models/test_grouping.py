"""The groups of a schema are what somebody calls so, and the top-level modules."""

from __future__ import annotations

import pytest

from ckpttool.models.grouping import OTHERS, ROOT, Groups, Idle, grouped
from ckpttool.models.reference import NONE, reference_of
from ckpttool.models.schema_file import described

NAMES = [
    "model.embed.weight",
    "model.layers.0.attn.q",
    "model.layers.0.mlp.up",
    "model.layers.1.attn.q",
    "visual.patch",
    "scale",
]


def test_the_first_pattern_that_matches_takes_a_name_and_modules_take_the_rest() -> None:
    found = grouped(NAMES, {"attention": ["*.attn.*"], "layers": ["model.layers.*"]})
    assert found.group_of == {
        "model.embed.weight": "model",
        "model.layers.0.attn.q": "attention",
        "model.layers.0.mlp.up": "layers",
        "model.layers.1.attn.q": "attention",
        "visual.patch": "visual",
        "scale": ROOT,
    }
    assert found.order == ("attention", "layers", "model", "visual", ROOT)
    assert found.idle == ()


def test_the_short_forms_of_reports_are_patterns() -> None:
    found = grouped(NAMES, {"first": ["model.layers.{0}.attn.q, visual.patch"]})
    assert [name for name in NAMES if found.group_of[name] == "first"] == [NAMES[1], NAMES[4]]


def test_a_pattern_that_takes_nothing_is_told_whoever_took_its_names() -> None:
    patterns = {"all": ["model.*"], "late": ["model.layers.*", "visual.*"], "none": ["audio.*"]}
    found = grouped(NAMES, patterns)
    assert found.idle == (Idle("late", "model.layers.*"), Idle("none", "audio.*"))
    assert "none" not in found.order


def test_the_rest_of_a_module_is_not_counted_in_the_group_of_its_name() -> None:
    found = grouped(NAMES, {"model": ["model.layers.*"]})
    assert found.group_of["model.embed.weight"] == OTHERS
    assert found.group_of["model.layers.0.attn.q"] == "model"


def test_without_patterns_modules_are_the_groups() -> None:
    assert grouped(NAMES, {}).order == ("model", "visual", ROOT)


def test_a_schema_is_grouped_once_for_all_files_of_a_run() -> None:
    reference = reference_of("x", {name: described(name, "float32", (2,)) for name in NAMES})
    groups = Groups({"seen": ["visual.*"]})
    assert groups.of(reference) is groups.of(reference)
    assert groups.of(reference).schema.groups == ("seen", "model", ROOT)
    assert groups.of(reference).family.group_of("visual.patch") == "seen"


def test_no_schema_has_no_groups() -> None:
    assert Groups({"seen": ["visual.*"]}).of(NONE) is NONE


@pytest.mark.parametrize("pattern", ["[", "a[!]b", "{", "{0-99999999999999}", "\\", "**" * 40])
def test_any_text_is_a_pattern(pattern: str) -> None:
    assert grouped(NAMES, {"odd": [pattern]}).idle in ((), (Idle("odd", pattern),))
