"""Reading the JSON header of a safetensors file, with an offset for every error in it.

A general JSON parser allocates up to twenty times the header's size before anything can be
checked, takes the last of two equal keys and does not say where an error is. The grammar of this
header is small: one object of tensors, each with three fields, and one of strings. So it is
read directly from the bytes, entry by entry. The format is that of
https://github.com/huggingface/safetensors (README, "Format").
"""

from __future__ import annotations

import json
import re
from math import isinf
from typing import TYPE_CHECKING, NamedTuple, NoReturn, Optional, Tuple

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError, UnsupportedError
from ckpttool.findings.text import printable
from ckpttool.tensors.dtypes import SAFETENSORS_DTYPES, DType

if TYPE_CHECKING:
    from collections.abc import Iterator

METADATA = "__metadata__"

#: Tensors of one checkpoint that are catalogued. A budget: each takes half a kilobyte and some
#: microseconds; a release of 2026 has 139,000.
MAX_TENSORS = 1_500_000
#: Tensors in an unusual spelling (further keys, many escapes), which take ten times as long.
MAX_UNUSUAL = 150_000
#: Dimensions of one tensor: three times as many as any layer has.
MAX_DIMENSIONS = 16
#: Bytes of all strings in ``__metadata__``, and their number; they are kept in memory.
MAX_METADATA = 8_000_000
MAX_STRINGS = 20_000
#: Bytes of one name.
MAX_NAME = 65_536

#: White space of JSON.
BLANKS = b" \t\n\r"

# Types with shapes that are kept to be found again.
_MOST_KINDS = 10_000
# How deep the value of a further key may be nested: as in the format's library.
_DEEPEST = 100
_WS = rb"[ \t\n\r]*"
_INT = rb"(?:0|[1-9][0-9]{0,18})"


def _pattern(text: bytes) -> re.Pattern[bytes]:
    """Compile ``text``: blanks stand for white space, ``INT`` for a whole number."""
    return re.compile(text.replace(b" ", _WS).replace(b"INT", _INT))


# An entry as nearly every writer spells it, with its fields in any order: one match is ten times
# as fast as reading it field by field, which is done for other entries and finds their errors.
# Repetitions are bounded so that no text makes the expression backtrack for long.
_USUAL = _pattern(
    rb' "([^"\\\x00-\x1f]{0,1024}(?:\\.[^"\\\x00-\x1f]{0,1024}){0,16})" : \{'
    rb'(?: (?:"dtype" : "([A-Z0-9_]{1,16})"'
    rb'|"shape" : \[ ((?:INT(?: , INT){0,15})?) \]'
    rb'|"data_offsets" : \[ (INT) , (INT) \]) (?:,(?! \})|(?=\}))){3}\} (,?)'
)
# The same in the spelling of the format's library, which takes half the time. Whatever it does not
# match is tried with the expression above.
_PLAINEST = _pattern(
    rb'"([^"\\\x00-\x1f]{0,1024})":\{"dtype":"([A-Z0-9_]{1,16})"'
    rb',"shape":\[((?:INT(?:,INT){0,15})?)\],"data_offsets":\[(INT),(INT)\]\}(,?)'
)
_BLANKS = re.compile(_WS)
# Numbers and words of JSON, as values of further keys.
_PLAIN = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null")
_NUMBER = re.compile(rb"-?[0-9][-+.0-9eE]{0,39}")
_WHOLE = re.compile(_INT)


# Values of further keys, which are skipped one by one.
_MOST_VALUES = 200_000
# Further keys that are named, and characters of one.
_SHOWN, _LONGEST = 8, 60


# The dtype, shape and offsets of an entry, as far as it has them.
_Fields = Tuple[str, Optional[Tuple[int, ...]], Optional[Tuple[int, ...]]]


