"""Honest values: what people save beside their weights, and how much is to be said of each.

What a pickle calls depends on the versions of Python, numpy and torch that write it: the table
holds what those that run can make. A value of kind ``torch`` is for ``torch.save``, any other
for ``pickle.dumps`` or ``torch.save``. Where omegaconf is not installed, making a value of its
kind raises ImportError.
"""

from __future__ import annotations

import argparse
import array
import asyncio
import builtins
import collections
import configparser
import datetime as dt
import decimal
import enum
import fractions
import functools
import http
import importlib
import inspect
import io
import ipaddress
import itertools
import json
import logging
import math
import operator
import os
import pathlib
import pickle
import platform
import plistlib
import queue
import random
import re
import signal
import socket
import ssl
import statistics
import string
import struct
import subprocess
import sys
import textwrap
import time
import types
import typing
import uuid
import warnings
import zipfile
import zlib
from typing import Any, Callable, Dict, NamedTuple
from urllib.error import URLError
from urllib.parse import urlparse, urlsplit

import numpy as np
import torch

from tests.builders import honest_classes as user

NOTHING, NOTE, WARNING, ERROR = "nothing", "note", "warning", "error"

Make = Callable[[], object]
Makes = Dict[str, Make]


class Honest(NamedTuple):
    """A value, and the worst that may be said of its pickle."""

    what: str
    kind: str
    make: Make
    level: str
    #: With these it can be pickled, and calls nothing worse.
    protocols: tuple[int, ...] = (2, 4, 5)


def _all(
    kind: str, level: str, makes: Makes, protocols: tuple[int, ...] = (2, 4, 5)
) -> tuple[Honest, ...]:
    return tuple(Honest(what, kind, make, level, protocols) for what, make in makes.items())


def _only(condition: bool, makes: Callable[[], Makes]) -> Makes:
    """Return what can be made here only if the condition holds."""
    return makes() if condition else {}


def _quietly(make: Make) -> Make:
    """Make without the warnings of what is young, or old, in torch and numpy."""

    def made() -> object:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return make()

    return made


def _with(value: Any, **attributes: object) -> Any:
    for name, attribute in attributes.items():
        setattr(value, name, attribute)
    return value


def _version(module: Any) -> tuple[int, int]:
    major, minor = module.__version__.split(".")[:2]
    return int(major), int(minor)


PYTHON = sys.version_info[:2]
NUMPY, TORCH = _version(np), _version(torch)


def _has_time_zones() -> bool:
    try:
        importlib.import_module("zoneinfo").ZoneInfo("Europe/Paris")
    except (ImportError, KeyError):  # a zone that is not found is a KeyError
        return False
    return True


# Plain Python


def _cyclic_list() -> object:
    made: list[object] = [1]
    made.append(made)
    return made


def _cyclic_dict() -> object:
    made: dict[str, object] = {}
    made["itself"] = [made]
    return made


def _cyclic_tuple() -> object:
    inner: list[object] = []
    made = (1, inner)
    inner.append(made)
    return made


def _cyclic_deque() -> object:
    made: collections.deque[object] = collections.deque([1], maxlen=4)
    made.append(made)
    return made


def _shared() -> object:
    inner = [1, 2]
    return {"first": inner, "second": inner, "third": (inner, inner)}


def _deep() -> object:
    made: object = ()
    for _ in range(50):
        made = [made, {"deeper": made}]
    return made


