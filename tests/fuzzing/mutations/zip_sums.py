"""Checksums and sizes of the members of an archive, made right wherever they stand."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from tests.fuzzing.mutations.zip_parts import (
    SATURATED,
    ZIP64,
    extra_fields,
    of_fields,
)

if TYPE_CHECKING:
    from tests.fuzzing.mutations.zip_parts import Fields, Part, Record, Zip


def agree(archive: Zip, part: Part) -> None:
    """Let every checksum and size of a part be that of its bytes, in the form that they have."""
    whole = part.data
    if part.fields["method"] == 8:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            whole = inflater.decompress(part.data, 100_000)
        except zlib.error:
            whole = part.data
    sums = {"crc": zlib.crc32(whole), "packed": len(part.data), "size": len(whole)}
    zeros = part.fields["flags"] & 8 and not any(part.fields[name] for name in sums)
    if not zeros:
        part.extra = _set_sums(part.fields, part.extra, sums)
    if part.descriptor:
        part.descriptor[1].update(sums)
    for record in archive.records:
        if record.part is part and record.wide is None:
            record.extra = _set_sums(record.fields, record.extra, sums)
        elif record.part is part:
            _set_wide_sums(record, sums)


def _set_wide_sums(record: Record, sums: Fields) -> None:
    """Set the sums of a record in whose extra fields the offset is put behind them."""
    assert record.wide is not None
    at = record.wide[0]
    for name in ("packed", "size"):
        if record.fields[name] != SATURATED:
            record.fields[name] = sums[name]
        elif at >= 8:
            value = sums[name].to_bytes(8, "little")
            record.extra = record.extra[: at - 8] + value + record.extra[at:]
            at -= 8
    record.fields["crc"] = sums["crc"]


def _set_sums(fields: Fields, extra: bytes, sums: Fields) -> bytes:
    """Set the sums in fields, or in the extra field where they stand; return the extra fields."""
    wide = b""
    for name in ("size", "packed"):
        if fields[name] == SATURATED:
            wide += sums[name].to_bytes(8, "little")
        else:
            fields[name] = sums[name]
    fields["crc"] = sums["crc"]
    listed = extra_fields(extra)
    if not wide or not listed:
        return extra
    return of_fields((kind, wide if kind == ZIP64 else data) for kind, data in listed)
