"""The kind of a file in a folder, by its content: a checkpoint, training state, or neither.

A name proves nothing: an attack may be called ``notes.txt``, and weights ``run.th``. Readers of
pickles check no signature either, so any file that can be read as a pickle is judged as one.
"""

from __future__ import annotations

import codecs
import re
from contextlib import closing
from enum import Enum
from typing import TYPE_CHECKING, Iterator, NamedTuple, Sequence

from ckpttool.files.sources import FileSource, read_bytes
from ckpttool.files.strict_json import begins_object
from ckpttool.files.suffixes import is_called_checkpoint
from ckpttool.findings.errors import CkpttoolError, UnsupportedError
from ckpttool.findings.rules import Severity
from ckpttool.findings.uses import Use
from ckpttool.formats.distributed.telling import is_listing
from ckpttool.formats.foreign import signatures
from ckpttool.formats.objects.describing import describe
from ckpttool.formats.objects.rebuild import is_tensor
from ckpttool.formats.pickles.nodes import pair_of
from ckpttool.formats.safetensors import whole as safetensors
from ckpttool.formats.safety.telling import findings_on
from ckpttool.formats.safety.watch import Watch
from ckpttool.formats.sharded.index import is_index
from ckpttool.formats.state_dicts.training_state import (
    beyond_arguments,
    holds_numbers,
    training_state,
)
from ckpttool.formats.torch import legacy as torch_legacy
from ckpttool.formats.torch import tar as torch_tar
from ckpttool.formats.torch import zip as torch_zip

if TYPE_CHECKING:
    from ckpttool.findings.uses import NameUse
    from ckpttool.formats.pickles import Pickle

#: Bytes from the start of a file that show its kind.
HEAD = 4096


class FileKind(Enum):
    """What is to be done with a file.

    Attributes:
        CHECKPOINT: look at it as a checkpoint, which it is or could be loaded as.
        ARCHIVE: the same, unless it proves to be an archive of another kind.
        TRAINING: training state; loading it calls nothing unknown.
        KNOWN: a kind that holds no weights and that calls nothing when it is loaded.
        WEIGHTY: an unknown or foreign kind, which may hold weights.
        CODE: source text, which is not judged.
    """

    CHECKPOINT = "checkpoint"
    ARCHIVE = "archive"
    TRAINING = "training"
    KNOWN = "known"
    WEIGHTY = "weighty"
    CODE = "code"


class Content(NamedTuple):
    """The kind of a file, a description, and whether loading it calls unknown code."""

    kind: FileKind
    what: str
    calls: bool = False


_CALLS = (Use.CALL, Use.ATTACK)
_CHECKPOINT = Content(FileKind.CHECKPOINT, "a checkpoint")
_CALLER = _CHECKPOINT._replace(calls=True)

# Kinds of files without weights, by the first bytes as each format defines them.
_HARMLESS = (
    (
        rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP|BM....\0\0\0\0|II\*\0|MM\0\*",
        "image",
    ),
    (rb"\x00\x00\x01\x00[\x01-\x40]\x00", "image"),
    (rb"%PDF-", "PDF"),
    (rb"\x00\x00\x00\x01Bud1|\x00\x05\x16\x07", "settings of macOS"),
    (rb":W&B", "log of Weights & Biases"),
    (
        rb"RIFF....(?:WAVE|AVI )|OggS|fLaC|ID3|\xff[\xfb\xf3\xf2]|....ftyp|\x1aE\xdf\xa3",
        "sound or film",
    ),
    (rb"\x80\x01....%!|\x00\x01\x00\x00\x00[\x01-\x40]|OTTO\x00|wOF[F2]", "font"),
    (rb".{8}.{4}\x09.{8}\x1a.brain\.Event:", "log of TensorBoard"),
    (rb"\n.\n.(?:<unk>|<pad>|<s>|</s>|\[PAD\]|\[UNK\])", "tokenizer of SentencePiece"),
)
_BYTECODE = re.compile(rb"..\r\n[\x00-\x03]\x00\x00\x00", re.DOTALL)
# All bytes but the control characters that no text has. Tabs, line ends, form feeds and escapes
# (of coloured logs) are in it.
_TEXT = bytes({*range(256)} - {*range(8), *range(14, 27), *range(28, 32), 127})
# Bytes that are read at once to see whether a file is text.
_CHUNK = 1 << 20
# Calls by which numpy and the standard library make arrays.
_ARRAYS = frozenset({"_reconstruct", "_frombuffer", "_array_reconstructor", "ndarray", "array"})


def content_of(path: str, trust: Sequence[str] = ()) -> Content:
    """Return the kind of a regular file; only text files are read to their end.

    Args:
        path: the file.
        trust: patterns of names whose code is trusted.

    Raises:
        UnreadableError: it cannot be opened or read.
    """
    with closing(FileSource(path)) as source:
        # a file with the name of a checkpoint is a target whatever its content: users would load it
        named = _CHECKPOINT if is_called_checkpoint(path) else None
        if source.size == 0:
            return named or Content(FileKind.KNOWN, "empty file")
        head = read_bytes(source, 0, min(HEAD, source.size))
        return _loadable(source, head, trust) or named or _other(source, head)


