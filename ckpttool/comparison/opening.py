"""A receipt or a lock file in place of a checkpoint: what it says of the tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Union

from ckpttool.files.sources import FileSource, read
from ckpttool.files.strict_json import MAX_JSON, begins_object, strict_json
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError, UnsupportedError, UsageError
from ckpttool.findings.text import is_sha256
from ckpttool.formats import HEAD, open_source
from ckpttool.tensors.dtypes import DTYPES
from ckpttool.verification.lock.reading import is_lock, read_lock

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import Checkpoint
    from ckpttool.verification.lock.content import Lock

# A broken receipt is known by this, and a shard index by not having it.
_TOOL = b'"ckpttool"'


class Digest(NamedTuple):
    """A tensor as a receipt knows it: torch's name of the dtype, shape, SHA-256 in hexadecimal."""

    dtype: str
    shape: tuple[int, ...]
    sha256: str


class Receipt(NamedTuple):
    """What a receipt says of the result of a conversion, or a lock file of what is locked.

    Attributes:
        path: its own, as the caller named it.
        size: bytes of the files that it is of, 0 if it does not say.
        wrapper: the dotted key of the state dict; ``None`` at the root.
        tensors: by name, in order; tied names included.
        canonical: whether the names are those of the canonical layout, whatever the file's are.
    """

    path: str
    size: int
    wrapper: str | None
    tensors: dict[str, Digest]
    canonical: bool = False


def open_either(path: str, wrapper: str | None = None) -> Union[Checkpoint, Receipt]:
    """Open a checkpoint, or read a receipt or a lock file: the content decides.

    Args:
        path: the file.
        wrapper: the dotted key of the state dict to take; ``None`` to choose.

    Raises:
        UsageError: there is no state dict under ``wrapper``, or the file has none to choose.
        CkpttoolError: as :func:`ckpttool.formats.open_checkpoint`, and for a bad receipt or
            lock file.
    """
    source = FileSource(path)
    try:
        digests = _digests_in(source, wrapper)
    except BaseException as error:
        source.close()
        if isinstance(error, CkpttoolError):
            error.path = error.path or path
        raise
    if digests is None:
        return open_source(source, wrapper)
    source.close()
    return digests


def _digests_in(source: FileSource, wrapper: str | None) -> Receipt | None:
    """Return what a receipt or a lock file says; ``None`` for any other file."""
    head = read(source, 0, min(HEAD, source.size))
    if is_lock(head):
        _refuse_wrapper(wrapper)
        return _of_lock(read_lock(source.name))
    if begins_object(head) and _TOOL in read(source, 0, min(MAX_JSON, source.size)):
        document = strict_json(source, rules.RECEIPT)
        if isinstance(document, dict) and document.get("tool") == "ckpttool":
            _refuse_wrapper(wrapper)
            return _receipt(source.name, document)
    return None


def _refuse_wrapper(wrapper: str | None) -> None:
    if wrapper is not None:
        raise UsageError("a list of digests has no state dict to choose", found=repr(wrapper))


def _of_lock(lock: Lock) -> Receipt:
    if len(lock.checkpoints) > 1:
        raise UnsupportedError(
            "the lock file is of several checkpoints, which cannot be told apart here",
            rules.UNSUPPORTED,
            path=lock.path,
            found=", ".join(one.name for one in lock.checkpoints[:8]),
            fix="Use ckpttool verify --lock, or a lock file of one checkpoint.",
        )
    (locked,) = lock.checkpoints
    tensors = {
        name: Digest(tensor.dtype, tensor.shape, tensor.sha256)
        for name, tensor in locked.tensors.items()
    }
    return Receipt(
        lock.path, sum(file.size for file in locked.files), None, tensors, canonical=True
    )


def _receipt(path: str, document: dict[str, Any]) -> Receipt:
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
        if name in tensors or not isinstance(kept, str) or kept not in tensors:
            raise _bad("a tied name stands for no tensor", tensor=name)
        tensors[name] = tensors[kept]
    wrapper = result.get("wrapper")
    files = result.get("files")
    sizes = [file.get("size") for file in files if isinstance(file, dict)] if files else []
    size = sum(number for number in sizes if type(number) is int)
    return Receipt(path, size, wrapper if isinstance(wrapper, str) else None, tensors)


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
