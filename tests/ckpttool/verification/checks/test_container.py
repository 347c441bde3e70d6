"""Checks on the container that no saved file of this torch would show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from ckpttool import convert
from ckpttool.formats import open_checkpoint
from ckpttool.models.canonical import canonicalize
from ckpttool.tensors.catalogue import Checkpoint, Checksum, Wrapper
from ckpttool.verification.checks.container import (
    check_checksums,
    check_names,
    check_prefix,
    check_wrapper_choice,
)
from ckpttool.verification.evidence import Evidence
from tests.builders.evidence import evidence, trained
from tests.builders.layouts import WRAPPED, catalogue, encoder_names

if TYPE_CHECKING:
    from pathlib import Path


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


def wrapped(names: list[str]) -> Evidence:
    """What is known of a file that has these names."""
    given, tensors = of_format("torch-zip"), catalogue(names)
    return given._replace(
        checkpoint=Checkpoint("memory", "torch-zip", (), tensors), canonical=canonicalize(tensors)
    )


@pytest.mark.parametrize(
    ("label", "message", "fix"),
    [
        (
            "two modules of Lightning",
            "prefix backbone.vit. removed from 30 of 52 names;"
            " decoder. removed from 20 of 52 names",
            "--strip-prefix backbone.vit. --strip-prefix decoder.",
        ),
        (
            "compiled blocks",
            "wrapper _orig_mod. removed inside of 24 of 30 names",
            "--layout facebook",
        ),
        (
            "a student and a teacher",
            "prefix student.backbone. removed from 30 of 60 names;"
            " 30 names behind teacher.backbone. match too and were not used",
            "--strip-prefix student.backbone.",
        ),
        (
            "adapters of PEFT",
            "prefix base_model.model. removed from 38 of 38 names;"
            " base_layer. removed inside of 8 of 38 names",
            "--layout facebook",
        ),
    ],
)
def test_what_was_taken_out_of_names_is_said_with_the_way_to_cut_it(
    label: str, message: str, fix: str
) -> None:
    (found,) = check_prefix(wrapped(WRAPPED[label].names))
    assert found.message == message
    assert found.advice == f"Remove it from the names: ckpttool convert PATH --to safetensors {fix}"


def test_no_way_to_cut_a_prefix_is_shown_where_two_tensors_would_have_one_name() -> None:
    names = ["norm.weight", *(f"encoder.{name}" for name in encoder_names(1))]
    (found,) = check_prefix(wrapped(names))
    assert found.advice == ""


def test_names_as_they_are_published_have_no_prefix() -> None:
    assert list(check_prefix(wrapped(encoder_names(1)))) == []


@pytest.mark.parametrize("label", ["two modules of Lightning", "DDP in Lightning", "MoCo"])
def test_the_way_to_cut_prefixes_works(label: str, tmp_path: Path) -> None:
    names = WRAPPED[label].names
    source, target = tmp_path / "wrapped.pth", tmp_path / "bare.safetensors"
    torch.save({name: torch.rand(2, 2) for name in names}, source)
    (found,) = check_prefix(wrapped(names))
    _, *prefixes = found.advice.split(" --strip-prefix ")
    convert(source, target, to="safetensors", strip_prefix=prefixes)
    with open_checkpoint(target) as checkpoint:
        assert canonicalize(checkpoint.tensors).removed == ()
