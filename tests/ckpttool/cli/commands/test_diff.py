"""``diff``, ``textconv`` and ``git-diff`` from the command line, and git itself calling them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result

from ckpttool.cli import main
from tests.builders import checkpoints as built
from tests.builders import pairs
from tests.builders import pickles as p
from tests.builders.commands import runner
from tests.builders.repository import ROOT

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

CHANGED = pairs.CASES["other-values"].change


def run(*arguments: str) -> Result:
    return runner().invoke(main, arguments)


@pytest.mark.parametrize("case", pairs.CASES.values(), ids=pairs.CASES.keys())
@pytest.mark.parametrize("view", [(), ("--stat",), ("--format", "json")], ids=str)
def test_the_outcome_is_the_exit_code(
    tmp_path: Path, case: pairs.Case, view: tuple[str, ...]
) -> None:
    given = [f"--{name.replace('_', '-')}={value}" for name, value in case.options.items()]
    result = run("diff", *given, *view, *pairs.written(tmp_path, case.change))
    expected = 2 if case.kind == "not-compared" else int(not case.same)
    assert result.exit_code == expected, result.output


def test_unchanged_files_are_one_line(tmp_path: Path) -> None:
    result = run("diff", *pairs.written(tmp_path, dict))
    assert result.exit_code == 0
    (line,) = result.output.splitlines()
    assert "SAME" in line
    assert line.endswith("  all 8 tensors identical")


def test_the_largest_changes_are_listed_and_the_rest_counted(tmp_path: Path) -> None:
    paths = pairs.written(tmp_path, lambda s: {k: v + n for n, (k, v) in enumerate(s.items())})
    output = run("diff", "--top", "2", *paths).output
    assert output.splitlines()[0].endswith("  7 of 8 tensors changed")
    assert "and 5 more (--top N or --top all lists them)" in output


def test_all_are_listed_on_demand(tmp_path: Path) -> None:
    paths = pairs.written(tmp_path, lambda s: {k: v + n for n, (k, v) in enumerate(s.items())})
    output = run("diff", "--top", "all", *paths).output
    assert "--top" not in output
    assert sum(" at [" in line for line in output.splitlines()) == 7


@pytest.mark.parametrize(
    ("order", "first"),
    [
        ("name", "blocks.0.attn.qkv.weight"),
        ("size", "decoder_blocks.0.mlp.fc2.weight"),
        ("change", "pos_embed"),
    ],
)
def test_the_order_is_chosen(tmp_path: Path, order: str, first: str) -> None:
    def change(state: pairs.State) -> pairs.State:
        scaled = {name: 1.1 * tensor for name, tensor in state.items()}
        kept = ("blocks.0.mlp.fc1.weight", "blocks.1.mlp.fc1.weight")
        same = {name: state[name] for name in kept}
        return {**scaled, **same, "pos_embed": -state["pos_embed"]}

    lines = run("diff", "--stat", "--sort", order, *pairs.written(tmp_path, change)).output
    stat = [line for line in lines.splitlines() if " | " in line and "%" in line]
    assert stat[0].split()[0] == first
    assert len(stat) == 6


def test_json_has_the_fields_that_were_promised(tmp_path: Path) -> None:
    paths = pairs.written(tmp_path, pairs.CASES["a-nan"].change)
    result = run("diff", "--format", "json", *paths)
    report = json.loads(result.stdout)
    assert (report["command"], report["verdict"], report["exit_code"]) == ("diff", "different", 1)
    assert [report[side]["path"] for side in ("left", "right")] == list(paths)
    assert report["summary"]["changed"] == 1
    assert report["summary"]["identical"] == 7
    assert report["state"] == []
    (tensor,) = [one for one in report["tensors"] if one["class"] == "changed"]
    assert tensor["left"] == {
        "names": ["blocks.1.attn.qkv.weight"],
        "dtype": "float32",
        "shape": [12, 4],
    }
    assert (tensor["changed"], tensor["nan_right"], tensor["max_abs"]) == (1, 1, 0.0)


def test_numbers_that_are_not_finite_are_strings(tmp_path: Path) -> None:
    left = pairs.save(tmp_path, "a.pth", {"w": torch.tensor([1e308], dtype=torch.float64)})
    right = pairs.save(tmp_path, "b.pth", {"w": torch.tensor([-1e308], dtype=torch.float64)})
    (tensor,) = json.loads(run("diff", "--format", "json", left, right).stdout)["tensors"]
    assert tensor["max_abs"] == "Infinity"


def test_state_and_structure_are_shown(tmp_path: Path) -> None:
    left = pairs.save(tmp_path, "a.pth", pairs.training())
    right = pairs.save(tmp_path, "b.pth", {**pairs.training(epoch=4), "extra": [1]})
    output = run("diff", left, right).output
    assert "epoch: 3 -> 4" in output
    assert "extra: absent -> [1]" in output
    told = "beside the weights all 2 tensors identical, 2 values differ"
    assert output.splitlines()[0].endswith(told)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "has errors"),
        (b"GGUF\0", "cannot be read"),
        (p.pickle(p.call(p.name("os", "system"), p.text("x"))), "has errors"),
    ],
)
def test_the_bad_file_is_named(content: bytes, told: str, tmp_path: Path) -> None:
    good = built.saved(tmp_path, built.sound)
    (tmp_path / "bad.pth").write_bytes(content)
    result = run("diff", good, str(tmp_path / "bad.pth"))
    assert result.exit_code == 2
    assert f"the right file {told}" in result.output
    assert "the left file" not in result.output


@pytest.mark.parametrize(
    "options",
    [
        ("--exact", "--atol", "1"),
        ("--exact", "--equal-nan"),
        ("--atol", "-1"),
        ("--atol", "nan"),
        ("--rtol", "inf"),
        ("--max-ulp", "x"),
        ("--include", "nothing"),
        ("--sort", "x"),
    ],
    ids=str,
)
def test_wrong_usage_is_2(tmp_path: Path, options: tuple[str, ...]) -> None:
    assert run("diff", *options, *pairs.written(tmp_path, dict)).exit_code == 2


def test_exact_is_the_default(tmp_path: Path) -> None:
    paths = pairs.written(tmp_path, pairs.CASES["negative-zero"].change)
    assert run("diff", "--exact", *paths).exit_code == 1


def test_hostile_names_are_escaped(tmp_path: Path) -> None:
    left = built.saved(tmp_path, built.hostile_name, "a.pth")
    right = built.saved(tmp_path, built.sound, "b.pth")
    for view in ((), ("--stat",), ("--format", "json")):
        output = run("diff", *view, left, right).output
        assert "pwned" in output
        assert "\x1b" not in output
        assert "::error" not in output
    assert "\x1b" not in run("textconv", left).output


def test_diff_needs_no_torch(tmp_path: Path) -> None:
    paths = pairs.written(tmp_path, CHANGED)
    script = "import sys; sys.modules['torch'] = None; from ckpttool.cli import main; main()"
    command = [sys.executable, "-W", "error", "-c", script, "diff", *paths]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
@pytest.mark.parametrize("command", ["diff", "git-diff"])
def test_no_thread_of_a_library_waits_beside_those_that_compare(
    tmp_path: Path, command: str
) -> None:
    left, right = pairs.written(tmp_path, CHANGED)
    given = [left, right] if command == "diff" else ["w.pth", left, "0", "100644", right, "0", "0"]
    script = """
