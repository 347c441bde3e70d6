"""What holds for every page: one file, a strict policy, text that stays text, order, size."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

import pytest

from ckpttool.findings import rules
from ckpttool.findings.finding import Verdict, finding
from ckpttool.findings.results import FileReport, Report
from ckpttool.reports.html.room import MOST_BYTES, SHARES
from tests.builders import reports as built
from tests.builders.pages import Element, page_of, parsed
from tests.builders.reports import rendered

#: Names that would act if they were markup, a template, or not Unicode.
HOSTILE_NAMES = (
    "<script>alert(1)</script>",
    '"onload="alert(1)',
    "'><img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "</style></title><!--",
    "\u202egnp.exe",
    "half \ud800 of a pair",
    "&lt;b&gt;",
    "javascript:alert(1)",
)

every_specimen = pytest.mark.parametrize("name", built.SPECIMENS)


def specimen(name: str) -> Element:
    return page_of(built.SPECIMENS[name])


def hostile(name: str) -> Any:
    found = finding(rules.UNEXPECTED, name, tensors=[name, "b"], expected=name, found=name)
    file = built.encoder_only()._replace(
        path=name, wrapper=name, findings=(found,), unchecked=(name,)
    )
    return built.report(file)


@every_specimen
def test_a_page_is_well_formed_and_ascii(name: str) -> None:
    assert rendered(built.SPECIMENS[name], "html").isascii()
    assert specimen(name).all("main") != []


@every_specimen
def test_identifiers_are_there_once_and_links_lead_to_them(name: str) -> None:
    page = specimen(name)
    known = [one.attributes["id"] for one in page if "id" in one.attributes]
    assert len(known) == len(set(known))
    named = {one.attributes["href"] for one in page.all("a")}
    named |= {
        f"#{one.attributes['aria-labelledby']}"
        for one in page
        if "aria-labelledby" in one.attributes
    }
    assert named - {f"#{one}" for one in known} == set()


@every_specimen
def test_headings_skip_no_level(name: str) -> None:
    levels = [int(one.tag[1]) for one in specimen(name) if re.fullmatch("h[1-6]", one.tag)]
    levels = levels[:-1]  # the last is that of the dialog
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:]))


# --- alone and safe ------------------------------------------------------------------------


def test_the_policy_names_the_style_sheet_and_the_script_by_their_digests() -> None:
    page = specimen("fails")
    policy = page.one("meta", http_equiv="Content-Security-Policy").attributes["content"]
    assert policy is not None
    for kind, tag in (("style-src", "style"), ("script-src", "script")):
        (content,) = page.one(tag).children
        assert isinstance(content, str)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "img-src data:;" in policy
    assert "unsafe" not in policy


@every_specimen
def test_nothing_stands_in_a_page_that_the_policy_forbids(name: str) -> None:
    for one in specimen(name):
        assert not [key for key in one.attributes if key.startswith("on") or key == "style"]
        for key in ("href", "src", "action", "srcset", "data", "formaction"):
            assert (one.attributes.get(key) or "#").startswith(("#", "data:"))
    assert "http" not in rendered(built.SPECIMENS[name], "html").replace("http-equiv", "")


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_stays_text(name: str) -> None:
    plain, odd = page_of(hostile("a")), page_of(hostile(name))
    assert [one.tag for one in odd] == [one.tag for one in plain]
    known = [sorted(one.attributes) for one in plain]
    assert [sorted(one.attributes) for one in odd] == known
    shown = name.encode("unicode_escape").decode() if not name.isascii() else name
    assert shown in odd.one("h1").text
    assert not set(odd.text) & set("\x1b\u202e\ud800")


@every_specimen
def test_the_same_report_is_the_same_page(name: str) -> None:
    assert rendered(built.SPECIMENS[name], "html") == rendered(built.SPECIMENS[name], "html")


# --- the order, and what is not there ------------------------------------------------------


def titles(page: Element) -> list[str]:
    return [one.text for one in page.one("main").all("h2")]


def test_the_verdict_comes_before_everything_else() -> None:
    for name, word in (("passes", "PASS"), ("fails", "FAIL"), ("cannot be told", "CANNOT TELL")):
        badge = specimen(name).one("header").one("span", class_="badge")
        assert badge.text.endswith(word)


def test_what_was_not_checked_stands_beside_the_verdict() -> None:
    assert "--published" in specimen("passes").one("header").one("p", class_="unchecked").text
    assert specimen("cannot be told").one("header").all("p", class_="unchecked") == []


def test_the_list_of_sections_leads_to_all_of_them() -> None:
    page = specimen("passes")
    assert [one.text for one in page.one("nav").all("a")] == titles(page)


def test_several_files_have_a_table_with_their_verdicts() -> None:
    page = specimen("several files")
    rows = page.one("section", id="files").one("tbody").all("tr")
    # the worst first
    assert [row.one("span").text for row in rows] == ["✗ FAIL", "✗ FAIL", "? CANNOT TELL", "✓ PASS"]
    assert len(page.all("article")) == 4
    assert specimen("passes").all("article") == []


def test_files_of_a_folder_that_were_not_looked_at_are_named() -> None:
    assert "events.out" in specimen("a folder").one("section", id="run-beside").text


def test_findings_on_the_run_have_a_section() -> None:
    assert "NUM001" in specimen("the run itself").one("section", id="run-run").text


# --- size ----------------------------------------------------------------------------------


def test_the_shares_of_the_parts_leave_room_for_the_rest() -> None:
    empty = len(rendered(built.report(built.unreadable()), "html"))
    assert sum(SHARES.values()) + empty + 10_000 < MOST_BYTES


def test_a_page_on_many_findings_is_cut_and_says_so() -> None:
    text = rendered(built.report(built.many(4000)), "html")
    assert len(text) < MOST_BYTES
    assert "more findings" in parsed(text).one("section", id="f0-findings").text


def test_a_page_on_many_files_is_cut_and_says_so() -> None:
    files = [built.incomplete()._replace(path=f"model-{at}.pth") for at in range(3000)]
    text = rendered(built.report(*files), "html")
    assert len(text) < MOST_BYTES
    assert "more files" in parsed(text).one("section", id="files").text


def passing(path: str) -> FileReport:
    """A file with two warnings."""
    warnings = (finding(rules.NO_LICENCE, "a"), finding(rules.NO_MODEL_CARD, "b"))
    return built.encoder_only()._replace(path=path, findings=warnings)


def test_one_that_fails_is_told_of_however_many_pass_before_it() -> None:
    wrong = finding(rules.NAN, "3 numbers are not", tensors=["cls_token"])
    others = [passing(f"runs/{at:03}.pth") for at in range(300)]
    failing = passing("runs/999.pth")._replace(verdict=Verdict.FAIL)
    failing = failing._replace(findings=(wrong, *failing.findings))
    open_one = passing("runs/open.pth")._replace(verdict=Verdict.CANNOT_TELL)
    plain = built.encoder_only()._replace(path="runs/plain.pth")
    page = page_of(built.report(plain, *others, failing, open_one))
    rows = [row.one("a").text for row in page.one("section", id="files").one("tbody").all("tr")]
    assert rows[:3] == ["runs/999.pth", "runs/open.pth", "runs/000.pth"]
    told = page.one("section", id="f0-findings").text
    assert "NUM001" in told
    assert "cls_token" in told


def test_errors_of_every_file_come_before_warnings_of_any() -> None:
    wrong = finding(rules.NAN, "3 numbers are not")
    warnings = tuple(finding(rules.UNEXPECTED, f"w {at}") for at in range(200))
    failing = passing("")._replace(verdict=Verdict.FAIL, findings=(wrong, *warnings))
    page = page_of(built.report(*(failing._replace(path=path) for path in "abcd")))
    for at in range(4):
        section = page.one("section", id=f"f{at}-findings").text
        assert "NUM001" in section
    assert "more findings" in section


def test_findings_on_the_run_have_room_however_many_files_have() -> None:
    report = Report((built.many(4000), built.many(4000)), (built.run_finding(),))
    assert "NUM001" in page_of(report).one("section", id="run-run").text


def test_a_page_on_long_names_is_cut() -> None:
    long = finding(rules.UNEXPECTED, "<" * 9000, tensors=["\u202e" * 9000] * 40)
    file = built.encoder_only()._replace(findings=(long,) * 3000, path="&" * 10_000)
    assert len(rendered(built.report(file), "html")) < MOST_BYTES
