"""How many tensors lie in each entry beside the state dict, and what of the file they take up.

Storages are what takes up bytes: one that the state dict shows counts there and nowhere else, and
one that several entries share with the first of them. So the parts of a file add up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, AbstractSet, Iterable, NamedTuple

from ckpttool.findings.errors import MalformedError
from ckpttool.formats.objects.beside import beside_of
from ckpttool.formats.objects.rebuild import is_tensor
from ckpttool.formats.objects.storages import UnsupportedTensorError
from ckpttool.formats.pickles.nodes import Call, Global, PersistentId, children, is_scalar
from ckpttool.formats.state_dicts.measuring import storages_of

if TYPE_CHECKING:
    from ckpttool.formats.objects.storages import Locate
    from ckpttool.formats.pickles.nodes import Node
    from ckpttool.tensors.catalogue import Checkpoint, TensorInfo


class Weight(NamedTuple):
    """Tensors in an entry, and the bytes of their storages that count nowhere before it."""

    tensors: int = 0
    nbytes: int = 0


class Weights(NamedTuple):
    """What takes up the bytes of a file.

    Attributes:
        tensors: bytes of the state dict that was taken, each storage once and whole.
        entries: one for each entry of the checkpoint.
        unread: bytes of its tensors of a kind that is not read.
        unused: bytes of storages that nothing in the file refers to.
    """

    tensors: int
    entries: tuple[Weight, ...]
    unread: int = 0
    unused: int = 0


def weigh(checkpoint: Checkpoint) -> Weights:
    """Return what the tensors of a file and its entries take up."""
    shown = {info.storage for info in checkpoint.tensors.values()}
    beside = beside_of(checkpoint)
    empty = (Weight(),) * len(checkpoint.entries)
    tensors = _of_tensors(checkpoint, shown)
    if beside is None:
        return Weights(tensors, empty, checkpoint.unread_bytes)
    scales = _Scales(beside.locate, shown)
    # before the entries, among which they are listed too
    unread = scales.weigh([node for _, node in beside.unread]).nbytes
    entries = list(empty)
    for place, (_, node) in enumerate(beside.items()):
        weight = scales.weigh([node])
        if entries and any(weight):  # what is not listed any more counts with the last one
            place = min(place, len(entries) - 1)
            entries[place] = Weight(*map(sum, zip(entries[place], weight)))
    scales.weigh([node for _, node in beside.shells()])
    return Weights(tensors, tuple(entries), unread, _unused(checkpoint, scales.seen))


def _unused(checkpoint: Checkpoint, seen: AbstractSet[str | None]) -> int:
    if seen >= checkpoint.storages.keys():
        return 0
    # the storages of a distributed checkpoint are its parts, and the wholes made of them
    if checkpoint.format == "torch-distributed":
        return 0
    return sum(extent.length for key, extent in checkpoint.storages.items() if key not in seen)


def _of_tensors(checkpoint: Checkpoint, shown: AbstractSet[str | None]) -> int:
    """Return the bytes of the tensors' storages; of those that have none, of their elements."""
    storages = checkpoint.storages
    if shown == storages.keys():  # of most files, which may have a million
        return sum(extent.length for extent in storages.values())
    if checkpoint.header_size is not None:  # safetensors, where no two share a byte
        return sum(info.nbytes for info in checkpoint.tensors.values())
    known = sum(storages[key].length for key in shown if key in storages)
    rest = [info for info in checkpoint.tensors.values() if info.storage not in storages]
    return known + _once(rest)


def _once(infos: Iterable[TensorInfo]) -> int:
    return sum({info.extents: info.nbytes for info in infos}.values())


class _Scales:
    """Counts every storage once."""

    def __init__(self, locate: Locate, shown: set[str | None]) -> None:
        self._locate = locate
        self._nodes: set[int] = set()
        self.seen = shown

    def weigh(self, roots: Iterable[Node]) -> Weight:
        """Return what is below some nodes and was not counted before."""
        waiting = list(roots)
        tensors = nbytes = 0
        while waiting:
            node = waiting.pop()
            if is_scalar(node) or type(node) is Global or id(node) in self._nodes:
                continue
            self._nodes.add(id(node))
            if type(node) is PersistentId:
                nbytes += self._fresh(node)
            elif is_tensor(node):
                tensors += 1
                nbytes += self._of_tensor(node)
            else:
                waiting.extend(children(node))
        return Weight(tensors, nbytes)

    def _of_tensor(self, node: Node) -> int:
        # most are one call on their storage, and an optimizer has two for each weight
        if type(node) is Call and node.args and type(node.args[0]) is PersistentId:
            return self._fresh(node.args[0])
        return self._new(storages_of(node, self._locate))

    def _fresh(self, node: PersistentId) -> int:
        """Return the bytes of a storage, 0 if it was counted or is none."""
        try:
            key, _, extent = self._locate(node)
        except UnsupportedTensorError:  # quantized: of no dtype, but of a known length
            return self._new(storages_of(node, self._locate))
        except MalformedError:
            return 0
        return self._new([(key, extent.length)])

    def _new(self, storages: Iterable[tuple[str, int]]) -> int:
        fresh = {key: nbytes for key, nbytes in storages if key not in self.seen}
        self.seen.update(fresh)
        return sum(fresh.values())
