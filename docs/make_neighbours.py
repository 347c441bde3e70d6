"""Update the table of ``docs/neighbours.md``: ``make docs``."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

from ckpttool.models.known_neighbours import KNOWN
from docs.tables import put_in

PAGE = Path(__file__).parent / "neighbours.md"


def page(text: str) -> str:
    """Return the page's text with its table as it is now."""
    return put_in(text, {"NEIGHBOURS": "\n".join(_rows())})


def _rows() -> Iterator[str]:
    yield "| model | told by at least | of these | an MAE could take | it lacks |"
    yield "|---|---|---|---|---|"
    for known in KNOWN:
        markers = ", ".join(
            f"`{marker.spellings[0]}`{' (always)' * marker.needed}" for marker in known.markers
        )
        takes, lacks = known.takes or "nothing", ", ".join(known.lacks)
        yield f"| {known.name} | {known.least} | {markers} | {takes} | {lacks} |"


def main() -> None:
    """Bring the table of the page up to date."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
