"""A summary for a CI job, in GitHub's Markdown: verdict, table, findings by file, the worst first.

Text from files is escaped: it must not become markup, a link or a mention. Only ASCII is written.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Iterator, NamedTuple, Sequence, TextIO

from ckpttool.findings.finding import Verdict
from ckpttool.findings.inventory import Standing, account, of
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import count, printable, size
from ckpttool.reports.counts import counts, counts_of
from ckpttool.reports.details import LONG, details_of

if TYPE_CHECKING:
    from ckpttool.findings.finding import Finding
    from ckpttool.findings.results import FileReport, Report, Waived

#: GitHub drops the summary of a step that is larger than 1 MiB; the step may write other text too.
MOST_BYTES = 1_000_000
_FOR_FILES = MOST_BYTES // 2  # of these, so that a run over many files has room for findings
_MOST_ITEMS = 50  # files that were not looked at, before the rest is counted
_WAIVED = -10  # weight of a waived finding: less than any other

_VERDICTS = {
    Verdict.PASS: "&#x2705; PASS",
    Verdict.FAIL: "&#x274c; FAIL",
    Verdict.CANNOT_TELL: "&#x26a0; CANNOT TELL",
}
# All but letters, digits and what has no meaning in Markdown in the middle of a line. A list of
# what is safe, as extensions of Markdown give other characters a meaning.
_RISKY = re.compile(r"[^A-Za-z0-9 .,;:()/%?'\-]|:(?! )|(?<=www)\.", re.IGNORECASE)
# @name, #1, :smile:, URLs: GitHub looks for these after Markdown, in decoded references too, but
# not in <code>.
_LIVELY = re.compile(r"[@#]|:(?! )|www\.|//", re.IGNORECASE)


# Where the findings of a file go in its section: before its facts.
_FACTS = "\0"
# The order of files, the table's too.
_ORDER = (Verdict.FAIL, Verdict.CANNOT_TELL, Verdict.PASS)


class _Paragraph(NamedTuple):
    """A piece of text about a file, by its number; the run has the number after the last."""

    file: int
    weight: int
    text: str


def write(report: Report, stream: TextIO) -> None:
    """Write the summary, without the least severe parts where it is too large."""
    report = report._replace(files=_worst_first(report.files))
    files = _fitting(
        [_section(number, file) for number, file in enumerate(report.files)], _FOR_FILES
    )
    listed = {block.file for block in files} | {len(report.files)}
    every = list(_blocks(report))
    # 1000 for the head of the table and the last line; one character is one byte in ASCII
    room = MOST_BYTES - 1000 - len(_beside(report)) - sum(len(block.text) for block in files)
    kept = _fitting([block for block in every if block.file in listed], room)
    stream.write(_head(report, sorted(listed)))
    stream.write(_beside(report))
    if report.of_run:
        files.append(_Paragraph(len(report.files), 0, "\n### The run as a whole\n\n"))
    for block in files:
        section = block.text.partition("\n")[2]  # without the row, which _head has written
        head, _, facts = section.partition(_FACTS)
        stream.write(head + "".join(one.text for one in kept if one.file == block.file) + facts)
    stream.write(_left_out(len(report.files) + 1 - len(listed), len(every) - len(kept)))


def _worst_first(files: Sequence[FileReport]) -> tuple[FileReport, ...]:
    return tuple(sorted(files, key=lambda file: _ORDER.index(file.verdict)))


def _head(report: Report, listed: list[int]) -> str:
    lines = [
        f"## {_VERDICTS[report.verdict]}: {counts_of(report)}",
        "",
        "| file | verdict | findings | tensors | size |",
        "|---|---|---|---|---|",
        *(_row(report.files[number]) for number in listed if number < len(report.files)),
    ]
    return "\n".join(lines) + "\n"


def _beside(report: Report) -> str:
    """Return the counts of other files, and the names of those that were not looked at."""
    told = account(report.inventory)
    if not told:
        return ""
    lines = ["", f"Beside them: {_text(told)}.", ""]
    unseen = of(report.inventory, Standing.UNSEEN, Standing.EXCLUDED)
    for item in unseen[:_MOST_ITEMS]:
        word = item.standing.value.replace("-", " ")
        lines.append(f"- **{word}**: {_code(item.path)}, {_text(item.what)}")
    if len(unseen) > _MOST_ITEMS:
        lines.append(f"- and {len(unseen) - _MOST_ITEMS:,} more")
    return "\n".join(lines) + "\n"


def _left_out(files: int, findings: int) -> str:
    told = [count(files, "file")] if files else []
    told += [count(findings, "finding")] if findings else []
    if not told:
        return ""
    return f"\n**Left out for the size: {' and '.join(told)}**, those that weigh least.\n"


def _row(file: FileReport) -> str:
    return f"| {' | '.join(_cells(file))} |"


def _cells(file: FileReport) -> Iterator[str]:
    yield _code(file.path)
    yield _VERDICTS[file.verdict]
    yield counts(file.findings, len(file.waived))
    yield "" if file.tensors is None else f"{file.tensors:,}"
    yield "" if file.size is None else size(file.size)


def _section(number: int, file: FileReport) -> _Paragraph:
    """Return a file's row in the table, the head of its section and its facts: all or none."""
    facts = "; ".join(_facts(file))
    lines = [
        _row(file),
        "",
        f"### {_code(file.path)}",
        "",
        _FACTS + (f"\n{facts}\n" if facts else ""),
    ]
    return _Paragraph(number, file.verdict.exit_code, "\n".join(lines))


