"""Which tensors hold the same bytes, found without hashing all of them.

Tensors of different sizes, or with a different beginning, differ. SHA-256 is computed of the others
alone, which in an honest file are few; one pass over the file takes several times as long with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping

from ckpttool.tensors.sums import tensor_sum
from ckpttool.tensors.values import start_values

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.values import Values


def same_contents(
    tensors: Mapping[str, TensorInfo],
    values: Values,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
) -> dict[str, bytes]:
    """Return the SHA-256 of every tensor that may hold the same bytes as another.

    Those that are not in it differ from all others. Two that are in it hold the same bytes exactly
    if their sums are equal.

    Args:
        tensors: by name.
        values: what the pass over them found; those that were not read are left out.
        workers: threads; ``None`` for one per processor.
        executor: where they come from; see :class:`ckpttool.tensors.workers.Work`.

    Raises:
        CkpttoolError: bytes could not be read, or a file changed meanwhile.
    """
    groups: dict[tuple[int, int], list[str]] = {}
    for name, found in values.tensors.items():
        groups.setdefault((tensors[name].nbytes, found.head), []).append(name)
    alike = {name: tensors[name] for names in groups.values() if len(names) > 1 for name in names}
    if not values.digested and alike:
        with start_values(alike, (), workers=workers, executor=executor) as run:
            values = run.result()
    digests = {name: found.digest for name, found in values.tensors.items()}
    # expanded views may be beyond the cap now that the others, whose bytes made up for them, are
    # not read with them
    sums = {name: digests.get(name) or tensor_sum(info) for name, info in alike.items()}
    return {name: bytes.fromhex(digest) for name, digest in sums.items()}
