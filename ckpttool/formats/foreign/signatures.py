"""Files of other kinds by their first bytes, compressed pickles and plain text.

The bytes are those of each format's own definition, which ``file(1)`` goes by too.
"""

from __future__ import annotations

import codecs
import re
import zlib
from typing import TYPE_CHECKING, Callable, NamedTuple

from ckpttool.files.sources import ByteSource, read_bytes
from ckpttool.findings import rules
from ckpttool.findings.errors import UnsupportedError
from ckpttool.findings.text import size
from ckpttool.formats.foreign import answers

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import Checkpoint


class ForeignKind(NamedTuple):
    """A kind of file: what it is, what to do with it, and whether it is a compressed pickle."""

    what: str
    fix: str
    pickled: bool = False


#: Bytes from the start of a file that tell what it is; the magic of a tar ends at 263.
HEAD = 512

_SHOWN = 60  # bytes of a text that are shown

_LOAD_TF = "Load it in TensorFlow and save the arrays as safetensors (safetensors.numpy.save_file)."
_SAVE = "and save the arrays as safetensors (safetensors.numpy.save_file)."
_UNPACK = "Unpack it, and name the checkpoint in it."
#: Advice for files that hold no weights, and for parts of a distributed checkpoint.
NAME_WEIGHTS = "Name the checkpoint of the weights."
NAME_FOLDER = (
    "Name the folder that it lies in, or the .metadata there, which lists all parts. If none is "
    "there, copy it from where they are from: * in a shell leaves it out, and no part can be read "
    "without it."
)
_SOURCE = "Name the checkpoint that it was made from"

LFS_POINTER = ForeignKind(
    "a pointer of Git LFS, which stands in the place of the file",
    "Get the file itself: git lfs pull, or lfs: true at the checkout of a CI job.",
)

