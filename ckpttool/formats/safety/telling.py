"""From what pickles use names for to findings, and to what of it is trusted."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Iterable, Sequence

from ckpttool import rules
from ckpttool.errors import CkpttoolError
from ckpttool.findings import Finding, finding
from ckpttool.rules import Rule, Severity
from ckpttool.text import count
from ckpttool.uses import NameUse, Use

# Names in one finding, and characters of a name; a file may have thousands of each.
_SHOWN, _LONGEST = 10, 120

#: The rule for each use, the gravest first.
RULES = {
    Use.ATTACK: rules.KNOWN_ATTACK,
    Use.CALL: rules.UNKNOWN_CALL,
    Use.CLASS: rules.NEEDED_CLASS,
    Use.NAMED: rules.UNCALLED_NAME,
}
# Uses that somebody who knows the code may trust.
_TRUSTABLE = frozenset({Use.CALL, Use.CLASS})


def is_trusted(use: NameUse, trust: Sequence[str]) -> bool:
    """Whether the name's use is covered by a pattern; one that is known from attacks never is."""
    return use.use in _TRUSTABLE and any(fnmatchcase(use.name, pattern) for pattern in trust)


def findings_on(uses: Iterable[NameUse], trust: Sequence[str] = ()) -> list[Finding]:
    """Return what is to be said of the names that pickles use, the gravest first."""
    told = list(uses)
    trusted = [use for use in told if is_trusted(use, trust)]
    found = []
    for kind, rule in RULES.items():
        ours = [use for use in told if use.use is kind and use not in trusted]
        if ours:
            found.append(_finding(rule, ours))
    if trusted:
        found.append(_finding(rules.TRUSTED_CODE, trusted))
    return found


def findings_left_behind(uses: Iterable[NameUse]) -> list[Finding]:
    """Return what is to be said where nothing of the pickle is called or passed on.

    Unknown code is a warning there: the weights are taken out without it. A file that is known
    from attacks stays refused, and names that are never called are not worth a word.
    """
    return [
        one._replace(severity=Severity.WARNING, fix=_LEFT_BEHIND) if one.rule in _LEAVABLE else one
        for one in findings_on(uses)
        if one.severity is not Severity.NOTE
    ]


def findings_before(error: CkpttoolError, trust: Sequence[str] = ()) -> tuple[Finding, ...]:
    """Return what pickles would have done that were read before an error.

    What to do about it is only what helps with a file that cannot be read any further.
    """
    return tuple(
        one._replace(fix=_SAVE_ANEW) if one.rule in _LEAVABLE else one
        for one in findings_on(error.uses, trust)
    )


def _finding(rule: Rule, uses: Sequence[NameUse]) -> Finding:
    listed = [_TOLD[rule](use) for use in uses[:_SHOWN]]
    if len(uses) > _SHOWN:
        listed.append(f"and {count(len(uses) - _SHOWN, 'more name')}")
    return finding(rule, f"{_SAID[rule]}: {'; '.join(listed)}", fix=_fix(rule, uses))


# Rules on code without which the weights can be had.
_LEAVABLE = (rules.UNKNOWN_CALL, rules.NEEDED_CLASS)
_LEFT_BEHIND = "Nothing of it is called here, and nothing of it is passed on."
_SAVE_ANEW = "Save the state dict alone, where the code is known, or ask the file's author for it."
_SAID = {
    rules.KNOWN_ATTACK: "loading it calls what attacks call",
    rules.UNKNOWN_CALL: "loading it calls code that cannot be judged by its name",
    rules.NEEDED_CLASS: "loading it needs classes beyond the default allow-list of torch.load",
    rules.UNCALLED_NAME: "the pickle refers to names beyond the default allow-list of torch.load "
    "and never calls them",
    rules.TRUSTED_CODE: "loading it calls or needs code that is trusted",
}


def _call(use: NameUse) -> str:
    more = f", {use.times:,} such calls" if use.times > 1 else ""
    named = "" if use.text.startswith(use.name[:_LONGEST]) else f"{_clipped(use.name)} by "
    return f"{named}{use.text} ({_place(use)}{more})"


def _name(use: NameUse) -> str:
    return f"{_clipped(use.name)} ({_place(use)})"


_TOLD = {
    rules.KNOWN_ATTACK: _call,
    rules.UNKNOWN_CALL: _call,
    rules.NEEDED_CLASS: _name,
    rules.UNCALLED_NAME: _name,
    rules.TRUSTED_CODE: _name,
}


def _place(use: NameUse) -> str:
    where = f"at byte {use.offset:,}"
    return where if use.member is None else f"in {use.member}, {where}"


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _fix(rule: Rule, uses: Sequence[NameUse]) -> str | None:
    if rule is not rules.UNKNOWN_CALL:
        return None
    return (
        "Convert the weights with ckpttool convert --to safetensors, which calls nothing. If you "
        f"know the code: --trust '{_clipped(uses[0].name)}'."
    )
