"""What counts of the findings, and what that makes of a run."""

from __future__ import annotations

from typing import Any

import pytest

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, Verdict, finding
from ckpttool.findings.inventory import Item, Standing
from ckpttool.findings.results import FileReport, ForwardSummary, Report
from ckpttool.findings.rules import Rule, Severity
from ckpttool.verification.policy import Policy, judge
from tests.builders.policies import TODAY, file_with, nan, unreadable, untrained, waiver


def judged(policy: Policy, *files: FileReport) -> Report:
    return judge(files, policy, TODAY)


@pytest.mark.parametrize(
    ("policy", "rule"),
    [
        pytest.param(Policy(), rules.NAN, id="every rule by default"),
        pytest.param(Policy(("NUM",)), rules.NAN, id="a family"),
        pytest.param(Policy(("MOD",), ("NUM001",)), rules.NAN, id="one rule more"),
        pytest.param(Policy(("NUM001",), (), ("NUM",)), rules.NAN, id="the longer one wins"),
        pytest.param(Policy(ignore=("MOD",)), rules.NAN, id="another family ignored"),
        pytest.param(Policy(("NUM",)), rules.UNKNOWN_CALL, id="one that stands, not selected"),
        pytest.param(Policy(ignore=("ALL",)), rules.KNOWN_ATTACK, id="one that stands, of all"),
        pytest.param(
            Policy(("SEC002",), (), ("SEC",)), rules.UNKNOWN_CALL, id="one that stands, by name"
        ),
    ],
)
def test_a_rule_counts(policy: Policy, rule: Rule) -> None:
    assert policy.counts(rule)


@pytest.mark.parametrize(
    ("policy", "rule"),
    [
        pytest.param(Policy(("MOD",)), rules.NAN, id="another family selected"),
        pytest.param(Policy(ignore=("NUM",)), rules.NAN, id="a family ignored"),
        pytest.param(Policy(("NUM",), (), ("NUM001",)), rules.NAN, id="the longer one wins"),
        pytest.param(Policy(("NUM",), (), ("NUM",)), rules.NAN, id="ignored of two equal ones"),
        pytest.param(Policy(ignore=("ALL",)), rules.NAN, id="everything ignored"),
        pytest.param(
            Policy(ignore=("SEC",)), rules.UNKNOWN_CALL, id="the family of one that stands"
        ),
        pytest.param(Policy(ignore=("SEC001",)), rules.KNOWN_ATTACK, id="one that stands ignored"),
    ],
)
def test_a_rule_does_not_count(policy: Policy, rule: Rule) -> None:
    assert not policy.counts(rule)


def test_lists_and_one_thing_alone_are_fine_in_a_policy() -> None:
    expected = Policy(("NUM", "MOD"), (), ("SEC005",), waivers=(waiver(),))
    given: Any = Policy(["NUM", "MOD"], [], "SEC005", waivers=waiver())  # type: ignore[arg-type]
    assert given.check() == expected


def test_a_waiver_without_a_place_is_known_by_its_number() -> None:
    given = Policy(waivers=(waiver(), waiver(place=""), waiver("MOD001", place=""))).check()
    assert [one.place for one in given.waivers] == [
        "waiver 1 of ckpttool.toml",
        "waiver 2 of the policy",
        "waiver 3 of the policy",
    ]


def test_what_does_not_count_is_gone_and_the_report_says_which_rules() -> None:
    report = judged(Policy(ignore=("NUM", "MOD001")), file_with(nan(), untrained()))
    (file,) = report.files
    assert (file.findings, report.exit_code) == ((), 0)
    assert file.unchecked[-1] == "rules that the policy leaves out (NUM, MOD001)"


def test_a_rule_that_stands_is_ignored_with_its_findings_told() -> None:
    call = finding(rules.UNKNOWN_CALL, "loading it calls m.f()")
    report = judged(Policy(("NUM",), (), ("SEC002",)), file_with(nan(), call))
    (file,) = report.files
    assert [one.rule for one in file.findings] == [rules.NAN]
    assert "SEC002, which the policy ignores: loading it calls m.f()" in file.unchecked


@pytest.mark.parametrize(
    ("fail_on", "exit_code"), [(Severity.ERROR, 0), (Severity.WARNING, 0), (Severity.NOTE, 1)]
)
def test_a_note_fails_a_run_only_where_that_is_asked_for(fail_on: Severity, exit_code: int) -> None:
    note = untrained()._replace(severity=Severity.NOTE)
    report = judged(Policy(fail_on=fail_on), file_with(note))
    assert (report.exit_code, report.fail_on) == (exit_code, fail_on)


def test_a_waived_error_does_not_fail_a_run_and_stays_in_the_report() -> None:
    report = judged(Policy(waivers=(waiver(),)), file_with(nan()))
    (file,) = report.files
    assert (report.verdict, file.findings) == (Verdict.PASS, ())
    assert [one.finding.rule for one in file.waived] == [rules.NAN]


def test_an_unused_waiver_fails_a_run_that_fails_on_warnings() -> None:
    policy = Policy(fail_on=Severity.WARNING, waivers=(waiver(),))
    report = judged(policy, file_with())
    assert [file.verdict for file in report.files] == [Verdict.PASS]
    assert (report.verdict, report.of_run[0].rule) == (Verdict.FAIL, rules.WAIVER_UNUSED)


def test_findings_on_waivers_can_be_ignored_as_any_other() -> None:
    assert judged(Policy(ignore=("CFG",), waivers=(waiver(),)), file_with()).of_run == ()


