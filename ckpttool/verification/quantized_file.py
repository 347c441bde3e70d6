"""What a file holds of quantized weights, with what the files beside it say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, NamedTuple

from ckpttool.files.suffixes import shard_name
from ckpttool.quantization import packed as role
from ckpttool.quantization.recognise import Contents, packed_in
from ckpttool.quantization.settings import NONE, Settings, settings_in
from ckpttool.quantization.stored_shapes import Problem, with_stored_shapes
from ckpttool.tensors.gather import read_small
from ckpttool.verification.release_files import QUANTIZATION

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import Checkpoint, TensorInfo
    from ckpttool.verification.release_files import ReleaseFiles

# Bytes of a group index, which has a number for each input; and of all of them.
_MOST_OF_ONE, _MOST_OF_ALL = 4 << 20, 64 << 20

_NOTHING = Contents({}, {}, {}, {})


class QuantizedFile(NamedTuple):
    """The quantized weights of a file.

    Attributes:
        contents: which there are, and what is left over.
        settings: what the configuration says.
        problems: by the name of the weight, what is wrong with its stored shape.
        unordered: the weights whose group index does not rise.
        unread: the weights whose group index was not read, for its size.
        partial: whether the file is one of several shards, so that parts may lie in others.
        claimed: the names of the tensors that make up quantized weights.
        undeclared: whether there is a config.json that says nothing of a quantization.
    """

    contents: Contents = _NOTHING
    settings: Settings = NONE
    problems: Mapping[str, Problem] = {}
    unordered: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()
    partial: bool = False
    undeclared: bool = False
    claimed: frozenset[str] = frozenset()


NOTHING = QuantizedFile()


def quantized_file(
    checkpoint: Checkpoint, tensors: Mapping[str, TensorInfo], beside: ReleaseFiles
) -> QuantizedFile:
    """Return what a file holds of quantized weights. Only small tensors are read.

    Args:
        checkpoint: the open file.
        tensors: its tensors, by the names that reports call them.
        beside: what lies beside it.

    Raises:
        CkpttoolError: bytes could not be read.
    """
    settings = settings_in(beside.config, *map(beside.quantization.get, QUANTIZATION))
    named = {name: info._replace(name=name) for name, info in tensors.items()}
    contents = packed_in(named, settings, checkpoint.metadata)
    packed, problems = with_stored_shapes(contents.packed)
    unordered, unread = _unordered(contents)
    return QuantizedFile(
        contents._replace(packed=packed),
        settings,
        problems,
        unordered,
        unread,
        shard_name(checkpoint.path) is not None and "sharded" not in checkpoint.format,
        beside.config is not None and not settings.where and not _mentions(beside.config),
        contents.claimed,
    )


def _mentions(config: Mapping[str, object]) -> bool:
    """Whether a configuration speaks of a quantization in some other way (TensorRT-LLM, MLX)."""
    inner = config.get("text_config")
    keys = [*config, *(inner if isinstance(inner, dict) else ())]
    return any("quant" in key.lower() for key in keys)


def _unordered(contents: Contents) -> tuple[frozenset[str], frozenset[str]]:
    """Return the weights whose group index does not rise, and those whose was not read."""
    indices = {
        name: one.parts[role.GROUP_INDEX]
        for name, one in contents.packed.items()
        if role.GROUP_INDEX in one.parts and one.parts[role.GROUP_INDEX].dtype.numpy is not None
    }
    read: dict[str, TensorInfo] = {}
    total = 0
    for name, info in indices.items():
        if info.nbytes <= min(_MOST_OF_ONE, _MOST_OF_ALL - total):
            read[name] = info
            total += info.nbytes
    if not read:
        return frozenset(), frozenset(indices)
    import numpy as np  # late: most files have none

    data = read_small(list(read.values()), [info.nbytes for info in read.values()])
    falling = set()
    for (name, info), raw in zip(read.items(), data):
        numbers = np.frombuffer(raw, f"<{info.dtype.numpy}")
        if bool((numbers[1:] < numbers[:-1]).any()):
            falling.add(name)
    return frozenset(falling), frozenset(indices.keys() - read.keys())
