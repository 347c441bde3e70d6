"""A checkpoint's tensors under canonical names, whatever naming convention it follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ckpttool.models import families
from ckpttool.models.layouts.joining import join, why_apart
from ckpttool.models.layouts.recognise import recognise, strip
from ckpttool.models.layouts.renames import NUMBER
from ckpttool.tensors.catalogue import TensorInfo

if TYPE_CHECKING:
    from typing import Iterable, Iterator, Mapping, Optional, Tuple

    from ckpttool.models.family import Family
    from ckpttool.models.layouts.recognise import Recognised
    from ckpttool.models.layouts.renames import Claim

    _Row = Tuple[str, str, Optional[Claim]]


class Canonical(NamedTuple):
    """A checkpoint's tensors under canonical names.

    Attributes:
        layout: the name of the convention that was recognised, ``None`` if none was.
        prefix: what was cut from the start of names (``module.``), ``""`` for nothing.
        tensors: canonical name -> tensor, in the order of the file; its ``name`` is the canonical
            one, and a joined tensor stands where its part 0 did.
        origins: canonical name -> the checkpoint's own names, several for a joined tensor.
        unclaimed: names (without the prefix) that no rule claims; they are in ``tensors`` too.
            All of them where no convention was recognised.
        problems: what could not be done, a line each, not escaped: a join without all its parts,
            a prefix whose removal gives two tensors one name. They keep their own names.
        family: the models with these names, ``None`` if no convention was recognised.
    """

    layout: str | None
    prefix: str
    tensors: dict[str, TensorInfo]
    origins: dict[str, tuple[str, ...]]
    unclaimed: tuple[str, ...]
    problems: tuple[str, ...]
    family: Family | None = None


def family_by(names: Iterable[str]) -> Family | None:
    """Return the family of a model with these names, ``None`` if it is not known."""
    found, _ = recognise(list(names), families.FAMILIES)
    return found.family if found else None


def layout_of(names: Iterable[str]) -> str | None:
    """Return the name of the convention that names follow, as :func:`canonicalize` gives it."""
    found, _ = recognise(list(names), families.FAMILIES)
    return found.layout.name if found else None


def canonicalize(tensors: Mapping[str, TensorInfo]) -> Canonical:
    """Return ``tensors`` under the names of the canonical layout; nothing is left out.

    Names of an unknown model stay as they are.
    """
    found, problems = recognise(list(tensors), families.FAMILIES)
    if found is None:
        origins: dict[str, tuple[str, ...]] = {name: (name,) for name in tensors}
        return Canonical(None, "", dict(tensors), origins, tuple(tensors), problems)
    rows = list(_rows(found))
    unclaimed = tuple(canonical for _, canonical, claim in rows if claim is None)
    result = Canonical(found.layout.name, found.prefix, {}, {}, unclaimed, (), found.family)
    apart = list(_fill(result, tensors, rows))
    return result._replace(problems=(*problems, *apart))


def _rows(found: Recognised) -> Iterator[_Row]:
    """Yield each name with its canonical name and the claim that gives it, if one does."""
    claims, prefix = found.claims, found.prefix
    for name, pattern, number in found.rows:
        claim = claims[pattern]
        if claim is None:
            yield name, strip(name, prefix), None
        else:
            yield name, claim.canonical.replace(NUMBER, number), claim


def _fill(result: Canonical, tensors: Mapping[str, TensorInfo], rows: list[_Row]) -> Iterator[str]:
    """Fill ``result`` in file order; yield a line for each tensor that cannot be joined."""
    taken = frozenset(result.unclaimed)
    groups = _groups(rows, taken)
    for name, canonical, claim in rows:
        if claim is None or canonical not in groups:
            _add(result, canonical, tensors[name], name)
            continue
        # all parts are handled at the place of the first, which keeps the order of the file
        members = groups[canonical]
        if name != members[0]:
            continue
        parts = [tensors[member] for member in members]
        why = _why_not(canonical, members, claim.parts, taken) or why_apart(parts)
        if why is None:
            _add(result, canonical, join(canonical, parts), *members)
            continue
        yield f"{canonical} is not put together: {why}"
        for member in members:
            _add(result, strip(member, result.prefix), tensors[member], member)


def _groups(rows: list[_Row], taken: frozenset[str]) -> dict[str, list[str]]:
    """Return canonical name -> names of the parts in order, for all but plain renames."""
    groups: dict[str, list[tuple[int, str]]] = {}
    for name, canonical, claim in rows:
        # taken: an unclaimed tensor of the file has the canonical name already
        if claim is not None and (claim.parts > 1 or canonical in taken):
            groups.setdefault(canonical, []).append((claim.part, name))
    return {canonical: [name for _, name in sorted(parts)] for canonical, parts in groups.items()}


def _why_not(canonical: str, members: list[str], wanted: int, taken: frozenset[str]) -> str | None:
    if canonical in taken:
        return f"another tensor has this name beside {', '.join(members)}"
    if len(members) < wanted:
        return f"it has {wanted} parts, and there is only {', '.join(members)}"
    return None


def _add(result: Canonical, name: str, info: TensorInfo, *origins: str) -> None:
    # not _replace, which takes twice as long: a file may have 100,000 tensors
    result.tensors[name] = info if info.name == name else TensorInfo(name, *info[1:])
    result.origins[name] = origins
