"""CPython's unpickler, written in C, with nothing behind the names: it records what would happen.

A name gives a class that stands for it, a call an object that stands for its result. Nothing is
imported, and nothing but what is here is called.
"""

from __future__ import annotations

import io
import pickle
from functools import lru_cache
from typing import Any, Callable, ClassVar, Dict, List, NamedTuple, Tuple

#: A module and a name in it.
Pair = Tuple[str, str]


class Event(NamedTuple):
    """Something that the unpickler did.

    Attributes:
        kind: ``call``, ``new`` (``__new__`` alone) or ``state`` (BUILD).
        what: what was called, or given a state: a class that stands for a name, or a result.
        args: the arguments, or the state alone.
        keywords: those of NEWOBJ_EX.
    """

    kind: str
    what: Any
    args: Tuple[Any, ...]
    keywords: Dict[Any, Any]


class _Recorded:
    """What was recorded last; there is one, since classes that stand for names are shared."""

    events: ClassVar[List[Event]] = []


class Named(type):
    """The type of classes that stand for a name, which is their attribute ``pair``."""

    pair: Pair

    def __call__(cls, *args: Any, **keywords: Any) -> Any:
        """Stand for a call of the name."""
        _Recorded.events.append(Event("call", cls, args, keywords))
        if cls.pair in _GETATTR and len(args) == 2 and isinstance(args[0], Named):
            module, name = args[0].pair
            if type(args[1]) is str and args[1].isidentifier():
                # it looks an attribute up, as protocols below 4 write names with dots
                return standing_for(module, f"{name}.{args[1]}")
        return _made(cls, _copied(cls, args), {})


_GETATTR = frozenset({("builtins", "getattr"), ("__builtin__", "getattr")})
# These copy what they are given when they are called.
_COPYING = {("collections", "OrderedDict"): 0, ("collections", "defaultdict"): 1}


class Result:
    """Stands for the result of a call; it takes everything and does nothing.

    Attributes:
        function: what was called.
        args, keywords: with what.
        new: whether its ``__new__`` alone was.
        states, appended, mapped: what was done to the result.
    """

    function: Any
    args: Tuple[Any, ...]
    keywords: Any
    new: bool
    states: List[Any]
    appended: List[Any]
    mapped: List[Any]

    def __new__(cls, *args: Any, **keywords: Any) -> Any:
        """Stand for an instance that ``__new__`` makes."""
        _Recorded.events.append(Event("new", cls, args, keywords))
        return _made(cls, args, keywords, new=True)

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        _Recorded.events.append(Event("call", self, args, keywords))
        return _made(self, args, keywords)

    def __setstate__(self, state: Any) -> None:
        _Recorded.events.append(Event("state", self, (state,), {}))
        self.states.append(state)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.mapped += (key, value)

    def append(self, item: Any) -> None:
        self.appended.append(item)

    def extend(self, items: Any) -> None:
        self.appended += items

    def add(self, item: Any) -> None:
        self.appended.append(item)


class _Anonymous(Result):
    """The result of calling a result."""


def _made(
    function: Any, args: Tuple[Any, ...], keywords: Dict[Any, Any], *, new: bool = False
) -> Any:
    cls: Any = function if isinstance(function, Named) else _Anonymous
    made: Any = object.__new__(cls)
    made.function, made.args, made.keywords, made.new = function, args, keywords, new
    made.states, made.appended, made.mapped = [], [], []
    return made


def _copied(cls: Any, args: Tuple[Any, ...]) -> Tuple[Any, ...]:
    """Return the arguments of a call as they are now, where it copies them."""
    before = _COPYING.get(cls.pair)
    if before is None or len(args) != before + 1:
        return args
    content = args[before]
    pairs = content.items() if isinstance(content, dict) else content
    if not isinstance(content, (list, tuple, dict)):
        return args
    return (*args[:before], tuple(tuple(one) if isinstance(one, list) else one for one in pairs))


@lru_cache(maxsize=50_000)
def standing_for(module: str, name: str) -> Any:
    """Return the class that stands for a name."""
    return Named("named", (Result,), {"pair": (module, name)})


class Outside:
    """Stands for what a persistent id refers to."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: io.BytesIO, outside: Callable[[Any], Any]) -> None:
        # text of Python 2 as torch.load reads it
        super().__init__(data, encoding="utf-8", errors="strict")
        self.names: Dict[Pair, None] = {}
        self.outside = outside

    def find_class(self, module: str, name: str) -> Any:
        self.names[module, name] = None
        return standing_for(module, name)

    def persistent_load(self, value: Any) -> Any:
        return self.outside(value)


class Recording(NamedTuple):
    """What happened until the pickle ended or broke.

    Attributes:
        names: those that were asked for, in order, each once.
        events: the calls and states, in order.
        root: what the pickle describes.
        error: why it broke; empty where it did not.
        end: how many bytes were read.
    """

    names: Tuple[Pair, ...]
    events: Tuple[Event, ...]
    root: Any
    error: str
    end: int


def record(data: bytes, outside: Callable[[Any], Any] = Outside) -> Recording:
    """Read a pickle."""
    stream = io.BytesIO(data)
    reader = _Unpickler(stream, outside)
    events = _Recorded.events = []
    root, error = None, ""
    try:
        root = reader.load()
    except RecursionError:
        error = "RecursionError"
    except Exception as broken:  # noqa: BLE001 (a hostile stream may raise anything)
        error = f"{type(broken).__name__}: {broken!s:.200}"
    return Recording(tuple(reader.names), tuple(events), root, error, stream.tell())


# The unpickler in C keeps the memo as a list, and so makes room for all numbers below the largest.
_LARGEST_INDEX = 100_000


def agreed(ops: Tuple[bytes, ...]) -> int:
    """Return how many bytes of a pickle CPython reads in order.

    It forgets what is left of a frame when an opcode reaches across its end.
    """
    at, frame_end = 0, -1
    for op in ops:
        if op[0] == 0x95:
            told = at + len(op) + int.from_bytes(op[1:], "little")
            if at < frame_end < told:
                return at
            frame_end = max(frame_end, told)
        elif at < frame_end < at + len(op):
            return at
        at += len(op)
    return at


def can_be_recorded(ops: Tuple[bytes, ...]) -> bool:
    """Whether CPython's unpickler has the memory for the numbers of the memo that there are."""
    for op in ops:
        code = op[0]
        if code == 0x72 and int.from_bytes(op[1:], "little") > _LARGEST_INDEX:
            return False
        if code == 0x70 and len(op) > 7:
            return False
    return True
