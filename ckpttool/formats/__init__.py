"""Opening a checkpoint: the content decides the format, never the extension.

``single`` has the table of the containers of one file; a checkpoint in several is opened through
the file that lists them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ckpttool.files import collecting
from ckpttool.files.paged import Paged
from ckpttool.files.sources import FileSource, unless_changed
from ckpttool.findings import rules
from ckpttool.findings.arguments import AnyPath, check_text, path_of
from ckpttool.findings.errors import CkpttoolError, UnsupportedError
from ckpttool.formats import extensions, single
from ckpttool.formats.distributed import telling
from ckpttool.formats.distributed.telling import SUFFIX as PART
from ckpttool.formats.foreign.signatures import NAME_FOLDER
from ckpttool.formats.sharded import shards as sharded

if TYPE_CHECKING:
    from ckpttool.files.sources import ByteSource
    from ckpttool.findings.uses import NameUse
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
        path: a ``.pth`` (zip, legacy or tar), a ``.safetensors`` file or an index of shards; the
            folder of a distributed checkpoint, or the ``.metadata`` in it.
        wrapper: the dotted key of the state dict to take (``model_ema``); ``None`` takes the
            one that the content suggests, ``""`` the root.

    Raises:
        MalformedError: the file breaks its format or is not safe to read.
        UnreadableError: missing, not a regular file, not permitted, or changed meanwhile.
        UnsupportedError: of a kind that is not known or not supported.
        UsageError: there is no state dict under ``wrapper``, or the path is no path.
    """
    check_text(wrapper, "wrapper")
    return open_source(FileSource(checkpoint_file(path_of(path))), wrapper)


def checkpoint_file(path: str) -> str:
    """Return the file by which the checkpoint at a path is opened.

    For a folder with the parts of one distributed checkpoint that is the file that lists them, or
    the first of them; any other path stays as it is.
    """
    if not os.path.isdir(path):  # noqa: PTH112 (any text may be a path here)
        return path
    return telling.first_in(path) or path


def open_source(source: ByteSource, wrapper: str | None) -> Checkpoint:
    """Do what :func:`open_checkpoint` does with a file that is open; an error closes it."""
    path = source.name
    if source.is_far:
        source = Paged(source)
    try:
        with collecting.paused():
            checkpoint = _read(source, wrapper)
        checkpoint.remarks += extensions.remarks_on(path, checkpoint.format)
        return checkpoint
    except CkpttoolError as error:
        error = unless_changed(source, error)
        source.close()
        # one archive, or archives and a safetensors file in a row
        if path.endswith(PART) and (error.rule is rules.NO_TENSORS or _is_of_zip(error)):
            error = _is_part(error.uses)
        if error.path is None:
            error.path = path
        raise error
    except BaseException:  # Ctrl-C as well
        source.close()
        raise


def _read(source: ByteSource, wrapper: str | None) -> Checkpoint:
    head = single.head_of(source)
    # readers of what several processes wrote are loaded late: most files are none of these
    if telling.is_listing(head):  # all of it is a pickle, which this judges
        from ckpttool.formats.distributed import folder

        return folder.read(source, wrapper)
    if telling.is_called_rank(source.name):  # the name alone says nothing: what is in it decides
        from ckpttool.formats.distributed import zero

        parts = zero.read(source, head, wrapper)
        if parts is not None:
            return parts
    lists = next((form for form in LISTS if form.matches(head)), None)
    if lists is not None:
        return single.read_as(lists, source, head, wrapper)
    checkpoint = single.read(source, head, wrapper)
    if source.name.endswith(PART):
        raise _is_part(checkpoint.uses)
    if telling.says_places(checkpoint):
        from ckpttool.formats.distributed import unconsolidated

        return unconsolidated.joined(source, checkpoint)
    return checkpoint


def _is_of_zip(error: CkpttoolError) -> bool:
    """Whether a zip archive is refused for its form, whatever is in it."""
    return error.rule in (rules.TRUNCATED, rules.ZIP_DISAGREES, rules.ZIP_STRUCTURE)


def _is_part(uses: tuple[NameUse, ...]) -> UnsupportedError:
    """Return the error for a part of a distributed checkpoint that holds one archive or file."""
    error = UnsupportedError(
        "the file is a part of a torch.distributed.checkpoint (.distcp)",
        rules.UNSUPPORTED,
        fix=NAME_FOLDER,
    )
    error.uses = uses
    return error
