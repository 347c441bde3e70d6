"""Findings on the names that pickles use, and which of those the user trusts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Iterable, Sequence

from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.patterns import matches_glob
from ckpttool.findings.rules import Rule, Severity
from ckpttool.findings.text import count
from ckpttool.findings.uses import NameUse, Use
from ckpttool.formats.safety.known_names import python3
from ckpttool.formats.safety.torch_names import DEFAULT_NAMES

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import Reference

# Names in one finding, and characters of a name; a file may have thousands of each.
_SHOWN, _LONGEST = 10, 120
# How many names a fix suggests as --trust options, and the form of those that are safe to paste
# into a shell: a name comes from the file.
_MOST_TRUSTED, _TRUSTED = 4, re.compile(r"[A-Za-z_]\w*(?:\.[\w-]+)*\.(?:[\w-]+|\*)")

#: The rule for each use, the most severe first: findings come in this order.
RULES = {
    Use.ATTACK: rules.KNOWN_ATTACK,
    Use.CALL: rules.UNKNOWN_CALL,
    Use.CLASS: rules.NEEDED_CLASS,
    Use.NAMED: rules.UNCALLED_NAME,
}
# Uses that a user who knows the code may trust: a known attack is none.
_TRUSTABLE = frozenset({Use.CALL, Use.CLASS})


def is_trusted(use: NameUse, trust: Sequence[str]) -> bool:
    """Whether a pattern covers the use of a name; a known attack is never covered.

    A wildcard stands for what a package defines, not for what can be reached through it: a module
    that it imports, or a method of a class.
    """
    return use.use in _TRUSTABLE and any(
        use.name == pattern if use.walked else matches_glob(pattern, use.name) for pattern in trust
    )


def findings_on(uses: Iterable[NameUse], trust: Sequence[str] = ()) -> list[Finding]:
    """Return the findings on the names that pickles use, the most severe first."""
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


def findings_beyond_default(
    references: Iterable[Reference], uses: Iterable[NameUse]
) -> list[Finding]:
    """Return the note on names that are data, but that torch.load does not take by default.

    Args:
        references: every name that the pickles refer to.
        uses: uses of names that other findings report.
    """
    told = {use.name for use in uses}
    names = dict.fromkeys(str(python3(one.module, one.name)) for one in references)
    beyond = [name for name in names if name not in DEFAULT_NAMES and name not in told]
    if not beyond:
        return []
    listed = list(map(_clipped, beyond[:_SHOWN]))
    if len(beyond) > _SHOWN:
        listed.append(f"and {count(len(beyond) - _SHOWN, 'more name')}")
    message = (
        f"loading it needs names beyond the default allow-list of torch.load: {', '.join(listed)}"
    )
    return [finding(rules.BEYOND_DEFAULT, message)]


def findings_left_behind(uses: Iterable[NameUse]) -> list[Finding]:
    """Return the findings for a command that takes the weights and leaves the pickle behind.

    Unknown code is a warning there: the weights are taken out without it. A known attack stays an
    error, and names that are never called are left out.
    """
    return [
        one._replace(severity=Severity.WARNING, fix="") if one.rule in _LEAVABLE else one
        for one in findings_on(uses)
        if one.severity is not Severity.NOTE
    ]


def remarks_left_behind(remarks: Iterable[Finding]) -> list[Finding]:
    """Return remarks on a file whose weights alone are taken, without the advice to take them."""
    return [
        one._replace(fix="") if one.rule in (rules.WHOLE_MODULE, rules.PROGRAM) else one
        for one in remarks
    ]


def findings_before(error: CkpttoolError, trust: Sequence[str] = ()) -> tuple[Finding, ...]:
    """Return the findings on pickles that were read before an error."""
    # converting and trusting do not help with a file that cannot be read any further
    return tuple(
        one._replace(fix=_SAVE_ANEW) if one.rule in _LEAVABLE else one
        for one in findings_on(error.uses, trust)
    )


def _finding(rule: Rule, uses: Sequence[NameUse]) -> Finding:
    listed = [_TOLD[rule](use) for use in uses[:_SHOWN]]
    if len(uses) > _SHOWN:
        listed.append(f"and {count(len(uses) - _SHOWN, 'more name')}")
    return finding(rule, f"{_SAID[rule]}: {'; '.join(listed)}", fix=_fix(rule, uses))


# Rules on code that the weights do not need: convert leaves it behind.
_LEAVABLE = (rules.UNKNOWN_CALL, rules.NEEDED_CLASS)
_SAVE_ANEW = "Save the state dict alone, where the code is known, or ask the file's author for it."
_SAID = {
    rules.KNOWN_ATTACK: "loading it calls functions that are known from attacks",
    rules.UNKNOWN_CALL: "loading it calls code that ckpttool does not know",
    rules.NEEDED_CLASS: "loading it needs classes beyond the default allow-list of torch.load",
    rules.UNCALLED_NAME: "the pickle refers to names beyond the default allow-list of torch.load "
    "and never calls them",
    rules.TRUSTED_CODE: "loading it calls or needs code that is trusted",
}


def _call(use: NameUse) -> str:
    more = f", {use.times:,} such calls" if use.times > 1 else ""
    # a walk or an argument does it under another name than the call's text begins with
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
    convert = "Convert the weights with ckpttool convert --to safetensors, which calls nothing."
    trusting = _trusting([use.name for use in uses])
    return f"{convert} If you know the code: {trusting}." if trusting else convert


def _trusting(names: Sequence[str]) -> str | None:
    """Return the options that trust all of some names: each, or the packages of many."""
    if len(names) > _MOST_TRUSTED:
        names = [f"{top}.*" for top in dict.fromkeys(name.partition(".")[0] for name in names)]
    # no option at all rather than some of them: the command would fail again
    if len(names) > _MOST_TRUSTED or not all(map(_TRUSTED.fullmatch, names)):
        return None
    return " ".join(f"--trust '{name}'" for name in names)
