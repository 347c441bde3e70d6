"""The commands in this process: help, exit codes, and what stands on which stream."""

from __future__ import annotations

import argparse
import errno
import json
from pathlib import Path

import click
import pytest
from click.testing import Result

from ckpttool.cli import main
from tests.builders import checkpoints as built
from tests.builders import neighbours
from tests.builders.commands import invoke, runner
from tests.builders.repository import ROOT

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")


COMMANDS = [main, *main.commands.values()]


def run(*arguments: str) -> Result:
    return runner().invoke(main, arguments)


def stdout_of(result: Result) -> str:
    # before click 8.2, `output` holds both streams only if they are mixed
    return result.stdout


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command.name))
def test_every_command_and_option_has_help(command: click.Command) -> None:
    assert command.help
    options = [one for one in command.params if isinstance(one, click.Option)]
    assert [option.name for option in options if not option.help] == []
    assert "Exit codes" in (command.epilog or "")


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("name", ["", *main.commands])
def test_help_is_shown(name: str, flag: str) -> None:
    result = run(*[name] * bool(name), flag)
    assert result.exit_code == 0
    assert result.output.startswith("Usage: ")
    assert "\\b" not in result.output  # what keeps lines apart is read, and not shown


def test_lines_of_a_help_that_are_to_be_pasted_stay_apart() -> None:
    assert '\n  bash   eval "$(ckpttool completion bash)"' in run("completion", "--help").output


@pytest.mark.parametrize(
    ("content", "options", "code", "word"),
    [
        pytest.param(built.sound, [], 0, "PASS", id="passes"),
        pytest.param(built.encoder_only, ["--require", "full"], 1, "FAIL", id="fails"),
        pytest.param(built.no_tensor, [], 2, "CANNOT TELL", id="cannot tell"),
    ],
)
def test_the_verdict_is_the_exit_code(
    tmp_path: Path, tiny: str, content: built.Content, options: list[str], code: int, word: str
) -> None:
    path = built.saved(tmp_path, content)
    done = invoke("verify", "--model", tiny, "--no-forward", *options, path)
    assert done.code == code
    assert f"{word} {path}  " in done.out.splitlines()[0]


def test_of_several_files_the_worst_counts(tmp_path: Path, tiny: str) -> None:
    good = built.saved(tmp_path, built.sound, "good.pth")
    bad = built.saved(tmp_path, built.encoder_block_missing, "bad.pth")
    codes = [
        run("verify", "--model", tiny, "--no-forward", *paths).exit_code
        for paths in ([good, good], [good, bad], [bad, str(tmp_path / "missing"), good])
    ]
    assert codes == [0, 1, 2]


def test_json_is_all_that_stands_on_standard_output(tmp_path: Path, tiny: str) -> None:
    path = built.saved(tmp_path, built.hostile_name)
    result = run("verify", "--model", tiny, "--format", "json", path, str(tmp_path / "missing"))
    report = json.loads(stdout_of(result))
    assert report["exit_code"] == result.exit_code == 2
    assert [file["format"] for file in report["files"]] == ["torch-zip", None]
    assert "\n::" not in stdout_of(result)


def test_a_pipe_gets_no_escapes(tmp_path: Path, tiny: str) -> None:
    path = built.saved(tmp_path, built.hostile_name)
    for result in (run("verify", "--model", tiny, "--no-forward", path), run("inspect", path)):
        assert "pwned" in result.output
        assert "\x1b" not in result.output
        assert "::error" not in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["inspect"], id="no path"),
        pytest.param(["verify", "--format", "xml", "x"], id="no such format"),
        pytest.param(["verify", "--workers", "0", "x"], id="no worker"),
        pytest.param(["verify", "--model", "x", "x"], id="no such model"),
        pytest.param(["frobnicate"], id="no such command"),
    ],
)
def test_wrong_usage_is_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # no configuration names a checkpoint there
    assert run(*arguments).exit_code == 2


def test_a_mistake_is_told_in_one_line(tmp_path: Path) -> None:
    path = built.saved(tmp_path, built.sound)
    done = invoke("inspect", "--wrapper", "nope", path)
    assert done.code == 2
    assert "'nope'" in done.error


# --- what should not happen -----------------------------------------------------------


def broken(*_: object, **__: object) -> None:
    raise RuntimeError("two\nlines \x1b[2J")


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def exhausted(*_: object, **__: object) -> None:
    raise MemoryError


@pytest.fixture
def empty(tmp_path: Path) -> str:
    """A file that is there, for commands that do something else than read it."""
    path = tmp_path / "empty.pth"
    path.touch()
    return str(path)


