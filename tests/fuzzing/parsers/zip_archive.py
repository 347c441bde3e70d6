"""A zip of torch.save or TorchScript, against torch's reader in C++, torch.load and zipfile."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Dict, NamedTuple, Sequence, Tuple

import torch

from ckpttool.files.sources import MemorySource
from ckpttool.findings.errors import CkpttoolError
from ckpttool.formats import open_source
from ckpttool.formats.archives.archive import Archive, read_archive, read_member
from tests.builders import pickles as p
from tests.builders import scripts, zips
from tests.builders import torch_files as files
from tests.fuzzing.mutations import zips as changes
from tests.fuzzing.parser import ViolationError
from tests.fuzzing.references import inert
from tests.fuzzing.references.restoring import content_of
from tests.fuzzing.tensors import Content, contents, held_to

if TYPE_CHECKING:
    from random import Random

NAME = "zip"

_PATH = "model.pth"
_ATTACK = p.pickle(p.dict_of((p.text("w"), p.call(p.name("os", "system"), p.text("exit")))))
_MOST = 4 * 2**20
# As scripts.CODE, complete enough for torch to compile it.
_CODE = scripts.CODE + (
    b"  b : Tensor\n  training : bool\n"
    b"  def forward(self: __torch__.mine.Net, x: Tensor) -> Tensor:\n"
    b"    return torch.add(x, self.w)\n"
)


class _Far(MemorySource):
    is_far = True


class Read(NamedTuple):
    """What ckpttool says of a file.

    Attributes:
        tensors: ``None`` where they are too large.
        wrapper: the dotted key that they lie under.
        whole: whether there are no other tensors in the file.
        names: that loading would use for more than data.
        damaged: members whose bytes do not match their checksum.
    """

    tensors: Dict[str, Content] | None
    wrapper: str
    whole: bool
    names: Tuple[str, ...]
    damaged: Tuple[str, ...]
    form: str


@lru_cache(maxsize=None)
def seeds() -> Sequence[bytes]:
    """Return archives by torch, by zipfile and by hand, one of them a program."""
    return (
        files.torch_zip(),
        files.torch_zip(members={"byteorder": b"big", ".data/version": b"3\n"}),
        _saved(),
        _as_by_hand(zip64=False),
        _as_by_hand(zip64=True),
        _program(),
    )


def _program() -> bytes:
    """A program as torch.jit.save writes it: the code deflated, numbers of fixed sizes."""
    tensor = p.tensor().replace(p.integer(4), b"K\x04")
    state = ((p.text("training"), b"\x89"), (p.text("w"), tensor), (p.text("b"), tensor))
    stored = scripts.program(p.dict_of(*state), _CODE)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in _members(stored):
            info = zipfile.ZipInfo(f"archive/{name.decode()}")
            packed = zipfile.ZIP_DEFLATED if name.startswith(b"code/") else zipfile.ZIP_STORED
            archive.writestr(info, data, packed)
    return stream.getvalue()


def _saved() -> bytes:
    """What torch.save writes: two dtypes, a shared storage, a transposed view, a wrapper."""
    stream = io.BytesIO()
    weight = torch.arange(6.0).reshape(2, 3)
    state = {"a": weight, "b": weight.t(), "n": torch.ones(2, dtype=torch.int64)}
    torch.save({"model": state, "epoch": 3}, stream)
    return stream.getvalue()


def _as_by_hand(*, zip64: bool) -> bytes:
    items = [zips.Item(b"archive/" + name, data) for name, data in _members(files.torch_zip())]
    return zips.archive(*items, zip64=zip64)


def _members(content: bytes) -> Sequence[Tuple[bytes, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [
            (name.partition("/")[2].encode(), archive.read(name)) for name in archive.namelist()
        ]


@lru_cache(maxsize=None)
def _donors() -> Sequence[Tuple[bytes, bytes]]:
    """Return members of all good files, and hostile ones."""
    found = [member for seed in seeds() for member in _members(seed)]
    pickled = [data for name, data in found if name == b"data.pkl"]
    return [
        *dict.fromkeys(found),
        *[(b"data.pkl", _ATTACK)] * 4,
        *[(name, data) for name in (b"constants.pkl", b"x.pkl") for data in (*pickled, _ATTACK)],
        *[
            (b"code/__torch__/mine.py", code)
            for code in (b"", _CODE * 2, _CODE.replace(b"M", b"N"))
        ],
        *[(b"code/a.py", _CODE), (b"data/1", bytes(16)), (b"data/00", bytes(16))],
        *[(b"DATA/0", b"ab" * 8), (b"Byteorder", b"big"), (b"VERSION", b"11")],
        *[(name, b"1") for name in (b".format_version", b".storage_alignment", b".data/version")],
        *[(b"attributes.pkl", _ATTACK), (b"data/0", _ATTACK), (b"a.npy", b"x"), (b"v.onnx", b"")],
    ]


def mutate(content: bytes, random: Random) -> bytes:
    """Change a record, a member or the place of one."""
    return changes.mutate(content, random, _donors())


def read(content: bytes) -> Read:
    """Catalogue the archive, read the tensors and check the checksums."""
    checkpoint = open_source(MemorySource(content, _PATH), None)
    names = tuple(use.name for use in checkpoint.uses)
    damaged = tuple(
        member
        for member, (source, offset, length), crc in checkpoint.checksums
        if zlib.crc32(content[offset : offset + length]) != crc and source.size
    )
    whole = not (checkpoint.outside or checkpoint.unread or checkpoint.in_parts)
    wrapper, form = checkpoint.wrapper or "", checkpoint.format
    return Read(contents(checkpoint), wrapper, whole, names, damaged, form)


def compare(content: bytes, said: object | CkpttoolError) -> str:
    """Hold members to those of zipfile and torch's reader, tensors to those of torch.load."""
    if isinstance(said, CkpttoolError):
        return _refused(content, said)
    assert isinstance(said, Read)
    archive = read_archive(MemorySource(content, _PATH), code=True)
    members = _as_zipfile(content, archive, said)
    reader = _reader(content)
    if isinstance(reader, str):
        raise ViolationError(f"torch's reader refuses it: {reader}")
    _as_reader(reader, members)
    if said.tensors is None:
        return "too large"
    if zlib.crc32(content) % 8 == 0:
        _as_far(content, said)
    if said.form == "torch-script":
        return _as_program(content, said)
    return _as_loaded(content, members, said)


