"""Which files are those of a checkpoint that several processes wrote, apart from their readers.

Most files are none, and are opened without the readers being loaded.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from ckpttool.files.sources import beginning_of
from ckpttool.files.suffixes import DEEPSPEED, METADATA, is_called_part
from ckpttool.formats.safetensors.sharding import KEY

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import Checkpoint

#: What the parts of a checkpoint of torch.distributed.checkpoint are called.
SUFFIX = ".distcp"
#: The module of what its ``.metadata`` holds.
MODULE = "torch.distributed.checkpoint.metadata"
#: Megatron's file of what is not in ``.metadata``: arguments, the step, an optimizer's groups.
COMMON = "common.pt"
#: What DeepSpeed calls the files that say which parameters there are.
MODEL_STATES = re.compile(r"(?:zero_pp_rank_(\d{1,6})_)?mp_rank_(\d{1,6})_model_states\.pt")
# The file that names the newest of several checkpoints of DeepSpeed beside it.
_LATEST = "latest"


def first_in(folder: str) -> str | None:
    """Return the file by which the one checkpoint in a folder is opened, if it has one."""
    return listing_in(folder) or first_shard_in(folder) or first_rank_below(folder)


def firsts_in(folder: str) -> frozenset[str]:
    """Return the names that such files in a folder have."""
    folder = folder or os.curdir
    firsts = (first_shard_in(folder), first_rank_in(folder))
    return frozenset((METADATA, *(os.path.split(first)[1] for first in firsts if first)))


def parts_beside(path: str) -> list[str]:
    """Return the names of the other files of a checkpoint, given the one that it is opened by."""
    return listed_beside(path) or shards_beside(path) or ranks_beside(path)


# --- torch.distributed.checkpoint ---------------------------------------------------------


def is_listing(head: bytes) -> bool:
    """Whether a file begins as the pickle of a ``Metadata`` does."""
    # behind the protocol and the frame, if there are any, and the opcode with the name's length
    return head[:1] in b"\x80c" and MODULE.encode() in head[: 20 + len(MODULE)]


def listing_in(folder: str) -> str | None:
    """Return the path of the ``.metadata`` in a folder, if it has one by its content."""
    path = os.path.join(folder, METADATA)  # noqa: PTH118 (keeps the caller's spelling)
    return path if is_listing(beginning_of(path, 100)) else None


def listed_beside(path: str) -> list[str]:
    """Return the names of the parts of a distributed checkpoint, given its ``.metadata``."""
    if os.path.split(path)[1] != METADATA:
        return []
    folder = os.path.split(path)[0] or os.curdir
    if listing_in(folder) is None:
        return []
    return [name for name in _names_in(folder) if name.endswith(SUFFIX) or name == COMMON]


def _names_in(folder: str) -> list[str]:
    """Return the names of what is in a folder, sorted; nothing if it cannot be listed."""
    try:
        return sorted(os.listdir(folder or os.curdir))  # noqa: PTH208
    except OSError:
        return []


# --- safetensors files of parts -----------------------------------------------------------


def says_places(checkpoint: Checkpoint) -> bool:
    """Whether a safetensors file says of its tensors where they stand in larger ones."""
    return KEY in checkpoint.metadata


def first_shard_in(folder: str) -> str | None:
    """Return the path of the first such shard in a folder: it stands for all of them."""
    names = _shards_in(folder)
    return os.path.join(folder, names[0]) if names else None  # noqa: PTH118


def shards_beside(path: str) -> list[str]:
    """Return the names of the other shards, given the path of the first; nothing for others."""
    folder, name = os.path.split(path)
    names = _shards_in(folder) if is_called_part(name) else []
    return names[1:] if names and names[0] == name else []


def _shards_in(folder: str) -> list[str]:
    return list(filter(is_called_part, _names_in(folder)))


# --- DeepSpeed ----------------------------------------------------------------------------


def is_called_rank(path: str) -> bool:
    """Whether a file is called as DeepSpeed calls those of a checkpoint."""
    name = os.path.split(path)[1]
    return bool(DEEPSPEED.fullmatch(name) or MODEL_STATES.fullmatch(name))


def first_rank_below(folder: str) -> str | None:
    """Return the first file of optimizer states in a folder, or in the one that is the latest."""
    own = first_rank_in(folder)
    if own is not None:
        return own
    tag = beginning_of(os.path.join(folder, _LATEST), 200).decode("utf-8", "replace").strip()  # noqa: PTH118
    # a plain name: a folder that was downloaded must not lead to another
    return first_rank_in(os.path.join(folder, tag)) if re.fullmatch(r"[\w.-]+", tag) else None  # noqa: PTH118


def first_rank_in(folder: str) -> str | None:
    """Return the first file of optimizer states right in a folder."""
    names = list(filter(DEEPSPEED.fullmatch, _names_in(folder)))
    return os.path.join(folder, min(names, key=rank_of)) if names else None  # noqa: PTH118


def ranks_beside(path: str) -> list[str]:
    """Return the names of the other files of a checkpoint, given its first one."""
    folder, own = os.path.split(path)
    first = first_rank_in(folder or os.curdir) if DEEPSPEED.fullmatch(own) else None
    if first is None or os.path.split(first)[1] != own:
        return []
    return [name for name in _names_in(folder) if name != own and is_called_rank(name)]


def rank_of(name: str) -> tuple[int, int]:
    """Return the process of a file of optimizer states, and that of the parts of the model."""
    found = DEEPSPEED.fullmatch(name)
    return (int(found[1]), int(found[2])) if found else (0, 0)
