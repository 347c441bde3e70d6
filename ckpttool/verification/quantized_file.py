"""What a file holds of quantized weights, with what the files beside it say of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Iterator, Mapping, NamedTuple

from ckpttool.files import collecting
from ckpttool.files.suffixes import shard_name
from ckpttool.findings.text import count, printable
from ckpttool.models.schema_file import described
from ckpttool.quantization import packed as role
from ckpttool.quantization.logical import Logical, logical
from ckpttool.quantization.recognise import Contents, packed_in
from ckpttool.quantization.schemes import SCHEMES
from ckpttool.quantization.settings import NONE, Settings, settings_in
from ckpttool.quantization.stored_shapes import Problem, with_stored_shapes
from ckpttool.tensors.gather import read_small
from ckpttool.verification.release_files import QUANTIZATION

if TYPE_CHECKING:
    from ckpttool.models.schema import Schema
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
        held: what is held against a schema, where quantized weights stand for others.
        unknown: the weights whose own shape nothing shows, of those that a schema has.
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
    unknown: tuple[str, ...] = ()
    held: Mapping[str, TensorInfo] | None = None

    @property
    def parts(self) -> frozenset[str]:
        """All that belongs to quantized weights, those included that are not there."""
        left = (*self.contents.orphans.values(), *self.contents.beside.values())
        return self.claimed.union(info.name for infos in left for info in infos)


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
    named = {
        name: info if info.name == name else info._replace(name=name)
        for name, info in tensors.items()
    }
    with collecting.paused():
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


def in_words(file: QuantizedFile) -> str | None:
    """Return how many weights are quantized, by which schemes, and what says so."""
    packed = file.contents.packed
    if not packed:
        return None
    numbers = Counter(one.scheme for one in packed.values())
    several = len(numbers) > 1
    schemes = ", ".join(
        f"{number:,} {SCHEMES[scheme]}" if several else SCHEMES[scheme]
        for scheme, number in numbers.most_common()
    )
    says = f"as {file.settings.where} says" if file.settings.where else "by their names and types"
    return f"{count(len(packed), 'weight')}: {schemes}, {says}"


def not_looked_at(file: QuantizedFile) -> Iterator[str]:
    """Say what was not looked at of the quantized weights of a file."""
    settings = file.settings
    if file.partial and any(file.contents):
        yield "whether every quantized weight has its parts (they may lie in other shards)"
    if file.unknown:
        number = count(len(file.unknown), "quantized weight")
        yield f"the shape of {number} (no part of it shows it)"
    if file.unread:
        number = count(len(file.unread), "quantized weight")
        yield f"the group index of {number} (it is too large)"
    if settings.where and not settings.is_known:
        method = printable(settings.method) or "no quant_method"
        yield f"what {settings.where} says of quantized weights ({method})"
    if settings.unread:
        number = count(len(settings.unread), "expression")
        yield f"{number} of {settings.where} that name modules, which are not read here"


def as_in(schema: Schema, tensors: Mapping[str, TensorInfo], contents: Contents) -> Logical:
    """Return the tensors of a file as a schema has them.

    Args:
        schema: of whole weights, or of a quantized file.
        tensors: those of the file.
        contents: its quantized weights.
    """
    if not contents.packed:
        return Logical(dict(tensors))
    expected = {
        name: described(name, entry.dtype, entry.shape) for name, entry in schema.entries.items()
    }
    return logical(tensors, contents.packed, expected)


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
