"""What lies beside a checkpoint: the names in its folder, its config.json, its model card.

What cannot be read is reported and never fails a run. Only regular files of the folder are read,
up to a limit, and no link out of it is followed.
"""

from __future__ import annotations

import os
import re
from contextlib import ExitStack
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ckpttool.files.folder import Siblings, siblings_of
from ckpttool.files.sources import read_bytes
from ckpttool.files.strict_json import strict_json
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError
from ckpttool.findings.text import printable

if TYPE_CHECKING:
    from ckpttool.files.sources import ByteSource
    from ckpttool.tensors.catalogue import Checkpoint

#: Files by which Hugging Face's libraries know a folder that holds a model.
RELEASE_FILES = ("config.json", "model.safetensors", "model.safetensors.index.json")

CONFIG = "config.json"
#: Files that say how the weights are quantized: of NVIDIA's ModelOpt, AutoGPTQ and AutoAWQ.
QUANTIZATION = ("hf_quant_config.json", "quantize_config.json", "quant_config.json")
CARD = "readme.md"

# Far above honest folders: a folder or a file of a stranger must not keep the run busy.
MAX_NAMES = 10_000
MAX_CONFIG = 1_000_000
MAX_CARD = 65_536  # the front matter, which has the licence, stands at the start

# A class of Python: what else stands there builds nothing.
_CLASS = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}")
_LICENCE_FILE = re.compile(r"(licen[cs]e|copying)([^a-z].*)?", re.IGNORECASE | re.DOTALL)
# of a model card on the hub: YAML between lines of three dashes, at the very start
_FRONT_MATTER = re.compile(r"\ufeff?---[ \t]*\r?\n(.*?)^---[ \t\r]*$", re.DOTALL | re.MULTILINE)
# on the same line, or as a list below it; by expression, as YAML is not in the standard library
_LICENCE_FIELD = re.compile(r"^licen[cs]e:[ \t]*(?:[^\s#]|\r?\n[ \t]*-[ \t]*\S)", re.MULTILINE)


class ReleaseFiles(NamedTuple):
    """What was found beside a checkpoint.

    Attributes:
        names: the files of its folder, itself among them, in order.
        config: what its ``config.json`` says.
        config_problem: why that file is not valid; ``None`` if it is, or not there.
        card: whether there is a README.md that is not empty.
        licence: whether there is a licence file, or the model card's front matter names one.
        unread: what could not be read, and why.
        named: whether the folder itself was given to verify, and so is meant as a release.
        writable: whether files can be made beside it.
        quantization: what files that say how the weights are quantized hold, by name.
    """

    names: tuple[str, ...] = ()
    config: dict[str, object] | None = None
    config_problem: str | None = None
    card: bool = False
    licence: bool = False
    unread: tuple[str, ...] = ()
    named: bool = False
    writable: bool = True
    quantization: dict[str, dict[str, object]] = {}  # noqa: RUF012 (never changed)

    @property
    def is_release(self) -> bool:
        """Whether the folder was given as one that is published, or is laid out as one."""
        return self.named or any(name in RELEASE_FILES for name in self.names)

    @property
    def architecture(self) -> str | None:
        """The class of the model, as its ``config.json`` names it; ``None`` if that is no name.

        Of a quantised model the names are not those of the class, so that it says nothing of them.
        """
        config = self.config or {}
        named = config.get("architectures")
        first = named[0] if isinstance(named, list) and named else None
        if not isinstance(first, str) or config.get("quantization_config") is not None:
            return None
        return first if _CLASS.fullmatch(first) else None


def can_be_built() -> bool:
    """Whether transformers is there, which builds the model of a ``config.json``."""
    return find_spec("transformers") is not None


