"""What was locked, as text: the weights, and what a comparison of outputs can detect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, TextIO

from rich.text import Text

from ckpttool.findings.inventory import account
from ckpttool.findings.text import count, printable, size
from ckpttool.reports.terminal.inventory import write_inventory
from ckpttool.reports.terminal.page import GOOD, Page, styled

if TYPE_CHECKING:
    from ckpttool.verification.lock.content import Lock, LockedForward


def write(lock: Lock, stream: TextIO) -> None:
    """Write a few lines on each checkpoint, and the path of the lock file."""
    page = Page(stream)
    inventory = lock.report.inventory if lock.report else ()
    for locked in lock.checkpoints:
        page.line(Text(printable(locked.name), style="bold"), 0, 2)
        files = count(len(locked.files), "file")
        nbytes = size(sum(file.size for file in locked.files))
        tensors = count(len(locked.tensors), "tensor")
        of = "" if locked.schema == "none" else f" of {locked.schema}"
        page.row("weights", Text(f"{tensors}{of}, {nbytes} in {files}"))
        page.whole("fingerprint", Text(locked.fingerprint))
        for line in _forward(locked.forward):
            page.row("forward", Text(line))
        page.blank()
    if inventory:
        write_inventory(page, inventory)
        page.blank()
    text = styled(f"{page.sign(GOOD)} LOCKED", "bold green")
    beside = account(inventory)
    text.append(f" {count(len(lock.checkpoints), 'checkpoint')} in {printable(lock.path)}")
    if lock.replaced:
        text.append(", in place of the lock file that stood there")
    text.append(f"; {beside}" if beside else "")
    page.line(text, 0, 2)


def _forward(forward: LockedForward | None) -> Iterator[str]:
    if forward is None:
        yield "not run: outputs will not be compared"
        return
    if forward.tolerance is None:
        yield "outputs will not be compared: no control moved them far enough"
    else:
        margin = forward.tolerance / forward.rounding
        yield (
            f"tolerance {forward.tolerance:.2g}: {margin:,.0f} times what rounding does "
            f"({forward.rounding:.2g}), and as far from the nearest control"
        )
    for control in forward.controls:
        word = "" if control.counts else ": too near to rounding, not counted"
        yield f"control {control.name} moves the outputs by {control.distance:.2g}{word}"
