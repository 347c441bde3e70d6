"""Conventions that are written: total, reversible, and recognised as what they are."""

from __future__ import annotations

from collections import Counter

import pytest

from ckpttool.models.canonical import canonicalize
from ckpttool.models.layouts.conventions import CONVENTIONS, TIMM
from tests.builders.layouts import catalogue, decoder_names, encoder_names, spelled, vit_large_names

each_convention = pytest.mark.parametrize("name", CONVENTIONS)


@each_convention
def test_a_table_is_total(name: str) -> None:
    layout = CONVENTIONS[name].layout
    assert [one for one in vit_large_names() if layout.names_of(one) is None] == []


@each_convention
def test_no_two_tensors_get_one_name(name: str) -> None:
    names = Counter(spelled(CONVENTIONS[name].layout, vit_large_names()))
    assert [one for one, count in names.items() if count > 1] == []


@each_convention
def test_what_is_written_is_read_as_the_same_tensors(name: str) -> None:
    layout = CONVENTIONS[name].layout
    canonical = [one for one in vit_large_names() if layout.names_of(one)]
    found = canonicalize(catalogue(spelled(layout, canonical)))
    assert list(found.tensors) == canonical
    assert (found.unclaimed, found.problems) == ((), ())


def test_timm_has_the_names_of_its_own_vit_and_no_decoder() -> None:
    """The keys of ``vit_base_patch16_224.mae``: depth 12, no head, ``norm`` at the end."""
    names = spelled(TIMM, [*encoder_names(12), *decoder_names(8)])
    assert names == encoder_names(12)
    assert len(names) == 150
