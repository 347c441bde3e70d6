"""Where the page on a rule is: at the project's address, or in the source tree that is run."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from ckpttool._version import HOMEPAGE

_RULES = Path(__file__).resolve().parents[2] / "docs" / "rules"


def published(code: str, homepage: str = HOMEPAGE) -> str | None:
    """Return the address of the page on a rule; ``None`` as long as the project has none."""
    return f"{homepage}/blob/main/docs/rules/{code}.md" if homepage else None


@lru_cache(maxsize=None)
def page_of(code: str) -> str | None:
    """Return what a terminal can open: the address, else the file; ``None`` if there is neither."""
    # a stored result of a newer version may have codes that are nothing but text
    local = _RULES / f"{code}.md" if code.isalnum() else None
    if HOMEPAGE or local is None or not local.is_file():
        return published(code) if code.isalnum() else None
    return local.as_uri()
