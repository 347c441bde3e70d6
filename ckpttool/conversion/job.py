"""A conversion that can be done: what is known of it before any byte is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Iterator, NamedTuple, Sequence

from ckpttool.conversion.naming import where
from ckpttool.conversion.result import WrittenFile
from ckpttool.findings.errors import UsageError
from ckpttool.formats.writing import safetensors, torch_zip

if TYPE_CHECKING:
    from ckpttool.conversion.options import ConvertOptions
    from ckpttool.conversion.planning import FilePlan, Plan
    from ckpttool.conversion.result import Converted
    from ckpttool.conversion.selecting import TensorSelection
    from ckpttool.formats.writing.file_layout import FileLayout
    from ckpttool.tensors.catalogue import Checkpoint


class Job(NamedTuple):
    """A conversion that can be done.

    Attributes:
        checkpoint: the source, open.
        selection: the tensors to convert.
        plan: what becomes of them.
        known: the report so far.
        options: how to convert.
        sidecar: the content of the sidecar, where one is asked for.
    """

    checkpoint: Checkpoint
    selection: TensorSelection
    plan: Plan
    known: Converted
    options: ConvertOptions
    sidecar: bytes | None = None


def layouts_of(job: Job) -> list[FileLayout]:
    """Return the layout of every file, with a fingerprint that is not known yet."""
    return [layout_of(job, file, job.plan.metadata) for file in job.plan.files]


def layout_of(job: Job, file: FilePlan, metadata: dict[str, str]) -> FileLayout:
    """Return the layout of one file; another fingerprint in its metadata moves nothing."""
    if job.options.to == "safetensors":
        return safetensors.plan(file.pieces, metadata)
    return torch_zip.plan(file.pieces, job.plan.wrapper)


def files(job: Job, layouts: Sequence[FileLayout]) -> Iterator[WrittenFile]:
    """Yield the files as the report tells of them, the index last."""
    for file, layout in zip(job.plan.files, layouts):
        yield WrittenFile(file.path, layout.size, len(file.pieces))
    if job.plan.shard_index is not None:
        yield WrittenFile(job.plan.shard_index, len(index_content(job)), 0)


def sizes(job: Job, layouts: Sequence[FileLayout]) -> dict[str, int]:
    """Return path to bytes of all that will be written; those of a receipt are not known yet.

    Raises:
        UsageError: two of the files are the same.
    """
    sizes = {written.path: written.size for written in files(job, layouts)}
    taken = {where(path) for path in (str(job.known.destination), *sizes)}
    for path, content in ((job.options.sidecar, job.sidecar), (job.options.receipt, b"")):
        if path is None:
            continue
        if where(path) in taken:
            raise UsageError(
                "two of the files to write have the same name",
                path=path,
                fix="Name another file with --sidecar or --receipt.",
            )
        taken.add(where(path))
        sizes[path] = len(content or b"")
    return sizes


def index_content(job: Job) -> bytes:
    """Return the index of the shards, as the Hugging Face hub reads it, in the source's order."""
    pieces = job.plan.pieces
    places = {piece.name: Path(file.path).name for file in job.plan.files for piece in file.pieces}
    document = {
        "metadata": {
            "total_size": sum(piece.nbytes for piece in pieces),
            "total_parameters": sum(piece.info.numel for piece in pieces),
        },
        # a tensor larger than the limit lies in a shard before those that it follows
        "weight_map": {name: places[name] for name in job.selection.tensors if name in places},
    }
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"
