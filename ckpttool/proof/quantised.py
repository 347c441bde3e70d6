"""Quantized weights in a proof: those of A by their numbers, those of B held to A's numbers.

A weight of A whose numbers B is said to have is decoded to float32, and from then on is a tensor
like any other: it may be cast, split or merged into. A weight of B whose numbers A has is decoded,
too, so that it is paired; what is proven of it is that each number of A is within half a step of
the code that it became. Weights that both files have as codes are compared as they lie.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Iterable, Iterator, Mapping, NamedTuple, Sequence

from ckpttool.comparison.numbers.compare import SideError
from ckpttool.comparison.run import refused_views
from ckpttool.conversion.quantization_config import settings_beside
from ckpttool.findings.errors import CkpttoolError
from ckpttool.models.canonical import canonicalize
from ckpttool.proof.result import Explained, Missing, Operation, Quantisation, Unexplained
from ckpttool.quantization.in_place import Decoded, decode
from ckpttool.quantization.recognise import packed_in
from ckpttool.quantization.schemes import SCHEMES
from ckpttool.tensors.dtypes import NUMPY_DTYPES

if TYPE_CHECKING:
    from ckpttool.models.canonical import Canonical
    from ckpttool.quantization.packed import Packed
    from ckpttool.quantization.recognise import Contents
    from ckpttool.tensors.catalogue import Checkpoint, TensorInfo

_SINGLE = NUMPY_DTYPES["f4"]


class Numbers(NamedTuple):
    """Both files with decoded weights in the place of codes, as far as the other has numbers.

    Attributes:
        sides: A and B.
        decoded: what was decoded of each.
        unread: of each, the names of weights of a scheme that is not undone here, and of their
            parts -> the weight and why.
    """

    sides: tuple[Checkpoint, Checkpoint]
    decoded: tuple[Decoded, Decoded]
    unread: tuple[Mapping[str, tuple[str, str]], Mapping[str, tuple[str, str]]]

    def canonical(self, side: int, known: Canonical) -> Canonical:
        """Return the tensors of a file under canonical names: ``known`` where none was decoded."""
        return canonicalize(self.sides[side].tensors) if self.decoded[side].packed else known

    def names(self, side: int) -> Iterator[str]:
        """Yield the names of the tensors that decoded weights of a file are made of."""
        for packed in self.decoded[side].packed.values():
            for info in packed.parts.values():
                yield info.name

    def told(self, explained: Iterable[Explained]) -> list[Explained]:
        """Return what is explained by the files' own names, with what was decoded of A."""
        return [self._explained(one) for one in explained]

    def _explained(self, one: Explained) -> Explained:
        names = tuple(_apart(self.decoded[1].packed, one.names))
        decoded = [self.decoded[0].packed[name] for name in one.sources if self._is_of_a(name)]
        if not decoded:
            return one if names == one.names else one._replace(names=names)
        done = {*one.operations, Operation.DEQUANTISED} - {Operation.IDENTICAL}
        return one._replace(
            names=names,
            sources=tuple(_apart(self.decoded[0].packed, one.sources)),
            operations=tuple(sorted(done, key=list(Operation).index)),
            quantisation=one.quantisation or Quantisation(SCHEMES[decoded[0].scheme]),
        )

    def _is_of_a(self, name: str) -> bool:
        return name in self.decoded[0].packed

    def failed(self, unexplained: Iterable[Unexplained]) -> list[Unexplained]:
        """Return what is unexplained by the files' own names, and why it could not be read."""
        found = []
        for one in unexplained:
            packed = self.decoded[1].packed.get(one.name)
            if packed is None:
                found.append(self._doubted(one))
                continue
            for info in packed.parts.values():
                sources = tuple(_apart(self.decoded[0].packed, one.sources))
                made = Unexplained(
                    info.name, info.dtype.name, info.shape, sources, one.reason, one.unread
                )
                found.append(made)
        return found

    def _doubted(self, one: Unexplained) -> Unexplained:
        if one.name in self.unread[1]:
            _, reason = self.unread[1][one.name]
            return one._replace(reason=f"it is quantized: {reason}", unread=True)
        for name in (one.name, *one.sources):
            if name in self.unread[0]:
                _, reason = self.unread[0][name]
                return one._replace(reason=f"A's is quantized: {reason}", unread=True)
            if name in self.decoded[0].refused:
                refused = self.decoded[0].refused[name][0]
                return one._replace(reason=f"A's is quantized, but {refused.reason}")
        if any(map(self._is_of_a, one.sources)):
            reason = one.reason.replace("A's", "A's, dequantised,", 1).replace(",,", ",")
            sources = tuple(_apart(self.decoded[0].packed, one.sources))
            return one._replace(sources=sources, reason=reason)
        return one

    def missing(
        self, missing: Iterable[Missing], unexplained: Iterable[Unexplained]
    ) -> Iterator[Missing]:
        """Yield what is missing by the names of A, without what may be in what could not be read.

        Args:
            missing: by the names that were paired.
            unexplained: by the names of B.
        """
        doubts = {one.name for one in unexplained if one.unread}
        # a weight of which A has codes that are not undone, or B, and nothing more is known
        weights = {self.unread[1][name][0] for name in doubts if name in self.unread[1]}
        for one in missing:
            packed = self.decoded[0].packed.get(one.name)
            if packed is not None:
                for info in packed.parts.values():
                    yield Missing(info.name, info.dtype.name, info.shape, None, one.allowed)
            elif one.name in self.unread[0]:
                if self.unread[0][one.name][0] not in doubts:
                    yield one
            elif one.name not in self.unread[1] or self.unread[1][one.name][0] not in weights:
                yield one


