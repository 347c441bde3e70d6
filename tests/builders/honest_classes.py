"""Classes and functions as the code of a user has them: their names stand in honest pickles."""

from __future__ import annotations

import collections
import enum
from dataclasses import dataclass, field
from typing import Any, Dict, Generic, List, NamedTuple, Tuple, TypeVar

import torch

Item = TypeVar("Item")


class Meter:
    """A plain object: attributes, and no more."""

    def __init__(self, name: str = "loss", *readings: float) -> None:
        self.name = name
        self.readings = list(readings)

    def update(self, reading: float) -> None:
        self.readings.append(reading)

    @classmethod
    def empty(cls) -> Meter:
        return cls()


class Run:
    """One class inside another, and attributes that lead back."""

    class Options:
        rate = 0.1

        def __init__(self) -> None:
            self.steps = 3

    def __init__(self) -> None:
        self.options = Run.Options()
        self.itself = self


class OldState:
    """Says itself what its state is: a dictionary."""

    def __init__(self) -> None:
        self.epoch, self.cache = 3, object()

    def __getstate__(self) -> dict[str, object]:
        return {"epoch": self.epoch}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.epoch = state["epoch"]


class TupleState:
    """Says itself what its state is: a tuple."""

    def __init__(self) -> None:
        self.epoch, self.step = 3, 100

    def __getstate__(self) -> tuple[int, int]:
        return self.epoch, self.step

    def __setstate__(self, state: tuple[int, int]) -> None:
        self.epoch, self.step = state


class Slots:
    __slots__ = ("height", "width")

    def __init__(self) -> None:
        self.height, self.width = 224, 224


class SlotsAndDict(Slots):
    def __init__(self) -> None:
        super().__init__()
        self.depth = 3


class NewArgs:
    """Made again with arguments."""

    def __new__(cls, size: int) -> NewArgs:
        made = super().__new__(cls)
        made.size = size
        return made

    size: int

    def __getnewargs__(self) -> tuple[int]:
        return (self.size,)


class NewKeywords:
    """Made again with arguments by keyword."""

    def __new__(cls, *, size: int) -> NewKeywords:
        made = super().__new__(cls)
        made.size = size
        return made

    size: int

    def __getnewargs_ex__(self) -> tuple[tuple[()], dict[str, int]]:
        return (), {"size": self.size}


class Reduced:
    """Made again by a call of its class."""

    def __init__(self, *sizes: int) -> None:
        self.sizes = sizes

    def __reduce__(self) -> tuple[object, ...]:
        return Reduced, self.sizes


class Backend:
    """What every module of early torch had as ``_backend``."""

    def __reduce__(self) -> tuple[object, ...]:
        from torch.nn.backends.thnn import _get_thnn_function_backend

        return _get_thnn_function_backend, ()


class ReducedBare(Reduced):
    """Made again by a call without arguments, and given its attributes."""

    def __reduce__(self) -> tuple[object, ...]:
        return ReducedBare, (), {"sizes": self.sizes}


def rebuilt(*sizes: int) -> Rebuilt:
    return Rebuilt(*sizes)


class Rebuilt(Reduced):
    """Made again by a function of the user."""

    def __reduce__(self) -> tuple[object, ...]:
        return rebuilt, self.sizes


class Named(Reduced):
    """Only the name of a global is written for it."""

    def __reduce__(self) -> str:  # type: ignore[override]
        return "NAMED"


NAMED = Named()


class Box(Generic[Item]):
    def __init__(self, item: Item) -> None:
        self.item = item


@dataclass
class Config:
    width: int = 768
    rates: List[float] = field(default_factory=lambda: [1e-3])


@dataclass(frozen=True)
class Frozen:
    width: int = 768


@dataclass
class Nested:
    config: Config = field(default_factory=Config)
    frozen: Frozen = field(default_factory=Frozen)


class Shape(NamedTuple):
    height: int
    width: int


Point = collections.namedtuple("Point", "x y")


class Pair(Tuple[int, int]):
    pass


class Phase(enum.Enum):
    TRAIN = "train"
    TEST = "test"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Word(str, enum.Enum):
    MEAN = "mean"


class Parts(enum.Flag):
    ENCODER = enum.auto()
    DECODER = enum.auto()


class Bits(enum.IntFlag):
    READ = 1
    WRITE = 2


class EasyDict(Dict[str, Any]):
    """Attributes that are items, as many configurations have them."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: object) -> None:
        self[name] = value


class BothDict(Dict[str, Any]):
    """Items and attributes."""


class BothList(List[Any]):
    """Items and attributes."""


class Registry(collections.OrderedDict):  # type: ignore[type-arg]
    pass


class Counts(collections.Counter):  # type: ignore[type-arg]
    pass


class Lists(collections.defaultdict):  # type: ignore[type-arg]
    pass


class Recent(collections.deque):  # type: ignore[type-arg]
    pass


class Options(collections.UserDict):  # type: ignore[type-arg]
    pass


class Tags(set):  # type: ignore[type-arg]
    pass


class Seed(int):
    pass


class Rate(float):
    pass


class Name(str):
    __slots__ = ()


class TrainingError(Exception):
    def __init__(self, message: str, step: int) -> None:
        super().__init__(message, step)
        self.step = step


class Embedding(torch.Tensor):
    """A tensor of the user's kind."""


class Block(torch.nn.Module):
    """A module of the user's."""

    def __init__(self) -> None:
        super().__init__()
        self.project = torch.nn.Linear(2, 2)
        self.activation = torch.nn.functional.gelu
        self.register_buffer("mean", torch.zeros(2))

    def forward(self, values: torch.Tensor) -> Any:
        return self.activation(self.project(values))


def warm_up(step: int) -> float:
    return min(1.0, step / 10)


def forward_hook(_module: object, _args: object, output: object) -> object:
    return output


def backward_hook(gradient: torch.Tensor) -> torch.Tensor:
    return gradient
