"""What readers of the reports ask for beyond their schemas, and what could trick them."""

from __future__ import annotations

import html
import io
import json
import re
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from ckpttool.findings import rules
from ckpttool.findings.finding import Verdict, finding
from ckpttool.findings.inventory import Item, Standing
from ckpttool.findings.results import Diagnosis, FileReport, Report
from ckpttool.findings.rules import Severity
from ckpttool.reports.machine import concise, github, markdown, sarif
from tests.builders import reports as built
from tests.builders.reports import rendered

MACHINES = ("json", "junit", "sarif", "github", "gitlab", "markdown", "concise")


def text_of(name: str, *files: FileReport) -> str:
    return rendered(built.report(*files), name)


def run_of(*files: FileReport) -> Any:
    (run,) = json.loads(text_of("sarif", *files))["runs"]
    return run


@pytest.mark.parametrize("name", MACHINES)
def test_the_same_report_is_the_same_bytes(name: str) -> None:
    for report in built.SPECIMENS.values():
        assert rendered(report, name) == rendered(report, name)


@pytest.mark.parametrize("name", MACHINES)
def test_hostile_text_acts_nowhere(name: str) -> None:
    text = rendered(built.SPECIMENS["hostile run"], name)
    assert not set(text) & set("\x1b\u202e\r")
    commands = [line for line in text.splitlines() if line.lstrip().startswith(("::", "##["))]
    assert all(re.match(r"::(error|warning|notice) (file|title)=", line) for line in commands)
    assert (commands == []) is (name != "github")
    assert "::error::" not in text
    assert "##[" not in text


@pytest.mark.parametrize("name", ["json", "junit", "sarif", "gitlab", "markdown"])
def test_documents_are_ascii_whatever_the_terminal_takes(name: str) -> None:
    odd = built.encoder_only()._replace(path="h\u00f6he/\u5c42.pth")
    assert text_of(name, odd).isascii()


# --- one line a finding --------------------------------------------------------------------


def test_concise_is_a_line_a_finding() -> None:
    assert text_of("concise", built.incomplete()).splitlines() == [
        "data/mae_pretrain_vit_large.pth: blocks.7: STR001 error 1 encoder tensor missing",
        "data/mae_pretrain_vit_large.pth: norm.weight: STR005 error a",
        "data/mae_pretrain_vit_large.pth: norm.bias: STR005 error b",
        "data/mae_pretrain_vit_large.pth: cls_token: NUM001 error 3 numbers: NaN",
    ]


def test_concise_says_nothing_where_nothing_was_found() -> None:
    assert text_of("concise", built.encoder_only()._replace(findings=())) == ""


def test_concise_names_the_run_where_no_file_is_meant() -> None:
    report = Report((), (built.run_finding(),))
    assert rendered(report, "concise") == (
        "(run): CFG001 warning the waiver of NUM001 covers nothing\n"
    )


# --- GitHub's annotations ------------------------------------------------------------------


def test_annotations_stay_within_the_limit_and_say_what_is_left() -> None:
    lines = text_of("github", built.many(30)).splitlines()
    for command, word in (("error", "errors"), ("warning", "warnings"), ("notice", "notes")):
        assert sum(line.startswith(f"::{command} ") for line in lines) == github.LIMIT
        assert f"+20 more {word}, beyond the 10 annotations that GitHub shows of a step" in lines
    assert lines[-1] == "ckpttool: fail, 30 errors, 30 warnings, 30 notes"


def test_annotations_within_the_limit_leave_nothing_out() -> None:
    assert "+" not in text_of("github", built.many(10)).replace("1e+", "")


def test_annotations_escape_what_ends_a_property_or_a_line() -> None:
    found = finding(rules.NAN, "50% of a,b: c\r\nd", tensors=["x"])
    file = built.encoder_only()._replace(path="a,b:c%.pth", findings=(found,))
    first = text_of("github", file).splitlines()[0]
    assert first == (
        "::error file=a%2Cb%3Ac%25.pth,title=NUM001 nan::50%25 of a,b: c\\x0d\\x0ad%0Atensor: x%0A"
        f"fix: {rules.NAN.fix.replace('%', '%25')}"
    )