_BUILTINS: Makes = {
    "none": lambda: None,
    "truth-values": lambda: [True, False],
    "small-integers": lambda: [0, -1, 255, 65_535, 2**31 - 1, -(2**31)],
    "long-integers": lambda: [2**31, -(2**63), 2**64, -(2**100)],
    "huge-integer": lambda: 1 << 4_000,
    "floats": lambda: [0.5, -0.0, math.inf, -math.inf, math.nan],
    "complex-number": lambda: 1 - 2j,
    "text": lambda: ["", "loss", "süß", "\U0001f600", "a\nb\\u0041"],
    "text-with-surrogate": lambda: "\udc80",
    "long-text": lambda: "word " * 100,
    "bytes": lambda: [b"", b"abc", bytes(range(256)), bytes(300)],
    "bytearray": lambda: bytearray(b"\x80abc"),
    "empty-bytearray": bytearray,
    "list": lambda: [1, "two", 3.0],
    "tuples": lambda: [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
    "dict": lambda: {"epoch": 3, 1: 2.0, (1, 2): None, None: []},
    "sets": lambda: [set(), {1, 2}, {"one"}],
    "frozensets": lambda: [frozenset(), frozenset({1, 2}), {frozenset({1})}],
    "long-list": lambda: list(range(3_000)),
    "long-dict": lambda: {f"layer.{index}": index for index in range(3_000)},
    "nested": lambda: {"config": {"layers": [{"width": 8, "rates": (0.1, 0.2)}]}},
    "deeply-nested": _deep,
    "shared": _shared,
    "cyclic-list": _cyclic_list,
    "cyclic-dict": _cyclic_dict,
    "cyclic-tuple": _cyclic_tuple,
    "ellipsis": lambda: [Ellipsis, {"slice": (Ellipsis, 0)}],
    "not-implemented": lambda: NotImplemented,
    "types-of-singletons": lambda: [type(None), type(...), type(NotImplemented)],
    "slices": lambda: [slice(3), slice(1, None, 2)],
    "ranges": lambda: [range(3), range(10, 0, -2)],
    "plain-object": object,
    "types-of-data": lambda: [int, float, str, list, dict, tuple, set, bytes, complex, bool],
}
_BUFFER: Makes = {"buffer": lambda: pickle.PickleBuffer(bytearray(b"abc"))}

_ITERATORS: Makes = {
    "iterators": lambda: [iter([1, 2]), iter((1,)), iter("ab"), iter(range(3)), iter({1: 2})],
    "iterator-begun": lambda: _begun(iter([1, 2, 3])),
    "iterator-of-set": lambda: iter({1}),
    "iterators-at-their-end": lambda: [_ended(iter([1])), _ended(iter((1,)))],
    "reversed": lambda: [reversed([1, 2]), _begun(reversed([1, 2]))],
    "enumerate": lambda: _begun(enumerate(["a", "b"], 5)),
    "zip": lambda: zip([1, 2], "ab"),
}
# Their pickles are deprecated since Python 3.12.
_ITERTOOLS: Makes = {
    "counts": lambda: [itertools.count(), itertools.count(3, 0.5), _begun(itertools.count(1))],
    "repeats": lambda: [itertools.repeat(1), itertools.repeat("a", 3)],
    "cycle": lambda: _begun(itertools.cycle([1, 2, 3])),
    "chain": lambda: _begun(itertools.chain([1, 2], [3])),
    "islice": lambda: itertools.islice([1, 2, 3], 1, None),
    "product-of-options": lambda: _begun(itertools.product([1, 2], "ab")),
    "permutations": lambda: _begun(itertools.permutations([1, 2, 3], 2)),
    "combinations": lambda: _begun(itertools.combinations([1, 2, 3], 2)),
    "accumulate": lambda: _begun(itertools.accumulate([1, 2, 3])),
    "zip-longest": lambda: itertools.zip_longest([1], [2, 3], fillvalue=0),
}


def _begun(values: Any) -> object:
    next(values)
    return values


def _ended(values: Any) -> object:
    list(values)
    return values


_EXCEPTIONS: Makes = {
    "exceptions": lambda: [ValueError("bad", 3), KeyError("k"), RuntimeError(), StopIteration(1)],
    "exception-with-attributes": lambda: _with(ValueError("bad"), step=3, path="a.pth"),
    "interrupts": lambda: [KeyboardInterrupt(), SystemExit(1), GeneratorExit()],
    "file-errors": lambda: [
        OSError(2, "missing", "a.pth"),
        FileNotFoundError(2, "m", "a", None, "b"),
    ],
    "errors-of-a-run": lambda: [
        subprocess.CalledProcessError(1, ["ls"], b"out"),
        subprocess.TimeoutExpired(["ls"], 5),
        json.JSONDecodeError("bad", "{", 0),
        pickle.UnpicklingError("bad"),
        queue.Empty(),
        queue.Full(),
        zipfile.BadZipFile("bad"),
        URLError("no route"),
        asyncio.CancelledError(),
        np.linalg.LinAlgError("singular"),
        re.error("bad", "(", 1),
        struct.error("short"),
        zlib.error("bad"),
        io.UnsupportedOperation("read"),
        socket.gaierror(-2, "unknown"),
    ],
    "unicode-error": lambda: UnicodeDecodeError("utf-8", b"\x80", 0, 1, "invalid"),
    "import-error": lambda: ImportError("no module", name="apex", path="/apex"),
    "name-errors": lambda: [
        NameError("x"),
        AttributeError("y"),
        ModuleNotFoundError("z", name="z"),
    ],
    "syntax-error": lambda: SyntaxError("invalid", ("a.py", 1, 2, "x =")),
    "warnings": lambda: [UserWarning("slow"), DeprecationWarning("old")],
    **_only(
        PYTHON >= (3, 11),
        lambda: {
            "exception-group": lambda: builtins.ExceptionGroup(
                "several", [ValueError(1), TypeError(2)]
            )
        },
    ),
}


# The standard library

_COLLECTIONS: Makes = {
    "counter": lambda: collections.Counter("abca"),
    "deques": lambda: [collections.deque(), collections.deque([1, 2]), collections.deque([1], 4)],
    "cyclic-deque": _cyclic_deque,
    "defaultdict-of-lists": lambda: collections.defaultdict(list, {"a": [1]}),
    "defaultdict-of-numbers": lambda: collections.defaultdict(int, {"a": 1}),
    "defaultdict-without-factory": lambda: collections.defaultdict(None, {"a": 1}),
    "defaultdict-of-partials": lambda: collections.defaultdict(functools.partial(float, 1)),
    "defaultdict-of-defaultdicts": lambda: collections.defaultdict(
        functools.partial(collections.defaultdict, list)
    ),
    "chain-map": lambda: collections.ChainMap({"a": 1}, {"b": 2}),
    "user-containers": lambda: [
        collections.UserDict(a=1),
        collections.UserList([1]),
        collections.UserString("a"),
    ],
    "ordered-dict": lambda: collections.OrderedDict(a=1, b=2),
    "ordered-dict-with-attribute": lambda: _with(
        collections.OrderedDict(a=1), _metadata=collections.OrderedDict({"": {"version": 1}})
    ),
    "types-of-collections": lambda: [collections.OrderedDict, collections.Counter],
}

_PATHS: Makes = {
    "pure-paths": lambda: [
        pathlib.PurePosixPath("/data", "a.pth"),
        pathlib.PureWindowsPath("C:\\data", "a.pth"),
        pathlib.PurePath("data"),
    ],
    "paths": lambda: [pathlib.Path("/data/a.pth"), pathlib.Path(), pathlib.Path("a", "b")],
}

_TIMES: Makes = {
    "date": lambda: dt.date(2024, 2, 29),
    "times-of-day": lambda: [dt.time(1, 2, 3, 4), dt.time(1, 2, fold=1)],
    "moments": lambda: [
        dt.datetime(2024, 2, 29, 12, 30, 59, 999_999),
        dt.datetime(2024, 10, 27, 2, 30, fold=1),
    ],
    "duration": lambda: dt.timedelta(days=-1, seconds=3, microseconds=5),
    "offsets": lambda: [
        dt.timezone.utc,
        dt.timezone(dt.timedelta(hours=2)),
        dt.timezone(dt.timedelta(hours=-5), "EST"),
    ],
    "moment-with-offset": lambda: dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc),
    "time-of-day-with-offset": lambda: dt.time(1, 2, tzinfo=dt.timezone.utc),
    "time-tuples": lambda: [time.localtime(0), time.gmtime(0)],
    **_only(
        _has_time_zones(),
        lambda: {
            "time-zone": lambda: _zone("Europe/Paris"),
            "moment-with-zone": lambda: dt.datetime(2024, 1, 1, tzinfo=_zone("UTC")),
        },
    ),
}


def _zone(name: str) -> dt.tzinfo:
    made: dt.tzinfo = importlib.import_module("zoneinfo").ZoneInfo(name)
    return made


