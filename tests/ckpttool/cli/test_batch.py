"""The files of a run: globs, folders and lists."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import save_file

from tests.builders import checkpoints as built
from tests.builders.commands import Done, invoke

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two checkpoints in ``runs``."""
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    for name in ("b", "a"):
        built.saved(Path("runs"), built.sound, f"{name}.pth")


def listed(done: Done) -> list[str]:
    assert done.code == 0, done.err
    return [Path(file["path"]).as_posix() for file in json.loads(done.out)["files"]]


def inspect(*arguments: str, stdin: bytes | None = None) -> Done:
    return invoke("inspect", "--format", "json", *arguments, stdin=stdin)


@pytest.mark.parametrize("path", ["runs", "runs/*.pth", "**/*.pth"])
def test_a_folder_or_a_glob_stands_for_its_files(path: str) -> None:
    assert listed(inspect(path)) == ["runs/a.pth", "runs/b.pth"]


def test_verify_takes_them_too(tiny: str) -> None:
    done = invoke("verify", "--model", tiny, "--no-forward", "--format", "json", "runs")
    assert listed(done) == ["runs/a.pth", "runs/b.pth"]
    assert " in 2 files (" in done.last


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"runs/b.pth\nruns/a.pth\n", id="lines"),
        pytest.param(b"runs/b.pth\r\n\r\nruns/a.pth", id="lines of Windows, one empty"),
        pytest.param(b"runs/b.pth\0runs/a.pth\0", id="NUL"),
        pytest.param(b"runs/b.pth\nruns\n", id="a folder, one file of it named before"),
    ],
)
def test_a_list_has_a_path_a_line_or_a_nul(content: bytes) -> None:
    Path("list").write_bytes(content)
    assert listed(inspect("--files-from", "list")) == ["runs/b.pth", "runs/a.pth"]
    assert listed(inspect("--files-from", "-", stdin=content)) == ["runs/b.pth", "runs/a.pth"]


def test_a_name_between_nuls_may_hold_a_new_line() -> None:
    Path("runs/a.pth").rename("runs/two\nlines.pth")
    content = b"runs/two\nlines.pth\0"
    assert listed(inspect("--files-from", "-", stdin=content)) == ["runs/two\nlines.pth"]


def test_a_list_adds_to_the_paths_and_holds_no_globs() -> None:
    done = inspect("runs/b.pth", "--files-from", "-", stdin=b"runs/a.pth\nruns/*.pth\n")
    files = json.loads(done.out)["files"]
    assert [file["path"] for file in files] == ["runs/b.pth", "runs/a.pth", "runs/*.pth"]
    assert done.code == 2


@pytest.mark.parametrize(
    ("path", "is_release"),
    [("runs", True), ("runs/a.pth", False), ("runs/*.pth", False), (".", False)],
)
def test_a_folder_that_is_named_is_taken_for_a_release(
    path: str, is_release: bool, tiny: str
) -> None:
    done = invoke("verify", "--model", tiny, "--no-forward", path)
    assert ("HUB011 no-model-card" in done.out) is is_release


def test_verify_takes_the_configured_checkpoint_where_none_is_named(tiny: str) -> None:
    Path("ckpttool.toml").write_text('checkpoint = "runs/a.pth"')
    arguments = ("verify", "--model", tiny, "--no-forward", "--format", "json")
    assert listed(invoke(*arguments)) == ["runs/a.pth"]
    assert listed(invoke(*arguments, "runs/b.pth")) == ["runs/b.pth"]
    assert invoke(*arguments, "--files-from", "-", stdin=b"").code == 2


@pytest.mark.parametrize("command", ["verify", "inspect", "lock"])
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param([], "no path was given", id="no path"),
        pytest.param(["--files-from", "-"], "an empty list", id="an empty list"),
        pytest.param(["--files-from", "none"], "none: the list of files cannot", id="no list"),
    ],
)
def test_where_nothing_is_named_it_cannot_tell(
    command: str, arguments: list[str], told: str
) -> None:
    done = invoke(command, *arguments, stdin=b"\n")
    assert (done.code, done.out) == (2, "")
    assert told in done.error


@pytest.mark.parametrize("command", ["verify", "inspect"])
@pytest.mark.parametrize(
    ("path", "told"),
    [("runs/*.bin", "no file matches"), ("empty", "there is no checkpoint in this folder")],
)
def test_where_a_path_stands_for_nothing_the_report_says_so(
    command: str, path: str, told: str
) -> None:
    Path("empty").mkdir()
    done = invoke(command, "--format", "json", path)
    (file,) = json.loads(done.out)["files"]
    assert done.code == 2
    assert told in file["findings"][0]["message"]