def read_release_files(checkpoint: Checkpoint, release: str | None = None) -> ReleaseFiles:
    """Return what lies beside a checkpoint.

    Args:
        checkpoint: the open file.
        release: the folder that was given and searched for checkpoints.
    """
    source = checkpoint.sources[0] if checkpoint.sources else None
    if source is None or source.identity is None:  # only a file of this machine has a folder
        return ReleaseFiles()
    folder = os.path.dirname(source.name)  # noqa: PTH120 (the caller's spelling)
    names, unread = _names(folder)
    with ExitStack() as opened:
        reader = _FolderReader(siblings_of(source, opened), unread)
        config, problem = _config(reader) if CONFIG in names else (None, None)
        quantization = {name: _document(reader, name) for name in QUANTIZATION if name in names}
        card = _card(reader, names)
    return ReleaseFiles(
        names,
        config,
        problem,
        card is None or bool(card.strip()),  # one that cannot be read counts: it is there
        any(map(_LICENCE_FILE.fullmatch, names)) or _states_licence(card or ""),
        tuple(reader.unread),
        # not a folder below the one that was given: that holds a part of the release
        release is not None and Path(release) == Path(folder),
        os.access(folder or os.curdir, os.W_OK),
        {name: document for name, document in quantization.items() if document is not None},
    )


def _names(folder: str) -> tuple[tuple[str, ...], list[str]]:
    try:
        with os.scandir(folder or os.curdir) as entries:
            names = sorted(entry.name for entry in islice(entries, MAX_NAMES) if _is_file(entry))
            more = next(entries, None) is not None
    except OSError as error:
        return (), [f"the folder cannot be listed: {error.strerror}"]
    unread = [f"the folder holds more than {MAX_NAMES:,} files"] if more else []
    return tuple(names), unread


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        # whatever is no folder: a FIFO called config.json must be reported, not passed over
        return not entry.is_dir()
    except OSError:
        return True


class _FolderReader:
    """Reads files of the folder and lists those that cannot be read."""

    def __init__(self, folder: Siblings, unread: list[str]) -> None:
        self._folder = folder
        self.unread = unread

    def open(self, name: str, most: int | None = None) -> ByteSource | None:
        """Open a file of at most ``most`` bytes; ``None`` if that is not possible."""
        # the folder's lists grow with every call; what this one adds is reported
        told, missing = len(self._folder.offenders), len(self._folder.missing)
        try:
            source = self._folder.open(name)
        except CkpttoolError as error:
            self.give_up(name, error)
            return None
        self.unread += self._folder.offenders[told:]
        self.unread += [f"{printable(one)} is not there" for one in self._folder.missing[missing:]]
        if source is not None and most is not None and source.size > most:
            self.unread.append(
                f"{printable(name)} is too large: {source.size:,} bytes, at most {most:,} are read"
            )
            return None
        return source

    def give_up(self, name: str, error: CkpttoolError) -> None:
        """Note that a file could not be read."""
        self.unread.append(f"{printable(name)}: {error.detail()}")


def _config(reader: _FolderReader) -> tuple[dict[str, object] | None, str | None]:
    source = reader.open(CONFIG, MAX_CONFIG)
    if source is None:
        return None, None
    try:
        document = strict_json(source, rules.CONFIG_MALFORMED)
    except MalformedError as error:
        return None, error.detail()
    except CkpttoolError as error:
        reader.give_up(CONFIG, error)
        return None, None
    if not isinstance(document, dict):
        return None, f"it is of type {type(document).__name__}, and not a JSON object"
    return document, None


def _document(reader: _FolderReader, name: str) -> dict[str, object] | None:
    source = reader.open(name, MAX_CONFIG)
    if source is None:
        return None
    try:
        document = strict_json(source, rules.CONFIG_MALFORMED)
    except CkpttoolError as error:
        reader.give_up(name, error)
        return None
    return document if isinstance(document, dict) else None


def _card(reader: _FolderReader, names: tuple[str, ...]) -> str | None:
    """Return the start of the model card, ``""`` if there is none, ``None`` if it is unreadable."""
    name = next((name for name in names if name.lower() == CARD), None)
    if name is None:
        return ""
    source = reader.open(name)
    if source is None:
        return None
    try:
        return read_bytes(source, 0, min(source.size, MAX_CARD)).decode(errors="replace")
    except CkpttoolError as error:
        reader.give_up(name, error)
        return None


def _states_licence(card: str) -> bool:
    front = _FRONT_MATTER.match(card)
    return front is not None and _LICENCE_FIELD.search(front.group(1)) is not None
