"""What lists the tensors of a checkpoint in its place: a receipt, or a lock file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, TypeVar, Union

from ckpttool.files.sources import FileSource, read_bytes
from ckpttool.files.strict_json import MAX_JSON, begins_object, strict_json
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, UnsupportedError, UsageError
from ckpttool.formats import HEAD, checkpoint_file
from ckpttool.inputs.receipts import Digest, Receipt, read_receipt
from ckpttool.verification.lock.reading import is_lock, read_lock

if TYPE_CHECKING:
    from ckpttool.verification.lock.content import Lock

_Listed = TypeVar("_Listed")

# Recognises a receipt even if its JSON is broken, and tells it from a shard index.
_TOOL = b'"ckpttool"'


def listed_in(
    path: str, read: Callable[[FileSource], _Listed | None]
) -> Union[_Listed, FileSource]:
    """Return what ``read`` finds in a file, which is closed then; the open file if that is nothing.

    Raises:
        CkpttoolError: those of ``read``, with the path.
    """
    source = FileSource(checkpoint_file(path))
    try:
        listed = read(source)
    except BaseException as error:  # an interrupt must not leave the file open either
        source.close()
        if isinstance(error, CkpttoolError):
            error.path = error.path or path
        raise
    if listed is None:
        return source
    source.close()
    return listed


def digests_in(source: FileSource, wrapper: str | None) -> Receipt | None:
    """Return the digests in a receipt or lock file; ``None`` for any other file."""
    head = read_bytes(source, 0, min(HEAD, source.size))
    if is_lock(head):
        _refuse_wrapper(wrapper)
        return _of_lock(read_lock(source.name))
    # Searched before it is parsed: errors in another tool's JSON are for the checkpoint's parser.
    if begins_object(head) and _TOOL in read_bytes(source, 0, min(MAX_JSON, source.size)):
        document = strict_json(source, rules.RECEIPT)
        if isinstance(document, dict) and document.get("tool") == "ckpttool":
            _refuse_wrapper(wrapper)
            return read_receipt(source.name, document)
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
        lock.path,
        sum(file.size for file in locked.files),
        None,
        tensors,
        canonical=True,
        kind="lock file",
    )