def _facts(file: FileReport) -> Iterator[str]:
    if file.coverage is not None and file.is_sized:
        for name, group in file.coverage.groups.items():
            share = f"{group.matched:,} of {group.expected:,} tensors"
            yield f"{_text(name)}: {'absent' if group.absent else share}"
    if file.schema_from is not None:
        yield f"schema: {_text(file.schema_from)}"
    if file.quantized is not None:
        yield f"quantized: {_text(file.quantized)}"
    if file.fingerprint is not None:
        yield f"fingerprint: {_code(file.fingerprint)}"
    if file.lock is not None:
        yield f"lock file: {_code(file.lock)}"
    if file.configuration is not None:
        path, sha256 = map(_code, file.configuration)
        yield f"configuration: {path} (SHA-256 {sha256})"
    if file.unchecked:
        yield f"**not checked**: {', '.join(map(_text, file.unchecked))}"


def _blocks(report: Report) -> Iterator[_Paragraph]:
    for number, file in enumerate(report.files):
        for finding in file.findings:
            yield _Paragraph(number, finding.severity.weight, _block(finding))
        for waived in file.waived:
            yield _Paragraph(number, _WAIVED, _waived(waived))
    for finding in report.of_run:
        yield _Paragraph(len(report.files), finding.severity.weight, _block(finding))


def _waived(waived: Waived) -> str:
    said = [waived.reason, waived.owner, waived.expires and f"until {waived.expires}"]
    return f"- waived {_what(waived.finding)}; {_text(', '.join(filter(None, said)))}\n"


def _block(finding: Finding) -> str:
    lines = [f"- {_what(finding)}"]
    for label, text in details_of(finding).items():
        lines.append(f"  - {label}: {_text(text) if label == 'fix' else _code(text)}")
    return "\n".join(lines) + "\n"


def _what(finding: Finding) -> str:
    word = finding.severity.value
    strong = f"**{word}**" if finding.severity is Severity.ERROR else word
    return f"{strong} `{finding.rule.code}` {_text(finding.rule.name)}: {_text(finding.message)}"


def _fitting(blocks: list[_Paragraph], room: int) -> list[_Paragraph]:
    """Return the heaviest blocks that fit, in their order."""
    kept = []
    for number in sorted(range(len(blocks)), key=lambda at: -blocks[at].weight):
        room -= len(blocks[number].text)
        if room < 0:
            break
        kept.append(number)
    return [blocks[number] for number in sorted(kept)]


def _text(text: str) -> str:
    """Return text for a paragraph; in ``<code>`` where GitHub would make links in it."""
    return _code(text) if _LIVELY.search(text.replace(": ", " ")) else _escaped(text)


def _code(text: str) -> str:
    return f"<code>{_escaped(text)}</code>"


def _escaped(text: str) -> str:
    shown = printable(text, LONG)
    return _RISKY.sub(lambda match: f"&#{ord(match.group())};", shown)
