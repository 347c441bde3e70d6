"""What a file holds, as text: a line that says what it is, findings, facts, and the tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from rich.text import Text

from ckpttool.findings.finding import Verdict
from ckpttool.findings.inventory import account
from ckpttool.findings.text import count, rounded, size
from ckpttool.reports.terminal.findings import write_findings
from ckpttool.reports.terminal.headline import VERDICTS, Sign, write_headline
from ckpttool.reports.terminal.inventory import write_inventory
from ckpttool.reports.terminal.listing_beside import write_beside, write_names, write_unread
from ckpttool.reports.terminal.listing_facts import model_of, write_facts
from ckpttool.reports.terminal.listing_tensors import write_tensors
from ckpttool.reports.terminal.page import TOLD, Page
from ckpttool.reports.terminal.view import TreeView

if TYPE_CHECKING:
    from typing import Iterator

    from ckpttool.findings.listing import Listing, Listings

# not PASS, as the weights were not looked at
_LISTED = Sign(TOLD, "LISTED", "bold cyan")


def write(listings: Listings, stream: TextIO, view: TreeView = TreeView()) -> None:  # noqa: B008 (a constant)
    """Write what every file holds."""
    page = Page(stream)
    for number, listing in enumerate(listings.files):
        if number:
            page.blank()
        write_listing(page, listing, view)
    if listings.inventory:
        page.blank()
        write_inventory(page, listings.inventory)
        page.blank()
        page.line(
            Text(f"{count(len(listings.files), 'file')} listed; {account(listings.inventory)}")
        )


def write_listing(page: Page, listing: Listing, view: TreeView) -> None:
    """Write what one file holds."""
    file = listing.file
    sign = _LISTED if file.verdict is Verdict.PASS else VERDICTS[file.verdict]
    write_headline(page, sign, [file.path], _totals(listing))
    if file.findings:
        page.blank()
        write_findings(page, file.findings)
    if file.format is None:
        return
    page.blank()
    write_facts(page, listing)
    write_tensors(page, listing, view)
    write_beside(page, listing)
    write_unread(page, listing)
    write_names(page, listing)


def _totals(listing: Listing) -> Iterator[str]:
    """Yield what matters most of a file: what it is, and how large."""
    file = listing.file
    if file.format is None:
        return
    yield model_of(listing)
    yield count(file.tensors or 0, "tensor")
    number = file.parameters or 0
    yield count(number, "parameter") if number < 10_000 else f"{rounded(number)} parameters"
    yield size(file.size or 0)