import os, sys
from ckpttool.cli import main
print(main(sys.argv[1:], standalone_mode=False) in (0, 1), "numpy" in sys.modules)
print(len(os.listdir("/proc/self/task")))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, command, *given],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"},
    )
    assert done.stdout.splitlines()[-2:] == ["True True", "1"]


# --- textconv -----------------------------------------------------------------------------


def test_text_is_one_stable_line_a_tensor(tmp_path: Path) -> None:
    state = pairs.state()
    one = pairs.save(tmp_path, "a.pth", {"model": state, "epoch": 3})
    turned = dict(reversed(list(state.items())))
    other = pairs.save(tmp_path, "b.pth", {"epoch": 3, "weights": turned})
    text, again = (run("textconv", path).output for path in (one, other))
    assert text == again
    lines = text.splitlines()
    assert lines[0] == f"8 tensors, {sum(t.numel() for t in state.values())} parameters"
    assert lines[1].startswith("blocks.0.attn.qkv.weight float32 [12, 4] sha256:")
    assert " rms " in lines[1]
    assert lines[-1] == "epoch: 3"


def test_long_values_differ_where_they_are_not_shown(tmp_path: Path) -> None:
    longs = [list(range(300)), [*range(150), 999, *range(151, 300)]]
    left, right = (
        pairs.save(tmp_path, f"{n}.pth", {"model": pairs.state(), "args": {"steps": value}})
        for n, value in enumerate(longs)
    )
    assert "149, 150, 151, 15" in run("diff", left, right).output
    assert "149, 999, 151, 15" in run("diff", left, right).output
    texts = [run("textconv", path).output.splitlines()[-1] for path in (left, right)]
    assert texts[0] != texts[1]
    assert max(map(len, texts)) < 400