_NUMBERS: Makes = {
    "decimals": lambda: [
        decimal.Decimal("1.50"),
        decimal.Decimal("-Infinity"),
        decimal.Decimal("NaN"),
    ],
    "decimal-context": lambda: decimal.Context(prec=10, rounding=decimal.ROUND_DOWN),
    "fraction": lambda: fractions.Fraction(1, 3),
    "uuids": lambda: [uuid.UUID(int=5), uuid.uuid4(), uuid.uuid5(uuid.NAMESPACE_DNS, "a")],
    "normal-distribution": lambda: statistics.NormalDist(1.0, 2.0),
    "random-states": lambda: [_random(), _random().getstate()],
    "gaussian-random-state": lambda: _random(drawn=True),
    "arrays": lambda: [array.array(kind, [1, 2]) for kind in "bBhHiIlLqQfd"],
    # Deprecated since Python 3.13.
    **_only(PYTHON < (3, 13), lambda: {"array-of-text": lambda: array.array("u", "süß")}),
    "empty-array": lambda: array.array("d"),
}


def _random(drawn: bool = False) -> random.Random:
    made = random.Random(3)  # noqa: S311
    if drawn:
        made.gauss(0, 1)  # it keeps the next one
    return made


_NETWORK: Makes = {
    "addresses": lambda: [ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("::1")],
    "networks": lambda: [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fe80::/10")],
    "interfaces": lambda: [ipaddress.ip_interface("10.0.0.1/8"), ipaddress.ip_interface("::1/64")],
    "parts-of-a-url": lambda: [urlparse("https://a.org/b?c=d#e"), urlsplit("https://a.org/b")],
    "parts-of-a-url-in-bytes": lambda: urlparse(b"https://a.org/b"),
}

_PATTERNS: Makes = {
    "pattern": lambda: re.compile(r"blocks\.(\d+)\."),
    "pattern-with-flags": lambda: re.compile("a.b", re.IGNORECASE | re.DOTALL | re.VERBOSE),
    "pattern-of-bytes": lambda: re.compile(b"a+"),
}

_ENUMS: Makes = {
    "http-status": lambda: http.HTTPStatus.NOT_FOUND,
    "flags-of-patterns": lambda: [re.IGNORECASE, re.IGNORECASE | re.MULTILINE, re.RegexFlag(0)],
    "safe-uuid": lambda: [uuid.SafeUUID.safe, uuid.SafeUUID.unknown],
    "kind-of-parameter": lambda: inspect.Parameter.KEYWORD_ONLY,
    "format-of-property-lists": lambda: plistlib.FMT_XML,
    "signals": lambda: [signal.SIGTERM, signal.SIGINT],
    "signal-handler": lambda: signal.SIG_DFL,
    "sockets": lambda: [socket.AF_INET, socket.SOCK_STREAM],
    "ssl-requirement": lambda: ssl.CERT_REQUIRED,
    "ssl-protocol": lambda: ssl.PROTOCOL_TLS_CLIENT,
    "ssl-version": lambda: ssl.TLSVersion.TLSv1_2,
    "ssl-flag": lambda: ssl.VERIFY_X509_STRICT,
    **_only(
        PYTHON >= (3, 11),
        lambda: {
            "http-method": lambda: http.HTTPMethod.GET,
            # Before, those with two names could not be pickled.
            "flags-of-sockets": lambda: socket.AI_PASSIVE | socket.AI_CANONNAME,
            "ssl-flags": lambda: ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1,
            "flag-boundary": lambda: enum.FlagBoundary.STRICT,
        },
    ),
}

_SYSTEM: Makes = {
    "stat-result": lambda: pathlib.Path().stat(),
    "terminal-size": lambda: os.terminal_size((80, 24)),
    "process-times": os.times,
    "platform": platform.uname,
    **_only(
        os.name == "posix",
        lambda: {
            "uname": os.uname,
            "file-system": lambda: os.statvfs("/"),
            "resource-usage": lambda: importlib.import_module("resource").getrusage(0),
            "user-account": lambda: importlib.import_module("pwd").getpwall()[0],
            "group": lambda: importlib.import_module("grp").getgrall()[0],
        },
    ),
}

_FUNCTIONAL: Makes = {
    "partial": lambda: functools.partial(int, base=2),
    "partial-with-attribute": lambda: _with(functools.partial(int, "1"), note="binary"),
    "partial-of-partial": lambda: functools.partial(functools.partial(int, "11"), base=2),
    "attribute-getters": lambda: [operator.attrgetter("a"), operator.attrgetter("a.b", "c")],
    "item-getters": lambda: [operator.itemgetter(0), operator.itemgetter("a", slice(2))],
    "method-callers": lambda: [operator.methodcaller("keys"), operator.methodcaller("get", "a", 1)],
    "method-caller-with-keywords": lambda: operator.methodcaller("split", maxsplit=1),
    "method-caller-with-both": lambda: operator.methodcaller("split", ",", maxsplit=1),
}

_BOUND: Makes = {
    "bound-methods-of-containers": lambda: [{"a": 1}.get, [1].append, {1}.add, (1,).index],
    "bound-methods-of-text": lambda: ["a".join, b"a".hex],
    "bound-methods-of-numbers": lambda: [(1).bit_length, (1.5).is_integer],
    "bound-method-of-pattern": lambda: re.compile("a").match,
    "bound-method-of-date": lambda: dt.date(2024, 1, 1).isoformat,
    "bound-method-of-counter": lambda: collections.Counter("ab").most_common,
    "class-methods": lambda: [dict.fromkeys, dt.datetime.fromtimestamp, bytes.fromhex],
}
_UNBOUND: Makes = {"methods-of-types": lambda: [str.lower, dict.get, list.append]}

_GENERICS: Makes = {
    "any": lambda: Any,
    "optional": lambda: typing.Optional[int],
    "union": lambda: typing.Union[int, str, None],
    "generic-list": lambda: [typing.List[int], typing.List],
    "generic-dict": lambda: [typing.Dict[str, typing.List[int]], typing.Dict],
    "generic-tuples": lambda: [typing.Tuple[int, ...], typing.Tuple[int, str]],
    "callables": lambda: [typing.Callable[[int], str], typing.Callable[..., Any]],
    "literal": lambda: typing.Literal["mean", "sum"],
    "type-variable": lambda: typing.AnyStr,
    **_only(
        PYTHON >= (3, 9),
        lambda: {
            "alias-of-list": lambda: types.GenericAlias(list, (int,)),
            "alias-of-dict": lambda: types.GenericAlias(dict, (str, int)),
        },
    ),
    **_only(PYTHON >= (3, 10), lambda: {"union-of-types": lambda: _either(int, type(None), str)}),
}


def _either(*kinds: object) -> object:
    return functools.reduce(operator.or_, kinds)


_OTHERS: Makes = {
    "arguments": lambda: argparse.Namespace(
        lr=0.1, out=pathlib.Path("out"), model=argparse.Namespace(width=8), names=["a"]
    ),
    "simple-namespace": lambda: types.SimpleNamespace(lr=0.1, inner=types.SimpleNamespace(a=1)),
    "bytes-file": lambda: io.BytesIO(b"abc"),
    "bytes-file-read": lambda: _read(io.BytesIO(b"abc")),
    "text-file": lambda: io.StringIO("abc\n"),
    "loggers": lambda: [logging.getLogger("train"), logging.getLogger()],
}


def _read(file: io.BytesIO) -> object:
    file.read(1)
    return file


_NAMES_OF_LIBRARIES: Makes = {
    "builtin-functions": lambda: [len, abs, print, sorted, isinstance],
    "functions-of-the-library": lambda: [math.sqrt, os.path.join, json.dumps, time.time],
    "functions-of-operator": lambda: [operator.add, operator.mul],
    "abstract-classes": lambda: [collections.abc.Mapping, io.IOBase],
    "defaultdict-of-time": lambda: collections.defaultdict(time.time, {"a": 1.0}),
    "partial-of-function": lambda: functools.partial(round, ndigits=2),
    "functions-of-torch": lambda: [torch.nn.functional.gelu, torch.nn.functional.dropout],
    "functions-of-initialisation": lambda: torch.nn.init.xavier_uniform_,
    "classes-of-torch": lambda: [torch.nn.ReLU, torch.nn.LayerNorm, torch.optim.AdamW],
    "partial-of-layer": lambda: functools.partial(torch.nn.LayerNorm, eps=1e-6),
    "functions-of-numpy": lambda: [np.mean, np.linalg.norm],
    "classes-of-the-library": lambda: [string.Template, configparser.ConfigParser],
}

_PLAIN_CLASSES: Makes = {
    "template": lambda: string.Template("$a"),
    "text-wrapper": lambda: textwrap.TextWrapper(width=40),
    "json-encoder": lambda: json.JSONEncoder(indent=2),
    "log-record": lambda: logging.makeLogRecord({"msg": "loss"}),
    "log-formatter": lambda: logging.Formatter("%(message)s"),
    "help-formatter": lambda: argparse.HelpFormatter("train"),
}


def _parser() -> configparser.ConfigParser:
    parser = configparser.RawConfigParser()
    parser.read_dict({"train": {"lr": "0.1"}})
    return typing.cast(configparser.ConfigParser, parser)


_STANDARD = (
    _all("builtins", NOTHING, _BUILTINS)
    + _all("builtins", NOTHING, _BUFFER, (5,))
    + _all("iterators", NOTHING, _ITERATORS)
    + _all("iterators", NOTHING, _only(PYTHON < (3, 12), lambda: _ITERTOOLS))
    + _all("exceptions", NOTHING, _EXCEPTIONS)
    + _all("standard library", NOTHING, _COLLECTIONS)
    + _all("standard library", NOTHING, _PATHS)
    + _all("standard library", NOTHING, _TIMES)
    + _all("standard library", NOTHING, _NUMBERS)
    + _all("standard library", NOTHING, _NETWORK)
    + _all("standard library", NOTHING, _PATTERNS)
    + _all("enums", NOTHING, _ENUMS)
    + _all("system", NOTHING, _SYSTEM)
    + _all("functions", NOTHING, _FUNCTIONAL)
    + _all("functions", NOTHING, _BOUND)
    + _all("functions", NOTHING, _UNBOUND)
    + _all("typing", NOTHING, _GENERICS)
    + _all("standard library", NOTHING, _OTHERS)
    + _all("functions", NOTE, _NAMES_OF_LIBRARIES)
    + _all(
        "functions",
        NOTE,
        {"partial-of-a-reader": lambda: functools.partial(pickle.loads, encoding="latin1")},
    )
    + _all("standard library", WARNING, _PLAIN_CLASSES)
    + _all("standard library", WARNING, {"configuration": _parser})
)

# numpy

_STRUCTURE = [("x", "<f4"), ("y", "<i8", (2,)), ("s", "S3")]


def _objects() -> object:
    made = np.empty(3, dtype=object)
    made[:] = [None, {"a": [1]}, (1, 2)]
    return made


_ARRAYS: Makes = {
    "arrays-of-many-dtypes": lambda: [np.arange(3).astype(kind) for kind in "?bBhHiIlLqQefdgFDG"],
    "arrays-of-text": lambda: [np.array(["a", "bc"]), np.array([b"a", b"bc"])],
    "big-endian-array": lambda: np.arange(3, dtype=">f4"),
    "structured-array": lambda: np.zeros(2, dtype=_STRUCTURE),
    "array-of-objects": _objects,
    "array-without-dimensions": lambda: np.array(1.5),
    "fortran-array": lambda: np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "strided-array": lambda: np.arange(10)[::3],
    "read-only-array": lambda: np.frombuffer(b"abcdefgh", dtype=np.int32),
    "empty-arrays": lambda: [np.zeros(0), np.zeros((0, 3), dtype=np.int8)],
    "dates-of-numpy": lambda: np.array(["2024-01-01", "NaT"], dtype="datetime64[D]"),
    "durations-of-numpy": lambda: np.array([1, 2], dtype="timedelta64[25s]"),
    "masked-array": lambda: np.ma.masked_array([1.0, 2.0], mask=[True, False], fill_value=0),
    "masked-structure": lambda: np.ma.masked_array(np.zeros(2, dtype=_STRUCTURE)),
    "masked": lambda: np.ma.masked,
    "matrix": _quietly(lambda: np.matrix([[1, 2], [3, 4]])),
    "record-array": lambda: np.zeros(2, dtype=_STRUCTURE).view(np.recarray),
    "character-array": _quietly(lambda: np.array(["a", "bc"]).view(np.char.chararray)),
    "shared-arrays": lambda: [np.arange(3)] * 2,
    "large-array": lambda: np.zeros(100_000, dtype=np.float32),
}

_SCALARS: Makes = {
    "scalars-of-many-dtypes": lambda: [np.dtype(kind).type(1) for kind in "?bBhHiIlLqQefdgFDG"],
    "scalars-of-text": lambda: [np.str_("a"), np.bytes_(b"a")],
    "scalars-of-time": lambda: [np.datetime64("2024-01-01T00"), np.timedelta64(3, "h")],
    "scalar-of-structure": lambda: np.zeros(1, dtype=_STRUCTURE)[0],
    "scalar-of-bytes": lambda: np.void(b"abc"),
    "scalar-of-record": lambda: np.zeros(1, dtype=_STRUCTURE).view(np.recarray)[0],
    "results-of-numpy": lambda: {"mean": np.arange(3).mean(), "best": np.arange(3).argmax()},
}

_DTYPES: Makes = {
    "dtypes": lambda: [np.dtype(kind) for kind in ("f4", ">i8", "?", "O", "U3", "S2", "V5")],
    "dtypes-of-time": lambda: [np.dtype("datetime64[ns]"), np.dtype("timedelta64[25s]")],
    "structured-dtypes": lambda: [
        np.dtype(_STRUCTURE),
        np.dtype({"names": ["a"], "formats": ["f4"], "offsets": [4], "itemsize": 12}),
        np.dtype(_STRUCTURE, align=True),
        np.dtype((np.record, [("a", "f4")])),
    ],
    "dtype-with-metadata": lambda: np.dtype("f4", metadata={"unit": "m"}),
    "types-of-scalars": lambda: [np.float32, np.int64, np.bool_, np.str_, np.generic],
    "type-of-array": lambda: np.ndarray,
    **_only(
        NUMPY >= (1, 25),
        lambda: {"classes-of-dtypes": lambda: [type(np.dtype("f4")), type(np.dtype("U3"))]},
    ),
    **_only(
        NUMPY >= (2, 0),
        lambda: {
            "array-of-strings": lambda: np.array(["a", "bc"], dtype=_strings()),
            "dtype-of-strings": lambda: _strings(),
        },
    ),
}


def _strings() -> Any:
    return importlib.import_module("numpy.dtypes").StringDType()


_RANDOM: Makes = {
    "random-state-of-numpy": lambda: np.random.RandomState(3),
    "state-of-numpy": lambda: np.random.RandomState(3).get_state(),
    "state-of-numpy-as-dict": lambda: np.random.RandomState(3).get_state(legacy=False),
    "generator-of-numpy": lambda: np.random.default_rng(3),
    "generator-with-other-bits": lambda: np.random.Generator(np.random.MT19937(3)),
    "bit-generators": lambda: [
        np.random.MT19937(3),
        np.random.PCG64(3),
        np.random.Philox(3),
        np.random.SFC64(3),
    ],
    "state-of-bit-generator": lambda: np.random.Philox(3).state,
    "seed-sequence": lambda: np.random.SeedSequence(3),
    "spawned-seed-sequences": lambda: np.random.SeedSequence().spawn(2),
    **_only(NUMPY >= (1, 21), lambda: {"bit-generator-dxsm": lambda: np.random.PCG64DXSM(3)}),
}

_NUMPY = (
    _all("numpy", NOTHING, _ARRAYS)
    + _all("numpy", NOTHING, _SCALARS)
    + _all("numpy", NOTHING, _DTYPES)
    + _all("numpy", NOTHING, _RANDOM)
    + _all("numpy", NOTE, {"universal-functions": lambda: [np.sin, np.add]})
    + _all(
        "numpy",
        WARNING,
        {
            "polynomial": lambda: np.polynomial.Polynomial([1.0, 2.0]),
            "old-polynomial": lambda: np.poly1d([1.0, 2.0]),
        },
    )
)

# torch


def _loss(model: torch.nn.Module) -> torch.Tensor:
    made: torch.Tensor = model(torch.ones(1, 2)).sum()
    return made


def _optimizer(name: str = "SGD", steps: int = 1, **options: Any) -> Any:
    model = torch.nn.Linear(2, 2)
    optimizer = getattr(torch.optim, name)(model.parameters(), lr=0.1, **options)
    for _ in range(steps):
        _loss(model).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return optimizer


def _scheduler(name: str, *args: Any, **options: Any) -> Any:
    return getattr(torch.optim.lr_scheduler, name)(_optimizer(momentum=0.9), *args, **options)


def _sequential() -> Any:
    schedulers = torch.optim.lr_scheduler
    optimizer = _optimizer()
    parts = [schedulers.ConstantLR(optimizer), schedulers.ExponentialLR(optimizer, 0.9)]
    return schedulers.SequentialLR(optimizer, parts, milestones=[2])


def _hooked_tensor() -> object:
    made = torch.ones(2, requires_grad=True)
    # So marked, the hook is left out of the file without a word.
    hooks: Any = torch.utils.hooks
    hook = hooks.unserializable_hook(user.backward_hook)
    made.register_hook(hook)  # type: ignore[no-untyped-call]
    return made


def _with_gradient() -> object:
    made = torch.ones(2, requires_grad=True)
    made.sum().backward()  # type: ignore[no-untyped-call]
    return made


def _views() -> object:
    whole = torch.arange(10.0)
    return {
        "whole": whole,
        "part": whole[2:5],
        "grid": whole.view(2, 5),
        "turned": whole.view(2, 5).t(),
    }


_KINDS_OF_TENSORS = "float32 float64 float16 bfloat16 int8 int16 int32 int64 uint8 bool"
_YOUNG_KINDS = "uint16 uint32 uint64 float8_e4m3fn float8_e5m2"

_TENSORS: Makes = {
    "tensors-of-many-dtypes": lambda: [
        torch.zeros(2, dtype=getattr(torch, name)) for name in _KINDS_OF_TENSORS.split()
    ],
    "tensors-of-young-dtypes": lambda: [
        torch.zeros(2, dtype=getattr(torch, name))
        for name in _YOUNG_KINDS.split()
        if hasattr(torch, name)
    ],
    "complex-tensors": lambda: [
        torch.ones(2, dtype=torch.cfloat),
        torch.ones(2, dtype=torch.cdouble),
    ],
    "conjugated-tensor": lambda: torch.ones(2, dtype=torch.cfloat).conj(),
    "negated-tensor": lambda: torch.ones(2, dtype=torch.cfloat).conj().imag,
    "strided-tensor": lambda: torch.arange(12.0).view(3, 4).t()[::2],
    "tensor-channels-last": lambda: torch.zeros(1, 2, 3, 4).to(memory_format=torch.channels_last),
    "expanded-tensor": lambda: torch.ones(1, 3).expand(4, 3),
    "empty-tensors": lambda: [torch.empty(0), torch.empty(2, 0, 3)],
    "tensor-without-dimensions": lambda: torch.tensor(1.5),
    "shared-storage": _views,
    "tied-weights": lambda: [torch.ones(2)] * 2,
    "tensor-with-gradient": _with_gradient,
    "tensor-with-attributes": lambda: _with(torch.ones(2), tag="mean", scale=[1, 2]),
    "tensor-with-hook": _hooked_tensor,
    "parameters": lambda: [
        torch.nn.Parameter(torch.ones(2)),
        torch.nn.Parameter(torch.ones(2), requires_grad=False),
    ],
    "parameter-with-attributes": lambda: _with(torch.nn.Parameter(torch.ones(2)), tag="mean"),
    "coo-tensor": _quietly(lambda: torch.eye(2).to_sparse()),
    "csr-tensor": _quietly(lambda: torch.eye(2).to_sparse_csr()),
    "csc-tensor": _quietly(lambda: torch.eye(2).to_sparse_csc()),
    "bsr-tensor": _quietly(lambda: torch.eye(2).to_sparse_bsr((1, 1))),
    "quantized-tensor": _quietly(
        lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
    ),
    "quantized-by-channel": _quietly(
        lambda: torch.quantize_per_channel(
            torch.ones(2, 2), torch.ones(2), torch.zeros(2), 0, torch.quint8
        )
    ),
    **_only(
        TORCH >= (2, 1),
        lambda: {
            "nested-tensor": _quietly(
                lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
            )
        },
    ),
    **_only(
        TORCH >= (2, 4),
        lambda: {
            "jagged-tensor": _quietly(
                lambda: torch.nested.nested_tensor(
                    [torch.ones(2), torch.ones(3)], layout=torch.jagged
                )
            )
        },
    ),
    "meta-tensor": lambda: torch.empty(2, 3, device="meta"),
    "meta-parameter": lambda: torch.nn.Parameter(torch.empty(2, device="meta")),
    **_only(TORCH >= (2, 5), lambda: {"buffer-of-module": lambda: torch.nn.Buffer(torch.ones(2))}),
    **_only(
        TORCH >= (2, 1),
        lambda: {"untyped-storage": lambda: torch.ones(2).untyped_storage()},
    ),
}

_TORCH_VALUES: Makes = {
    "parameter-with-objects": lambda: _with(
        torch.nn.Parameter(torch.ones(2)),
        options=argparse.Namespace(a=1),
        make=functools.partial(int),
    ),
    "version-of-torch": lambda: torch.__version__,
    "packed-sequence": lambda: torch.nn.utils.rnn.pack_sequence([torch.ones(2), torch.ones(1)]),
    "sizes": lambda: [torch.Size([2, 3]), torch.Size([]), torch.ones(2).shape],
    "devices": lambda: [torch.device("cpu"), torch.device("cuda", 1), torch.device("meta")],
    "dtypes-of-torch": lambda: [torch.float32, torch.bfloat16, torch.bool, torch.qint8],
    "layouts": lambda: [torch.strided, torch.sparse_coo, torch.sparse_csr],
    "quantization-schemes": lambda: [torch.per_tensor_affine, torch.per_channel_symmetric],
    "random-state-of-torch": torch.get_rng_state,
    "random-states-of-all": lambda: {
        "python": random.getstate(),
        "numpy": np.random.RandomState(3).get_state(),
        "torch": torch.get_rng_state(),
        "cuda": [torch.get_rng_state()],
    },
    "state-of-generator": lambda: torch.Generator().get_state(),
    "types-of-tensors": lambda: [torch.Tensor, torch.nn.Parameter, torch.Size, torch.device],
    "results-with-names": lambda: torch.max(torch.ones(2, 2), dim=0),
    "type-of-storage": lambda: torch.FloatStorage,
    **_only(TORCH >= (2, 4), lambda: {"generator-of-torch": torch.Generator}),
}

_STATES: Makes = {
    "state-of-module": lambda: torch.nn.Sequential(
        torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)
    ).state_dict(),
    "state-of-sgd": lambda: _optimizer(momentum=0.9).state_dict(),
    "state-of-adam": lambda: _optimizer("AdamW", amsgrad=True).state_dict(),
    "state-of-fresh-adam": lambda: _optimizer("Adam", steps=0).state_dict(),
    "state-of-lbfgs": lambda: _optimizer("LBFGS", steps=0).state_dict(),
    "state-of-step-schedule": lambda: _scheduler("StepLR", 3).state_dict(),
    "state-of-milestones": lambda: _scheduler("MultiStepLR", [3, 3, 5]).state_dict(),
    "state-of-cosine-schedule": lambda: _scheduler("CosineAnnealingLR", 10).state_dict(),
    "state-of-plateau-schedule": lambda: _scheduler("ReduceLROnPlateau").state_dict(),
    "state-of-cyclic-schedule": lambda: _scheduler("CyclicLR", 0.1, 1.0).state_dict(),
    "state-of-lambda-schedule": lambda: _scheduler("LambdaLR", user.warm_up).state_dict(),
    "state-of-sequential-schedule": _quietly(lambda: _sequential().state_dict()),
    "state-of-grad-scaler": lambda: _scaler().state_dict(),
    "state-of-averaged-model": lambda: torch.optim.swa_utils.AveragedModel(
        torch.nn.Linear(2, 2)
    ).state_dict(),
    "whole-checkpoint": lambda: {
        "model": torch.nn.Linear(2, 2).state_dict(),
        "optimizer": _optimizer("AdamW").state_dict(),
        "lr_scheduler": _scheduler("StepLR", 3).state_dict(),
        "scaler": _scaler().state_dict(),
        "epoch": 3,
        "args": argparse.Namespace(lr=1e-3, betas=(0.9, 0.95), output_dir=pathlib.Path("out")),
        "best": np.float64(0.5),
        "history": collections.defaultdict(list, loss=[0.5]),
    },
    **_only(
        TORCH >= (2, 1),
        lambda: {
            "state-of-one-cycle-schedule": lambda: _scheduler(
                "OneCycleLR", 1.0, total_steps=10
            ).state_dict()
        },
    ),
}