def _reader(content: bytes) -> Any:
    """Return torch's own reader of the archive; the reason if it refuses it."""
    try:
        return torch._C.PyTorchFileReader(io.BytesIO(content))
    except Exception as error:  # noqa: BLE001 (numbers and texts raise what C++ or Python has)
        return repr(error)


def _refused(content: bytes, said: CkpttoolError) -> str:
    """Demand that code which torch would run is named although the archive is refused."""
    reader = _reader(content) if content.startswith(b"PK\x03\x04") else ""
    if isinstance(reader, str):
        return "refused here and by torch"
    try:
        pickled = reader.get_record("data.pkl")
    except RuntimeError:
        return "refused here, and torch finds no pickle"
    names = inert.names_in(pickled)
    if ("os", "system") in names and not any("system" in use.name for use in said.uses):
        raise ViolationError(f"torch would call os.system, which is not said: {said!r}")
    return "refused here"


def _as_zipfile(content: bytes, archive: Archive, said: Read) -> Dict[str, bytes]:
    """Hold all members to what zipfile reads; return them by name."""
    members: Dict[str, bytes] = {}
    source = MemorySource(content, _PATH)
    with zipfile.ZipFile(io.BytesIO(content)) as theirs:
        if theirs.namelist() != list(archive.members):
            raise ViolationError("zipfile lists other members")
        for name, member in archive.members.items():
            data = read_member(source, member._replace(has_crc=False), _MOST)
            members[name] = data
            theirs_read = _read_by_zipfile(theirs, name)
            if theirs_read is None:
                if member.has_crc and name.partition("/")[2] == "data.pkl":
                    raise ViolationError("the pickle does not match its checksum")
                if member.has_crc and member.crc32 == zlib.crc32(data):
                    raise ViolationError(f"zipfile finds another checksum of {name!a}")
                if member.has_crc and name in said.damaged:
                    continue
            elif theirs_read != data:
                raise ViolationError(f"zipfile reads other bytes of {name!a}")
            elif name in said.damaged:
                raise ViolationError(f"zipfile finds the checksum of {name!a} right")
    return members


