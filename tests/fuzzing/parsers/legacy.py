"""A stream of torch.save before 1.6, against torch and CPython's unpickler."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Sequence, Tuple

from ckpttool.files.sources import MemorySource
from ckpttool.findings.errors import CkpttoolError
from ckpttool.formats import open_source
from ckpttool.formats import pickles as ckpttool_pickles
from tests.builders import pickles as p
from tests.builders import torch_files as files
from tests.builders.repository import FIXTURES
from tests.fuzzing.archives import STORAGES
from tests.fuzzing.mutations import opcodes, pickle_parts, pickled, raw
from tests.fuzzing.parsers import pickle_stream
from tests.fuzzing.references import agreement, restoring
from tests.fuzzing.references.recording import Outside, record

if TYPE_CHECKING:
    from random import Random

NAME = "legacy"

#: Pickles of a stream: magic number, protocol, system, content, keys. Bytes follow.
_PARTS = 5
_CONTENT, _KEYS = 3, 4
_FIRST = {0: files.MAGIC, 1: 1001}


@lru_cache(maxsize=None)
def seeds() -> Sequence[bytes]:
    """Return good streams in every protocol, of old and new releases."""
    made = [_stream(pickle) for pickle in pickle_stream.seeds()]
    made += [_with_source(_stream(pickle_stream.module())), files.torch_legacy(_VIEWS)]
    old = FIXTURES / "torch-1.0.0" / "layouts.pth"
    return (*made, old.read_bytes())


def mutate(content: bytes, random: Random) -> bytes:
    """Change one of the pickles by its opcodes, the order of the parts, or the storages."""
    if random.random() < 0.08:
        return raw.mutate(content, random)
    parts = list(opcodes.pickles(content))
    if len(parts) <= _CONTENT:
        return raw.mutate(content, random)
    return b"".join(random.choice(_CHANGES)(parts, random))


def read(content: bytes) -> object:
    """Catalogue the stream and read its tensors."""
    return agreement.Read(open_source(MemorySource(content, "model.pth"), None))


def compare(content: bytes, said: object | CkpttoolError) -> str:
    """Hold each pickle to CPython's unpickler, and the tensors to torch's."""
    refused = isinstance(said, CkpttoolError)
    at = 0
    for part in range(_PARTS):
        theirs = agreement.check_pickle(
            content[at:],
            said.uses,  # type: ignore[union-attr]
            accepted=not refused,
            modules=part == _CONTENT,
        )
        # torch reads nothing behind another magic number or protocol
        if theirs is None or theirs.root != _FIRST.get(part, theirs.root):
            break
        at += theirs.end
    if refused:
        return "refused here"
    assert isinstance(said, agreement.Read)
    return agreement.check_tensors(said, content, lambda: _taken_apart(content))


# --- changes -------------------------------------------------------------------------------

_Parts = List[bytes]


def _content_changed(parts: _Parts, random: Random) -> _Parts:
    contents = [opcodes.pickles(seed)[_CONTENT] for seed in seeds()]
    parts[_CONTENT] = pickled.mutate(parts[_CONTENT], random, contents)
    return parts


def _pickle_changed(parts: _Parts, random: Random) -> _Parts:
    at = random.randrange(len(parts) - 1)
    parts[at] = pickled.mutate(parts[at], random)
    return parts


def _moved(parts: _Parts, random: Random) -> _Parts:
    first, second = random.randrange(len(parts)), random.randrange(len(parts))
    way = random.randrange(3)
    if way == 0:
        parts[first], parts[second] = parts[second], parts[first]
    elif way == 1:
        parts.insert(second, parts[first])
    else:
        del parts[first]
    return parts


def _crossed(parts: _Parts, random: Random) -> _Parts:
    """Take one part of another stream."""
    other = opcodes.pickles(random.choice(seeds()))
    at = random.randrange(len(other))
    parts[min(at, len(parts) - 1)] = other[at]
    return parts


def _storages_changed(parts: _Parts, random: Random) -> _Parts:
    parts[-1] = raw.mutate(parts[-1], random)
    return parts


def _count_changed(parts: _Parts, random: Random) -> _Parts:
    """Let a storage have another number of elements, at times in the pickle as well."""
    data = parts[-1]
    count = int.from_bytes(data[:8], "little", signed=True)
    new = random.choice((count + 1, count - 1, 0, -1, -count, raw.edge(random) % 2**62))
    parts[-1] = struct.pack("<q", max(min(new, 2**63 - 1), -(2**63))) + data[8:]
    if random.random() < 0.5:
        ops, rest = opcodes.split(parts[_CONTENT])
        old = p.integer(count)
        told = [pickle_parts.number_of(new, random) if _is(op, count) else op for op in ops]
        parts[_CONTENT] = b"".join(opcodes.framed(told)) + rest if old else b""
    return parts


def _is(op: bytes, number: int) -> bool:
    return op in (b"K%c" % number, b"M" + struct.pack("<H", number)) if 0 <= number < 256 else False


def _key_changed(parts: _Parts, random: Random) -> _Parts:
    """Give a storage another key, in the content and in the list of keys alike in most cases."""
    key = random.choice(("0", "1", "w", "storage", "\u202e", ""))
    ops, rest = opcodes.split(parts[_KEYS] if len(parts) > _KEYS else b"")
    texts = [op for op in ops if op[:1] in (b"X", b"\x8c", b"V", b"U", b"T")]
    if not texts:
        return parts
    old = random.choice(texts)
    new = pickle_parts.text_of(key.encode(), random)
    for at in (_KEYS, _CONTENT) if random.random() < 0.8 else (_KEYS,):
        ops, rest = opcodes.split(parts[at])
        told = [new if opcodes.argument(op) == opcodes.argument(old) else op for op in ops]
        parts[at] = b"".join(opcodes.framed(told)) + rest
    return parts


_CHANGES: Tuple[Callable[[_Parts, Random], _Parts], ...] = (
    *(_content_changed,) * 6,
    *(_pickle_changed, _pickle_changed, _moved, _crossed, _storages_changed),
    *(_count_changed, _key_changed),
)


# --- what the reference needs --------------------------------------------------------------


def _taken_apart(content: bytes) -> Tuple[bytes, Dict[str, bytes]]:
    """Return the pickle of the content and the bytes of each storage, as CPython reads them."""
    ids: List[Any] = []

    def outside(value: Any) -> Any:
        ids.append(value)
        return agreement.class_or_outside(value)

    at, pickle, keys = 0, b"", []
    for part in range(_PARTS):
        read = record(content[at:], outside if part == _CONTENT else Outside)
        if part == _CONTENT:
            pickle = content[at : at + read.end]
        if read.error:
            raise restoring.refused("CPython", read.error)
        at, keys = at + read.end, read.root
    classes = {value[2]: value[1] for value in ids if value[0] != "module"}
    held: Dict[str, bytes] = {}
    for key in keys:
        size = int.from_bytes(content[at : at + 8], "little") * restoring.width_of(classes[key])
        held[key] = content[at + 8 : at + 8 + size]
        at += 8 + size
    return pickle, held


# --- seeds ---------------------------------------------------------------------------------


def _stream(pickle: bytes) -> bytes:
    """Return a stream with the content of an archive: its ids have a sixth part there."""
    before = pickle[:2] if pickle[:1] == opcodes.PROTO else b""
    ops = list(opcodes.split(pickle).ops)
    for place in reversed(range(len(ops))):
        if ops[place] == b"Q":
            end = max(at for at in range(place) if ops[at] == b"t")
            ops.insert(end, b"N")
    content = b"".join(opcodes.framed(ops))
    counts = {value[2]: value[4] for value in ckpttool_pickles.parse(content).ids}
    keys = p.list_of(*map(p.text, counts))
    facts = p.dict_of((p.text("little_endian"), b"\x88"))
    parts = p.integer(files.MAGIC), b"M\xe9\x03", facts
    records = [struct.pack("<q", count) + STORAGES[key] for key, count in counts.items()]
    return b"".join(
        [*(before + part + p.STOP for part in parts), content, before + keys + p.STOP, *records]
    )


def _with_source(stream: bytes) -> bytes:
    """Let a class be one that is saved with its source text, as modules were."""
    told = p.name("torch.nn.modules.linear", "Linear")
    parts = p.text("module"), told, p.text("linear.py"), p.text("class Linear: pass")
    return stream.replace(told, p.tuple_of(*parts) + b"Q", 1)


def _view(key: str, offset: int, count: int) -> bytes:
    return p.tuple_of(p.text(key), p.integer(offset), p.integer(count))


#: Tensors of storages that are views of another one.
_VIEWS = p.dict_of(
    (p.text("w"), p.tensor(p.legacy_storage(view=_view("1", 2, 2)), shape=b"K\x02\x85")),
    (p.text("x"), p.tensor(p.legacy_storage(view=_view("2", 0, 3)), shape=b"K\x03\x85")),
)
