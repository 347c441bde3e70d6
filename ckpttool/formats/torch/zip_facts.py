"""What an archive of torch says of itself in small members: version, byte order and others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError, UnsupportedError
from ckpttool.formats.archives.archive import read_member

if TYPE_CHECKING:
    from ckpttool.formats.archives.archive import Archive

#: File format versions that torch reads: kMin and kMaxSupportedFileFormatVersion.
VERSIONS = range(1, 11)

# The members that torch looks for by name.
_READ_BY_TORCH = (
    *("data.pkl", "constants.pkl", "version", "byteorder", ".data/version"),
    *(".data/serialization_id", ".format_version", ".storage_alignment"),
)
_MOST = 64  # bytes of such a member; the longest, the id, has 40


def check(archive: Archive, top: str) -> None:
    """Raise MalformedError for what keeps torch from reading the archive."""
    _check_spelling(archive, top)
    _check_version(archive, top)
    alignment, number = _text(archive, f"{top}/.storage_alignment"), f"{top}/.data/serialization_id"
    if alignment is not None and not alignment.strip().isdigit():
        raise _odd(
            f"{top}/.storage_alignment", "the alignment of storages is no plain number", alignment
        )
    identity = _text(archive, number)
    try:
        (identity or b"").decode()
    except UnicodeDecodeError as error:
        raise _odd(number, "the id of the file is no text", identity) from error


def is_big_endian(archive: Archive, top: str, *, program: bool) -> bool:
    """Whether the storages hold big-endian elements; ``program``: the archive is one.

    Raises:
        MalformedError: it says something else.
        UnsupportedError: a program says so.
    """
    # older releases do not write it, and torch takes their files for little-endian
    name = f"{top}/byteorder"
    text = _text(archive, name)
    if text not in (None, b"little", b"big"):
        raise _odd(name, "the byte order is not known", text, "little or big")
    if program and text == b"big":
        raise UnsupportedError(
            "the archive is a TorchScript program that states big-endian numbers, which"
            " torch.jit.load would read as little-endian ones",
            rules.UNSUPPORTED,
            member=name,
        )
    return text == b"big"


def _check_spelling(archive: Archive, top: str) -> None:
    """Refuse a member that only torch takes for one of these: it finds them in any case."""
    known = {f"{top}/{name}".lower(): f"{top}/{name}" for name in _READ_BY_TORCH}
    folder = f"{top}/data/"
    for name in archive.members:
        if not name.startswith(folder) and known.get(name.lower(), name) != name:
            what = "torch would take a member for another one, since it finds them in any case"
            raise MalformedError(
                what, rules.TORCH_ARCHIVE, member=name, expected=known[name.lower()], found=name
            )


def _check_version(archive: Archive, top: str) -> None:
    names = [f"{top}/version"]
    if f"{top}/.data/version" in archive.members:
        names.append(f"{top}/.data/version")  # the one that torch reads, if there is one
    for name in names:
        text = _text(archive, name)
        digits = text.strip() if text is not None else b""
        if not digits.isdigit() or int(digits) not in VERSIONS:
            what = "the archive does not state its file format version as torch.save does"
            raise _odd(name, what, text, f"{VERSIONS[0]} to {VERSIONS[-1]}")


def _text(archive: Archive, name: str) -> bytes | None:
    member = archive.members.get(name)
    return None if member is None else read_member(archive.source, member, _MOST)


def _odd(name: str, what: str, text: bytes | None, expected: str | None = None) -> MalformedError:
    return MalformedError(
        what,
        rules.TORCH_ARCHIVE,
        member=name,
        expected=expected,
        found="no such member" if text is None else repr(text),
    )
