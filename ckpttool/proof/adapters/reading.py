"""Opening an adapter: its file, its configuration, and the parts that are for one module."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Iterable, Mapping, NamedTuple

from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, UnsupportedError, UsageError
from ckpttool.formats import open_checkpoint
from ckpttool.models.adapters.config import CONFIG, AdapterConfig, config_at
from ckpttool.models.adapters.names import ALPHA, BIAS, DOWN, MAGNITUDE, OTHER, UP, WHOLE, part_of
from ckpttool.tensors.rows import can_be_transposed, transposed

if TYPE_CHECKING:
    from ckpttool.models.adapters.names import Part
    from ckpttool.tensors.catalogue import Checkpoint, TensorInfo

#: What PEFT calls the weights of an adapter.
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")


class Delta(NamedTuple):
    """What an adapter adds to the weight of a module: ``scale * up @ down``.

    Attributes:
        module: its name, as the adapter has it without what is put before all names.
        flat: whether that has underscores for dots.
        up: matrix of the output's size times the rank; of an embedding, of the tokens'.
        down: matrix of the rank times the input's size, the axes of a convolution's kernel in one.
        scale: what alpha and the rank make.
        transposed: whether the weight is stored as input times output, where its shape does not
            tell.
        magnitude: of each row after the sum, of a DoRA adapter.
        embedding: whether it is of an embedding.
        tensor: the last part of the name of the module's tensor that it is added to.
    """

    module: str
    flat: bool
    up: TensorInfo
    down: TensorInfo
    scale: float
    transposed: bool = False
    magnitude: TensorInfo | None = None
    embedding: bool = False
    tensor: str = "weight"

    @property
    def rank(self) -> int:
        """How many columns are multiplied."""
        return self.down.shape[0]


class NotReplayed(NamedTuple):
    """A part of an adapter of which nothing is made here: its name, and why."""

    name: str
    reason: str


class Adapter(NamedTuple):
    """An open adapter.

    Attributes:
        path: as the caller named it.
        checkpoint: its tensors.
        config: what is said of the scale.
        deltas: in the order of the file.
        whole: tensors that take the place of the model's, by name.
        not_replayed: the other parts.
        beside: where its configuration lies; ``None`` without one.
    """

    path: str
    checkpoint: Checkpoint
    config: AdapterConfig | None
    deltas: tuple[Delta, ...]
    whole: dict[str, TensorInfo]
    not_replayed: tuple[NotReplayed, ...]
    beside: str | None = None


def files_of(path: str) -> tuple[str, str]:
    """Return the paths of an adapter's weights and of its configuration.

    Raises:
        UsageError: a folder has no adapter in it.
    """
    place = Path(path)
    if not place.is_dir():
        return path, str(place.parent / CONFIG)
    for name in WEIGHTS:
        if (place / name).is_file():
            return str(place / name), str(place / CONFIG)
    raise UsageError("there is no adapter in the folder", path=path, expected=" or ".join(WEIGHTS))


def read_adapter(path: str) -> Adapter:
    """Open an adapter; the caller closes its checkpoint.

    Args:
        path: the folder that PEFT saves, or the file of weights, whose configuration lies beside.

    Raises:
        UsageError: there is no adapter in the folder, or no configuration that its parts need.
        CkpttoolError: a file cannot be read, or is not what it should be.
    """
    weights, beside = files_of(path)
    checkpoint = open_checkpoint(weights)
    try:
        config = config_at(beside)
        return _Parts(path, checkpoint, config).adapter(beside)
    except BaseException as error:
        checkpoint.close()
        if isinstance(error, CkpttoolError):
            error.path = error.path or weights
        raise


class _Parts:
    """The tensors of an adapter, sorted by what they are for."""

    def __init__(self, path: str, checkpoint: Checkpoint, config: AdapterConfig | None) -> None:
        self._path = path
        self._checkpoint = checkpoint
        self._config = config
        self._modules: dict[tuple[str, str], dict[str, tuple[str, Part]]] = {}
        self._whole: dict[str, TensorInfo] = {}
        self._not: list[NotReplayed] = [
            NotReplayed(name, f"it is of a kind that is not read: {reason}")
            for name, reason in checkpoint.unread
        ]

    def adapter(self, beside: str) -> Adapter:
        """Return the adapter; ``beside`` is where its configuration would lie."""
        self._sort()
        self._share_alphas()
        if self._config is None and any(ALPHA not in parts for parts in self._modules.values()):
            raise UsageError(
                f"there is no {CONFIG} beside the adapter, so that its scale is not known",
                path=self._path,
                expected=beside,
                fix='Write it, with the rank and the alpha of the training: {"peft_type": "LORA", '
                '"r": RANK, "lora_alpha": ALPHA}.',
            )
        if not self._modules and not self._not:
            raise UnsupportedError(
                "there is no part of a LoRA adapter in the file",
                rules.UNSUPPORTED,
                found=f"{len(self._whole):,} other tensors",
            )
        deltas = [
            delta
            for (module, _), parts in self._modules.items()
            for delta in self._delta(module, parts)
        ]
        if self._config is not None:
            self._not += [NotReplayed("", words) for words in self._config.not_replayed]
        return Adapter(
            self._path,
            self._checkpoint,
            self._config,
            tuple(deltas),
            self._whole,
            tuple(self._not),
            None if self._config is None else beside,
        )

    def _sort(self) -> None:
        for name, info in self._checkpoint.tensors.items():
            part = part_of(name)
            if part is None:
                continue
            if part.kind == WHOLE:
                self._whole[part.module] = info
                continue
            if part.kind == OTHER:
                self._not.append(NotReplayed(name, "it is a part of no kind that is replayed"))
                continue
            parts = self._modules.setdefault((part.module, part.adapter), {})
            if part.kind in parts:
                self._not.append(NotReplayed(name, "there is another part of this kind"))
            else:
                parts[part.kind] = name, part

    def _share_alphas(self) -> None:
        """Give the alpha of a module, which has no adapter's name behind it, to its adapters."""
        alone = [key for key, parts in self._modules.items() if set(parts) == {ALPHA}]
        alphas = {key[0]: self._modules.pop(key)[ALPHA] for key in alone}
        for (module, _), parts in self._modules.items():
            if module in alphas:
                parts.setdefault(ALPHA, alphas[module])

    def _delta(self, module: str, parts: dict[str, tuple[str, Part]]) -> Iterable[Delta]:
        """Yield what the parts of a module add to it."""
        name, part = next(iter(parts.values()))
        if DOWN not in parts or UP not in parts:
            there = ", ".join(sorted(parts))
            yield from self._refuse(name, f"of its parts there is only {there}")
            return
        infos = {kind: self._checkpoint.tensors[own] for kind, (own, _) in parts.items()}
        factors = _factors(infos[DOWN], infos[UP], embedding=part.embedding)
        if isinstance(factors, str):
            yield from self._refuse(name, factors)
            return
        down, up = factors
        rank = down.shape[0]
        scale = self._scale(module, rank, infos.get(ALPHA))
        if isinstance(scale, str):
            yield from self._refuse(name, scale)
            return
        config = self._config
        magnitude = infos.get(MAGNITUDE)
        wrong = self._why_not(infos, part, up.shape[0])
        if wrong is not None:
            yield from self._refuse(name, wrong)
            return
        yield Delta(
            module,
            part.flat,
            up,
            down,
            scale,
            config is not None and config.transposed,
            magnitude,
            part.embedding,
        )
        if BIAS in parts:
            yield from self._refuse(parts[BIAS][0], "a bias of the adapter's own is not replayed")

    def _why_not(self, infos: Mapping[str, TensorInfo], part: Part, rows: int) -> str | None:
        """Return why the magnitudes of a DoRA adapter are not replayed; ``None`` if they are."""
        magnitude = infos.get(MAGNITUDE)
        if magnitude is None:
            dora = self._config is not None and self._config.dora
            return "it is said to be DoRA (use_dora), and has no magnitudes" if dora else None
        if part.embedding or len(infos[DOWN].shape) > 2:
            return "DoRA is replayed of matrices alone"
        if magnitude.numel != rows or magnitude.dtype.kind != "float":
            return f"its magnitudes are {magnitude.dtype.name} of {list(magnitude.shape)}"
        return None

    def _scale(self, module: str, rank: int, alpha: TensorInfo | None) -> float | str:
        if rank == 0:
            return "its rank is 0"
        if alpha is not None:
            number = _alpha(alpha)
            return number / rank if math.isfinite(number) else "its alpha is not a finite number"
        assert self._config is not None  # noqa: S101 (refused before)
        told = self._config.rank_of(module)
        if told != rank:
            return f"its rank is {rank}, and {told} in {CONFIG}"
        return self._config.scale_of(module, rank)

    def _refuse(self, name: str, reason: str) -> Iterable[Delta]:
        self._not.append(NotReplayed(name, reason))
        return ()


