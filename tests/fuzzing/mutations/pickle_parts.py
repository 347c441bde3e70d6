"""What is put into pickles: names, numbers, texts, opcodes, values of good and hostile files."""

from __future__ import annotations

import io
import pickle
import struct
import warnings
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from functools import lru_cache
from typing import TYPE_CHECKING, Callable, Dict, List, Sequence, Tuple

from ckpttool.formats.safety import allowed
from tests.builders import pickles as p
from tests.builders.attacks import ATTACKS
from tests.builders.honest import HONEST
from tests.fuzzing.mutations import opcodes, raw, trees
from tests.fuzzing.mutations.opcodes import GETS, MEMOIZE, PUTS, Ops

if TYPE_CHECKING:
    from random import Random

#: A module and a name in it.
Pair = Tuple[str, str]
# Opcodes of a value that is spliced in: one of a hostile file may be as long as it likes.
_LONGEST = 60

# Names that readers of checkpoints know, more often than the others.
_OFTEN: Tuple[Pair, ...] = (
    *(("torch._utils", name) for name in ("_rebuild_tensor_v2", "_rebuild_parameter")),
    *(("torch._utils", name) for name in ("_rebuild_tensor", "_rebuild_tensor_v3")),
    *(("torch", name) for name in ("FloatStorage", "LongStorage", "HalfStorage", "float32")),
    *(("torch.storage", name) for name in ("UntypedStorage", "_load_from_bytes")),
    *(("collections", name) for name in ("OrderedDict", "defaultdict", "Counter", "deque")),
    *(("builtins", name) for name in ("getattr", "set", "dict", "list", "type", "object")),
    ("torch._tensor", "_rebuild_from_type_v2"),
    ("copyreg", "_reconstructor"),
    ("functools", "partial"),
    ("argparse", "Namespace"),
    ("_codecs", "encode"),
    ("pickle", "loads"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy", "dtype"),
    ("os", "system"),
    ("posix", "system"),
    ("builtins", "eval"),
)
# Names that are spelled in a way that two readers could take for different ones.
_ODD: Tuple[Pair, ...] = (
    *(
        ("", ""),
        ("os", ""),
        ("", "system"),
        ("os ", "system"),
        ("os", "system\0"),
        ("os", "sys\ttem"),
    ),
    *(("torch", "serialization.os.system"), ("torch.", "load"), ("builtins", "dict.fromkeys")),
    *(("collections", "OrderedDict.__class__"), ("torch._utils", "_rebuild_tensor_v2.__call__")),
    *(("\u202eso", "metsys"), ("o\u0455", "system"), ("os", "system\x85"), ("m" * 2100, "f")),
    *(("__main__", "Model"), ("user.models", "Net"), ("__builtin__", "eval"), ("os", "path.join")),
)


@lru_cache(maxsize=None)
def names() -> Sequence[Pair]:
    """Return names of constructors, of values and from attacks, as Python 2 and 3 spell them."""
    makers = [(module, name) for module in allowed.ROWS for name in allowed.makers_of(module)]
    plain = [(module, name) for module, told in allowed.VALUES.items() for name in told.split()]
    hostile = [split_name(name) for attack in ATTACKS for name in attack.names]
    old = [*NAME_MAPPING, *((module, "x") for module in IMPORT_MAPPING)]
    return (*makers, *plain[::3], *hostile, *old[::2])


def split_name(name: str) -> Pair:
    """Return a dotted name as module and attribute."""
    module, _, attribute = name.rpartition(".")
    return module, attribute


def pair(random: Random) -> Pair:
    """Return a name."""
    kind = random.randrange(20)
    return random.choice(_OFTEN if kind < 11 else names() if kind < 19 else _ODD)


def named(random: Random, what: Pair | None = None) -> Ops:
    """Return opcodes that push a name."""
    module, name = what or pair(random)
    text = module.encode("utf-8", "surrogatepass"), name.encode("utf-8", "surrogatepass")
    if random.random() < 0.6:
        return [b"c" + text[0] + b"\n" + text[1] + b"\n"]
    return [*(text_of(one, random) for one in text), b"\x93"]


def text_of(raw_text: bytes, random: Random) -> bytes:
    """Return an opcode that pushes text, which is given in UTF-8."""
    kind = random.randrange(8)
    if kind < 4 or len(raw_text) > 255:
        return opcodes.sized(b"X", raw_text)
    if kind < 6:
        return opcodes.sized(b"\x8c", raw_text)
    if kind == 6:
        return opcodes.sized(b"\x8d", raw_text)
    told = raw_text.decode("utf-8", "surrogatepass").replace("\\", "\\u005c")
    return b"V" + told.replace("\0", "\\u0000").replace("\n", "\\u000a").encode(
        "raw-unicode-escape", "replace"
    ) + b"\n"  # fmt: skip


def number_of(value: int, random: Random) -> bytes:
    """Return an opcode that pushes an integer, in one of the ways that there are."""
    ways: List[Callable[[], bytes]] = [lambda: b"I%d\n" % value, lambda: b"L%dL\n" % value]
    for code, form, least, most in _INTEGERS:
        if least <= value <= most:
            ways += [lambda code=code, form=form: code + struct.pack(form, value)] * 3  # type: ignore[misc]
    length = value.bit_length() // 8 + 1
    content = value.to_bytes(length, "little", signed=True)
    ways.append(lambda: opcodes.sized(random.choice((b"\x8a", b"\x8b")), content))
    return random.choice(ways)()


_INTEGERS = (
    (b"K", "<B", 0, 255),
    (b"M", "<H", 0, 65_535),
    (b"J", "<i", -(2**31), 2**31 - 1),
)
_TEXTS = (
    *("storage", "module", "cpu", "cuda:0", "0", "1", "5", "00", "w", "a.b", "state_dict", "model"),
    *("latin1", "state", "param_groups", "_metadata", "_parameters", "_modules", "__class__"),
    *("__setstate__", "__dict__", "__del__", "append", "items", "data"),
)
_BYTES = (b"", b"\0", b"\xff", b"PK\x03\x04", b"cos\nsystem\n.", b"\x80\x02N.", bytes(16), b"\xe9")


def scalar(random: Random) -> bytes:
    """Return an opcode that pushes something without parts."""
    kind = random.randrange(16)
    if kind < 5:
        small = random.choice((0, 1, 1, 2, 3, 4, 4, 5, 8, 16, -1))
        return number_of(small if random.random() < 0.7 else _edge(random), random)
    if kind < 9:
        text = random.choice(_TEXTS if random.random() < 0.8 else trees.TEXTS)
        return text_of(text.encode("utf-8", "surrogatepass"), random)
    if kind < 11:
        return random.choice(
            (b"N", b"\x88", b"\x89", b"I00\n", b"I01\n", b")", b"]", b"}", b"\x8f")
        )
    if kind == 11:
        return b"G" + struct.pack(">d", random.choice((0.5, -0.0, 1e308, float("nan"), 2.0**53)))
    if kind == 12:
        return random.choice((b"Fnan\n", b"F1e5\n", b"F-inf\n", b"F 1\n", b"F1_0\n", b"F0x1\n"))
    if kind == 13:
        content = random.choice(_BYTES)
        return opcodes.sized(random.choice((b"B", b"C", b"\x8e", b"\x96", b"T", b"U")), content)
    if kind == 14:
        return (
            b"S" + random.choice((b"'a'", b'"w"', b"'\\n'", b"''", b"'", b"a", b"'\\xe9'")) + b"\n"
        )
    return random.choice(_SPELLED)


#: Numbers that C and Python do not read alike, and arguments that are no numbers.
_SPELLED = (
    *(b"I010\n", b"I0x10\n", b"I 1\n", b"I1_0\n", b"I-0\n", b"I\n", b"I1\r\n", b"I+1\n", b"L1\n"),
    *(b"L01L\n", b"L-L\n", b"L1LL\n", b"I08\n", b"I000\n", b"I001\n", b"L0x1L\n"),
    b"I" + b"9" * 400 + b"\n",
)


def _edge(random: Random) -> int:
    return raw.edge(random) * random.choice((1, 1, -1))


# --- opcodes -------------------------------------------------------------------------------


def index(random: Random) -> int:
    """Return a number of the memo, seldom a large one."""
    if random.random() < 0.95:
        return random.randrange(12)
    # the unpickler in C makes room for all numbers below, so no larger ones for it
    return random.choice((255, 256, 1000, 65_535, 2**31 - 1, 2**32 - 1))


def put(number: int, random: Random) -> bytes:
    """Return an opcode that puts the top of the stack into the memo."""
    return _of_memo(number, (b"q", b"r", b"p"), random)


def get(number: int, random: Random) -> bytes:
    """Return an opcode that takes something out of the memo."""
    return _of_memo(number, (b"h", b"j", b"g"), random)


def _of_memo(number: int, codes: Tuple[bytes, bytes, bytes], random: Random) -> bytes:
    kind = random.randrange(4)
    if not 0 <= number < 2**32:
        kind = 3
    if kind < 2 and number < 256:
        return codes[0] + bytes([number])
    return codes[2] + b"%d\n" % number if kind == 3 else codes[1] + struct.pack("<I", number)


_ONE_OF = [
    bytes([code]) for code in b".(012\x94)\x85\x86\x87t]lae}dsu\x8f\x90\x91\x93R\x81\x92obQ\x97\x98"
]


def opcode(random: Random) -> Ops:
    """Return an opcode of any kind; of some kinds with what they need on the stack."""
    kind = random.randrange(20)
    if kind < 6:
        return [random.choice(_ONE_OF)]
    if kind < 9:
        return [scalar(random)]
    if kind < 11:
        return [put(index(random), random)]
    if kind < 13:
        return [get(index(random), random)]
    if kind < 15:
        return named(random)
    return [random.choice(_RARE)(random)]


def _inst(random: Random) -> bytes:
    module, name = pair(random)
    lines = f"{module}\n{name}\n".encode("utf-8", "surrogatepass")
    return random.choice((b"i", b"c")) + lines


_RARE: Tuple[Callable[[Random], bytes], ...] = (
    _inst,
    lambda random: b"P" + random.choice((b"0", b"1", b"storage", b"", b"\xff")) + b"\n",
    lambda random: b"\x82" + bytes([random.randrange(4)]),
    lambda random: b"\x83" + struct.pack("<H", random.choice((0, 1, 65_535))),
    lambda random: b"\x84" + struct.pack("<I", random.choice((0, 1, 2**31, 2**32 - 1))),
    lambda random: b"\x80" + bytes([random.choice((0, 1, 2, 3, 4, 5, 6, 255))]),
    lambda random: (
        b"\x95" + struct.pack("<Q", random.choice((0, 1, 9, 20, 2**31, 2**63, 2**64 - 1)))
    ),
    lambda random: random.choice((b"B", b"T", b"X", b"\x8b")) + struct.pack("<I", _length(random)),
    lambda random: random.choice((b"\x8d", b"\x8e", b"\x96")) + struct.pack("<Q", _length(random)),
    lambda random: bytes([random.randrange(256)]),
)


def _length(random: Random) -> int:
    return random.choice((0, 1, 4, 2**20, 2**31 - 1, 2**31, 2**32 - 1))


# --- values --------------------------------------------------------------------------------


def value(random: Random, depth: int = 2) -> Ops:
    """Return opcodes that push one value."""
    kind = random.randrange(12)
    if kind < 4 or depth == 0:
        return [scalar(random)]
    if kind == 4:
        return named(random)
    if kind < 8:
        return list(random.choice(_donors()))
    inner = [value(random, depth - 1) for _ in range(random.randrange(3))]
    return _made(inner, random)


def _made(parts: Sequence[Ops], random: Random) -> Ops:
    """Return a value that is made of others."""
    flat = [op for part in parts for op in part]
    kind = random.randrange(12)
    if kind < 2:
        return [b"(", *flat, random.choice((b"t", b"l", b"\x91"))]
    if kind == 2:
        return [b"]", b"(", *flat, b"e"]
    if kind == 3:
        return [b"\x8f", b"(", *flat, b"\x90"]
    if kind == 4:
        return [b"(", *flat, random.choice((b"d", b"t"))] if len(parts) == 2 else [b"}"]
    if kind < 8:
        return [*named(random), b"(", *flat, b"t", random.choice((b"R", b"R", b"\x81"))]
    if kind == 8:
        module, name = pair(random)
        inst = b"i" + f"{module}\n{name}\n".encode("utf-8", "surrogatepass")
        return [b"(", *named(random), *flat, b"o"] if random.random() < 0.6 else [b"(", *flat, inst]
    if kind == 9:
        return [*named(random), b"(", *flat, b"t", b"}", b"\x92"]
    if kind == 10:
        return [b"(", *flat, b"t", b"Q"]
    return [*named(random), b")", b"\x81", *(flat or [b"}"]), b"b"]


def around(inner: Ops, random: Random) -> Ops:
    """Return a value that holds another one."""
    kind = random.randrange(9)
    other = value(random, 1)
    if kind == 0:
        return [*inner, b"\x85"]
    if kind == 1:
        return [*named(random), *inner, b"\x85", b"R"]
    if kind == 2:
        return [*inner, *other, b"b"]
    if kind == 3:
        return [*inner, *other, random.choice((b"\x86", b"R", b"\x81", b"a", b"0"))]
    if kind == 4:
        return [b"}", scalar(random), *inner, b"s"]
    if kind == 5:
        return [b"]", *inner, b"a"]
    if kind == 6:
        return [*inner, scalar(random), *other, b"s"]
    if kind == 7:
        return [b"(", *inner, *other, random.choice((b"t", b"l", b"d", b"1"))]
    return [*other, *inner, random.choice((b"0", b"\x86", b"b"))]


@lru_cache(maxsize=None)
def _donors() -> Sequence[Ops]:
    """Return values of honest and hostile pickles that need nothing of the memo."""
    found: Dict[Tuple[bytes, ...], None] = {}
    for data in (*_hostile(), *_honest()):
        ops, _ = opcodes.split(data)
        for begin, end in opcodes.values(ops):
            part = ops[begin:end]
            if len(part) <= _LONGEST and not any(op[:1] in GETS for op in part):
                whole = tuple(op for op in part if op[:1] not in PUTS and op != MEMOIZE)
                if len(whole) > 2 and sum(map(len, whole)) < 2_000:
                    found[whole] = None
    return [list(one) for one in found]


def _hostile() -> List[bytes]:
    found: List[bytes] = []
    for attack in ATTACKS:
        data = attack.data("m")
        if len(data) > 20_000:
            continue
        if not data.startswith(b"PK"):
            found += opcodes.pickles(data)
            continue
        try:
            with warnings.catch_warnings(), zipfile.ZipFile(io.BytesIO(data)) as archive:
                warnings.simplefilter("ignore")
                for name in archive.namelist():
                    if name.endswith(".pkl"):
                        found.append(archive.read(name))
        except Exception:  # noqa: BLE001, S112 (some are broken archives, on purpose)
            continue
    return found


# Honest values that are not pickled here: those of torch need its own pickler, and what is left of
# these is another one each time.
_NOT_PICKLED = frozenset({"torch", "omegaconf", "system"})


def _honest() -> List[bytes]:
    found = []
    for place, honest in enumerate(HONEST):
        if honest.kind not in _NOT_PICKLED:
            protocol = honest.protocols[place % len(honest.protocols)]
            found.append(pickle.dumps(honest.make(), protocol))
    return found


def tensor(random: Random) -> Ops:
    """Return a tensor over one of the storages of sixteen bytes."""
    kind, count = random.choice(
        (("Float", 4), ("Half", 8), ("Long", 2), ("Byte", 16), ("Double", 2))
    )
    body = p.tensor(
        p.storage(str(random.randrange(5)), count, f"{kind}Storage"),
        shape=p.tuple_of(p.integer(count)),
    )
    return list(opcodes.split(body).ops)
