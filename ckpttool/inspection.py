"""Listing what a file holds: headers and the pickle only, no tensor's bytes, no numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpttool.errors import CkpttoolError, UsageError
from ckpttool.facts import facts_of
from ckpttool.findings import finding_from, verdict_from
from ckpttool.formats import open_checkpoint
from ckpttool.formats.dangerous import is_dangerous, is_torch_own
from ckpttool.results import EntryRow, FileReport, Listing, ReferenceRow, TensorRow

if TYPE_CHECKING:
    from ckpttool.tensors import Checkpoint, Reference


def inspect_file(path: str, wrapper: str | None = None) -> Listing:
    """List what a checkpoint holds, or say what is wrong with it.

    Args:
        path: the file.
        wrapper: the dotted key of the state dict to take; ``None`` to choose.

    Returns:
        The listing. Its verdict is PASS where the file could be read, which says nothing about
        the weights; FAIL where it is malformed or names the code of an attack.

    Raises:
        UsageError: there is no state dict under ``wrapper``.
    """
    try:
        with open_checkpoint(path, wrapper) as checkpoint:
            return _listing(path, checkpoint)
    except UsageError:
        raise
    except CkpttoolError as error:
        return Listing(FileReport(path, verdict_from(error), (finding_from(error),)))


def _listing(path: str, checkpoint: Checkpoint) -> Listing:
    return Listing(
        facts_of(path, checkpoint),
        tuple(
            TensorRow(info.name, info.dtype.name, info.shape, info.nbytes)
            for info in checkpoint.tensors.values()
        ),
        tuple((wrapper.key, wrapper.tensors) for wrapper in checkpoint.wrappers),
        tuple(EntryRow(*entry) for entry in checkpoint.entries),
        tuple(
            ReferenceRow(str(name), _kind_of(name), name.offset) for name in checkpoint.references
        ),
        checkpoint.unread,
        checkpoint.metadata,
    )


def _kind_of(reference: Reference) -> str:
    if is_dangerous(reference.module, reference.name):
        return "dangerous"
    return "torch" if is_torch_own(reference.module, reference.name) else "foreign"
