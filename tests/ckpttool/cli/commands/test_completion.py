"""Completion, in the shells themselves."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.builders.commands import invoke
from tests.builders.programs import installed

pytestmark = pytest.mark.skipif(os.name == "nt", reason="shells of POSIX systems")

# A shell without anybody's settings, reading a script, and what it offers for the words $@.
BASH = """
eval "$(ckpttool completion bash)"
COMP_LINE="$*" COMP_POINT=${#COMP_LINE} COMPREPLY=()
compopt() { :; }
complete -p ckpttool >/dev/null && _ckpttool_completion ckpttool
printf '%s\\n' "${COMPREPLY[@]}"
"""
# The completion system of zsh works in a line editor only, so what it is told is looked at.
ZSH = """
autoload -U compinit && compinit -u -D
eval "$(ckpttool completion zsh)"
[[ $_comps[ckpttool] == _ckpttool_completion ]] || exit 1
compadd() { print -l -- ${(P)@[-1]} }
_describe() { print -l -- ${${(P)@[3]}%%:*} }
_path_files() { print -- files }
words=("$@") CURRENT=$#
_ckpttool_completion
"""
FISH = """
ckpttool completion fish | source
complete -C "$argv" | string split -f 1 \\t
"""
SHELLS = {
    "bash": ["bash", "--norc", "-c", BASH, "bash"],
    "zsh": ["zsh", "-f", "-c", ZSH, "zsh"],
    "fish": ["fish", "--no-config", "-c", FISH],
}


@pytest.fixture(params=list(SHELLS))
def shell(request: pytest.FixtureRequest) -> list[str]:
    if not shutil.which(request.param):
        pytest.skip(f"no {request.param} here")
    return SHELLS[request.param]


def offered(shell: list[str], folder: Path, *words: str) -> set[str]:
    """Return what a shell offers for the last of the words."""
    arguments = words if shell[0] != "fish" else (" ".join(words),)
    done = subprocess.run(
        [*shell, *arguments],
        env={**installed(folder / "bin"), "HOME": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def test_commands_are_completed(shell: list[str], tmp_path: Path) -> None:
    assert offered(shell, tmp_path, "ckpttool", "ver") == {"verify"}


def test_options_are_completed(shell: list[str], tmp_path: Path) -> None:
    assert offered(shell, tmp_path, "ckpttool", "verify", "--fo") == {"--format"}


def test_values_are_completed(shell: list[str], tmp_path: Path) -> None:
    words = ("ckpttool", "inspect", "--format", "")
    assert offered(shell, tmp_path, *words) == {"text", "json"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("verify", "--model", "mae_vit_h"), {"mae_vit_huge_patch14"}),
        (("verify", "--require", ""), {"encoder", "full"}),
        (("verify", "--fail-on", "w"), {"warning"}),
        (("convert", "--layout", "mm"), {"mmpretrain", "mmseg"}),
        (("convert", "--dtype", "b"), {"bfloat16"}),
        (("verify", "--select", "NUM00"), {f"NUM00{number}" for number in range(1, 10)}),
        (("help", "expl"), {"explain"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_the_values_of_tables_are_completed(
    shell: list[str], tmp_path: Path, words: tuple[str, ...], expected: set[str]
) -> None:
    found = offered(shell, tmp_path, "ckpttool", *words)
    assert expected & found == expected
    assert all(one.startswith(words[-1]) for one in found if one.startswith("NUM"))


def test_a_code_behind_a_comma_is_completed_whole(shell: list[str], tmp_path: Path) -> None:
    found = offered(shell, tmp_path, "ckpttool", "verify", "--ignore", "MOD001,STR00")
    assert "MOD001,STR001" in found
    assert all(one.startswith("MOD001,STR00") for one in found if "," in one)


def test_a_report_is_completed_by_format_and_then_by_file(shell: list[str], tmp_path: Path) -> None:
    (tmp_path / "results.json").touch()
    (tmp_path / "runs").mkdir()
    assert offered(shell, tmp_path, "ckpttool", "verify", "--report", "sar") == {"sarif="}
    found = offered(shell, tmp_path, "ckpttool", "diff", "--report", "")
    assert found == {"text=", "json=", "html="}
    found = offered(shell, tmp_path, "ckpttool", "verify", "--report", "json=r")
    # bash takes what is before the sign for another word
    start = "" if shell[0] == "bash" else "json="
    assert found == {f"{start}results.json", f"{start}runs/"}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        pytest.param("--model=mae_vit_h", "--model=mae_vit_huge_patch14", id="of a table"),
        pytest.param("--require=", "--require=full", id="nothing begun"),
        pytest.param("--ignore=MOD001,STR023", "--ignore=MOD001,STR023", id="behind a comma"),
        pytest.param("--report=sar", "--report=sarif=", id="format"),
        pytest.param("--report=json=r", "--report=json=results.json", id="format and file"),
    ],
)
def test_a_value_behind_an_option_and_a_sign_is_completed(
    shell: list[str], tmp_path: Path, word: str, expected: str
) -> None:
    (tmp_path / "results.json").touch()
    found = offered(shell, tmp_path, "ckpttool", "verify", word)
    # bash keeps what is before the last sign
    kept = word.rfind("=") + 1 if shell[0] == "bash" else 0
    assert expected[kept:] in found


@pytest.mark.parametrize("words", [("--lock", "re"), ("--lock=re",)])
def test_fish_completes_a_file_with_the_option_before_it(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    if not shutil.which("fish"):
        pytest.skip("no fish here")
    (tmp_path / "results.json").touch()
    found = offered(SHELLS["fish"], tmp_path, "ckpttool", "verify", *words)
    assert found == {f"{words[-1][:-2]}results.json"}


def test_the_scripts_are_the_same_whatever_runs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    before = invoke("completion", "bash")
    monkeypatch.setenv("PATH", "")
    assert invoke("completion", "bash") == before
    assert before.code == 0
    assert before.out.startswith("_ckpttool_completion() {\n")


def test_another_shell_is_wrong_usage() -> None:
    assert invoke("completion", "tcsh").code == 2
