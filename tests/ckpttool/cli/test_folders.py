"""A folder on the command line: every file of it is accounted for, and the verdict says which."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any, Callable

import pytest
import torch

from ckpttool.reports import REPORTERS
from tests.builders import checkpoints as built
from tests.builders.commands import Done, invoke

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")


class Attack:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("true",)


@pytest.fixture(autouse=True)
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: str) -> Path:
    """A sound checkpoint and a configuration in ``work/release``."""
    folder = tmp_path / "work" / "release"
    folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    built.saved(folder, built.sound, "model.pth")
    (folder / "config.json").write_text("{}")
    return folder


def verify(*arguments: str) -> Done:
    return invoke("verify", "--model", "tiny", "--no-forward", *arguments)


def report(*arguments: str) -> Any:
    return json.loads(verify("--format", "json", *arguments).out)


def standings(done: Any) -> dict[str, str]:
    return {item["path"]: item["standing"] for item in done["inventory"]}


def nan() -> object:
    return {"model": {name: one * float("nan") for name, one in built.state().items()}}


# --- what would have passed beside a sound file ---------------------------------------------------


def attack_as_text(folder: Path) -> Path:
    (folder / "notes.txt").write_bytes(pickle.dumps(Attack(), 0))
    return folder / "notes.txt"


def attack_in_a_hidden_folder(folder: Path) -> Path:
    (folder / ".cache").mkdir()
    torch.save({"x": Attack()}, folder / ".cache" / "state")
    return folder / ".cache" / "state"


def attack_as_a_shard(folder: Path) -> Path:
    """Of an index that nobody reads any further, because it lists torch's files."""
    torch.save({"x": Attack()}, folder / "x-00001-of-00001.bin")
    (folder / "x.bin.index.json").write_text('{"weight_map": {"x": "x-00001-of-00001.bin"}}')
    return folder / "x-00001-of-00001.bin"


def attack_as_training_state(folder: Path) -> Path:
    torch.save({"state": {}, "param_groups": [{"params": [Attack()]}]}, folder / "optimizer.pt")
    return folder / "optimizer.pt"


def nan_under_another_name(folder: Path) -> Path:
    return Path(built.saved(folder, nan, "best.pth.tar"))


def nan_through_a_link(folder: Path) -> Path:
    outside = built.saved(folder.parents[1], nan, "outside")
    (folder / "linked").symlink_to(outside)
    return folder / "linked"


def nan_in_a_linked_folder(folder: Path) -> Path:
    outside = folder.parents[1] / "f" / "g"
    outside.mkdir(parents=True)
    built.saved(outside, nan, "x.th")
    (folder / "more").symlink_to(outside.parent)
    return folder / "more" / "g" / "x.th"


@pytest.mark.parametrize(
    "build",
    [
        attack_as_text,
        attack_in_a_hidden_folder,
        attack_as_training_state,
        nan_under_another_name,
        nan_through_a_link,
        nan_in_a_linked_folder,
    ],
)
def test_nothing_passes_because_of_its_name_or_place(
    release: Path, build: Callable[[Path], Path]
) -> None:
    assert verify("release").code == 0
    bad = build(release).relative_to(release.parent).as_posix()
    done = report("release")
    assert done["exit_code"] == 1
    verdicts = {file["path"]: file["verdict"] for file in done["files"]}
    assert verdicts == {"release/model.pth": "pass", bad: "fail"}


@pytest.mark.parametrize("named", ["release", "release/x-00001-of-00001.bin"])
def test_an_index_hides_no_attack(release: Path, named: str) -> None:
    attack_as_a_shard(release)
    done = report(named)
    assert done["exit_code"] == 1
    codes = {found["code"] for file in done["files"] for found in file["findings"]}
    assert "SEC001" in codes


@pytest.mark.parametrize("name", ["gone", "gone.pth"])
def test_a_link_to_nothing_cannot_be_told(release: Path, name: str) -> None:
    (release / name).symlink_to("nowhere")
    done = verify("release")
    assert done.code == 2
    assert f"! CANNOT TELL release/{name}" in done.out
    assert "a link to nowhere, which cannot be looked at" in done.out
    assert verify("release", "--exclude", name).code == 0


# --- what the last line says ----------------------------------------------------------------------


