"""Reading the receipt of a conversion or a proof, as strictly as it was written.

See ``docs/receipt.md``.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError, UnsupportedError
from ckpttool.findings.text import is_sha256
from ckpttool.models.schema_file import MOST_AXES, MOST_ELEMENTS
from ckpttool.tensors.dtypes import DTYPES
from ckpttool.tensors.sharing import spread

#: Raised when a field goes or changes its meaning; new fields may come at any time.
SCHEMA_VERSION = 1
#: Names that stand for other tensors: a few of a model do.
MOST_TIED = 100_000
#: The kind that the receipt of a proof says it is; that of a conversion says none.
PROOF = "proof"


class Digest(NamedTuple):
    """A tensor as a receipt knows it: torch's name of the dtype, shape, SHA-256 in hexadecimal."""

    dtype: str
    shape: tuple[int, ...]
    sha256: str


class Receipt(NamedTuple):
    """The digests in a receipt (of what was made by a conversion, or proven) or in a lock file.

    Attributes:
        path: its own, as the caller named it.
        size: bytes of the files that it describes, 0 if unknown.
        wrapper: the dotted key of the state dict; ``None`` at the root.
        tensors: by name, in order; tied names included.
        canonical: whether the names are canonical ones, not those of the file.
        kind: what it is, in words.
    """

    path: str
    size: int
    wrapper: str | None
    tensors: dict[str, Digest]
    canonical: bool = False
    kind: str = "receipt of a conversion"


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
    if document.get("kind") == PROOF and document.get("verdict") != "proven":
        raise _bad("it is of a proof, and does not say that it holds")
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
    if len(tied) > MOST_TIED:
        raise MalformedError(
            "more tied names than the limit",
            rules.LIMIT,
            expected=f"at most {MOST_TIED:,}",
            found=f"{len(tied):,}",
        )
    for name, kept in tied.items():
        # One that is listed too would have two digests.
        if name in tensors or not isinstance(kept, str) or kept not in tensors:
            raise _bad("a tied name stands for no tensor", tensor=name)
    # Only for the report, so a wrong type here is no error.
    wrapper = result.get("wrapper")
    files = result["files"] if isinstance(result.get("files"), list) else []
    sizes = [file.get("size") for file in files if isinstance(file, dict)]
    size = sum(number for number in sizes if type(number) is int)
    kind = "receipt of a proof" if document.get("kind") == PROOF else "receipt of a conversion"
    return Receipt(
        path,
        size,
        wrapper if isinstance(wrapper, str) else None,
        spread(tensors, tied),
        kind=kind,
    )


def _entry(entry: object) -> tuple[str, Digest]:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise _bad("a tensor has no name")
    name, dtype, shape = entry["name"], entry.get("dtype"), entry.get("shape")
    digest = entry.get("sha256")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise _bad("no such dtype", tensor=name)
    if not isinstance(shape, list) or any(type(n) is not int or n < 0 for n in shape):
        raise _bad("the shape is not a list of sizes", tensor=name)
    # without the zeros: beside one of them a size is bounded, too
    if len(shape) > MOST_AXES or prod(filter(None, shape)) > MOST_ELEMENTS:
        raise _bad("more elements than a file can have", tensor=name)
    if not isinstance(digest, str) or not is_sha256(digest):
        raise _bad("the digest is not a SHA-256 in hexadecimal", tensor=name)
    return name, Digest(dtype, tuple(shape), digest)


def _bad(message: str, tensor: str | None = None) -> MalformedError:
    return MalformedError(message, rules.RECEIPT, tensor=tensor)
