"""Tables of pages that are written by programs."""

from __future__ import annotations

from typing import Mapping

#: A table stands between two such lines.
BEGIN, END = "<!-- BEGIN {} -->", "<!-- END {} -->"


def put_in(text: str, tables: Mapping[str, str]) -> str:
    """Return a page's text with these tables in their places.

    Raises:
        ValueError: there is no place for a table on the page.
    """
    for name, table in tables.items():
        begin, end = BEGIN.format(name), END.format(name)
        if begin not in text or end not in text:
            raise ValueError(f"the page has no place for {name}: {begin} and {end}")
        before, rest = text.split(begin)
        _, after = rest.split(end)
        text = f"{before}{begin}\n{table}\n{end}{after}"
    return text