def filled(folder: Path) -> None:
    """One file of every standing."""
    (folder / "w.gguf").write_bytes(b"GGUF\3\0\0\0")
    (folder / "x.onnx").write_bytes(b"\x08\x07")
    (folder / "again.pth").symlink_to("model.pth")
    torch.save(torch.get_rng_state(), folder / "rng_state.pth")


def test_the_last_line_counts_everything(release: Path) -> None:
    filled(release)
    done = verify("release", "--exclude", "*.onnx")
    beside = (
        "1 other file known, 1 file of training state, 1 path of a file that counts already, "
        "1 excluded: release/x.onnx (by *.onnx), "
        "1 not looked at: release/w.gguf (a GGUF file of llama.cpp)"
    )
    assert done.code == 0
    assert f"; {beside} - exit 0" in done.last
    assert done.out.splitlines()[-1] == (
        f"\u2713 PASS 1 file: 1 pass; the run itself: 0 errors, 1 warning, 0 notes; {beside}"
    )
    assert standings(report("release", "--exclude", "*.onnx")) == {
        "release/again.pth": "same",
        "release/config.json": "known",
        "release/model.pth": "checked",
        "release/rng_state.pth": "training-state",
        "release/w.gguf": "not-looked-at",
        "release/x.onnx": "excluded",
    }


@pytest.mark.parametrize("name", REPORTERS)
def test_every_report_says_what_was_not_looked_at(release: Path, name: str) -> None:
    filled(release)
    done = verify("release", "--format", name)
    assert "w.gguf" in done.out
    assert done.code == 0
    assert verify("release", "--fail-on", "warning").code == 1


def test_inspect_accounts_for_everything_too(release: Path) -> None:
    filled(release)
    done = invoke("inspect", "release", "--exclude", "*.onnx")
    assert done.code == 0
    assert (
        "other files  1 known, 1 training state, 1 twice, 1 excluded, 1 not looked at" in done.out
    )
    assert "x.onnx" in done.out
    listed = json.loads(invoke("inspect", "release", "--format", "json").out)
    assert standings(listed)["release/w.gguf"] == "not-looked-at"


def test_files_that_are_named_have_no_inventory() -> None:
    assert report("release/model.pth")["inventory"] == []


def test_the_configuration_excludes_as_well(release: Path) -> None:
    filled(release)
    Path("ckpttool.toml").write_text('exclude = ["*.gguf", "*.zip"]')
    done = verify("release", "--exclude", "*.onnx")
    assert "2 excluded" in done.last
    assert "CFG004 exclude-unused: the pattern *.zip leaves out nothing" in done.out


@pytest.mark.parametrize("what", ["release", "release/model.pth"])
def test_a_pattern_that_leaves_out_nothing_is_a_warning(release: Path, what: str) -> None:
    said = "the pattern typo* leaves out nothing of what was found"
    verified = verify(what, "--exclude", "typo*")
    assert f"CFG004 exclude-unused: {said}" in verified.out
    assert verified.code == verify(what).code
    listed = invoke("inspect", what, "--exclude", "typo*")
    assert listed.code == 0
    assert listed.err == f"warning: {said}\n"
    assert listed.out == invoke("inspect", what).out


def test_what_was_not_looked_at_fails_where_the_folder_or_the_change_says_so(release: Path) -> None:
    (release / "blob").write_bytes(bytes(range(256)))
    changed = ("--changed", str(release / "blob"))
    assert verify(str(release)).code == verify(*changed).code == 0
    (release / "ckpttool.toml").write_text('fail-on = "warning"\nignore = ["HUB"]\n')
    (release / "lax").mkdir()
    (release / "model.pth").rename(release / "lax" / "model.pth")
    (release / "lax" / "ckpttool.toml").write_text("")
    assert verify(str(release)).code == verify(*changed).code == 1
    (release / "ckpttool.toml").unlink()
    assert verify(*changed, "--fail-on", "warning").code == 1


def test_a_lock_file_is_not_read_for_what_is_no_checkpoint(release: Path) -> None:
    (release / "notes.txt").write_text("changed")
    (release / "ckpttool.toml").write_text('lock = "not-written-yet.lock"\n')
    assert verify("--changed", str(release / "notes.txt")).code == 0
    assert verify(str(release)).code == 2


