"""What a file holds, as text: a line that says what it is, findings, facts, and the tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO, Union

from rich.text import Text

from ckpttool.findings.finding import Verdict
from ckpttool.findings.text import count, size
from ckpttool.reports.terminal.findings import worst_first, write_findings
from ckpttool.reports.terminal.headline import VERDICTS, write_headline
from ckpttool.reports.terminal.inventory import write_inventory
from ckpttool.reports.terminal.listing_beside import write_beside, write_names, write_unread
from ckpttool.reports.terminal.listing_facts import (
    LISTED,
    model_of,
    not_finite,
    parameters,
    write_facts,
)
from ckpttool.reports.terminal.listing_tensors import write_tensors
from ckpttool.reports.terminal.page import Page, styled
from ckpttool.reports.terminal.verdict import found_in
from ckpttool.reports.terminal.view import TreeView

if TYPE_CHECKING:
    from typing import Iterator

    from ckpttool.findings.listing import Listing, Listings


def write(listings: Listings, stream: TextIO, view: TreeView = TreeView()) -> None:  # noqa: B008 (a constant)
    """Write what every file holds."""
    page = Page(stream)
    between = _Between(page)
    in_trees: set[str] = set()
    for folder in listings.folders:
        from ckpttool.reports.terminal.folder_text import FolderTree  # late: most runs have none

        tree = FolderTree(folder, listings)
        between.next()
        tree.write(page)
        # the one checkpoint of a folder is what was asked for
        whole = view.details or len(tree.listings) == 1
        in_trees.update(item.path for item in tree.items)
        for listing in tree.listings:
            in_trees.add(listing.file.path)
            if whole or listing.file.findings:
                between.next()
                _write_listing(page, listing, view, whole=whole)
        if not whole and tree.listings:
            between.next()
            page.line(Text("One file in full: ckpttool inspect FILE; all of them: --all."))
    for listing in listings.files:
        if listing.file.path not in in_trees:
            between.next()
            _write_listing(page, listing, view)
    others = [item for item in listings.inventory if item.path not in in_trees]
    if others:
        between.next()
        write_inventory(page, others)


class _Between:
    """Puts an empty line between parts of the report."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._any = False

    def next(self) -> None:
        """Begin a part."""
        if self._any:
            self._page.blank()
        self._any = True


def _write_listing(page: Page, listing: Listing, view: TreeView, whole: bool = True) -> None:
    """Write what one file holds; not ``whole``, what was found in it."""
    file = listing.file
    sign = LISTED if file.verdict is Verdict.PASS else VERDICTS[file.verdict]
    write_headline(page, sign, [file.path], _totals(listing))
    if file.findings:
        page.blank()
        write_findings(page, worst_first(file.findings))
    if file.format is None or not whole:
        return
    page.blank()
    write_facts(page, listing)
    write_tensors(page, listing, view)
    write_beside(page, listing)
    write_unread(page, listing)
    write_names(page, listing)


def _totals(listing: Listing) -> Iterator[Union[str, Text]]:
    """Yield what matters most of a file: what it is, and how large."""
    file = listing.file
    if file.format is not None:
        yield model_of(listing)
        yield count(file.tensors or 0, "tensor")
        yield parameters(file.parameters or 0)
        yield size(file.size or 0)
    if listing.statistics is not None:
        for what, names in not_finite(listing.statistics).items():
            yield styled(f"{what} in {count(len(names), 'tensor')}", "bold red")
    yield from found_in(file.findings)
