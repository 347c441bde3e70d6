"""A checkpoint's tensors under canonical names, whatever naming convention it follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ckpttool.models import families
from ckpttool.models.layouts.recognise import recognise
from ckpttool.models.renaming import rename

if TYPE_CHECKING:
    from typing import Iterable, Mapping

    from ckpttool.models.family import Family
    from ckpttool.models.layouts.prefixes import Rival
    from ckpttool.models.layouts.recognise import Recognised
    from ckpttool.models.renaming import Removed
    from ckpttool.tensors.catalogue import TensorInfo


class Canonical(NamedTuple):
    """A checkpoint's tensors under canonical names.

    Attributes:
        layout: the name of the convention that was recognised, ``None`` if none was; where names
            depart from it, that is said: ``facebook with fc1 for mlp.fc1``.
        prefix: what was cut from the start of names (``module.``), ``""`` for nothing; of several
            that of the core.
        tensors: canonical name -> tensor, in the order of the file; its ``name`` is the canonical
            one, and a joined tensor stands where its part 0 did.
        origins: canonical name -> the checkpoint's own names, several for a joined tensor.
        unclaimed: names (without the prefix) that no rule claims; they are in ``tensors`` too.
            All of them where no convention was recognised.
        problems: what could not be done, a line each, not escaped: a join without all its parts,
            a prefix whose removal gives two tensors one name. They keep their own names.
        family: the models with these names, ``None`` if no convention was recognised.
        removed: all that was taken out before and inside of names, what most names had first.
        rivals: prefixes that fit as well, and were not chosen: of a teacher beside a student.
        apart: names of parts that are not joined, since files of this spelling never hold all: the
            biases of query and value, where the key has none. They are not among ``unclaimed``.
    """

    layout: str | None
    prefix: str
    tensors: dict[str, TensorInfo]
    origins: dict[str, tuple[str, ...]]
    unclaimed: tuple[str, ...]
    problems: tuple[str, ...]
    family: Family | None = None
    removed: tuple[Removed, ...] = ()
    rivals: tuple[Rival, ...] = ()
    apart: tuple[str, ...] = ()


def family_by(names: Iterable[str]) -> Family | None:
    """Return the family of a model with these names, ``None`` if it is not known."""
    found = recognise(list(names), families.FAMILIES)
    return found.family if found else None


def layout_of(tensors: Mapping[str, TensorInfo]) -> str | None:
    """Return the name of the convention that names follow, as :func:`canonicalize` gives it."""
    found = recognise(list(tensors), families.FAMILIES, tensors)
    return found.layout if found else None


def canonicalize(tensors: Mapping[str, TensorInfo]) -> Canonical:
    """Return ``tensors`` under the names of the canonical layout; nothing is left out.

    Names of an unknown model stay as they are.
    """
    found = recognise(list(tensors), families.FAMILIES, tensors)
    if found is None:
        origins: dict[str, tuple[str, ...]] = {name: (name,) for name in tensors}
        return Canonical(None, "", dict(tensors), origins, tuple(tensors), ())
    renamed = rename(found, tensors)
    return Canonical(
        found.layout,
        _prefix(found, renamed.removed),
        renamed.tensors,
        renamed.origins,
        renamed.unclaimed,
        renamed.problems,
        found.family,
        renamed.removed,
        found.rivals,
        renamed.apart,
    )


def _prefix(found: Recognised, removed: tuple[Removed, ...]) -> str:
    outer = (one.text for one in removed if not one.inside)
    return found.naming.outermost or next(outer, "")
