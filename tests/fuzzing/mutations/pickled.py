"""Changes to pickles: opcodes and whole values dropped, repeated, moved, spelled in other ways."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Callable, Dict, Sequence, Tuple

from tests.fuzzing.mutations import opcodes, pickle_parts, raw
from tests.fuzzing.mutations.opcodes import FRAME, GETS, MARK, MEMOIZE, PROTO, PUTS, STOP, Ops, Run

if TYPE_CHECKING:
    from random import Random


def mutate(data: bytes, random: Random, others: Sequence[bytes] = ()) -> bytes:
    """Return a pickle with one change; ``others`` are pickles of which parts are taken."""
    kind = random.random()
    if kind < 0.08:
        return raw.mutate(data, random)
    if kind < 0.0805:
        return raw.grow(data, random)
    whole, rest = opcodes.split(data)
    ops = list(whole)
    if others and kind < 0.14:
        ops = _crossed(ops, list(opcodes.split(random.choice(others)).ops), random)
    elif ops and opcodes.values(whole) and kind < 0.65:
        ops = random.choice(_OF_VALUES)(ops, opcodes.values(whole), random)
    else:
        ops = random.choice(_OF_OPCODES)(ops, random)
    return b"".join(_mended(ops, random)) + rest


def _mended(ops: Ops, random: Random) -> Ops:
    """Make right what the change made wrong, in most cases: else nothing behind it is reached."""
    if random.random() < 0.8 and any(op[:1] == FRAME for op in ops):
        ops = opcodes.framed(ops)
    if random.random() < 0.7 and any(op[:1] in GETS for op in ops):
        ops = _with_memo(ops, random)
    return ops


def _with_memo(ops: Ops, random: Random) -> Ops:
    """Let each recall take something that was put into the memo."""
    known: Dict[int, None] = {}
    told: Ops = []
    for op in ops:
        code = op[:1]
        if code == MEMOIZE:
            known[len(known)] = None
        elif code in PUTS:
            known[_index(op)] = None
        elif code in GETS and _index(op) not in known:
            op = pickle_parts.get(random.choice(list(known)), random) if known else b"N"
        told.append(op)
    return told


def _index(op: bytes) -> int:
    if op[:1] in b"pg":
        return int(op[1:-1]) if op[1:-1].isdigit() and len(op) < 15 else -1
    return int.from_bytes(op[1:], "little")


# --- changes to opcodes --------------------------------------------------------------------


def _place(ops: Ops, random: Random) -> int:
    return random.randrange(len(ops)) if ops else 0


def _dropped(ops: Ops, random: Random) -> Ops:
    at = _place(ops, random)
    del ops[at : at + random.choice((1, 1, 1, 2, 3, 8))]
    return ops


def _repeated(ops: Ops, random: Random) -> Ops:
    at = _place(ops, random)
    some = ops[at : at + random.choice((1, 1, 2, 3, 8))]
    return ops[:at] + some * random.choice((1, 1, 1, 2, 20)) + ops[at:]


def _swapped(ops: Ops, random: Random) -> Ops:
    first, second = _place(ops, random), _place(ops, random)
    if random.random() < 0.5:
        second = min(first + 1, len(ops) - 1)
    if ops:
        ops[first], ops[second] = ops[second], ops[first]
    return ops


def _moved(ops: Ops, random: Random) -> Ops:
    begin, end = sorted((_place(ops, random), _place(ops, random)))
    some = ops[begin:end]
    del ops[begin:end]
    at = _place(ops, random)
    return ops[:at] + some + ops[at:]


def _inserted(ops: Ops, random: Random) -> Ops:
    at = _place(ops, random)
    return ops[:at] + pickle_parts.opcode(random) + ops[at:]


def _replaced(ops: Ops, random: Random) -> Ops:
    at = _place(ops, random)
    return ops[:at] + pickle_parts.opcode(random) + ops[at + 1 :]


def _another_argument(ops: Ops, random: Random) -> Ops:
    """Give an opcode another argument."""
    places = [place for place, op in enumerate(ops) if len(op) > 1] or [_place(ops, random)]
    at = random.choice(places)
    if ops:
        ops[at : at + 1] = _varied(ops[at], random)
    return ops


def _varied(op: bytes, random: Random) -> Ops:
    code = op[:1]
    if code in b"IJKML\x8a\x8b":
        return [pickle_parts.scalar(random) if random.random() < 0.3 else _near(op, random)]
    if code in b"VX\x8c\x8dTUSBC\x8e\x96":
        kind = random.random()
        if kind < 0.5 and code not in b"VS":
            content = raw.mutate(opcodes.argument(op), random)
            return [opcodes.sized(code, content)] if len(content) < 256 else [op]
        return [pickle_parts.scalar(random) if kind < 0.8 else raw.mutate(op, random)]
    if code in PUTS:
        return [pickle_parts.put(pickle_parts.index(random), random)]
    if code in GETS:
        return [pickle_parts.get(pickle_parts.index(random), random)]
    if code == b"c":
        return pickle_parts.named(random)
    return [code + raw.mutate(op[1:], random)]


def _near(op: bytes, random: Random) -> bytes:
    """Return another integer, most often near the one that an opcode pushes."""
    value = _value(op)
    change = random.choice((1, -1, 1, -1, 2, -2, 4, 2**32, 2**63, -value, value))
    return pickle_parts.number_of(value + change, random)


def _value(op: bytes) -> int:
    content, code = opcodes.argument(op), op[:1]
    if code in b"IL":
        digits = content.rstrip(b"L").lstrip(b"-")
        return int(digits) if digits.isdigit() and len(digits) < 100 else 0
    return int.from_bytes(content[:100], "little", signed=code != b"K" and code != b"M")


def _respelled(ops: Ops, random: Random) -> Ops:
    """Spell one opcode, or all that can be, in another way that means the same."""
    if random.random() < 0.5:
        return [new for op in ops for new in _spelled(op, random)]
    at = _place(ops, random)
    return (
        ops[:at] + [new for op in ops[at : at + 1] for new in _spelled(op, random)] + ops[at + 1 :]
    )


def _spelled(op: bytes, random: Random) -> Ops:
    code = op[:1]
    if code in b"JKM\x8a\x8b":
        return [pickle_parts.number_of(_value(op), random)]
    if code in b"X\x8c\x8d":
        return [_text(op, random)]
    if code in PUTS and code != MEMOIZE:
        return [pickle_parts.put(_index(op), random)] if _index(op) >= 0 else [op]
    if code in GETS:
        return [pickle_parts.get(_index(op), random)] if _index(op) >= 0 else [op]
    if code == b"c" and op.count(b"\n") == 2:
        module, name = (opcodes.sized(b"X", part) for part in op[1:-1].split(b"\n"))
        return [module, name, b"\x93"] if random.random() < 0.5 else [op]
    return list(_SAME.get(op, (op,)))


def _text(op: bytes, random: Random) -> bytes:
    try:
        opcodes.argument(op).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return op
    return pickle_parts.text_of(opcodes.argument(op), random)


#: Opcodes, and others that push the same.
_SAME = {
    b"\x88": (b"I01\n",),
    b"\x89": (b"I00\n",),
    b")": (b"(", b"t"),
    b"}": (b"(", b"d"),
    b"]": (b"(", b"l"),
}


def _framed(ops: Ops, random: Random) -> Ops:
    """Put frames in, or take them out."""
    if any(op[:1] == FRAME for op in ops) and random.random() < 0.4:
        return [op for op in ops if op[:1] != FRAME]
    for _ in range(random.choice((1, 1, 2))):
        at = _place(ops, random)
        length = random.choice((0, 1, len(b"".join(ops[at:])), len(b"".join(ops[at:])) - 1))
        ops = [*ops[:at], FRAME + struct.pack("<Q", max(length, 0)), *ops[at:]]
    return ops


def _another_protocol(ops: Ops, random: Random) -> Ops:
    rest = ops[1:] if ops and ops[0][:1] == PROTO else ops
    version = random.choice((0, 1, 2, 2, 3, 4, 5, None))
    return rest if version is None else [PROTO + bytes([version]), *rest]


def _stopped(ops: Ops, random: Random) -> Ops:
    at = _place(ops, random)
    return [*ops[:at], STOP, *(ops[at:] if random.random() < 0.5 else [])]


_OF_OPCODES: Tuple[Callable[[Ops, Random], Ops], ...] = (
    *(_dropped, _repeated, _swapped, _moved, _inserted, _inserted, _replaced, _another_argument),
    *(_another_argument, _another_argument, _respelled, _respelled, _framed, _another_protocol),
    _stopped,
)


# --- changes to values ---------------------------------------------------------------------


def _taken(runs: Sequence[Run], random: Random) -> Run:
    """Return a value, the smaller of two, since most of a file is in the largest ones."""
    return min(random.choice(runs), random.choice(runs), key=lambda run: run[1] - run[0])


def _replaced_value(ops: Ops, runs: Sequence[Run], random: Random) -> Ops:
    begin, end = _taken(runs, random)
    return ops[:begin] + pickle_parts.value(random) + ops[end:]


def _wrapped_value(ops: Ops, runs: Sequence[Run], random: Random) -> Ops:
    begin, end = _taken(runs, random)
    return ops[:begin] + pickle_parts.around(ops[begin:end], random) + ops[end:]


def _dropped_value(ops: Ops, runs: Sequence[Run], random: Random) -> Ops:
    begin, end = _taken(runs, random)
    return ops[:begin] + ops[end:]


def _repeated_value(ops: Ops, runs: Sequence[Run], random: Random) -> Ops:
    begin, end = _taken(runs, random)
    return ops[:end] + ops[begin:end] * random.choice((1, 1, 1, 2, 30)) + ops[end:]


def _copied_value(ops: Ops, runs: Sequence[Run], random: Random) -> Ops:
    """Put a value in the place of another one."""
    (begin, end), (first, last) = _taken(runs, random), _taken(runs, random)
    return ops[:begin] + ops[first:last] + ops[end:]


def _remembered(ops: Ops, runs: Sequence[Run], random: Random) -> Ops:
    """Take something out of the memo in the place of a value, after it was put there."""
    begin, end = _taken(runs, random)
    number = pickle_parts.index(random)
    _, late = _taken(runs, random)
    recalled = [pickle_parts.get(number, random)]
    if random.random() < 0.5 and late <= begin:
        ops = ops[:begin] + recalled + ops[end:]
        return [*ops[:late], pickle_parts.put(number, random), *ops[late:]]
    return ops[:begin] + recalled + ops[end:]


def _entry(ops: Ops, runs: Sequence[Run], random: Random) -> Ops:
    """Put one more item into a container that is still open, or into a dictionary."""
    marks = [place for place, op in enumerate(ops) if op == MARK]
    filled = [begin for begin, _ in runs if ops[begin] in (b"}", b"]")]
    new = pickle_parts.value(random)
    if random.random() < 0.2:
        new = pickle_parts.tensor(random)
    if marks and random.random() < 0.7:
        at = random.choice(marks) + 1
        key = [pickle_parts.scalar(random)] if random.random() < 0.7 else []
        return [*ops[:at], *key, *new, *ops[at:]]
    if filled:
        at = random.choice(filled) + 1
        filling = [*new, b"a"] if ops[at - 1] == b"]" else [pickle_parts.scalar(random), *new, b"s"]
        return ops[:at] + filling + ops[at:]
    return _wrapped_value(ops, runs, random)


def _another_name(ops: Ops, runs: Sequence[Run], random: Random) -> Ops:
    """Let a name be another one."""
    places = [place for place, op in enumerate(ops) if op[:1] in (b"c", b"i")]
    steps = [place for place, op in enumerate(ops) if op == b"\x93" and place > 1]
    if not places and not steps:
        return _replaced_value(ops, runs, random)
    at = random.choice(places or steps)
    if ops[at][:1] == b"i":
        module, name = pickle_parts.pair(random)
        ops[at] = f"i{module}\n{name}\n".encode("utf-8", "surrogatepass")
        return ops
    begin = at if ops[at][:1] == b"c" else at - 2
    return ops[:begin] + pickle_parts.named(random) + ops[at + 1 :]


_OF_VALUES: Tuple[Callable[[Ops, Sequence[Run], Random], Ops], ...] = (
    *(_replaced_value, _replaced_value, _replaced_value, _wrapped_value, _wrapped_value),
    *(_dropped_value, _repeated_value, _copied_value, _copied_value, _remembered, _entry, _entry),
    _another_name,
)


def _crossed(ops: Ops, other: Ops, random: Random) -> Ops:
    """Return the beginning of one pickle and the end of another, or one value of it."""
    runs, own = opcodes.values(tuple(other)), opcodes.values(tuple(ops))
    if runs and own and random.random() < 0.7:
        (begin, end), (first, last) = _taken(own, random), _taken(runs, random)
        return ops[:begin] + other[first:last] + ops[end:]
    return ops[: _place(ops, random)] + other[_place(other, random) :]
