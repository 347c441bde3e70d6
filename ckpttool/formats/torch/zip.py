"""The zip container of torch.save since 1.6: ``<top>/data.pkl`` and ``<top>/data/<key>``."""

from __future__ import annotations

from contextlib import suppress
from typing import Callable, NamedTuple

from ckpttool.files.sources import ByteSource
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError, UnsupportedError
from ckpttool.formats import pickles
from ckpttool.formats.archives.archive import Archive, Member, read_archive, read_member
from ckpttool.formats.foreign.loose_pickles import first_pickle, judge_loose_pickles
from ckpttool.formats.foreign.other_archives import other_zip
from ckpttool.formats.objects.storages import (
    Locate,
    Storage,
    UnsupportedTensorError,
    storage_class,
    storage_id,
    storage_width,
)
from ckpttool.formats.pickles import Pickle
from ckpttool.formats.pickles.nodes import Global, Node, PersistentId
from ckpttool.formats.safety.watch import Watch
from ckpttool.formats.state_dicts import catalogued as state_dicts
from ckpttool.formats.state_dicts.catalogued import StateDict
from ckpttool.formats.torch import script, zip_facts
from ckpttool.tensors.catalogue import Checkpoint, Checksum, Extent
from ckpttool.tensors.dtypes import DType

FORMAT, PROGRAM = "torch-zip", "torch-script"

#: Bytes of data.pkl, which is read whole; that of a million tensors has 170 million.
MAX_PICKLE = 512_000_000


def matches(head: bytes) -> bool:
    """Whether the file begins with a zip's local header."""
    # as in torch.load; zipfile looks for the end, so any file may be a zip to it
    return head.startswith(b"PK\x03\x04")


def read(source: ByteSource, wrapper: str | None) -> Checkpoint:
    """Catalogue the archive; see ``open_checkpoint`` for the errors."""
    with Watch() as watch:
        try:
            return _read(source, wrapper, watch)
        except MalformedError as error:
            if watch.saw_a_pickle:
                raise
            # the archive was refused, but other readers may find a pickle in it and run its calls
            judge_loose_pickles(source, watch)
            other = other_zip(source, error)
            if other is None:
                _say_how_much_is_missing(source, error)
                raise
            # a reader of that kind of file does not load these pickles
            watch.attacks_only = True
            raise other from error
        except UnsupportedError:
            # nor does it hide a call that the archive is of a kind which is not read
            if not watch.saw_a_pickle:
                watch.own = script.is_of_program
                judge_loose_pickles(source, watch)
            raise


def _say_how_much_is_missing(source: ByteSource, error: MalformedError) -> None:
    """Add to the error of a truncated file the least size that its tensors need."""
    # data.pkl is the first member, so it survives, and it declares the size of every storage
    first = first_pickle(source) if error.rule is rules.TRUNCATED else None
    if first is None:
        return
    begin, data = first
    with suppress(CkpttoolError):
        pickle = pickles.parse(data)
        sizes: dict[str, int] = {}
        for value in pickle.ids:
            class_node, key, count, _ = storage_id(PersistentId(value), 5)
            sizes[key] = count * storage_width(class_node)[1]
        least = begin + pickle.end + sum(sizes.values())
        if least > source.size:
            error.expected = f"more than {least:,} bytes by the tensors in it"
            error.found = f"{source.size:,}"


def _read(source: ByteSource, wrapper: str | None, watch: Watch) -> Checkpoint:
    content = content_of(source, lambda data, member: watch.parse(data, member=member), code=True)
    locate = Storages(content.storages, content.folder)
    if content.program is None:
        form = FORMAT
        state = state_dicts.find(content.pickle, wrapper, locate, big_endian=content.big_endian)
    else:
        watch.own = script.is_of_program
        form, state = PROGRAM, _of_program(content, content.program, wrapper, locate)
    _check_storages(content.pickle, locate)
    return Checkpoint(
        source.name,
        form,
        (source,),
        references=watch.references,
        uses=watch.uses,
        checksums=content.checksums,
        storages=content.storages,
        **state._asdict(),
    )