def _scaler() -> Any:
    """Return a scaler of gradients: on the processor where this torch has one for it."""
    if TORCH >= (2, 3):
        return torch.amp.GradScaler("cpu")
    return torch.cuda.amp.GradScaler(enabled=False)


def _old_module() -> object:
    module = torch.nn.Linear(2, 2)
    module.__dict__["_backend"] = user.Backend()
    return module


_MODULES: Makes = {
    "linear-module": lambda: torch.nn.Linear(2, 2),
    "module-of-old-torch": _old_module,
    "module-of-modules": lambda: torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 3),
        torch.nn.BatchNorm2d(2),
        torch.nn.ReLU(),
        torch.nn.ModuleDict({"a": torch.nn.Dropout(0.1)}),
        torch.nn.ModuleList([torch.nn.LayerNorm(2), torch.nn.Embedding(2, 2)]),
        torch.nn.ParameterList([torch.nn.Parameter(torch.ones(2))]),
    ),
    "transformer-layer": lambda: torch.nn.TransformerEncoderLayer(4, 2, 4),
    "recurrent-module": lambda: torch.nn.LSTM(2, 2),
    "loss-module": lambda: torch.nn.CrossEntropyLoss(label_smoothing=0.1),
    "module-with-hook": lambda: _forward_hooked(torch.nn.Linear(2, 2)),
    "module-with-weight-norm": _quietly(lambda: torch.nn.utils.weight_norm(torch.nn.Linear(2, 2))),
    "module-with-spectral-norm": _quietly(
        lambda: torch.nn.utils.spectral_norm(torch.nn.Linear(2, 2))
    ),
    "whole-optimizer": lambda: _optimizer("AdamW"),
    "whole-sgd": lambda: _optimizer(momentum=0.9),
    "whole-schedule": lambda: _scheduler("CosineAnnealingLR", 10),
    "whole-lambda-schedule": lambda: _scheduler("LambdaLR", user.warm_up),
    "whole-plateau-schedule": lambda: _scheduler("ReduceLROnPlateau"),
    "whole-grad-scaler": _scaler,
    "data-set": lambda: torch.utils.data.TensorDataset(torch.ones(2, 2), torch.ones(2)),
    "subset": lambda: torch.utils.data.Subset(
        torch.utils.data.TensorDataset(torch.ones(2, 2)), [0]
    ),
    "sampler": lambda: torch.utils.data.SequentialSampler([1, 2]),
    "distribution": lambda: torch.distributions.Normal(torch.zeros(2), torch.ones(2)),
    "data-loader": lambda: torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.ones(2, 2)), shuffle=True
    ),
    "module-of-user": user.Block,
    **_only(
        TORCH >= (2, 1),
        lambda: {
            "averaged-model": lambda: torch.optim.swa_utils.AveragedModel(torch.nn.Linear(2, 2)),
            "whole-one-cycle-schedule": lambda: _scheduler("OneCycleLR", 1.0, total_steps=10),
        },
    ),
}


