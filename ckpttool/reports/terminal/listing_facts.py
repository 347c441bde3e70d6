"""The facts of a file's listing: the container, what it is, and what takes up its bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, Sequence

from rich.text import Text

from ckpttool.findings.text import count, printable, rounded, size, some_of
from ckpttool.reports.terminal.diagnosis import write_diagnosis
from ckpttool.reports.terminal.headline import Sign
from ckpttool.reports.terminal.page import TOLD, styled
from ckpttool.reports.terminal.verdict import what_it_is

if TYPE_CHECKING:
    from ckpttool.findings.listing import AdapterFacts, ByteCount, Listing, Neighbour
    from ckpttool.findings.statistics import Statistics
    from ckpttool.reports.terminal.page import Page

#: The sign of a file that could be read: not PASS, as its weights were not looked at.
LISTED = Sign(TOLD, "LISTED", "bold cyan")

_LONG = 600  # characters of a sentence with names of the file in it
# What the rest of the bytes is; files of several processes hold states that are not listed.
_OF_ONE = "container (headers, names, padding)"
_OF_SEVERAL = "else in its files (headers, padding, what is not listed)"
_BY_PROCESSES = ("torch-distributed", "deepspeed-zero")
_NAMED = 4  # tensors that one line names
_SHOWN = 20  # items of a list in one line

# The kind of file that is an adapter and nothing else, of which the adapter says all.
_ADAPTER = "PEFT"


def model_of(listing: Listing) -> str:
    """Return what a file is in a few words; ``""`` where nobody knows."""
    if listing.adapter is not None:
        return f"{_variant(listing.adapter)} adapter of rank {_numbers(listing.adapter.ranks)}"
    if listing.file.diagnosis is not None:
        return what_it_is(listing.file)
    return printable(listing.neighbour.name) if listing.neighbour else ""


def parameters(number: int) -> str:
    """Return a number of parameters in words: ``303.3 M parameters``."""
    short = rounded(number)
    return count(number, "parameter") if short == f"{number:,}" else f"{short} parameters"


def write_facts(page: Page, listing: Listing) -> None:
    """Write what is known of a file beside its tensors."""
    file = listing.file
    page.row("container", Text(file.format or ""))
    if listing.wrappers:
        taken, *others = listing.wrappers
        text = _key(taken.key)
        if others:
            also = [f"{_key(one.key)} ({count(one.tensors, 'tensor')})" for one in others]
            text += f"; not listed: {some_of(also, _SHOWN)} (choose with --wrapper)"
        page.row("wrapper", Text(text))
        if taken.module is not None:
            page.row("whole module", Text(printable(taken.module)))
    page.row("layout", Text(file.layout or "not recognised"))
    if file.diagnosis is not None:
        write_diagnosis(page, file.diagnosis)
    elif listing.neighbour and (listing.adapter is None or listing.neighbour.name != _ADAPTER):
        _write_neighbour(page, listing.neighbour)
    if listing.adapter is not None:
        _write_adapter(page, listing.adapter)
    page.row("parameters", Text(_types(listing)))
    if listing.bytes is not None:
        page.row("bytes", Text("; ".join(_bytes(listing.bytes, file.format or ""))))
    for key, value in list(listing.metadata.items())[:_SHOWN]:
        page.row("metadata", Text(f"{printable(key)} = {printable(value)}"))
    _write_numbers(page, listing.statistics)


def _write_numbers(page: Page, statistics: Statistics | None) -> None:
    """Write what was made of the weights: nothing, or what should not be among them."""
    if statistics is None:
        page.row("not checked", Text("the numbers: only headers were read"))
        return
    for what, names in not_finite(statistics).items():
        text = f"in {count(len(names), 'tensor')}: {some_of([*map(printable, names)], _NAMED)}"
        page.row(what, styled(text, "bold red"))
    page.row("not checked", Text("the numbers against a model: verify does that"))


def not_finite(statistics: Statistics) -> dict[str, list[str]]:
    """Return the names of tensors that hold NaN, and of those that hold infinite values."""
    found = {
        "NaN": [one.name for one in statistics.tensors if one.nan],
        "infinite": [one.name for one in statistics.tensors if one.infinite],
    }
    return {what: names for what, names in found.items() if names}


def _write_neighbour(page: Page, neighbour: Neighbour) -> None:
    page.row("model", Text(printable(f"{neighbour.what}, told {neighbour.told_by}", _LONG)))
    if neighbour.use:
        page.row("", Text(neighbour.use))


def _write_adapter(page: Page, adapter: AdapterFacts) -> None:
    targets = some_of([printable(name) for name in adapter.targets], _SHOWN)
    told = [f"{_variant(adapter)} of rank {_numbers(adapter.ranks)}", _alpha(adapter)]
    told.append(f"for {count(adapter.modules, 'module')} ({targets})")
    page.row("adapter", Text(", ".join(told)))
    if adapter.base is not None:
        page.row("base model", Text(printable(adapter.base)))
    if adapter.trouble is not None:
        page.row("", Text(printable(adapter.trouble, _LONG), "yellow"))


def _variant(adapter: AdapterFacts) -> str:
    return " ".join(adapter.variants) or "LoRA"


def _alpha(adapter: AdapterFacts) -> str:
    if adapter.alphas:
        return f"alpha {_numbers(adapter.alphas)} ({printable(adapter.alpha_from or '')})"
    return "alpha in its tensors, not read" if adapter.alpha_inside else "alpha not known"


def _numbers(numbers: Sequence[float]) -> str:
    """Return the least and the largest of several numbers."""
    ends = [f"{number:g}" for number in dict.fromkeys((numbers[0], numbers[-1]))]
    return " to ".join(ends)


def _key(key: str) -> str:
    return printable(key) if key else "none (the root)"


def _types(listing: Listing) -> str:
    by_type: dict[str, int] = {}
    for row in listing.tensors:
        by_type[row.dtype] = by_type.get(row.dtype, 0) + row.parameters
    types = ", ".join(f"{number:,} {dtype}" for dtype, number in by_type.items())
    text = types or "none"
    if listing.left_out:
        text += " in the tensors that are listed"
    if listing.tied:
        again = {name for group in listing.tied for name in group[1:]}
        nbytes = sum(row.nbytes for row in listing.tensors if row.name in again)
        text += f"; {size(nbytes)} of it under {count(len(again), 'name')} tied to others"
    return text


def _bytes(found: ByteCount, container: str) -> Iterator[str]:
    """Yield the parts of a file's bytes; they add up."""
    rest = _OF_SEVERAL if container in _BY_PROCESSES else _OF_ONE
    yield f"{size(found.total)} in all: {size(found.tensors)} tensors"
    for nbytes, what in (
        (found.beside, "beside them"),
        (found.unread, "tensors that are not read"),
        (found.unused, "data that nothing refers to"),
        (found.container, rest),
    ):
        if nbytes:
            yield f"{size(nbytes)} {what}"
