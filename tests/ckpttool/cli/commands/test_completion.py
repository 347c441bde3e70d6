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
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
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


def test_the_scripts_are_the_same_whatever_runs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    before = invoke("completion", "bash")
    monkeypatch.setenv("PATH", "")
    assert invoke("completion", "bash") == before
    assert before.code == 0
    assert before.out.startswith("_ckpttool_completion() {\n")


def test_another_shell_is_wrong_usage() -> None:
    assert invoke("completion", "tcsh").code == 2
