"""The index of shards that lie in a folder, written again from what is in them."""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Mapping, NamedTuple, Sequence

from ckpttool.conversion.documents import index_text
from ckpttool.files.publishing import clean_beside, head_at, is_there, write_files
from ckpttool.files.sources import FileSource, read_bytes
from ckpttool.files.suffixes import INDEX, SAFETENSORS, TORCH, is_called_index, shard_name
from ckpttool.files.temporary import repeated
from ckpttool.findings import rules
from ckpttool.findings.arguments import AnyPath, check_flags, path_of
from ckpttool.findings.errors import CkpttoolError, MalformedError, UnreadableError, UsageError
from ckpttool.findings.text import count, printable, some_of
from ckpttool.formats import checkpoint_file
from ckpttool.formats.sharded.index import files_listed, read_index
from ckpttool.formats.sharded.shards import open_shard, uncounted

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import TensorInfo

_SHOWN = 5
#: What PEFT calls the weights of an adapter.
_ADAPTER = "adapter_model."
#: What transformers looks for in a folder, by the suffix of the shards.
_USUAL = {SAFETENSORS[0]: "model", ".bin": "pytorch_model"}


class WrittenIndex(NamedTuple):
    """An index that was written, or that stood there and is right.

    Attributes:
        path: the index.
        files: the shards, by name.
        tensors: how many tensors they have.
        size: bytes of all tensors.
        is_new: whether it was written; ``False`` if the same content stood there.
        added, removed, moved: tensors that the index which stood there did not list, that lie in
            no shard, and that lie in another one than it said.
        cleaned: files of a killed run that were removed from the folder.
    """

    path: str
    files: tuple[str, ...]
    tensors: int
    size: int
    is_new: bool = True
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    cleaned: tuple[str, ...] = ()


def write_index(
    *paths: AnyPath, output: AnyPath | None = None, force: bool = False
) -> WrittenIndex:
    """Write the index of shards by what is in them; only their headers are read.

    Args:
        paths: a folder, for the safetensors files right in it or, if there are none, the files of
            torch; or the shards themselves, which lie in one folder.
        output: the index; ``None`` for the one that lists some of the shards, or for the name that
            follows from theirs.
        force: whether an index that stands there may be replaced by another one.

    Raises:
        UsageError: the paths are no shards of one folder, or there is another index already.
        MalformedError: a tensor lies in two of the files, or one is missing by the others' names.
        CkpttoolError: a file cannot be read, or the index cannot be written.
    """
    check_flags({"force": force})
    folder, names = _shards_of([path_of(path) for path in paths])
    path = _index_of(folder, names) if output is None else path_of(output, "the output")
    if os.path.realpath(os.path.dirname(path) or ".") != os.path.realpath(folder):  # noqa: PTH120
        raise UsageError(
            "an index lists files of its own folder", path=path, expected=folder or os.curdir
        )
    with ExitStack() as opened:
        tensors, places = _opened(folder, names, opened)
    size = sum(info.nbytes for info in tensors.values())
    result = WrittenIndex(path, tuple(names), len(tensors), size)
    result = result._replace(cleaned=clean_beside(path))
    before, kept = _before(path)
    if before:
        result = _changes(result, before, places)
        stated = kept.get("total_size") == size
        if stated and not (result.added or result.removed or result.moved):
            return result._replace(is_new=False)
    if not force and is_there(path):
        raise UsageError(
            "there is another index already",
            path=path,
            found=_told(result),
            fix="Pass --force to replace it, or name another file with -o.",
        )
    content = index_text(places, (size, sum(info.numel for info in tensors.values())), kept)
    write_files({path: content}, sync=True)
    return result


