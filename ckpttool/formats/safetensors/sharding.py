"""``DCP_SHARDING_INFO``: where the tensors of a safetensors file stand in the whole ones.

torch's HuggingFaceStorageWriter puts it into ``__metadata__``, as JSON:
``{name: {"saved_offsets": [first index along each axis]}}``.
"""

from __future__ import annotations

from typing import Mapping

from ckpttool.files.sources import MemorySource
from ckpttool.files.strict_json import strict_json
from ckpttool.files.suffixes import is_called_part
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError
from ckpttool.formats.objects.storages import is_natural
from ckpttool.tensors.catalogue import TensorInfo

#: The key in ``__metadata__``.
KEY = "DCP_SHARDING_INFO"
#: The keys of the writer's own, which say nothing of tensors that were joined.
KEYS = (KEY, "DCP_VERSION")
_OFFSETS = "saved_offsets"


def offsets_of(
    metadata: Mapping[str, str], tensors: Mapping[str, TensorInfo]
) -> dict[str, tuple[int, ...]] | None:
    """Return where each tensor of a file begins in the whole one; ``None`` if it does not say so.

    Raises:
        MalformedError: it says so of other tensors, or in another form.
    """
    text = metadata.get(KEY)
    if text is None:
        return None
    try:
        document = MemorySource(text.encode("utf-8", "surrogatepass"), KEY)
        listed = strict_json(document, rules.DISTRIBUTED_METADATA)
    except CkpttoolError as error:
        raise _bad(f"{KEY} is not JSON: {error.message}") from error
    if not isinstance(listed, dict) or not set(tensors) <= set(listed):
        raise _bad(f"{KEY} does not list the tensors of the file")
    found: dict[str, tuple[int, ...]] = {}
    for name, info in tensors.items():
        entry = listed[name]
        offsets = entry.get(_OFFSETS) if isinstance(entry, dict) else None
        if not isinstance(offsets, list) or len(offsets) != len(info.shape):
            raise _bad(f"{KEY} has no offset for each axis", name)
        if not all(map(is_natural, offsets)):
            raise _bad(f"{KEY} has offsets that are no integers from 0 up", name)
        found[name] = tuple(offsets)
    return found


def holds_parts(file: str, metadata: Mapping[str, str], tensors: Mapping[str, TensorInfo]) -> bool:
    """Whether a file of this name has parts of tensors, and the rest of them lies in others.

    Raises:
        MalformedError: as for :func:`offsets_of`.
    """
    offsets = offsets_of(metadata, tensors)
    return offsets is not None and (is_called_part(file) or any(map(any, offsets.values())))


def _bad(message: str, tensor: str | None = None) -> MalformedError:
    return MalformedError(message, rules.DISTRIBUTED_METADATA, tensor=tensor)
