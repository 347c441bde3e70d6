"""The policy of a release: which rules count, from which severity on, and what is waived.

Checks report all that they find; the policy is applied afterwards, here.
"""

from __future__ import annotations

from collections import abc
from datetime import date
from typing import Iterable, NamedTuple, Sequence, Union

from ckpttool.findings.arguments import check_flags, check_type, texts_of
from ckpttool.findings.errors import UsageError
from ckpttool.findings.finding import Finding, causes_only, verdict_of
from ckpttool.findings.inventory import Item
from ckpttool.findings.results import Diagnosis, FileReport, Report
from ckpttool.findings.rules import RULE_FAMILIES, RULES, Rule, Severity
from ckpttool.findings.text import meant
from ckpttool.verification.waivers import Settled, Waiver, check_waiver, findings_on, settle

#: Kinds of a diagnosis that say of a file that it is not the model, or not known: whatever fails
#: there, what is in the file comes first.
NOT_THE_MODEL = ("unknown", "part", "other")

#: Selects every rule, in lists of prefixes of codes.
ALL = "ALL"


class Policy(NamedTuple):
    """What a release may have.

    Functions that take a policy check it first, and take lists and a single code for tuples.

    Attributes:
        select: prefixes of the codes that count (``NUM``, ``MOD003``), or ``ALL``.
        extend_select: more of them.
        ignore: prefixes of codes that do not. The longer prefix wins, ``ignore`` of two equal
            ones. A rule that stands counts unless ``ignore`` has a prefix of its code.
        fail_on: the severity from which on a finding fails a file.
        waivers: findings that are accepted, with a reason.
        vouches: whether ``ignore`` may leave out rules that stand.
    """

    select: tuple[str, ...] = (ALL,)
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: Severity = Severity.ERROR
    waivers: tuple[Waiver, ...] = ()
    vouches: bool = True

    def counts(self, rule: Rule) -> bool:
        """Whether findings of the rule are reported."""
        chosen = _longest(rule.code, (*self.select, *self.extend_select))
        ignored = _longest(rule.code, self.ignore)
        # Calls of unknown code count even where other rules are selected, and under ignore = ALL:
        # only a prefix of their own codes leaves them out.
        return chosen > ignored or (rule.stands and (ignored <= 0 or not self.vouches))

    def check(self) -> Policy:
        """Check the values and return the policy with tuples: lists and a code alone are fine.

        Raises:
            UsageError: a code is no prefix of a rule's, or a value has the wrong type.
        """
        check_type(self.fail_on, Severity, "fail_on")
        check_flags({"vouches": self.vouches})
        given = (self.waivers,) if isinstance(self.waivers, Waiver) else self.waivers
        check_type(given, abc.Iterable, "waivers")
        return self._replace(
            select=codes_of(self.select, "select"),
            extend_select=codes_of(self.extend_select, "extend_select"),
            ignore=codes_of(self.ignore, "ignore"),
            waivers=tuple(check_waiver(one, number) for number, one in enumerate(given, 1)),
        )

    def without_code(self) -> Policy:
        """Return the policy without what hides calls of unknown code.

        For a configuration that came with the files: it must not vouch for its own pickle.
        """
        waivers = tuple(one for one in self.waivers if not RULES[one.code].stands)
        return self._replace(waivers=waivers, vouches=False)

    @property
    def hides_calls(self) -> bool:
        """Whether it hides calls of unknown code."""
        return self.without_code().waivers != self.waivers or not all(
            self.counts(rule) for rule in RULES.values() if rule.stands
        )


def codes_of(codes: Union[str, Iterable[str]], what: str) -> tuple[str, ...]:
    """Return one prefix of rule codes or several as a tuple.

    Raises:
        UsageError: no code begins with one; the message names it and a code that may be meant.
    """
    found = texts_of(codes, what)
    for code in found:
        if code != ALL and not (code and any(known.startswith(code) for known in RULES)):
            raise UsageError(
                f"{what} is wrong",
                expected="codes of rules, or what they begin with",
                found=repr(code),
                fix=meant(code, RULES) or "`ckpttool rules` lists them.",
            )
    return found


def _longest(code: str, prefixes: Sequence[str]) -> int:
    """Return the length of the longest prefix of the code, 0 for ``ALL``, -1 for none."""
    lengths = [len(one) for one in prefixes if code.startswith(one)]
    return max(lengths, default=0 if ALL in prefixes else -1)