def test_annotations_stand_at_the_line_in_the_lock_file() -> None:
    lines = text_of("github", built.locked()).splitlines()
    assert lines[3].startswith("::error file=weights.lock,line=12,title=NUM001 nan::")
    assert "%0Afile: data/mae_pretrain_vit_large.pth%0A" in lines[3]


def test_waived_findings_are_counted_and_not_annotated() -> None:
    lines = text_of("github", built.waived()).splitlines()
    assert len(lines) == 2
    assert lines[-1] == "ckpttool: pass, 0 errors, 0 warnings, 1 note, 4 waived"


# --- SARIF ---------------------------------------------------------------------------------


@pytest.mark.parametrize("specimen", [name for name in built.SPECIMENS if name != "no file"])
def test_sarif_results_have_a_place_or_code_scanning_refuses_them_all(specimen: str) -> None:
    (run,) = json.loads(rendered(built.SPECIMENS[specimen], "sarif"))["runs"]
    for result in run["results"]:
        assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert result["locations"][0]["physicalLocation"]["region"]["startLine"] >= 1


def test_sarif_results_point_at_their_rules() -> None:
    run = run_of(built.incomplete(), built.encoder_only())
    described = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in described] == sorted(rule["id"] for rule in described)
    for result in run["results"]:
        assert described[result["ruleIndex"]]["id"] == result["ruleId"]


def test_sarif_rules_have_what_code_scanning_shows() -> None:
    (rule,) = run_of(built.encoder_only())["tool"]["driver"]["rules"]
    assert (rule["id"], rule["name"]) == ("STR002", "DecoderAbsent")
    assert rule["shortDescription"]["text"] == rules.DECODER_ABSENT.meaning
    assert rules.DECODER_ABSENT.fix in rule["help"]["text"]
    assert rules.DECODER_ABSENT.fix in rule["help"]["markdown"]
    assert rule["defaultConfiguration"] == {"level": "note"}
    assert len(rule["properties"]["tags"]) <= 20


def test_sarif_links_a_rule_to_its_page_where_the_project_has_a_home(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "helpUri" not in run_of(built.encoder_only())["tool"]["driver"]["rules"][0]
    monkeypatch.setattr(sarif, "HOMEPAGE", "https://example.org/ckpttool")
    driver = run_of(built.encoder_only())["tool"]["driver"]
    assert driver["informationUri"] == "https://example.org/ckpttool"
    page = driver["rules"][0]["helpUri"]
    assert page == "https://example.org/ckpttool/blob/main/docs/rules/STR002.md"


def test_sarif_lines_are_those_of_the_lock_file() -> None:
    places = [
        (
            result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
            result["locations"][0]["physicalLocation"]["region"]["startLine"],
        )
        for result in run_of(built.locked())["results"]
    ]
    assert places == [("weights.lock", line) for line in (1, 301, 300, 12)]


def test_sarif_has_a_place_a_tensor_and_first_one_with_a_line() -> None:
    names = [f"t{number}" for number in range(30)]
    found = finding(rules.NAN, "m", tensors=names)
    file = built.locked()._replace(findings=(found,), lock_lines={"t20": 7})
    (result,) = run_of(file)["results"]
    assert len(result["locations"]) == sarif.MOST_LOCATIONS
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 7
    assert result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "t20"


def test_sarif_addresses_are_relative_and_encoded() -> None:
    file = built.encoder_only()._replace(path="a b/c:d#?%.pth")
    (result,) = run_of(file)["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "a%20b/c%3Ad%23%3F%25.pth"


def test_sarif_fingerprints_are_what_code_scanning_looks_at() -> None:
    before = run_of(built.incomplete())["results"]
    shuffled = built.incomplete()
    after = run_of(shuffled._replace(findings=tuple(reversed(shuffled.findings[1:]))))["results"]
    for result in before:
        said = result["partialFingerprints"]
        assert said["primaryLocationLineHash"] == f"{said['ckpttool/v1']}:1"
        assert len(said["ckpttool/v1"]) == 32
    known = [result["partialFingerprints"]["primaryLocationLineHash"] for result in before]
    assert len(set(known)) == len(known)
    again = [result["partialFingerprints"]["primaryLocationLineHash"] for result in after]
    assert again == list(reversed(known[1:]))


def test_sarif_suppresses_what_is_waived_and_says_who() -> None:
    results = run_of(built.waived())["results"]
    assert [len(result.get("suppressions", [])) for result in results] == [0, 1, 1, 1, 1]
    assert results[1]["suppressions"] == [
        {
            "kind": "external",
            "status": "accepted",
            "justification": "the block is pruned",
            "properties": {"owner": "vision team", "expires": "2027-01-31"},
        }
    ]


def test_sarif_says_how_the_run_ended_and_what_was_not_checked() -> None:
    (invocation,) = run_of(built.encoder_only(), built.unreadable())["invocations"]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 2)
    (told,) = invocation["toolExecutionNotifications"]
    assert "not checked: where the file comes from" in told["message"]["text"]


def test_sarif_calls_a_run_that_failed_by_its_findings_a_success_of_the_tool() -> None:
    (invocation,) = run_of(built.incomplete())["invocations"]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (True, 1)


def test_sarif_keeps_the_worst_and_counts_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "MOST_RESULTS", 40)
    run = run_of(built.encoder_only(), built.many(30))
    levels = [result["level"] for result in run["results"]]
    assert levels == ["error"] * 30 + ["warning"] * 10
    told = run["invocations"][0]["toolExecutionNotifications"][-1]["message"]["text"]
    assert told == "51 results of least severity were left out"


