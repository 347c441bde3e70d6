"""The action, step by step as a runner of GitHub runs it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.builders import checkpoints as built
from tests.builders.ci_files import ActionRun, loaded, run_action
from tests.builders.programs import installed, program
from tests.builders.repository import ROOT

pytestmark = [
    # torch 2.0 warns of its own use of a class when it saves.
    pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning"),
    pytest.mark.skipif(os.name == "nt", reason="a shell of POSIX systems"),
]

HOSTILE = "$(touch pwned) `touch pwned`; touch pwned; \"' && touch pwned #"


def action(workspace: Path, **inputs: str) -> ActionRun:
    """Run the action with the real tool, of which nothing needs to be installed."""
    environment = installed(workspace.parent / "bin", tiny=True)
    environment["CKPTTOOL_VERIFY_MODEL"] = "tiny"
    environment["CKPTTOOL_VERIFY_NO_FORWARD"] = "1"
    given = {"version": "installed", **inputs}
    return run_action(workspace.parent, given, environment, workspace)


def recorded(workspace: Path, code: int = 0, **inputs: str) -> tuple[ActionRun, list[str]]:
    """Run the action with a program that notes its arguments and exits with a code."""
    bin_folder, notes = workspace.parent / "bin", workspace.parent / "arguments"
    environment = installed(bin_folder)
    program(bin_folder / "ckpttool", f"printf '%s\\0' \"$@\" > '{notes}'; exit {code}")
    run = run_action(workspace.parent, {"version": "installed", **inputs}, environment, workspace)
    command, *arguments = notes.read_text().split("\0")[:-1]
    assert command == "verify"
    return run, arguments


# --- the tool itself --------------------------------------------------------------------


def test_a_pass(workspace: Path) -> None:
    run = action(workspace, path="good.pth")
    assert run.code == 0
    assert (run.outputs["exit-code"], run.outputs["verdict"]) == ("0", "pass")
    assert "PASS" in run.summary
    assert run.log.splitlines()[-1].startswith("PASS ")
    (sarif,) = json.loads(Path(run.outputs["sarif-file"]).read_text())["runs"]
    assert sarif["tool"]["driver"]["name"] == "ckpttool"


def test_a_failure_ends_with_its_code_after_the_outputs_are_written(workspace: Path) -> None:
    run = action(workspace, path="good.pth\nbad.pth")
    assert run.code == 1
    assert (run.outputs["exit-code"], run.outputs["verdict"]) == ("1", "fail")
    assert "FAIL" in run.summary
    assert "::error " in run.log
    (sarif,) = json.loads(Path(run.outputs["sarif-file"]).read_text())["runs"]
    assert "STR001" in {result["ruleId"] for result in sarif["results"]}


def test_what_cannot_be_told(workspace: Path) -> None:
    run = action(workspace, path="missing.pth")
    assert run.code == 2
    assert run.outputs["verdict"] == "cannot-tell"
    assert Path(run.outputs["sarif-file"]).is_file()


def test_wrong_usage_says_so_in_the_summary(workspace: Path) -> None:
    run = action(workspace, path="good.pth", config="gone.toml")
    assert run.code == 2
    assert run.outputs == {"exit-code": "2", "verdict": "cannot-tell", "sarif-file": ""}
    assert "the log says why" in run.summary
    assert "gone.toml: no such file" in run.log


def test_globs_and_folders_are_expanded_by_the_tool(workspace: Path) -> None:
    assert " in 2 files " in action(workspace, path="*.pth").log
    assert " in 2 files " in action(workspace, path=".").log


def test_without_a_path_the_configured_checkpoint_is_taken(workspace: Path) -> None:
    (workspace / "release.toml").write_text('checkpoint = "bad.pth"')
    assert action(workspace, config="release.toml").outputs["verdict"] == "fail"


def test_the_weights_are_compared_with_the_lock(locked: Path) -> None:
    assert action(locked, lock="ckpttool.lock").code == 0
    built.saved(locked, built.retrained, "good.pth")
    run = action(locked, lock="ckpttool.lock")
    assert run.outputs["verdict"] == "fail"
    assert "file=ckpttool.lock,line=" in run.log
    assert "DIF001" in run.summary


def test_the_sample_workflow_runs(locked: Path) -> None:
    (locked / "release").mkdir()
    (locked / "good.pth").rename(locked / "release/good.pth")
    steps = loaded("docs/examples/github-workflow.yml")["jobs"]["verify"]["steps"]
    (given,) = [step["with"] for step in steps if "ckpttool@" in step.get("uses", "")]
    assert action(locked, **given).outputs["verdict"] == "pass"


# --- inputs and exit codes --------------------------------------------------------------


def test_the_inputs_become_arguments(workspace: Path) -> None:
    run, arguments = recorded(
        workspace,
        path="a b.pth\n\n*.pth\n",
        config="c d.toml",
        lock="e f.lock",
        exclude="*.onnx\n\nold logs/*",
    )
    assert run.code == 0
    assert arguments[:2] == ["--format", "github"]
    assert [one.partition("=")[0] for one in arguments[3:6:2]] == ["sarif", "markdown"]
    assert arguments[6:] == [
        *("--config=c d.toml", "--lock=e f.lock"),
        *("--exclude=*.onnx", "--exclude=old logs/*", "--", "a b.pth", "*.pth"),
    ]


def test_no_input_says_nothing(workspace: Path) -> None:
    _, arguments = recorded(workspace)
    assert arguments[6:] == ["--"]


def test_a_hostile_input_is_an_argument_and_nothing_more(workspace: Path) -> None:
    _, arguments = recorded(workspace, path=HOSTILE, config=HOSTILE, lock=HOSTILE, exclude=HOSTILE)
    options = [f"--{name}={HOSTILE}" for name in ("config", "lock", "exclude")]
    assert arguments[6:] == [*options, "--", HOSTILE]
    assert not list(workspace.parent.rglob("pwned"))


def test_a_path_that_looks_like_an_option_is_a_path(workspace: Path) -> None:
    run = action(workspace, path="--help")
    assert run.code == 2
    assert "--help" in run.log
    assert "Usage" not in run.log


@pytest.mark.parametrize(
    ("code", "verdict"),
    [(0, "pass"), (1, "fail"), (2, "cannot-tell"), (3, "error"), (130, "error")],
)
def test_every_exit_code_is_passed_on(workspace: Path, code: int, verdict: str) -> None:
    run, _ = recorded(workspace, code)
    assert run.code == code
    assert run.outputs == {"exit-code": str(code), "verdict": verdict, "sarif-file": ""}


# --- installation -----------------------------------------------------------------------


def install(workspace: Path, version: str) -> tuple[ActionRun, list[str]]:
    """Run the action with a ``python3`` that only notes what is to be installed."""
    bin_folder, notes = workspace.parent / "bin", workspace.parent / "installs"
    environment = installed(bin_folder)
    # a virtual environment whose python notes, and whose ckpttool passes
    program(
        bin_folder / "python3",
        f'mkdir -p "$3/bin"; cp "{bin_folder}/noting" "$3/bin/python"\n'
        'printf "#!/bin/sh\\necho from the environment\\n" > "$3/bin/ckpttool"\n'
        'chmod +x "$3/bin/ckpttool"',
    )
    program(bin_folder / "noting", f"printf '%s\\n' \"${{@: -1}}\" >> '{notes}'")
    run = run_action(workspace.parent, {"version": version}, environment, workspace)
    return run, notes.read_text().splitlines() if notes.exists() else []


@pytest.mark.parametrize(
    ("version", "source"),
    [
        pytest.param("", str(ROOT), id="of the action"),
        pytest.param(
            "v1.2.3", "ckpttool @ git+https://github.example/somebody/ckpttool@v1.2.3", id="a tag"
        ),
    ],
)
def test_it_is_installed_beside_what_is_there(workspace: Path, version: str, source: str) -> None:
    run, installs = install(workspace, version)
    assert installs == [source]
    assert run.code == 0
    assert run.log == "from the environment\n"


@pytest.mark.parametrize("version", ["v1 --index-url=x", "--pre", "v1\nv2", "$(touch pwned)"])
def test_a_version_that_is_none_installs_nothing(workspace: Path, version: str) -> None:
    run, installs = install(workspace, version)
    assert (run.code, installs) == (2, [])
    assert run.log.startswith("::error::")
    assert not list(workspace.parent.rglob("pwned"))
