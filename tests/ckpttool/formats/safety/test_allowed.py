"""The table of constructors is whole: every row is read, and torch's own list is in it."""

from __future__ import annotations

import importlib
import re

import pytest

from ckpttool.formats.safety import kinds
from ckpttool.formats.safety.allowed import ROW, ROWS, is_value, makers_of
from ckpttool.formats.safety.idioms import is_idiom
from ckpttool.formats.safety.names import Name

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