def test_sarif_messages_hold_no_links_and_no_placeholders() -> None:
    found = finding(rules.NAN, "[click](http://x) {0} blocks.{0-3}.{a,b}")
    (result,) = run_of(built.encoder_only()._replace(findings=(found,)))["results"]
    first = result["message"]["text"].splitlines()[0]
    assert first == "[click] (http://x) { 0} blocks.{0-3}.{a,b}"


# --- GitLab --------------------------------------------------------------------------------


def test_gitlab_fingerprints_are_unique_and_waived_findings_are_not_there() -> None:
    report = Report((built.incomplete(), built.waived()._replace(path="b.pth")), ())
    issues = json.loads(rendered(report, "gitlab"))
    assert len(issues) == 5
    assert len({issue["fingerprint"] for issue in issues}) == 5
    assert {issue["severity"] for issue in issues} == {"critical", "info"}


def test_gitlab_has_a_file_for_what_concerns_the_run() -> None:
    issues = json.loads(rendered(built.SPECIMENS["the run itself"], "gitlab"))
    assert issues[-1]["check_name"] == "CFG001"
    assert issues[-1]["location"]["path"] == "data/mae_pretrain_vit_large.pth"


# --- JUnit ---------------------------------------------------------------------------------


def suites_of(report: Report) -> list[Any]:
    root = ET.fromstring(rendered(report, "junit"))  # noqa: S314 (our own output)
    return list(root)


def outcomes(suite: Any) -> dict[str, str]:
    """Name of a case to the element that says how it ended."""
    ends = ("failure", "error", "skipped")
    return {
        case.get("name"): next((child.tag for child in case if child.tag in ends), "passed")
        for case in suite.iter("testcase")
    }


def test_junit_has_a_case_a_family_and_one_for_what_was_not_checked() -> None:
    (suite,) = suites_of(built.report(built.incomplete()))
    assert [name[:3] for name in outcomes(suite)][:6] == ["FIL", "SEC", "INT", "STR", "NUM", "MOD"]
    ended = {name[:3]: end for name, end in outcomes(suite).items()}
    assert (ended["FIL"], ended["STR"], ended["NUM"]) == ("passed", "failure", "failure")
    assert outcomes(suite)["not checked: where the file comes from (--published)"] == "skipped"
    assert outcomes(suite)["not checked: stored checksums (there are none)"] == "skipped"


def test_junit_counts_what_it_holds() -> None:
    for suite in suites_of(built.SPECIMENS["several files"]):
        ended = list(outcomes(suite).values())
        assert suite.get("tests") == str(len(ended))
        for number, end in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert suite.get(number) == str(ended.count(end))


