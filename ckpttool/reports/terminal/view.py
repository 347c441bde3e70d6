"""Options of the text formats, apart from their code: options are parsed without rich."""

from __future__ import annotations

from typing import NamedTuple


class TextView(NamedTuple):
    """How to show a report; ``show_waived`` lists waived findings, which are counted anyway."""

    show_waived: bool = False


class TreeView(NamedTuple):
    """How to show the tensors; ``fold`` puts identical blocks on one line."""

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