def test_an_archive_of_something_else_is_no_checkpoint(release: Path) -> None:
    with zipfile.ZipFile(release / "pages.docx", "w") as archive:
        archive.writestr("[Content_Types].xml", "<x/>")
    with zipfile.ZipFile(release / "x.npz", "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY")
    done = report("release")
    assert done["exit_code"] == 0
    assert [file["path"] for file in done["files"]] == ["release/model.pth"]
    kinds = {item["path"]: item["what"] for item in done["inventory"] if item["weighty"]}
    assert kinds == {
        "release/pages.docx": "an Office document",
        "release/x.npz": "an archive of numpy arrays (.npz)",
    }
    assert report("release/x.npz")["exit_code"] == 2


def test_reports_name_no_folder_of_this_machine(release: Path, tmp_path: Path) -> None:
    (tmp_path / "best").write_bytes((release / "model.pth").read_bytes())
    (release / "best").symlink_to(tmp_path / "best")
    (release / "gone").symlink_to(tmp_path / "gone")
    for name in REPORTERS.keys() - {"text", "concise"}:
        done = verify("release", "--format", name)
        assert done.code == 2
        assert str(tmp_path) not in done.out
    assert report("release")["inventory"][0]["link"] == "best"


@pytest.mark.skipif(os.name == "nt", reason="no name is bytes there")
@pytest.mark.parametrize("name", REPORTERS)
def test_a_name_that_is_no_text_is_named_all_the_same(release: Path, name: str) -> None:
    Path(os.fsdecode(bytes(release) + b"/\xff\n::error::.gguf")).write_bytes(b"GGUF\3\0\0\0")
    done = verify("release", "--format", name)
    assert done.code == 0
    assert "gguf" in done.out
    assert "\n::error::" not in done.out


def test_a_folder_of_several_models_is_taken_as_a_whole(release: Path) -> None:
    for part in ("unet", "vae", "a/b/c/d/e"):
        (release / part).mkdir(parents=True)
        built.saved(release / part, built.sound, "diffusion_pytorch_model.bin")
        (release / part / "config.json").write_text("{}")
    done = verify("release")
    assert "PASS 0 errors" in done.last
    assert "in 4 files" in done.last
    assert "4 other files known" in done.last


# --- the lock, both ways -------------------------------------------------------------------------


@pytest.fixture
def lock(release: Path) -> str:
    """A lock of two checkpoints, ``release/model.pth`` and ``release/second.pth``."""
    built.saved(release, built.retrained, "second.pth")
    done = invoke("lock", "--model", "tiny", "--no-forward", "release", "-o", "ckpttool.lock")
    assert done.code == 0, done.err
    assert "1 other file known" in done.out.splitlines()[0]
    return "ckpttool.lock"


def test_a_locked_file_that_is_gone_is_an_error_of_a_folder(lock: str, release: Path) -> None:
    assert verify("release", "--lock", lock).code == 0
    (release / "second.pth").unlink()
    done = verify("release", "--lock", lock)
    assert done.code == 1
    assert "DIF009 lock-unmatched: release/second.pth is locked, and no file" in done.out
    assert verify("release/model.pth", "--lock", lock).code == 0


def test_it_is_an_error_in_a_copy_of_the_folder_too(lock: str, release: Path) -> None:
    copy = release.parents[1] / "copy"
    shutil.copytree(release, copy)
    assert verify(str(copy), "--lock", lock).code == 0
    (copy / "model.pth").unlink()
    assert verify(str(copy), "--lock", lock).code == 1


def test_it_is_an_error_in_a_copy_beside_the_folder_too(lock: str, release: Path) -> None:
    copy = release.parent / "copy"
    shutil.copytree(release, copy)
    assert verify("copy", "--lock", lock).code == 0
    (copy / "model.pth").rename(copy / "renamed.pth")
    assert verify("copy", "--lock", lock).code == 0
    (copy / "second.pth").unlink()
    done = verify("copy", "--lock", lock)
    assert (done.code, done.out.count("DIF009")) == (1, 1)


def test_a_folder_beside_what_is_locked_needs_none_of_it(lock: str, release: Path) -> None:
    other = release.parent / "other"
    other.mkdir()
    built.saved(other, built.encoder_only, "third.pth")
    command = ("lock", "--model", "tiny", "--no-forward", "release", "other", "-o", lock)
    assert invoke(*command).code == 0
    assert verify("other", "--lock", lock).code == 0
    assert verify("release", "--lock", lock).code == 0
    shutil.copytree(other, release.parent / "copy")
    assert verify("copy", "--lock", lock).code == 0  # nothing of the other folder is in it


