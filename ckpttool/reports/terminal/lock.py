"""What was locked, as text: the weights, and what a comparison of outputs can detect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, TextIO

from rich.text import Text

from ckpttool.findings.inventory import account
from ckpttool.findings.text import count, printable, size
from ckpttool.reports.terminal.findings import write_findings
from ckpttool.reports.terminal.headline import Sign, write_headline
from ckpttool.reports.terminal.inventory import write_inventory
from ckpttool.reports.terminal.page import GOOD, Page, styled

if TYPE_CHECKING:
    from ckpttool.verification.lock.content import Lock, LockedCheckpoint, LockedForward

_LOCKED = Sign(GOOD, "LOCKED", "bold green")


def write(lock: Lock, stream: TextIO) -> None:
    """Write the path of the lock file first, then what was found, and a few lines on each file."""
    page = Page(stream)
    write_headline(page, _LOCKED, [lock.path], _summary(lock))
    for file in lock.report.files if lock.report else ():
        if file.findings:
            page.blank()
            if len(lock.checkpoints) > 1:
                page.line(Text(printable(file.path), style="bold"), 2, 4)
            write_findings(page, file.findings)
    for locked in lock.checkpoints:
        page.blank()
        _write_checkpoint(page, locked)
    if lock.report is not None and lock.report.inventory:
        page.blank()
        write_inventory(page, lock.report.inventory)


def _summary(lock: Lock) -> Iterator[str]:
    yield count(len(lock.checkpoints), "checkpoint")
    if lock.replaced:
        yield "in place of the lock file that stood there"
    yield account(lock.report.inventory if lock.report else ())


def _write_checkpoint(page: Page, locked: LockedCheckpoint) -> None:
    page.line(styled(printable(locked.name), "bold"), 2, 4)
    files = count(len(locked.files), "file")
    nbytes = size(sum(file.size for file in locked.files))
    tensors = count(len(locked.tensors), "tensor")
    of = "" if locked.schema == "none" else f" of {locked.schema}"
    page.row("weights", Text(f"{tensors}{of}, {nbytes} in {files}"))
    page.whole("fingerprint", Text(locked.fingerprint))
    _write_forward(page, locked.forward)


def _write_forward(page: Page, forward: LockedForward | None) -> None:
    if forward is None:
        page.row("forward", Text("not run: outputs will not be compared"))
        return
    if forward.tolerance is None:
        told = "outputs will not be compared: no control moved them far enough"
        page.row("forward", Text(told))
    else:
        margin = forward.tolerance / forward.rounding
        told = (
            f"tolerance {forward.tolerance:.2g}: {margin:,.0f} times what rounding does "
            f"({forward.rounding:.2g}), and as far from the nearest control"
        )
        page.row("forward", Text(told))
    if not forward.controls:
        return
    page.row("controls", Text("how far each known defect moves the outputs:"))
    for control in sorted(forward.controls, key=lambda one: one.distance):
        word = "" if control.counts else ", too near to rounding, not counted"
        page.row("", Text(f"{control.distance:.2g}  {control.name}{word}"))