def _read_by_zipfile(archive: zipfile.ZipFile, name: str) -> bytes | None:
    try:
        return archive.read(name)
    except zipfile.BadZipFile as error:
        if "Bad CRC-32" in str(error):
            return None
        raise ViolationError(f"zipfile cannot read {name!a}: {error}") from None


#: Bytes of the longest name of a member that torch's reader takes whole.
_LONGEST = 511


def _as_reader(reader: Any, members: Dict[str, bytes]) -> None:
    ours = {name.partition("/")[2]: data for name, data in members.items()}
    if any(len(name.encode()) > _LONGEST or "/" not in name for name in members):
        return  # it cuts such names, and lists no names that are in no folder
    if list(ours) != reader.get_all_records():
        raise ViolationError("torch lists other members")
    for name, data in ours.items():
        if reader.get_record(name) != data:
            raise ViolationError(f"torch reads other bytes of {name!a}")


def _as_loaded(content: bytes, members: Dict[str, bytes], said: Read) -> str:
    """Hold the tensors to those of torch.load."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        if "Weights only load failed" not in str(error):
            raise
        return _as_inert(members, said)
    except Exception as error:  # noqa: BLE001 (whatever it is)
        raise ViolationError(f"torch.load refuses it: {error!r}") from None
    theirs = {name: _content(one) for name, one in inert.tensors_in(loaded).items()}
    return _held(said, theirs)


def _held(said: Read, theirs: Dict[str, Content]) -> str:
    assert said.tensors is not None
    before = f"{said.wrapper}." if said.wrapper else ""
    ours = {f"{before}{name}": content for name, content in said.tensors.items()}
    if not said.whole:
        theirs = {name: content for name, content in theirs.items() if name in ours}
    return held_to(ours, theirs)


def _content(tensor: torch.Tensor) -> Content:
    found = content_of(tensor)
    assert found is not None
    return found


def _as_inert(members: Dict[str, bytes], said: Read) -> str:
    """Hold the tensors to what CPython makes of a pickle of which torch allows a name not."""
    if said.names:
        return "more than data is called"
    described = {name.partition("/")[2]: data for name, data in members.items()}
    reader = inert.Unpickler(io.BytesIO(described["data.pkl"]))
    swap = described.get("byteorder") == b"big"
    theirs = {
        name: _viewed(one, described, swap=swap)
        for name, one in inert.tensors_in(reader.load()).items()
    }
    return _held(said, theirs)


def _viewed(view: inert.View, members: Dict[str, bytes], *, swap: bool) -> Content:
    """Return a tensor as it is described, from the bytes of its storage."""
    _, (name,), key, _, count = view.storage
    dtype = getattr(torch, name).dtype
    data = members[f"data/{key}"]
    if swap and dtype.itemsize > 1:
        width = dtype.itemsize // (2 if dtype.is_complex else 1)
        data = b"".join(data[at : at + width][::-1] for at in range(0, len(data), width))
    whole = torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0, dtype=dtype)
    if len(whole) != count:
        raise ViolationError(f"storage {key!a} has another size than it says")
    return _content(torch.as_strided(whole, view.shape, view.strides, view.offset))


def _as_program(content: bytes, said: Read) -> str:
    """Hold parameters and buffers to those of TorchScript's own reader.

    It compiles the text and runs none of Python's code; of what a text may say that no writer
    writes, it knows more than is read here.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.jit.load(io.BytesIO(content), map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, IndexError, UnicodeDecodeError):  # a compiler, for many reasons
        return "no program to torch"
    theirs = program.state_dict()
    return _held(said, {name: _content(one) for name, one in theirs.items()})


def _as_far(content: bytes, said: Read) -> None:
    """Demand that a source on another machine is read to the same."""
    found = contents(open_source(_Far(content, _PATH), None))
    if found != said.tensors:
        raise ViolationError("a far source is read to something else")
