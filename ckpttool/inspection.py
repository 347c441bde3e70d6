"""Listing what a file holds: headers and the pickle only, no tensor's bytes, no numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpttool.facts import facts_of, stopped
from ckpttool.findings.errors import CkpttoolError
from ckpttool.findings.finding import Verdict
from ckpttool.findings.listing import TRUSTED, EntryRow, Listing, ReferenceRow, TensorRow, UseRow
from ckpttool.findings.results import FileReport
from ckpttool.findings.uses import Use
from ckpttool.formats import open_checkpoint
from ckpttool.formats.safety.names import python3
from ckpttool.formats.safety.telling import is_trusted
from ckpttool.tensors.sharing import find_sharing

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import Checkpoint


def inspect_file(path: str, wrapper: str | None = None, trust: tuple[str, ...] = ()) -> Listing:
    """List what a checkpoint holds, or say what is wrong with it.

    Args:
        path: the file.
        wrapper: the dotted key of the state dict to take; ``None`` to choose.
        trust: patterns of names whose code is trusted.

    Returns:
        The listing. Its verdict is PASS where the file could be read, which says nothing about
        the weights; FAIL where it is malformed or loading it calls code that is not known.

    Raises:
        UsageError: there is no state dict under ``wrapper``.
    """
    try:
        with open_checkpoint(path, wrapper) as checkpoint:
            return _listing(path, checkpoint, trust)
    except CkpttoolError as error:
        known = FileReport(path, Verdict.CANNOT_TELL, ())
        return Listing(stopped(known, error, trust))


def _listing(path: str, checkpoint: Checkpoint, trust: tuple[str, ...]) -> Listing:
    return Listing(
        facts_of(path, checkpoint, trust),
        tuple(
            TensorRow(info.name, info.dtype.name, info.shape, info.nbytes)
            for info in checkpoint.tensors.values()
        ),
        tuple((wrapper.key, wrapper.tensors) for wrapper in checkpoint.wrappers),
        checkpoint.outside,
        tuple(EntryRow(*entry) for entry in checkpoint.entries),
        _references(checkpoint, trust),
        tuple(UseRow(use.use.value, *use[1:6], is_trusted(use, trust)) for use in checkpoint.uses),
        checkpoint.unread,
        checkpoint.metadata,
        find_sharing(checkpoint.tensors).groups,
    )


def _references(checkpoint: Checkpoint, trust: tuple[str, ...]) -> tuple[ReferenceRow, ...]:
    kinds = {
        use.name: TRUSTED if is_trusted(use, trust) else use.use.value
        for kind in Use
        for use in checkpoint.uses
        if use.use is kind
    }
    return tuple(
        ReferenceRow(str(one), kinds.get(str(python3(one.module, one.name)), "data"), one.offset)
        for one in checkpoint.references
    )
