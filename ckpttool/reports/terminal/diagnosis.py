"""What a file is, as text: the first lines after its facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from ckpttool.findings.text import printable
from ckpttool.reports.terminal.page import Page, styled

if TYPE_CHECKING:
    from ckpttool.findings.results import Diagnosis

_LONG = 600  # characters of a sentence with names of the file in it


def write_diagnosis(page: Page, diagnosis: Diagnosis, established: bool = True) -> None:
    """Write what a file is, how that was established, and what to run next.

    Args:
        page: where to.
        diagnosis: what the file is.
        established: whether by how many names that is known is told, beside what was assumed.
    """
    page.row("diagnosis", styled(printable(diagnosis.text, _LONG), "bold"))
    how = [diagnosis.established] if established and diagnosis.established else []
    how += diagnosis.assumed
    if how:
        page.row("", styled(printable("; ".join(how), _LONG), "dim"))
    if diagnosis.next is not None:
        page.whole("next", Text(printable(diagnosis.next, len(diagnosis.next))))