def test_a_file_that_cannot_be_read_has_no_text(tmp_path: Path) -> None:
    (tmp_path / "bad.pth").write_bytes(b"")
    result = run("textconv", str(tmp_path / "bad.pth"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "the file is empty [FIL006]" in result.stderr


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"


def test_pointers_of_git_lfs_are_told_by_what_they_point_to(tmp_path: Path) -> None:
    texts = []
    for digit, size in (("a", 5), ("b", 5), ("b", 6)):
        (tmp_path / "p").write_text(POINTER.format(64 * digit, size))
        result = run("textconv", str(tmp_path / "p"))
        assert result.exit_code == 0
        texts.append(result.output)
    assert len(set(texts)) == 3
    assert f"Git LFS pointer: oid sha256:{64 * 'b'}" in texts[2]
    assert "Git LFS pointer: size 6" in texts[2]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param([1, 2], (1, 2), id="list or tuple"),
        pytest.param({1: 2}, {"1": 2}, id="number or text as key"),
        pytest.param({(1, 2): 3}, {(1, 3): 3}, id="tuples as keys"),
        pytest.param(np.arange(2000), np.arange(2000)[::-1].copy(), id="large arrays"),
        pytest.param({"e": torch.ones(1)}, {"e": torch.zeros(1)}, id="tensors"),
        pytest.param([torch.eye(2).to_sparse()], [torch.eye(3).to_sparse()], id="sparse"),
        pytest.param({"k" * 300 + "a": 1}, {"k" * 300 + "b": 1}, id="long keys"),
        pytest.param({"k" + "x" * 300 + "k": 1}, {"k" + "y" * 300 + "k": 1}, id="their middle"),
    ],
)
def test_other_content_is_other_text(tmp_path: Path, one: Any, other: Any) -> None:
    paths = [
        pairs.save(tmp_path, f"{number}.pth", {"model": pairs.state(), "x": value})
        for number, value in enumerate((one, other))
    ]
    texts = [run("textconv", path).output for path in paths]
    assert texts[0] != texts[1]


def test_a_kind_that_is_not_read_is_told_by_what_makes_it_up(tmp_path: Path) -> None:
    texts = []
    for number, value in enumerate((1.0, 1.0, 2.0)):
        mask = {"mask": (torch.eye(3) * value).to_sparse()}
        path = pairs.save(tmp_path, f"{number}.pth", {**pairs.state(), **mask})
        texts.append(run("textconv", path).output)
    assert texts[0] == texts[1] != texts[2]
    assert "not all of it is read" not in texts[0]


def test_what_cannot_be_told_is_told_by_the_sum_of_the_file(tmp_path: Path) -> None:
    texts = []
    for value in (1.0, 2.0):
        keyed = {"model": pairs.state(), "of": {torch.tensor(value): 1}}
        path = pairs.save(tmp_path, "a.pth", keyed)
        texts.append(run("textconv", path).output.splitlines()[-1])
    assert texts[0] != texts[1]
    assert texts[0].startswith("not all of it is read: sha256:")


# --- git ----------------------------------------------------------------------------------

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="no git here")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two versions of a checkpoint, the second one in the working tree."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / ".gitattributes").write_text("*.pth diff=ckpttool\n")
    pairs.save(folder, "w.pth", {"model": pairs.state()})
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    pairs.save(folder, "w.pth", {"model": CHANGED(pairs.state())})
    return folder


