"""Opening a checkpoint: the content decides the format, never the extension.

A format is a module with ``matches(head) -> bool``, given the first :data:`HEAD` bytes, and
``read(source, wrapper) -> Checkpoint``, and a line in :data:`FORMATS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ckpttool.files import collecting
from ckpttool.files.paged import Paged
from ckpttool.files.sources import ByteSource, FileSource, read_bytes
from ckpttool.findings import rules
from ckpttool.findings.arguments import AnyPath, check_text, path_of
from ckpttool.findings.errors import CkpttoolError, MalformedError, adding_uses
from ckpttool.formats import extensions
from ckpttool.formats.foreign import signatures
from ckpttool.formats.safetensors import sharded
from ckpttool.formats.safetensors import whole as safetensors
from ckpttool.formats.torch import legacy as torch_legacy
from ckpttool.formats.torch import tar as torch_tar
from ckpttool.formats.torch import zip as torch_zip

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import Checkpoint

HEAD = signatures.HEAD


class Format(Protocol):
    """What a format module offers."""

    def matches(self, head: bytes) -> bool:
        """Whether a file that starts with ``head`` is of this format."""

    def read(self, source: ByteSource, wrapper: str | None) -> Checkpoint:
        """Catalogue the file. ``wrapper`` is the dotted key asked for, ``None`` to choose."""


#: Tried in this order. An index may have a brace where a safetensors header begins, so that
#: ``sharded`` comes first of the two. ``signatures`` are those of files that are no checkpoints.
#: The legacy stream comes last, since it has the weakest signature.
FORMATS: tuple[Format, ...] = (
    torch_zip,
    torch_tar,
    sharded,
    safetensors,
    signatures,
    torch_legacy,
)


def open_checkpoint(path: AnyPath, *, wrapper: str | None = None) -> Checkpoint:
    """Open a checkpoint of any known container without executing anything in it.

    Only headers and the pickle are read; the tensors' bytes stay where they are. Use the
    result in a ``with`` block, or call its ``close``.

    Args:
        path: a ``.pth`` (zip, legacy or tar), a ``.safetensors`` file or a shard index.
        wrapper: the dotted key of the state dict to take (``model_ema``); ``None`` takes the
            one that the content suggests, ``""`` the root.

    Raises:
        MalformedError: the file breaks its format or is not safe to read.
        UnreadableError: missing, not a regular file, not permitted, or changed meanwhile.
        UnsupportedError: of a kind that is not known or not supported.
        UsageError: there is no state dict under ``wrapper``, or the path is no path.
    """
    check_text(wrapper, "wrapper")
    return open_source(FileSource(path_of(path)), wrapper)


def open_source(source: ByteSource, wrapper: str | None) -> Checkpoint:
    """Do what :func:`open_checkpoint` does with a file that is open; an error closes it."""
    path = source.name
    if source.is_far:
        source = Paged(source)
    try:
        head = _head(source)
        form = _format_of(source, head)
        # the file may be a pickle as well, and its calls count whichever format is read
        hidden = () if form is torch_legacy else torch_legacy.calls_of(source, head)
        with adding_uses(hidden), collecting.paused():
            checkpoint = form.read(source, wrapper)
        checkpoint.uses += hidden
        checkpoint.remarks += extensions.remarks_on(path, checkpoint.format)
        return checkpoint
    except CkpttoolError as error:
        source.close()
        if error.path is None:
            error.path = path
        raise
    except BaseException:  # Ctrl-C as well
        source.close()
        raise


def _head(source: ByteSource) -> bytes:
    if source.size == 0:
        fix = "Fetch, copy or save it again: it has no bytes."
        raise MalformedError("the file is empty", rules.TRUNCATED, fix=fix)
    return read_bytes(source, 0, min(HEAD, source.size))


def _format_of(source: ByteSource, head: bytes) -> Format:
    for candidate in FORMATS:
        if candidate.matches(head):
            return candidate
    # Nothing matched, so the file is refused. The name only chooses which error explains it best.
    if source.name.endswith(".safetensors") and not signatures.is_text(head):
        return safetensors
    return torch_legacy if torch_legacy.may_be(head) else signatures
