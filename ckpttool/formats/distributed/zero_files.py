"""One file of a DeepSpeed checkpoint: what is read of it, from inert nodes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Iterable, Mapping, NamedTuple, Sequence

from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError, UnsupportedError
from ckpttool.findings.text import printable
from ckpttool.formats.objects.rebuild import is_tensor, rebuild
from ckpttool.formats.pickles.dictionaries import pairs_of
from ckpttool.formats.pickles.nodes import Call
from ckpttool.formats.torch import zip as torch_zip
from ckpttool.tensors.catalogue import Checksum, TensorInfo

if TYPE_CHECKING:
    from ckpttool.files.sources import ByteSource
    from ckpttool.formats.pickles import Pickle
    from ckpttool.formats.pickles.nodes import Node
    from ckpttool.formats.safety.watch import Watch

#: Processes of a checkpoint.
MOST = 10_000


class File(NamedTuple):
    """A file that was read: its name, source, top entries, and what finds its storages."""

    name: str
    source: ByteSource
    entries: Mapping[str, Node]
    locate: torch_zip.Storages
    content: torch_zip.Content

    def tensor(self, name: str, node: Node) -> TensorInfo:
        """Return a tensor of the file, row-major."""
        if not (isinstance(node, Call) and is_tensor(node)):
            raise wrong(self.name, f"{name} is not a tensor")
        info = rebuild(name, node, self.locate, big_endian=self.content.big_endian)
        if info.strides is not None:
            raise UnsupportedError("a tensor is not row-major", rules.UNSUPPORTED, tensor=name)
        if info.big_endian and info.dtype.itemsize > 1:
            raise UnsupportedError(
                "a tensor with the byte order of another machine", rules.UNSUPPORTED, tensor=name
            )
        return info


def read_file(source: ByteSource, watch: Watch) -> File:
    """Read an archive of ``torch.save``; its members are named with the file before them."""
    name = os.path.split(source.name)[1]

    def parse(data: bytes, member: str) -> Pickle:
        return watch.parse(data, member=f"{printable(name)}/{member}")

    try:
        content = torch_zip.content_of(source, parse)
        locate = torch_zip.Storages(content.storages, content.folder)
        return File(name, source, entries_of(content.pickle.root), locate, content)
    except CkpttoolError as error:
        error.path = error.path or source.name
        raise


def entries_of(node: Node) -> Mapping[str, Node]:
    """Return the entries of a dictionary under texts."""
    return {key: value for key, value in pairs_of(node) or [] if type(key) is str}


def state_of(file: File) -> Mapping[str, Node]:
    """Return what a file of optimizer states says of ZeRO."""
    return entries_of(file.entries.get("optimizer_state_dict"))


def stage_of(file: File) -> tuple[int, int]:
    """Return the stage of ZeRO and the number of processes."""
    state = state_of(file)
    stage = state["zero_stage"]
    if isinstance(stage, Call) and isinstance(stage.args, tuple) and len(stage.args) == 1:
        stage = stage.args[0]  # an enumeration in later releases
    number = state.get("partition_count")
    if isinstance(number, (list, tuple)):  # of each group; those of experts are smaller
        number = max((one for one in number if type(one) is int), default=None)
    if type(stage) is not int or not 1 <= stage <= 3 or type(number) is not int:
        raise wrong(file.name, "its zero_stage or partition_count is not known")
    if not 1 <= number <= MOST:
        raise MalformedError(
            "more processes than the limit",
            rules.LIMIT,
            expected=f"1 to {MOST:,}",
            found=f"{number:,}",
        )
    return stage, number


def list_of(file: File, key: str) -> Sequence[Node]:
    """Return the entry of each group; MalformedError if there are none."""
    node = file.entries.get(key)
    if isinstance(node, (list, tuple)):
        return node
    if pairs_of(node) is not None:  # one group, of older releases
        return [node]
    raise wrong(file.name, f"it has no {key}")


def texts_of(file: File, key: str) -> list[str]:
    """Return the texts of a list; nothing of anything else."""
    node = file.entries.get(key)
    return [one for one in node if type(one) is str] if isinstance(node, (list, tuple)) else []


def shapes_of(file: File, node: Node) -> dict[str, tuple[int, ...]]:
    """Return the shape of each parameter of a dictionary; nothing of ``None``."""
    shapes = {}
    for name, value in entries_of(node).items():
        size = value.args[0] if isinstance(value, Call) and value.args else value
        if not isinstance(size, (list, tuple)) or not all(map(is_size, size)):
            raise wrong(file.name, f"the shape of {printable(name)} is not known")
        shapes[name] = tuple(size)
    return shapes


def is_size(node: Node) -> bool:
    """Whether a node is an integer from 0 up."""
    return type(node) is int and node >= 0


def checksums_of(file: File) -> Iterable[Checksum]:
    """Yield the sums of an archive, with the file before the names of members."""
    folder = printable(file.name)
    return (one._replace(member=f"{folder}/{one.member}") for one in file.content.checksums)


def wrong(file: str, message: str) -> MalformedError:
    """Return the error on a file that does not fit."""
    return MalformedError(f"{printable(file)}: {message}", rules.DISTRIBUTED_CHUNKS)
