"""A folder of DeepSpeed ZeRO, by the optimizer states of its first process.

Each process keeps its part of the weights in float32, as flat tensors beside the state of its
optimizer (``*_optim_states.pt``); what parameters they are, in which order and of which shapes
stands in ``*_model_states.pt``, with the buffers. ``zero_to_fp32.py``, which DeepSpeed puts beside
a checkpoint, has the rules:

ZeRO-1 and 2
    the flat tensors of one group of parameters, one process after the other, are the parameters
    of the group one after the other, and padding;
ZeRO-3
    each parameter is cut into one piece a process, of ``ceil(elements / processes)`` elements; the
    pieces of one process stand one after the other in its flat tensors.

So each parameter is a row of extents. Buffers and frozen parameters have the type in which they
were saved, where ``zero_to_fp32.py`` makes float32 of buffers.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from itertools import islice
from typing import TYPE_CHECKING, Iterator, Mapping, Sequence

from ckpttool.files.folder import SHOWN, siblings_of
from ckpttool.files.suffixes import DEEPSPEED
from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError, UnsupportedError, UsageError
from ckpttool.findings.text import count, printable, some_of
from ckpttool.formats.distributed import zero_set
from ckpttool.formats.distributed.flat import Row, joined
from ckpttool.formats.distributed.telling import MODEL_STATES, rank_of
from ckpttool.formats.distributed.zero_files import (
    File,
    checksums_of,
    entries_of,
    is_size,
    list_of,
    read_file,
    shapes_of,
    stage_of,
    state_of,
    texts_of,
    wrong,
)
from ckpttool.formats.objects.describing import describe
from ckpttool.formats.safety.watch import Watch
from ckpttool.formats.torch import zip as torch_zip
from ckpttool.tensors.catalogue import Checkpoint, Entry, TensorInfo
from ckpttool.tensors.dtypes import DTYPES

if TYPE_CHECKING:
    from ckpttool.files.sources import ByteSource
    from ckpttool.tensors.catalogue import Extent

FORMAT = "deepspeed-zero"


# What of a file of model states says which parameters there are, or is the model; all else is
# beside it.
_OF_THE_MODEL = frozenset(
    {
        "module",
        "param_shapes",
        "buffer_names",
        "frozen_param_shapes",
        "frozen_param_fragments",
        "shared_params",
    }
)
_FLOAT = DTYPES["float32"]


def _which(ranks: Sequence[int], processes: int) -> str:
    """Say which files are missing, or of a run with more processes than the first file tells."""
    own = {rank for rank in ranks if rank < processes}
    lost = [f"{rank:,}" for rank in islice((n for n in range(processes) if n not in own), SHOWN)]
    if lost:
        more = " and others" if processes - len(own) > len(lost) else ""
        return f"Put the files of ranks {', '.join(lost)}{more} beside the others."
    others = (
        f"those of ranks {processes:,} and above are of another run, as one before it leaves them"
    )
    return f"By the first file the run had {processes:,} processes: {others}. Move them elsewhere."


def read(source: ByteSource, head: bytes, wrapper: str | None) -> Checkpoint | None:
    """Catalogue the checkpoint whose optimizer states are in ``source``; ``None`` if it is none.

    Args:
        source: a file that is called as those of a checkpoint are.
        head: its first bytes.
        wrapper: the dotted key asked for, of which there are none.

    Raises:
        CkpttoolError: as for ``open_checkpoint``.
    """
    own = os.path.split(source.name)[1]
    # a file of model states is a checkpoint by itself: up to ZeRO-2 it has the weights in 16 bits
    if not (DEEPSPEED.fullmatch(own) and torch_zip.matches(head)):
        return None
    with Watch() as watch, ExitStack() as opened:
        first = read_file(source, watch)
        if "zero_stage" not in state_of(first):
            return None
        if wrapper:
            raise UsageError("a folder of DeepSpeed has no wrappers", found=wrapper)
        checkpoint = _Run(first, watch, opened).checkpoint()
        opened.pop_all()  # from here on the checkpoint closes the files
        return checkpoint


class _Run:
    """One checkpoint that is being read."""

    def __init__(self, first: File, watch: Watch, opened: ExitStack) -> None:
        self._watch = watch
        self._siblings = siblings_of(first.source, opened)
        names = self._siblings.names()
        self._stage, processes = stage_of(first)
        mine = sorted((name for name in names if DEEPSPEED.fullmatch(name)), key=rank_of)
        self._check_processes(processes, mine)
        self._ranks = [first if name == first.name else self._open(name) for name in mine]
        zero_set.check_alike(self._ranks)
        models = [name for name in names if MODEL_STATES.fullmatch(name)]
        self._models = [self._open(name) for name in self._model_names(models, processes)]
        zero_set.check_models(self._models)
        self._tensors: dict[str, TensorInfo] = {}

    def checkpoint(self) -> Checkpoint:
        """Return it; buffers first, then the parameters in the order of the model."""
        model = self._models[0]
        first = self._ranks[0]
        for name in texts_of(model, "buffer_names"):
            node = entries_of(model.entries.get("module")).get(name)
            if node is not None:  # one that is not persistent
                self._add(name, model.tensor(name, node))
        self._add_frozen()
        groups = [shapes_of(model, node) for node in list_of(model, "param_shapes")]
        parts = self._whole_groups(groups) if self._stage < 3 else self._pieces(groups)
        for name, shape, extents in parts:
            self._add(name, TensorInfo(name, _FLOAT, shape, None, extents))
        for name, owner in entries_of(model.entries.get("shared_params")).items():
            if type(owner) is str and owner in self._tensors:
                self._add(name, self._tensors[owner])
        if not self._tensors:
            raise MalformedError("there is no tensor in it", rules.NO_TENSORS)
        files = (*self._ranks, *self._models)
        beside = [(key, node) for key, node in model.entries.items() if key not in _OF_THE_MODEL]
        return Checkpoint(
            first.source.name,
            FORMAT,
            tuple(file.source for file in files),
            self._tensors,
            entries=tuple(Entry(key, *describe(node)) for key, node in beside),
            aside=tuple(node for _, node in beside),
            references=tuple({str(one): one for one in self._watch.references}.values()),
            uses=self._watch.uses,
            checksums=tuple(sum_ for file in files for sum_ in checksums_of(file)),
        )

    def _add(self, name: str, info: TensorInfo) -> None:
        if name in self._tensors:
            raise MalformedError("the parameter is listed twice", rules.DUPLICATE_KEY, tensor=name)
        self._tensors[name] = info._replace(name=name, storage=None)

    # --- the files -----------------------------------------------------------------------------

    def _check_processes(self, processes: int, names: Sequence[str]) -> None:
        parted = [name for name in names if rank_of(name)[1]]
        if parted:
            raise UnsupportedError(
                "the model itself is parted over processes (tensor or pipeline parallel), which is "
                "not read",
                rules.UNSUPPORTED,
                found=some_of(parted, SHOWN),
                fix="Join it with DeepSpeed's own zero_to_fp32.py or ds_to_universal.py.",
            )
        numbers = [rank_of(name)[0] for name in names]
        if numbers != list(range(processes)):
            raise MalformedError(
                "the files of optimizer states are not those of all processes",
                rules.DISTRIBUTED_CHUNKS,
                expected=f"{processes:,}, of ranks 0 to {processes - 1:,}",
                found=f"{len(names):,}: {some_of(names, SHOWN)}",
                fix=_which(numbers, processes),
            )

    def _model_names(self, names: Sequence[str], processes: int) -> list[str]:
        """Return the files of model states that are read: the first, in ZeRO-3 all of them."""
        if self._stage < 3:
            wanted = [name for name in names if not name.startswith("zero_pp_rank")][:1]
        else:
            pieces = (f"zero_pp_rank_{one}_mp_rank_00_model_states.pt" for one in range(processes))
            wanted = [name for name in pieces if name in names]
        if not wanted:
            raise MalformedError(
                "the file of model states, which says what parameters there are, is not there",
                rules.DISTRIBUTED_CHUNKS,
                expected="mp_rank_00_model_states.pt",
                fix="Put it beside the optimizer states.",
            )
        return wanted

    def _open(self, name: str) -> File:
        source = self._siblings.open(name)
        if source is None:
            told = self._siblings.offenders or [f"{printable(name)} is not there"]
            raise MalformedError(
                f"a file of the checkpoint cannot be opened: {told[-1]}", rules.DISTRIBUTED_CHUNKS
            )
        file = read_file(source, self._watch)
        source.rest()  # there may be as many as processes
        return file

    # --- the parameters ------------------------------------------------------------------------

    def _whole_groups(
        self, groups: Sequence[Mapping[str, tuple[int, ...]]]
    ) -> Iterator[tuple[str, tuple[int, ...], tuple[Extent, ...]]]:
        """Yield the parameters of ZeRO-1 and 2."""
        flat = [self._flat(file, "single_partition_of_fp32_groups") for file in self._ranks]
        if any(len(one) != len(groups) for one in flat):
            raise wrong(
                self._models[0].name,
                f"it lists {count(len(groups), 'group')} of parameters, and the processes have "
                f"{', '.join(sorted({str(len(one)) for one in flat}))}",
            )
        for number, shapes in enumerate(groups):
            parts = [one[number] for one in flat]
            sizes = [part.numel for part in parts]
            zero_set.check_lengths(self._ranks, sizes)
            row = Row(parts)
            padding = self._paddings(number, len(shapes))
            places = {}
            for (name, shape), behind in zip(shapes.items(), padding):
                begin = row.size - row.left
                yield name, shape, joined(name, shape, [row])
                places[name] = begin, row.size - row.left
                row.take(min(behind, row.left))
            zero_set.check_slices(self._ranks, number, sizes, places)
            # groups end in padding, to a multiple of twice the processes, and so do their parts
            self._check_left(row, shapes, 4 * len(flat))

    def _pieces(
        self, groups: Sequence[Mapping[str, tuple[int, ...]]]
    ) -> Iterator[tuple[str, tuple[int, ...], tuple[Extent, ...]]]:
        """Yield the parameters of ZeRO-3."""
        rows = [Row(self._flat(file, "fp32_flat_groups")) for file in self._ranks]
        shapes = {name: shape for group in groups for name, shape in group.items()}
        for name, shape in shapes.items():
            yield name, shape, joined(name, shape, rows)
        for row in rows:
            self._check_left(row, shapes, 1)

    def _paddings(self, group: int, number: int) -> Sequence[int]:
        """Return the elements of padding behind each parameter of a group; later releases align."""
        listed = state_of(self._ranks[0]).get("param_alignment_paddings")
        if not isinstance(listed, (list, tuple)) or group >= len(listed):
            return (0,) * number
        own = listed[group]
        if not isinstance(own, (list, tuple)) or len(own) != number or not all(map(is_size, own)):
            raise wrong(self._ranks[0].name, "its param_alignment_paddings are not known")
        return own

    def _flat(self, file: File, key: str) -> list[TensorInfo]:
        nodes = state_of(file).get(key)
        if not isinstance(nodes, (list, tuple)):
            raise wrong(file.name, f"it has no {key}")
        infos = [file.tensor(key, node) for node in nodes]
        for info in infos:
            if info.dtype != _FLOAT or len(info.shape) != 1:
                raise UnsupportedError(
                    f"{key} are not flat float32 tensors",
                    rules.UNSUPPORTED,
                    path=file.source.name,
                    found=f"{info.dtype.name} {list(info.shape)}",
                )
        return infos

    def _check_left(self, row: Row, shapes: Mapping[str, object], most: int) -> None:
        if row.left >= most:
            raise wrong(
                self._models[0].name,
                f"{row.left:,} elements of {row.size:,} belong to none of its "
                f"{count(len(shapes), 'parameter')}",
            )

    def _add_frozen(self) -> None:
        """Add the parameters that were not trained, which no optimizer has."""
        shapes = shapes_of(self._models[0], self._models[0].entries.get("frozen_param_shapes"))
        held = [entries_of(file.entries.get("frozen_param_fragments")) for file in self._models]
        if shapes and self._stage >= 3 and len(self._models) != len(self._ranks):
            raise MalformedError(
                "the model states of some processes are not there, which hold frozen parameters",
                rules.DISTRIBUTED_CHUNKS,
                expected=f"{len(self._ranks):,} files",
                found=f"{len(self._models):,}",
            )
        for name, shape in shapes.items():
            parts = []
            for file, fragments in zip(self._models, held):
                if name not in fragments:
                    raise wrong(file.name, f"the frozen parameter {printable(name)} is not in it")
                parts.append(file.tensor(name, fragments[name]))
            if len({part.dtype for part in parts}) > 1:
                raise wrong(self._models[0].name, f"the parts of {printable(name)} differ in type")
            rows = [Row([part]) for part in parts]
            extents = joined(name, shape, rows)
            self._add(name, TensorInfo(name, parts[0].dtype, shape, None, extents))
