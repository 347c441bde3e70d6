"""What stands behind an opcode: numbers, lengths and lines, read within the bytes there are."""

from __future__ import annotations

import re
import struct

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError

#: Bytes that the nodes of one pickle may take, by estimate: so many in any case, and for each byte
#: of the pickle so many more. Pickles of torch.save take ten to fifteen for each.
MAX_NODE_BYTES, NODE_BYTES_EACH = 100_000_000, 16
#: Bytes of an integer. Sizes and offsets have eight, states of random generators sixteen; seeds
#: and keys that somebody keeps beside the weights some hundreds.
MAX_INTEGER_BYTES = 1_024

_DECIMAL = re.compile(rb"-?(?:0|[1-9][0-9]*)")

_U32 = struct.Struct("<I").unpack_from
_U64 = struct.Struct("<Q").unpack_from


class TruncatedPickleError(MalformedError):
    """The bytes end before the pickle does; with more of them it may yet be read.

    Attributes:
        needed: bytes that it would take at the least, from the first of the data on.
    """

    needed = 0


class Operands:
    """The bytes of a pickle, and how far they have been read.

    Attributes:
        data: the bytes.
        start: where the pickle begins.
        position: what is read next.
        operation: where the operation being interpreted begins.
        budget: what nodes may still cost, in bytes; below zero they are too many.
        flaw: the first breach of the format that other readers pass over; they would run what
            comes after it, so it is read too, and only then refused.
    """

    def __init__(self, data: bytes, start: int) -> None:
        self.data = data
        self.start = start
        self.position = start
        self.operation = start
        self.budget = MAX_NODE_BYTES + NODE_BYTES_EACH * (len(data) - start)
        self.flaw: MalformedError | None = None

    def _take(self, length: int) -> bytes:
        """Return the next ``length`` bytes; nothing is allocated before it is known they exist."""
        end = self.position + length
        if end > len(self.data):
            raise truncated(end)
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def _take_u8(self) -> int:
        value = self.data[self.position]
        self.position += 1
        return value

    def _take_u32(self) -> int:
        (value,) = _U32(self.data, self.position)
        self.position += 4
        return int(value)

    def _take_u64(self) -> int:
        (value,) = _U64(self.data, self.position)
        self.position += 8
        return int(value)

    def _line(self) -> bytes:
        end = self.data.find(b"\n", self.position)
        if end < 0:
            raise truncated(len(self.data) + 1)
        line = self.data[self.position : end]
        self.position = end + 1
        self.budget -= len(line)
        return line

    def _number_line(self) -> bytes:
        line = self._line()
        if len(line) > 3 * MAX_INTEGER_BYTES:
            self._note("a number is written with too many digits", rules.LIMIT)
            return b"0"
        return line

    def _integer(self, line: bytes) -> int:
        """Return the integer that a line of protocol 0 spells."""
        # C reads a leading zero as octal, Python does not
        if not _DECIMAL.fullmatch(line):
            self._note("an integer is not written as a number")
            return 0
        return int(line)

    def _note(self, message: str, rule: rules.Rule = rules.PICKLE) -> None:
        """Keep a breach of the format, or of a limit, that ends the reading at STOP only."""
        if self.flaw is None:
            self.flaw = MalformedError(message, rule)
            self.flaw.offset = self.operation


def malformed(message: str, *, found: object = None) -> MalformedError:
    """Return the error for a stream that breaks the format."""
    return MalformedError(message, rules.PICKLE, found=found)


def changes_a_name(name: object) -> MalformedError:
    """Return the error for a stream that changes what a name stands for, in the reader itself.

    Attributes of a function or a class, items of a module's dictionary: no pickler does that,
    and what is called afterwards under that name is something else.
    """
    return MalformedError(
        "the pickle changes what a name stands for", rules.UNKNOWN_CALL, found=name
    )


def too_much() -> MalformedError:
    """Return the error for a stream that has spent its budget."""
    return MalformedError(
        "the pickle describes more objects than are kept",
        rules.LIMIT,
        expected=f"at most about {MAX_NODE_BYTES:,} bytes of them, and {NODE_BYTES_EACH} for each "
        "byte of the pickle",
    )


def truncated(needed: int) -> TruncatedPickleError:
    """Return the error for bytes of which there should be at least ``needed``."""
    error = TruncatedPickleError("the bytes end in the middle of the pickle", rules.TRUNCATED)
    error.needed = needed
    return error


def name_text(line: bytes) -> str:
    """Return a module's or a name's line as text."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        raise malformed("a name is not UTF-8") from None