def _shards_of(paths: Sequence[str]) -> tuple[str, list[str]]:
    """Return a folder and the names of the shards in it."""
    if len(paths) == 1 and _is_folder(paths[0]):
        (folder,) = paths
        _require_no_other(folder)
        names = _files_in(folder)
        for suffixes in (SAFETENSORS, TORCH):
            shards = [name for name in names if name.lower().endswith(suffixes)]
            if shards:
                _check_adapters(folder, shards)
                return folder, shards
        raise UnreadableError(
            "there is no shard in this folder",
            rules.UNREADABLE,
            path=folder,
            expected=f"files that end in {', '.join((*SAFETENSORS, *TORCH))}",
        )
    folders = {os.path.dirname(path) for path in paths}  # noqa: PTH120 (the caller's spelling)
    if len(folders) != 1 or any(map(_is_folder, paths)):
        raise UsageError(
            "an index is of one folder, or of files that lie in one", found=", ".join(paths)
        )
    return folders.pop(), list(dict.fromkeys(Path(path).name for path in paths))


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(repeated(os.stat, path).st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError as error:
        raise _unreadable(path, error) from error


def _files_in(folder: str) -> list[str]:
    try:
        return sorted(one.name for one in Path(folder).iterdir() if one.is_file())
    except OSError as error:
        raise _unreadable(folder, error) from error


def _unreadable(path: str, error: OSError) -> UnreadableError:
    reason = error.strerror or str(error)
    return UnreadableError(f"cannot be read: {reason}", rules.UNREADABLE, path=path)


def _check_adapters(folder: str, names: Sequence[str]) -> None:
    """Refuse an adapter of PEFT among a model's files: loaders would take it for a shard."""
    adapters = [name for name in names if name.startswith(_ADAPTER)]
    if adapters and len(adapters) < len(names):
        raise UsageError(
            f"{printable(adapters[0])} is by its name an adapter, and no shard of the model beside "
            "it",
            path=folder,
            fix="Name the files that belong together: ckpttool index FILE...",
        )


def _require_no_other(folder: str) -> None:
    """Refuse a folder that is a checkpoint of another kind, whose files no index can list."""
    own = checkpoint_file(folder)
    if own != folder:
        raise UsageError(
            "the folder is one checkpoint of parts that processes wrote, which needs no index and "
            "has none",
            path=folder,
            found=os.path.split(own)[1],
            fix="For whole tensors with an index: ckpttool convert FOLDER --to safetensors "
            "--max-shard-size 5GB.",
        )


def _index_of(folder: str, names: Sequence[str]) -> str:
    """Return the index to write: the one that lists some of the files, or a usual name."""
    indexes = [name for name in _files_in(folder or os.curdir) if is_called_index(name)]
    ours = [
        path
        for path in (os.path.join(folder, name) for name in indexes)  # noqa: PTH118
        if set(files_listed(path)) & set(names)
    ]
    if len(ours) > 1:
        raise UsageError(
            "several indexes list some of the files",
            found=some_of([printable(Path(one).name) for one in ours], _SHOWN),
            fix="Name the one to write with -o; the others stay as they are.",
        )
    if ours:
        return ours[0]
    series = {(one.stem, one.suffix) for one in map(shard_name, names) if one is not None}
    if len(series) == 1:
        stem, suffix = series.pop()
    else:
        suffix = os.path.splitext(names[0])[1]  # noqa: PTH122
        stem = _USUAL.get(suffix, "model")
    return os.path.join(folder, stem + suffix + INDEX)  # noqa: PTH118


def _opened(
    folder: str, names: Sequence[str], opened: ExitStack
) -> tuple[dict[str, TensorInfo], dict[str, str]]:
    """Return the tensors of all files by name, and which file each lies in; sorted."""
    absent = uncounted(names)
    if absent:
        raise MalformedError(
            f"the files are not all there: {some_of(absent, _SHOWN)}",
            rules.SHARD_INDEX,
            path=folder,
            fix="Download or copy what is missing, or name the files that belong together.",
        )
    tensors: dict[str, TensorInfo] = {}
    places: dict[str, str] = {}
    twice: list[str] = []
    for name in names:
        source = FileSource(os.path.join(folder, name))  # noqa: PTH118 (the caller's spelling)
        opened.callback(source.close)
        for tensor, info in open_shard(name, source).tensors.items():
            if tensor in places:
                where = f"{printable(places[tensor])} and {printable(name)}"
                twice.append(f"{printable(tensor)} in {where}")
            tensors[tensor], places[tensor] = info, name
        source.rest()
    if twice:
        raise MalformedError(
            f"{count(len(twice), 'tensor')} in two files: {some_of(twice, _SHOWN)}",
            rules.SHARD_INDEX,
            path=folder,
            fix="Name the files that belong together: ckpttool index FILE...",
        )
    ordered = sorted(tensors)
    return {name: tensors[name] for name in ordered}, {name: places[name] for name in ordered}


def _before(path: str) -> tuple[dict[str, str], dict[str, object]]:
    """Return what the index that stands there lists, and its metadata; nothing of a broken one."""
    if not head_at(path, 1):
        return {}, {}
    source = FileSource(path)
    try:
        index = read_index(source)
    except CkpttoolError:
        if b'"weight_map"' not in read_bytes(source, 0, min(source.size, 1 << 20)):
            raise UsageError(
                "the existing file is not an index", path=path, fix="Name another file with -o."
            ) from None
        return {}, {}
    finally:
        source.close()
    return index.weight_map, index.metadata


def _changes(
    result: WrittenIndex, before: Mapping[str, str], places: Mapping[str, str]
) -> WrittenIndex:
    both = before.keys() & places.keys()
    return result._replace(
        added=tuple(name for name in places if name not in before),
        removed=tuple(name for name in before if name not in places),
        moved=tuple(name for name in places if name in both and before[name] != places[name]),
    )


def _told(result: WrittenIndex) -> str:
    """Say how what stands there differs from the shards."""
    changes = {
        "not listed": result.added,
        "listed and in no shard": result.removed,
        "listed in another shard": result.moved,
    }
    told = [
        f"{count(len(names), 'tensor')} {what}: {some_of(list(map(printable, names)), _SHOWN)}"
        for what, names in changes.items()
        if names
    ]
    return "; ".join(told) or "the same tensors with another total_size, or none"