def test_a_bug_is_one_line_and_3(monkeypatch: pytest.MonkeyPatch, empty: str) -> None:
    monkeypatch.setattr("ckpttool.inspection.listing.listed", broken)
    done = invoke("inspect", empty)
    assert done.code == 3
    assert done.error.startswith("error: internal error: RuntimeError: two lines")
    assert "\x1b" not in done.err
    (tip,) = done.tips
    assert "report it" in tip


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(OSError(errno.EMFILE, "Too many open files"), id="descriptors"),
        pytest.param(OSError(errno.ENFILE, "Too many open files"), id="descriptors of all"),
        pytest.param(BlockingIOError(errno.EAGAIN, "Try again"), id="processes"),
        pytest.param(RuntimeError("can't start new thread"), id="threads"),
    ],
)
def test_a_limit_of_the_system_is_no_bug(
    monkeypatch: pytest.MonkeyPatch, empty: str, error: Exception
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("ckpttool.inspection.listing.listed", refused)
    result = run("inspect", empty)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line == f"error: {error}: that is as many as the system allows. See ulimit -a."


def test_an_error_of_the_disk_is_no_bug_either(monkeypatch: pytest.MonkeyPatch, empty: str) -> None:
    def failed(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr("ckpttool.inspection.listing.listed", failed)
    result = run("inspect", empty)
    assert (result.exit_code, result.stderr) == (2, "error: broken\n")


def test_debug_shows_where_a_bug_is(monkeypatch: pytest.MonkeyPatch, empty: str) -> None:
    monkeypatch.setattr("ckpttool.inspection.listing.listed", broken)
    result = run("inspect", "--debug", empty)
    assert result.exit_code == 3
    assert "Traceback" in result.stderr


def test_an_interruption_is_130_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, empty: str
) -> None:
    monkeypatch.setattr("ckpttool.inspection.listing.listed", interrupted)
    result = run("inspect", empty)
    assert result.exit_code == 130
    assert result.stderr.strip() == "error: interrupted"


def test_too_little_memory_cannot_tell(monkeypatch: pytest.MonkeyPatch, empty: str) -> None:
    monkeypatch.setattr("ckpttool.inspection.listing.listed", exhausted)
    assert run("inspect", empty).exit_code == 2


# --- inspect and sample ---------------------------------------------------------------


def test_inspect_shows_the_tree_and_what_else_is_there(tmp_path: Path) -> None:
    result = run("inspect", built.saved(tmp_path, built.namespace_beside))
    assert result.exit_code == 0
    assert "blocks.{0-1}" in result.output
    assert "2 x 12 tensors" in result.output
    assert "    args  argparse.Namespace, 1 attribute\n" in result.output
    assert "argparse.Namespace\n" in result.output


def test_inspect_all_unfolds_blocks(tmp_path: Path) -> None:
    result = run("inspect", "--all", built.saved(tmp_path, built.sound))
    assert "blocks.{0-1}" not in result.output


def test_inspect_marks_an_attack_and_fails(tmp_path: Path) -> None:
    result = run("inspect", built.saved(tmp_path, built.attack_beside))
    assert result.exit_code == 1
    assert "! posix.system (called, and known from attacks)" in result.output
    assert "posix.system('" in result.output
    assert "SEC001" in result.output


def test_inspect_says_which_model_beside_mae_a_file_is(tmp_path: Path) -> None:
    path = built.saved(tmp_path, lambda: neighbours.tensors(neighbours.videomae()))
    text = run("inspect", path).output
    assert "a VideoMAE, 2 blocks of width 8, patches of 2 x 4 x 4: an MAE could take" in text
    assert "by 6 names such as encoder.patch_embed.proj.weight" in text
    (listing,) = json.loads(run("inspect", "--format", "json", path).output)["files"]
    assert listing["neighbour"]["name"] == "VideoMAE"
    assert "could take" not in run("inspect", built.saved(tmp_path, built.sound)).output


def test_inspect_shows_the_settings_of_the_run(tmp_path: Path) -> None:
    args = argparse.Namespace(
        norm_pix_loss=True, img_size=[224, 192], name="run\x1b[2J", api_key="sk-" + 40 * "x"
    )
    content = {"model": built.state(), "epoch": 3, "args": args, "note": "hf_" + 40 * "y"}
    path = built.saved(tmp_path, lambda: content)
    text = run("inspect", path).output
    assert "      norm_pix_loss  True\n" in text
    assert "      img_size       [224, 192]\n" in text
    assert "    epoch            3\n" in text
    assert text.count("epoch   ") == 1
    assert "\x1b" not in text
    for output in (text, run("inspect", "--format", "json", path).output):
        assert "xxxxxx" not in output
        assert "yyyyyy" not in output
        assert "sk-x" in output


BESIDE = "tests.builders.checkpoints.Pair"


def test_inspect_lists_what_is_trusted_and_passes(tmp_path: Path) -> None:
    path = built.saved(tmp_path, built.called_beside)
    assert run("inspect", path).exit_code == 1
    result = run("inspect", "--trust", BESIDE, path)
    assert result.exit_code == 0
    assert f"{BESIDE} (called, and trusted)" in result.output
    assert "SEC009" in result.output


@pytest.mark.parametrize("command", [("inspect",), ("verify", "--no-forward")])
@pytest.mark.parametrize("pattern", ["*", "*.Pair", "", "os", "tests."])
def test_trust_begins_with_a_package(
    command: tuple[str, ...], pattern: str, tmp_path: Path
) -> None:
    result = run(*command, "--trust", pattern, built.saved(tmp_path, built.called_beside))
    assert result.exit_code == 2
    assert "--trust" in result.stderr


@pytest.mark.parametrize("command", [("inspect",), ("verify", "--no-forward")])
def test_the_configuration_says_what_is_trusted(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = built.saved(tmp_path, built.called_beside)
    assert "SEC002" in run(*command, path).output
    (tmp_path / "ckpttool.toml").write_text('trust = ["tests.builders.*"]\n')
    monkeypatch.chdir(tmp_path)
    output = run(*command, path).output
    assert "SEC009" in output
    assert "SEC002" not in output


def test_a_wrapper_that_is_not_there_does_not_hide_an_attack(tmp_path: Path) -> None:
    path = built.saved(tmp_path, built.attack_beside)
    for command in (("inspect",), ("verify", "--no-forward")):
        result = run(*command, "--wrapper", "nothing.like.it", path)
        assert result.exit_code == 1
        assert "SEC001" in result.output
    assert run("inspect", "--wrapper", "x", built.saved(tmp_path, built.sound)).exit_code == 2


def test_inspect_says_which_state_dict_it_lists(tmp_path: Path) -> None:
    path = built.saved(tmp_path, built.averaged_weights_beside)
    assert "not listed: model_ema" in run("inspect", path).output
    assert "not listed: model (" in run("inspect", "--wrapper", "model_ema", path).output


def test_inspect_lists_every_tensor_as_json(tmp_path: Path) -> None:
    result = run("inspect", "--format", "json", built.saved(tmp_path, built.sparse_tensor_added))
    (file,) = json.loads(stdout_of(result))["files"]
    assert [row["name"] for row in file["tensors"]] == list(built.state())
    (unread,) = file["unread"]
    assert (unread["name"], unread["reason"]) == ("mask", "a sparse tensor")
    assert (unread["class"], unread["dtype"], unread["shape"]) == (
        "torch.Tensor",
        "float32",
        [3, 3],
    )
    assert [row["name"] for row in unread["parts"]] == ["mask.indices", "mask.values"]
    assert file["references"][0].keys() == {"name", "kind", "offset"}


def test_inspect_of_a_bad_file_has_the_exit_codes_of_verify(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pth"
    empty.touch()
    assert run("inspect", str(empty)).exit_code == 1
    assert run("inspect", str(tmp_path / "missing")).exit_code == 2


def test_sample_says_that_its_weights_are_untrained(tmp_path: Path, tiny: str) -> None:
    path = str(tmp_path / "stand-in.pth")
    result = run("sample", "--model", tiny, path)
    assert result.exit_code == 0
    assert "UNTRAINED" in result.output
    told = run("verify", "--model", tiny, "--no-forward", path)
    assert told.exit_code == 0
    assert "MOD001" in told.output


def test_sample_replaces_nothing_unasked(tmp_path: Path, tiny: str) -> None:
    path = tmp_path / "stand-in.pth"
    path.write_text("mine")
    assert run("sample", "--model", tiny, str(path)).exit_code == 2
    assert path.read_text() == "mine"
    assert run("sample", "--model", tiny, "--force", str(path)).exit_code == 0


def test_help_and_documents_tell_the_same_of_exit_codes() -> None:
    """1 is said of a file's content alone; a broken package and a full system are 2 everywhere."""
    for page in ("README.md", "docs/architecture.md", "docs/gate.md", "docs/convert.md"):
        rows = [line for line in (ROOT / page).read_text().splitlines() if line.startswith("| ")]
        codes = {line.split(" | ")[0].strip("| ").split(" ")[0]: line for line in rows}
        assert "package" in codes["2"], page
        assert "limit" in codes["2"], page
        assert "bug" in codes["3"], page
        assert "package" not in codes["1"], page
    told = " ".join(run("verify", "--help").stdout.split())
    assert "2 cannot tell (wrong usage, unreadable, unsupported, a broken package, a limit" in told