def _forward_hooked(module: torch.nn.Module) -> object:
    module.register_forward_hook(user.forward_hook)
    return module


def _distributed() -> Any:
    """What the .metadata of a folder of torch.distributed.checkpoint holds."""
    from torch.distributed.checkpoint import filesystem, metadata

    chunk = metadata.ChunkStorageMetadata(torch.Size([0]), torch.Size([2]))
    properties = metadata.TensorProperties.create_from_tensor(torch.ones(2))
    tensor = metadata.TensorStorageMetadata(properties, torch.Size([2]), [chunk])
    index = metadata.MetadataIndex("w", torch.Size([0]), 0)
    told = metadata.Metadata({"w": tensor, "step": metadata.BytesStorageMetadata()})
    told.storage_data = {index: filesystem._StorageInfo("__0_0.distcp", 0, 99)}
    told.storage_meta = metadata.StorageMeta(checkpoint_id=pathlib.PurePath("runs"), save_id="1")
    return told


def _distributed_before() -> Any:
    """The properties of a tensor in the .metadata of torch 2.2 and before."""
    from torch.distributed._shard.sharded_tensor.metadata import TensorProperties

    return {"properties": TensorProperties(dtype=torch.float32, requires_grad=False)}


def _distributed_tensor() -> Any:
    """What a DTensor of torch 2.13 has besides its elements, without a process group."""
    from torch.distributed._mesh_layout import _FlatLayout, _MeshLayout
    from torch.distributed.tensor import _dtensor_spec as spec

    meta = spec.TensorMeta(torch.Size([2, 3]), (3, 1), torch.float32)
    layout = _MeshLayout((_FlatLayout((2,), (1,)),))
    return [meta, spec.ShardOrderEntry(0, (0, 1)), layout]


