"""What an address answered in place of a file: a web page, or an error in XML or JSON.

A download that is not looked at saves it under the name of the checkpoint. It is told by its text,
and what it says itself (the title of a page, the code of an error) is said with it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

#: Bytes from the start of a file that are searched: a page may have a long head before its title.
SEARCHED = 65_536

_SHOWN = 80  # characters of a title or a message that are shown

# White space stands in one place only, and a comment ends at its first end: no text takes long.
_START = rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^<>]{0,200}>\s*)?"
_COMMENT = rb"(?:<!--(?:[^-]|-(?!->)){0,2000}-->\s*)?"
#: How a page begins, and the error of a storage bucket. Other XML is no answer.
PAGE = _START + _COMMENT + rb"<(?i:!doctype html|html|head|body|title)\b"
ERROR = _START + rb"<Error[ >]"

_TITLE = re.compile(rb"<title[^>]{0,200}>(.{0,2000}?)</title", re.IGNORECASE | re.DOTALL)
_CODE = re.compile(rb"<Code>([\w.]{1,100})</Code>")
_MESSAGE = re.compile(rb"<Message>(.{0,2000}?)</Message>", re.DOTALL)
_NOT_THERE = re.compile(r"(?i)no ?such|not ?found|does ?not ?exist|\b404\b")
_REFUSED = re.compile(
    r"(?i)denied|forbidden|expired|unauthori[sz]ed|invalid ?(?:token|user|credential)|signature"
    r"|sign ?in|log ?in|restricted|gated|authenticat|\b40[13]\b"
)
_LATER = re.compile(
    r"(?i)quota|too ?many|rate ?limit|slow ?down|unavailable|internal ?(?:server ?)?error|time-?out"
    r"|bad gateway|^50[0-4]\b"
)

# Keys of an error that an interface answers in JSON, and those that stand beside them.
_ERRORS = ("error", "errors", "message", "detail", "error_message", "msg")
_BESIDE = frozenset(
    (*_ERRORS, "status", "statuscode", "status_code", "code", "type", "title", "path", "timestamp")
) | {"documentation_url", "requestid", "request_id", "success", "error_description", "errortype"}


class Answer(NamedTuple):
    """An answer: what it is, and what to do about it."""

    what: str
    fix: str


def answer_in(begin: bytes) -> Answer | None:
    """Return the answer of which a file's first bytes are, ``None`` if they are of no known one.

    Args:
        begin: the first :data:`SEARCHED` bytes, or all of a smaller file.
    """
    if re.match(PAGE, begin, re.DOTALL):
        title = _text_of(_TITLE, begin)
        what = "an HTML page, not a checkpoint"
        return Answer(f"{what} (its title: {title!r})" if title else what, _fix(title, page=True))
    if re.match(ERROR, begin, re.DOTALL):
        code, message = _text_of(_CODE, begin), _text_of(_MESSAGE, begin)
        said = f"{code}: {message}" if code and message else code or message
        what = "an error in XML, as storage buckets answer, not a checkpoint"
        return Answer(f"{what} ({said})" if said else what, _fix(said))
    return None


def answer_in_json(document: object) -> Answer | None:
    """Return the answer of an interface that a JSON document is, ``None`` if it is none."""
    said = _error_in(document)
    return None if said is None else Answer(f"an error in JSON ({said!r})", _fix(said))


def _error_in(document: object) -> str | None:
    if not isinstance(document, dict) or not _BESIDE.issuperset(map(str.lower, document)):
        return None
    for key in _ERRORS:
        value = document.get(key)
        if isinstance(value, list) and value:
            value = value[0]
        if isinstance(value, dict):
            value = value.get("message") or value.get("detail") or value.get("msg")
        if isinstance(value, str) and value.strip():
            return _shortened(value)
    return None


def _text_of(pattern: re.Pattern[bytes], begin: bytes) -> str:
    found = pattern.search(begin)
    if not found:
        return ""
    from html import unescape  # late: hardly any file is an answer

    return _shortened(unescape(found.group(1).decode("utf-8", "replace")))


def _shortened(text: str) -> str:
    text = " ".join(text[:SEARCHED].split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _fix(said: str, *, page: bool = False) -> str:
    """Return what to do, by what the answer says of itself."""
    if page and "google drive" in said.lower() and "virus" in said.lower():
        return (
            "Google Drive asks for a confirmation before a large file: fetch it in a browser, or "
            "with a tool that confirms, such as gdown."
        )
    if _LATER.search(said):
        return "The server could not answer: download the file again later."
    if _REFUSED.search(said):
        return (
            "Access was refused: log in, or get a link that has not expired, and download it again."
        )
    if _NOT_THERE.search(said):
        return "There is no file at that address: correct it, and download the file again."
    return FETCH


#: Where nothing more is known.
FETCH = (
    "Where it was downloaded, the address answered with this: download the file itself (on the "
    "Hugging Face hub its address has /resolve/ in it, not /blob/)."
)
