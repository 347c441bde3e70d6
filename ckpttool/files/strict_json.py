"""JSON documents read as every reader takes them for the same, within bounded memory."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from ckpttool.files import collecting
from ckpttool.files.sources import ByteSource, read_bytes
from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.findings.unambiguous_json import RepeatedKeyError, parsed

if TYPE_CHECKING:
    from ckpttool.findings.rules import Rule

#: Bytes of a document; a shard index of a million tensors takes about 110 million.
MAX_JSON = 200_000_000
#: The same for one that is not plain ASCII, whose text takes four times the memory.
MAX_WIDE_JSON = 40_000_000
#: Values and keys of a document, two for each tensor of an index. Each may take a hundred bytes.
MAX_VALUES = 3_000_000

_BOM = b"\xef\xbb\xbf"
_DIGITS = 19


def begins_object(head: bytes) -> bool:
    """Whether a JSON object begins here, and not a length that happens to begin with ``{``."""
    text = head[len(_BOM) :] if head.startswith(_BOM) else head
    return text.lstrip(b" \t\r\n").startswith(b"{") and b"\0" not in head[:8]


def strict_json(source: ByteSource, rule: Rule) -> object:
    """Return the document in a file.

    Args:
        source: the file.
        rule: what a document of its kind breaks if it is not strict JSON.

    Raises:
        MalformedError: it is not strict JSON, or beyond the limits.
    """
    text = _text(source, rule)
    try:
        with collecting.paused():
            return parsed(text, partial(_bounded_int, rule))
    except RepeatedKeyError as error:
        raise MalformedError(str(error), rules.DUPLICATE_KEY) from error
    except json.JSONDecodeError as error:
        offset = len(text[: error.pos].encode(errors="replace"))
        if not text[error.pos :].strip() or "Unterminated string" in error.msg:
            raise MalformedError(
                "the file ends before its JSON does",
                rules.TRUNCATED,
                offset=source.size,
                found=f"{source.size:,} bytes",
            ) from error
        raise MalformedError(f"not valid JSON: {error.msg}", rule, offset=offset) from error
    except RecursionError as error:
        raise MalformedError("nested too deeply", rules.LIMIT) from error
    except ValueError as error:  # NaN, for example
        raise MalformedError(str(error), rule) from error


def _text(source: ByteSource, rule: Rule) -> str:
    if source.size > MAX_JSON:
        raise _too_long(source.size, MAX_JSON)
    data = read_bytes(source, 0, source.size)
    if source.size > MAX_WIDE_JSON and (b"\\u" in data or not data.isascii()):
        raise _too_long(source.size, MAX_WIDE_JSON)
    if sum(data.count(mark) for mark in (b",", b":", b"[", b"{")) > MAX_VALUES:
        raise MalformedError("more values than the limit", rules.LIMIT)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise MalformedError("not UTF-8", rule, offset=error.start) from error


def _too_long(size: int, most: int) -> MalformedError:
    return MalformedError(
        "larger than the limit",
        rules.LIMIT,
        expected=f"at most {most:,} bytes",
        found=f"{size:,}",
    )


def _bounded_int(rule: Rule, digits: str) -> int:
    if len(digits) > _DIGITS:  # reading them would take time that grows with their square
        found = f"{len(digits)} digits"
        raise MalformedError("a number of more than 64 bits", rule, found=found)
    return int(digits)
