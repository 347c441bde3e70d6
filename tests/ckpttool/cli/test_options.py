"""The policy on the command line: where it comes from, and what overrules what."""

from __future__ import annotations

import hashlib
import json
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ckpttool.cli import main
from ckpttool.cli.options import today
from ckpttool.findings.errors import UsageError
from tests.builders import checkpoints as built
from tests.builders.commands import runner

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

WAIVER = """
[[waivers]]
code = "STR001"
reason = "the first release had no block 1"
expires = 2100-01-01
"""


@pytest.fixture
def lacking(tmp_path: Path, tiny: str) -> list[str]:
    """A verification of a file that lacks a block of its encoder."""
    path = built.saved(tmp_path, built.encoder_block_missing)
    return ["verify", "--model", tiny, "--no-forward", "--format", "json", path]


def run(*arguments: str) -> tuple[int, Any]:
    result = runner().invoke(main, arguments)
    return result.exit_code, json.loads(result.stdout) if result.stdout else result.stderr


def configured(folder: Path, text: str) -> list[str]:
    path = folder / "ckpttool.toml"
    path.write_text(text)
    return ["--config", str(path)]


@pytest.mark.parametrize(
    ("options", "exit_code"),
    [
        pytest.param([], 1, id="an error fails"),
        pytest.param(["--ignore", "STR001"], 0, id="unless its rule is ignored"),
        pytest.param(["--select", "NUM,MOD"], 0, id="or others are selected"),
        pytest.param(["--select", "NUM", "--extend-select", "STR"], 1, id="but not it as well"),
        pytest.param(["--ignore", "STR001", "--fail-on", "note"], 1, id="a note can fail, too"),
    ],
)
def test_the_command_line_decides(lacking: list[str], options: list[str], exit_code: int) -> None:
    code, report = run(*lacking, *options)
    assert (code, report["exit_code"]) == (exit_code, exit_code)


def test_a_configuration_decides_and_the_command_line_overrules_it(
    tmp_path: Path, lacking: list[str]
) -> None:
    config = configured(tmp_path, 'ignore = ["STR001"]')
    assert run(*lacking, *config)[0] == 0
    assert run(*lacking, *config, "--ignore", "MOD001")[0] == 1


def test_the_nearest_configuration_is_found(
    tmp_path: Path, lacking: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(tmp_path, 'expected-missing = ["blocks.1.*"]')
    monkeypatch.chdir(tmp_path)
    code, report = run(*lacking)
    assert code == 0
    assert "STR020" in {found["code"] for found in report["files"][0]["findings"]}


def test_what_is_waived_stays_in_the_report(tmp_path: Path, lacking: list[str]) -> None:
    code, report = run(*lacking, *configured(tmp_path, WAIVER))
    (waived,) = report["files"][0]["waived"]
    assert code == 0
    assert waived["finding"]["code"] == "STR001"
    assert waived["reason"] == "the first release had no block 1"


def test_a_configuration_can_be_left_out(lacking: list[str], tmp_path: Path) -> None:
    (tmp_path / "ckpttool.toml").write_text('ignore = ["STR001"]\nexclude = ["*.onnx"]\n')
    assert run(*lacking)[0] == 0
    code, report = run(*lacking, "--no-config")
    assert (code, report["files"][0]["configuration"]) == (1, None)
    code, told = run(*lacking, "--no-config", "--config", str(tmp_path / "ckpttool.toml"))
    assert code == 2
    assert "--config and --no-config" in told


@pytest.mark.parametrize("command", [["inspect"], ["convert", "--to", "safetensors"]])
def test_without_a_configuration_no_checkpoint_is_named(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    built.saved(tmp_path, built.sound)
    Path("ckpttool.toml").write_text('checkpoint = "weights.pth"\n')
    assert runner().invoke(main, command).exit_code == 0
    assert runner().invoke(main, [*command, "--no-config"]).exit_code == 2


def test_an_expired_waiver_brings_its_finding_back(
    tmp_path: Path, lacking: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "4102531200")  # 2100-01-02
    code, report = run(*lacking, *configured(tmp_path, WAIVER))
    assert code == 1
    assert [found["code"] for found in report["findings"]] == ["CFG002"]


@pytest.mark.parametrize(
    "options",
    [["--select", "NUMX"], ["--ignore", "MOD1"], ["--config", "gone.toml"], ["--fail-on", "x"]],
)
def test_what_is_not_there_is_a_usage_error(lacking: list[str], options: list[str]) -> None:
    code, told = run(*lacking, *options)
    assert code == 2
    assert told.startswith("error: ")


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="no time zones to set")
def test_a_day_that_is_given_is_the_same_in_every_time_zone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86399")
    try:
        for zone in ("XXX-14", "XXX12"):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            assert today() == date(1970, 1, 1)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_day_that_is_no_number_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "tomorrow")
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
        today()


# --- the configuration of each file -----------------------------------------------------------


@pytest.fixture
def two(tmp_path: Path, tiny: str) -> list[str]:
    """Two projects with the same file; one of them lets what it lacks be missing."""
    paths = []
    for name in ("lax", "strict"):
        folder = tmp_path / name / "weights"
        folder.mkdir(parents=True)
        paths.append(built.saved(folder, built.encoder_block_missing))
    configured(tmp_path / "lax", 'ignore = ["STR001"]')
    return ["verify", "--model", tiny, "--no-forward", "--format", "json", *paths]


