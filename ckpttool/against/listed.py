"""What the tensors are where the other checkpoint is a list of digests: a lock file, a receipt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, Sequence

from ckpttool.against.elements import Held, structure
from ckpttool.against.rows import State
from ckpttool.comparison.numbers.compare import SideError
from ckpttool.findings.errors import CkpttoolError
from ckpttool.tensors.values import start_values

if TYPE_CHECKING:
    from ckpttool.against.demands import Demands
    from ckpttool.against.rows import Row
    from ckpttool.inputs.receipts import Receipt
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.verification.options import VerifyOptions

_NO_ELEMENTS = "there are digests only, and no cast can be replayed from them"


def hold_digests(
    rows: Sequence[Row],
    receipt: Receipt,
    demands: Demands,
    known: Mapping[object, str],
    options: VerifyOptions,
) -> list[Held]:
    """Return what each row is by the digests of its tensors.

    Args:
        rows: of a list of digests and a checkpoint.
        receipt: the list.
        demands: what is demanded.
        known: view of a tensor -> the digest that was made when the file was verified.
        options: workers and executor.

    Raises:
        SideError: the file could not be read.
    """
    states = structure(rows, demands)
    asked = {
        str(number): row.pair.right
        for number, (row, state) in enumerate(zip(rows, states))
        if state is None and row.pair.right.view not in known
    }
    digests = {**known, **_digests(asked, options)}
    return [
        Held(row, state) if state is not None else _held(row, receipt, digests)
        for row, state in zip(rows, states)
    ]


def _held(row: Row, receipt: Receipt, digests: Mapping[object, str]) -> Held:
    left, right = row.pair
    if left.dtype != right.dtype:
        return Held(row, State.UNTOLD, _NO_ELEMENTS)
    found = digests.get(right.view)
    if found is None:
        return Held(row, State.UNTOLD, "it is not read")
    same = receipt.tensors[row.sources[0]].sha256 == found
    return Held(row, State.SAME if same else State.CHANGED, None if same else "another digest")


def _digests(asked: Mapping[str, TensorInfo], options: VerifyOptions) -> dict[object, str]:
    """Make the digests of tensors that were not digested as they are compared: parts of others."""
    if not asked:
        return {}
    try:
        with start_values(asked, (), workers=options.workers, executor=options.executor) as run:
            values = run.result()
    except CkpttoolError as error:
        raise SideError(1, error) from error
    return {asked[name].view: one.digest for name, one in values.tensors.items()}