def test_each_folder_answers_for_its_own_lock(lock: str, release: Path) -> None:
    (release / "ckpttool.toml").write_text('lock = "../ckpttool.lock"')
    other = release.parent / "other"
    shutil.copytree(release, other)
    (other / "ckpttool.toml").write_text('lock = "own.lock"')
    (other / "second.pth").unlink()
    assert (
        invoke("lock", "--model", "tiny", "--no-forward", "other", "-o", "other/own.lock").code == 0
    )
    assert verify("release", "other").code == 0
    (release / "second.pth").unlink()
    done = verify("release", "other")
    assert done.code == 1
    assert done.out.count("DIF009") == 1


def test_an_excluded_file_is_missing_all_the_same(lock: str) -> None:
    assert "DIF009" in verify("release", "--lock", lock, "--exclude", "second*").out


@pytest.mark.parametrize("place", ["release", "../copy", "../copy/"])
def test_exchanged_weights_are_an_error_wherever_the_folder_lies(
    lock: str, release: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (release / "model.pth").rename(release / "x")
    (release / "second.pth").rename(release / "model.pth")
    (release / "x").rename(release / "second.pth")
    if place != "release":
        shutil.copytree(release, release.parents[1] / "copy")
    for folder, named in ((".", place), ("..", f"work/{place}")):
        monkeypatch.chdir(release.parent / folder)
        done = report(named, "--lock", str(release.parent / lock))
        assert done["exit_code"] == 1
        said = [
            found["message"]
            for file in done["files"]
            for found in file["findings"]
            if found["code"] == "DIF001"
        ]
        assert len(said) == 2
        assert said[0].endswith("they are those that are locked as release/second.pth")


# --- shards ------------------------------------------------------------------------------------


@pytest.fixture
def sharded(release: Path) -> Path:
    """The sound checkpoint as two shards and an index, in a folder of its own."""
    folder = release.parent / "sharded"
    folder.mkdir()
    arguments = ("release/model.pth", "--to", "safetensors", "--max-shard-size", "40kB")
    assert invoke("convert", *arguments, "-o", "sharded/model.safetensors").code == 0
    return folder


FIRST = "sharded/model-00001-of-00002.safetensors"
SECOND = "sharded/model-00002-of-00002.safetensors"


@pytest.mark.parametrize("arguments", [(FIRST,), (FIRST, SECOND), ("--files-from", "list")])
def test_a_shard_is_verified_through_its_index(sharded: Path, arguments: tuple[str, ...]) -> None:
    Path("list").write_text(f"{SECOND}\n{FIRST}\n")
    done = report(*arguments)
    assert done["exit_code"] == 0
    (file,) = done["files"]
    assert (file["path"], file["tensors"]) == ("sharded/model.safetensors.index.json", 50)
    assert set(standings(done).values()) == {"part"}


def test_a_shard_without_its_index_is_verified_as_a_part(sharded: Path) -> None:
    (sharded / "model.safetensors.index.json").unlink()
    done = verify(SECOND)
    assert done.code == 1
    assert "the rest of the checkpoint (by its name this is part 2 of 2)" in done.out


def test_a_shard_that_is_a_link_to_elsewhere_cannot_be_told(sharded: Path) -> None:
    Path(FIRST).rename("elsewhere")
    Path(FIRST).symlink_to("../elsewhere")
    done = verify("sharded")
    assert done.code == 2
    assert "links that lead out of the folder, which are not followed" in done.out


def test_a_snapshot_of_the_hub_is_a_folder_like_any_other(sharded: Path, tmp_path: Path) -> None:
    """All files of it are links to blobs, the index and its shards too."""
    blobs, snapshot = tmp_path / "cache" / "blobs", tmp_path / "cache" / "snapshots" / "1f"
    for folder in (blobs, snapshot):
        folder.mkdir(parents=True)
    for number, path in enumerate(sorted(sharded.iterdir())):
        path.rename(blobs / f"{number:040x}")
        (snapshot / path.name).symlink_to(f"../../blobs/{number:040x}")
    for named in (snapshot, tmp_path / "cache"):
        done = report(str(named))
        assert done["exit_code"] == 0
        (file,) = done["files"]
        assert Path(file["path"]).name == "model.safetensors.index.json"
        assert file["tensors"] == 50