def _loadable(source: FileSource, head: bytes, trust: Sequence[str]) -> Content | None:
    """Return the kind of a file that torch, safetensors or a reader of pickles would load."""
    if is_listing(head):
        return _CHECKPOINT
    signed = _has_signature(head)
    calls = program = False
    if signed or torch_legacy.matches(head) or torch_legacy.may_be(head):
        pickle, uses, program = _pickled(source, head, signed)
        told = None if pickle is None else _of_pickle(source, signed, pickle, uses, trust)
        if told is not None:
            return told
        calls = any(use.use in _CALLS for use in uses)
    if calls:
        return _CALLER
    if torch_zip.matches(head) or torch_tar.matches(head):
        known = program or is_called_checkpoint(source.name)
        return _CHECKPOINT if known else Content(FileKind.ARCHIVE, "an archive")
    if signed or _is_safetensors(head) or is_index(source, head):
        return _CHECKPOINT
    return None


def _has_signature(head: bytes) -> bool:
    """Whether the file begins as a zip or as a pickle."""
    # a PostScript font (PFB) begins with the two bytes of a pickle of protocol 1
    if re.match(rb"\x80\x01....%!", head, re.DOTALL):
        return False
    return torch_zip.matches(head) or (head[:1] == b"\x80" and torch_legacy.matches(head))


def _is_safetensors(head: bytes) -> bool:
    # in a text file the eight bytes are letters, which would be a length of exabytes
    return safetensors.matches(head) and int.from_bytes(head[:8], "little") < 1 << 48


# --- pickles -----------------------------------------------------------------------------------


def _pickled(
    source: FileSource, head: bytes, signed: bool
) -> tuple[Pickle | None, tuple[NameUse, ...], bool]:
    """Return the file's pickle, the names that it uses, and whether it is a program.

    ``None`` for the pickle if it cannot be read, or if other bytes follow it.
    """
    watch = Watch()
    watch.unsigned = not signed
    try:
        with watch:
            if torch_zip.matches(head):
                return torch_zip.pickle_of(source, watch), watch.uses, False
            pickle = torch_legacy.pickle_of(source, watch)
    # dropped here: opening the file as a checkpoint reports it. TorchScript is "unsupported".
    except CkpttoolError as error:
        return None, watch.uses, isinstance(error, UnsupportedError)
    # whoever loads the first pickle may go on with those that follow
    uses = watch.uses if pickle is not None else torch_legacy.calls_of(source, head)
    return pickle, uses, False


def _of_pickle(
    source: FileSource,
    signed: bool,
    pickle: Pickle,
    uses: tuple[NameUse, ...],
    trust: Sequence[str],
) -> Content | None:
    """Return the kind of a file by its pickle; ``None`` if it may not be a pickle at all."""
    training = training_state(pickle)
    judged = uses if training is None else beyond_arguments(uses)
    if any(one.severity is Severity.ERROR for one in findings_on(judged, trust)):
        return _CALLER
    if training is not None:
        return Content(FileKind.TRAINING, training)
    if is_called_checkpoint(source.name) or pickle.ids or any(map(_makes_array, pickle.calls)):
        return _CHECKPOINT
    if not signed:  # text that happens to parse as a pickle of scalars
        return None
    what = f"pickle of {describe(pickle.root)[0]} without a tensor"
    if holds_numbers(pickle.root):
        return Content(FileKind.WEIGHTY, f"{what}, but with many numbers")
    return Content(FileKind.KNOWN, what)


def _makes_array(call: object) -> bool:
    pair = pair_of(getattr(call, "function", None))
    return is_tensor(call) or (pair is not None and pair[1] in _ARRAYS)


# --- everything else ---------------------------------------------------------------------------


def _other(source: FileSource, head: bytes) -> Content:
    foreign = signatures.kind_of(head[: signatures.HEAD])
    if foreign is signatures.LFS_POINTER:
        return Content(FileKind.WEIGHTY, foreign.what)
    if _is_text(source, head):
        if source.name.endswith((".py", ".pyi")):
            return Content(FileKind.CODE, "Python source, not judged")
        return Content(FileKind.KNOWN, "JSON" if begins_object(head) else "text")
    for pattern, what in _HARMLESS:
        if re.match(pattern, head, re.DOTALL):
            return Content(FileKind.KNOWN, what)
    if _BYTECODE.match(head):
        return Content(FileKind.CODE, "Python bytecode, not judged")
    if foreign is None:
        return Content(FileKind.WEIGHTY, "binary file of no known kind")
    # a compressed pickle: joblib and others load it as it is, and its calls are not judged
    return _CHECKPOINT if foreign.pickled else Content(FileKind.WEIGHTY, foreign.what)


def _is_text(source: FileSource, head: bytes) -> bool:
    """Whether all of it is text: UTF-8, another encoding that extends ASCII, or UTF-16."""
    # to its end, since weights may follow a header of words
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        codec = "utf-16-le" if head.startswith(b"\xff") else "utf-16-be"
        decode = codecs.getincrementaldecoder(codec)("replace").decode
        texts = (decode(chunk)[start:] for start, chunk in _chunks(source))
        return all(one.isprintable() or one.isspace() for text in texts for one in text)
    return not any(chunk.translate(None, _TEXT) for _, chunk in _chunks(source))


def _chunks(source: FileSource) -> Iterator[tuple[int, bytes]]:
    """Yield the file in chunks, each with the number of a byte-order mark's characters in it."""
    for offset in range(0, source.size, _CHUNK):
        yield int(offset == 0), read_bytes(source, offset, min(_CHUNK, source.size - offset))