class Content(NamedTuple):
    """What an archive of ``torch.save`` holds.

    Attributes:
        pickle: its pickle.
        storages: the extent of every storage, by its key.
        checksums: those of the storages that have bytes.
        folder: what stands before the key of a storage in the name of its member.
        big_endian: whether the storages hold big-endian elements.
        program: the code beside it, of a TorchScript program.
    """

    pickle: Pickle
    storages: dict[str, Extent]
    checksums: tuple[Checksum, ...]
    folder: str
    big_endian: bool
    program: script.Program | None = None


def content_of(
    source: ByteSource,
    parse: Callable[[bytes, str], Pickle],
    *,
    whole: ByteSource | None = None,
    base: int = 0,
    code: bool = False,
) -> Content:
    """Return the content of an archive, with a state dict in it or not.

    Args:
        source: the archive.
        parse: reads its pickle, given with the name of its member.
        whole: the file that the archive is a part of, for the extents; the archive itself.
        base: where in that file it begins.
        code: whether it may be a TorchScript program.

    Raises:
        CkpttoolError: it is none.
    """
    archive = read_archive(source, code=code)
    top, data = _top_folder(archive), archive.source
    constants = _constants(archive, top, code=code)
    zip_facts.check(archive, top)
    big_endian = zip_facts.is_big_endian(archive, top, program=constants is not None)
    member = archive.members[f"{top}/data.pkl"]
    folder = f"{top}/data/"
    storages, checksums = _records(archive, folder, data if whole is None else whole, base)
    program = None if constants is None else script.read_program(archive, top)
    del archive  # a million names and places that nobody asks for any more
    pickle = parse(read_member(data, member, MAX_PICKLE), member.name)
    if pickle.end != member.size:  # pickle.load ignores them, a scanner may not
        raise MalformedError(
            "something follows the pickle", rules.PICKLE, member=member.name, offset=pickle.end
        )
    if program is not None and constants is not None:
        program.constants = parse(read_member(data, constants, MAX_PICKLE), constants.name)
    return Content(pickle, storages, checksums, folder, big_endian, program)


def _constants(archive: Archive, top: str, *, code: bool) -> Member | None:
    """Return the constants of a TorchScript program; ``None`` for an archive that is none."""
    constants = archive.members.get(f"{top}/{script.CONSTANTS}")  # torch.load's own test
    packed = next((one for one in archive.members.values() if one.full is not None), None)
    if constants is not None and not code:
        raise UnsupportedError(
            "the archive is a TorchScript program, not a checkpoint",
            rules.UNSUPPORTED,
            fix="Save the module's state_dict() with torch.save.",
        )
    if constants is None and packed is not None:
        raise UnsupportedError(
            "the archive has the code of a TorchScript program, and is none: it lacks "
            "constants.pkl",
            rules.UNSUPPORTED,
            member=packed.name,
            fix="Save the module's state_dict() with torch.save.",
        )
    return constants


def _of_program(
    content: Content, program: script.Program, wrapper: str | None, locate: Locate
) -> StateDict:
    """Catalogue a TorchScript program, whose modules are as Python's; see ``state_dicts.find``."""
    pickle, constants = program.as_modules(content.pickle), program.outside()
    try:
        state = state_dicts.find(pickle, wrapper, locate, big_endian=content.big_endian)
    except UnsupportedError as error:
        raise script.without_weights(error, constants) from error
    outside = state.outside if constants is None else (*state.outside, constants)
    return state._replace(outside=outside, remarks=(script.remark_on(pickle.root),))


def pickle_of(source: ByteSource, watch: Watch) -> Pickle | None:
    """Return the pickle of an archive of ``torch.save``, with a state dict in it or not.

    Raises:
        CkpttoolError: it is none.
    """
    archive = read_archive(source)
    top = _top_folder(archive)
    _constants(archive, top, code=False)
    member = archive.members[f"{top}/data.pkl"]
    return watch.parse(read_member(archive.source, member, MAX_PICKLE), member=member.name)