#: Patterns for the first bytes, to the kind of file. The order counts where one pattern includes
#: another: an XML error of a bucket is fetched again, other XML is not.
SIGNATURES: tuple[tuple[bytes, ForeignKind], ...] = (
    (rb"version https://git-lfs\.github\.com/spec/", LFS_POINTER),
    # these are told by more of the file, and with what they say of themselves
    (answers.PAGE, ForeignKind("an HTML page, not a checkpoint", answers.FETCH)),
    (answers.ERROR, ForeignKind("an error in XML, not a checkpoint", answers.FETCH)),
    (
        rb"(?:\xef\xbb\xbf)?\s*<\?xml",
        ForeignKind("an XML document, not a checkpoint", NAME_WEIGHTS),
    ),
    (rb"\s*\[", ForeignKind("text that begins as a list in JSON does", NAME_WEIGHTS)),
    (rb"\x89HDF\r\n\x1a\n", ForeignKind("an HDF5 file", f"Load it with h5py {_SAVE}")),
    (
        rb"GGUF",
        ForeignKind(
            "a GGUF file of llama.cpp", f"{_SOURCE}; the gguf package lists it: gguf-dump."
        ),
    ),
    (rb"(?:lmgg|fmgg|tjgg|algg)", ForeignKind("a GGML file of llama.cpp", f"{_SOURCE}.")),
    (rb"\x93NUMPY", ForeignKind("a numpy array (.npy)", f"Load it with numpy.load {_SAVE}")),
    (rb"\x1c...TFL3", ForeignKind("a TensorFlow Lite model", f"{_SOURCE}.")),
    (
        rb"....PTMF",
        ForeignKind(
            "a TorchScript program for mobiles (a flatbuffer, .ptl)",
            f"{_SOURCE}; or, where you know who wrote it, save its weights: "
            "torch.save(torch.jit.load(PATH).state_dict(), NEW).",
        ),
    ),
    (
        rb"....ET\d\d",
        ForeignKind("a program of ExecuTorch (a flatbuffer, .pte)", f"{_SOURCE}."),
    ),
    (
        rb"\x0c\xdb(?:\x3a\x2a|\x12\x34|\x20\xde)",  # manifest, node, node of versions
        ForeignKind(
            "a part of an OCDBT database, as Orbax writes checkpoints of JAX",
            f"Load the folder with orbax.checkpoint {_SAVE}",
        ),
    ),
    (rb"\x08\x01\x12.", ForeignKind("a SavedModel of TensorFlow", _LOAD_TF)),
    (
        # protobuf without a magic: field 1, ir_version, then the producer's name or the graph
        rb"\x08[\x03-\x20](?:\x12.[\x20-\x7e]|:)",
        ForeignKind(
            "an ONNX model", f"{_SOURCE}; onnx.load and onnx.numpy_helper give its arrays."
        ),
    ),
    (
        # a map whose first key is text
        rb"(?:[\x81-\x8f]|\xde..|\xdf....)(?:[\xa1-\xbf]|\xd9.)[\w./-]",
        ForeignKind(
            "a msgpack file, as Flax writes",
            f"Load it with flax.serialization.msgpack_restore {_SAVE}",
        ),
    ),
    (rb"ftrt", ForeignKind("an engine of TensorRT", f"{_SOURCE}.")),
    (rb"PK\x05\x06", ForeignKind("an empty zip archive", NAME_WEIGHTS)),
    (rb"7z\xbc\xaf\x27\x1c", ForeignKind("a 7z archive", _UNPACK)),
    (rb"Rar!\x1a\x07", ForeignKind("a RAR archive", _UNPACK)),
    (rb"\x28\xb5\x2f\xfd", ForeignKind("compressed with zstd", "Decompress it first: unzstd.")),
    (rb"\x04\x22\x4d\x18", ForeignKind("compressed with LZ4", "Decompress it first: unlz4.")),
    (rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a", ForeignKind("an image", NAME_WEIGHTS)),
    (rb"%PDF-", ForeignKind("a PDF document", NAME_WEIGHTS)),
    (rb"ARROW1\0|PAR1", ForeignKind("a table of Arrow or Parquet", NAME_WEIGHTS)),
    (rb"SQLite format 3\0", ForeignKind("a database of SQLite", NAME_WEIGHTS)),
    (rb"MATLAB 5\.0 MAT-file", ForeignKind("a MAT file", f"Load it with scipy.io.loadmat {_SAVE}")),
    (rb"\x7fELF|MZ\x90\0", ForeignKind("a program or a shared library", NAME_WEIGHTS)),
)
_SIGNATURES = [(re.compile(pattern, re.DOTALL), kind) for pattern, kind in SIGNATURES]

# TensorFlow's checkpoints: an index with a magic number at its end, and data without any.
_TF_INDEX_END = bytes.fromhex("57fb808b247547db")
_TF_DATA = re.compile(r".*\.data-\d{5}-of-\d{5}", re.DOTALL)
_TF = ForeignKind("a part of a TensorFlow checkpoint", _LOAD_TF)
_TEXT = ForeignKind("a text file, not a checkpoint", NAME_WEIGHTS)
# What a symbolic link becomes where links are not kept; the cache of the hub is full of links.
_LINK = re.compile(rb"[\w.@+~-]*(?:/[\w.@+~=-]+)+\s?")
_PATH = ForeignKind(
    "a text that is a path, as a symbolic link becomes where links are not kept",
    "Name the file that it points to, or copy that file in its place.",
)
_BLANK = ForeignKind("blank: it holds only white space", NAME_WEIGHTS)
_ZEROS = ForeignKind(
    f"not a checkpoint: it begins with {HEAD} zero bytes, as if it was never filled",
    "Download, copy or save it again.",
)
_LFS_SIZE = re.compile(rb"\nsize (\d{1,18})\n")
# What the Hugging Face hub and other servers answer in place of a file, saved under its name.
_ANSWER = re.compile(
    rb"(?i)\s*(?:error:?\s+)?(?:(?:entry|file|repository|revision|page|404:?) not found|not found"
    rb"|access (?:to|denied)|invalid (?:username|credentials)|unauthorized|forbidden"
    rb"|internal server|too many requests|bad gateway|service unavailable|http/[\d.]{1,5} \d)"
)


class _Compression(NamedTuple):
    signature: re.Pattern[bytes]
    name: str
    begin: Callable[[bytes], bytes]


# A pickle of protocol 0 that makes a list or a dictionary, or calls something.
_OLD_PICKLE = re.compile(rb"\((?:[dl]p?\d*\n|c[\w.]+\n)|c[\w.]+\n[\w.]+\n")
# Bytes that are decompressed: enough to see a pickle, and nothing for a decompression bomb.
_BEGIN = 64


def _bzip2(head: bytes) -> bytes:
    import bz2  # late, as below: hardly any file is compressed

    return bz2.BZ2Decompressor().decompress(head, _BEGIN)


def _xz(head: bytes) -> bytes:
    import lzma

    try:
        # the header may ask for a dictionary of 4 GB, which is allocated before anything is read
        return lzma.LZMADecompressor(memlimit=128_000_000).decompress(head, _BEGIN)
    except lzma.LZMAError as error:
        raise OSError(str(error)) from error


_COMPRESSIONS = (
    _Compression(
        re.compile(rb"\x1f\x8b\x08"),
        "gzip",
        lambda head: zlib.decompressobj(31).decompress(head, _BEGIN),
    ),
    _Compression(
        re.compile(rb"BZh[1-9]1AY&SY"),
        "bzip2",
        _bzip2,
    ),
    _Compression(
        re.compile(rb"\xfd7zXZ\0|\x5d\0\0"),
        "xz or LZMA",
        _xz,
    ),
    _Compression(
        re.compile(rb"\x78[\x01\x5e\x9c\xda]"),
        "zlib",
        lambda head: zlib.decompressobj().decompress(head, _BEGIN),
    ),
)


def kind_of(head: bytes) -> ForeignKind | None:
    """Return the kind of a file that begins with ``head``; ``None`` if it is not known."""
    for pattern, kind in _SIGNATURES:
        if pattern.match(head):
            return kind
    for compression in _COMPRESSIONS:
        if compression.signature.match(head):
            return _compressed(compression, head)
    return None


def _compressed(compression: _Compression, head: bytes) -> ForeignKind | None:
    try:
        begin = compression.begin(head)
    except (zlib.error, OSError):
        return None  # two or three bytes of signature match other files too
    if begin.startswith(b"\x80") or _OLD_PICKLE.match(begin):
        return ForeignKind(
            f"a pickle compressed with {compression.name}",
            "Decompress it, and name the result, whose content is judged then.",
            pickled=True,
        )
    return ForeignKind(f"compressed with {compression.name}", "Decompress it, and name the result.")


def matches(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is of a known other kind."""
    return kind_of(head) is not None


def read(source: ByteSource, wrapper: str | None) -> Checkpoint:
    """Say what the file is.

    Raises:
        UnsupportedError: always.
    """
    del wrapper  # of a format's interface: these files have no state dicts to choose from
    raise unknown(source)


def unknown(source: ByteSource) -> UnsupportedError:
    """Return the error for a file that is no checkpoint, with its kind if that is known."""
    begin = read_bytes(source, 0, min(answers.SEARCHED, source.size))
    head = begin[:HEAD]
    answer = answers.answer_in(begin)
    if answer is not None:
        return UnsupportedError(f"the file is {answer.what}", rules.UNKNOWN_FORMAT, fix=answer.fix)
    kind = kind_of(head) or _by_end(source) or _text_or_nothing(source, head)
    if kind is None:
        return UnsupportedError(
            "the content is of no known checkpoint format",
            rules.UNKNOWN_FORMAT,
            found=f"first bytes {head[:8]!r}",
            fix="Name a .pth written by torch.save, a .safetensors file or a shard index.",
        )
    found = _shown(kind, head)
    fix = answers.FETCH if kind is _TEXT and _ANSWER.match(head) else kind.fix
    return UnsupportedError(f"the file is {kind.what}", rules.UNKNOWN_FORMAT, found=found, fix=fix)


def _text_or_nothing(source: ByteSource, head: bytes) -> ForeignKind | None:
    """Return the kind of a file that is text, or zero bytes."""
    if len(head) == HEAD and not any(head):
        return _ZEROS
    if not is_text(head):
        return None
    if source.size <= HEAD:
        if head.isspace():
            return _BLANK
        if _LINK.fullmatch(head):
            return _PATH
    return _TEXT


def _shown(kind: ForeignKind, head: bytes) -> str | None:
    """Return what is shown of a text, or of the file that a pointer stands for."""
    if kind in (_TEXT, _PATH):
        return repr(head[:_SHOWN].decode("utf-8", "replace"))
    pointed = _LFS_SIZE.search(head) if kind is LFS_POINTER else None
    return f"the pointer to a file of {size(int(pointed.group(1)))}" if pointed else None


def is_text(head: bytes) -> bool:
    """Whether the bytes are text, for example an error message or a configuration."""
    try:
        # incremental, since the last character may be cut in the middle
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return bool(text) and all(char.isprintable() or char in "\t\r\n" for char in text)


def _by_end(source: ByteSource) -> ForeignKind | None:
    end = len(_TF_INDEX_END)
    if source.size >= end and read_bytes(source, source.size - end, end) == _TF_INDEX_END:
        return _TF
    return _TF if _TF_DATA.fullmatch(source.name) else None  # its bytes have no mark at all
