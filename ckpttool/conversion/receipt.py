"""Writing the receipt of a conversion: checksums and changes as JSON; see ``docs/receipt.md``.

It has no time and no folder in it, so that the same conversion gives the same receipt.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any, Sequence

from ckpttool._version import __version__
from ckpttool.conversion.renaming.rows import every_row
from ckpttool.conversion.result import map_fields, parts_fields
from ckpttool.inputs.receipts import SCHEMA_VERSION
from ckpttool.quantization.packed import CODES
from ckpttool.tensors.sums import file_sums

if TYPE_CHECKING:
    from ckpttool.conversion.earlier import Earlier
    from ckpttool.conversion.output import Copied, Job, Proven
    from ckpttool.conversion.result import WrittenFile
    from ckpttool.formats.writing.copying import PieceDigest
    from ckpttool.formats.writing.file_layout import PlannedTensor


def write_receipt(
    job: Job, outputs: Sequence[WrittenFile], earlier: Earlier, copied: Copied, proven: Proven
) -> bytes:
    """Return the content of the receipt; ``outputs`` have the checksums of their content."""
    report, selection, plan = job.report, job.selection, job.plan
    sources = job.checkpoint.sources
    sums = file_sums(sources, workers=job.options.workers, executor=job.options.executor)
    placed = {piece.name: (file.path, piece) for file in plan.files for piece in file.pieces}
    before = _before(job)
    document = {
        "schema_version": SCHEMA_VERSION,
        "tool": "ckpttool",
        "versions": _versions(),
        "source": {
            "format": report.format,
            "wrapper": report.wrapper,
            "layout": report.layout,
            "fingerprint": proven.source_fingerprint,
            "files": [
                _summed(source.name, source.size, sha256) for source, sha256 in zip(sources, sums)
            ],
        },
        "result": {
            "format": job.options.to,
            "wrapper": plan.wrapper,
            "layout": job.options.layout,
            "fingerprint": proven.fingerprint,
            "files": [_summed(out.path, out.size, out.sha256) for out in outputs],
        },
        "replaced": [Path(path).name for path in earlier.replaced],
        "removed": [Path(path).name for path in earlier.removed],
        "tensors": [
            _tensor(*placed[name], copied.digests[name], before.get(name))
            for name in selection.naming.tensors
            if name in placed  # the others are tied to one of these
        ],
        "map": map_fields(selection.naming.rows),
        "tied": plan.tied,
        "restored": selection.restored,
        "overlapping": plan.overlapping,
        "excluded": selection.excluded,
        "left_out": [entry._asdict() for entry in job.left_out],
        "not_called": [{**call._asdict(), "use": call.use.value} for call in job.calls],
        "casts": [cast._asdict() for cast in copied.casts],
        "not_cast": plan.not_cast,
        "resized": [table._asdict() for table in job.resizing.tables],
        "dequantised": [weight._asdict() for weight in job.dequantising.weights],
        "in_parts": [parts_fields(one) for one in job.in_parts],
        "proof": proven.proof._asdict(),
    }
    # ASCII, because a name may hold half a surrogate pair, which UTF-8 cannot.
    text = json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False)
    return text.encode("ascii") + b"\n"


def _summed(path: str, size: int, sha256: str | None) -> dict[str, Any]:
    return {"name": Path(path).name, "size": size, "sha256": sha256}


def _before(job: Job) -> dict[str, tuple[str, str]]:
    """Return type and SHA-256 in the source of what was computed, by the names that are written.

    Of a decoded weight that is written as a whole these are its codes'.
    """
    tables = [
        (one.name, job.resizing.originals[one.name], one.sha256) for one in job.resizing.tables
    ]
    codes = [
        (weight.name, info, (weight.sha256 or {}).get(info.name))
        for weight in job.dequantising.weights
        for info in job.dequantising.parts[weight.name]
        if info.name == weight.parts[CODES]
    ]
    found = {name: (info.dtype.name, sum_ or "") for name, info, sum_ in (*codes, *tables)}
    naming = job.selection.naming
    made_of = {name: naming.made_of(name) for name in naming.tensors if found}
    return {
        name: found[rows[0].name]
        for name, rows in made_of.items()
        if rows[0].name in found and rows == (every_row(job.selection.tensors[rows[0].name]),)
    }


def _tensor(
    path: str, piece: PlannedTensor, digest: PieceDigest, before: tuple[str, str] | None
) -> dict[str, Any]:
    dtype, sha256 = before or (piece.info.dtype.name, digest.source_sha256)
    return {
        "name": piece.name,
        "file": Path(path).name,
        "dtype": piece.dtype.name,
        "shape": piece.shape,
        "sha256": digest.sha256,
        "source": {"dtype": dtype, "sha256": sha256},
        "same_as": piece.alias_of,
    }


def _versions() -> dict[str, str]:
    import safetensors  # late: only a receipt needs it

    return {
        "ckpttool": __version__,
        "python": platform.python_version(),
        "safetensors": safetensors.__version__,
    }