def judge(
    files: Sequence[FileReport],
    policy: Union[Policy, Sequence[Policy]],
    today: date,
    findings: Sequence[Finding] = (),
    inventory: Sequence[Item] = (),
    of_run: Sequence[Policy] = (),
) -> Report:
    """Return the report on a run: what counts of each file's findings, and the verdicts.

    Args:
        files: as :func:`ckpttool.verification.run.verify_file` gives them.
        policy: what a release may have; one for all, or one per file.
        today: the day to hold against the waivers' last days.
        findings: on the run as a whole.
        inventory: what became of every file of the run.
        of_run: policies of the folders, and of files that are no checkpoints.
    """
    policies = [policy] * len(files) if isinstance(policy, Policy) else list(policy)
    # by policy, since a waiver is unused only if no file of the policy needs it
    alike: dict[Policy, list[int]] = {}
    for number, own in enumerate(policies):
        alike.setdefault(own, []).append(number)
    judged = list(files)
    on_waivers: list[Finding] = []
    for own, numbers in alike.items():
        reports, told = _judge_alike([files[number] for number in numbers], own, today)
        on_waivers += told
        for number, report in zip(numbers, reports):
            judged[number] = report._replace(fail_on=own.fail_on)
    # a finding on the run as a whole counts if any of its policies says so
    every = list(dict.fromkeys((*alike, *of_run))) or [Policy()]
    lightest = min((own.fail_on for own in every), key=lambda one: one.weight)
    on_run = [one for one in findings if any(own.counts(one.rule) for own in every)]
    return Report(tuple(judged), (*on_run, *on_waivers), lightest, inventory=tuple(inventory))


def _judge_alike(
    files: Sequence[FileReport], policy: Policy, today: date
) -> tuple[list[FileReport], list[Finding]]:
    """Return the files under one policy, and findings on its waivers."""
    # A file that could not be read to its end keeps its error and its verdict, whatever the
    # policy says: nothing else is known of it.
    readable = [_chosen(file, policy) for file in files if not file.stopped]
    settled = [settle(file, policy.waivers, today) for file in readable]
    judged = iter([_judged(file, found, policy) for file, found in zip(readable, settled)])
    # a waiver for a rule that is left out covers nothing in this run, but is not unused
    counting = [one for one in policy.waivers if policy.counts(RULES[one.code])]
    stopped = [file for file in files if file.stopped]
    on_waivers = findings_on(counting, readable, settled, today, stopped)
    return (
        [file if file.stopped else next(judged) for file in files],
        [found for found in on_waivers if policy.counts(found.rule)],
    )


def _chosen(file: FileReport, policy: Policy) -> FileReport:
    left_out = [rule for rule in RULES.values() if not policy.counts(rule)]
    if not left_out:
        return file
    # calls of unknown code are reported even so: they decide whether to load the file
    ignored = [
        f"{found.rule.code}, which the policy ignores: {found.message}"
        for found in file.findings
        if found.rule.stands and not policy.counts(found.rule)
    ]
    return file._replace(
        findings=tuple(found for found in file.findings if policy.counts(found.rule)),
        unchecked=(
            *file.unchecked,
            *ignored,
            f"rules that the policy leaves out ({_shown(left_out)})",
        ),
    )


def _shown(left_out: Sequence[Rule]) -> str:
    """Return the codes in order, whole families by their letters alone."""
    shown: list[str] = []
    for letters in RULE_FAMILIES:
        family = [rule.code for rule in RULES.values() if rule.letters == letters]
        ours = [rule.code for rule in left_out if rule.letters == letters]
        shown += [letters] if ours == family else ours
    return ", ".join(shown)


def _judged(file: FileReport, settled: Settled, policy: Policy) -> FileReport:
    findings = causes_only(settled.open)  # after waiving, or a waived cause would hide others
    return file._replace(
        verdict=verdict_of(settled.open, policy.fail_on),
        findings=findings,
        diagnosis=_with_next(file.diagnosis, findings, policy.fail_on),
        waived=tuple(
            one._replace(finding=one.finding._replace(follows=())) for one in settled.waived
        ),
    )


def _with_next(
    diagnosis: Diagnosis | None, findings: Sequence[Finding], fail_on: Severity
) -> Diagnosis | None:
    """Lead from a file that fails to its most severe finding; all else is for one that passes."""
    failing = [one for one in findings if one.severity.weight >= fail_on.weight]
    if diagnosis is None or not failing or diagnosis.kind in NOT_THE_MODEL:
        return diagnosis
    return diagnosis._replace(next=f"ckpttool explain {failing[0].rule.code}")
