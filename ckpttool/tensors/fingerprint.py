"""The content fingerprint: one short name for a set of weights, in whatever container.

Specified for other implementations in ``docs/fingerprint.md``. It depends on names (in the
canonical layout), dtypes, shapes and elements; not on the container, the order of the names,
wrappers, prefixes, strides, byte order or which tensors share memory.
"""

from __future__ import annotations

import json
from typing import Iterable, Sequence, Tuple

from ckpttool.tensors.dtypes import DTYPES, by_elements

#: What a fingerprint starts with; another specification will get another number.
PREFIX = "ckpt1:"

#: Canonical name, torch's name of the dtype, shape, SHA-256 of the elements in hexadecimal.
Entry = Tuple[str, str, Sequence[int], str]


def fingerprint(entries: Iterable[Entry]) -> str:
    """Return the fingerprint of these tensors: ``ckpt1:`` and 64 hexadecimal digits.

    Each tensor is one line, ``["name","dtype",[shape],"digest"]`` as JSON without spaces, all
    beyond ASCII escaped, ended by a newline. The lines are sorted by the code points of the
    names, and the SHA-256 of them all is the fingerprint.

    Args:
        entries: (name, dtype, shape, digest) a tensor, in any order; ``digest`` is the SHA-256
            of the row-major little-endian elements, 64 lowercase hexadecimal digits.

    Raises:
        ValueError: two tensors have the same name.
    """
    import hashlib  # late: 2 ms of every start

    encode = json.JSONEncoder(separators=(",", ":")).encode  # dumps() makes one for each record
    digest = hashlib.sha256()
    last = None
    for name, dtype, shape, elements in sorted(entries, key=lambda entry: entry[0]):
        if name == last:
            raise ValueError(f"two tensors are called {name!r}")
        last = name
        if dtype in DTYPES:  # what torch counts in pairs is the same tensor in elements
            counted, shape = by_elements(DTYPES[dtype], tuple(shape))
            dtype = counted.name
        record = encode([name, dtype, list(shape), elements])
        digest.update(record.encode("ascii") + b"\n")
    return PREFIX + digest.hexdigest()