_TORCH = (
    _all("torch", NOTHING, _TENSORS)
    + _all(
        "torch",
        NOTHING,
        _only(
            TORCH >= (2, 3) and torch.distributed.is_available(),
            lambda: {
                "metadata-of-distributed": _distributed,
                "metadata-of-distributed-old": _distributed_before,
            },
        ),
    )
    + _all(
        "torch",
        NOTHING,
        _only(
            TORCH >= (2, 13) and torch.distributed.is_available(),
            lambda: {"spec-of-distributed-tensor": _distributed_tensor},
        ),
    )
    + _all("torch", NOTHING, _TORCH_VALUES)
    + _all("torch", NOTHING, _STATES)
    + _all("torch", NOTHING, {"memory-formats": lambda: torch.channels_last}, (4, 5))
    + _all("torch", WARNING, {"tensor-of-user": lambda: torch.ones(2).as_subclass(user.Embedding)})
    + _all("torch", NOTE, {"methods-of-torch": lambda: [torch.relu, torch.Tensor.relu]})
    + _all("torch", WARNING, _MODULES)
    # It holds a method of its class, by a name that older protocols look up with a call.
    + _all(
        "torch",
        WARNING,
        _only(
            TORCH >= (2, 1),
            lambda: {"whole-cyclic-schedule": lambda: _scheduler("CyclicLR", 0.1, 1.0)},
        ),
        (4, 5),
    )
)

