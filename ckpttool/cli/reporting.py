"""The reports of a run: checked before any checkpoint is read, written at the end."""

from __future__ import annotations

import io
import os
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Iterable, NamedTuple

import click

from ckpttool.cli.console import emit, reports_shown, say_cleaned
from ckpttool.cli.offers import FormatAndFile
from ckpttool.cli.option_kinds import format_option, together
from ckpttool.findings.errors import UsageError
from ckpttool.reports import FOR_PEOPLE, FORMATS, REPORTERS, check_format, reporter

if TYPE_CHECKING:
    from ckpttool.findings.results import Report
    from ckpttool.reports.terminal.view import TextView


def report_option(example: str, formats: Iterable[str]) -> Callable[[Any], Any]:
    """Return ``--report``, which the command gets as ``reports``."""
    return click.option(
        "--report",
        "reports",
        type=FormatAndFile(formats),
        multiple=True,
        metavar="FORMAT=PATH",
        help=f"Also write a report to a file, for example {example} (repeatable).",
    )


report_options = together(
    format_option(REPORTERS, "The format of the report on standard output."),
    report_option("sarif=ckpttool.sarif", REPORTERS),
)
#: That of the commands whose results have fewer formats, the same for all of them.
page_option = report_option("html=report.html or json=result.json", FORMATS["Comparison"])
waived_option = click.option(
    "--show-waived",
    is_flag=True,
    help="List waived findings in the text as well, with reason, owner and last day.",
)


class ReportFile(NamedTuple):
    """A report to write."""

    format: str
    path: str


def planned(
    reports: Iterable[str],
    inputs: Iterable[str] = (),
    kind: str = "Report",
    outputs: Iterable[str] = (),
) -> tuple[ReportFile, ...]:
    """Return the files that ``--report`` asks for, once it is clear that they can be written.

    Args:
        reports: texts of the form ``FORMAT=PATH``.
        inputs: files that are read, and so must not be written: checkpoints, lock, result.
        kind: of the result, as in ``FORMATS``.
        outputs: files that the run writes, and that a report must not replace.

    Raises:
        UsageError: an unknown format, a path that is used twice or read, a folder that is not
            there.
        UnsupportedError: a format needs a package that is not installed.
        OutputError: a file cannot be written there.
    """
    # all of it now: a run of hours must not end in a report that cannot be written
    files = tuple(_parsed(text, kind) for text in reports)
    _check_apart(files, inputs, outputs)
    for file in files:
        check_format(file.format, kind)
        _check_folder(file)
        _check_replaceable(file.path)
    if files:
        from ckpttool.files.publishing import try_files

        say_cleaned(try_files(*(file.path for file in files)))
    return files


def show(
    report: Report, format_name: str, view: TextView | None = None, asked: bool = False
) -> None:
    """Write a report to standard output; ``asked`` if the command is there for that alone."""
    emit(partial(reporter(format_name, view), report), asked)


def show_failed(report: Report) -> None:
    """Write what failed to standard output: that of a run with ``--quiet``."""
    from ckpttool.reports.machine.concise import write_failed

    emit(partial(write_failed, report), asked=True)


def store(
    result: object, files: Iterable[ReportFile], view: object = None, kind: str = "Report"
) -> None:
    """Write the reports to their files, all of them or none.

    Args:
        result: of a command.
        files: where, and in which formats.
        view: options of the ``text`` format.
        kind: of the result, as in ``FORMATS``.

    Raises:
        OutputError: one cannot be written; what stood there before is untouched.
    """
    # all are rendered before the first is written: an error must not leave half of them
    contents = {}
    for file in files:
        stream = io.StringIO()
        reporter(file.format, view, kind)(result, stream)
        # names may have halves of surrogate pairs, which UTF-8 cannot hold
        contents[file.path] = stream.getvalue().encode("utf-8", "backslashreplace")
    if contents:
        from ckpttool.files.publishing import write_files

        say_cleaned(write_files(contents))


