"""Update what the commands on the pages say: ``make docs``, or this with names of pages."""

from __future__ import annotations

import sys

from docs.pages.run import PAGES, ROOT, remade


def main(pages: list[str]) -> None:
    """Bring the outputs up to date, on these pages or on all."""
    for name in pages or [page for page in PAGES if page != "docs/python.md"]:
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        current = remade(text)
        if current != text:
            print(name)  # noqa: T201
            path.write_text(current, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