@pytest.mark.parametrize("command", ["inspect", "verify --model={} --no-forward"])
def test_without_a_path_the_configured_checkpoint_is_taken(command: str, tiny: str) -> None:
    Path("ckpttool.toml").write_text('checkpoint = "runs/a.pth"')
    done = invoke(*command.format(tiny).split(), "--format", "json")
    assert listed(done) == ["runs/a.pth"]


def test_lock_takes_the_configured_checkpoint_too(tiny: str) -> None:
    Path("ckpttool.toml").write_text('checkpoint = "runs/a.pth"')
    done = invoke("lock", "--model", tiny, "--no-forward", "-o", "-")
    assert done.code == 0
    assert "runs/a.pth" in done.out


# --- an option that one of the files cannot do ------------------------------------------------


OPTIONS = ("--wrapper", "model_ema")


@pytest.fixture
def mixed() -> Path:
    """Checkpoints in a folder ``mixed``, of which one alone has the wrapper model_ema."""
    folder = Path("mixed")
    folder.mkdir()
    built.saved(folder, built.averaged_weights_beside, "averaged.pth")
    built.saved(folder, built.sound, "sound.pth")
    save_file(built.state(), str(folder / "plain.safetensors"))
    return folder


@pytest.mark.parametrize("command", ["inspect", "verify --model={} --no-forward"])
@pytest.mark.parametrize("lacking", ["sound.pth", "plain.safetensors"])
@pytest.mark.parametrize("first", [True, False])
def test_what_one_of_several_files_lacks_does_not_hide_the_others(
    mixed: Path, command: str, lacking: str, first: bool, tiny: str
) -> None:
    paths = [str(mixed / lacking), str(mixed / "averaged.pth")][:: 1 if first else -1]
    done = invoke(*command.format(tiny).split(), "--format", "json", *OPTIONS, *paths)
    files = {Path(file["path"]).name: file for file in json.loads(done.out)["files"]}
    assert done.code == 2
    assert [found["code"] for found in files[lacking]["findings"]] == ["CVT201"]
    assert "wrapper" in files[lacking]["findings"][0]["message"]
    assert "CVT201" not in {found["code"] for found in files["averaged.pth"]["findings"]}
    assert files["averaged.pth"]["wrapper"] == "model_ema"


def test_of_a_folder_each_file_is_told_by_itself(mixed: Path) -> None:
    done = inspect(*OPTIONS, str(mixed))
    listed_ones = [file["wrapper"] for file in json.loads(done.out)["files"]]
    assert (done.code, listed_ones) == (2, ["model_ema", None, None])


@pytest.mark.parametrize("command", ["inspect", "verify --no-forward", "lock --no-forward"])
@pytest.mark.parametrize("lacking", ["sound.pth", "plain.safetensors"])
def test_one_file_that_lacks_it_is_an_error_message(
    mixed: Path, command: str, lacking: str
) -> None:
    done = invoke(*command.split(), *OPTIONS, str(mixed / lacking))
    assert (done.code, done.out) == (2, "")
    assert done.error.startswith(f"error: {mixed / lacking}: ")
    assert "wrapper" in done.error


def test_where_one_file_lacks_it_nothing_is_locked_and_the_report_says_why(
    mixed: Path, tiny: str
) -> None:
    paths = [str(mixed / name) for name in ("averaged.pth", "sound.pth")]
    done = invoke("lock", "--model", tiny, "--no-forward", *OPTIONS, *paths)
    assert done.code == 2
    assert "CVT201" in done.out
    assert "averaged.pth" in done.out
    assert not Path("ckpttool.lock").exists()


def test_what_is_wrong_for_all_files_ends_the_run() -> None:
    done = invoke("verify", "--model", "no_such_model", "--no-forward", "runs/a.pth", "runs/b.pth")
    assert (done.code, done.out) == (2, "")
    assert done.error == "error: invalid value 'no_such_model' for '--model'"


def test_a_wrapper_that_one_file_lacks_does_not_hide_that_it_attacks(mixed: Path) -> None:
    built.saved(mixed, built.attack_beside, "attack.pth")
    done = inspect("--wrapper", "nothing", str(mixed / "attack.pth"), str(mixed / "sound.pth"))
    codes = [[one["code"] for one in file["findings"]] for file in json.loads(done.out)["files"]]
    assert "SEC001" in codes[0]
    assert codes[1] == ["CVT201"]
    assert done.code == 2


def test_a_standard_input_that_is_closed_is_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    from ckpttool.cli.batch import targets
    from ckpttool.cli.options import Configured
    from ckpttool.findings.errors import UsageError

    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UsageError, match="closed"):
        targets(Configured(), (), "-")
