"""The facts on the standard library hold for the Python that runs the tests."""

from __future__ import annotations

import enum
import importlib
import io
import pkgutil
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout, suppress
from typing import Iterator

import pytest

from ckpttool.formats.safety.allowed import makers_of
from ckpttool.formats.safety.known_names import Name, makes_code_run
from ckpttool.formats.safety.standard_library import MODULES

# Not imported: they open windows, act at once, or are tests.
_LEFT_OUT = ("antigravity", "idlelib", "lib2to3", "test", "this", "tkinter", "turtle", "turtledemo")
_ACTING = ("__setstate__", "__del__", "__getattr__", "__getattribute__")


def test_the_list_of_modules_is_complete() -> None:
    if sys.version_info < (3, 10):
        pytest.skip("Python does not tell before 3.10")
    assert frozenset(sys.stdlib_module_names) <= MODULES


def classes() -> Iterator[type]:
    """Every class of the modules of the standard library that can be imported here."""
    waiting = [object]
    seen: set[type] = set()
    while waiting:
        for cls in type.__subclasses__(waiting.pop()):
            if cls not in seen:
                seen.add(cls)
                waiting.append(cls)
    return (cls for cls in seen if str(cls.__module__).partition(".")[0] in MODULES)


@pytest.fixture(scope="module")
def library() -> list[type]:
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        for top in sorted(MODULES - set(_LEFT_OUT)):
            for name in _modules_of(top):
                with suppress(BaseException):  # of another system, or it wants a terminal
                    importlib.import_module(name)
    return list(classes())


def _modules_of(top: str) -> list[str]:
    try:
        module = importlib.import_module(top)
    except BaseException:  # noqa: BLE001 (as above)
        return []
    below = pkgutil.walk_packages(getattr(module, "__path__", []), f"{top}.", lambda _: None)
    return [one.name for one in below if "__main__" not in one.name and ".test" not in one.name]


def acts(cls: type) -> bool:
    """Whether an instance runs code when it gets attributes or is thrown away."""
    if issubclass(cls, (BaseException, enum.Enum)):
        return False  # their own __setstate__ sets attributes; what they call is on the list
    for name in _ACTING:
        owner = next((base for base in cls.__mro__[:-1] if name in vars(base)), None)
        plain = type(vars(owner)[name]).__name__ == "wrapper_descriptor" if owner else False
        if owner and not (name == "__getattribute__" and plain):
            return True
    return False


def test_every_class_that_acts_is_known_to(library: list[type]) -> None:
    unknown = []
    for cls in library:
        name = Name(cls.__module__, cls.__qualname__)
        if "<locals>" in name.attribute or not acts(cls):
            continue
        allowed = name.attribute in makers_of(name.module)
        if not (allowed or makes_code_run(name)):
            unknown.append(str(name))
    assert " ".join(sorted(unknown)) == ""


def test_every_enumeration_may_be_made(library: list[type]) -> None:
    """A member is written as a call of its class with the value."""
    unknown = [
        f"{cls.__module__}.{cls.__qualname__}"
        for cls in library
        if issubclass(cls, enum.Enum) and list(cls) and "." not in cls.__qualname__
        if cls.__qualname__ not in makers_of(cls.__module__)
    ]
    assert " ".join(sorted(unknown)) == ""