def deliver(
    report: Report, format_name: str, files: Iterable[ReportFile], view: TextView | None = None
) -> None:
    """Write the report of a run to standard output, and then to all files."""
    from ckpttool.findings.portable import portable

    # a person sees the paths as they typed them; what is stored, or read by a program, must be
    # the same wherever the checkpoints lie
    kept = portable(report)
    if reports_shown():
        show(report if format_name in FOR_PEOPLE else kept, format_name, view)
    else:
        show_failed(report)
    store(kept, files, view)


def has_charts(format_name: str, reports: Iterable[str]) -> bool:
    """Whether a report has charts, so that the statistics of tensors are needed.

    Args:
        format_name: of the report on standard output.
        reports: the values of ``--report``.
    """
    return "html" in (format_name, *(report.partition("=")[0] for report in reports))


# --- before ------------------------------------------------------------------------------


def _parsed(text: str, kind: str) -> ReportFile:
    formats = tuple(FORMATS[kind])
    name, equals, path = text.partition("=")
    if not equals:
        example = f"for example --report {text if text in formats else 'json'}=FILE"
        raise UsageError("--report is not of the form FORMAT=PATH", found=text, fix=example)
    if name not in formats:
        from ckpttool.cli.suggestions import tip_for  # late: for mistakes only

        raise UsageError(f"invalid format '{name}' for --report", fix=tip_for(name, formats))
    # standard output has one report, that of --format
    if path in ("", "-"):
        raise UsageError(
            "a report needs a file",
            found=text,
            fix=f"Name one, or use --format {name} for standard output.",
        )
    return ReportFile(name, path)


def _check_apart(
    files: Iterable[ReportFile], inputs: Iterable[str], outputs: Iterable[str]
) -> None:
    """Refuse to write a file twice, or over what is read or written."""
    taken = {_place(path): "this run writes another file there" for path in outputs}
    taken.update((_place(path), "it is read by this run") for path in inputs)
    for file in files:
        place = _place(file.path)
        if place in taken:
            raise UsageError(
                f"a report cannot be written there: {taken[place]}",
                path=file.path,
                fix="Name another file.",
            )
        taken[place] = "another report goes there"


def _place(path: str) -> object:
    """Return a key of the file, equal for its other names and for links of both kinds."""
    try:
        status = os.stat(path)  # noqa: PTH116 (any text may be a path here)
    except (OSError, ValueError):
        return os.path.realpath(path) if "\0" not in path else path
    # some file systems of Windows number no files
    return (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(path)


def _check_folder(file: ReportFile) -> None:
    folder = os.path.dirname(file.path) or os.curdir  # noqa: PTH120 (keeps the caller's spelling)
    if not os.path.isdir(folder):  # noqa: PTH112
        raise UsageError(
            f"the {file.format} report cannot be written: its folder does not exist",
            path=file.path,
            expected=folder,
            fix="Make the folder first, or name another file.",
        )


def _check_replaceable(path: str) -> None:
    """Refuse to replace weights, their index or a lock: ``json=model.pth`` is quickly typed."""
    from ckpttool.files.publishing import head_at
    from ckpttool.formats import HEAD

    kind = _kept_kind(head_at(path, HEAD) or b"")
    if kind is not None:
        raise UsageError(
            f"a report cannot be written there: it would replace a {kind}",
            path=path,
            fix="Name another file, or remove this one first.",
        )


def _kept_kind(head: bytes) -> str | None:
    """Return what a file is that no report replaces; ``None`` for what a report may replace."""
    from ckpttool.formats.foreign import signatures
    from ckpttool.formats.single import FORMATS
    from ckpttool.verification.lock.reading import is_lock

    # an index is a JSON object, and so are reports
    if any(one.matches(head) for one in FORMATS if one is not signatures):
        return "file that may be a checkpoint by its first bytes"
    if b'"weight_map"' in head:
        return "file that may be a checkpoint's index"
    if is_lock(head):
        return "lock file"
    foreign = signatures.kind_of(head)
    # XML and lists in JSON are files of other kinds, and reports are both
    page = b'<meta name="generator" content="ckpttool">' in head
    if foreign is None or page or head.startswith((b"<?xml", b"[")):
        return None
    return f"file of another kind: {foreign.what}"
