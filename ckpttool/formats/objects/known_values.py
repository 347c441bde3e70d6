"""Single values of known classes of Python and torch, from the arguments in a pickle.

No class is called: a date is read from its bytes, a path is joined as text. The source of each
form is the class's own ``__reduce__``.
"""

from __future__ import annotations

from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Any, Callable, NamedTuple, Tuple

from ckpttool.formats.objects.numpy_values import bytearray_of, bytes_of
from ckpttool.formats.pickles.nodes import Call, Global, Node
from ckpttool.formats.safety.known_names import python3


class Known(NamedTuple):
    """A value of a class that is known: ``plain`` is text, bytes, numbers, or a tuple of them."""

    kind: str
    plain: Any


def name_of(node: Global) -> str:
    """Return a name as the newest releases of Python and numpy spell it."""
    module, name = python3(node.module, node.name)
    # numpy 2 renamed numpy.core, and Python 3.13 writes pathlib._local
    if module.startswith("numpy.core"):
        module = f"numpy._core{module[len('numpy.core') :]}"
    return f"{'pathlib' if module == 'pathlib._local' else module}.{name}"


_Args = Tuple[Node, ...]


def _are(args: _Args, *types: type) -> bool:
    # exact types: True is no number here, and a node is never a subclass of int or str
    return len(args) == len(types) and all(type(one) is kind for one, kind in zip(args, types))


def _complex(args: _Args) -> Known | None:
    return Known("complex", args) if _are(args, float, float) else None


def _range(args: _Args) -> Known | None:
    return Known("range", args) if _are(args, int, int, int) else None


def _slice(args: _Args) -> Known | None:
    plain = len(args) == 3 and all(one is None or type(one) is int for one in args)
    return Known("slice", args) if plain else None


def _byte_array(args: _Args) -> Known | None:
    data = b"" if not args else bytearray_of(Call(Global("builtins", "bytearray"), args))
    return None if data is None else Known("bytearray", data)


def _decimal(args: _Args) -> Known | None:
    return Known("decimal", args[0]) if _are(args, str) else None


def _fraction(args: _Args) -> Known | None:
    # older releases of Python write its text, newer ones numerator and denominator
    if _are(args, str):
        return Known("fraction", args[0] if "/" in args[0] else f"{args[0]}/1")
    return Known("fraction", f"{args[0]}/{args[1]}") if _are(args, int, int) else None


def _date(args: _Args) -> Known | None:
    # year in two bytes, month, day; a time is hour, minute, second, microseconds in three bytes;
    # the highest bit of hour or month is the fold
    data = bytes_of(args[0]) if len(args) == 1 else None
    if data is None or len(data) != 4:
        return None
    return Known("date", f"{data[0] * 256 + data[1]:04}-{data[2]:02}-{data[3]:02}")


def _clock(data: bytes) -> str:
    fraction = int.from_bytes(data[3:6], "big")
    return f"{data[0] & 127:02}:{data[1]:02}:{data[2]:02}" + (f".{fraction:06}" if fraction else "")


def _time(args: _Args) -> Known | None:
    data = bytes_of(args[0]) if args else None
    zone = _zone(args[1:])
    if data is None or len(data) != 6 or zone is None:
        return None
    # fold: the second of two equal times, when a clock is set back
    return Known("time", _clock(data) + zone + (" fold" if data[0] > 127 else ""))


def _datetime(args: _Args) -> Known | None:
    data = bytes_of(args[0]) if args else None
    zone = _zone(args[1:])
    if data is None or len(data) != 10 or zone is None:
        return None
    day = f"{data[0] * 256 + data[1]:04}-{data[2] & 127:02}-{data[3]:02}"
    return Known("datetime", f"{day}T{_clock(data[4:])}{zone}{' fold' if data[2] > 127 else ''}")


def _zone(args: _Args) -> str | None:
    """Return a time zone as text, ``""`` without one; ``None`` for a class that is not known."""
    if not args or (len(args) == 1 and args[0] is None):
        return ""
    zone = args[0]
    if len(args) != 1 or not isinstance(zone, Call) or type(zone.function) is not Global:
        return None
    if name_of(zone.function) != "datetime.timezone" or zone.states:
        return None
    known = _timezone(zone.args)
    return None if known is None else known.plain


def _timezone(args: _Args) -> Known | None:
    offset = args[0] if args else None
    if not isinstance(offset, Call) or type(offset.function) is not Global:
        return None
    if name_of(offset.function) != "datetime.timedelta" or not _are(offset.args, int, int, int):
        return None
    if len(args) > 2 or (len(args) == 2 and type(args[1]) is not str):
        return None
    days, seconds, micros = offset.args
    total = days * 86_400 + seconds
    sign, total = ("-", -total) if total < 0 else ("+", total)
    text = f"{sign}{total // 3600:02}:{total % 3600 // 60:02}"
    text += f":{total % 60:02}" if total % 60 or micros else ""
    text += f".{micros:06}" if micros else ""
    return Known("timezone", text + (f" {args[1]}" if len(args) == 2 else ""))


def _timedelta(args: _Args) -> Known | None:
    return Known("timedelta", args) if _are(args, int, int, int) else None


def _size(args: _Args) -> Known | None:
    sizes = args[0] if len(args) == 1 else None
    if not isinstance(sizes, (tuple, list)) or not all(type(size) is int for size in sizes):
        return None
    return Known("size", tuple(sizes))


def _device(args: _Args) -> Known | None:
    if _are(args, str, int):
        return Known("device", f"{args[0]}:{args[1]}")
    return Known("device", args[0]) if _are(args, str) else None


def _path(kind: type[PurePath], name: str) -> Callable[[_Args], Known | None]:
    def read(args: _Args) -> Known | None:
        if not all(type(part) is str for part in args):
            return None
        # the parts, or the text it was made of: pure paths join them without the file system
        return Known(name, str(kind(*args)))

    return read


#: Class -> the function that reads its arguments; ``None`` for arguments that no pickler writes.
KNOWN: dict[str, Callable[[_Args], Known | None]] = {
    "builtins.complex": _complex,
    "builtins.range": _range,
    "builtins.slice": _slice,
    "builtins.bytearray": _byte_array,
    "decimal.Decimal": _decimal,
    "fractions.Fraction": _fraction,
    "datetime.date": _date,
    "datetime.time": _time,
    "datetime.datetime": _datetime,
    "datetime.timezone": _timezone,
    "datetime.timedelta": _timedelta,
    "torch.Size": _size,
    "torch.device": _device,
    **{
        f"pathlib.{pure}{kind.__name__[4:]}": _path(kind, f"{pure}{kind.__name__[4:]}")
        for kind in (PurePosixPath, PureWindowsPath)
        for pure in ("", "Pure")
    },
}


def path_text(node: Call) -> str | None:
    """Return a path of pathlib as one text; ``None`` for anything else."""
    if type(node.function) is not Global or not node.function.module.startswith("pathlib"):
        return None
    reader = KNOWN.get(name_of(node.function))
    known = None if reader is None else reader(node.args)
    return None if known is None else str(known.plain)
