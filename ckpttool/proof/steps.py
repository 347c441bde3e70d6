"""Weights of B held to the numbers of A that they are said to be the codes of."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Callable, Mapping, NamedTuple, Sequence

from ckpttool.comparison.numbers.compare import SideError
from ckpttool.comparison.verdicts import index_of
from ckpttool.findings.errors import CkpttoolError
from ckpttool.proof.result import Quantisation
from ckpttool.quantization.schemes import SCHEMES
from ckpttool.quantization.steps import Within, compare, parts, regions
from ckpttool.tensors.rows import rows_of, some_rows, why_whole
from ckpttool.tensors.workers import Work, processors

if TYPE_CHECKING:
    from ckpttool.proof.links import Link
    from ckpttool.proof.options import ProveOptions
    from ckpttool.quantization.codes import Coded
    from ckpttool.quantization.in_place import Decoded
    from ckpttool.quantization.steps import Region
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.workers import Worker

# As in a comparison: more threads would wait for memory bandwidth.
_MAX_WORKERS = 6


class Held(NamedTuple):
    """What came of a weight of B: its name, the numbers of A, and how they lie around its codes."""

    name: str
    original: TensorInfo
    within: Within


class _Weight(NamedTuple):
    name: str
    original: TensorInfo
    coded: Coded


def is_held(link: Link, coded: Mapping[str, Coded]) -> bool:
    """Whether a tensor of B is quantized, and of A numbers that can be held to its codes."""
    left = link.pair.left
    return any(name in coded for name in link.names) and left.dtype.castable


def hold(
    links: Sequence[Link],
    coded: Mapping[str, Coded],
    options: ProveOptions,
    progress: Callable[[int], None] | None,
) -> list[list[Held] | None]:
    """Return what came of the weights of each link; ``None`` of one with parts that are none.

    Raises:
        SideError: one of the files could not be read.
    """
    weights = [_weights(link, coded) for link in links]
    every = [one for several in weights for one in several or ()]
    tasks = [(number, part) for number, one in enumerate(every) for part in parts(one.coded)]
    found = [Within()] * len(every)

    def call(task: tuple[int, range], worker: Worker[None]) -> tuple[int, Within]:
        number, part = task
        _, original, one = every[number]
        total = Within()
        for region in regions(one, part):
            worker.check()
            total = total.merged(_compared(one, original, region))
            count = region.box.height * region.box.width
            worker.advance(count * (original.dtype.itemsize + 4))
        return number, total

    for number, within in Work(
        call,
        tasks,
        lambda: None,
        workers=options.workers or min(processors(), _MAX_WORKERS),
        executor=options.executor,
        progress=progress,
    ).results():
        found[number] = found[number].merged(within)
    rest = iter([Held(one.name, one.original, within) for one, within in zip(every, found)])
    return [None if several is None else list(islice(rest, len(several))) for several in weights]


def _compared(coded: Coded, original: TensorInfo, region: Region) -> Within:
    try:
        return compare(coded, original, region)
    except CkpttoolError as error:
        side = int(error.tensor in {info.name for info in coded.infos})
        raise SideError(side, error) from error


def _weights(link: Link, coded: Mapping[str, Coded]) -> list[_Weight] | None:
    """Return the weights of a link, each with the numbers of A that are its own."""
    if not all(name in coded for name in link.names):
        return None
    left, number = link.pair.left, len(link.names)
    if number == 1:
        return [_Weight(link.names[0], left, coded[link.names[0]])]
    if why_whole(left, number) is not None:
        return None
    height = rows_of(left) // number
    return [
        _Weight(name, some_rows(left, left.name, at * height, (at + 1) * height), coded[name])
        for at, name in enumerate(link.names)
    ]


def quantisation(held: Sequence[Held], decoded: Decoded) -> Quantisation:
    """Return what was proven of weights of B."""
    schemes = dict.fromkeys(SCHEMES[decoded.packed[one.name].scheme] for one in held)
    return Quantisation(
        ", ".join(schemes),
        sum(one.within.rounded for one in held),
        sum(one.within.clipped for one in held),
    )


def why_outside(held: Held) -> str | None:
    """Say how far the numbers of A lie from the codes of B; ``None`` if these stand for them."""
    within = held.within
    if not within.outside:
        return "all of its codes are zero, and A's numbers are not" if within.is_erased else None
    place = index_of(within.first or 0, held.original.shape)
    far = f"up to {within.farthest:.3g} steps" if within.farthest < float("inf") else "no number"
    return (
        f"{within.outside:,} of {within.elements:,} elements of A are further than half a step "
        f"from their codes ({far}), the first at {list(place)}"
    )