class Storages:
    """Finds ``<top>/data/<key>``, and checks that all references to one key agree."""

    def __init__(self, extents: dict[str, Extent], folder: str) -> None:
        self._extents = extents
        self._folder = folder
        self._classes: dict[Node, DType | None] = {}
        # the type of each storage that was found; with its size it tells how many elements
        self._known: dict[str, DType | None] = {}

    def __call__(self, node: PersistentId) -> Storage:
        """Return the storage of a persistent id; see :data:`~..objects.storages.Locate`."""
        class_node, key, count, _ = storage_id(node, 5)
        if type(class_node) is Global and class_node in self._classes:
            dtype = self._classes[class_node]
        else:
            dtype = self._classes[class_node] = storage_class(class_node)
        if key in self._known:
            extent, known = self._extents[key], self._known[key]
            # honest files have empty storages of two types under one key
            if count * _width(dtype) != extent.length or (known is not dtype and count):
                raise MalformedError(
                    f"storage {key} is declared in two ways",
                    rules.STORAGE_SIZE,
                    expected=_declared(known, extent.length // _width(known)),
                    found=_declared(dtype, count),
                )
        else:
            extent = self._find(key, dtype, count)
            self._known[key] = dtype
        # not by the class: its __new__ takes as long again
        return tuple.__new__(Storage, (key, dtype, extent))

    def _find(self, key: str, dtype: DType | None, count: int) -> Extent:
        extent = self._extents.get(key)
        if extent is None:
            raise MalformedError(
                "the storage is not in the archive",
                rules.MISSING_STORAGE,
                member=self._folder + key,
            )
        nbytes = count * _width(dtype)
        # torch.load(mmap=True) does not check it, and reads beyond a record that is too short
        if nbytes != extent.length:
            raise MalformedError(
                "the storage's record has another size than its elements",
                rules.STORAGE_SIZE,
                member=self._folder + key,
                expected=f"{nbytes:,} bytes for {_declared(dtype, count)}",
                found=f"{extent.length:,} bytes",
            )
        return extent


def _check_storages(pickle: Pickle, locate: Storages) -> None:
    """Check those that no tensor refers to as well: torch.load reads each, and fails at one."""
    for value in pickle.ids:
        try:
            locate(PersistentId(value))
        except UnsupportedTensorError:
            continue


def _width(dtype: DType | None) -> int:
    return dtype.bits // 8 if dtype else 1


def _declared(dtype: DType | None, count: int) -> str:
    return f"{count:,} x {dtype.name if dtype else 'byte'}"


def _top_folder(archive: Archive) -> str:
    tops = {name.partition("/")[0] for name in archive.members}
    pickled = [top for top in sorted(tops) if f"{top}/data.pkl" in archive.members]
    # torch takes the folder of the archive's first record; another reader may take another one
    if len(pickled) != 1 or len(tops) != 1:
        raise MalformedError(
            "the archive is not laid out as torch.save does",
            rules.TORCH_ARCHIVE,
            expected="one top folder with data.pkl in it",
            found=f"{len(tops)} top entries, {len(pickled)} of them with data.pkl",
        )
    return pickled[0]


def _records(
    archive: Archive, folder: str, source: ByteSource, base: int
) -> tuple[dict[str, Extent], tuple[Checksum, ...]]:
    """Return the extent of every storage by its key, and the checksums of those with bytes.

    The archive begins at byte ``base`` of ``source``.
    """
    extents: dict[str, Extent] = {}
    checksums: list[Checksum] = []
    start = len(folder)
    for name, offset, size, crc32, *_ in archive.members.values():
        if name.startswith(folder):
            # one extent for all who refer to it: there may be a million of them
            extent = extents[name[start:]] = tuple.__new__(Extent, (source, base + offset, size))
            if size and archive.has_checksums:
                checksums.append(tuple.__new__(Checksum, (name, extent, crc32)))
    return extents, tuple(checksums)
