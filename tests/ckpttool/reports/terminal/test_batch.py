"""The report on several files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, Verdict, finding
from ckpttool.findings.results import ConfigurationFile, Report
from ckpttool.findings.rules import Severity
from ckpttool.reports.terminal.report import write
from ckpttool.reports.terminal.view import TextView
from tests.builders import reports as built

if TYPE_CHECKING:
    from ckpttool.findings.results import FileReport

LICENCE = finding(rules.NO_LICENCE, "the release folder has no licence")


def passing(name: str, *findings: Finding) -> FileReport:
    return built.encoder_only()._replace(path=name, findings=findings, fingerprint=None)


def failing(name: str, *findings: Finding) -> FileReport:
    mistake = finding(rules.NAN, f"NaN in {name}", tensors=["cls_token"])
    return passing(name, mistake, *findings)._replace(verdict=Verdict.FAIL)


def shown(
    *files: FileReport, verbose: bool = False, fail_on: Severity = Severity.ERROR
) -> list[str]:
    judged = tuple(file._replace(fail_on=fail_on) for file in files)
    return page_of(*judged, view=TextView(verbose=verbose))


def page_of(*files: FileReport, view: TextView = TextView()) -> list[str]:  # noqa: B008 (a constant)
    stream = io.StringIO()
    write(Report(files), stream, view)
    return stream.getvalue().splitlines()


def test_the_end_names_what_failed_first_and_why() -> None:
    page = shown(passing("r/a.pth"), failing("r/b.pth"), passing("r/c.pth"), built.unreadable())
    assert page[-8:-5] == [
        "✗ FAIL         r/b.pth      error: nan",
        "! CANNOT TELL  missing.pth  error: unreadable",
        "✓ PASS         r/a.pth      mae_vit_large_patch16 encoder",
    ]
    assert page[-1] == "! CANNOT TELL 4 files: 2 pass, 1 fail, 1 cannot tell"


def test_only_what_does_not_pass_is_told_in_full() -> None:
    page = shown(passing("a.pth"), failing("b.pth"))
    assert page[0].startswith("✗ FAIL b.pth  ")
    assert sum(line.startswith("  diagnosis") for line in page) == 1
    page = shown(passing("a.pth"), failing("b.pth"), verbose=True)
    assert page[0].startswith("✓ PASS a.pth  ")
    assert sum(line.startswith("  diagnosis") for line in page) == 2


def test_what_concerns_the_folder_is_said_once() -> None:
    page = shown(*(failing(f"r/{name}.pth", LICENCE) for name in "abc"), passing("s/d.pth"))
    at = [number for number, line in enumerate(page) if "HUB010" in line]
    assert len(at) == 1
    assert page[at[0] + 1] == "      files     all 3 in r"
    assert not any("licence" in line for line in page if line.startswith("✗"))


def test_what_fails_a_file_stands_with_it_however_many_share_it() -> None:
    page = shown(failing("a", LICENCE), failing("b", LICENCE), fail_on=Severity.WARNING)
    assert sum("HUB010" in line for line in page) == 2


def test_a_warning_is_told_in_full_where_it_fails_another_file_by_its_own_policy() -> None:
    strict = failing("a", LICENCE)._replace(fail_on=Severity.WARNING)
    page = page_of(strict, passing("b", LICENCE), passing("c", LICENCE))
    assert sum("HUB010" in line for line in page) == 2
    assert "      files     b, c" in page


def test_findings_that_differ_in_their_tensors_alone_stay_apart() -> None:
    left, right = (
        finding(rules.UNEXPECTED, "no place for 1 tensor", tensors=[name]) for name in ("x", "y")
    )
    page = page_of(passing("a", left), passing("b", right), passing("c", right))
    at = [number for number, line in enumerate(page) if "STR004" in line]
    rows = [[line.split() for line in page[head + 1 : head + 3]] for head in at]
    assert rows == [
        [["files", "a"], ["tensor", "x"]],
        [["files", "b,", "c"], ["tensor", "y"]],
    ]


def test_one_that_fails_is_told_in_full_however_many_pass() -> None:
    others = [passing(f"r/{number}.pth", LICENCE) for number in range(60)]
    page = page_of(*others, failing("r/bad.pth"))
    assert page[0].startswith("✗ FAIL r/bad.pth  ")
    assert page[2:4] == ["  ✗ error   NUM001 nan: NaN in r/bad.pth", "      tensor    cls_token"]
    assert page[-1] == "✗ FAIL 61 files: 60 pass, 1 fail"
    waived = tuple(file._replace(waived=built.waived().waived) for file in others)
    page = page_of(*waived, failing("r/bad.pth"), view=TextView(show_waived=True))
    assert "  ✗ error   NUM001 nan: NaN in r/bad.pth" in page


def test_what_is_waived_is_counted_however_many_files_pass() -> None:
    others = [passing(f"{number:03}.pth") for number in range(60)]
    waived = built.waived()._replace(path="x.pth", findings=())
    page = page_of(*others, waived)
    assert "✓ PASS  x.pth    mae_vit_large_patch16 encoder · 4 waived" in page
    assert page[-1] == "✓ PASS 61 files: 61 pass; 4 waived"


def test_a_note_that_fails_a_file_is_told_in_full_and_in_the_table() -> None:
    note = finding(rules.DECODER_ABSENT, "decoder absent")
    file = passing("a", note)._replace(verdict=Verdict.FAIL, fail_on=Severity.NOTE)
    page = page_of(file, file._replace(path="b"))
    assert sum("STR002" in line for line in page) == 2
    assert "✗ FAIL  a  note: decoder absent" in page


def test_the_number_of_further_files_is_that_of_files() -> None:
    files = [passing(f"{folder}/{number}", LICENCE) for folder in "abcdef" for number in range(10)]
    page = page_of(*files, passing("g/1"))
    assert (
        "      files     all 10 in a, all 10 in b, all 10 in c, all 10 in d and 20 more files"
        in page
    )


def test_a_finding_beyond_the_last_that_is_listed_speaks_for_nothing() -> None:
    why = "the forward pass (no torch)"
    note = finding(rules.FORWARD_NOT_RUN, "the forward pass was not run: no torch")
    more = [finding(rules.UNEXPECTED, f"no place for {number}") for number in range(40)]
    shown_note = [passing(name, note)._replace(unchecked=(why,)) for name in "ab"]
    page = page_of(*shown_note)
    assert not any(line.startswith("  not checked") for line in page)
    page = page_of(*(file._replace(findings=(*more, note)) for file in shown_note))
    assert "  and 1 more finding (--format json lists all)" in page
    assert f"  not checked  {why}: all 2" in page


def test_what_most_files_lack_is_told_before_what_single_ones_do() -> None:
    files = [passing(f"{n}")._replace(unchecked=(f"{n} tensors", "all")) for n in range(50)]
    page = page_of(*files)
    first = next(line for line in page if line.startswith("  not checked"))
    assert first == "  not checked  all: all 50"
    assert "  and 11 more lines (--format json lists all)" in page


def test_long_paths_are_whole() -> None:
    left, right = (failing("d/" * 120 + f"{name}/" + "e/" * 120 + "m.pth") for name in "xy")
    page = "\n".join(page_of(left, right))
    assert page.count(left.path) >= 2
    assert page.count(right.path) >= 2


def test_a_warning_of_a_file_that_passes_is_told_and_a_note_is_counted() -> None:
    note = finding(rules.DECODER_ABSENT, "decoder absent")
    page = shown(passing("a", LICENCE, note), passing("b"))
    assert any("HUB010" in line for line in page)
    assert "✓ PASS  a  mae_vit_large_patch16 encoder · warning: no licence · 1 note" in page


def test_weights_that_look_untrained_are_said_of_each_file() -> None:
    untrained = finding(rules.LAYERNORM_INITIAL, "all LayerNorms")
    page = shown(passing("a", untrained), passing("b", untrained))
    assert sum("looks untrained" in line and line.startswith("✓") for line in page) == 2
    assert sum("MOD001" in line for line in page) == 1


def test_what_was_not_looked_at_is_said_once_with_the_files() -> None:
    no_pass = "the forward pass (--no-forward)"
    own = passing("b")._replace(unchecked=(no_pass,))
    page = shown(passing("a"), own, passing("c"), passing("d"))
    assert "  not checked  where the file comes from (--published): a, c, d" in page
    assert f"  not checked  {no_pass}: b" in page


def test_an_error_says_of_its_own_file_that_nothing_else_was_looked_at() -> None:
    stopped = built.unreadable()._replace(unchecked=("everything else, because of this error",))
    page = shown(stopped, stopped._replace(path="other.pth"))
    assert page.count("  not checked  everything else, because of this error") == 2
    assert sum("everything else" in line for line in page) == 2


def test_configurations_are_told_once_with_their_files() -> None:
    own = ConfigurationFile("a/ckpttool.toml", "ab" * 32)
    files = [passing(name)._replace(configuration=own) for name in "ab"]
    page = page_of(*files, passing("c"))
    assert f"  config       a/ckpttool.toml (SHA-256 {own.sha256}): 2 files" in page
    assert f"  config       a/ckpttool.toml (SHA-256 {own.sha256})" in page_of(*files)


def test_a_fingerprint_that_was_asked_for_stands_under_its_file() -> None:
    page = shown(built.encoder_only(), passing("b.pth"))
    at = next(n for n, line in enumerate(page) if line.startswith("✓ PASS  data"))
    assert page[at + 1].strip() == f"fingerprint  {built.encoder_only().fingerprint}"


def test_a_thousand_files_stay_readable() -> None:
    names = [f"runs/{number:04}.pth" for number in range(1000)]
    page = shown(*(passing(name, LICENCE) for name in names))
    assert len(page) < 60
    assert "  and 960 more files that pass (--verbose lists them)" in page
    page = shown(*map(failing, names))
    assert "and 950 more files: the table names them, --verbose tells all" in page
    assert sum(line.endswith("error: nan") for line in page) == 1050


@pytest.mark.parametrize("columns", [40, 80, 130])
def test_the_table_gives_way_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    stream = built.Terminal()
    write(built.report(failing("r/" + "long" * 12), passing("b" * 20)), stream)
    page = stream.getvalue().splitlines()
    assert max(len(line) for line in page if "ckpttool" not in line) <= columns
    assert any(line.strip().endswith("error: nan") for line in page)


def test_hostile_names_of_several_files_stay_text() -> None:
    stream = io.StringIO()
    write(built.report(built.hostile(), built.hostile()), stream)
    assert not any(ord(letter) < 32 for letter in stream.getvalue().replace("\n", ""))
