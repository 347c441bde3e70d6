"""A folder as one tree: its checkpoints with their sizes, and the other files as what they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Dict, Iterator, List, Tuple

from rich.text import Text

from ckpttool.findings.finding import Verdict
from ckpttool.findings.inventory import Item, Standing, kinds, of
from ckpttool.findings.results import worst
from ckpttool.findings.text import count, printable, rounded, size
from ckpttool.reports.terminal.headline import VERDICTS, write_headline
from ckpttool.reports.terminal.inventory import LABELS
from ckpttool.reports.terminal.listing_facts import LISTED, parameters
from ckpttool.reports.terminal.size_table import SizeRow, write_table

if TYPE_CHECKING:
    from ckpttool.findings.listing import Listing, Listings
    from ckpttool.reports.terminal.page import Page

_MOST = 500  # lines of a tree
_DEEPEST = 24  # folders in each other, each on a line; a tree as deep as a path would be hostile
_NAMED = 6  # files beside the checkpoints of one folder that are named, before kinds are counted


class _Place:
    """A folder of the tree: what is in it, and the totals of all below."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folders: Dict[str, _Place] = {}
        self.listings: List[Listing] = []
        self.items: List[Item] = []
        self.tensors = self.parameters = self.nbytes = 0

    def below(self, path: str) -> Iterator[_Place]:
        """Yield this folder, and those on the way to a file in it."""
        yield self
        place = self
        for part in Path(path).parts[len(self.path.parts) : -1][:_DEEPEST]:
            place = place.folders.setdefault(part, _Place(place.path / part))
            yield place

    def name_of(self, path: str) -> str:
        """Return the name of a file in it, as it may be shown; of one too deep its path."""
        folder = "/" if path.endswith("/") else ""
        return printable("/".join(Path(path).parts[len(self.path.parts) :]) + folder)


