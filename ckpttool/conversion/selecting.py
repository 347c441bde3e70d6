"""Selects the tensors to convert: by pattern, the encoder alone, with recorded ties restored."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ckpttool.findings import rules
from ckpttool.findings.errors import UnsupportedError, UsageError
from ckpttool.findings.name_filter import NameFilter
from ckpttool.models.canonical import canonicalize
from ckpttool.tensors.sharing import tied_names, with_tied

if TYPE_CHECKING:
    from ckpttool.conversion.options import ConvertOptions
    from ckpttool.models.canonical import Canonical
    from ckpttool.tensors.catalogue import Checkpoint, TensorInfo


class TensorSelection(NamedTuple):
    """The tensors to convert.

    Attributes:
        tensors: name to tensor, in the order of the file; recorded ties at their recorded
            places, or else at the end.
        excluded: names that the options left out, in order.
        unread: (name, reason) of selected tensors of a kind that is not read.
        restored: name that the file only records -> name that it stores.
        canonical: the tensors under the names of the canonical layout.
    """

    tensors: dict[str, TensorInfo]
    excluded: tuple[str, ...]
    unread: tuple[tuple[str, str], ...]
    restored: dict[str, str]
    canonical: Canonical


def select(
    checkpoint: Checkpoint, canonical: Canonical, options: ConvertOptions
) -> TensorSelection:
    """Choose the tensors that the options ask for.

    Args:
        checkpoint: the source.
        canonical: all of its tensors, those included that it only records as tied.
        options: which to take.

    Raises:
        UsageError: no tensor is left, or a pattern matches no name.
        UnsupportedError: the encoder alone is asked for, and the names are of no known layout.
    """
    restored = tied_names(checkpoint.tensors, checkpoint.metadata)
    every = with_tied(checkpoint.tensors, checkpoint.metadata)
    # Unread ones too, so that --exclude can leave out what stops a conversion.
    names = [*every, *(name for name, _ in checkpoint.unread)]
    asked = NameFilter(options.include, options.exclude)
    wanted = [name for name in names if asked.wants(name)]
    asked.check("tensor")
    aside = _beside_the_core(canonical) if options.encoder_only else frozenset()
    wanted = [name for name in wanted if name not in aside]
    if not names:
        raise UsageError("there is no tensor in the checkpoint")
    if not wanted:
        raise UsageError("no tensor is left to convert", fix="Look at include and exclude.")
    chosen = frozenset(wanted)
    tensors = {name: info for name, info in every.items() if name in chosen}
    return TensorSelection(
        tensors,
        tuple(name for name in names if name not in chosen),
        tuple(row for row in checkpoint.unread if row[0] in chosen),
        {name: kept for name, kept in restored.items() if name in chosen},
        # A part of the tensors may follow no layout any more, and then keeps its own names.
        canonical if len(tensors) == len(every) else canonicalize(tensors),
    )


def _beside_the_core(canonical: Canonical) -> frozenset[str]:
    family = canonical.family
    if family is None:
        raise UnsupportedError(
            "the names follow no known layout, so nothing tells the encoder from the decoder",
            rules.UNCLEAR_NAMES,
            fix="Leave --encoder-only out and choose the names with --include or --exclude.",
        )
    # By origin, since a canonical tensor may be joined from several of the file.
    return frozenset(
        origin
        for name, origins in canonical.origins.items()
        if family.group_of(name) != family.core
        for origin in origins
    )
