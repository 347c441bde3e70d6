"""How a person wants to see a report; apart from the text, so that it costs nothing to name."""

from __future__ import annotations

from typing import NamedTuple


class TextView(NamedTuple):
    """How the report is shown to a person.

    Attributes:
        show_waived: list what is waived, with reason, owner and last day; it is counted anyway.
    """

    show_waived: bool = False
