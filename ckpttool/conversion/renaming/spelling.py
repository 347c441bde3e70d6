"""Writing a model's tensors in another naming convention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, NamedTuple

from ckpttool.conversion.renaming.rows import Naming, merged, split
from ckpttool.findings import rules
from ckpttool.findings.errors import UnsupportedError
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.text import count, printable, some_of
from ckpttool.models.layouts.renames import NUMBER, generalise

if TYPE_CHECKING:
    from typing import Collection, Mapping

    from ckpttool.conversion.result import Rows
    from ckpttool.models.canonical import Canonical
    from ckpttool.models.layouts.conventions import Convention

_SHOWN = 4  # names or problems in a message


class Spelled(NamedTuple):
    """The tensors in another convention.

    Attributes:
        convention: the convention.
        naming: names and rows.
        canonical: canonical name -> the rows that the tensor is made of, of all that were spelled
            so: what reading the result back has to give.
        source: the tensors under canonical names, of the same.
        findings: what has no name there.
    """

    convention: Convention
    naming: Naming
    canonical: dict[str, tuple[Rows, ...]]
    source: Canonical
    findings: tuple[Finding, ...]


def spell(
    named: Naming, canonical: Canonical, asked: str, convention: Convention, own: Collection[str]
) -> Spelled:
    """Return the tensors in a convention.

    Args:
        named: the tensors, after the caller's own rules.
        canonical: the same under canonical names.
        asked: what the caller calls the convention.
        convention: how it is written.
        own: names that a rule of the caller gave; where the convention has none, they stay.

    Raises:
        UnsupportedError: the names follow no known convention.
        UsageError: two tensors would have one name, or one cannot be split.
    """
    if canonical.family is None:
        raise UnsupportedError(
            f"the names follow no known layout, so they cannot be written as {asked}",
            rules.UNCLEAR_NAMES,
            fix="Give the tensors names of a known layout with --strip-prefix and --rename, or "
            "leave --layout out.",
        )
    unclaimed = frozenset(canonical.unclaimed)
    spelled = Spelled(convention, Naming({}, {}), {}, canonical._replace(tensors={}), ())
    family = canonical.family
    with_blocks = set(family.stacks.values())
    heads = {name for name in canonical.tensors if family.group_of(name) not in with_blocks}
    dropped: dict[str, list[str]] = {}
    kept: list[str] = []
    nameless: list[str] = []
    for name, info in canonical.tensors.items():
        origins = canonical.origins[name]
        rows = merged(one for origin in origins for one in named.made_of(origin))
        others = None
        if name in heads or name not in unclaimed:
            others = convention.layout.names_of(name)
        if others:
            for other, part, its in split(info, rows, others):
                spelled.naming.add(other, part, its)
            spelled.canonical[name] = rows
            spelled.source.tensors[name] = info
        elif others is not None:
            dropped.setdefault(canonical.family.group_of(name), []).extend(named.origins(origins))
        elif len(origins) == 1 and origins[0] in own:
            spelled.naming.add(origins[0], info, rows)
        else:
            # a head has a name of its own in other conventions, and here the canonical one
            stays = convention.keeps_others and (name in unclaimed or name in heads)
            (kept if stays else nameless).extend(named.origins(origins))
            spelled.naming.add(name, info, rows)
    findings = (
        *_dropped(dropped, asked),
        *_nameless(nameless, asked, canonical),
        *_kept(kept, asked),
    )
    return spelled._replace(findings=findings)


def _dropped(groups: Mapping[str, list[str]], asked: str) -> Iterator[Finding]:
    for group, names in groups.items():
        yield finding(
            rules.NO_NAME,
            f"{asked} has no {group}, and so no name for {count(len(names), 'tensor')}",
            tensors=names,
            fix="Leave them out with --encoder-only.",
        )


def _nameless(names: list[str], asked: str, canonical: Canonical) -> Iterator[Finding]:
    if names:
        why = some_of([printable(problem) for problem in canonical.problems], _SHOWN)
        yield finding(
            rules.NO_NAME,
            f"{asked} has no name for {count(len(names), 'tensor')}{why and f' ({why})'}",
            tensors=names,
            fix="Leave them out with --exclude, or say with --rename what they are to be called "
            "('head.*=head.*' keeps such names).",
        )


def _kept(names: list[str], asked: str) -> Iterator[Finding]:
    if names:
        yield finding(
            rules.NAME_KEPT,
            f"{count(len(names), 'tensor')} that {asked} does not know "
            f"{'keeps its name' if len(names) == 1 else 'keep their names'}",
            tensors=names,
        )


def read_back(convention: Convention, naming: Naming) -> dict[str, tuple[Rows, ...]]:
    """Return canonical name -> rows of the source, as a reader of the convention finds them.

    By the table's way back, which is another than the one by which names were written.
    """
    parts: dict[str, dict[int, str]] = {}
    for name in naming.tensors:
        pattern, number = generalise(name)
        claim = convention.layout.claims.get(pattern)
        if claim is not None:
            whole = claim.canonical.replace(NUMBER, number)
            parts.setdefault(whole, {})[claim.part] = name
    return {
        whole: merged(one for part in sorted(members) for one in naming.made_of(members[part]))
        for whole, members in parts.items()
    }
