"""Tensors under the names to write them under, and the rows of the source that each is made of."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Iterable, Iterator, NamedTuple, Sequence

from ckpttool.conversion.result import Rows
from ckpttool.findings.errors import CkpttoolError, UsageError
from ckpttool.findings.text import printable, some_of
from ckpttool.tensors.catalogue import TensorInfo
from ckpttool.tensors.rows import rows_of, some_rows, why_whole

if TYPE_CHECKING:
    from typing import Collection, Mapping

_NAMED = 4  # tensors of the source that an error names


class Naming(NamedTuple):
    """The tensors to write.

    Attributes:
        tensors: name -> tensor, in order; its bytes lie in the source.
        rows: name -> what it is made of, in order. Without what is all of the tensor of the same
            name.
    """

    tensors: dict[str, TensorInfo]
    rows: dict[str, tuple[Rows, ...]]

    def made_of(self, name: str) -> tuple[Rows, ...]:
        """Return what a tensor is made of, in order."""
        return self.rows.get(name) or (every_row(self.tensors[name]),)

    def add(self, name: str, info: TensorInfo, rows: tuple[Rows, ...]) -> None:
        """Add a tensor.

        Raises:
            UsageError: another one has this name.
        """
        if name in self.tensors:
            raise UsageError(
                f"two tensors would have the name {printable(name)}",
                found=f"{sources(self.made_of(name))}, and {sources(rows)}",
                fix="Leave one of the two out with --exclude, or give it another name with "
                "--rename.",
            )
        # not _replace, which takes twice as long: a file may have 100,000 tensors
        self.tensors[name] = info if info.name == name else TensorInfo(name, *info[1:])
        if rows != (every_row(self.tensors[name]),):
            self.rows[name] = rows

    def without(self, names: Collection[str]) -> Naming:
        """Return the others."""
        tensors = {name: info for name, info in self.tensors.items() if name not in names}
        return Naming(tensors, {name: rows for name, rows in self.rows.items() if name in tensors})

    def origins(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the names of the source that tensors are made of, each once."""
        return tuple(dict.fromkeys(rows.name for name in names for rows in self.made_of(name)))


@contextmanager
def told_by_source(naming: Naming) -> Iterator[None]:
    """Let an error name a tensor as the source does: by that name it can be left out."""
    try:
        yield
    except CkpttoolError as error:
        if error.tensor in naming.rows:
            error.tensor = ", ".join(naming.origins([error.tensor]))
        raise


def every_row(info: TensorInfo) -> Rows:
    """Return all rows of a tensor of the source."""
    return Rows(info.name, 0, rows_of(info))


def sources(rows: Sequence[Rows]) -> str:
    """Return the names of the source in words."""
    return some_of([printable(name) for name in dict.fromkeys(one.name for one in rows)], _NAMED)


def merged(rows: Iterable[Rows]) -> tuple[Rows, ...]:
    """Return rows with those that follow each other in one tensor as one run."""
    runs: list[Rows] = []
    for one in rows:
        last = runs[-1] if runs else None
        if last and (last.name, last.stop, last.transposed) == (one.name, one.start, False):
            runs[-1] = last._replace(stop=one.stop)
        else:
            runs.append(one)
    return tuple(runs)


def cut_rows(rows: Sequence[Rows], start: int, stop: int) -> tuple[Rows, ...]:
    """Return the part of ``rows``, none of them transposed, from ``start`` to before ``stop``."""
    found = []
    at = 0
    for one in rows:
        length = one.stop - one.start
        first, last = max(start, at), min(stop, at + length)
        # a part without rows stays one: of an empty tensor every part is empty
        if first < last or (start == stop and not length):
            begin = one.start + first - at
            found.append(Rows(one.name, begin, begin + max(0, last - first)))
        at += length
    return tuple(found)


def split(
    info: TensorInfo, rows: Sequence[Rows], names: Sequence[str]
) -> Iterator[tuple[str, TensorInfo, tuple[Rows, ...]]]:
    """Yield (name, tensor, rows) of the equal parts of a tensor, one for each name.

    Raises:
        UsageError: it has no such parts.
    """
    if len(names) == 1:
        yield names[0], info, tuple(rows)
        return
    why = why_whole(info, len(names))
    if any(one.transposed for one in rows):
        why = "it is transposed, so its rows are columns of the source"
    if why is not None:
        raise UsageError(f"{sources(rows)} cannot be split into {len(names)} parts: {why}")
    height = rows_of(info) // len(names)
    for part, name in enumerate(names):
        start, stop = part * height, (part + 1) * height
        yield name, some_rows(info, name, start, stop), cut_rows(rows, start, stop)


def unequal_rows(taken: Mapping[str, TensorInfo], naming: Naming) -> str | None:
    """Return what contradicts that every row of the source is written once; ``None`` if nothing.

    Args:
        taken: the tensors of the source.
        naming: what is written.
    """
    used: dict[str, list[Rows]] = {name: [] for name in taken}
    for name, info in naming.tensors.items():
        rows = naming.made_of(name)
        strange = next((one.name for one in rows if one.name not in used), None)
        if strange is not None:
            return f"{printable(name)} is made of {printable(strange)}, which was not taken"
        if any(one.transposed for one in rows):
            if len(rows) > 1 or info.shape != taken[rows[0].name].shape[::-1]:
                return f"{printable(name)} is not a transpose of {printable(rows[0].name)}"
        elif sum(one.stop - one.start for one in rows) != rows_of(info):
            return f"{printable(name)} has {rows_of(info):,} rows, and is made of others"
        for one in rows:
            used[one.name].append(one)
    wrong = (_gap(name, rows, rows_of(taken[name])) for name, rows in used.items())
    return next((text for text in wrong if text), None)


def _gap(name: str, rows: Sequence[Rows], height: int) -> str | None:
    """Return which of the rows of a tensor are not written once."""
    end = 0
    for one in sorted(rows, key=lambda one: (one.start, one.stop)):
        if one.start < end:
            return f"row {one.start:,} of {printable(name)} is written twice"
        if one.start > end:
            break
        end = one.stop
    if end != height or not rows:
        return f"row {end:,} of {printable(name)} is written nowhere"
    return None
