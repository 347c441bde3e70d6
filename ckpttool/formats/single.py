"""The containers of one file, and opening one that is open as bytes.

A format is a module with ``matches(head) -> bool``, given the first :data:`HEAD` bytes, and
``read(source, wrapper) -> Checkpoint``, and a line in :data:`FORMATS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ckpttool.files.sources import read_bytes
from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError, adding_uses
from ckpttool.formats.foreign import signatures
from ckpttool.formats.safetensors import whole as safetensors
from ckpttool.formats.torch import legacy as torch_legacy
from ckpttool.formats.torch import tar as torch_tar
from ckpttool.formats.torch import zip as torch_zip

if TYPE_CHECKING:
    from ckpttool.files.sources import ByteSource
    from ckpttool.tensors.catalogue import Checkpoint

HEAD = signatures.HEAD


class Format(Protocol):
    """What a format module offers."""

    def matches(self, head: bytes) -> bool:
        """Whether a file that starts with ``head`` is of this format."""

    def read(self, source: ByteSource, wrapper: str | None) -> Checkpoint:
        """Catalogue the file. ``wrapper`` is the dotted key asked for, ``None`` to choose."""


#: Tried in this order. ``signatures`` are those of files that are no checkpoints. The legacy stream
#: comes last, since it has the weakest signature.
FORMATS: tuple[Format, ...] = (torch_zip, torch_tar, safetensors, signatures, torch_legacy)


def head_of(source: ByteSource) -> bytes:
    """Return the first bytes of a file.

    Raises:
        MalformedError: it has none.
    """
    if source.size == 0:
        fix = "Download, copy or save it again: it has no bytes."
        raise MalformedError("the file is empty", rules.TRUNCATED, fix=fix)
    return read_bytes(source, 0, min(HEAD, source.size))


def read(source: ByteSource, head: bytes, wrapper: str | None) -> Checkpoint:
    """Catalogue a file that begins with ``head``; see ``open_checkpoint`` for the errors."""
    return read_as(_format_of(source, head), source, head, wrapper)


def read_as(form: Format, source: ByteSource, head: bytes, wrapper: str | None) -> Checkpoint:
    """Catalogue a file of this format."""
    # the file may be a pickle as well, and its calls count whichever format is read
    hidden = () if form is torch_legacy else torch_legacy.calls_of(source, head)
    with adding_uses(hidden):
        checkpoint = form.read(source, wrapper)
    checkpoint.uses += hidden
    return checkpoint


def _format_of(source: ByteSource, head: bytes) -> Format:
    for candidate in FORMATS:
        if candidate.matches(head):
            return candidate
    # Nothing matched, so the file is refused. The name only chooses which error explains it best.
    if source.name.endswith(".safetensors") and not signatures.is_text(head):
        return safetensors
    return torch_legacy if torch_legacy.may_be(head) else signatures
