"""The table of constructors is whole: every row is read, and torch's own list is in it."""

from __future__ import annotations

import importlib
import re

import pytest
import torch

from ckpttool.formats.safety import kinds
from ckpttool.formats.safety.allowed import ROW, ROWS, is_value, makers_of
from ckpttool.formats.safety.idioms import is_idiom
from ckpttool.formats.safety.known_names import Name
from ckpttool.formats.safety.torch_names import DEFAULT_NAMES, TORCH
from ckpttool.formats.safety.watch import Watch
from tests.builders import pickles as p

FOLLOWS = {"attributes", "fields", "state", "slots", "partial", "stores", "items", "append", "add"}
EVERY = [(module, name) for module in ROWS for name in makers_of(module)]


@pytest.mark.parametrize("module", ROWS)
def test_every_row_is_read(module: str) -> None:
    makers = makers_of(module)
    assert makers
    for name, maker in makers.items():
        assert all(part.isidentifier() for part in name.split("."))
        assert maker.follows <= FOLLOWS
    # a word that the pattern of a row passed over would show as none of its parts
    text = " ".join(ROWS[module].split())
    assert re.sub(ROW.pattern, "", text).split() == []


@pytest.mark.parametrize("module", ROWS)
def test_every_argument_is_of_a_kind_that_there_is(module: str) -> None:
    known = set(kinds.KIND_BY_TYPE.values()) | set(kinds.NAMED)
    known |= {"array", "tensor", kinds.DATA, kinds.FUNCTION, kinds.OBJECT, kinds.HOLDER}
    known |= {kinds.RECORD, kinds.RESULT, "name", "dict"}
    for maker in makers_of(module).values():
        for way in maker.ways:
            assert all(argument.kinds <= known for argument in way)
            # only the last argument of a way may be repeated
            assert not any(argument.repeated for argument in way[:-1])


def test_the_list_of_the_installed_torch_is_the_one_that_is_named() -> None:
    """Run ``python -m docs.make_torch_names`` with a newer torch when this fails."""
    reader = pytest.importorskip("torch._weights_only_unpickler")
    new = set(reader._get_allowed_globals()) - DEFAULT_NAMES
    assert new == set(), f"torch {torch.__version__} allows more than {TORCH} did"


@pytest.mark.skipif(not str(torch.__version__).startswith(f"{TORCH}."), reason="another torch")
def test_every_name_of_the_list_is_one_of_that_torch() -> None:
    reader = importlib.import_module("torch._weights_only_unpickler")
    assert set(reader._get_allowed_globals()) >= DEFAULT_NAMES


@pytest.mark.parametrize("spelled", sorted(DEFAULT_NAMES))
def test_a_name_that_torch_allows_is_never_told(spelled: str) -> None:
    module, _, attribute = spelled.rpartition(".")
    watch = Watch()
    watch.parse(p.pickle(p.name(module, attribute)))
    assert watch.uses == ()


def test_torch_s_own_list_is_in_the_table() -> None:
    reader = pytest.importorskip("torch._weights_only_unpickler")
    missing = []
    for spelled in reader._get_allowed_globals():
        module, _, attribute = spelled.rpartition(".")
        name = Name(module, attribute)
        known = attribute in makers_of(module) or is_value(module, attribute) or is_idiom(name)
        if not known:
            missing.append(spelled)
    assert missing == []


STANDARD = {"builtins", "collections", "datetime", "pathlib", "uuid", "ipaddress", "re", "os"}


@pytest.mark.parametrize(("module", "name"), [row for row in EVERY if row[0] in STANDARD])
def test_a_constructor_of_python_is_there(module: str, name: str) -> None:
    found = getattr(importlib.import_module(module), name, None)
    newer = {"BaseExceptionGroup", "ExceptionGroup", "EncodingWarning", "PythonFinalizationError"}
    newer.add("PatternError")
    assert callable(found) or name in newer