def test_a_waiver_for_a_rule_that_is_left_out_is_not_called_unused() -> None:
    assert judged(Policy(ignore=("NUM",), waivers=(waiver(),)), file_with()).of_run == ()


FORWARD_RUN, FORWARD_NOT_RUN = ForwardSummary("run"), ForwardSummary("not-run", "--no-forward")


@pytest.mark.parametrize(
    ("code", "facts", "told"),
    [
        ("MOD006", {"forward": FORWARD_NOT_RUN}, []),
        ("MOD006", {"forward": FORWARD_RUN}, [rules.WAIVER_UNUSED]),
        ("DIF001", {"forward": FORWARD_RUN}, []),
        ("DIF001", {"lock": "weights.lock"}, [rules.WAIVER_UNUSED]),
        ("DIF005", {"lock": "weights.lock", "forward": FORWARD_NOT_RUN}, []),
        ("DIF005", {"lock": "weights.lock", "forward": FORWARD_RUN}, [rules.WAIVER_UNUSED]),
    ],
)
def test_a_waiver_is_unused_only_where_the_run_looked_for_what_it_covers(
    code: str, facts: dict[str, Any], told: list[rules.Rule]
) -> None:
    report = judged(Policy(waivers=(waiver(code),)), file_with()._replace(**facts))
    assert [found.rule for found in report.of_run] == told


def test_a_waiver_is_unused_if_one_file_of_several_was_looked_at_for_it() -> None:
    files = (file_with(), file_with()._replace(forward=FORWARD_RUN))
    report = judged(Policy(waivers=(waiver("MOD006"),)), *files)
    assert [found.rule for found in report.of_run] == [rules.WAIVER_UNUSED]


def test_a_file_that_could_not_be_read_is_neither_waived_nor_ignored() -> None:
    policy = Policy(ignore=("ALL",), waivers=(waiver("FIL001"),))
    report = judged(policy, unreadable())
    assert report.files == (unreadable(),)
    assert report.verdict is Verdict.CANNOT_TELL


def test_files_keep_their_order_around_one_that_could_not_be_read() -> None:
    files = (file_with(path="a"), unreadable("b"), file_with(path="c"))
    assert [file.path for file in judged(Policy(), *files).files] == ["a", "b", "c"]


# --- one cause, one finding --------------------------------------------------------------


def consequence() -> Finding:
    """An error that follows from NaN."""
    return finding(rules.FORWARD_NOT_FINITE, "NaN in features", follows=("NUM001",))


@pytest.mark.parametrize(
    ("policy", "codes"),
    [
        pytest.param(Policy(), ["NUM001"], id="told by its cause"),
        pytest.param(Policy(ignore=("NUM001",)), ["MOD005"], id="the cause does not count"),
        pytest.param(Policy(waivers=(waiver(),)), ["MOD005"], id="the cause is waived"),
        pytest.param(Policy(waivers=(waiver("MOD005"),)), ["NUM001"], id="it is waived itself"),
    ],
)
def test_what_follows_from_a_finding_is_not_told_beside_it(
    policy: Policy, codes: list[str]
) -> None:
    report = judged(policy, file_with(nan(), consequence()))
    (file,) = report.files
    assert [one.rule.code for one in file.findings] == codes
    assert (report.exit_code, report.of_run) == (1, ())


def test_a_note_hides_no_error_that_follows_from_it() -> None:
    note = nan()._replace(severity=Severity.NOTE)
    (file,) = judged(Policy(), file_with(note, consequence())).files
    assert [one.rule.code for one in file.findings] == ["NUM001", "MOD005"]


# --- several policies in one run --------------------------------------------------------------


def test_each_file_is_judged_by_its_own_policy() -> None:
    strict, lax = Policy(fail_on=Severity.WARNING), Policy(ignore=("NUM",))
    files = [file_with(nan(), path="a.pth"), file_with(nan(), path="b.pth"), unreadable()]
    report = judge(files, [strict, lax, lax], TODAY)
    assert [file.verdict for file in report.files] == [
        Verdict.FAIL,
        Verdict.PASS,
        Verdict.CANNOT_TELL,
    ]
    assert [file.fail_on for file in report.files] == [
        Severity.WARNING,
        Severity.ERROR,
        Severity.ERROR,
    ]
    assert report.fail_on is Severity.WARNING


def test_a_run_without_a_checkpoint_is_judged_by_what_holds_there() -> None:
    strict, item = Policy(fail_on=Severity.WARNING), Item("a", Standing.UNSEEN, "a GGUF file")
    left = finding(rules.NOT_LOOKED_AT, "a was not looked at", severity=Severity.WARNING)
    verdicts = [
        judge([], [], TODAY, [left], [item], policies).verdict for policies in ((), (strict,))
    ]
    assert verdicts == [Verdict.PASS, Verdict.FAIL]


def test_a_waiver_is_held_against_the_files_of_its_own_configuration() -> None:
    with_waiver = Policy(waivers=(waiver(),))
    files = [file_with(nan(), path="a.pth"), file_with(path="b.pth")]
    assert judge(files, [with_waiver, Policy()], TODAY).files[0].findings == ()
    swapped = judge(files, [Policy(), with_waiver], TODAY)
    assert [one.rule for one in swapped.files[0].findings] == [rules.NAN]
    assert [one.rule for one in swapped.of_run] == [rules.WAIVER_UNUSED]