def test_each_file_has_the_configuration_that_is_nearest_to_it(
    tmp_path: Path, two: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for working_folder in (tmp_path, tmp_path / "lax", tmp_path / "strict"):
        monkeypatch.chdir(working_folder)
        code, report = run(*two)
        lax, strict = report["files"]
        assert (code, lax["verdict"], strict["verdict"]) == (1, "pass", "fail")
        assert strict["configuration"] is None
        content = (tmp_path / "lax" / "ckpttool.toml").read_bytes()
        assert lax["configuration"]["sha256"] == hashlib.sha256(content).hexdigest()
        assert lax["configuration"]["path"].endswith("ckpttool.toml")


def test_one_that_is_named_counts_for_all(tmp_path: Path, two: list[str]) -> None:
    code, report = run(*two, "--config", str(tmp_path / "lax" / "ckpttool.toml"))
    assert (code, {file["verdict"] for file in report["files"]}) == (0, {"pass"})


def test_a_configuration_that_is_wrong_is_said_before_anything_is_read(
    tmp_path: Path, two: list[str]
) -> None:
    configured(tmp_path / "strict", "ignore = 1")
    code, told = run(*two)
    assert code == 2
    assert "ckpttool.toml: ignore is wrong" in told
    assert run(*two[:-1])[0] == 0  # not of this file


def test_the_checkpoint_without_an_argument_has_the_configuration_that_names_it(
    tmp_path: Path, two: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"checkpoint = '{two[-1]}'\nexpected-missing = ['blocks.1.*']\n"
    (tmp_path / "elsewhere").mkdir()
    configured(tmp_path / "elsewhere", text)
    monkeypatch.chdir(tmp_path / "elsewhere")
    code, report = run(*two[:-2])
    assert (code, report["files"][0]["configuration"]["path"]) == (0, "ckpttool.toml")


def test_each_file_is_compared_with_the_lock_of_its_configuration(
    tmp_path: Path, tiny: str
) -> None:
    options = ["--model", tiny, "--no-forward"]
    for name, content in (("a", built.sound), ("b", built.retrained)):
        (tmp_path / name).mkdir()
        configured(tmp_path / name, 'lock = "weights.lock"')
        path = built.saved(tmp_path / name, content)
        assert runner().invoke(main, ["lock", *options, path]).exit_code == 0
    both = [str(tmp_path / name / "weights.pth") for name in "ab"]
    assert run("verify", *options, "--format", "json", *both)[0] == 0
    built.saved(tmp_path / "b", built.sound)
    code, report = run("verify", *options, "--format", "json", *both)
    assert (code, [file["verdict"] for file in report["files"]]) == (1, ["pass", "fail"])
    assert runner().invoke(main, ["lock", *options, *both]).exit_code == 2  # which of the two?


# --- what comes with a file must not vouch for what the file calls -------------------------------

SAYS_OF_CODE = {
    "trust": ('trust = ["tests.builders.*"]', built.called_beside),
    "ignore": ('ignore = ["SEC"]', built.attack_beside),
    "ignore one": ('ignore = ["SEC001"]', built.attack_beside),
    "waiver": ('[[waivers]]\ncode = "SEC001"\nreason = "x"', built.attack_beside),
}


@pytest.mark.parametrize("case", SAYS_OF_CODE)
def test_code_is_vouched_for_by_a_configuration_of_the_working_folder_alone(
    tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    text, content = SAYS_OF_CODE[case]
    (tmp_path / "download" / "below").mkdir(parents=True)
    config = configured(tmp_path / "download", text)
    path = built.saved(tmp_path / "download", content)
    command = ["verify", "--model", tiny, "--no-forward"]
    done = runner().invoke(main, [*command, path])
    assert done.exit_code == 1
    assert done.stderr.count("what it says of code") == 1
    assert runner().invoke(main, [*command, *config, path]).exit_code == 0
    if case.startswith("ignore"):
        assert runner().invoke(main, [*command, "--ignore", "SEC", path]).exit_code == 0
    for working_folder in ("download", "download/below"):
        monkeypatch.chdir(tmp_path / working_folder)
        done = runner().invoke(main, [*command, path])
        assert (done.exit_code, "of code" in done.stderr) == (0, False)


def test_inspect_trusts_what_the_configuration_of_the_working_folder_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(tmp_path, 'trust = ["tests.builders.*"]')
    path = built.saved(tmp_path, built.called_beside)
    assert runner().invoke(main, ["inspect", path]).exit_code == 1
    monkeypatch.chdir(tmp_path)
    assert runner().invoke(main, ["inspect", path]).exit_code == 0
    (tmp_path / "ckpttool.toml").unlink()
    assert runner().invoke(main, ["inspect", path]).exit_code == 1


def test_a_stored_result_says_by_what_it_was_judged(tmp_path: Path, two: list[str]) -> None:
    run(*two, "--report", f"json={tmp_path / 'result.json'}")
    result = runner().invoke(main, ["report", str(tmp_path / "result.json"), "--to", "json"])
    files = json.loads(result.stdout)["files"]
    assert [file["configuration"] is None for file in files] == [False, True]
