"""The operations that push a scalar: numbers, truth values, text and bytes."""

from __future__ import annotations

import codecs
import re
import struct
from math import isinf

from ckpttool.findings import rules
from ckpttool.formats.pickles.nodes import ByteArray
from ckpttool.formats.pickles.stack import (
    COST_NUMBER,
    COST_TEXT,
    MAX_INTEGER_BYTES,
    Stack,
    malformed,
)

_U16 = struct.Struct("<H").unpack_from
_I32 = struct.Struct("<i").unpack_from
_F64 = struct.Struct(">d").unpack_from
# As repr writes it. float() also takes spaces and underscores, which the unpickler in C refuses.
_FLOAT = re.compile(rb"-?(?:[0-9]+(?:\.[0-9]*)?(?:e[-+]?[0-9]+)?|inf|nan)")

#: From this size on, a text or a run of bytes is taken for an array's content.
LARGE = 65_536


def _content_cost(size: int, written: int) -> int:
    """Return the cost of ``size`` bytes in memory that are ``written`` bytes in the file."""
    # numpy arrays are pickled as one run of bytes, of gigabytes perhaps: no more than the file has
    return 0 if written >= LARGE and size <= written + 100 else size


class Scalars(Stack):
    """Scalars."""

    # Three objects that exist already: their places on the stack are within NODE_BYTES_EACH.

    def _op_none(self) -> None:
        self.stack.append(None)

    def _op_newtrue(self) -> None:
        self.stack.append(True)

    def _op_newfalse(self) -> None:
        self.stack.append(False)

    def _op_binint(self) -> None:
        (value,) = _I32(self.data, self.position)
        self.position += 4
        self._push(value, COST_NUMBER)

    def _op_binint1(self) -> None:
        self.stack.append(self.data[self.position])  # small integers are shared by CPython
        self.position += 1

    def _op_binint2(self) -> None:
        (value,) = _U16(self.data, self.position)
        self.position += 2
        self._push(value, COST_NUMBER)

    def _op_long1(self) -> None:
        self._push_long(self._take_u8())

    def _op_long4(self) -> None:
        # signed in pickletools; a negative length, read unsigned, is longer than any pickle
        self._push_long(self._take_u32())

    def _push_long(self, length: int) -> None:
        data = self._take(length)
        if length > MAX_INTEGER_BYTES:
            # well formed, so what comes after it is still read and judged
            self._note(f"an integer of {length:,} bytes", rules.LIMIT)
            data = b""
        self._push(int.from_bytes(data, "little", signed=True), COST_NUMBER)

    def _op_int(self) -> None:
        line = self._number_line()
        if line in (b"00", b"01"):  # protocol 0 writes False and True so
            self.stack.append(line == b"01")
        else:
            self._push(self._integer(line), COST_NUMBER)

    def _op_long(self) -> None:
        line = self._number_line()
        self._push(self._integer(line[:-1] if line.endswith(b"L") else line), COST_NUMBER)

    def _op_float(self) -> None:
        line = self._number_line()
        value = float(line) if _FLOAT.fullmatch(line) else None
        # too large a number is infinite to float(), and an error to the unpickler in C
        if value is None or (isinf(value) and line.lstrip(b"-") != b"inf"):
            self._note("a float is not written as a number")
        self._push(0.0 if value is None else value, COST_NUMBER)  # -0.0 is false, too

    def _op_binfloat(self) -> None:
        (value,) = _F64(self.data, self.position)
        self.position += 8
        self._push(value, COST_NUMBER)

    # --- text and bytes ----------------------------------------------------------------

    def _push_text(self, raw: bytes) -> None:
        try:
            # as picklers write: a lone surrogate, from an undecodable file name, is honest text
            text = str(raw, "utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise malformed("text is not UTF-8") from None
        # a character outside Latin-1 makes CPython spend up to four bytes on each
        self._push(text, COST_TEXT + _content_cost(text.__sizeof__(), len(raw)))

    def _push_string(self, raw: bytes) -> None:
        """Push a Python 2 ``str``, which held text and bytes alike."""
        # torch.load decodes it as UTF-8; arrays pickled by Python 2 have their bytes in one
        try:
            self._push(raw.decode("utf-8"), COST_TEXT + 4 * len(raw))
        except UnicodeDecodeError:
            self._push_bytes(raw)

    def _push_bytes(self, raw: bytes) -> None:
        self._push(raw, COST_TEXT + _content_cost(len(raw), len(raw)))

    def _op_short_binunicode(self) -> None:
        self._push_text(self._take(self._take_u8()))

    def _op_binunicode(self) -> None:
        self._push_text(self._take(self._take_u32()))

    def _op_binunicode8(self) -> None:
        self._push_text(self._take(self._take_u64()))

    def _op_unicode(self) -> None:
        line = self._line()
        try:
            # what protocol 0 writes: a newline would end the line, so it is escaped
            text = str(line, "raw-unicode-escape")
        except UnicodeDecodeError:
            raise malformed("text has a broken escape") from None
        self._push(text, COST_TEXT + 4 * len(line))

    def _op_string(self) -> None:
        line = self._line()
        if len(line) < 2 or line[:1] not in b"'\"" or line[-1:] != line[:1]:
            raise malformed("a string has no quotes")
        try:
            # undocumented, but what pickle itself calls for this opcode
            raw = codecs.escape_decode(line[1:-1])[0]
        except ValueError:
            raise malformed("a string has a broken escape") from None
        self._push_string(raw)

    def _op_short_binstring(self) -> None:
        self._push_string(self._take(self._take_u8()))

    def _op_binstring(self) -> None:
        self._push_string(self._take(self._take_u32()))

    def _op_short_binbytes(self) -> None:
        self._push_bytes(self._take(self._take_u8()))

    def _op_binbytes(self) -> None:
        self._push_bytes(self._take(self._take_u32()))

    def _op_binbytes8(self) -> None:
        self._push_bytes(self._take(self._take_u64()))

    def _op_bytearray8(self) -> None:
        self._push_bytes(ByteArray(self._take(self._take_u64())))
