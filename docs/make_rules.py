"""Write the pages on the rules, and remove those of rules that are no more: ``make docs``."""

from __future__ import annotations

from pathlib import Path

from ckpttool.reports.machine.rule_pages import pages

FOLDER = Path(__file__).parent / "rules"


def main() -> None:
    """Bring ``docs/rules`` up to date with the table."""
    FOLDER.mkdir(exist_ok=True)
    current = pages()
    for path in FOLDER.glob("*.md"):
        if path.name not in current:
            path.unlink()
    for name, content in current.items():
        (FOLDER / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
