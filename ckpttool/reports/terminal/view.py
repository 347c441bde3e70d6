"""Options of the text formats, apart from their code: options are parsed without rich."""

from __future__ import annotations

from typing import NamedTuple


class TextView(NamedTuple):
    """How to show a report.

    Attributes:
        show_waived: list waived findings, which are counted anyway.
        verbose: of several files, tell of those that pass as of the others.
    """

    show_waived: bool = False
    verbose: bool = False


class TreeView(NamedTuple):
    """How to show what files hold.

    Attributes:
        fold: whether identical blocks are put on one line.
        sort: the order of what is on one level: by ``size``, by ``name``; ``None`` for the file's.
        depth: levels of the tree that are shown; ``None`` for all.
        details: whether each file of a folder is shown in full.
    """

    fold: bool = True
    sort: str | None = None
    depth: int | None = None
    details: bool = False


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