# omegaconf


def _omega(name: str = "OmegaConf") -> Any:
    return getattr(importlib.import_module("omegaconf"), name)


def _omega_flags() -> object:
    made = _omega().create({"a": {"b": 1}})
    _omega().set_readonly(made, True)
    _omega().set_struct(made.a, True)
    return made


_OMEGACONF: Makes = {
    "configuration-dict": lambda: _omega().create({"lr": 0.1, "n": 3, "name": "a", "on": True}),
    "configuration-list": lambda: _omega().create([1, "two", None, 3.5]),
    "configuration-tree": lambda: _omega().create(
        {"model": {"blocks": [{"width": 8}, {"width": 16}]}, "data": {"size": [224, 224]}}
    ),
    "configuration-of-command-line": lambda: _omega().from_dotlist(["a.b=1", "a.c=two"]),
    "configuration-with-references": lambda: _omega().create({"a": 1, "b": "${a}", "c": "???"}),
    "configuration-with-flags": _omega_flags,
    "configuration-of-none": lambda: _omega("DictConfig")(None),
    "empty-configuration": lambda: _omega().create(),
    "part-of-configuration": lambda: _omega().create({"a": {"b": {"c": 1}}}).a.b,
    "typed-nodes": lambda: _omega().create(
        {
            "integer": _omega("IntegerNode")(3),
            "float": _omega("FloatNode")(0.1),
            "text": _omega("StringNode")("a"),
            "truth": _omega("BooleanNode")(True),
            "any": _omega("AnyNode")(None),
        }
    ),
    "typed-list": lambda: _omega("ListConfig")([1, 2], element_type=int),
    "typed-dict": lambda: _omega("DictConfig")({"a": 1.0}, key_type=str, element_type=float),
    "configuration-in-checkpoint": lambda: {"cfg": _omega().create({"a": 1}), "epoch": 3},
}


