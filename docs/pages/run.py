"""All blocks of a page run, one after the other, and what each would be now."""

from __future__ import annotations

import contextlib
import doctest
import tempfile
from pathlib import Path
from typing import Any, Iterator, NamedTuple

from docs.pages.blocks import Block, blocks, replaced
from docs.pages.sessions import COLUMNS, Session, commands, inside, shown
from docs.pages.varying import constant
from tests.builders.page_folders import FOLDERS

ROOT = Path(__file__).parents[2]

#: The pages with blocks, as paths from the root. ``tests/test_api.py`` runs docs/python.md.
PAGES = tuple(
    str(path.relative_to(ROOT))
    for path in (
        ROOT / "README.md",
        ROOT / "data" / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
    )
)


class Ran(NamedTuple):
    """A block, what it would be now, and what is wrong with it whatever it shows."""

    block: Block
    text: str
    wrong: str = ""

    @property
    def current(self) -> bool:
        """Whether the page shows what came out, but for what varies."""
        return constant(self.text) == constant(self.block.text)


def run_page(page: str) -> list[Ran]:
    """Run the blocks of a page, in folders that are removed afterwards."""
    ran = []
    with contextlib.ExitStack() as folders:
        names: dict[str, Any] = {}
        folder = _folder(folders, "empty")
        for block in blocks(page):
            if "in" in block.marks:
                folder = _folder(folders, block.marks["in"])
                names = {}
            ran.append(_run(block, folder, names))
    return ran


def remade(page: str) -> str:
    """Return the page with the outputs as they are now; what differs only where it varies stays."""
    return replaced(page, [(one.block, one.text) for one in run_page(page) if not one.current])


def _run(block: Block, folder: Path, names: dict[str, Any]) -> Ran:
    if "not run" in block.marks:
        return Ran(block, block.text)
    if "file" in block.marks:
        path = folder / block.marks["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, encoding="utf-8")
    session = Session(folder, int(block.marks.get("columns", COLUMNS)))
    if block.language == "console":
        return Ran(block, "".join(_console(block, session)))
    if block.language == "sh":
        return Ran(block, block.text, "\n".join(_failed(block, session)))
    if block.language == "python" and "file" not in block.marks:
        with inside(folder), contextlib.redirect_stdout(None):
            exec(compile(block.text, "a page", "exec"), names)  # noqa: S102 (a page of our own)
    if block.language == "pycon":
        with inside(folder):
            return Ran(block, block.text, _examples(block, names))
    return Ran(block, block.text)


def _examples(block: Block, names: dict[str, Any]) -> str:
    """Return what doctest says of the examples that do not hold."""
    test = doctest.DocTestParser().get_doctest(block.text, names, "page", None, block.line)
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    runner.run(test, out=told.append, clear_globs=False)
    names.update(test.globs)
    return "".join(told)


def _console(block: Block, session: Session) -> Iterator[str]:
    for command in commands(block.text):
        yield shown(session.run(command), block.marks)


def _failed(block: Block, session: Session) -> Iterator[str]:
    """Yield what a script says of each line that fails."""
    for line in block.text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.startswith("#"):
            said = session.run(line)
            if said.code:
                yield f"{said.command}: exit {said.code}\n{said.output}"


def _folder(stack: contextlib.ExitStack, name: str) -> Path:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    FOLDERS[name](folder)
    return folder
