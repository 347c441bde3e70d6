"""The result of conversions as text: what was written, what was left out, the proof."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, TextIO

from rich.text import Text

from ckpttool.conversion.result import PLANNED, WRITTEN
from ckpttool.findings.finding import Verdict
from ckpttool.findings.names import summarise
from ckpttool.findings.text import count, printable, size, some_of
from ckpttool.reports.terminal.facts import describe
from ckpttool.reports.terminal.findings import write_findings
from ckpttool.reports.terminal.headline import Sign, write_headline
from ckpttool.reports.terminal.page import BAD, DOUBTFUL, GOOD, TOLD, Page

if TYPE_CHECKING:
    from ckpttool.conversion.result import Conversion, Conversions, Dequantised, LeftOut

_SHOWN = 40  # lines of a list, before the rest is counted
_NAMED = 4  # entries that the last line names

_IN_SIDECAR = {
    None: ", not kept",
    "whole": ", kept in the sidecar",
    "partly": ", partly in the sidecar: its tensors are not",
}


def write(conversions: Conversions, stream: TextIO) -> None:
    """Write the report on a run of ``convert``."""
    page = Page(stream)
    for number, converted in enumerate(conversions.files):
        if number:
            page.blank()
        _write_one(page, converted)
    if len(conversions.files) > 1:
        page.blank()
        page.line(Text(_totals(conversions)), 0, 2)


def _write_one(page: Page, converted: Conversion) -> None:
    paths = [converted.file.path, *([converted.result] if converted.result is not None else [])]
    write_headline(page, _sign(converted), paths, _summary(converted), " -> ")
    if converted.file.findings:
        page.blank()
        write_findings(page, converted.file.findings)
    if converted.file.format is None and not converted.outputs:
        return  # nothing more is known
    page.blank()
    _write_outputs(page, converted)
    if converted.file.format is not None:
        page.row("source", Text(describe(converted.file)))
    for told, text in _changes(converted):
        page.row(told, Text(text))
    if converted.proof is not None:
        page.row("proof", Text(_proof(converted)))
    if converted.file.fingerprint is not None:
        page.whole("fingerprint", Text(converted.file.fingerprint))
    if converted.fingerprint not in (None, converted.file.fingerprint):
        page.whole("as written", Text(str(converted.fingerprint)))


def _write_outputs(page: Page, converted: Conversion) -> None:
    planned = converted.state == PLANNED
    label = "would write" if planned else "written"
    # of one file alone, the first line has told all
    outputs = converted.outputs if len(converted.outputs) > 1 else ()
    for written in outputs[:_SHOWN]:
        tensors = f", {count(written.tensors, 'tensor')}" if written.tensors else ""
        page.row(label, Text(f"{printable(written.path)}: {size(written.size)}{tensors}"))
    if len(outputs) > _SHOWN:
        page.row(label, Text(f"and {count(len(outputs) - _SHOWN, 'file')} more"))
    if converted.config_kept:
        page.row("kept", Text(f"{printable(str(converted.config))}: it agrees with the weights"))
    for extra, path in (
        ("model's configuration", None if converted.config_kept else converted.config),
        ("sidecar", converted.sidecar),
        ("receipt", converted.receipt),
    ):
        if path is not None:
            page.row(label, Text(f"{printable(path)}: the {extra}"))
    # all of them, however many: nobody should have to look for a file that is gone
    for path in converted.replaced:
        text = f"{printable(path)} (another file {'stands' if planned else 'stood'} there)"
        page.row("to replace" if planned else "replaced", Text(text))
    for path in converted.removed:
        text = f"{printable(path)} (of an earlier result)"
        page.row("to remove" if planned else "removed", Text(text))
    for path in converted.cleaned:
        page.row("cleaned up", Text(f"{printable(path)} (left by a run that was killed)"))


def _changes(converted: Conversion) -> Iterable[tuple[str, str]]:
    """Yield (label, text) for all that differs from the source: nothing is dropped silently."""
    if converted.outputs:
        yield from _wrapper(converted)
        yield from _map(converted)
    if converted.restored:
        names = printable(summarise(converted.restored))
        yield "restored", f"{count(len(converted.restored), 'tied name')}: {names}"
    yield from _dequantised(converted)
    if converted.in_parts:
        names = printable(summarise([one.name for one in converted.in_parts]))
        number = sum(len(one.parts) for one in converted.in_parts)
        of_what = f"{count(len(converted.in_parts), 'tensor')} as {count(number, 'plain tensor')}"
        yield "in parts", f"{of_what}: {names}"
    for table in converted.resized:
        shapes = " -> ".join(str(list(shape)) for shape in (table.before, table.after))
        yield "resized", f"{printable(table.name)} {shapes}: {table.how}"
    if converted.not_cast and converted.outputs:
        names = printable(summarise(converted.not_cast))
        yield "not cast", names
    if converted.excluded:
        names = printable(summarise(converted.excluded), 400)
        yield "excluded", names
    for entry in converted.left_out[:_SHOWN]:
        yield "left out", _left_out(entry, asked=converted.sidecar is not None)
    if len(converted.left_out) > _SHOWN:
        rest = len(converted.left_out) - _SHOWN
        yield "left out", f"and {rest:,} more (--format json lists all)"


def _dequantised(converted: Conversion) -> Iterable[tuple[str, str]]:
    """Yield what was decoded, by scheme, and which of its parts are not written."""
    schemes: dict[tuple[str, str], list[Dequantised]] = {}
    for weight in converted.dequantised:
        schemes.setdefault((weight.scheme, weight.dtype), []).append(weight)
    for (scheme, dtype), weights in schemes.items():
        text = f"{count(len(weights), 'weight')} of {scheme} to {dtype}"
        yield "dequantised", f"{text}: {printable(summarise([one.name for one in weights]))}"
    gone = [
        name
        for weight in converted.dequantised
        for what, name in weight.parts.items()
        if what != "codes"
    ]
    if gone and converted.outputs:
        names = printable(summarise(gone))
        yield "not needed", f"{count(len(gone), 'tensor')} that the codes came with: {names}"


def _wrapper(converted: Conversion) -> Iterable[tuple[str, str]]:
    before, after = converted.file.wrapper, converted.wrapper
    if after is not None:
        other = "as they did" if after == before else f"as {converted.layout} has them"
        yield "wrapper", f"the tensors lie under {printable(after)}, {other}"
    elif before is not None and converted.layout is not None and converted.to == "pth":
        yield "wrapper", f"the tensors lie at the root, as {converted.layout} has them"


def _map(converted: Conversion) -> Iterable[tuple[str, str]]:
    """Yield what is said of the names that are not those of the source."""
    if not (converted.map or converted.layout):
        return
    rows = list(converted.map.values())
    parts = {
        "joined": sum(len(taken) > 1 for taken in rows),
        "transposed": sum(any(one.transposed for one in taken) for taken in rows),
    }
    told = [f"{number:,} {what}" for what, number in parts.items() if number]
    layout = f"of {converted.layout}: " if converted.layout else ""
    if not rows:
        yield "names", f"{layout}they are those of the source"
        return
    yield (
        "names",
        f"{layout}{count(len(rows), 'tensor')} with another name or other rows than in the source"
        + "".join(f", {text}" for text in told),
    )


def _left_out(entry: LeftOut, *, asked: bool) -> str:
    text = f"{printable(entry.key)}: {printable(entry.kind)} {printable(entry.summary)}".rstrip()
    tensors = f", {size(entry.nbytes)} of tensors" if entry.nbytes else ""
    kept = _IN_SIDECAR[entry.sidecar] if asked else ""
    return text + tensors + kept


def _proof(converted: Conversion) -> str:
    proof = converted.proof
    assert proof is not None  # noqa: S101 (the caller looked)
    made = [
        f"{number:,} to what {what} made of them"
        for number, what in (
            (len(converted.casts), "the cast"),
            (len(converted.dequantised), "dequantising"),
            (len(converted.resized), "resizing"),
        )
        if number
    ]
    changed = f" ({', '.join(made)})" if made else ""
    stored = (
        f"{count(proof.checksums, 'stored CRC-32 sum')} compared"
        if proof.checksums
        else "the source stores no checksum of them"
    )
    readers = " and ".join(proof.readers)
    return (
        f"every byte read back and equal to the source's{changed}; {stored}; names, shapes and "
        f"dtypes as {readers} read them"
    )


def _summary(converted: Conversion) -> Iterable[str]:
    if not converted.outputs:
        return
    tensors = sum(written.tensors for written in converted.outputs)
    yield count(tensors, "tensor")
    yield size(sum(written.size for written in converted.outputs))
    if converted.casts:
        every = len(converted.casts) == tensors
        which = "" if every else f"{len(converted.casts):,} "
        yield f"{which}cast to {converted.casts[0].target}"
    yield from _aside(converted)
    planned = converted.state == PLANNED
    for paths, word in ((converted.replaced, "replace"), (converted.removed, "remove")):
        if paths:
            files = count(len(paths), "file")
            yield f"{files} to {word}" if planned else f"{files} {word}d"


def _aside(converted: Conversion) -> Iterable[str]:
    """Yield the tensors of the source that the result lacks, or that were not cast as asked."""
    if converted.excluded:
        yield f"without {count(len(converted.excluded), 'tensor')} left out by name"
    beside = [entry for entry in converted.left_out if entry.nbytes]
    # the cut end of a long list, whose tensors are not known
    uncounted = [entry for entry in converted.left_out if entry.kind == "more"]
    if uncounted and not beside:
        yield f"without {uncounted[0].summary} beside the weights that were not looked into"
    if beside:
        keys = some_of([printable(entry.key) for entry in beside], _NAMED)
        nbytes = size(sum(entry.nbytes for entry in beside))
        least = "at least " if uncounted else ""
        yield f"without {least}{nbytes} of tensors beside the weights ({keys})"
    if converted.dequantised:
        yield f"{count(len(converted.dequantised), 'weight')} dequantised"
    if converted.resized:
        yield f"{count(len(converted.resized), 'position table')} resized"
    if converted.not_cast:
        yield f"{_not_cast(converted)} not cast"


def _not_cast(converted: Conversion) -> str:
    return f"{count(len(converted.not_cast), 'tensor')} of quantized weights or beside them"


def _sign(converted: Conversion) -> Sign:
    if converted.state == WRITTEN:
        return Sign(GOOD, "WRITTEN AND PROVEN", "bold green")
    if converted.state == PLANNED:
        return Sign(TOLD, "NOTHING WRITTEN (dry run)", "bold cyan")
    if converted.file.verdict is Verdict.FAIL:
        return Sign(BAD, "REFUSED, NOTHING WRITTEN", "bold red")
    return Sign(DOUBTFUL, "NOTHING WRITTEN", "bold yellow")


def _totals(conversions: Conversions) -> str:
    states = [converted.state for converted in conversions.files]
    planned = states.count(PLANNED)  # all of a run are a dry run, or none is
    done, word = (
        (planned, "would be converted") if planned else (states.count(WRITTEN), "converted")
    )
    return f"{count(len(states), 'file')}: {done} {word}, {len(states) - done} not"