#: A tree of nested dictionaries and lists, as omegaconf wraps it.
CONFIGURATION: Make = _OMEGACONF["configuration-tree"]


def _structured() -> Any:
    structured = _omega().structured
    if _version(importlib.import_module("omegaconf.version")) < (2, 1):
        raise ImportError("this omegaconf does not know annotations that are text")
    return structured(user.Config)


_STRUCTURED: Makes = {
    "structured-configuration": _structured,
    "merged-configuration": lambda: _omega().merge(_structured(), {"width": 8}),
}

_CONFIGURATIONS = (
    _all("omegaconf", NOTHING, _OMEGACONF)
    + _all("omegaconf", NOTE, _STRUCTURED)
    + _all(
        "omegaconf",
        ERROR,
        {"node-of-user-enum": lambda: _omega("EnumNode")(user.Phase, user.Phase.TEST)},
    )
)

# The classes of users

_USER_NAMES: Makes = {
    "class-of-user": lambda: [user.Meter, user.Shape, user.Phase],
    "function-of-user": lambda: user.warm_up,
    "partial-of-user-function": lambda: functools.partial(user.warm_up, 3),
    "defaultdict-of-user-class": lambda: collections.defaultdict(user.Meter),
    "global-of-user": lambda: user.NAMED,
    "type-variable-of-user": lambda: user.Item,
}
_USER_NESTED_NAMES: Makes = {
    "nested-class-of-user": lambda: user.Run.Options,
    "method-of-user-class": lambda: user.Meter.update,
}

_USER_PLAIN: Makes = {
    "plain-object-of-user": lambda: user.Meter("loss", 0.5, 0.25),
    "objects-of-user": lambda: [user.Meter(), {"a": user.Meter("a", 1.0)}],
    "object-without-attributes": lambda: _emptied(user.Meter()),
    "object-with-state-of-its-own": user.OldState,
    "dataclass": user.Config,
    "frozen-dataclass": user.Frozen,
    "nested-dataclasses": user.Nested,
    "generic-object": lambda: user.Box(3),
    "dict-of-user": lambda: user.EasyDict(a=1, b=user.EasyDict(c=2)),
    "dict-with-attributes": lambda: _with(user.BothDict(a=1), note="n"),
    "list-of-user": lambda: user.BothList([1, 2]),
    "list-with-attributes": lambda: _with(user.BothList([1, 2]), note="n"),
    "user-dict-of-user": lambda: user.Options(a=1),
    "namespace-of-objects": lambda: argparse.Namespace(meter=user.Meter(), hook=user.warm_up),
}
_USER_NESTED: Makes = {
    "nested-class-instance": lambda: user.Run.Options(),
    "cyclic-object": user.Run,
}


def _emptied(value: Any) -> object:
    vars(value).clear()
    return value


_USER_CALLED: Makes = {
    "ordered-dict-of-user": lambda: user.Registry(a=1),
    "defaultdict-of-user": lambda: _with(user.Lists(), note="n"),
    "object-rebuilt-bare": lambda: user.ReducedBare(1, 2),
    "named-tuples": lambda: [user.Shape(1, 2), user.Point(1, 2)],
    "tuple-of-user": lambda: user.Pair((1, 2)),
    "enum-of-user": lambda: user.Phase.TEST,
    "integer-enum-of-user": lambda: user.Level.HIGH,
    "text-enum-of-user": lambda: user.Word.MEAN,
    "flags-of-user": lambda: user.Parts.ENCODER | user.Parts.DECODER,
    "integer-flags-of-user": lambda: user.Bits.READ | user.Bits.WRITE,
    "slots-of-user": user.Slots,
    "slots-and-attributes": user.SlotsAndDict,
    "state-that-is-a-tuple": user.TupleState,
    "object-with-new-arguments": lambda: user.NewArgs(3),
    "object-with-new-keywords": lambda: user.NewKeywords(size=3),
    "object-reduced": lambda: user.Reduced(1, 2),
    "object-rebuilt-by-function": lambda: user.Rebuilt(1, 2),
    "exception-of-user": lambda: user.TrainingError("nan", 3),
    "counter-of-user": lambda: user.Counts("aab"),
    "defaultdict-of-user-with-factory": lambda: user.Lists(list, {"a": [1]}),
    "set-of-user": lambda: user.Tags({1, 2}),
    "integer-of-user": lambda: user.Seed(3),
    "float-of-user": lambda: user.Rate(0.1),
    "text-of-user": lambda: user.Name("a"),
    "deque-of-user": lambda: user.Recent([1], 3),
}

_USERS = (
    _all("user's classes", NOTE, _USER_NAMES)
    + _all("user's classes", NOTE, _USER_NESTED_NAMES, (4, 5))
    + _all("user's classes", WARNING, _USER_PLAIN)
    + _all("user's classes", WARNING, _USER_NESTED, (4, 5))
    + _all("user's classes", ERROR, _USER_CALLED)
)

#: All that can be made with the versions that run.
HONEST: tuple[Honest, ...] = _STANDARD + _NUMPY + _TORCH + _CONFIGURATIONS + _USERS
