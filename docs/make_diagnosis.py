"""Update the screens of ``docs/diagnosis.md`` from the files of the tests: ``make docs``."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from typing import Iterator

import ckpttool
from ckpttool.reports.terminal.report import write
from docs.tables import put_in
from tests.builders.checkpoints import saved
from tests.builders.kinds import CASES

PAGE = Path(__file__).parent / "diagnosis.md"

#: What a file is called on the page.
SHOWN = "model.pth"
# Rows that the container or the machine has a part in.
_LEFT_OUT = ("  file  ", "  values  ", "  positions  ", "  forward  ")
# Notes that every small file of the tests gets.
_EVERYWHERE = ("MOD007", "SEC005")


def page(text: str) -> str:
    """Return the page's text with its screens as they are now."""
    return put_in(text, {"SCREENS": "\n".join(_sections())})


def _sections() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            path = saved(Path(folder), case.content)
            yield f"### {case.title}\n\n```text"
            yield from _screen(path)
            yield "```\n"


def _screen(path: str) -> Iterator[str]:
    """Yield what ``verify --no-forward`` says, without what is the same for all."""
    stream = io.StringIO()
    write(ckpttool.verify(path, forward=False), stream)
    folder = os.path.dirname(path)  # noqa: PTH120 (text)
    for line in stream.getvalue().replace(path, SHOWN).replace(folder, "").splitlines():
        said = any(code in line for code in _EVERYWHERE)
        if line.strip() and not said and not line.startswith(_LEFT_OUT):
            yield line


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
