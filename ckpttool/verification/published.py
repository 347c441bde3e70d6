"""The files that the authors published, by name, and whether a file is the one of its name.

The prefixes are those that the authors print beside the links in the README of
https://github.com/facebookresearch/mae; six hexadecimal digits are what is known, so equality
is as certain as 24 bits make it.
"""

from __future__ import annotations

import hashlib
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding

if TYPE_CHECKING:
    from ckpttool.files.sources import ByteSource

#: File name to the first digits of the MD5 sum.
PUBLISHED = {
    "mae_pretrain_vit_base.pth": "8cad7c",
    "mae_pretrain_vit_large.pth": "b8b06e",
    "mae_pretrain_vit_huge.pth": "9bdbb0",
    "mae_finetuned_vit_base.pth": "1b25e9",
    "mae_finetuned_vit_large.pth": "51f550",
    "mae_finetuned_vit_huge.pth": "2541f2",
}

_CHUNK = 1 << 20


class Origin(NamedTuple):
    """Whether a file is the published one: its name if so, a finding if not."""

    name: str | None
    findings: tuple[Finding, ...]


def origin_of(source: ByteSource) -> Origin:
    """Compare the MD5 sum of a file with the one published for its name.

    MD5 is what was published. It notices accidents, not an author who wants two files alike.

    Raises:
        UnreadableError: the file cannot be read, or ended early.
    """
    name = PurePath(source.name).name
    prefix = PUBLISHED.get(name)
    if prefix is None:
        unknown = finding(
            rules.PUBLISHED,
            "nothing is published under this file name",
            expected=", ".join(PUBLISHED),
            found=name,
            fix="Give the file its published name, or leave out --published.",
        )
        return Origin(None, (unknown,))
    digest = md5(source)
    if digest.startswith(prefix):
        return Origin(name, ())
    differs = finding(
        rules.PUBLISHED,
        f"the file is not the published {name}: its MD5 sum differs",
        expected=f"{prefix}...",
        found=digest,
        fix="Download it again from https://dl.fbaipublicfiles.com/mae/.",
    )
    return Origin(None, (differs,))


def md5(source: ByteSource) -> str:
    """Return the MD5 sum of all bytes of the source, in hexadecimal."""
    digest = hashlib.new("md5")  # noqa: S324 (the authors published MD5 sums)
    buffer = memoryview(bytearray(_CHUNK))
    for offset in range(0, source.size, _CHUNK):
        part = buffer[: min(_CHUNK, source.size - offset)]
        source.read_into(offset, part)
        digest.update(part)
    return digest.hexdigest()
