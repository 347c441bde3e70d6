"""Reading a schema from what somebody names: a file, or the code of a model.

Files are checkpoints, schema files, locks and receipts; of a model there is a ``config.json``.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Mapping, NamedTuple, Union

from ckpttool.files import collecting
from ckpttool.files.publishing import head_at, write_files
from ckpttool.files.sources import FileSource, read_bytes
from ckpttool.files.strict_json import MAX_JSON, begins_object, strict_json
from ckpttool.findings import rules
from ckpttool.findings.arguments import AnyPath, check_text, check_type, path_of
from ckpttool.findings.errors import CkpttoolError, UnsupportedError, UsageError
from ckpttool.findings.text import some_of
from ckpttool.formats import HEAD, checkpoint_file, open_source
from ckpttool.models.code.calls import call_in, names_code
from ckpttool.models.code.example import Example
from ckpttool.models.reference import NONE, Reference, reference_of
from ckpttool.models.schema_file import KEY, described, parse, render
from ckpttool.tensors.sharing import with_tied
from ckpttool.verification.digest_lists import digests_in, listed_in
from ckpttool.verification.lock.reading import is_lock, read_lock
from ckpttool.verification.options import BESIDE, NO_SCHEMA
from ckpttool.verification.release_files import CONFIG

if TYPE_CHECKING:
    from ckpttool.models.reference import Code
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.verification.lock.content import Lock


# Endings of files that hold weights, beside which a folder's config.json is not the only schema.
_WEIGHTS = (".safetensors", ".bin", ".pth", ".pt", ".index.json", ".ckpt")


_HEAD = 200  # bytes, by which a schema file is known
_MOST_ENTRIES = 8  # of a lock file, that are listed


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
        source: a checkpoint, a sharded index, a lock file, a receipt, another schema file, or the
            ``config.json`` of a model, or the folder of one, or code: ``package.module:factory``.
        destination: the file to write; one that stands there is replaced if it is a schema file.
        wrapper: the dotted key of the state dict to take; ``None`` to choose.

    Raises:
        UsageError: an argument has a wrong type, there is no state dict under ``wrapper``, or what
            stands at the destination is no schema file.
        OutputError: the file cannot be written.
        CkpttoolError: the source cannot be read.
    """
    check_text(wrapper, "wrapper")
    path = path_of(source, "the source")
    if path == BESIDE:
        raise _no_file()
    tensors = _found_in(path, wrapper).tensors
    text = render(tensors)
    if destination is None:
        return WrittenSchema(text, len(tensors))
    path = path_of(destination, "the destination")
    _refuse_others(path)
    return WrittenSchema(text, len(tensors), write_files({path: text.encode("ascii")}, sync=True))


class Beside:
    """In place of a schema: each file's own, by the ``config.json`` in its folder."""

    def __init__(self) -> None:
        # a folder may hold a hundred checkpoints of one model
        self._known: dict[str, Reference] = {}

    def of(self, path: str) -> Reference:
        """Return the schema of a checkpoint.

        Raises:
            CkpttoolError: there is no ``config.json`` beside it, or no model can be built of that.
        """
        config = str(Path(path).parent / CONFIG)
        if not Path(config).exists():
            raise UnsupportedError(
                "there is no config.json beside the checkpoint, which --schema hf is about",
                rules.SCHEMA_CODE,
                fix="Name one: --schema FOLDER/config.json.",
            )
        if config not in self._known:
            self._known[config] = read_schema(config)
        return self._known[config]


class Entries:
    """In place of a schema: of each file the entry of its name in a lock file of several.

    Args:
        lock: the lock file.
    """

    def __init__(self, lock: Lock) -> None:
        self._lock = lock
        self._known: dict[str, Reference] = {}

    def of(self, path: str) -> Reference:
        """Return the schema of a checkpoint.

        Raises:
            CkpttoolError: the lock file has no entry of its name, or several that fit as well.
        """
        entry = self._lock.of(path, None)  # nothing is read yet, and so it has no fingerprint
        if entry is None:
            raise UnsupportedError(
                f"the lock file {self._lock.path} has no entry by the name of this checkpoint",
                rules.UNSUPPORTED,
                expected=some_of([one.name for one in self._lock.checkpoints], _MOST_ENTRIES),
                found=path,
                fix="Give the file the name that it was locked under, or name another source.",
            )
        if entry.name not in self._known:
            named = f"{Path(self._lock.path).name} ({entry.name})"
            listed = {name: (one.dtype, one.shape) for name, one in entry.tensors.items()}
            self._known[entry.name] = reference_of(named, _described(listed), listed=True)
        return self._known[entry.name]


#: In place of a schema: what has one for each file.
OfEach = Union[Beside, Entries]


def expected_by(source: Union[AnyPath, Reference]) -> Union[Reference, OfEach]:
    """Return what files must fit: a schema as :func:`read_schema` does, or what has one for each.

    That is ``hf``, or a lock file of several checkpoints.
    """
    if source == BESIDE:
        return Beside()
    lock = _lock_of_several(source)
    return read_schema(source) if lock is None else Entries(lock)


def _lock_of_several(source: Union[AnyPath, Reference]) -> Lock | None:
    if isinstance(source, Reference):
        return None
    path = path_of(source, "the schema")
    with suppress(OSError):  # what cannot be read, or is no path at all, is told by read_schema
        with Path(path).open("rb") as file:
            if not is_lock(file.read(HEAD)):
                return None
        lock = read_lock(path)
        return lock if len(lock.checkpoints) > 1 else None
    return None


