"""Which tensors the parts of an adapter are for, by the names of both files."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Collection, Iterator, Mapping, NamedTuple, Sequence

from ckpttool.proof.adapters.reading import orientation
from ckpttool.proof.additions import Addition
from ckpttool.tensors.rows import can_be_transposed, some_rows, transposed

if TYPE_CHECKING:
    from ckpttool.proof.adapters.reading import Adapter, Delta
    from ckpttool.tensors.catalogue import TensorInfo

# Parts of names that one side may have before all names and the other not, at most.
_MOST_BEFORE = 3


class Piece(NamedTuple):
    """Rows of a tensor of one of the files, and where they lie in what is compared.

    Attributes:
        link: the number of the link.
        at: the first of its rows that is one of these.
        rows: of the tensor, from the first to before the second.
        transposed: whether the link has all of the tensor, with its axes exchanged.
    """

    link: int
    at: int
    rows: tuple[int, int]
    transposed: bool = False


class Unplaced(NamedTuple):
    """A part of an adapter that was not merged into a pair of tensors.

    Attributes:
        adapter: whose, by its number.
        delta: what would be added.
        name: the tensor of B that is called so and has no partner in A; ``None`` without one.
        reason: in words.
    """

    adapter: int
    delta: Delta
    name: str | None
    reason: str


class Spelling:
    """How the names of an adapter become names of the files.

    PEFT puts the model's own names behind its prefix. Files may begin them otherwise (``model.``
    for ``model.language_model.``), and parts of a model each in its own way: what makes most of the
    names fit that do not yet is taken first.
    """

    def __init__(self, modules: Collection[str], names: Collection[str]) -> None:
        self._known = {name.rpartition(".")[0] for name in names}
        self._flat: dict[str, str | None] = {}
        for module in self._known:
            flat = module.replace(".", "_")
            self._flat[flat] = None if flat in self._flat else module
        self._found: dict[str, str] = {}
        rest = {module for module in modules if module not in self._known}
        while rest:
            fitting = self._best(rest)
            if not fitting:
                break
            self._found.update(fitting)
            rest.difference_update(fitting)

    def module(self, name: str, *, flat: bool = False) -> str:
        """Return what the files call a module."""
        if flat:
            return self._flat.get(name) or name
        return self._found.get(name, name)

    def tensor(self, name: str) -> str:
        """Return what the files call a tensor."""
        module, _, last = name.rpartition(".")
        return f"{self.module(module)}.{last}" if module else last

    def _best(self, modules: Collection[str]) -> dict[str, str]:
        """Return what another beginning makes of names, for the beginning that fits most."""
        ends: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for module in modules:
            for before, end in _beginnings(module):
                ends[end].append((before, module))
        found: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        for known in self._known:
            for before, end in _beginnings(known):
                for other, module in ends.get(end, ()):
                    found[other, before][module] = known
        # of those that fit as many, the one that changes least
        best = max(
            found, key=lambda pair: (len(found[pair]), -len("".join(pair)), pair), default=None
        )
        return {} if best is None else found[best]


def _beginnings(module: str) -> Iterator[tuple[str, str]]:
    """Yield the first parts of a dotted name and what is left, of which there must be two parts."""
    before, end = "", module
    yield before, end
    for _ in range(_MOST_BEFORE):
        first, dot, end = end.partition(".")
        # another number is another layer
        if not dot or "." not in end or first.isdigit():
            return
        before += first + dot
        yield before, end


def place(
    adapters: Sequence[Adapter],
    spellings: Sequence[Spelling],
    sides: Sequence[tuple[Mapping[str, TensorInfo], Mapping[str, Sequence[Piece]]]],
) -> tuple[dict[int, list[Addition]], list[Unplaced]]:
    """Return what is added to each link, by its number, and what has no place.

    Args:
        adapters: in the order of merging.
        spellings: of each.
        sides: of A and of B, the tensors by their own names and the pieces of each.
    """
    placed: dict[int, list[Addition]] = defaultdict(list)
    unplaced = []
    for number, (adapter, spelling) in enumerate(zip(adapters, spellings)):
        exchanged = _exchanged(adapter, spelling, sides)
        for delta in adapter.deltas:
            name = f"{spelling.module(delta.module, flat=delta.flat)}.{delta.tensor}"
            side = next((side for side in sides if name in side[1]), None)
            if side is None:
                there = name if name in sides[1][0] else None
                reason = "A has no tensor for it" if there else "neither file has a tensor for it"
                if there is None and name in sides[0][0]:
                    reason = "B has nothing made of A's tensor for it"
                unplaced.append(Unplaced(number, delta, there, reason))
                continue
            found = _additions(number, delta, side[0][name].shape, side[1][name], exchanged)
            if isinstance(found, str):
                unplaced.append(Unplaced(number, delta, None, found))
                continue
            for link, addition in found:
                placed[link].append(addition)
    return placed, unplaced


def _exchanged(
    adapter: Adapter,
    spelling: Spelling,
    sides: Sequence[tuple[Mapping[str, TensorInfo], Mapping[str, Sequence[Piece]]]],
) -> bool | None:
    """Return how the weights are stored that are no squares, for those that are.

    ``None`` if there are none, or of both kinds.
    """
    ways = set()
    for delta in adapter.deltas:
        if delta.embedding or delta.up.shape[0] == delta.down.shape[1]:
            continue
        name = f"{spelling.module(delta.module, flat=delta.flat)}.{delta.tensor}"
        shape = next((side[0][name].shape for side in sides if name in side[0]), None)
        ways.add(None if shape is None else orientation(delta, shape))
    ways.discard(None)
    return ways.pop() if len(ways) == 1 else None


def _additions(
    number: int,
    delta: Delta,
    shape: tuple[int, ...],
    pieces: Sequence[Piece],
    exchanged: bool | None,
) -> list[tuple[int, Addition]] | str:
    """Return what a delta adds to each link that has rows of its tensor, or why it cannot."""
    factors = oriented(delta, shape, exchanged)
    if isinstance(factors, str):
        return factors
    up, down = factors
    if delta.magnitude is not None and up is not delta.up:
        return "DoRA is not replayed of a weight that is stored with its axes exchanged"
    return list(_cut(number, delta, up, down, pieces))


def _cut(
    number: int, delta: Delta, up: TensorInfo, down: TensorInfo, pieces: Sequence[Piece]
) -> Iterator[tuple[int, Addition]]:
    for piece in pieces:
        first, second, magnitude = up, down, delta.magnitude
        if piece.transposed:
            first, second = transposed(down, down.name), transposed(up, up.name)
        elif piece.rows != (0, up.shape[0]):
            first = some_rows(up, up.name, *piece.rows)
            if magnitude is not None:
                magnitude = magnitude._replace(shape=(magnitude.numel,))
                magnitude = some_rows(magnitude, magnitude.name, *piece.rows)
        yield piece.link, Addition(number, piece.at, first, second, delta.scale, magnitude)


def oriented(
    delta: Delta, shape: tuple[int, ...], exchanged: bool | None = None
) -> tuple[TensorInfo, TensorInfo] | str:
    """Return the factors of what is added to a weight of a shape, or why they do not fit.

    Args:
        delta: what is added.
        shape: of the weight.
        exchanged: how the other weights are stored, for a square; ``None`` to go by the
            configuration.
    """
    turned = orientation(delta, shape)
    if turned is None:
        size = [delta.up.shape[0], delta.down.shape[1]]
        return f"it is for a weight of {size}, and there is one of {list(shape)}"
    square = delta.up.shape[0] == delta.down.shape[1]
    if square and exchanged is not None and not delta.embedding:
        turned = exchanged and all(
            can_be_transposed(info.shape, info.dtype) for info in (delta.up, delta.down)
        )
    if not turned:
        return delta.up, delta.down
    return transposed(delta.down, delta.down.name), transposed(delta.up, delta.up.name)
