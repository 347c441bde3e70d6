"""A waiver covers what it says, as long as it says, and is itself held to account."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding
from ckpttool.findings.results import FileReport
from ckpttool.findings.rules import Severity
from ckpttool.verification.waivers import Settled, Waiver, findings_on, settle
from tests.builders.policies import (
    FINGERPRINT,
    TODAY,
    file_with,
    nan,
    unreadable,
    untrained,
    waiver,
)

LATER, EARLIER = date(2026, 12, 31), date(2026, 11, 24)


def settled(*waivers: Waiver, file: FileReport | None = None) -> Settled:
    return settle(file or file_with(nan()), waivers, TODAY)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(waiver(), id="the rule alone"),
        pytest.param(waiver(tensors="norm.*"), id="a glob on the tensor"),
        pytest.param(waiver(path="data/*.pth"), id="a glob on the path"),
        pytest.param(waiver(path="weights.pth"), id="the file's name"),
        pytest.param(waiver(expires=LATER), id="a day to come"),
        pytest.param(waiver(expires=TODAY), id="its last day"),
        pytest.param(waiver(fingerprint=FINGERPRINT), id="the weights it was given for"),
    ],
)
def test_a_finding_is_waived(given: Waiver) -> None:
    found = settled(given)
    assert [one.finding for one in found.waived] == [nan()]
    assert found.open == ()
    assert found.used == frozenset([given])


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(waiver("NUM002"), id="another rule"),
        pytest.param(waiver(tensors="blocks.*"), id="another tensor"),
        pytest.param(waiver(path="other/*.pth"), id="another path"),
        pytest.param(waiver(expires=EARLIER), id="a day that is over"),
        pytest.param(waiver(fingerprint="ckpt1:" + "00" * 32), id="other weights"),
    ],
)
def test_a_finding_counts_all_the_same(given: Waiver) -> None:
    found = settled(given)
    assert (found.open, found.waived, found.used) == ((nan(),), (), frozenset())


@pytest.mark.parametrize("given", ["../data/weights.pth", "/project/data/weights.pth"])
def test_a_path_means_the_same_wherever_the_run_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    (tmp_path / "project" / "runs").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project" / "runs")
    path = given.replace("/project", str(tmp_path / "project"))
    one = waiver(path="data/*.pth", folder=str(tmp_path / "project"))
    assert one.is_for(file_with(path=path))
    assert not one.is_for(file_with(path="data/weights.safetensors"))
    assert not one._replace(folder=str(tmp_path)).is_for(file_with(path=path))
    assert not one._replace(folder=str(tmp_path / "other")).is_for(file_with(path=path))


def test_a_finding_on_no_tensor_is_not_waived_by_a_glob_on_tensors() -> None:
    file = file_with(untrained())
    assert settled(waiver("MOD001", tensors="*"), file=file).open == (untrained(),)
    assert settled(waiver("MOD001"), file=file).open == ()


def test_waivers_cover_the_tensors_of_a_finding_together() -> None:
    first = waiver(tensors="blocks.0.*", reason="a", owner="x", expires=LATER)
    second = waiver(tensors="blocks.1.*", reason="b", expires=TODAY)
    (one,) = settled(first, second, file=file_with(nan("blocks.0.a", "blocks.1.a"))).waived
    assert (one.reason, one.owner, one.expires) == ("a; b", "x", "2026-11-25")


def test_a_finding_that_is_covered_in_part_counts_and_says_so() -> None:
    found = settled(waiver(tensors="blocks.0.*"), file=file_with(nan("blocks.0.a", "blocks.1.a")))
    assert [one.message for one in found.open] == ["NaN (waivers cover 1 of its 2 tensors)"]
    assert found.waived == ()


# --- the waivers themselves ------------------------------------------------------------------


def told(given: Waiver, *files: FileReport) -> tuple[Finding, ...]:
    chosen = files or (file_with(nan()),)
    return findings_on([given], chosen, [settle(file, [given], TODAY) for file in chosen], TODAY)


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        pytest.param(waiver("NUM002"), rules.WAIVER_UNUSED, id="nothing to cover"),
        pytest.param(waiver("NUM002", expires=EARLIER), rules.WAIVER_UNUSED, id="nor was there"),
        pytest.param(waiver(expires=EARLIER), rules.WAIVER_EXPIRED, id="expired"),
        pytest.param(
            waiver(fingerprint="ckpt1:" + "00" * 32), rules.WAIVER_OTHER_WEIGHTS, id="died"
        ),
    ],
)
def test_a_waiver_that_covers_nothing_is_a_finding(given: Waiver, rule: rules.Rule) -> None:
    (found,) = told(given)
    assert found.rule is rule
    assert "waiver 1 of ckpttool.toml" in found.message


def test_an_expired_waiver_that_covered_nothing_is_told_apart() -> None:
    (found,) = told(waiver("NUM002", expires=EARLIER))
    assert "covers no finding and has expired" in found.message
    (found,) = told(waiver("NUM002", expires=LATER))
    assert "expired" not in found.message


def test_only_fingerprints_of_files_that_it_is_for_are_shown() -> None:
    given = waiver(path="b.pth", fingerprint="ckpt1:" + "00" * 32)
    other = file_with(nan(), path="a.pth")._replace(fingerprint="ckpt1:" + "cd" * 32)
    (found,) = told(given, other, file_with(nan(), path="b.pth"))
    assert (found.expected, found.found) == (given.fingerprint, FINGERPRINT)


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(waiver(), id="it covers a finding"),
        pytest.param(waiver(path="other.pth"), id="it is for a file that was not verified"),
    ],
)
def test_a_waiver_that_is_as_it_should_be_is_not_mentioned(given: Waiver) -> None:
    assert told(given) == ()


def test_one_file_of_several_suffices() -> None:
    assert told(waiver(), file_with(), file_with(nan(), path="b.pth")) == ()


# --- paths and names as the tool prints them -------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "./data/weights.pth",
        "data/weights.pth",
        "data/../data//weights.pth",
        "weights.pth",
        "data",
        "data/",
        "./data",
        "d*",
        ".",
        "FOLDER/data/weights.pth",
        "FOLDER",
    ],
)
@pytest.mark.parametrize("given", ["./data/weights.pth", "FOLDER/data/weights.pth"])
def test_a_path_may_be_pasted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, given: str
) -> None:
    monkeypatch.chdir(tmp_path)
    one = waiver(path=path.replace("FOLDER", str(tmp_path)), folder=str(tmp_path))
    assert one.is_for(file_with(path=given.replace("FOLDER", str(tmp_path))))
    assert not one.is_for(file_with(path=str(tmp_path.parent / "date" / "other.pth")))


@pytest.mark.parametrize("path", ["dat", "data/weight", "eights.pth", "other/data", "/data"])
def test_a_part_of_a_name_is_no_path(tmp_path: Path, path: str) -> None:
    one = waiver(path=path, folder=str(tmp_path))
    assert not one.is_for(file_with(path=str(tmp_path / "data" / "weights.pth")))


@pytest.mark.parametrize("path", ["weights.pth", "run/weights.pth"])
def test_a_file_outside_of_the_folder_is_known_by_the_end_of_its_path(
    tmp_path: Path, path: str
) -> None:
    one = waiver(path=path, folder=str(tmp_path / "project"))
    assert one.is_for(file_with(path=str(tmp_path / "run" / "weights.pth")))
    assert not one._replace(path=f"/{path}").is_for(
        file_with(path=str(tmp_path / "run" / "weights.pth"))
    )
    inside = waiver(path="run/weights.pth", folder=str(tmp_path))
    assert not inside.is_for(file_with(path=str(tmp_path / "a" / "run" / "weights.pth")))


@pytest.mark.parametrize(
    "path", ["NAME/a/run.pth", "../NAME/a/run.pth", "a\\run.pth", r".\a\run.pth"]
)
def test_a_path_as_it_is_printed_elsewhere_is_known(tmp_path: Path, path: str) -> None:
    one = waiver(path=path.replace("NAME", tmp_path.name), folder=str(tmp_path))
    assert one.is_for(file_with(path=str(tmp_path / "a" / "run.pth")))
    assert not one.is_for(file_with(path=str(tmp_path / "b" / "run.pth")))
    assert not one.is_for(file_with(path=str(tmp_path / "b" / "a" / "run.pth")))


def test_a_path_with_characters_that_are_escaped_in_print_may_be_pasted() -> None:
    assert waiver(path=r"a\x1b[2J.pth").is_for(file_with(path="a\x1b[2J.pth"))
    assert waiver(path="[a].pth").is_for(file_with(path="[a].pth"))


@pytest.mark.parametrize(
    "tensors",
    [
        "blocks.{0-1}.norm1.{weight,bias}",
        "blocks.{0-1}.norm1.weight, blocks.{0-1}.norm1.bias",
        "blocks.{0-7}.*",
    ],
)
def test_the_short_form_of_names_may_be_pasted(tensors: str) -> None:
    names = [f"blocks.{n}.norm1.{part}" for n in (0, 1) for part in ("weight", "bias")]
    assert settled(waiver(tensors=tensors), file=file_with(nan(*names))).open == ()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        pytest.param(waiver("NUM002"), "there is no NUM002 in the file", id="code"),
        pytest.param(
            waiver("NUM002", path="weights.pth"), "in the file of its path", id="code of a path"
        ),
        pytest.param(
            waiver(tensors="blocks.{0-3}.w"),
            "tensors = 'blocks.{0-3}.w' is none of those found: norm.weight",
            id="tensors",
        ),
    ],
)
def test_why_a_waiver_covers_nothing_is_said(given: Waiver, why: str) -> None:
    (found,) = told(given)
    assert why in found.message


def test_a_waiver_for_tensors_of_a_rule_that_names_none_says_so() -> None:
    (found,) = told(waiver("MOD001", tensors="*"), file_with(untrained()))
    assert "names no tensor" in found.message


def test_a_path_that_leads_nowhere_is_a_note(tmp_path: Path) -> None:
    (found,) = told(waiver(path="gone/*.pth", folder=str(tmp_path)))
    assert (found.rule, found.severity) == (rules.WAIVER_UNUSED, Severity.NOTE)
    assert "'gone/*.pth'" in str(found.expected)
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "a.pth").touch()  # not of this run, but there
    assert told(waiver(path="gone/*.pth", folder=str(tmp_path))) == ()


def test_a_file_that_could_not_be_read_is_of_the_run_all_the_same(tmp_path: Path) -> None:
    one = waiver(path="gone.pth", folder=str(tmp_path))
    assert findings_on([one], [], [], TODAY, [unreadable(str(tmp_path / "gone.pth"))]) == ()