def test_junit_fails_by_the_severity_that_fails_the_file() -> None:
    ended = [
        outcomes(suites_of(Report((built.encoder_only()._replace(fail_on=fail_on),)))[0])
        for fail_on in (Severity.WARNING, Severity.NOTE)
    ]
    ends = [{name[:3]: end for name, end in cases.items()}["STR"] for cases in ended]
    assert ends == ["passed", "failure"]


def test_junit_passes_nothing_that_could_not_be_looked_at() -> None:
    (suite,) = suites_of(built.report(built.unreadable()))
    assert "passed" not in outcomes(suite).values()
    assert outcomes(suite)["FIL container"] == "error"


def test_junit_values_that_were_not_all_read_did_not_pass() -> None:
    values = built.encoder_only().values
    assert values is not None
    partly = built.encoder_only()._replace(values=values._replace(skipped=2))
    ended = {name[:3]: end for name, end in outcomes(suites_of(built.report(partly))[0]).items()}
    assert ended["NUM"] == "skipped"


def test_junit_says_fingerprint_and_waivers() -> None:
    (suite,) = suites_of(built.report(built.waived()._replace(fingerprint="ckpt1:00")))
    told = {one.get("name"): one.get("value") for one in suite.iter("property")}
    assert (told["fingerprint"], told["waived"]) == ("ckpt1:00", "4")
    assert "(waived: the block is pruned)" in "".join(suite.itertext())


def test_junit_lists_the_run_beside_the_files() -> None:
    *_, last = suites_of(built.SPECIMENS["the run itself"])
    assert last.get("name") == "(run)"
    assert list(outcomes(last).values()) == ["failure"]


# --- Markdown ------------------------------------------------------------------------------


TRICKS = [
    pytest.param("a|b", id="table cell"),
    pytest.param("`code`", id="code"),
    pytest.param("<img src=x onerror=alert(1)>", id="html"),
    pytest.param("</code></summary>", id="closing tags"),
    pytest.param("[x](javascript:alert(1))", id="link"),
    pytest.param("![x](http://evil/p.png)", id="picture"),
    pytest.param("**bold** _it_ ~~no~~ $x$", id="emphasis"),
    pytest.param("\n# Title\n- item", id="lines"),
    pytest.param("&lt;b&gt;", id="reference"),
]


@pytest.mark.parametrize("trick", TRICKS)
def test_markdown_in_a_name_is_text(trick: str) -> None:
    found = finding(rules.NAN, trick, tensors=[trick], expected=trick, found="y", fix=trick)
    text = text_of("markdown", built.encoder_only()._replace(path=trick, findings=(found,)))
    plain = re.sub(r"&#x?[0-9a-f]+;|</?code>|\*\*(error|not checked)\*\*|`NUM001`", "", text)
    assert not set(plain) & set("<>[]`*_~$&\\!@")
    assert all(line.count("|") in (0, 6) for line in plain.splitlines())
    starts = ("## ", "### ", "| ", "|-", "-  ", "  - ", "encoder: ")
    assert all(line.startswith(starts) for line in plain.splitlines() if line)


@pytest.mark.parametrize(
    "trick", ["@someone", "#123", ":tada:", "http://evil.example", "www.evil.example", "a@b.c"]
)
def test_markdown_leaves_nothing_that_github_makes_a_link_of(trick: str) -> None:
    found = finding(rules.NAN, f"see {trick} now")
    text = text_of("markdown", built.encoder_only()._replace(findings=(found,)))
    (line,) = [line for line in text.splitlines() if "NUM001" in line]
    message = line.partition("nan: ")[2]
    assert message.startswith("<code>")
    assert message.endswith("</code>")
    assert trick not in text


def test_markdown_begins_with_the_verdict_and_a_table() -> None:
    lines = rendered(built.SPECIMENS["several files"], "markdown").splitlines()
    assert lines[0] == "## &#x26a0; CANNOT TELL: 9 errors, 0 warnings, 1 note"
    assert [line.count("|") for line in lines[2:8]] == [6] * 6


def test_markdown_has_the_worst_first_and_facts_after_findings() -> None:
    text = text_of("markdown", built.encoder_only()._replace(path="good"), built.incomplete())
    sections = text.split("\n### ")
    assert "good" in sections[2]
    assert sections[1].index("`NUM001`") < sections[1].index("not checked")
    assert text.index("FAIL |") < text.index("PASS |")


