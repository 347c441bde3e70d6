"""Safetensors files of which each has parts of the tensors: what processes wrote, not yet joined.

torch's HuggingFaceStorageWriter leaves them with ``save_distributed=True``, one or more a process,
``shard-00001-model-00001-of-00001.safetensors`` and so on. Each says in ``DCP_SHARDING_INFO`` where
its parts begin; how large a tensor is as a whole no file says, so it is what its parts make up.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Iterator, NamedTuple

from ckpttool.files.folder import SHOWN, siblings_of
from ckpttool.files.sources import read_bytes
from ckpttool.files.suffixes import SAFETENSORS, is_called_part
from ckpttool.findings import rules
from ckpttool.findings.errors import (
    CkpttoolError,
    MalformedError,
    UnreadableError,
    UnsupportedError,
)
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.text import count, printable, some_of
from ckpttool.formats import single
from ckpttool.formats.distributed.cover import check_cover, naming_tensor
from ckpttool.formats.distributed.files import MAX_FILES, MAX_OPEN
from ckpttool.formats.distributed.whole import row_major, whole_of
from ckpttool.formats.objects.storages import UnsupportedTensorError
from ckpttool.formats.safetensors import sharding
from ckpttool.formats.safetensors.whole import Header, read_header, remarks_on
from ckpttool.formats.safetensors.whole import matches as is_safetensors
from ckpttool.formats.sharded.shards import MAX_HEADERS
from ckpttool.tensors.assembled import Block
from ckpttool.tensors.catalogue import Checkpoint, Extent, TensorInfo

if TYPE_CHECKING:
    from ckpttool.files.folder import Siblings
    from ckpttool.files.sources import ByteSource
    from ckpttool.tensors.dtypes import DType

FORMAT = "safetensors-unconsolidated"

# Bytes that show whether a file begins as safetensors.
_HEAD = 16


class _Parts(NamedTuple):
    """The parts of one tensor: its element type, the file of the first, and the blocks."""

    dtype: DType
    file: str
    blocks: list[Block]


def joined(source: ByteSource, one: Checkpoint) -> Checkpoint:
    """Return the checkpoint that a file and those beside it make up.

    Args:
        source: the file.
        one: its own content, with the parts as tensors.

    Raises:
        MalformedError: the parts do not make up tensors, or a file is malformed.
        UnreadableError: a file beside cannot be read.
        UnsupportedError: it is no file of this machine, so that no file beside can be opened.
    """
    own = os.path.split(source.name)[1]
    headers = {own: Header(dict(one.tensors), one.metadata, one.header_size or 0)}
    is_one_of_several = sharding.holds_parts(own, one.metadata, one.tensors)
    with ExitStack() as opened:
        beside = _beside(source, own, headers, opened) if is_one_of_several else {}
        tensors = _tensors(source.name, headers)
        opened.pop_all()  # from here on the checkpoint closes the files
    if not beside and all(info == one.tensors.get(name) for name, info in tensors.items()):
        one.remarks += (_unsized(1),)
        return one
    return Checkpoint(
        source.name,
        FORMAT,
        (source, *beside.values()),
        tensors,
        metadata={key: text for key, text in one.metadata.items() if key not in sharding.KEYS},
        header_size=max(header.size for header in headers.values()),
        remarks=(
            *one.remarks,
            *_oddities(own, headers),
            _unsized(len(headers)),
        ),
    )


def _unsized(files: int) -> Finding:
    what = f"{count(files, 'file')} of parts, none of which says how large the whole tensors are"
    if files == 1:
        what = f"the file says where its tensors begin in whole ones ({sharding.KEY}), and not how "
        what += "large those are"
    return finding(rules.DISTRIBUTED_SIZES, what)


def _oddities(own: str, headers: dict[str, Header]) -> tuple[Finding, ...]:
    """Return the remark on how the headers of the files beside are spelled, if it is odd."""
    odd = [file for file, header in headers.items() if file != own and header.oddities]
    if not odd:
        return ()
    more = f" (and of {len(odd) - 1:,} more)" if len(odd) > 1 else ""
    return remarks_on([*headers[odd[0]].oddities, f"that of {printable(odd[0])}{more}"])


def _beside(
    source: ByteSource, own: str, headers: dict[str, Header], opened: ExitStack
) -> dict[str, ByteSource]:
    """Open the other files of parts in the folder, and add their headers."""
    folder = siblings_of(source, opened)
    names = [name for name in folder.names() if name != own and name.endswith(SAFETENSORS)]
    found: dict[str, ByteSource] = {}
    for name in names:
        file = folder.open(name)
        header = None if file is None else _header(file)
        if file is None or header is None:
            continue
        if len(found) >= MAX_OPEN:
            file.rest()
        found[name] = file
        headers[name] = header
        size = sum(one.size for one in headers.values())
        if len(headers) > MAX_FILES or size > MAX_HEADERS:
            raise MalformedError(
                "the files of parts are more than the limit",
                rules.LIMIT,
                expected=f"at most {MAX_FILES:,} with headers of {MAX_HEADERS:,} bytes",
            )
    _require_opened(folder)
    return found


def _require_opened(folder: Siblings) -> None:
    """Refuse shards, by their names, that were not opened; other files may be none."""
    closed = [name for name in (*folder.links, *folder.missing) if is_called_part(name)]
    if closed:
        raise UnreadableError(
            "files are links to nowhere or out of the folder, which are not followed: "
            f"{some_of([printable(link) for link in closed], SHOWN)}",
            rules.UNREADABLE,
            fix="Put the files themselves there.",
        )
    if folder.offenders and not folder.links:
        raise MalformedError(
            f"files of the checkpoint cannot be told apart: {'; '.join(folder.offenders[:SHOWN])}",
            rules.DISTRIBUTED_CHUNKS,
        )


def _header(file: ByteSource) -> Header | None:
    """Return the header of a file of parts; ``None`` for any other that is not called one."""
    try:
        if is_safetensors(read_bytes(file, 0, min(_HEAD, file.size))):
            header = read_header(file)
            if sharding.KEY in header.metadata:
                return header
        if is_called_part(os.path.split(file.name)[1]):
            raise _no_part(file)
    except CkpttoolError as error:
        error.path = file.name
        raise
    return None


def _no_part(file: ByteSource) -> MalformedError:
    """Return the error for a file that is only called one of parts: tensors may lack its own.

    Raises:
        CkpttoolError: it is no checkpoint at all, but a pointer of Git LFS, for example.
    """
    other = single.read(file, single.head_of(file), None)
    error = MalformedError(
        f"the file is called one of parts of tensors, and has no {sharding.KEY}, which says where "
        "they begin",
        rules.DISTRIBUTED_CHUNKS,
    )
    error.uses = other.uses
    return error


def _tensors(path: str, headers: dict[str, Header]) -> dict[str, TensorInfo]:
    parts: dict[str, _Parts] = {}
    for file, header in headers.items():
        with _naming_file(path, file):
            offsets = sharding.offsets_of(header.metadata, header.tensors) or {}
        for name, info in header.tensors.items():
            found = parts.setdefault(name, _Parts(info.dtype, file, []))
            block = Block(offsets[name], info.shape, row_major(info.shape), _extent(info))
            _require_alike(name, found, info, file, block)
            found.blocks.append(block)
    return {name: _whole(path, name, found) for name, found in parts.items()}


def _extent(info: TensorInfo) -> Extent:
    return info.extents[0]  # safetensors has one for each tensor, be it empty


def _require_alike(name: str, found: _Parts, info: TensorInfo, file: str, block: Block) -> None:
    """Refuse a part of another type, or with another number of axes, than the first one."""
    axes = len(found.blocks[0].sizes) if found.blocks else len(block.sizes)
    if (info.dtype, len(block.sizes)) != (found.dtype, axes):
        raise MalformedError(
            "two parts of a tensor differ in type or number of axes",
            rules.DISTRIBUTED_CHUNKS,
            tensor=name,
            expected=f"{found.dtype.name} with {axes} axes as in {found.file}",
            found=f"{info.dtype.name} {list(info.shape)} in {file}",
        )


def _whole(path: str, name: str, found: _Parts) -> TensorInfo:
    blocks = [block for block in found.blocks if 0 not in block.sizes]
    ends = ([at + size for at, size in zip(one.offsets, one.sizes)] for one in found.blocks)
    shape = tuple(map(max, zip(*ends)))
    if not blocks:
        return TensorInfo(name, found.dtype, shape, None, ())
    with naming_tensor(name):
        check_cover(shape, [(block.offsets, block.sizes) for block in blocks], "part")
    if len(blocks) == 1:
        return TensorInfo(name, found.dtype, shape, None, (blocks[0].extent,))
    if found.dtype.bits % 8:
        raise UnsupportedError(
            "a tensor of elements below a byte is cut into parts", rules.UNSUPPORTED, tensor=name
        )
    try:
        whole = whole_of(path, shape, found.dtype.itemsize, blocks)
    except UnsupportedTensorError as reason:
        raise UnsupportedError(str(reason), rules.UNSUPPORTED, tensor=name) from reason
    return TensorInfo(name, found.dtype, shape, None, whole.rows)


@contextmanager
def _naming_file(path: str, file: str) -> Iterator[None]:
    try:
        yield
    except CkpttoolError as error:
        error.path = os.path.join(os.path.split(path)[0], file)  # noqa: PTH118
        raise
