"""The one pass over a file's bytes: every tensor is read once, in chunks, by several threads.

It yields statistics, the stored checksums' results, SHA-256 digests and further measures if they
are asked for, the bytes of tensors that a check needs whole, and which tensors have the bytes of
another file's. It runs in the background, so that the caller can import torch meanwhile; numpy and
whatever makes the sums release the interpreter's lock. Results are merged in the order of the
tensors, so they do not depend on the number of threads.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Callable, Collection, Mapping, NamedTuple, Sequence

from ckpttool.files.sources import check_all_unchanged
from ckpttool.tensors.catalogue import Checksum, Extent, TensorBytes, TensorInfo
from ckpttool.tensors.examining import Asked, Found, Item, Room, TensorValues, examine_all, memory
from ckpttool.tensors.measures import limit_for
from ckpttool.tensors.read_plan import NO_TWINS, ReadPlan, group, plan
from ckpttool.tensors.workers import Work

if TYPE_CHECKING:
    from concurrent.futures import Executor


class BadChecksum(NamedTuple):
    """A stored CRC-32 that does not match the bytes."""

    member: str
    expected: int
    found: int


class Values(NamedTuple):
    """The results of the pass.

    Attributes:
        tensors: statistics and digest by name, in the order of the tensors.
        kept: the bytes of the tensors in ``keep``, by name.
        bad_checksums: the stored sums that do not match.
        checksums_checked: how many stored sums were compared.
        skipped: name to reason, for tensors that were not read.
        digested: whether digests were asked for.
        measured: whether further measures were.
    """

    tensors: dict[str, TensorValues]
    kept: dict[str, TensorBytes]
    bad_checksums: tuple[BadChecksum, ...]
    checksums_checked: int
    skipped: dict[str, str]
    digested: bool
    measured: bool = False


def start_values(
    tensors: Mapping[str, TensorInfo],
    checksums: Sequence[Checksum],
    *,
    keep: Collection[str] = (),
    digests: bool = True,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Callable[[int], None] | None = None,
    twins: Mapping[object, TensorInfo] = NO_TWINS,
    measure: bool = False,
) -> ValuesRun:
    """Start reading every tensor in background threads, and return immediately.

    Args:
        tensors: what to read, by the name to report it under.
        checksums: stored sums to compare; those over a whole tensor need no second reading.
        keep: names whose contiguous little-endian bytes are kept in memory.
        digests: whether to compute SHA-256, which takes longer than all the rest.
        workers: threads; ``None`` for one per processor, at most 16.
        executor: where they come from; see :class:`ckpttool.tensors.workers.Work`.
        progress: called with how many more bytes were read, from any of the threads.
        twins: view of a tensor -> another file's of the same type and shape, whose bytes are
            compared with those of the tensor while these are in the caches.
        measure: whether to measure each tensor further.

    Raises:
        UnreadableError: there is not enough memory for ``keep``.
        UsageError: fewer than one worker, or an executor of other processes.
    """
    read_plan = plan(tensors, checksums, keep, twins)
    items: list[Item] = [
        *enumerate(read_plan.readings),
        *((index, checksums[index].extent) for index in read_plan.checksums),
    ]
    sizes = [item.length if isinstance(item, Extent) else item.info.nbytes for _, item in items]
    # The largest first: a large one that begins last would leave the other threads idle.
    groups = sorted(group(sizes), key=lambda indices: -sum(sizes[index] for index in indices))
    work = Work(
        partial(examine_all, Asked(digests, limit_for(len(read_plan.readings)) * measure)),
        [[items[index] for index in indices] for indices in groups],
        partial(memory, bool(twins)),
        workers=workers,
        executor=executor,
        progress=progress,
    )
    return ValuesRun(read_plan, tensors, checksums, work, sum(sizes), digests, measured=measure)


class ValuesRun:
    """A pass under way. Use it in a ``with`` block, so that an error elsewhere stops it.

    Attributes:
        total: bytes to read, for a progress bar.
    """

    def __init__(
        self,
        read_plan: ReadPlan,
        tensors: Mapping[str, TensorInfo],
        checksums: Sequence[Checksum],
        work: Work[list[Item], Room, Found],
        total: int,
        digests: bool,
        measured: bool = False,
    ) -> None:
        self.total = total
        self._digests = digests
        self._measured = measured
        self._plan = read_plan
        self._tensors = tensors
        self._checksums = checksums
        self._work = work
        self._result: Values | None = None

    def result(self) -> Values:
        """Wait for the pass to end and return what it found; a second call gives the same.

        Raises:
            CkpttoolError: bytes could not be read, or a file changed meanwhile. The remaining
                work is cancelled then, as by any exception that interrupts the waiting.
        """
        if self._result is None:
            results = self._work.results()
            # After the reading: a file that changes during it must not pass as a mix of two.
            check_all_unchanged(
                extent.source for info in self._tensors.values() for extent in info.extents
            )
            self._result = self._merged(results)
        return self._result

    def cancel(self) -> None:
        """Stop reading and wait for the threads, which end after their current chunk."""
        self._work.cancel()

    def __enter__(self) -> ValuesRun:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    def _merged(self, results: Sequence[Found]) -> Values:
        by_reading = {index: values for found, _ in results for index, values in found}
        sums = {index: crc32 for _, found in results for index, crc32 in found}
        by_name: dict[str, TensorValues] = {}
        kept: dict[str, TensorBytes] = {}
        for index, reading in enumerate(self._plan.readings):
            for name in reading.names:
                by_name[name] = by_reading[index]
                if reading.target is not None:
                    info = reading.info
                    kept[name] = TensorBytes(info.dtype, info.shape, reading.target)
        bad = tuple(
            BadChecksum(stored.member, stored.crc32, sums[index])
            for index, stored in enumerate(self._checksums)
            if sums[index] != stored.crc32
        )
        ordered = {name: by_name[name] for name in self._tensors if name in by_name}
        kept = {name: kept[name] for name in self._tensors if name in kept}
        skipped = dict(self._plan.skipped)
        done = self._digests, self._measured
        return Values(ordered, kept, bad, len(self._checksums), skipped, *done)