def test_markdown_counts_no_tensors_of_a_model_whose_sizes_are_not_known() -> None:
    part = Diagnosis("part", None, "a part of a model, without its core")
    file = built.encoder_only()._replace(diagnosis=part)
    assert "294 of 294 tensors" in built.rendered(built.report(file), "markdown")
    assert "decoder: absent" in built.rendered(built.report(file), "markdown")
    guessed = file._replace(loading=None)
    assert "of 294 tensors" not in built.rendered(built.report(guessed), "markdown")


def test_a_quiet_run_tells_what_fails_it_as_a_whole() -> None:
    stream = io.StringIO()
    concise.write_failed(built.SPECIMENS["the run itself"], stream)
    line = "(run): CFG001 warning the waiver of NUM001 covers nothing\n"
    assert stream.getvalue() == line
    stream = io.StringIO()
    concise.write_failed(built.SPECIMENS["the run itself"]._replace(fail_on=Severity.ERROR), stream)
    assert stream.getvalue() == ""


def test_markdown_counts_the_files_not_looked_at_that_it_does_not_name() -> None:
    items = tuple(Item(f"r/{at}.bin", Standing.UNSEEN, "other") for at in range(60))
    text = rendered(Report((built.encoder_only(),), inventory=items), "markdown")
    assert text.count("- **not looked at**: ") == 50
    assert "\n- and 10 more\n" in text


def test_markdown_stays_below_its_limit_and_counts_what_is_cut() -> None:
    found = [finding(rules.NAN, "x" * 1900, tensors=[f"t{at}"]) for at in range(1000)]
    light = finding(rules.CONSTANT_VECTOR, "light")
    files = [
        built.encoder_only()._replace(path=f"{at}.pth", findings=(light, *found)) for at in range(3)
    ]
    text = text_of("markdown", *files)
    assert len(text) < markdown.MOST_BYTES
    assert "light" not in text.replace("lightest", "")
    shown = text.count("`NUM001`")
    cut = re.search(r"Left out for the size: ([0-9,]+) findings\*\*", text)
    assert cut is not None
    assert shown + int(cut.group(1).replace(",", "")) == 3003


def test_markdown_lists_as_many_files_as_fit_the_failing_ones_first() -> None:
    passing = built.encoder_only()._replace(unchecked=("&" * 500,))
    files = [passing._replace(path=f"{at}.pth") for at in range(2000)] + [built.incomplete()]
    text = text_of("markdown", *files)
    assert len(text) < markdown.MOST_BYTES
    assert "FAIL" in text.split("### ", 1)[0]
    listed = text.count("### ")
    assert f"Left out for the size: {2001 - listed:,} files and" in text


def test_markdown_says_all_where_it_fits() -> None:
    assert "Left out" not in text_of("markdown", built.many(30))


@pytest.mark.parametrize("name", ["text", "json", "junit", "sarif", "github", "markdown"])
def test_the_configuration_that_counted_stands_in_the_report(name: str) -> None:
    """GitLab's format and the one-line one have findings only, and no place for it."""
    text = html.unescape(rendered(built.report(built.locked()), name))
    assert "ckpttool.toml" in text
    assert "ab" * 32 in text
    assert "ckpttool.toml" not in rendered(built.report(built.encoder_only()), name)


def test_what_failed_is_a_line_each_and_nothing_of_what_passes() -> None:
    stream = io.StringIO()
    light = finding(rules.DECODER_ABSENT, "light")
    bad = built.incomplete()
    files = (built.encoder_only(), bad._replace(findings=(*bad.findings, light)))
    concise.write_failed(Report((*files, built.unreadable()), (built.run_finding(),)), stream)
    lines = stream.getvalue().splitlines()
    assert len(lines) == len(bad.findings) + 1
    assert all(" error " in line for line in lines)


def test_what_leaves_a_file_undecided_is_among_what_failed() -> None:
    stream = io.StringIO()
    unknown = finding(rules.NO_SCHEMA, "no schema")
    file = built.encoder_only()._replace(findings=(unknown,), verdict=Verdict.CANNOT_TELL)
    concise.write_failed(built.report(file), stream)
    assert "STR023 warning no schema" in stream.getvalue()
