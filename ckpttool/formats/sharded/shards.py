"""A checkpoint in several files, with an index of which file each tensor is in.

The index is ``{"metadata": {...}, "weight_map": {tensor: file}}``, as the Hugging Face hub
writes it. It and its shards are one checkpoint only if they agree in every name, so every
disagreement is listed. Shards are safetensors files, or state dicts of ``torch.save``.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Iterable, Iterator, TypeVar

from ckpttool.files.folder import SHOWN, Siblings, siblings_of
from ckpttool.files.strict_json import begins_object
from ckpttool.files.suffixes import SUFFIXES, ShardName, shard_name
from ckpttool.findings import rules
from ckpttool.findings.errors import (
    CkpttoolError,
    MalformedError,
    UnreadableError,
    UnsupportedError,
    adding_uses,
)
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.holes import places_in_words
from ckpttool.findings.text import count, printable, some_of
from ckpttool.findings.uses import NameUse
from ckpttool.formats import single
from ckpttool.formats.safetensors import whole as safetensors
from ckpttool.formats.safetensors.header import MAX_TENSORS
from ckpttool.formats.safetensors.sharding import holds_parts
from ckpttool.formats.safetensors.whole import require_no_wrapper
from ckpttool.formats.sharded.index import Index, read_index
from ckpttool.tensors.catalogue import Checkpoint, Checksum, Reference, TensorInfo

if TYPE_CHECKING:
    from ckpttool.files.sources import ByteSource
    from ckpttool.findings.rules import Rule

#: Of shards that are all safetensors files, and of all others.
FORMAT, TORCH_FORMAT = "safetensors-sharded", "torch-sharded"

#: Shards that stay open; others are opened for each read. A process may have 256 files open on
#: macOS by default, and few checkpoints have as many shards as this.
MAX_OPEN = 100

#: Bytes of the headers of all shards.
MAX_HEADERS = 400_000_000

_PUT = "Put the missing files beside the index."
_OTHERS = (
    " If the weights lie there in other files, remove the index, or write it again: "
    "ckpttool index FOLDER --force."
)
_ANEW = (
    "Put index and shards of one export together; or, if the shards hold all that they should, "
    "write the index again: ckpttool index FOLDER --force."
)
_EXPORT = "Get the missing shards and the index from the same source, or export again."

# Missing shards of a series that are named.
_NAMED = 3

_Member = TypeVar("_Member", NameUse, Checksum)


def matches(head: bytes) -> bool:
    """Whether the file begins as JSON; only reading it shows whether it is an index."""
    return begins_object(head)


def read(source: ByteSource, wrapper: str | None) -> Checkpoint:
    """Catalogue the index and all its shards; see ``open_checkpoint`` for the errors.

    The tensors come in the order of the index.
    """
    require_no_wrapper(wrapper)
    index = read_index(source)
    with ExitStack() as opened:
        files = sorted(set(index.weight_map.values()))
        folder = siblings_of(source, opened)
        shards = _open_all(folder, files)
        lost = uncounted(files)
        offenders = lost + folder.offenders + _misplaced(index, shards)
        # missing files first: the disagreements that they cause are no use by themselves
        if folder.missing:
            raise _missing(folder.missing, index, len(files), offenders)
        if folder.links:
            raise _not_followed(folder.links)
        tensors = _in_order(index, shards)
        if offenders:
            raise _disagreement(offenders, lost)
        opened.pop_all()  # from here on the checkpoint closes the shards
    every = list(shards.items())
    # all shards refer to the same few names
    references: dict[str, Reference] = {}
    for one in (one for _, shard in every for one in shard.references):
        references.setdefault(str(one), one)
    return Checkpoint(
        source.name,
        _format_of(shards.values()),
        (source, *(part for shard in shards.values() for part in shard.sources)),
        tensors,
        entries=index.entries,
        references=tuple(references.values()),
        uses=tuple(_in_file(file, one) for file, shard in every for one in shard.uses),
        unread=tuple(one for _, shard in every for one in shard.unread),
        unread_bytes=sum(shard.unread_bytes for _, shard in every),
        in_parts=tuple(one for _, shard in every for one in shard.in_parts),
        index_metadata=index.metadata,
        metadata=_common_metadata(shards),
        checksums=tuple(_in_file(file, one) for file, shard in every for one in shard.checksums),
        storages={
            f"{file}/{key}": extent
            for file, shard in every
            for key, extent in shard.storages.items()
        },
        header_size=max((shard.header_size or 0 for shard in shards.values()), default=0) or None,
        remarks=tuple(_remarks(index, shards, tensors)),
    )


def uncounted(files: Iterable[str]) -> list[str]:
    """Return a line for each shard that must exist by the names of others but is not listed.

    ``model-00001-of-00003.safetensors`` says that there are three.
    """
    series: dict[ShardName, set[int]] = {}
    for name in filter(None, map(shard_name, files)):
        if name.suffix.endswith(SUFFIXES):
            series.setdefault(name._replace(number=0), set()).add(name.number)
    lines = []
    for one, numbers in series.items():
        strange = sorted(number for number in numbers if not 1 <= number <= one.total)
        lines += [f"{_numbered(one, number)} counts itself wrong" for number in strange]
        # a generator: the names of a hostile index may count up to 99,999
        absent = (number for number in range(1, one.total + 1) if number not in numbers)
        named = [_numbered(one, number) for number, _ in zip(absent, range(_NAMED))]
        missing = one.total - len(numbers) + len(strange)
        if missing == 1:
            lines.append(f"{named[0]} is not listed")
        elif missing:
            more = f" and {missing - _NAMED:,} more" if missing > _NAMED else ""
            shown = ", ".join(named)
            lines.append(f"{missing:,} shards that the names count are not listed: {shown}{more}")
    return lines


def _numbered(name: ShardName, number: int) -> str:
    return printable(str(name._replace(number=number)))


def _remarks(
    index: Index, shards: dict[str, Checkpoint], tensors: dict[str, TensorInfo]
) -> Iterator[Finding]:
    total = sum(info.nbytes for info in tensors.values())
    if index.total_size != str(total):
        yield finding(
            rules.INDEX_TOTAL,
            "the index states another total_size than its tensors have, or none",
            expected=f"{total}",
            found=index.total_size or "nothing",
        )
    same: dict[tuple[Rule, str], list[tuple[str, Finding]]] = {}
    for file, shard in shards.items():
        for remark in shard.remarks:
            same.setdefault((remark.rule, remark.message), []).append((file, remark))
    for [(file, remark), *others] in same.values():
        more = f" and {len(others):,} more" if others else ""
        yield remark._replace(message=f"{remark.message}, in {printable(file)}{more}")


def _open_all(folder: Siblings, files: list[str]) -> dict[str, Checkpoint]:
    shards: dict[str, Checkpoint] = {}
    tensors = size = 0
    for file in files:
        source = folder.open(file)
        if source is None:
            continue
        shard = shards[file] = open_shard(file, source)
        if len(shards) > MAX_OPEN:
            source.rest()
        tensors += len(shard.tensors)
        size += shard.header_size or 0
        if tensors > MAX_TENSORS or size > MAX_HEADERS:
            raise MalformedError(
                "the shards hold more tensors than are catalogued",
                rules.LIMIT,
                expected=f"at most {MAX_TENSORS:,} in headers of {MAX_HEADERS:,} bytes",
            )
    return shards


def open_shard(file: str, source: ByteSource) -> Checkpoint:
    """Open a shard, which has nothing but tensors in it.

    Args:
        file: its name in the index.
        source: the file.

    Raises:
        UnsupportedError: it has more, or is no shard.
        CkpttoolError: as :func:`ckpttool.formats.open_checkpoint`.
    """
    try:
        shard = single.read(source, single.head_of(source), None)
        with adding_uses(shard.uses):
            _require_plain(file, shard)
    except CkpttoolError as error:
        error.path = source.name
        error.uses = tuple(_in_file(file, use) for use in error.uses)
        raise
    if shard.storages:  # the keys of torch's storages are the same in every file: 0, 1, 2
        shard.tensors = {
            name: info._replace(storage=_key(file, info.storage))
            for name, info in shard.tensors.items()
        }
    return shard


def _require_plain(file: str, shard: Checkpoint) -> None:
    if holds_parts(file, shard.metadata, shard.tensors):
        raise UnsupportedError(
            "the shard holds parts of tensors (DCP_SHARDING_INFO), of which an index says nothing",
            rules.UNSUPPORTED,
            fix="Name the folder that the files of parts lie in, without an index: together they "
            "are one checkpoint, which ckpttool convert --to safetensors writes as whole tensors.",
        )
    beside = [entry.key for entry in shard.entries] + [other.key for other in shard.outside]
    if shard.wrapper or beside:
        raise UnsupportedError(
            "the shard holds more than a state dict, and an index does not say what is to be taken",
            rules.UNSUPPORTED,
            found=f"a state dict under {shard.wrapper}" if shard.wrapper else beside[0],
            fix="Convert each shard by itself: ckpttool convert --to safetensors.",
        )


def _key(file: str, key: str | None) -> str | None:
    return None if key is None else f"{file}/{key}"


def _in_file(file: str, member: _Member) -> _Member:
    """Return a use or a checksum with the shard that it is in before its member."""
    shown = printable(file) if member.member is None else f"{printable(file)}/{member.member}"
    return member._replace(member=shown)


def _format_of(shards: Iterable[Checkpoint]) -> str:
    alike = all(shard.format == safetensors.FORMAT for shard in shards)
    return FORMAT if alike else TORCH_FORMAT


def _misplaced(index: Index, shards: dict[str, Checkpoint]) -> list[str]:
    """Name every tensor that is not in exactly the one shard that the index gives."""
    places: dict[str, list[str]] = {}
    for file, shard in shards.items():
        for name in shard.tensors:
            places.setdefault(name, []).append(file)
    wrong = []
    for name, file in index.weight_map.items():
        found = places.pop(name, [])
        if found != [file] and (found or file in shards):
            where = " and ".join(printable(other) for other in found[:3]) or "no shard"
            wrong.append(f"{printable(name)} lies in {where} instead of {printable(file)}")
    wrong += [
        f"{printable(name)} in {printable(found[0])} is not listed"
        for name, found in places.items()
    ]
    return wrong


def _in_order(index: Index, shards: dict[str, Checkpoint]) -> dict[str, TensorInfo]:
    return {
        name: shards[file].tensors[name]
        for name, file in index.weight_map.items()
        if file in shards and name in shards[file].tensors
    }


def _missing(missing: list[str], index: Index, listed: int, offenders: list[str]) -> MalformedError:
    """Return the error for missing shards, with what is in them and whatever else is wrong."""
    named = some_of([printable(name) for name in missing], SHOWN)
    files = set(missing)
    gone = [name for name, file in index.weight_map.items() if file in files]
    if 0 < len(gone) < len(index.weight_map):
        words = places_in_words(gone, index.weight_map)
        named += f", with {len(gone):,} of {count(len(index.weight_map), 'tensor')}"
        named += f": {words}" if words else ""
    beside = f"; besides: {'; '.join(offenders[:SHOWN])}" if offenders else ""
    return MalformedError(
        f"{len(missing):,} of {count(listed, 'shard')} not there: {named}{beside}",
        rules.SHARD_INDEX,
        fix=_PUT + (_OTHERS if len(missing) == listed else ""),
    )


def _not_followed(links: list[str]) -> UnreadableError:
    """Return the error for shards that are links out of the folder."""
    # "cannot tell", not "malformed": the files behind the links were not looked at
    named = some_of([printable(link) for link in links], SHOWN)
    return UnreadableError(
        f"shards are links that lead out of the folder, which are not followed: {named}",
        rules.UNREADABLE,
        fix="Put the files themselves beside the index, or name the index that lies beside them.",
    )


def _disagreement(offenders: list[str], lost: list[str]) -> MalformedError:
    more = f"; +{len(offenders) - SHOWN:,} more" if len(offenders) > SHOWN else ""
    return MalformedError(
        f"the index and its shards disagree: {'; '.join(offenders[:SHOWN])}{more}",
        rules.SHARD_INDEX,
        # an index that is written again is of the shards that are left
        fix=_EXPORT if lost else _ANEW,
    )


def _common_metadata(
    shards: dict[str, Checkpoint],
) -> dict[str, str]:
    """Return the metadata that all shards have in common."""
    every = [shard.metadata for shard in shards.values()]
    return {
        key: value
        for key, value in every[0].items()
        if all(other.get(key) == value for other in every[1:])
    }
