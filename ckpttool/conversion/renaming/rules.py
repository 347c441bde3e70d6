"""The caller's own rules: prefixes to strip, renames, joins, splits and transposes.

Of several rules for one tensor the first counts. All of them are applied to the names as the file
has them, without the stripped prefixes.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Sequence, Tuple

from ckpttool.conversion.renaming.patterns import pattern_of, template_of
from ckpttool.conversion.renaming.rows import Naming, every_row, split
from ckpttool.findings.errors import UsageError
from ckpttool.findings.name_filter import tip
from ckpttool.findings.text import printable, some_of
from ckpttool.models.layouts.joining import join, why_apart
from ckpttool.models.layouts.renames import NUMBER
from ckpttool.tensors.rows import can_be_transposed, transposed

if TYPE_CHECKING:
    from typing import Mapping

    from ckpttool.conversion.renaming.patterns import Captures, Pattern, Template
    from ckpttool.tensors.catalogue import TensorInfo

_MISSING = 4  # names of missing parts that an error lists


class Kind(Enum):
    """What a rule does; the value is its word in a file of rules."""

    RENAME = "rename"
    JOIN = "join"
    SPLIT = "split"
    TRANSPOSE = "transpose"


class Rule(NamedTuple):
    """One rule: names of the file to names that are written, as they were spelled.

    A join has several ``before``, a split several ``after``; both in the order of the rows.
    """

    kind: Kind
    before: tuple[str, ...]
    after: tuple[str, ...]


class Rules(NamedTuple):
    """What the caller wants names to be; the prefixes are cut first, in their order."""

    prefixes: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()


class _Read(NamedTuple):
    rule: Rule
    patterns: tuple[Pattern, ...]
    templates: tuple[Template, ...]


# What a join puts together: the number of its rule, and what the wildcards stand for.
_Whole = Tuple[int, "Captures"]


class _Claim(NamedTuple):
    """A rule's claim on a tensor: as its ``part``, with what the wildcards stand for."""

    number: int
    rule: _Read
    part: int
    captures: Captures

    @property
    def whole(self) -> _Whole:
        """Of a join, the tensor that this one is a part of."""
        return self.number, self.captures


def check(rules: Rules) -> None:
    """Raise UsageError for rules that cannot be read, whatever the file."""
    for prefix in rules.prefixes:
        if not prefix:
            raise UsageError("the prefix to strip is empty", fix="Name one: --strip-prefix module.")
    for rule in rules.rules:
        _read(rule)


def apply(tensors: Mapping[str, TensorInfo], rules: Rules) -> tuple[Naming, frozenset[str]]:
    """Return the tensors under the names that the rules give them, and the names that they give.

    Tensors of which no rule speaks keep their names.

    Raises:
        UsageError: a prefix or a pattern that no name has, two tensors of one name, parts that
            are missing or do not fit together, a tensor that cannot be cut or transposed.
    """
    if rules == Rules():
        return Naming(dict(tensors), {}), frozenset()
    stripped = {name: _strip(name, rules.prefixes) for name in tensors}
    _require_used(rules.prefixes, tensors)
    read = [_read(rule) for rule in rules.rules]
    claims = {name: _claim(short, read) for name, short in stripped.items()}
    _require_matches(read, claims, stripped)
    joins = _joins(claims)
    _require_parts(joins, read)
    naming = Naming({}, {})
    without: set[str] = set()
    for name, info in tensors.items():
        claim = claims[name]
        if claim is None:
            naming.add(stripped[name], info, (every_row(info),))
            without.add(stripped[name])
        elif claim.rule.rule.kind is Kind.JOIN:
            if claim.part == 0:  # the whole stands where its first part did
                _add_joined(naming, claim, joins[claim.whole], tensors)
        else:
            _add(naming, claim, info)
    return naming, frozenset(name for name in naming.tensors if name not in without)


def _strip(name: str, prefixes: Sequence[str]) -> str:
    for prefix in prefixes:
        if name.startswith(prefix) and name != prefix:
            name = name[len(prefix) :]
    return name


def _require_used(prefixes: Sequence[str], names: Mapping[str, TensorInfo]) -> None:
    for place, prefix in enumerate(prefixes):
        if not any(_strip(name, prefixes[:place]).startswith(prefix) for name in names):
            raise UsageError(
                f"no name begins with {printable(prefix)} (strip_prefix)",
                fix=tip(f"{prefix}*", names),
            )


