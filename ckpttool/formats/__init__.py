"""Opening a checkpoint: the content decides the format, never the extension.

``single`` has the table of the containers of one file; a checkpoint in several is opened through
the file that lists them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpttool.files import collecting
from ckpttool.files.paged import Paged
from ckpttool.files.sources import FileSource
from ckpttool.findings.arguments import AnyPath, check_text, path_of
from ckpttool.findings.errors import CkpttoolError
from ckpttool.formats import extensions, single
from ckpttool.formats.sharded import shards as sharded

if TYPE_CHECKING:
    from ckpttool.files.sources import ByteSource
    from ckpttool.formats.single import Format
    from ckpttool.tensors.catalogue import Checkpoint

HEAD = single.HEAD

#: Those that list the files of a checkpoint, tried before the containers of one file: an index may
#: have a brace where a safetensors header begins.
LISTS: tuple[Format, ...] = (sharded,)


def open_checkpoint(path: AnyPath, *, wrapper: str | None = None) -> Checkpoint:
    """Open a checkpoint of any known container without executing anything in it.

    Only headers and the pickle are read; the tensors' bytes stay where they are. Use the
    result in a ``with`` block, or call its ``close``.

    Args:
        path: a ``.pth`` (zip, legacy or tar), a ``.safetensors`` file or an index of shards.
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
        head = single.head_of(source)
        lists = next((form for form in LISTS if form.matches(head)), None)
        with collecting.paused():
            if lists is None:
                checkpoint = single.read(source, head, wrapper)
            else:
                checkpoint = single.read_as(lists, source, head, wrapper)
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
