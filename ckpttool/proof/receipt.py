"""Writing the receipt of a proof: digests of both files and what was proven; ``docs/receipt.md``.

It has no time and no folder in it, so that the same proof gives the same receipt. A later proof
takes it in the place of the checkpoint that it is of.
"""

from __future__ import annotations

import json
import platform
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping, Sequence, Union

from ckpttool._version import __version__
from ckpttool.comparison.numbers.compare import SideError
from ckpttool.conversion.proving import fingerprint_of
from ckpttool.files.publishing import head_at
from ckpttool.files.sources import FileSource
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, UnsupportedError, UsageError
from ckpttool.findings.json_fields import plain
from ckpttool.inputs.receipts import PROOF, SCHEMA_VERSION, Digest
from ckpttool.models.canonical import canonicalize
from ckpttool.tensors.catalogue import Checkpoint
from ckpttool.tensors.sharing import with_tied
from ckpttool.tensors.sums import file_sums
from ckpttool.tensors.values import start_values

if TYPE_CHECKING:
    from ckpttool.findings.results import FileReport
    from ckpttool.inputs.receipts import Receipt
    from ckpttool.proof.adapters.reading import Adapter
    from ckpttool.proof.options import ProveOptions
    from ckpttool.proof.result import Explained, Merging, Proof
    from ckpttool.tensors.catalogue import TensorInfo

# What tells a receipt from a checkpoint that was named by mistake: its first lines.
_HEAD = 400


def check_place(path: str, inputs: Sequence[str]) -> None:
    """Refuse to write a receipt in the place of anything but an earlier one.

    Raises:
        UsageError: what stands there is no receipt of a proof, or one of the run's own inputs.
    """
    head = head_at(path, _HEAD)
    if head is None:
        return
    same = any(Path(one).exists() and Path(one).samefile(path) for one in inputs)
    if same or b'"kind": "proof"' not in head:
        what = (
            "it is an input of the proof"
            if same
            else "the existing file is not a receipt of a proof"
        )
        raise UsageError(
            f"the receipt cannot be written: {what}", path=path, fix="Name another file."
        )


def receipt_of(
    proof: Proof,
    sides: tuple[Union[Checkpoint, Receipt], Checkpoint],
    adapters: Sequence[Adapter],
    options: ProveOptions,
) -> bytes:
    """Return the content of the receipt of a proof that holds.

    Args:
        proof: it.
        sides: A, or what lists its digests, and B.
        adapters: the open adapters.
        options: workers and executor.

    Raises:
        SideError: a file could not be read.
    """
    source = _source(proof.source, sides[0], options)
    try:
        result, digests = _described(proof.made, sides[1], options)
    except CkpttoolError as error:
        raise SideError(1, error) from error
    done = {name: one for one in proof.explained for name in one.names}
    places = {adapter.path: place for place, adapter in enumerate(adapters)}
    document = {
        "schema_version": SCHEMA_VERSION,
        "tool": "ckpttool",
        "kind": PROOF,
        "versions": {"ckpttool": __version__, "python": platform.python_version()},
        "verdict": proof.outcome.value,
        "operations": {
            operation.value: number for operation, number in proof.counts.items() if number
        },
        "source": source,
        "result": result,
        "adapters": [
            {"files": _of_adapter(adapter, options), "modules": len(adapter.deltas)}
            for adapter in adapters
        ],
        "tensors": [
            {**_fields(name, digest), **_how(done[name], places)}
            for name, digest in digests.items()
        ],
        "tied": _recorded(sides[1]),
        "missing": [one.name for one in proof.missing],
        "structure": [
            {"name": fact.name, "source": fact.left, "made": fact.right} for fact in proof.structure
        ],
        "not_looked_at": proof.notes,
    }
    text = json.dumps(plain(document), indent=1, ensure_ascii=True, allow_nan=False)
    return text.encode("ascii") + b"\n"


def _source(
    report: FileReport, source: Union[Checkpoint, Receipt], options: ProveOptions
) -> dict[str, Any]:
    try:
        if isinstance(source, Checkpoint):
            fields, digests = _described(report, source, options)
            fields["digests_from"] = None
        else:
            with closing(FileSource(source.path)) as file:
                files = _files([file], options)
            fields = {
                "format": None,
                "wrapper": source.wrapper,
                "layout": None,
                "fingerprint": None,
                "files": files,
                "digests_from": source.kind,
            }
            digests = source.tensors
    except CkpttoolError as error:
        raise SideError(0, error) from error
    fields["tensors"] = [_fields(name, digest) for name, digest in digests.items()]
    return fields


def _described(
    report: FileReport, checkpoint: Checkpoint, options: ProveOptions
) -> tuple[dict[str, Any], dict[str, Digest]]:
    """Return what is said of a checkpoint, and the digests of its tensors."""
    tensors = checkpoint.tensors
    workers, executor = options.workers, options.executor
    with start_values(tensors, (), workers=workers, executor=executor) as run:
        values = run.result()
    for name in values.skipped:
        raise UnsupportedError(
            "a tensor cannot be read, so that it has no digest", rules.UNSUPPORTED, tensor=name
        )
    sums = {name: values.tensors[name].digest for name in tensors}
    sources = [one for one in checkpoint.sources if isinstance(one, FileSource)]
    fields = {
        "format": report.format,
        "wrapper": report.wrapper,
        "layout": report.layout,
        "fingerprint": fingerprint_of(canonicalize(tensors), sums, {}),
        "files": _files(sources, options),
    }
    return fields, {
        name: Digest(info.dtype.name, info.shape, sums[name]) for name, info in tensors.items()
    }


def _of_adapter(adapter: Adapter, options: ProveOptions) -> list[dict[str, Any]]:
    sources = [one for one in adapter.checkpoint.sources if isinstance(one, FileSource)]
    files = _files(sources, options)
    if adapter.beside is not None:
        with closing(FileSource(adapter.beside)) as config:
            files += _files([config], options)
    return files


def _files(sources: Sequence[FileSource], options: ProveOptions) -> list[dict[str, Any]]:
    sums = file_sums(sources, workers=options.workers, executor=options.executor)
    return [
        {"name": Path(source.name).name, "size": source.size, "sha256": digest}
        for source, digest in zip(sources, sums)
    ]


def _fields(name: str, digest: Digest) -> dict[str, Any]:
    return {"name": name, **digest._asdict()}


def _how(one: Explained, places: Mapping[str, int]) -> dict[str, Any]:
    return {
        "from": one.sources,
        "operations": [operation.value for operation in one.operations],
        "by_content": one.by_content,
        "cast": one.cast,
        "merge": None if one.merge is None else _merge(one.merge, places),
        "quantisation": None if one.quantisation is None else one.quantisation._asdict(),
    }


def _merge(merge: Merging, places: Mapping[str, int]) -> dict[str, Any]:
    # by their numbers, since paths have folders
    return {**merge._asdict(), "adapters": [places[path] for path in merge.adapters]}


def _recorded(checkpoint: Checkpoint) -> dict[str, str]:
    """Return the names that B only records as tied, each with the one that it stores."""
    tensors = checkpoint.tensors
    every: Mapping[str, TensorInfo] = with_tied(tensors, checkpoint.metadata)
    views = {info.view: name for name, info in reversed(list(tensors.items()))}
    return {name: views[info.view] for name, info in every.items() if name not in tensors}
