"""Selects the tensors to convert: by pattern, the encoder alone, with recorded ties restored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Collection, NamedTuple, Sequence

from ckpttool.conversion.renaming.rules import Rules, apply
from ckpttool.conversion.renaming.spelling import spell
from ckpttool.findings import rules
from ckpttool.findings.errors import UnsupportedError, UsageError
from ckpttool.findings.name_filter import NameFilter
from ckpttool.findings.text import printable
from ckpttool.models.canonical import canonicalize
from ckpttool.models.families import conventions
from ckpttool.tensors.sharing import tied_names, with_tied

if TYPE_CHECKING:
    from ckpttool.conversion.options import ConvertOptions
    from ckpttool.conversion.renaming.rows import Naming
    from ckpttool.conversion.renaming.spelling import Spelled
    from ckpttool.findings.finding import Finding
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
        naming: the same under the names to write them under.
        spelled: what they are in the convention that was asked for; ``None`` for none.
    """

    tensors: dict[str, TensorInfo]
    excluded: tuple[str, ...]
    unread: tuple[tuple[str, str], ...]
    restored: dict[str, str]
    canonical: Canonical
    naming: Naming
    spelled: Spelled | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What a convention has no name for."""
        return self.spelled.findings if self.spelled else ()


def select(
    checkpoint: Checkpoint, canonical: Canonical, options: ConvertOptions
) -> TensorSelection:
    """Choose the tensors that the options ask for, and the names to write them under.

    Args:
        checkpoint: the source.
        canonical: all of its tensors, those included that it only records as tied.
        options: which to take.

    Raises:
        UsageError: no tensor is left, a pattern matches no name, or two tensors would have one.
        UnsupportedError: the encoder alone, or a convention, is asked for, and the names are of
            no known layout.
    """
    every = with_tied(checkpoint.tensors, checkpoint.metadata)
    # Unread ones too, so that --exclude can leave out what stops a conversion.
    names = [*every, *(name for name, _ in checkpoint.unread)]
    chosen = _chosen(names, options)
    named, own = apply({name: every[name] for name in every if name in chosen}, options.rules)
    seen = canonical
    if options.rules != Rules() and (options.encoder_only or options.layout):
        seen = canonicalize(named.tensors)  # the rules may have made them recognisable
    if options.encoder_only:
        aside = _beside_the_core(seen).intersection(named.tensors)
        chosen = _without(aside, named, chosen)
        named = named.without(aside)
    if not chosen:
        raise UsageError("no tensor is left to convert", fix="Check include and exclude.")
    tensors = {name: info for name, info in every.items() if name in chosen}
    spelled = None
    if options.layout is not None:
        convention = conventions()[options.layout]
        spelled = spell(named, _part_of(seen, named), options.layout, convention, own)
    return TensorSelection(
        tensors,
        tuple(name for name in names if name not in chosen),
        tuple(row for row in checkpoint.unread if row[0] in chosen),
        {
            name: kept
            for name, kept in tied_names(checkpoint.tensors, checkpoint.metadata).items()
            if name in chosen
        },
        # A part of the tensors may follow no layout any more, and then keeps its own names.
        canonical if len(tensors) == len(every) else canonicalize(tensors),
        spelled.naming if spelled else named,
        spelled,
    )


def _chosen(names: Sequence[str], options: ConvertOptions) -> frozenset[str]:
    asked = NameFilter(options.include, options.exclude)
    chosen = frozenset(name for name in names if asked.wants(name))
    asked.check("tensor")
    if not names:
        raise UsageError("there is no tensor in the checkpoint")
    if not chosen:
        raise UsageError("no tensor is left to convert", fix="Check include and exclude.")
    return chosen


def _without(aside: Collection[str], named: Naming, chosen: Collection[str]) -> frozenset[str]:
    """Return the names of the source without those of tensors that are left out."""
    gone = frozenset(named.origins(aside))
    stays = frozenset(named.origins(name for name in named.tensors if name not in aside))
    for name in gone & stays:
        raise UsageError(
            f"{printable(name)} is split into parts of the encoder and others",
            fix="Leave --encoder-only out.",
        )
    return frozenset(name for name in chosen if name not in gone)


def _part_of(canonical: Canonical, named: Naming) -> Canonical:
    """Return what is taken of the tensors that were recognised."""
    taken = named.tensors
    origins = {
        name: own for name, own in canonical.origins.items() if all(one in taken for one in own)
    }
    if sum(map(len, origins.values())) < len(taken):  # a part of what was joined
        return canonicalize(taken)
    tensors = {name: canonical.tensors[name] for name in origins}
    return canonical._replace(tensors=tensors, origins=origins)


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
