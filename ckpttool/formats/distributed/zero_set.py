"""Whether files of DeepSpeed are those of one checkpoint, each under its own name.

No file names the checkpoint that it is of, or its process. But what they say must agree: the stage,
the number of processes, the step of the optimizer, and which parameters a process has parts of
(``param_slice_mappings``, in later releases of ZeRO-1 and 2). Two files of one step that have parts
of the same parameter alone may change places unseen.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Iterator, Mapping, Sequence

from ckpttool.files.sources import read_bytes
from ckpttool.findings.text import printable
from ckpttool.formats.distributed.zero_files import (
    entries_of,
    list_of,
    shapes_of,
    stage_of,
    state_of,
    wrong,
)
from ckpttool.formats.objects.rebuild import is_tensor
from ckpttool.formats.pickles.dictionaries import pairs_of
from ckpttool.formats.pickles.nodes import Call

if TYPE_CHECKING:
    from ckpttool.formats.distributed.zero_files import File
    from ckpttool.formats.pickles.nodes import Node

# Parameters of an optimizer that are asked for the step; one for each group.
_ASKED = 20
# The state of the optimizer itself, in ZeRO-1 and 2 and in ZeRO-3.
_OPTIMIZERS = ("base_optimizer_state", "optimizer_state_dict")


def check_alike(files: Sequence[File]) -> None:
    """Check that the files of optimizer states are of one run and one step.

    Raises:
        MalformedError: one has another stage, number of processes or step than the first.
    """
    first = files[0]
    known = stage_of(first)
    for file in files[1:]:
        if "zero_stage" not in state_of(file) or stage_of(file) != known:
            raise wrong(
                file.name, f"it has another ZeRO stage or number of processes than {first.name}"
            )
    steps = ((file, _step(file)) for file in files)
    told = [(file, step) for file, step in steps if step is not None]
    for file, step in told[1:]:
        if step != told[0][1]:
            raise wrong(
                file.name, f"its optimizer is at another step than that of {told[0][0].name}"
            )


def check_models(files: Sequence[File]) -> None:
    """Check that files of model states say the same of parameters and of the step.

    Raises:
        MalformedError: one does not say what the first one does.
    """
    first = files[0]
    known = _of_model(first)
    for file in files[1:]:
        if _of_model(file) != known:
            raise wrong(
                file.name, f"it says another step or other parameters than that of {first.name}"
            )


def check_lengths(files: Sequence[File], sizes: Sequence[int]) -> None:
    """Check how many elements of a group each process has in ZeRO-1 and 2.

    All have as many as the first, but for padding at the end, which later releases leave out.

    Raises:
        MalformedError: one has more or fewer.
    """
    left = sum(sizes)
    for file, size in zip(files, sizes):
        expected = min(sizes[0], left)
        if size != expected:
            raise wrong(
                file.name,
                f"its part of a group is {size:,} elements long, where {expected:,} are due",
            )
        left -= size


def check_slices(
    files: Sequence[File], group: int, sizes: Sequence[int], places: Mapping[str, tuple[int, int]]
) -> None:
    """Check that each process has the parts of parameters that it says it has.

    Args:
        files: of optimizer states, in the order of the processes.
        group: the number of the group.
        sizes: how many elements of it each process has.
        places: first element of each parameter in the group, and behind the last.

    Raises:
        MalformedError: one says that it has other parts.
    """
    begin = 0
    for file, size in zip(files, sizes):
        for name, (start, number) in _slices(file, group):
            if name not in places:
                continue
            first, last = max(places[name][0], begin), min(places[name][1], begin + size)
            if number != max(last - first, 0) or start != first - begin:
                raise wrong(
                    file.name,
                    f"it is of another process: it has other parts of {printable(name)}",
                )
        begin += size


def _slices(file: File, group: int) -> Iterator[tuple[str, tuple[Node, Node]]]:
    listed = state_of(file).get("param_slice_mappings")
    if not isinstance(listed, (list, tuple)) or group >= len(listed):
        return
    for name, node in entries_of(listed[group]).items():
        state = node.states[0] if isinstance(node, Call) and node.states else None
        told = entries_of(state)
        if {"start", "numel"} <= told.keys():
            yield name, (told["start"], told["numel"])


def _of_model(file: File) -> object:
    shapes = [list(shapes_of(file, node).items()) for node in list_of(file, "param_shapes")]
    step = file.entries.get("global_steps")
    return shapes, step if type(step) is int else None


def _step(file: File) -> bytes | int | None:
    """Return how often the optimizer has changed the weights, in whatever type it keeps that."""
    held = next(filter(None, (entries_of(state_of(file).get(key)) for key in _OPTIMIZERS)), {})
    groups = held.get("param_groups")
    found = [entries_of(one) for one in (groups if isinstance(groups, (list, tuple)) else ())]
    found += [entries_of(value) for _, value in (pairs_of(held.get("state")) or [])[:_ASKED]]
    steps = [entry["step"] for entry in found if "step" in entry]
    numbers = [step for step in steps if type(step) is int]
    if numbers:
        return max(numbers)
    return max(filter(None, (_bytes_of(file, step) for step in steps)), default=None)


def _bytes_of(file: File, node: Node) -> bytes | None:
    if not (isinstance(node, Call) and is_tensor(node)):
        return None
    info = file.tensor("step", node)
    if prod(info.shape) != 1 or not info.extents:
        return None
    # numbers of one type that are not negative: big-endian they are ordered as they are
    (extent,) = info.extents
    return read_bytes(extent.source, extent.offset, extent.length)[::-1]