class HeaderEntry(NamedTuple):
    """One tensor of the header; ``begin`` and ``end`` count from the first byte of data."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    begin: int
    end: int


class HeaderReader:
    """Reads ``text``, the header, which begins at ``base`` in the file.

    After :meth:`entries` has run out, ``metadata`` holds the strings of ``__metadata__``, and
    ``oddities`` names deviations from the format's text that its library accepts.
    """

    def __init__(self, text: bytes, base: int) -> None:
        self._text = text
        self._base = base
        self._at = 0
        self._has_metadata = False
        self._unusual = 0
        self._further: dict[str, None] = {}
        self._values = 0
        self._kinds: dict[tuple[bytes, bytes], tuple[DType, tuple[int, ...]]] = {}
        self._has_lists = False
        self.metadata: dict[str, str] = {}
        self.oddities: list[str] = []

    def entries(self) -> Iterator[HeaderEntry]:
        """Yield the tensors in the order of the header.

        Raises:
            MalformedError: the header breaks the format; names that repeat are left to the
                caller, who has them all.
            UnsupportedError: an element type that is not known.
        """
        self._skip_blanks()
        if self._at:
            self.oddities.append("white space before it")
        if self._next() != b"{":
            self._fail("the header does not begin with {", self._text[self._at : self._at + 4])
        self._at += 1
        yield from self._items()
        # spaces are the padding that the format foresees, to align the tensors
        rest = self._text[self._at :].strip(b" ")
        if rest.strip(BLANKS):
            self._fail("something other than white space follows the header's object")
        if rest:
            self.oddities.append("white space other than spaces behind it")
        if self._has_lists:
            self.oddities.append("entries written as lists")
        if self._further:
            self.oddities.append("further keys in entries: " + ", ".join(self._further))

    def _items(self) -> Iterator[HeaderEntry]:
        """Yield the tensors of the object whose brace was passed, and pass its closing brace."""
        text = self._text
        self._skip_blanks()
        if self._next() == b"}":
            self._at += 1
            return
        while True:
            usual = _PLAINEST.match(text, self._at) or _USUAL.match(text, self._at)
            entry = self._usual(usual) if usual is not None else None
            if entry is None:
                yield from self._any_entry()
            else:
                yield entry
                if usual is not None and usual.group(6):  # the comma was passed with the entry
                    continue
            self._skip_blanks()
            if self._next() == b"}":
                self._at += 1
                return
            self._expect(b",")

    def _usual(self, match: re.Match[bytes]) -> HeaderEntry | None:
        """Return the tensor of a usual entry; ``None`` if it must be read field by field."""
        raw, code, sizes, begin, end, _ = match.groups()
        if code is None or sizes is None or begin is None:
            return None  # the expression takes any three fields: one twice, another missing
        try:
            name = raw.decode() if b"\\" not in raw else _unescaped(b'"%s"' % raw)
        except ValueError:
            return None
        kind = self._kinds.get((code, sizes)) or self._kind(code, sizes)
        if kind is None or name == METADATA:
            return None
        self._at = match.end()
        # not by the class: its __new__ takes as long again
        return tuple.__new__(HeaderEntry, (name, *kind, int(begin), int(end)))

    def _kind(self, code: bytes, sizes: bytes) -> tuple[DType, tuple[int, ...]] | None:
        """Return a known type and a shape; most tensors of a file repeat those of another one."""
        dtype = SAFETENSORS_DTYPES.get(code.decode())
        if dtype is None:
            return None
        kind = dtype, tuple(map(int, sizes.split(b","))) if sizes else ()
        if len(self._kinds) < _MOST_KINDS:
            self._kinds[code, sizes] = kind
        return kind

    def _any_entry(self) -> Iterator[HeaderEntry]:
        name = self._string("a tensor's name")
        self._expect(b":")
        if name != METADATA:
            self._unusual += 1
            if self._unusual > MAX_UNUSUAL:
                self._fail("more entries in an unusual spelling than the limit", rule=rules.LIMIT)
            yield self._tensor(name)
            return
        if self._has_metadata:
            self._fail(f"{METADATA} occurs twice in the header", rule=rules.DUPLICATE_KEY)
        self._has_metadata = True
        self._skip_blanks()
        if self._text.startswith(b"null", self._at):
            self._at += len(b"null")
            self.oddities.append(f"{METADATA} of null")
        else:
            self._strings()

    def _strings(self) -> None:
        """Read ``__metadata__``, an object of strings."""
        room = MAX_METADATA
        self._expect(b"{")
        for _ in self._separated(b"}"):
            start = self._at
            key = self._string(f"a key of {METADATA}", room)
            self._expect(b":")
            value = self._string(f"a value of {METADATA}", room)
            room -= self._at - start
            if key in self.metadata:
                self._fail(f"{printable(key)} occurs twice in {METADATA}", rule=rules.DUPLICATE_KEY)
            if len(self.metadata) == MAX_STRINGS:
                self._fail(f"too many strings in {METADATA}", rule=rules.LIMIT)
            self.metadata[key] = value

    def _tensor(self, name: str) -> HeaderEntry:
        place = self._at
        self._skip_blanks()
        code, shape, offsets = self._list(name) if self._next() == b"[" else self._object(name)
        if not code or shape is None or offsets is None or len(offsets) != 2:
            self._fail("dtype, shape or a pair of data_offsets is missing", tensor=name)
        if code not in SAFETENSORS_DTYPES:
            raise _unknown_dtype(name, code, self._base + place)
        return HeaderEntry(name, SAFETENSORS_DTYPES[code], shape, *offsets)

    def _list(self, name: str) -> _Fields:
        """Read an entry that is a list of dtype, shape and offsets."""
        # serde, by which the library reads JSON, accepts a list in place of a struct
        self._has_lists = True
        self._expect(b"[")
        code = self._string("a dtype", tensor=name)
        self._expect(b",", name)
        shape = self._numbers(name)
        self._expect(b",", name)
        offsets = self._numbers(name)
        self._expect(b"]", name)
        return code, shape, offsets

    def _object(self, name: str) -> _Fields:
        code, shape, offsets = "", None, None
        self._expect(b"{", name)
        for _ in self._separated(b"}"):
            field = self._string("a tensor's field", tensor=name)
            self._expect(b":", name)
            if field == "dtype" and not code:
                code = self._string("a dtype", tensor=name)
            elif field == "shape" and shape is None:
                shape = self._numbers(name)
            elif field == "data_offsets" and offsets is None:
                offsets = self._numbers(name)
            elif field in ("dtype", "shape", "data_offsets"):
                self._fail(f"{field} occurs twice", rule=rules.DUPLICATE_KEY, tensor=name)
            else:
                self._skip_value(name)
                if len(self._further) < _SHOWN:
                    self._further[printable(field)[:_LONGEST]] = None
        return code, shape, offsets

    def _skip_value(self, tensor: str, depth: int = 0) -> None:
        """Skip any value of JSON."""
        self._skip_blanks()
        mark = self._next()
        self._values += 1
        if depth > _DEEPEST or self._values > _MOST_VALUES:
            deep = "a further key's value is nested too deeply"
            many = "the values of further keys are more than the limit"
            self._fail(deep if depth > _DEEPEST else many, rule=rules.LIMIT, tensor=tensor)
        if mark == b'"':
            self._string("a further key's value", MAX_METADATA, tensor)
        elif mark == b"[":
            self._at += 1
            for _ in self._separated(b"]"):
                self._skip_value(tensor, depth + 1)
        elif mark == b"{":
            self._at += 1
            for _ in self._separated(b"}"):
                self._string("a further key", tensor=tensor)
                self._expect(b":", tensor)
                self._skip_value(tensor, depth + 1)
        else:
            plain = _PLAIN.match(self._text, self._at)
            if plain is None or not plain.group():
                self._fail("no value", self._text[self._at : self._at + 16], tensor)
            if mark in b"-0123456789" and isinf(float(plain.group())):
                # the library keeps the values of these keys in 64 bits before it drops them
                self._fail("a number beyond 64 bits", plain.group()[:16], tensor)
            self._at = plain.end()

    def _numbers(self, tensor: str) -> tuple[int, ...]:
        """Read a list of whole numbers."""
        numbers: list[int] = []
        self._expect(b"[", tensor)
        for _ in self._separated(b"]"):
            self._skip_blanks()
            found = _NUMBER.match(self._text, self._at)
            if found is None or not _WHOLE.fullmatch(found.group()):
                shown = found.group() if found else self._text[self._at : self._at + 16]
                self._fail("not a whole number from 0 to 2^63-1", shown, tensor=tensor)
            if len(numbers) == MAX_DIMENSIONS:
                self._fail("too many dimensions", rule=rules.LIMIT, tensor=tensor)
            numbers.append(int(found.group()))
            self._at = found.end()
        return tuple(numbers)

    def _separated(self, close: bytes) -> Iterator[None]:
        """Yield before each item of an object or a list; skip commas and the closing bracket."""
        self._skip_blanks()
        if self._next() == close:
            self._at += 1
            return
        while True:
            yield
            self._skip_blanks()
            if self._next() == close:
                self._at += 1
                return
            self._expect(b",")

    def _string(self, what: str, most: int = MAX_NAME, tensor: str | None = None) -> str:
        """Read a string of at most ``most`` bytes."""
        self._skip_blanks()
        if self._next() != b'"':
            self._fail(f"{what} is not a string", self._text[self._at : self._at + 16], tensor)
        end = self._closing_quote(self._at + 1, most)
        if end < 0:
            if self._closing_quote(self._at + 1, len(self._text)) >= 0:
                self._fail(f"{what} is longer than the limit", rule=rules.LIMIT, tensor=tensor)
            self._fail(f"{what} does not end", tensor=tensor)
        raw = self._text[self._at : end + 1]
        try:
            text = _unescaped(raw)
        except ValueError as error:
            self._fail(f"{what} is not valid: {error}", tensor=tensor)
        self._at = end + 1
        return text

    def _closing_quote(self, start: int, most: int) -> int:
        stop = start + most
        end = self._text.find(b'"', start, stop)
        while end >= 0 and _escaped(self._text, start, end):
            end = self._text.find(b'"', end + 1, stop)
        return end

    def _skip_blanks(self) -> None:
        blanks = _BLANKS.match(self._text, self._at)
        assert blanks is not None  # noqa: S101 (it may be of no bytes)
        self._at = blanks.end()

    def _next(self) -> bytes:
        return self._text[self._at : self._at + 1]

    def _expect(self, mark: bytes, tensor: str | None = None) -> None:
        self._skip_blanks()
        if self._next() != mark:
            self._fail(f"expected {mark.decode()}", self._text[self._at : self._at + 16], tensor)
        self._at += 1

    def _fail(
        self,
        message: str,
        found: bytes | None = None,
        tensor: str | None = None,
        rule: rules.Rule = rules.SAFETENSORS_HEADER,
    ) -> NoReturn:
        raise MalformedError(
            message,
            rule,
            tensor=tensor,
            offset=self._base + self._at,
            found=None if found is None else repr(found),
        )


def _unescaped(quoted: bytes) -> str:
    """Return the value of a JSON string; raises ValueError if it has none."""
    text = str(json.loads(quoted.decode()))
    text.encode()  # half of a surrogate pair can be escaped, but is no text
    return text


def _escaped(text: bytes, start: int, end: int) -> bool:
    """Whether an odd number of backslashes precedes ``text[end]``, back to ``start``."""
    first = end
    while first > start and text[first - 1] == 0x5C:
        first -= 1
    return (end - first) % 2 == 1


def _unknown_dtype(tensor: str, code: str, offset: int) -> UnsupportedError:
    return UnsupportedError(
        "the element type is not known",
        rules.UNSUPPORTED,
        tensor=tensor,
        offset=offset,
        expected="one of " + " ".join(sorted(SAFETENSORS_DTYPES)),
        found=code,
    )
