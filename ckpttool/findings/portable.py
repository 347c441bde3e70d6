"""Paths in stored reports, which are the same on every machine.

A file below the working folder has its path from there, with forward slashes. A file outside of it
has its name alone, with as many of its folders as distinguish it from others of the run. Paths in
messages are replaced in the same way.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Iterable, Iterator

from ckpttool.findings.results import Diagnosis, FileReport, Report, Waived

if TYPE_CHECKING:
    from ckpttool.findings.finding import Finding
    from ckpttool.findings.inventory import Item

_SEPARATOR = re.compile(r"[/\\]") if os.sep == "\\" else re.compile("/")


def portable(report: Report) -> Report:
    """Return the report without anything that depends on the location of the files.

    Args:
        report: with paths as the caller gave them.
    """
    folder = _working_folder()
    given = [path for file in report.files for path in _paths(file)]
    given += [item.path for item in report.inventory]
    wording = _Wording(_names(given, folder), folder)
    return report._replace(
        files=tuple(_file(file, wording) for file in report.files),
        of_run=_findings(report.of_run, wording),
        inventory=tuple(_item(item, wording) for item in report.inventory),
    )


def _working_folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 (text)
    except OSError:  # it was removed: a path that no file can be below
        return os.path.join(os.sep, "\0")  # noqa: PTH118


def _paths(file: FileReport) -> Iterator[str]:
    yield file.path
    if file.lock is not None:
        yield file.lock
    if file.against is not None:
        yield file.against.path
    if file.configuration is not None:
        yield file.configuration.path
    for one in file.reconstructions:
        yield one.image


class _Wording:
    """Rewrites texts: paths become names, and pairs of surrogates become one character.

    A JSON parser joins such pairs too, so that a stored result would differ when it is read back.
    """

    def __init__(self, names: dict[str, str], folder: str) -> None:
        self.names = names
        self._folder = folder
        old_to_new = {_folder(folder): ""}
        for path, name in names.items():
            whole = _whole(path, folder)
            old_to_new.update({path: name, whole: name})
            # messages may name other files of the same folder
            if not _is_below(whole, folder):
                old_to_new[_folder(os.path.dirname(whole))] = ""  # noqa: PTH120 (text)
        # a name without a slash may be a plain word of a message, and stays
        self._old_to_new = {
            old: new for old, new in old_to_new.items() if len(old) > 1 and _SEPARATOR.search(old)
        }
        longest_first = sorted(map(re.escape, self._old_to_new), key=lambda old: (-len(old), old))
        # not in the middle of another path
        self._paths = re.compile(rf"(?<![\w./\\-])(?:{'|'.join(longest_first) or '(?!)'})")

    def path(self, path: str) -> str:
        """Return the name of a file of the run."""
        return _joined(self.names[path])

    def text(self, text: str) -> str:
        """Return a text with the names of files in place of their paths."""
        return _joined(self._paths.sub(lambda path: self._old_to_new[path.group()], text))

    def leads(self, link: str) -> str:
        """Return a link's target: a relative one as it is, an absolute one as files are named."""
        if not Path(link).is_absolute():
            return _joined(link)
        return _joined(next(iter(_names([link], self._folder).values())))

    def maybe(self, text: str | None) -> str | None:
        """Return the text rewritten, and ``None`` as it is."""
        return None if text is None else self.text(text)


def _file(file: FileReport, wording: _Wording) -> FileReport:
    findings = _findings(file.findings, wording)
    waived = tuple(_waived(one, wording) for one in file.waived)
    named = {
        name for found in (*findings, *(one.finding for one in waived)) for name in found.tensors
    }
    return file._replace(
        path=wording.path(file.path),
        wrapper=None if file.wrapper is None else _joined(file.wrapper),
        findings=findings,
        waived=waived,
        diagnosis=file.diagnosis and _diagnosis(file.diagnosis, wording),
        forward=file.forward and file.forward._replace(reason=wording.maybe(file.forward.reason)),
        unchecked=tuple(map(wording.text, file.unchecked)),
        lock=None if file.lock is None else wording.path(file.lock),
        against=file.against and file.against._replace(path=wording.path(file.against.path)),
        configuration=file.configuration
        and file.configuration._replace(path=wording.path(file.configuration.path)),
        reconstructions=tuple(
            one._replace(image=wording.path(one.image)) for one in file.reconstructions
        ),
        # only these are used, and a lock file may have a line for each of 100,000 tensors
        lock_lines={name: line for name, line in sorted(file.lock_lines.items()) if name in named},
    )


def _diagnosis(diagnosis: Diagnosis, wording: _Wording) -> Diagnosis:
    return diagnosis._replace(
        model=wording.maybe(diagnosis.model),
        text=wording.text(diagnosis.text),
        established=wording.text(diagnosis.established),
        assumed=tuple(map(wording.text, diagnosis.assumed)),
        next=wording.maybe(diagnosis.next),
    )


def _item(item: Item, wording: _Wording) -> Item:
    link = None if item.link is None else wording.leads(item.link)
    ending = "/" if item.path.endswith("/") else ""
    path = wording.path(item.path) + ending
    return item._replace(path=path, what=wording.text(item.what), link=link)


def _findings(findings: Iterable[Finding], wording: _Wording) -> tuple[Finding, ...]:
    return tuple(
        found._replace(
            message=wording.text(found.message),
            tensors=tuple(map(_joined, found.tensors)),
            expected=wording.maybe(found.expected),
            found=wording.maybe(found.found),
            # as when it is read back: a stored result has the advice without its origin
            fix=None if found.fix == found.rule.fix else wording.maybe(found.fix),
        )
        for found in findings
    )


def _waived(waived: Waived, wording: _Wording) -> Waived:
    (finding,) = _findings([waived.finding], wording)
    return waived._replace(finding=finding, reason=wording.text(waived.reason))


# --- names -------------------------------------------------------------------------------


def _names(paths: Iterable[str], folder: str) -> dict[str, str]:
    """Return the name of each path; two different files never have the same."""
    whole = {path: _whole(path, folder) for path in paths}
    names = {
        one: os.path.relpath(one, folder).replace(os.sep, "/")
        for one in set(whole.values())
        if _is_below(one, folder)
    }
    names.update(_tails(set(whole.values()) - names.keys(), list(names.values())))
    return {path: names[one] for path, one in whole.items()}


def _tails(paths: set[str], taken: Iterable[str]) -> dict[str, str]:
    """Return the ends of paths, each just long enough to be unique."""
    parts = {path: [part for part in _SEPARATOR.split(path) if part] for path in paths}
    tails: dict[str, str] = {}
    length = 1
    while len(tails) < len(paths):
        candidates = {path: "/".join(parts[path][-length:]) for path in paths - tails.keys()}
        uses = Counter([*candidates.values(), *taken])
        for path, tail in candidates.items():
            if uses[tail] == 1 or length >= len(parts[path]):
                tails[path] = tail
        length += 1
    return tails


def _whole(path: str, folder: str) -> str:
    # not realpath: a stored report may be made where the files no longer exist
    return os.path.normpath(os.path.join(folder, path))  # noqa: PTH118 (text: links stay)


def _is_below(whole: str, folder: str) -> bool:
    return whole.startswith(_folder(folder))


def _folder(folder: str) -> str:
    return folder if folder.endswith(os.sep) else folder + os.sep


def _joined(text: str) -> str:
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