def _read(rule: Rule) -> _Read:
    what = rule.kind.value
    patterns = tuple(pattern_of(text, what) for text in rule.before)
    templates = tuple(template_of(text, what) for text in rule.after)
    kinds = {one.wildcards for one in (*(one.template for one in patterns), *templates)}
    if len(kinds) > 1:
        raise UsageError(
            "both sides of a rule need the same wildcards, as many * and as many {n}",
            found=f"{' '.join(rule.before)} and {' '.join(rule.after)}",
            fix="A * on the right is what the * on the left stood for: 'net.*=*'.",
        )
    return _Read(rule, patterns, templates)


def _claim(name: str, rules: Sequence[_Read]) -> _Claim | None:
    for number, rule in enumerate(rules):
        for part, pattern in enumerate(rule.patterns):
            captures = pattern.match(name)
            if captures is not None:
                return _Claim(number, rule, part, captures)
    return None


def _require_matches(
    rules: Sequence[_Read], claims: Mapping[str, _Claim | None], stripped: Mapping[str, str]
) -> None:
    """Refuse a rule that does nothing: it is a mistake that the result would not show."""
    used = {(one.number, one.part) for one in claims.values() if one}
    for number, rule in enumerate(rules):
        for part, pattern in enumerate(rule.patterns):
            if (number, part) in used:
                continue
            text = pattern.template.text
            if any(pattern.match(name) for name in stripped.values()):
                raise UsageError(
                    f"an earlier rule matches all names like {printable(text)}",
                    fix="Put the narrower rule first: the first rule that matches a tensor counts.",
                )
            raise UsageError(
                f"no tensor name matches {printable(text)} ({rule.rule.kind.value})",
                fix=tip(text.replace(NUMBER, "*"), stripped.values()),
            )


def _joins(claims: Mapping[str, _Claim | None]) -> dict[_Whole, dict[int, str]]:
    """Return the names of the parts of each joined tensor, by its rule and wildcards."""
    wholes: dict[_Whole, dict[int, str]] = {}
    for name, claim in claims.items():
        if claim is not None and claim.rule.rule.kind is Kind.JOIN:
            wholes.setdefault(claim.whole, {})[claim.part] = name
    return wholes


def _add_joined(
    naming: Naming, claim: _Claim, members: Mapping[int, str], tensors: Mapping[str, TensorInfo]
) -> None:
    name = claim.rule.templates[0].filled(claim.captures)
    parts = [tensors[members[part]] for part in sorted(members)]
    why = why_apart(parts)
    if why is not None:
        raise UsageError(f"{printable(name)} cannot be joined: {why}")
    naming.add(name, join(name, parts), tuple(map(every_row, parts)))


def _require_parts(joins: Mapping[_Whole, Mapping[int, str]], rules: Sequence[_Read]) -> None:
    for (number, captures), members in joins.items():
        rule = rules[number]
        missing = [
            printable(pattern.template.filled(captures))
            for part, pattern in enumerate(rule.patterns)
            if part not in members
        ]
        if missing:
            whole = printable(rule.templates[0].filled(captures))
            there = some_of([printable(name) for name in members.values()], _MISSING)
            raise UsageError(
                f"{whole} cannot be joined: there is no {some_of(missing, _MISSING)}",
                found=there,
            )


def _add(naming: Naming, claim: _Claim, info: TensorInfo) -> None:
    kind, names = claim.rule.rule.kind, [one.filled(claim.captures) for one in claim.rule.templates]
    if kind is Kind.SPLIT:
        for name, part, rows in split(info, (every_row(info),), names):
            naming.add(name, part, rows)
    elif kind is Kind.TRANSPOSE:
        if not can_be_transposed(info.shape, info.dtype):
            raise UsageError(
                f"{printable(info.name)} cannot be transposed: only a matrix can",
                found=f"{info.dtype.name} {list(info.shape)}",
            )
        whole = every_row(info)._replace(transposed=True)
        naming.add(names[0], transposed(info, names[0]), (whole,))
    else:
        naming.add(names[0], info, (every_row(info),))
