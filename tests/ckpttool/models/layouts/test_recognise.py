"""What stands before and inside names is found, and what else is there stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ckpttool.models.canonical import canonicalize
from tests.builders.layouts import OTHER_MODELS, WRAPPED, catalogue

if TYPE_CHECKING:
    from ckpttool.models.canonical import Canonical
    from tests.builders.layouts import Wrapped


def recognised(names: list[str]) -> Canonical:
    """The tensors of a file that has these names."""
    return canonicalize(catalogue(names))


def removed(found: Canonical) -> list[tuple[str, int]]:
    """What was taken out, from how many names; inside of names, with a dot before it."""
    return [(f".{one.text}" if one.inside else one.text, one.names) for one in found.removed]


@pytest.mark.parametrize("case", WRAPPED.values(), ids=WRAPPED)
def test_what_wrappers_put_into_names_is_found_and_counted(case: Wrapped) -> None:
    found = recognised(case.names)
    assert removed(found) == case.removed
    assert found.prefix == case.prefix
    assert sorted(found.unclaimed) == sorted(case.beside)
    assert sorted(set(found.tensors) - set(found.unclaimed)) == sorted(case.model)
    assert found.problems == ()
    assert sorted(own for owns in found.origins.values() for own in owns) == sorted(case.names)


@pytest.mark.parametrize("names", OTHER_MODELS.values(), ids=OTHER_MODELS)
def test_the_names_of_other_models_stay_as_they_are(names: list[str]) -> None:
    found = recognised(names)
    assert (found.layout, found.prefix, found.removed) == (None, "", ())
    assert list(found.tensors) == names
