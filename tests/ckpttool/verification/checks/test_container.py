"""Checks on the container that no saved file of this torch would show."""

from __future__ import annotations

import pytest

from ckpttool.tensors.catalogue import Checkpoint, Checksum, Wrapper
from ckpttool.verification.checks.container import (
    check_checksums,
    check_names,
    check_wrapper_choice,
)
from ckpttool.verification.evidence import Evidence
from tests.builders.evidence import evidence, trained


def of_format(name: str, *, checksums: tuple[Checksum, ...] = ()) -> Evidence:
    whole = evidence(trained())
    tensors = whole.checkpoint.tensors
    return whole._replace(checkpoint=Checkpoint("memory", name, (), tensors, checksums=checksums))


def with_a_checksum() -> Evidence:
    extent = next(iter(evidence(trained()).checkpoint.tensors.values())).extents[0]
    return of_format("torch-zip", checksums=(Checksum("data/0", extent, 0),))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(of_format("torch-zip"), ["INT007"], id="zip without"),
        pytest.param(with_a_checksum(), [], id="zip with"),
        pytest.param(of_format("safetensors"), [], id="a container that knows none"),
    ],
)
def test_an_archive_without_checksums_is_noted(given: Evidence, expected: list[str]) -> None:
    assert [found.rule.code for found in check_checksums(given)] == expected


def test_every_state_dict_that_was_not_taken_is_named() -> None:
    given = of_format("torch-zip")
    given.checkpoint.wrappers = (Wrapper("model", 5), Wrapper("model_ema", 5), Wrapper("", 1))
    (found,) = check_wrapper_choice(given)
    assert "'model_ema' (5 tensors)" in found.message
    assert "the root (1 tensor)" in found.message


def test_problems_with_names_are_passed_on() -> None:
    given = of_format("torch-zip")
    given = given._replace(canonical=given.canonical._replace(problems=("one", "two")))
    assert [found.message for found in check_names(given)] == ["one", "two"]
    assert list(check_names(of_format("torch-zip"))) == []
