"""The findings of a file that is held against another checkpoint, one for all that is alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Callable, Iterable, Iterator, Sequence, TypeVar

from ckpttool.against.demands import Demand
from ckpttool.against.rows import State
from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.holes import missing_in_words
from ckpttool.findings.patterns import matches
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import count, meant, printable

if TYPE_CHECKING:
    from ckpttool.against.elements import Held
    from ckpttool.against.rows import Lone
    from ckpttool.against.summary import Outcome
    from ckpttool.findings.rules import Rule
    from ckpttool.verification.options import VerifyOptions

_Item = TypeVar("_Item")

_COMPARED = (State.SAME, State.CAST, State.CHANGED)


def findings_on(outcome: Outcome, options: VerifyOptions) -> Iterator[Finding]:
    """Yield what the outcome shows.

    Args:
        outcome: of one file.
        options: patterns of names that may be missing, and that may be there beside the others.
    """
    yield from _doubts(outcome)
    yield from _missing(outcome, options.expected_missing)
    yield from _structure(outcome)
    yield from _values(outcome)
    yield from _not_compared(outcome)
    yield from _extra(outcome, options.allow_unexpected)
    yield from _moved(outcome)


def called(outcome: Outcome) -> str:
    """Return what messages call the other checkpoint."""
    return Path(outcome.source.path).name or outcome.source.path


def on_itself(name: str) -> Finding:
    """Return the finding on a file that is held against itself."""
    return finding(rules.AGAINST_ITSELF, f"this is {name}: a file is the same as itself")


def on_trouble(name: str, reason: str) -> Finding:
    """Return the finding on another checkpoint of which nothing more can be said."""
    return finding(rules.AGAINST_UNREADABLE, f"of {name}, the other checkpoint: {reason}")


def _doubts(outcome: Outcome) -> Iterator[Finding]:
    if outcome.source.doubt is not None:
        yield on_trouble(called(outcome), outcome.source.doubt)


def _missing(outcome: Outcome, allowed: Sequence[str]) -> Iterator[Finding]:
    may, must = _parted(outcome.rows.missing, allowed)
    names = [one.name for one in must]
    if names:
        elements = outcome.parameters(names)
        words = missing_in_words(names, outcome.source.tensors)
        yield finding(
            rules.AGAINST_MISSING,
            f"{len(names):,} of {count(outcome.tensors, 'tensor')} of {called(outcome)} missing, "
            f"with {elements:,} of {outcome.parameters(outcome.source.tensors):,} parameters"
            + (f": {words}" if words else ""),
            tensors=names,
            fix=_where_it_is(outcome, must),
        )
    if may:
        yield finding(
            rules.AGAINST_ALLOWED,
            f"{count(len(may), 'tensor')} of {called(outcome)} missing, which is allowed",
            tensors=[one.name for one in may],
        )


def _where_it_is(outcome: Outcome, missing: Sequence[Lone]) -> str | None:
    """Say where the values of missing tensors are, where that is known of all of them."""
    names = [one.name for one in missing]
    first = printable(names[0])
    if all(name in outcome.tied for name in names):
        told = f"In {called(outcome)}, {first} is the tensor {printable(outcome.tied[names[0]])}"
        return f"{told}, which is there: if loading ties them, allow it: --allow-missing '{first}'."
    if all(name in outcome.moved for name in names):
        told = f"The values of {first} are there as {printable(outcome.moved[names[0]])}"
        return f"{told}: if that is the name that is loaded, give the names with --map."
    return None


def _structure(outcome: Outcome) -> Iterator[Finding]:
    for state, rule, message in (
        (State.SHAPE, rules.AGAINST_SHAPE, "another shape"),
        (State.DTYPE, rules.AGAINST_DTYPE, "another dtype"),
    ):
        those = [held for held in outcome.held if held.state is state]
        for (expected, found), alike in _alike(those, _sides(state)).items():
            has = "has" if len(alike) == 1 else "have"
            yield finding(
                rule,
                f"{count(len(alike), 'tensor')} {has} {message} than in {called(outcome)}",
                tensors=_names(alike),
                expected=expected,
                found=found,
                fix=_casting(alike) if state is State.DTYPE else None,
            )


def _sides(state: State) -> Callable[[Held], tuple[str, str]]:
    if state is State.SHAPE:
        return lambda held: (
            str(list(held.row.pair.left.shape)),
            str(list(held.row.pair.right.shape)),
        )
    return lambda held: (held.row.pair.left.dtype.name, held.row.pair.right.dtype.name)


def _casting(alike: Sequence[Held]) -> str | None:
    left, right = alike[0].row.pair.dtypes
    if left.kind == "float" and left.has_numbers and right.castable:
        return None
    return ""  # no cast is proven between these


def _values(outcome: Outcome) -> Iterator[Finding]:
    changed = [held for held in outcome.held if held.state is State.CHANGED]
    wrong = [held for held in changed if held.row.demand is Demand.SAME]
    cast = [held for held in wrong if _is_cast(held)]
    for (source, target), alike in _alike(cast, _sides(State.DTYPE)).items():
        are = "is" if len(alike) == 1 else "are"
        told = f"{called(outcome)}'s {source} cast to {target}"
        yield _worst(rules.AGAINST_CAST, f"{count(len(alike), 'tensor')} {are} not {told}", alike)
    apart = [held for held in wrong if not _is_cast(held)]
    if apart:
        verb = "differs" if len(apart) == 1 else "differ"
        told = f"{count(len(apart), 'tensor')} {verb} from {called(outcome)}'s"
        yield _worst(rules.AGAINST_CHANGED, told, apart)
    still = [
        held
        for held in outcome.held
        if held.row.demand is Demand.CHANGED and held.state in (State.SAME, State.CAST)
    ]
    if still:
        has = "has" if len(still) == 1 else "have"
        as_cast = ", cast" if all(held.state is State.CAST for held in still) else ""
        yield finding(
            rules.AGAINST_UNCHANGED,
            f"{count(len(still), 'tensor')} that must change {has} the values of "
            f"{called(outcome)}{as_cast}",
            tensors=_names(still),
        )
    yield from _allowed(outcome, changed)


def _worst(rule: Rule, message: str, those: Sequence[Held]) -> Finding:
    """Return a finding on tensors, with what is known of the one that differs the most."""
    worst = max(those, key=lambda held: -1.0 if held.by is None else held.by)
    where = "" if len(those) == 1 else f"{', '.join(worst.row.names)}: "
    found = f"{where}{worst.reason}" if worst.reason else None
    return finding(rule, message, tensors=_names(those), found=found)


def _allowed(outcome: Outcome, changed: Sequence[Held]) -> Iterator[Finding]:
    free = [held for held in changed if held.row.demand is Demand.NOTHING]
    asked = [held for held in changed if held.row.demand is Demand.CHANGED]
    for those, why in ((asked, "which was demanded"), (free, "which is not forbidden")):
        if those:
            verb = "differs" if len(those) == 1 else "differ"
            yield finding(
                rules.AGAINST_ALLOWED,
                f"{count(len(those), 'tensor')} {verb} from {called(outcome)}'s, {why}",
                tensors=_names(those),
            )
    exact = [held for held in outcome.held if held.state is State.CAST]
    for (source, target), alike in _alike(exact, _sides(State.DTYPE)).items():
        are = "is" if len(alike) == 1 else "are"
        yield finding(
            rules.AGAINST_ALLOWED,
            f"{count(len(alike), 'tensor')} {are} {called(outcome)}'s {source} cast to {target}, "
            "bit for bit, which is allowed",
            tensors=_names(alike),
        )


def _not_compared(outcome: Outcome) -> Iterator[Finding]:
    reasons: dict[str, list[str]] = {}
    for held in outcome.held:
        if held.state is State.UNTOLD:
            reasons.setdefault(held.reason or "", []).extend(held.row.names)
    for one in outcome.rows.unread:
        reasons.setdefault(f"of a kind that is not read: {one.reason}", []).append(one.name)
    for reason, names in reasons.items():
        yield finding(
            rules.AGAINST_NOT_COMPARED,
            f"{count(len(names), 'tensor')} cannot be compared with {called(outcome)}'s: {reason}",
            tensors=names,
        )
    if not outcome.held and not outcome.rows.unread:
        told = f"nothing of {called(outcome)} is in the file, so nothing was compared"
        if not outcome.source.tensors:
            told = f"there is no tensor in {called(outcome)}"
        yield finding(
            rules.AGAINST_NOT_COMPARED,
            told,
            fix="Name the checkpoint that the file is made of, and its state dict: "
            "--against-wrapper.",
        )
    compared = [held.row.every_name for held in outcome.held if held.state in _COMPARED]
    for pattern in outcome.demands.idle(compared):
        yield finding(
            rules.AGAINST_NOT_COMPARED,
            f"{pattern} matches no tensor whose values were compared, so it demands nothing",
            fix="Name tensors that both checkpoints have.",
        )


def _extra(outcome: Outcome, allowed: Sequence[str]) -> Iterator[Finding]:
    may, other = _parted(outcome.rows.extra, allowed)
    for those, rule, told in (
        (other, rules.AGAINST_EXTRA, ""),
        (may, rules.AGAINST_ALLOWED, ", which is allowed"),
    ):
        if those:
            are = "is" if len(those) == 1 else "are"
            yield finding(
                rule,
                f"{count(len(those), 'tensor')} {are} not in {called(outcome)}{told}",
                tensors=[one.name for one in those],
            )


def _moved(outcome: Outcome) -> Iterator[Finding]:
    those = [held for held in outcome.held if held.row.moved]
    if those:
        has = "has" if len(those) == 1 else "have"
        yield finding(
            rules.AGAINST_MOVED,
            f"{count(len(those), 'tensor')} {has} another prefix or wrapper in the name than in "
            f"{called(outcome)}",
            tensors=_names(those),
            expected=those[0].row.sources[0],
            found=those[0].row.names[0],
        )


def unknown_patterns(
    patterns: Iterable[str], names: Sequence[str], called_so: str
) -> Iterator[Finding]:
    """Warn of patterns of names that may be missing, and that the other checkpoint has not."""
    for pattern in patterns:
        if not any(matches(pattern, name) for name in names):
            yield finding(
                rules.EXPECTED_UNKNOWN,
                f"{pattern}, which may be missing, matches no tensor of {called_so}",
                severity=Severity.WARNING,
                fix=meant(pattern, sorted(names)),
            )


def _is_cast(held: Held) -> bool:
    left, right = held.row.pair.dtypes
    return left != right


def _names(those: Iterable[Held]) -> list[str]:
    return list(dict.fromkeys(name for held in those for name in held.row.names))


def _alike(
    those: Iterable[_Item], key: Callable[[_Item], tuple[str, str]]
) -> dict[tuple[str, str], list[_Item]]:
    found: dict[tuple[str, str], list[_Item]] = {}
    for one in those:
        found.setdefault(key(one), []).append(one)
    return found


def _parted(those: Iterable[Lone], patterns: Sequence[str]) -> tuple[list[Lone], list[Lone]]:
    """Return the tensors that a pattern stands for, by either name, and the others."""
    may: list[Lone] = []
    other: list[Lone] = []
    for one in those:
        chosen = any(matches(pattern, name) for pattern in patterns for name in one[:2])
        (may if chosen else other).append(one)
    return may, other
