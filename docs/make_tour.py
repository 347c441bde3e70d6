"""Make the pictures of ``docs/tour.md``: what a terminal shows, at 80 and at 120 columns.

``python -m docs.make_tour`` runs every command of :data:`SCREENS` in a folder of the tests, and
draws what it wrote as SVG, with the text as its description. A picture whose text did not change
stays as it is.
"""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path
from typing import Iterator, NamedTuple, Sequence, Tuple
from xml.sax.saxutils import escape

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from docs.pages.sessions import Session
from docs.pages.varying import constant
from tests.builders.page_folders import FOLDERS

FOLDER = Path(__file__).parent / "images" / "tour"
#: Columns of the terminals.
WIDTHS = (80, 120)


class Screen(NamedTuple):
    """What somebody types, one command or several, and the folder they are in."""

    folder: str
    commands: Sequence[str]


SCREENS: Tuple[Tuple[str, Screen], ...] = (
    ("publish", Screen("first steps", ["ckpttool verify model.pth"])),
    (
        "convert",
        Screen(
            "first steps", ["ckpttool convert model.pth --to safetensors --receipt receipt.json"]
        ),
    ),
    (
        "another-model",
        Screen("hugging face", ["ckpttool verify model/model.safetensors --schema hf"]),
    ),
    ("inspect", Screen("first steps", ["ckpttool inspect model.pth --depth 1"])),
    ("failing", Screen("first steps", ["ckpttool verify broken.pth --no-forward"])),
    ("hostile", Screen("hostile", ["ckpttool verify downloaded.pth"])),
    ("mistyped", Screen("first steps", ["ckpttool verify modell.pth"])),
    ("diff", Screen("first steps", ["ckpttool diff model.pth finetuned.safetensors"])),
)

_THEME = TerminalTheme(
    (255, 255, 255),
    (31, 35, 40),
    [
        (31, 35, 40), (179, 29, 40), (17, 99, 41), (125, 78, 0),
        (9, 105, 218), (130, 80, 223), (27, 124, 131), (110, 119, 129),
    ],
    [
        (87, 96, 106), (207, 34, 46), (26, 127, 55), (154, 103, 0),
        (33, 139, 255), (164, 117, 249), (49, 146, 170), (140, 149, 159),
    ],
)  # fmt: skip
# no font from elsewhere: a picture must not load anything
_FORMAT = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>@TITLE@</title>
<desc>@TEXT@</desc>
<style>
text {{ font-family: Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre }}
text {{ font-size: {char_height}px }}
{styles}
</style>
<defs>{lines}</defs>
<rect width="100%" height="100%" rx="6" fill="#ffffff" stroke="#d0d7de"/>
<g transform="translate({terminal_x}, {terminal_y})">
{backgrounds}
<g>{matrix}</g>
</g>
</svg>
"""


def file_name(name: str, columns: int) -> str:
    """Return what the picture of a screen is called."""
    return f"{name}-{columns}.svg"


def texts(screen: Screen, columns: int) -> Iterator[str]:
    """Yield each command of a screen with what it writes, in colours."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        FOLDERS[screen.folder](folder)
        session = Session(folder, columns, color=True)
        for command in screen.commands:
            yield f"\x1b[1m$ {command}\x1b[0m\n{session.run(command).output}"


def picture(text: str, columns: int, title: str) -> str:
    """Return the SVG of what a terminal shows."""
    console = Console(record=True, width=columns, file=io.StringIO(), color_system="truecolor",
                      force_terminal=True, legacy_windows=False)  # fmt: skip
    shown = Text.from_ansi(text.rstrip("\n"))
    console.print(shown, soft_wrap=False)
    svg = console.export_svg(theme=_THEME, code_format=_FORMAT)
    return svg.replace("@TITLE@", escape(title)).replace("@TEXT@", escape(shown.plain))


def described(svg: str) -> str:
    """Return the text that a picture says it shows, without what varies."""
    found = re.search(r"<desc>(.*?)</desc>", svg, re.S)
    return constant(found[1]) if found else ""


def drawn(screen: Screen, columns: int) -> str:
    """Return the picture of a screen as it is now."""
    return picture("\n".join(texts(screen, columns)), columns, screen.commands[0])


def main() -> None:
    """Draw every screen at every width, unless it shows that already."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, screen in SCREENS:
        for columns in WIDTHS:
            path = FOLDER / file_name(name, columns)
            svg = drawn(screen, columns)
            old = path.read_text(encoding="utf-8") if path.exists() else ""
            if described(old) != described(svg):
                path.write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