def _factors(
    first: TensorInfo, second: TensorInfo, *, embedding: bool
) -> tuple[TensorInfo, TensorInfo] | str:
    """Return both factors as matrices, the one of the input first, or why they are none."""
    for info in (first, second):
        if info.dtype.kind != "float" or not info.dtype.has_numbers or info.dtype.bits % 8:
            return f"its {info.dtype.name} is not a type that is multiplied"
    if len(first.shape) > 2 and len(first.shape) == len(second.shape):
        # a convolution: the kernel of the second is 1 in each direction
        if any(length != 1 for length in second.shape[2:]) or first.strides or second.strides:
            return "its second convolution is not a product of matrices"
        row = 1
        for length in first.shape[1:]:
            row *= length
        first = first._replace(shape=(first.shape[0], row))
        second = second._replace(shape=second.shape[:2])
    if len(first.shape) != 2 or len(second.shape) != 2:
        return f"its factors are no matrices: {list(first.shape)} and {list(second.shape)}"
    if first.shape[0] != second.shape[1]:
        return f"its factors do not fit: {list(second.shape)} times {list(first.shape)}"
    if embedding:  # their product is the transpose of the weight
        return transposed(second, second.name), transposed(first, first.name)
    return first, second


def _alpha(info: TensorInfo) -> float:
    return float(info.numpy().reshape(-1)[0]) if info.numel == 1 else float("nan")


def orientation(delta: Delta, shape: tuple[int, ...]) -> bool | None:
    """Return whether a delta is added to a weight with its axes exchanged.

    ``None`` if it fits neither way.
    """
    rows = shape[0] if shape else 0
    columns = 1
    for length in shape[1:]:
        columns *= length
    straight = (delta.up.shape[0], delta.down.shape[1]) == (rows, columns)
    exchanged = len(shape) == 2 and (delta.down.shape[1], delta.up.shape[0]) == (rows, columns)
    exchanged = exchanged and all(
        can_be_transposed(info.shape, info.dtype) for info in (delta.up, delta.down)
    )
    if straight and exchanged:
        return delta.transposed and not delta.embedding
    return exchanged if straight or exchanged else None
