"""How a person wants to see a report; apart from the text, so that it costs nothing to name."""

from __future__ import annotations

from typing import NamedTuple


class TextView(NamedTuple):
    """How the report is shown to a person.

    Attributes:
        show_waived: list what is waived, with reason, owner and last day; it is counted anyway.
    """

    show_waived: bool = False


class TreeView(NamedTuple):
    """How to show the tensors: ``fold`` puts blocks that are alike into one line."""

    fold: bool = True


class DiffView(NamedTuple):
    """How to show a comparison.

    Attributes:
        sort: by ``change``, ``name`` or ``size``.
        top: tensors listed of each class; ``None`` for the usual number.
        stat: one line a tensor instead.
    """

    sort: str = "change"
    top: int | None = None
    stat: bool = False
