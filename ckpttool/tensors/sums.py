"""Hash sums of whole files, several at a time, and of one tensor alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

from ckpttool.tensors.gather import chunks
from ckpttool.tensors.workers import Work

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ckpttool.files.sources import ByteSource
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.workers import Worker

_BUFFER = 4 << 20  # hashlib releases the interpreter's lock for each: threads run side by side


def file_sums(
    sources: Sequence[ByteSource],
    algorithm: str = "sha256",
    *,
    workers: int | None = None,
    executor: Executor | None = None,
) -> list[str]:
    """Return the sum of each file in hexadecimal, in their order.

    Args:
        sources: the files.
        algorithm: as hashlib names it.
        workers: files at a time; ``None`` for one per processor.
        executor: see :class:`ckpttool.tensors.workers.Work`.

    Raises:
        UnreadableError: a file cannot be read, or changed since it was opened.
    """
    import hashlib  # late: 2 ms of every start

    def sum_of(source: ByteSource, worker: Worker[memoryview]) -> str:
        digest = hashlib.new(algorithm)
        for start in range(0, source.size, _BUFFER):
            worker.check()
            chunk = worker.memory[: min(_BUFFER, source.size - start)]
            source.read_into(start, chunk)
            digest.update(chunk)
        source.check_unchanged()  # the sum of a file that was written to is that of no version
        return digest.hexdigest()

    return Work(
        sum_of,
        sources,
        lambda: memoryview(bytearray(_BUFFER)),
        workers=workers,
        executor=executor,
    ).results()


def tensor_sum(info: TensorInfo) -> str:
    """Return the SHA-256 of a tensor's contiguous little-endian elements, in hexadecimal.

    Raises:
        CkpttoolError: as for :func:`ckpttool.tensors.gather.chunks`.
    """
    import hashlib

    digest = hashlib.sha256()
    for chunk in chunks(info, memoryview(bytearray(_BUFFER))):
        digest.update(chunk)
    return digest.hexdigest()
