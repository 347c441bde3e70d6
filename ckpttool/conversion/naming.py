"""Names of the written files, derived from the source unless an output is given."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Mapping, Sequence

from ckpttool.files.suffixes import (
    CLEAN,
    INDEX,
    PROMISES,
    SAFETENSORS,
    TORCH,
    ShardName,
    is_folders_name,
    stem_of,
)
from ckpttool.findings.errors import UsageError
from ckpttool.formats.writing import TARGETS
from ckpttool.models.families import conventions

if TYPE_CHECKING:
    from ckpttool.conversion.options import ConvertOptions

#: What transformers calls a torch file, without the suffix; ``pytorch_model.fp16`` is a variant.
_PYTORCH_MODEL = re.compile(r"\Apytorch_model(?=\.|\Z)")


def destination(source: str, options: ConvertOptions) -> str:
    """Return the file to write.

    Args:
        source: the path of the checkpoint.
        options: ``output`` is a file, a folder that exists, or ``None`` for that of the source.

    Raises:
        UsageError: the output is standard output, a missing folder, or a file of another kind.
    """
    output, to = options.output, options.to
    if output == "-":
        raise UsageError(
            "a checkpoint cannot be written to a pipe: the proof needs a file",
            fix="Name the file to write.",
        )
    if output is None:
        return _beside(source, _place_of(source), to)
    if os.path.isdir(output):  # noqa: PTH112
        name = file_names(options.layout).get(to)
        # a loader that looks for one name in a folder finds nothing under another
        return os.path.join(output, name) if name else _beside(source, output, to)  # noqa: PTH118
    if output.endswith(("/", os.sep)):
        raise UsageError("there is no such folder", path=output, fix="Create it first (mkdir).")
    _check_promise(output, to)
    return output


def _check_promise(output: str, to: str) -> None:
    """Refuse the suffix of another format; any other name may mean something to the user.

    Raises:
        UsageError: readers that go by the name would take the file for something else.
    """
    name = output.lower()
    suffixes = {
        target: (TARGETS[target].SUFFIX, *(TORCH if target == "pth" else ())) for target in TARGETS
    }
    if name.endswith(suffixes[to]):
        return
    other = next((target for target, ends in suffixes.items() if name.endswith(ends)), None)
    if other is not None:
        says = "torch" if other == "pth" else other
        raise UsageError(
            f"the name of the destination says {says}, but it would hold {to}",
            path=output,
            fix=f"Name it {TARGETS[to].SUFFIX}, or convert to {other}.",
        )
    promised = next((what for end, what in PROMISES.items() if name.endswith(end)), None)
    if promised is not None:
        raise UsageError(
            f"the name of the destination says {promised}, but it would hold {to}",
            path=output,
            fix=f"Name it {TARGETS[to].SUFFIX}.",
        )


def _place_of(source: str) -> str:
    """Return the folder of a checkpoint, spelled as the caller does."""
    folder, name = os.path.split(source)
    if not is_folders_name(name):
        return folder
    # the checkpoint is the folder: a result in it would be a second one
    above = os.path.normpath(os.path.join(folder, os.pardir))  # noqa: PTH118
    return "" if above == os.curdir else above


def file_names(layout: str | None) -> Mapping[str, str]:
    """Return what the loader of a convention looks for in a folder, by target; mostly nothing."""
    return conventions()[layout].file_names if layout is not None else {}


def _beside(source: str, folder: str, to: str) -> str:
    stem, suffix = stem_of(source), TARGETS[to].SUFFIX
    if suffix in SAFETENSORS and (Path(source).parent / "config.json").is_file():
        # beside a config.json transformers looks for model.safetensors, and for no other name
        stem = _PYTORCH_MODEL.sub("model", stem)
    path = os.path.join(folder, stem + suffix)  # noqa: PTH118
    # The source may be the index of shards, beside which a whole file must not come. abspath,
    # because a link has a name of its own.
    if os.path.abspath(source) in map(os.path.abspath, (path, path + INDEX)):  # noqa: PTH100
        path = os.path.join(folder, stem + CLEAN + suffix)  # noqa: PTH118
    return path


def shard_paths(path: str, number: int, suffix: str) -> list[str]:
    """Return the files of ``number`` shards: ``model-00001-of-00002.safetensors`` and so on."""
    stem = path[: -len(suffix)] if path.endswith(suffix) else path
    return [str(ShardName(stem, shard, number, suffix)) for shard in range(1, number + 1)]


def index_path(path: str, suffix: str) -> str:
    """Return the index beside the shards: ``model.safetensors.index.json``."""
    return (path if path.endswith(suffix) else path + suffix) + INDEX


def where(path: str) -> str:
    """Return one spelling for all paths to the same entry of the same folder."""
    folder, name = os.path.split(path)
    # The folder alone is resolved: writing to a link replaces the link, not its target.
    return os.path.join(os.path.realpath(folder), name)  # noqa: PTH118


def check_distinct(sources: Sequence[str], results: Sequence[str]) -> None:
    """Raise UsageError if a batch would write a file twice, or replace a source of another."""
    seen = set()
    for path in results:
        if where(path) in seen:
            raise UsageError(
                "two results would have the same name",
                path=path,
                fix="Convert them one by one, each with its own -o.",
            )
        seen.add(where(path))
    for own, path in enumerate(sources):
        others = {where(result) for place, result in enumerate(results) if place != own}
        # The source may be a link: replacing its target changes what is read.
        if where(path) in others or os.path.realpath(path) in others:
            raise UsageError(
                "it would be replaced by the result of another file",
                path=path,
                fix="Convert them one by one, or into another folder with -o.",
            )
