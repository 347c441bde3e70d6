"""No constructor on the list runs code of what its row lets through.

Each is really called, with a tripwire in every place whose kinds are no plain data: something
that notes whatever is asked of it.
"""

from __future__ import annotations

import importlib
import warnings
from typing import Any, Iterator

import pytest

from ckpttool.formats.safety.allowed import ROWS, makers_of
from ckpttool.formats.safety.kinds import FUNCTION, HOLDER, OBJECT, RECORD, RESULT, Argument

_NO_DATA = frozenset({FUNCTION, HOLDER, OBJECT, RECORD, RESULT})
#: What a module's constructors may ask of such a value: what stands there for an iterator is
#: another one of these, which gives itself.
_HARMLESS = {"itertools": {"__iter__"}}

#: A value of each plain kind, for the other places.
_SAMPLES: dict[str, Any] = {
    "none": None,
    "bool": True,
    "int": 1,
    "float": 1.5,
    "str": "a",
    "bytes": b"a",
    "tuple": (1,),
    "list": [1],
    "dict": {"a": 1},
    "set": {1},
}

_SPECIAL = """
    __iter__ __next__ __len__ __getitem__ __contains__ __str__ __repr__ __bytes__ __format__
    __bool__
    __int__ __float__ __complex__ __index__ __round__ __eq__ __lt__ __gt__ __le__ __ge__ __add__
    __radd__ __or__ __ror__ __and__ __call__ __enter__ __exit__ __fspath__ __array__ __reversed__
    __length_hint__ __set_name__ __get__ __instancecheck__ __copy__ __deepcopy__ __getstate__
""".split()


class Wired(Exception):  # noqa: N818 (a signal, not an error)
    """The tripwire was touched."""


def tripwire() -> tuple[Any, list[str]]:
    """A value, and the list of what was asked of it."""
    touched: list[str] = []

    def special(name: str) -> Any:
        def touch(self: object, *args: object, **keywords: object) -> Any:
            touched.append(name)
            raise Wired(name)

        return touch

    def attribute(self: object, name: str) -> Any:
        if name in ("__class__", "__dict__"):  # isinstance asks, and an instance cannot lie in it
            return object.__getattribute__(self, name)
        touched.append(name)
        raise AttributeError(name)

    body: dict[str, Any] = {name: special(name) for name in _SPECIAL}
    body.update({"__getattribute__": attribute, "__hash__": object.__hash__})
    return type("Tripwire", (), body)(), touched


def places() -> Iterator[Any]:
    """Every place of every row that takes more than plain data."""
    for module in ROWS:
        for name, maker in makers_of(module).items():
            for number, way in enumerate(maker.ways):
                for place, argument in enumerate(way):
                    if argument.kinds & _NO_DATA:
                        yield pytest.param(
                            module, name, way, place, id=f"{module}.{name}-{number}-{place}"
                        )


def sample(argument: Argument) -> Any:
    return next(value for kind, value in _SAMPLES.items() if kind in argument.kinds)


def values_at(argument: Argument, wire: Any) -> list[Any]:
    """What is put into the place: the tripwire itself, and where only that may be, a holder."""
    alone = [wire] if argument.kinds & (_NO_DATA - {HOLDER}) else []
    return [*alone, [wire], (wire,), {"a": wire}]


@pytest.mark.parametrize(("module", "name", "way", "place"), list(places()))
def test_a_value_is_only_stored(module: str, name: str, way: Any, place: int) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        pytest.skip("it is not there in this installation")
    for number in range(4):
        wire, touched = tripwire()
        candidates = values_at(way[place], wire)
        if number >= len(candidates):
            continue
        before = [sample(one) if set(_SAMPLES) & one.kinds else len for one in way[:place]]
        try:
            kept = found(*before, candidates[number])
        except Exception:  # noqa: BLE001 (it may well refuse the value)
            kept = None
        asked = set(touched) - _HARMLESS.get(module, set())
        del kept
        assert asked == set(), f"{module}.{name} asks {asked} of argument {place}"


def test_the_tripwire_sees() -> None:
    for act in (list, str, len, dict, lambda value: value.attribute, lambda value: value + 1):
        wire, touched = tripwire()
        with pytest.raises((Wired, AttributeError, TypeError)):
            act(wire)
        assert touched
