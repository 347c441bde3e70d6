"""The receipt of a conversion: checksums and changes as JSON; see ``docs/receipt.md``.

It has no time and no folder in it, so that the same conversion gives the same receipt.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Sequence

from ckpttool._version import __version__
from ckpttool.conversion.result import map_fields
from ckpttool.files.sources import FileSource
from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError, UnsupportedError
from ckpttool.findings.text import is_sha256
from ckpttool.tensors.dtypes import DTYPES
from ckpttool.tensors.sharing import spread
from ckpttool.tensors.sums import file_sums

if TYPE_CHECKING:
    from ckpttool.conversion.earlier import Earlier
    from ckpttool.conversion.output import Copied, Job, Proven
    from ckpttool.conversion.result import WrittenFile
    from ckpttool.formats.writing.copying import PieceDigest
    from ckpttool.formats.writing.file_layout import PlannedTensor

#: Raised when a field goes or changes its meaning; new fields may come at any time.
SCHEMA_VERSION = 1

# --- writing -----------------------------------------------------------------------------


def write_receipt(
    job: Job, outputs: Sequence[WrittenFile], earlier: Earlier, copied: Copied, proven: Proven
) -> bytes:
    """Return the content of the receipt; ``outputs`` have the checksums of their content."""
    report, selection, plan = job.report, job.selection, job.plan
    sources = [one for one in job.checkpoint.sources if isinstance(one, FileSource)]
    sums = file_sums(sources, workers=job.options.workers, executor=job.options.executor)
    placed = {piece.name: (file.path, piece) for file in plan.files for piece in file.pieces}
    naming, digests = selection.naming, job.resizing.digests
    before = {name: digests.get(naming.made_of(name)[0].name) for name in naming.tensors if digests}
    document = {
        "schema_version": SCHEMA_VERSION,
        "tool": "ckpttool",
        "versions": _versions(),
        "source": {
            "format": report.format,
            "wrapper": report.wrapper,
            "layout": report.layout,
            "fingerprint": proven.source_fingerprint,
            "files": [
                _summed(source.name, source.size, sha256) for source, sha256 in zip(sources, sums)
            ],
        },
        "result": {
            "format": job.options.to,
            "wrapper": plan.wrapper,
            "layout": job.options.layout,
            "fingerprint": proven.fingerprint,
            "files": [_summed(out.path, out.size, out.sha256) for out in outputs],
        },
        "replaced": [Path(path).name for path in earlier.replaced],
        "removed": [Path(path).name for path in earlier.removed],
        "tensors": [
            _tensor(*placed[name], copied.digests[name], before.get(name))
            for name in selection.naming.tensors
            if name in placed  # the others are tied to one of these
        ],
        "map": map_fields(selection.naming.rows),
        "tied": plan.tied,
        "restored": selection.restored,
        "overlapping": plan.overlapping,
        "excluded": selection.excluded,
        "left_out": [entry._asdict() for entry in job.left_out],
        "not_called": [{**call._asdict(), "use": call.use.value} for call in job.calls],
        "casts": [cast._asdict() for cast in copied.casts],
        "not_cast": plan.not_cast,
        "resized": [table._asdict() for table in job.resizing.tables],
        "proof": proven.proof._asdict(),
    }
    # ASCII, because a name may hold half a surrogate pair, which UTF-8 cannot.
    text = json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False)
    return text.encode("ascii") + b"\n"


def _summed(path: str, size: int, sha256: str | None) -> dict[str, Any]:
    return {"name": Path(path).name, "size": size, "sha256": sha256}


def _tensor(
    path: str, piece: PlannedTensor, digest: PieceDigest, before: str | None
) -> dict[str, Any]:
    return {
        "name": piece.name,
        "file": Path(path).name,
        "dtype": piece.dtype.name,
        "shape": piece.shape,
        "sha256": digest.sha256,
        "source": {"dtype": piece.info.dtype.name, "sha256": before or digest.source_sha256},
        "same_as": piece.alias_of,
    }


def _versions() -> dict[str, str]:
    versions = {"ckpttool": __version__, "python": platform.python_version()}
    try:
        import safetensors
    except ImportError:  # not needed to write a .pth
        return versions
    return {**versions, "safetensors": safetensors.__version__}


# --- reading -----------------------------------------------------------------------------


class Digest(NamedTuple):
    """A tensor as a receipt knows it: torch's name of the dtype, shape, SHA-256 in hexadecimal."""

    dtype: str
    shape: tuple[int, ...]
    sha256: str


class Receipt(NamedTuple):
    """The digests in a receipt (of a conversion's result) or in a lock file.

    Attributes:
        path: its own, as the caller named it.
        size: bytes of the files that it describes, 0 if unknown.
        wrapper: the dotted key of the state dict; ``None`` at the root.
        tensors: by name, in order; tied names included.
        canonical: whether the names are canonical ones, not those of the file.
    """

    path: str
    size: int
    wrapper: str | None
    tensors: dict[str, Digest]
    canonical: bool = False


def read_receipt(path: str, document: dict[str, Any]) -> Receipt:
    """Check a receipt's JSON, and return its digests.

    Raises:
        MalformedError: it is not as this program writes receipts.
        UnsupportedError: it is of another schema version.
    """
    version = document.get("schema_version")
    # type(), here and below, because isinstance takes true for an int.
    if type(version) is not int:
        raise _bad("the schema_version is missing, or no integer")
    if version != SCHEMA_VERSION:
        raise UnsupportedError(
            "the receipt is of a schema version that this ckpttool does not know",
            rules.UNSUPPORTED,
            expected=f"schema_version {SCHEMA_VERSION}",
            found=f"schema_version {version}",
            fix="Use the ckpttool that wrote it, or convert again with this one.",
        )
    listed, tied = document.get("tensors"), document.get("tied", {})
    result = document.get("result", {})
    if not isinstance(listed, list) or not isinstance(tied, dict) or not isinstance(result, dict):
        raise _bad("tensors, tied or result is missing, or of another type")
    tensors: dict[str, Digest] = {}
    for entry in listed:
        name, digest = _entry(entry)
        if name in tensors:
            raise MalformedError("a tensor is listed twice", rules.DUPLICATE_KEY, tensor=name)
        tensors[name] = digest
    for name, kept in tied.items():
        # One that is listed too would have two digests.
        if name in tensors or not isinstance(kept, str) or kept not in tensors:
            raise _bad("a tied name stands for no tensor", tensor=name)
    # Only for the report, so a wrong type here is no error.
    wrapper = result.get("wrapper")
    files = result["files"] if isinstance(result.get("files"), list) else []
    sizes = [file.get("size") for file in files if isinstance(file, dict)]
    size = sum(number for number in sizes if type(number) is int)
    return Receipt(path, size, wrapper if isinstance(wrapper, str) else None, spread(tensors, tied))


def _entry(entry: object) -> tuple[str, Digest]:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise _bad("a tensor has no name")
    name, dtype, shape = entry["name"], entry.get("dtype"), entry.get("shape")
    digest = entry.get("sha256")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise _bad("no such dtype", tensor=name)
    if not isinstance(shape, list) or any(type(n) is not int or n < 0 for n in shape):
        raise _bad("the shape is not a list of sizes", tensor=name)
    if not isinstance(digest, str) or not is_sha256(digest):
        raise _bad("the digest is not a SHA-256 in hexadecimal", tensor=name)
    return name, Digest(dtype, tuple(shape), digest)


def _bad(message: str, tensor: str | None = None) -> MalformedError:
    return MalformedError(message, rules.RECEIPT, tensor=tensor)