def git(folder: Path, *arguments: str, **settings: str) -> str:
    """Run git with settings of this call only, and with nobody's own configuration."""
    given = [("-c", f"{name.replace('__', '.')}={value}") for name, value in settings.items()]
    options = [word for pair in given for word in pair]
    name = {
        f"GIT_{who}_{what}": "x@y" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    environment = {**os.environ, **name, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_PAGER": "cat"}
    done = subprocess.run(
        ["git", *options, *arguments],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


OURS = f"'{sys.executable}' -m ckpttool"


@needs_git
def test_git_diff_shows_text_that_was_converted(repository: Path) -> None:
    output = git(repository, "diff", diff__ckpttool__textconv=f"{OURS} textconv")
    changed = [line for line in output.splitlines() if line[:1] in "+-" and line[1:2] not in "+-"]
    assert [line.split()[0] for line in changed] == [
        "-blocks.1.attn.qkv.weight",
        "+blocks.1.attn.qkv.weight",
    ]
    assert "Binary files" not in output


@needs_git
def test_git_diff_shows_the_report(repository: Path) -> None:
    output = git(repository, "diff", diff__ckpttool__command=f"{OURS} git-diff")
    assert "DIFFERENT a/w.pth | b/w.pth  1 of 8 tensors changed" in output
    assert "blocks.1.attn.qkv.weight" in output


@needs_git
def test_git_shows_what_is_new_deleted_and_moved(repository: Path) -> None:
    command = {"diff__ckpttool__command": f"{OURS} git-diff"}
    shown = git(repository, "show", "--ext-diff", "--format=", **command)
    assert "ckpttool: new checkpoint w.pth" in shown
    assert "+blocks.0.attn.qkv.weight float32 [12, 4]" in shown
    git(repository, "checkout", "-q", "w.pth")
    git(repository, "mv", "w.pth", "v.pth")
    assert "SAME a/w.pth | b/v.pth" in git(repository, "diff", "--cached", "-M", **command)
    git(repository, "rm", "-qf", "v.pth")
    gone = git(repository, "diff", "--cached", "--no-renames", **command)
    assert "ckpttool: deleted checkpoint w.pth" in gone


@needs_git
def test_git_difftool_runs_diff(repository: Path) -> None:
    settings: dict[str, Any] = {
        "difftool__ckpttool__cmd": f'{OURS} diff "$LOCAL" "$REMOTE"',
        "difftool__prompt": "false",
    }
    output = git(repository, "difftool", "--tool=ckpttool", **settings)
    assert "1 of 8 tensors changed" in output


def test_git_diff_of_what_is_not_merged(tmp_path: Path) -> None:
    result = run("git-diff", "w.pth")
    assert (result.exit_code, result.output) == (0, "ckpttool: w.pth is not merged\n")
    assert run("git-diff", "a", "b").exit_code == 2


# --- globs ---------------------------------------------------------------------------------


def test_a_glob_stands_for_the_one_file_that_it_matches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pairs.save(tmp_path, "left.pth", pairs.state())
    pairs.save(tmp_path, "right.pth", pairs.state())
    (tmp_path / "left folder").mkdir()
    result = run("diff", "left*", "ri[a-z]ht.pth")
    assert result.exit_code == 0
    assert "SAME left.pth | right.pth" in result.output


@pytest.mark.parametrize(
    ("glob", "found"), [("*.pth", "found 2: left.pth, right.pth"), ("*.bin", "found none")]
)
@pytest.mark.parametrize("side", [0, 1])
def test_a_glob_that_matches_another_number_of_files_is_wrong_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, glob: str, found: str, side: int
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("left.pth", "right.pth"):
        pairs.save(tmp_path, name, pairs.state())
    paths = ["left.pth", "right.pth"]
    paths[side] = glob
    result = run("diff", *paths)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"error: {glob}: a glob has to match one file here ({found})" in result.stderr


def test_a_file_that_is_called_like_a_glob_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("[ab].pth", "a.pth", "b.pth"):
        pairs.save(tmp_path, name, pairs.state())
    assert "SAME [ab].pth | b.pth" in run("diff", "[ab].pth", "b.pth").output
