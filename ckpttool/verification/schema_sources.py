"""Reading a schema from what somebody names: a checkpoint, a schema file, a lock or a receipt."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Mapping, NamedTuple, Union

from ckpttool.files import collecting
from ckpttool.files.publishing import write_files
from ckpttool.files.sources import FileSource, read_bytes
from ckpttool.files.strict_json import MAX_JSON, begins_object, strict_json
from ckpttool.findings import rules
from ckpttool.findings.arguments import AnyPath, check_text, path_of
from ckpttool.findings.errors import CkpttoolError, UsageError
from ckpttool.formats import HEAD, open_source
from ckpttool.models.reference import NONE, Reference, reference_of
from ckpttool.models.schema_file import KEY, described, parse, render
from ckpttool.tensors.sharing import with_tied
from ckpttool.verification.digest_lists import digests_in, listed_in
from ckpttool.verification.options import NO_SCHEMA

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import TensorInfo


class WrittenSchema(NamedTuple):
    """A schema file.

    Attributes:
        text: its content.
        tensors: how many tensors it has.
        cleaned: files of a killed run that were removed from the folder.
    """

    text: str
    tensors: int
    cleaned: tuple[str, ...] = ()


def schema(
    source: AnyPath, destination: AnyPath | None = None, *, wrapper: str | None = None
) -> WrittenSchema:
    """Return the schema file of what a source holds, and write it if a destination is named.

    Only the header of a checkpoint is read.

    Args:
        source: a checkpoint, a sharded index, a lock file, a receipt or another schema file.
        destination: the file to write; one that stands there is replaced if it is a schema file.
        wrapper: the dotted key of the state dict to take; ``None`` to choose.

    Raises:
        UsageError: an argument has a wrong type, there is no state dict under ``wrapper``, or what
            stands at the destination is no schema file.
        OutputError: the file cannot be written.
        CkpttoolError: the source cannot be read.
    """
    check_text(wrapper, "wrapper")
    tensors = _tensors_of(path_of(source, "the source"), wrapper)
    text = render(tensors)
    if destination is None:
        return WrittenSchema(text, len(tensors))
    path = path_of(destination, "the destination")
    _refuse_others(path)
    return WrittenSchema(text, len(tensors), write_files({path: text.encode("ascii")}, sync=True))


def read_schema(source: Union[AnyPath, Reference]) -> Reference:
    """Return the schema that a source is, for ``verify(schema=...)``.

    Args:
        source: as for :func:`schema`; ``none`` for no schema at all. One that was read before is
            returned as it is.

    Raises:
        UsageError: the source is no path.
        CkpttoolError: it cannot be read, or there is no tensor in it.
    """
    if isinstance(source, Reference):
        return source
    path = path_of(source, "the schema")
    if path == NO_SCHEMA:
        return NONE
    try:
        return reference_of(Path(path).name, _tensors_of(path, None))
    except CkpttoolError as error:
        error.path = error.path or path
        raise


def _refuse_others(path: str) -> None:
    """Refuse to replace what is no schema file: a checkpoint that was named by mistake, say."""
    place, head = Path(path), b""
    with suppress(OSError):  # one that cannot be read is refused as well
        if place.is_file():
            with place.open("rb") as file:
                head = file.read(200)
    if place.exists() and KEY.encode() not in head:
        raise UsageError("what stands there is no schema file", path=path, fix="Name another file.")


def _tensors_of(path: str, wrapper: str | None) -> Mapping[str, TensorInfo]:
    found = listed_in(path, lambda file: _listed_in(file, wrapper))
    if not isinstance(found, FileSource):
        return found
    with open_source(found, wrapper) as checkpoint, collecting.paused():
        # a tied name that is not stored is one that the model has
        return with_tied(checkpoint.tensors, checkpoint.metadata)


def _listed_in(file: FileSource, wrapper: str | None) -> Mapping[str, TensorInfo] | None:
    """Return the tensors of a list of them; ``None`` if the file is none."""
    head = read_bytes(file, 0, min(HEAD, file.size))
    # the key stands at the start of what is written, and anywhere in what somebody sorted
    if begins_object(head) and KEY.encode() in read_bytes(file, 0, min(MAX_JSON, file.size)):
        document = strict_json(file, rules.SCHEMA_FILE)
        if isinstance(document, dict) and KEY in document:
            return parse(document)
    digests = digests_in(file, wrapper)
    if digests is None:
        return None
    return {
        name: described(name, digest.dtype, digest.shape)
        for name, digest in digests.tensors.items()
    }
