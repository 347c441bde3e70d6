"""Checks on the names that a pickle refers to. Nothing was imported or called to find them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator

from ckpttool.formats.safety.telling import findings_on

if TYPE_CHECKING:
    from ckpttool.checks.examined import Examined
    from ckpttool.findings import Finding


def check_pickle_names(examined: Examined) -> Iterator[Finding]:
    """Fail on calls that may run code, warn of classes that are needed, note other names."""
    yield from findings_on(examined.checkpoint.uses, examined.trust)