class FolderTree:
    """What lies in a folder that was searched."""

    def __init__(self, folder: str, listings: Listings) -> None:
        self.folder = folder
        self._sizes = listings.sizes
        self._classes = {Path(one.folder): one for one in listings.components}
        self._root = _Place(Path(folder))
        self.listings = [one for one in listings.files if self._is_inside(one.file.path)]
        self.items = [one for one in listings.inventory if self._is_inside(one.path)]
        for listing in self.listings:
            self._add(listing)
        for item in of(self.items, *(one for one in Standing if one is not Standing.CHECKED)):
            *_, last = places = list(self._root.below(item.path))
            last.items.append(item)
            # shards are a part of their checkpoint's bytes, other paths no bytes of their own
            if item.standing not in (Standing.PART, Standing.SAME):
                for place in places:
                    place.nbytes += self._sizes.get(item.path, 0)

    def _is_inside(self, path: str) -> bool:
        return self._root.path in Path(path).parents

    def _add(self, listing: Listing) -> None:
        *_, last = places = list(self._root.below(listing.file.path))
        last.listings.append(listing)
        for place in places:
            place.tensors += listing.file.tensors or 0
            place.parameters += listing.file.parameters or 0
            place.nbytes += self._bytes(listing)

    def _bytes(self, listing: Listing) -> int:
        path = listing.file.path
        return listing.file.size or self._sizes.get(path, 0)

    def write(self, page: Page) -> None:
        """Write a line on all of the folder, and the tree."""
        verdict = worst([one.file.verdict for one in self.listings])
        sign = LISTED if verdict is Verdict.PASS else VERDICTS[verdict]
        write_headline(page, sign, [self.folder], self._totals())
        page.blank()
        # by name they stand in the tree
        other = [f"{len(ours):,} {label}" for label, ours in self._others() if ours]
        if other:
            page.row("other files", Text(", ".join(other)))
        page.row("not checked", Text("the numbers: only headers were read"))
        page.blank()
        rows = list(self._rows(self._root, 0))
        write_table(page, rows[:_MOST])
        if len(rows) > _MOST:
            page.line(Text(f"and {len(rows) - _MOST:,} more (--format json lists all)"), 4, 6)

    def _others(self) -> Iterator[Tuple[str, List[Item]]]:
        return ((label, of(self.items, standing)) for standing, label in LABELS.items())

    def _totals(self) -> Iterator[str]:
        known = self._classes.get(self._root.path)
        yield printable(known.what) if known else ""
        yield count(len(self.listings), "checkpoint")
        yield count(self._root.tensors, "tensor")
        yield parameters(self._root.parameters)
        yield size(self._root.nbytes)

    def _rows(self, place: _Place, depth: int) -> Iterator[SizeRow]:
        """Yield the lines of a folder: checkpoints, other files, then the folders in it."""
        for listing in place.listings:
            yield self._of_checkpoint(listing, place, depth)
        yield from self._of_others(place, depth)
        for name, inner in place.folders.items():
            while not (inner.listings or inner.items) and len(inner.folders) == 1:
                ((further, inner),) = inner.folders.items()
                name = f"{name}/{further}"
            known = self._classes.get(inner.path)
            yield SizeRow(
                depth,
                f"{printable(name)}/",
                printable(known.what) if known else "",
                rounded(inner.parameters) if inner.parameters else "",
                size(inner.nbytes),
                self._share(inner.nbytes),
                style="bold",
            )
            yield from self._rows(inner, depth + 1)

    def _share(self, nbytes: int) -> float | None:
        return nbytes / self._root.nbytes if self._root.nbytes else None

    def _of_checkpoint(self, listing: Listing, place: _Place, depth: int) -> SizeRow:
        file = listing.file
        bad = file.verdict is not Verdict.PASS
        told = [VERDICTS[file.verdict].word] if bad else []
        if file.format is not None:
            told += [file.format, _types(listing)]
        nbytes = self._bytes(listing)
        return SizeRow(
            depth,
            place.name_of(file.path),
            ", ".join(filter(None, told)),
            rounded(file.parameters) if file.parameters is not None else "",
            size(nbytes),
            self._share(nbytes),
            style="bold red" if bad else "bold",
        )

    def _of_others(self, place: _Place, depth: int) -> Iterator[SizeRow]:
        """Yield a line for each other file; where there are many, one for the known of a kind."""
        named = [one for one in place.items if one.standing is not Standing.PART]
        known = of(named, Standing.KNOWN)
        if len(known) > _NAMED:
            named = [one for one in named if one.standing is not Standing.KNOWN]
            yield self._of_several(known, kinds(known), depth)
        for item in named:
            told = item.what
            if item.standing in (Standing.UNSEEN, Standing.EXCLUDED):
                told = f"{item.standing.value.replace('-', ' ')}: {item.what}"
            nbytes = self._sizes.get(item.path)
            yield SizeRow(
                depth,
                place.name_of(item.path),
                printable(told),
                "",
                "" if nbytes is None else size(nbytes),
            )
        parts = of(place.items, Standing.PART)
        for what in dict.fromkeys(one.what for one in parts):
            alike = [one for one in parts if one.what == what]
            each = "each " if len(alike) > 1 else ""
            yield self._of_several(alike, f"{each}{printable(_short(what))}", depth)

    def _of_several(self, items: List[Item], what: str, depth: int) -> SizeRow:
        nbytes = sum(self._sizes.get(item.path, 0) for item in items)
        return SizeRow(depth, f"({count(len(items), 'file')})", what, "", size(nbytes))


def _short(what: str) -> str:
    """Return what a file is a part of, by the last part of the path."""
    words, _, path = what.rpartition(" ")
    return f"{words} {Path(path).name}".strip()


def _types(listing: Listing) -> str:
    """Return the element types of a checkpoint, the most bytes first."""
    by_type: Dict[str, int] = {}
    for row in listing.tensors:
        by_type[row.dtype] = by_type.get(row.dtype, 0) + row.nbytes
    names = sorted(by_type, key=lambda name: -by_type[name])
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "") if names else ""
