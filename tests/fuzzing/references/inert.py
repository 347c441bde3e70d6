"""CPython's own unpickler with nothing behind the names: what is called is noted, and never runs.

Tensors come as they are described, a :class:`View` of a storage each; every other name is a stub.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from contextlib import suppress
from typing import Any, Callable, ClassVar, Dict, List, NamedTuple, Tuple

from tests.fuzzing.parser import ViolationError

#: A module and a name in it.
Pair = Tuple[str, str]


class Kind(NamedTuple):
    """The class of a storage, by its name."""

    name: str


class View(NamedTuple):
    """A tensor as a pickle describes it."""

    storage: Any
    offset: int
    shape: Tuple[int, ...]
    strides: Tuple[int, ...]


class Stub:
    """Stands for an object or a function: it takes everything and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> Stub:
        """Take any arguments."""
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        self.state: Any = None

    def __call__(self, *_: Any, **__: Any) -> Stub:
        """Return another one."""
        return Stub()

    def __setstate__(self, state: object) -> None:
        """Keep the state as it is."""
        self.state = state

    def __setitem__(self, key: object, value: object) -> None:
        """Nothing."""

    def append(self, item: object) -> None:
        """Nothing."""

    def extend(self, items: object) -> None:
        """Nothing."""

    def add(self, item: object) -> None:
        """Nothing."""


def _view(storage: Any, offset: int, shape: Any, strides: Any, *_: Any) -> View:
    return View(storage, offset, tuple(shape), tuple(strides))


def _first(value: Any, *_: Any) -> Any:
    return value


_MOST = 10_000_000  # bytes of a bytearray

_KNOWN: Dict[Pair, Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _view,
    ("torch._utils", "_rebuild_tensor_v2"): _view,
    ("torch._utils", "_rebuild_parameter"): _first,
}


# The one in Python and not the one in C: that makes room for every number below that of a memo.
class Unpickler(pickle._Unpickler):
    """Reads one pickle; ``names`` are those that it asked for, in order."""

    def __init__(
        self, file: io.BytesIO, persistent: Callable[[Any], Any] = lambda value: value
    ) -> None:
        super().__init__(file, encoding="utf-8", errors="surrogatepass")
        self.names: List[Pair] = []
        self._persistent = persistent

    def load_bytearray8(self) -> None:
        """Push a bytearray; the one in Python makes room for as many bytes as are claimed."""
        data = self.read(8)  # type: ignore[attr-defined]
        self.append(bytearray(self.read(min(int.from_bytes(data, "little"), _MOST))))  # type: ignore[attr-defined]

    dispatch: ClassVar[Dict[int, Callable[[Any], None]]] = {
        **pickle._Unpickler.dispatch,
        pickle.BYTEARRAY8[0]: load_bytearray8,
    }

    def find_class(self, module: str, name: str) -> Any:
        """Return something inert."""
        self.names.append((module, name))
        if module in ("torch", "torch.storage") and name.endswith("Storage"):
            return Kind(name)
        return _KNOWN.get((module, name), Stub)

    def persistent_load(self, pid: Any) -> Any:
        """Return what the caller has for an id."""
        return self._persistent(pid)


def names_in(data: bytes) -> Tuple[Pair, ...]:
    """Return the names that CPython asks for as far as it can read a pickle."""
    reader = Unpickler(io.BytesIO(data))
    with suppress(Exception):  # a changed pickle may raise anything
        reader.load()
    return tuple(reader.names)


def tensors_in(value: object) -> Dict[str, Any]:
    """Return what is a tensor in nested dictionaries, lists and tuples, by dotted name."""
    found: Dict[str, Any] = {}
    waiting: List[Tuple[str, object, int]] = [("", value, 0)]
    while waiting:
        name, one, depth = waiting.pop()
        before = f"{name}." if name else ""
        below: List[Tuple[Any, Any]] = []
        if isinstance(one, View) or hasattr(one, "untyped_storage"):
            found[name] = one
        elif isinstance(one, dict):
            below = list(one.items())
        elif isinstance(one, (list, tuple)):
            below = list(enumerate(one))
        if depth > 50 or len(found) > 10_000:
            raise ViolationError("an object that is too deep or too large to be compared")
        waiting += [(f"{before}{key}", item, depth + 1) for key, item in below]
    return found
