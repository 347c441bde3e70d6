"""Comparing a file with the one that the authors published under its name."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.tensors.sums import file_sums

if TYPE_CHECKING:
    from ckpttool.files.sources import ByteSource
    from ckpttool.models.family import Family


class Origin(NamedTuple):
    """Whether a file is the published one: its name if so, a finding if not."""

    name: str | None
    findings: tuple[Finding, ...]


def may_be_published(source: ByteSource, family: Family) -> bool:
    """Return whether a file has the name of a published one."""
    return PurePath(source.name).name in family.published


def origin_of(source: ByteSource, family: Family) -> Origin:
    """Compare the MD5 sum of a file with the one published for its name.

    Raises:
        UnreadableError: the file cannot be read, or changed since it was opened.
    """
    name = PurePath(source.name).name
    prefix = family.published.get(name)
    if prefix is None:
        unknown = finding(
            rules.PUBLISHED,
            "nothing is published under this file name",
            expected=", ".join(family.published),
            found=name,
            fix="Give the file its published name, if it has one; else leave out --published.",
        )
        return Origin(None, (unknown,))
    # MD5 is what was published. It shows accidents, not files that were made to have one sum.
    (digest,) = file_sums([source], "md5")
    if digest.startswith(prefix):
        return Origin(name, ())
    differs = finding(
        rules.PUBLISHED,
        f"the file is not the published {name}: its MD5 sum differs",
        expected=f"{prefix}...",
        found=digest,
        fix=f"If it should be that file, download it from {family.published_at}; else leave out "
        "--published.",
    )
    return Origin(None, (differs,))