def _apart(packed: Mapping[str, Packed], names: Sequence[str]) -> Iterator[str]:
    """Yield names with the parts of weights in the place of the weights."""
    for name in names:
        if name in packed:
            codes = packed[name].codes.name
            yield codes
            yield from (one.name for one in packed[name].parts.values() if one.name != codes)
        else:
            yield name


def with_numbers(sides: tuple[Checkpoint, Checkpoint]) -> Numbers:
    """Return both files with those weights decoded of which the other one has numbers.

    Raises:
        SideError: a part that says how a weight is stored cannot be read.
    """
    contents = [packed_in(side.tensors, settings_beside(side)) for side in sides]
    found, files, unread = [], [], []
    for side, checkpoint in enumerate(sides):
        mine, other = contents[side], contents[1 - side]
        plain = {} if not other.packed else sides[1 - side].tensors
        decoded = _decoded(side, checkpoint.tensors, mine, other, plain)
        changed = checkpoint
        if decoded.packed:
            changed = copy(checkpoint)
            changed.tensors = decoded.tensors
        found.append(decoded)
        files.append(changed)
        unread.append(dict(_unread(decoded)))
    return Numbers((files[0], files[1]), (found[0], found[1]), (unread[0], unread[1]))


def _decoded(
    side: int,
    tensors: dict[str, TensorInfo],
    mine: Contents,
    other: Contents,
    plain: Mapping[str, TensorInfo],
) -> Decoded:
    """Decode the weights of a file of which the other one has numbers.

    ``plain`` are the tensors of the other one where it has quantized weights of its own: then only
    the same name tells that it has the numbers of a weight.
    """
    # a view that repeats bytes would be decoded into any amount of numbers
    refused = refused_views([info for one in mine.packed.values() for info in one.parts.values()])

    def wanted(name: str) -> bool:
        if refused and any(info.view in refused for info in mine.packed[name].parts.values()):
            return False
        if not other.packed:
            return True
        return name not in other.packed and name in plain and plain[name].dtype.castable

    if not mine.packed and not mine.orphans and not mine.beside and not mine.narrow:
        return Decoded(tensors, {}, {}, {})
    try:
        return decode(tensors, mine, _SINGLE, wanted)
    except CkpttoolError as error:
        raise SideError(side, error) from error


def _unread(decoded: Decoded) -> Iterator[tuple[str, tuple[str, str]]]:
    for name, (refused, stored) in decoded.refused.items():
        if refused.unsupported:
            for one in (name, *stored):
                yield one, (name, refused.reason)