def example_of(text: str) -> Example:
    """Return what a model is called with, by the code that makes it; nothing is imported yet.

    Raises:
        UsageError: the text names no code.
    """
    check_type(text, str, "the example")
    return Example(call_in(text))


def read_schema(source: Union[AnyPath, Reference]) -> Reference:
    """Return the schema that a source is, for ``verify(schema=...)``.

    Args:
        source: as for :func:`schema`; ``none`` for no schema at all. One that was read before is
            returned as it is.

    Raises:
        UsageError: the source is no path, or ``hf``: each file has its own then.
        CkpttoolError: it cannot be read, there is no tensor in it, or no model can be built of it.
    """
    if isinstance(source, Reference):
        return source
    path = path_of(source, "the schema")
    if path == NO_SCHEMA:
        return NONE
    if path == BESIDE:
        raise _no_file()
    try:
        found = _found_in(path, None)
        name = found.name or Path(path).name
        return reference_of(name, found.tensors, found.code, listed=found.listed)
    except CkpttoolError as error:
        if not names_code(path):  # of which the message speaks
            error.path = error.path or path
        raise


def reference_for(path: str, reference: Union[Reference, OfEach, None]) -> Reference | None:
    """Return the schema that one file must fit.

    Raises:
        CkpttoolError: as :meth:`Beside.of` and :meth:`Entries.of`.
    """
    return reference.of(path) if isinstance(reference, (Beside, Entries)) else reference


def _no_file() -> UsageError:
    return UsageError(
        "hf is the config.json beside the verified checkpoint, and there is none here",
        fix="Name the config.json, or its folder.",
    )


def _refuse_others(path: str) -> None:
    """Refuse to replace what is no schema file, such as a checkpoint that was named by mistake."""
    head = head_at(path, _HEAD)
    if head is not None and KEY.encode() not in head:
        raise UsageError(
            "the existing file is not a schema file", path=path, fix="Name another file."
        )


class _Found(NamedTuple):
    """What a source has: tensors, what built their model, and whether their names are canonical."""

    tensors: Mapping[str, TensorInfo]
    code: Code | None = None
    listed: bool = False

    @property
    def name(self) -> str | None:
        """The name of the model."""
        return None if self.code is None else self.code.name


def _found_in(path: str, wrapper: str | None) -> _Found:
    if names_code(path):
        from ckpttool.models.code.factories import Factory  # late: most need none

        factory = Factory(call_in(path))
        return _Found(factory.held.tensors, factory)
    if Path(path).is_dir():
        parts = checkpoint_file(path)  # of a distributed checkpoint
        path = path if (Path(path) / CONFIG).is_file() else parts
    if Path(path).is_dir():
        path = _config_in(path)
    found = listed_in(path, lambda file: _listed_in(file, wrapper))
    if not isinstance(found, FileSource):
        return found
    with open_source(found, wrapper) as checkpoint, collecting.paused():
        # a tied name that is not stored is one that the model has
        return _Found(with_tied(checkpoint.tensors, checkpoint.metadata))


def _config_in(folder: str) -> str:
    """Return the ``config.json`` of a folder in which nothing else can be meant."""
    config = Path(folder) / CONFIG
    if not config.is_file():
        raise UsageError(
            "a folder is not a schema, but for its config.json, and there is none",
            path=folder,
            fix="Name a file.",
        )
    weights = sorted(one.name for one in config.parent.glob("*") if one.name.endswith(_WEIGHTS))
    if weights:
        raise UsageError(
            "the folder holds a config.json and weights: either may be the schema",
            path=folder,
            found=", ".join(weights[:3]),
            fix=f"Name the file: {CONFIG} for what its model has, the weights for what they have.",
        )
    return str(config)


def _listed_in(file: FileSource, wrapper: str | None) -> _Found | None:
    """Return the tensors of what lists or describes them; ``None`` if the file is a checkpoint."""
    head = read_bytes(file, 0, min(HEAD, file.size))
    if begins_object(head):
        text = read_bytes(file, 0, min(MAX_JSON, file.size))
        # the keys stand at the start of what is written, and anywhere in what somebody sorted
        if KEY.encode() in text:
            document = strict_json(file, rules.SCHEMA_FILE)
            if isinstance(document, dict) and KEY in document:
                return _Found(parse(document))
        elif any(key in text for key in (b'"architectures"', b'"model_type"')):
            built = _built_from(file)
            if built is not None:
                return built
    digests = digests_in(file, wrapper)
    if digests is None:
        return None
    listed = {name: (digest.dtype, digest.shape) for name, digest in digests.tensors.items()}
    return _Found(_described(listed), listed=digests.canonical)


def _described(listed: Mapping[str, tuple[str, tuple[int, ...]]]) -> dict[str, TensorInfo]:
    return {name: described(name, dtype, shape) for name, (dtype, shape) in listed.items()}


def _built_from(file: FileSource) -> _Found | None:
    """Return what the model of a ``config.json`` holds; ``None`` if the file is of another kind."""
    document = strict_json(file, rules.CONFIG_MALFORMED)
    if not isinstance(document, dict):
        return None
    from ckpttool.models.code.architectures import Architecture, is_config  # late: most need none

    if not is_config(document):
        return None
    architecture = Architecture(document)
    return _Found(architecture.held.tensors, architecture)
