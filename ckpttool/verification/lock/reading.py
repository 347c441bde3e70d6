"""Reading a lock file strictly; every error names the line."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path, PurePosixPath

from ckpttool.findings import rules
from ckpttool.findings.arguments import AnyPath, path_of
from ckpttool.findings.errors import MalformedError, UnreadableError
from ckpttool.findings.results import OutputSummary
from ckpttool.findings.text import is_sha256, printable
from ckpttool.tensors.fingerprint import fingerprint as fingerprint_of
from ckpttool.verification.lock.content import (
    Control,
    Lock,
    LockedCheckpoint,
    LockedFile,
    LockedForward,
    LockedTensor,
)
from ckpttool.verification.lock.writing import COUNTS, HEAD, VERSION

_MAX_LINE = 1_000_000  # characters: a name of the most bytes, all of them escaped, is shorter
_MOST_CHECKPOINTS = 10_000  # every file is looked for among them
_MAX_SIZE = 256 << 20  # a lock of a million tensors is smaller; a wrong path may be a checkpoint

_FIX = "Take it from version control again, or write a new one with `ckpttool lock`."


def is_lock(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a lock file."""
    return head.startswith(HEAD.encode("ascii"))


def read_lock(path: AnyPath) -> Lock:
    """Read a lock file.

    Raises:
        UsageError: the path is no path.
        UnreadableError: it is not there, or cannot be read.
        MalformedError: it is not what :func:`render` writes; the message names the line.
    """
    path = path_of(path)
    try:
        text = _content(path).decode("ascii")
    except OSError as error:
        reason = f"the lock file cannot be read: {error.strerror}"
        raise UnreadableError(reason, rules.UNREADABLE, path=path) from error
    except UnicodeDecodeError as error:
        reason = f"the lock file is not ASCII text, from byte {error.start} on"
        raise MalformedError(reason, rules.LOCK_FILE, path=path, fix=_FIX) from error
    return parse(text, path)


def _content(path: str) -> bytes:
    status = Path(path).stat()
    if not stat.S_ISREG(status.st_mode):  # reading a FIFO would block
        reason = "the lock file cannot be read: it is not a regular file"
        raise UnreadableError(reason, rules.UNREADABLE, path=path)
    if status.st_size > _MAX_SIZE:
        raise MalformedError("too large for a lock file", rules.LOCK_FILE, path=path)
    return Path(path).read_bytes()


def parse(text: str, path: str) -> Lock:
    """Return what the content of a lock file says.

    Raises:
        MalformedError: it is not what :func:`render` writes; the message names the line.
    """
    reader = _LockParser(path)
    # git on Windows checks out CRLF. Not splitlines(), which splits at more than line feeds.
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if line.strip() and not line.startswith("#"):
            reader.take(number, line)
    return reader.lock()


