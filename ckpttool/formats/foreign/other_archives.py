"""Zip and tar archives that torch.save did not write: what they are, by their members.

``torch.load`` reads no zip archive without a ``data.pkl`` and no tar without ``storages``,
``tensors`` and ``pickle``: such a file is not a broken checkpoint but another kind of file.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Iterable

from ckpttool.files.sources import Part
from ckpttool.files.suffixes import SUFFIXES
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, UnsupportedError
from ckpttool.findings.text import printable, some_of
from ckpttool.formats import pickles
from ckpttool.formats.archives.archive import read_archive, read_member
from ckpttool.formats.archives.zip_end import start_of
from ckpttool.formats.foreign.loose_pickles import names_in
from ckpttool.formats.foreign.signatures import NAME_FOLDER, NAME_WEIGHTS, ForeignKind
from ckpttool.formats.pickles.nodes import Call, Dict

if TYPE_CHECKING:
    from ckpttool.files.sources import ByteSource
    from ckpttool.findings.errors import MalformedError
    from ckpttool.formats.pickles.nodes import Node

#: Bytes of a pickle that is read of a .distcp file: each describes one tensor.
MAX_PICKLE = 1_000_000

_CONTENT = "data.pkl"
_STATE_DICT = "save its state_dict() with torch.save."

#: A pattern for a whole member name, to what an archive with such a member is. The first that
#: matches counts: other archives of torch have members of the last row too.
_BY_MEMBER: tuple[tuple[str, ForeignKind], ...] = (
    (
        r".+/archive_format",
        ForeignKind(
            "an archive of torch.export (.pt2), a program with its weights",
            f"Load it with torch.export.load where you know who wrote it, and {_STATE_DICT}",
        ),
    ),
    (
        r".+/\.data/extern_modules",
        ForeignKind(
            "a package of torch.package, which holds code",
            f"Load it with torch.package where you know who wrote it, and {_STATE_DICT}",
        ),
    ),
    (
        r"_stable_baselines3_version",
        ForeignKind(
            "an agent of Stable-Baselines3", "Unpack it: policy.pth in it is a checkpoint."
        ),
    ),
    (
        r"model\.weights\.h5|.+\.weights\.h5",
        ForeignKind("a model of Keras", "Load it with Keras and save the arrays as safetensors."),
    ),
    (r"\[Content_Types\]\.xml", ForeignKind("an Office document", NAME_WEIGHTS)),
    (
        r".+\.onnx",
        ForeignKind(
            "a zip archive with an ONNX model in it", "Name the checkpoint it was made from."
        ),
    ),
    (
        r"[^/]+/attributes\.pkl",
        ForeignKind(
            "an early TorchScript program (model.json)", "Name the checkpoint it was made from."
        ),
    ),
    (r"META-INF/.+", ForeignKind("a Java archive", NAME_WEIGHTS)),
    (
        r".+/\.data/serialization_id|.+/data/\d+",
        ForeignKind(
            "a zip archive of torch without data.pkl: what was saved in it is not there",
            "Save it again: torch.save leaves such a file when an object cannot be pickled.",
        ),
    ),
)
_NPZ = ForeignKind(
    "an archive of numpy arrays (.npz)",
    "Load it with numpy.load and save the arrays as safetensors (safetensors.numpy.save_file).",
)
_DCP = ForeignKind(
    "a part of a torch.distributed.checkpoint (.distcp): a sequence of archives, one per tensor",
    NAME_FOLDER,
)


def other_zip(source: ByteSource, error: MalformedError) -> UnsupportedError | None:
    """Return what a refused zip archive is instead, ``None`` if it may be one of torch.save."""
    # its data.pkl may have been in the part that is missing
    if error.rule is rules.TRUNCATED:
        return None
    if _is_distributed(source):
        return _error(_DCP)
    names = _names(source)
    if not names or any(name.lower().endswith(_CONTENT) for name in names):
        return None
    return _error(_kind_of(names))


def other_tar(names: Iterable[str]) -> UnsupportedError:
    """Return the error for a tar archive of these files, none of which is torch's."""
    # extended headers, which find_members lists as members
    plain = [name for name in sorted(names) if "PaxHeader" not in name]
    return _error(_holding("a tar archive", plain))


def _names(source: ByteSource) -> list[str]:
    """Return the names of all members."""
    try:
        return list(read_archive(source).members)
    except CkpttoolError:
        return names_in(source)  # with those of archives that are stored in it


def _kind_of(names: list[str]) -> ForeignKind:
    for pattern, kind in _BY_MEMBER:
        if any(re.fullmatch(pattern, name, re.DOTALL) for name in names):
            return kind
    if all(name.endswith(".npy") for name in names):
        return _NPZ
    return _holding("a zip archive", names)


def _holding(what: str, names: list[str]) -> ForeignKind:
    weights = [name for name in names if name.endswith(SUFFIXES)]
    if weights:
        shown = some_of([printable(name) for name in weights], 3)
        return ForeignKind(f"{what} with {shown} in it", "Unpack it, and name the file in it.")
    shown = ", ".join(map(printable, names[:3]))
    return ForeignKind(
        f"{what}, but none of torch.save: it holds {shown or 'nothing'}",
        NAME_WEIGHTS,
    )


def _is_distributed(source: ByteSource) -> bool:
    """Whether the file is a row of archives, the last of which holds no state dict."""
    # two archives of state dicts in a row are no honest file: readers see one or the other
    start = start_of(source)
    if not start:
        return False
    with suppress(CkpttoolError):
        part = Part(source, start, source.size - start)
        archive = read_archive(part)
        for name, member in archive.members.items():
            if name.endswith(f"/{_CONTENT}"):
                root = pickles.parse(read_member(archive.source, member, MAX_PICKLE)).root
                return _is_leaf(root)
    return False


def _is_leaf(root: Node) -> bool:
    """Whether it is one entry of a distributed checkpoint: a tensor, or a plain value."""
    if isinstance(root, Dict):
        return not root.flat
    return not (isinstance(root, Call) and root.mapped)


def _error(kind: ForeignKind) -> UnsupportedError:
    return UnsupportedError(f"the file is {kind.what}", rules.UNSUPPORTED, fix=kind.fix)
