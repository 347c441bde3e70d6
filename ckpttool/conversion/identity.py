"""The content fingerprint of tensors whose digests are known, joined ones included."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Dict, Mapping, Tuple

from ckpttool.models.canonical import canonicalize
from ckpttool.tensors.fingerprint import fingerprint

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import TensorInfo

_BUFFER = 1 << 20

#: Digest of a joined tensor by the digests of its parts, in order.
Joined = Dict[Tuple[str, ...], str]


def fingerprint_of(
    tensors: Mapping[str, TensorInfo], digests: Mapping[str, str], joined: Joined
) -> str:
    """Return the content fingerprint, as ``verify`` would.

    Args:
        tensors: all of them, by the names of the file.
        digests: SHA-256 of the row-major elements by name.
        joined: what is known of tensors that a layout joins (query, key and value); the
            digests of those that are not known yet are added. Equal parts make equal wholes,
            so what was read of the source serves its copy as well.

    Raises:
        UnreadableError: a joined tensor cannot be read.
    """
    canonical = canonicalize(tensors)
    entries = []
    for name, info in canonical.tensors.items():
        parts = tuple(digests[origin] for origin in canonical.origins[name])
        if len(parts) > 1 and parts not in joined:
            joined[parts] = _digest(info)
        digest = parts[0] if len(parts) == 1 else joined[parts]
        entries.append((name, info.dtype.name, info.shape, digest))
    return fingerprint(entries)


def _digest(info: TensorInfo) -> str:
    from ckpttool.tensors.gather import chunks  # numpy

    sha = hashlib.sha256()
    for piece in chunks(info, memoryview(bytearray(_BUFFER))):
        sha.update(piece)
    return sha.hexdigest()
