"""Checks on the names that a pickle refers to. Nothing was imported or called to find them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator

from ckpttool.formats.dangerous import findings_on

if TYPE_CHECKING:
    from ckpttool.checks.examined import Examined
    from ckpttool.findings import Finding


def check_pickle_names(examined: Examined) -> Iterator[Finding]:
    """Fail on names of an attack, note others beyond torch's own, argparse.Namespace say."""
    yield from findings_on(examined.checkpoint.references)
