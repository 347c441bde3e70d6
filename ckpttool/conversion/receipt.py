"""The receipt of a conversion: sums, digests and changes, for a machine; ``docs/receipt.md``.

It holds no clock and no folder of this machine, so the same conversion gives the same receipt.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping, Sequence

from ckpttool._version import __version__

if TYPE_CHECKING:
    from ckpttool.conversion.result import Converted
    from ckpttool.formats.writing.copying import PieceDigest
    from ckpttool.formats.writing.file_layout import PlannedTensor

#: Raised when a field goes or changes its meaning; new fields may come at any time.
SCHEMA_VERSION = 1


def receipt(
    converted: Converted,
    sources: Sequence[tuple[str, int, str]],
    placed: Sequence[tuple[str, PlannedTensor]],
    digests: Mapping[str, PieceDigest],
) -> bytes:
    """Return the receipt's content.

    Args:
        converted: what the conversion came to.
        sources: (path, size, SHA-256) of every file of the source.
        placed: every stored tensor with the path of the file that it is in, in order.
        digests: by name.
    """
    file = converted.file
    document = {
        "schema_version": SCHEMA_VERSION,
        "tool": "ckpttool",
        "versions": _versions(),
        "source": {
            "format": file.format,
            "wrapper": file.wrapper,
            "layout": file.layout,
            "fingerprint": file.fingerprint,
            "files": [_summed(*source) for source in sources],
        },
        "result": {
            "format": converted.to,
            "wrapper": converted.wrapper,
            "fingerprint": converted.fingerprint,
            "files": [_summed(out.path, out.size, out.sha256) for out in converted.outputs],
        },
        "replaced": [Path(path).name for path in converted.replaced],
        "removed": [Path(path).name for path in converted.removed],
        "tensors": [_tensor(path, piece, digests[piece.name]) for path, piece in placed],
        "tied": converted.tied,
        "restored": converted.restored,
        "overlapping": converted.overlapping,
        "excluded": converted.excluded,
        "left_out": [entry._asdict() for entry in converted.left_out],
        "not_called": [{**call._asdict(), "use": call.use.value} for call in converted.calls],
        "casts": [cast._asdict() for cast in converted.casts],
        "not_cast": converted.not_cast,
        "proof": None if converted.proof is None else converted.proof._asdict(),
    }
    text = json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False)
    return text.encode("ascii") + b"\n"


def _summed(path: str, size: int, sha256: str | None) -> dict[str, Any]:
    return {"name": Path(path).name, "size": size, "sha256": sha256}


def _tensor(path: str, piece: PlannedTensor, digest: PieceDigest) -> dict[str, Any]:
    return {
        "name": piece.name,
        "file": Path(path).name,
        "dtype": piece.dtype.name,
        "shape": piece.shape,
        "sha256": digest.sha256,
        "source": {"dtype": piece.info.dtype.name, "sha256": digest.source_sha256},
        "same_as": piece.alias_of,
    }


def _versions() -> dict[str, str]:
    versions = {"ckpttool": __version__, "python": platform.python_version()}
    try:
        import safetensors
    except ImportError:  # named in the proof, where it was wanted
        return versions
    return {**versions, "safetensors": safetensors.__version__}