_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[^ "]+')  # a JSON string, or a plain word
_SHAPE = re.compile(r"\[(|\d+(,\d+)*)\]")
_FLOAT = re.compile(r"-?(?:[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?|inf)|nan")


class _LockParser:
    """Takes a lock file line by line."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._number = 0
        self._version: int | None = None
        self._done: dict[str, LockedCheckpoint] = {}
        self._open: _Section | None = None

    def take(self, number: int, line: str) -> None:
        """Take one line that is neither empty nor a comment."""
        self._number = number
        word, *rest = self._tokens(line)
        try:
            if word == "lock" and self._version is None:
                self._version = self._checked_version(rest)
            elif self._version is None:
                raise ValueError("the first line is not `lock 1`")
            elif word == "checkpoint":
                self._close()
                self._open = _Section(_below(*_words(rest, 1)))
            elif self._open is None:
                raise ValueError("a line stands before the first checkpoint")
            else:
                self._open.take(word, rest, number)
        except ValueError as error:
            raise self._bad(error) from error

    def lock(self) -> Lock:
        """Return everything that was taken."""
        try:
            self._close()
            if not self._done:
                raise ValueError("there is no checkpoint in it")
        except ValueError as error:
            raise self._bad(error) from error
        return Lock(self._path, tuple(self._done.values()))

    def _close(self) -> None:
        if self._open is None:
            return
        closed = self._open.checkpoint()
        if closed.name in self._done:
            raise ValueError(f"the checkpoint {closed.name} occurs twice")
        if len(self._done) == _MOST_CHECKPOINTS:
            raise ValueError(f"there are more than {_MOST_CHECKPOINTS:,} checkpoints in it")
        self._done[closed.name] = closed

    def _checked_version(self, rest: list[str]) -> int:
        if rest != [str(VERSION)]:
            raise ValueError(f"the lock is of version {' '.join(rest)}, known is {VERSION}")
        return VERSION

    def _tokens(self, line: str) -> list[str]:
        if len(line) > _MAX_LINE:
            raise self._bad(ValueError("the line is longer than any that is written"))
        if '"' not in line:
            tokens = line.split(" ")
            if "" in tokens:
                raise self._bad(ValueError("words are not separated by single spaces"))
            return tokens
        tokens = [match.group() for match in _TOKEN.finditer(line)]
        # finditer passes over what does not match, such as a string that does not end
        if " ".join(tokens) != line:
            raise self._bad(ValueError("words are not separated by single spaces"))
        try:
            return [json.loads(one) if one.startswith('"') else one for one in tokens]
        except ValueError as error:
            raise self._bad(error) from error

    def _bad(self, error: Exception) -> MalformedError:
        return MalformedError(
            f"line {self._number} of the lock file: {error}",
            rules.LOCK_FILE,
            path=self._path,
            fix=_FIX,
        )


class _Section:
    """The lines of one checkpoint, by their first word."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._single: dict[str, list[str]] = {}
        self._files: list[LockedFile] = []
        self._outputs: dict[str, OutputSummary] = {}
        self._controls: list[Control] = []
        self._tensors: dict[str, LockedTensor] = {}
        self._lines: dict[str, int] = {}

    def take(self, word: str, rest: list[str], number: int) -> None:
        """Take one line.

        Raises:
            ValueError: it is not of the form that its first word asks for.
        """
        if word == "tensor":
            self._take_tensor(rest, number)
        elif word == "file":
            name, size, sha256 = _words(rest, 3)
            self._files.append(LockedFile(name, _whole(size), _digest(sha256)))
        elif word == "output":
            self._take_output(rest)
        elif word == "projection":
            self._take_projection(rest)
        elif word == "control":
            name, far, counts = _words(rest, 3)
            if counts not in COUNTS.values():
                raise ValueError(f"{counts} is neither {' nor '.join(COUNTS.values())}")
            self._controls.append(Control(name, _float(far), counts == COUNTS[True]))
        elif word in _SINGLE and word not in self._single:
            self._single[word] = rest
        else:
            raise ValueError(f"a line beginning with {word} is unknown, or occurs twice")

    def _take_output(self, rest: list[str]) -> None:
        name, shape, *numbers = _words(rest, 6)
        if name in self._outputs:
            raise ValueError(f"the output {name} occurs twice")
        mean, std, low, high = map(_float, numbers)
        self._outputs[name] = OutputSummary(_shape(shape), mean, std, low, high, True)

    def _take_projection(self, rest: list[str]) -> None:
        name, *numbers = rest
        if name not in self._outputs:
            raise ValueError(f"the projection of {name} stands before the output")
        if self._outputs[name].projection:
            raise ValueError(f"the projection of {name} occurs twice")
        projection = tuple(map(_float, numbers))
        self._outputs[name] = self._outputs[name]._replace(projection=projection)

    def _take_tensor(self, rest: list[str], number: int) -> None:
        name, dtype, shape, sha256 = _words(rest, 4)
        if name in self._tensors:
            raise ValueError(f"the tensor {name} occurs twice")
        self._tensors[name] = LockedTensor(dtype, _shape(shape), _digest(sha256))
        self._lines[name] = number

    def checkpoint(self) -> LockedCheckpoint:
        """Return the checkpoint, after its last line."""
        missing = [
            word for word in ("fingerprint", "schema", "tensors") if word not in self._single
        ]
        if missing:
            raise ValueError(f"{self._name} has no line {missing[0]}")
        fingerprint, schema, number = map(self._word, ("fingerprint", "schema", "tensors"))
        # the count shows a file that was cut, or a merge that lost lines
        if _whole(number) != len(self._tensors):
            raise ValueError(f"{self._name} has {len(self._tensors)} tensors, not {number}")
        forward = self._forward() if "forward" in self._single else None
        # one that somebody changed, or a merge took from elsewhere, would stand for these weights
        if fingerprint != self._fingerprint():
            raise ValueError(f"the fingerprint of {self._name} is not that of its tensors")
        return LockedCheckpoint(
            self._name,
            fingerprint,
            schema,
            tuple(self._files),
            forward,
            self._tensors,
            self._lines,
        )

    def _fingerprint(self) -> str:
        return fingerprint_of((name, *tensor) for name, tensor in self._tensors.items())

    def _forward(self) -> LockedForward:
        missing = [word for word in _FORWARD if word not in self._single]
        if missing:
            raise ValueError(f"{self._name} has a line forward, but none {missing[0]}")
        scope, rounding, tolerance = map(self._word, ("forward", "rounding", "tolerance"))
        return LockedForward(
            scope,
            tuple(map(_whole, self._single["kept"])),
            self._outputs,
            _float(rounding),
            self._checked_tolerance(None if tolerance == "none" else _float(tolerance)),
            tuple(self._controls),
        )

    def _checked_tolerance(self, tolerance: float | None) -> float | None:
        """Return the tolerance, beyond which every control that counts must be."""
        counting = [control.distance for control in self._controls if control.counts]
        if tolerance is None and counting:
            raise ValueError(f"{self._name} has controls that count, but no tolerance")
        if tolerance is not None and not (counting and 0 < tolerance < min(counting)):
            raise ValueError(f"the tolerance of {self._name} is not below all controls that count")
        return tolerance

    def _word(self, line: str) -> str:
        """Return the only word of a line, after its first."""
        return _words(self._single[line], 1)[0]


_FORWARD = ("kept", "rounding", "tolerance")
_SINGLE = frozenset(("fingerprint", "schema", "tensors", "forward", *_FORWARD))


def _words(rest: list[str], number: int) -> list[str]:
    if len(rest) != number:
        raise ValueError(f"{len(rest)} words where {number} belong")
    return rest


def _below(name: str) -> str:
    """Return the name of a checkpoint, a path from the lock file's folder that leads below it."""
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{printable(name, 80)} is no path below the folder of the lock file")
    return name


def _digest(text: str) -> str:
    if not is_sha256(text):
        raise ValueError("a digest is not a SHA-256 in hexadecimal")
    return text


def _shape(text: str) -> tuple[int, ...]:
    if not _SHAPE.fullmatch(text):
        raise ValueError(f"{text} is not a shape such as [2,3]")
    return tuple(_whole(length) for length in text[1:-1].split(",") if length)


def _float(text: str) -> float:
    if not _FLOAT.fullmatch(text):  # float() also takes "1_0" and "infinity"
        raise ValueError(f"{text[:40]} is not a number")
    return float(text)


def _whole(text: str) -> int:
    # int() also takes "+1", "01", "1_0" and other digits
    if not re.fullmatch("0|[1-9][0-9]{0,17}", text):
        raise ValueError(f"{text[:40]} is not a whole number")
    return int(text)
