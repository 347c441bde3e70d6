"""Nothing is replaced or removed without a word, in the text, the JSON report and the receipt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import pytest
import torch

from ckpttool.cli import main
from ckpttool.conversion.convert import convert_file
from ckpttool.conversion.options import ConvertOptions
from ckpttool.findings.finding import Verdict
from tests.builders.commands import runner

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

INDEX = "model.safetensors.index.json"
WHOLE = ("model.safetensors",)
TWO = tuple(f"model-0000{number}-of-00002.safetensors" for number in (1, 2))
FOUR = tuple(f"model-0000{number}-of-00004.safetensors" for number in (1, 2, 3, 4))
#: Bytes a shard, for the four tensors of the source.
SIZES = {WHOLE: "64B", TWO: "32B", FOUR: "16B"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.pth"
    torch.save({name: torch.zeros(4) for name in "abcd"}, path)
    return path


def convert(source: Path, files: tuple[str, ...], *options: str) -> tuple[int, Any, str]:
    """Exit code, report and text of a conversion into ``out/model.safetensors``."""
    folder = source.parent / "out"
    folder.mkdir(exist_ok=True)
    arguments = ["convert", str(source), "--to", "safetensors", "--no-sync"]
    arguments += ["-o", str(folder / "model.safetensors"), "--max-shard-size", SIZES[files]]
    # the dry run first, which must say the same
    dry = runner().invoke(main, [*arguments, "--dry-run", "--format", "json", *options])
    told = runner().invoke(main, [*arguments, "--dry-run", *options])
    done = runner().invoke(main, [*arguments, "--format", "json", *options])
    assert (dry.exit_code, told.exit_code) == (done.exit_code, done.exit_code)
    (planned,), (file,) = (json.loads(result.stdout)["files"] for result in (dry, done))
    for field in ("replaced", "removed", "sidecar", "receipt"):
        assert planned[field] == file[field]
    assert [out["path"] for out in planned["outputs"]] == [out["path"] for out in file["outputs"]]
    return done.exit_code, file, told.stdout


def names(paths: list[str]) -> set[str]:
    return {Path(path).name for path in paths}


def listing(source: Path) -> set[str]:
    return {path.name for path in (source.parent / "out").iterdir()}


@pytest.mark.parametrize("before", SIZES, ids=["from one file", "from two", "from four"])
@pytest.mark.parametrize("after", SIZES, ids=["to one file", "to two", "to four"])
def test_everything_that_goes_and_comes_is_listed(
    source: Path, before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    convert(source, before)
    was = listing(source)
    receipt = source.parent / "receipt.json"
    code, file, text = convert(source, after, "--force", "--receipt", str(receipt))
    written = names([one["path"] for one in file["outputs"]])
    now = listing(source)
    assert code == 0
    assert written == now == {*after, *([INDEX] if len(after) > 1 else [])}
    assert names(file["removed"]) == was - now
    assert names(file["replaced"]) == was & now
    for name in was | now:
        assert str(source.parent / "out" / name) in text
    kept = json.loads(receipt.read_text())
    assert (set(kept["removed"]), set(kept["replaced"])) == (was - now, was & now)


@pytest.mark.parametrize("files", SIZES, ids=["one file", "two", "four"])
@pytest.mark.parametrize("dry", [False, True])
def test_the_first_line_names_a_file_that_is_there(
    source: Path, files: tuple[str, ...], dry: bool
) -> None:
    convert(source, files)
    out = source.parent / "out" / "model.safetensors"
    options = ("--max-shard-size", SIZES[files], "-o", str(out), *(["--dry-run"] if dry else []))
    told = runner().invoke(
        main, ["convert", str(source), "--to", "safetensors", "--force", *options]
    )
    first = told.stdout.split("\n")[0]
    named = Path(first.partition(" -> ")[2].partition("  ")[0])
    assert named.exists()
    assert named.name == (INDEX if len(files) > 1 else "model.safetensors")


def test_sidecar_and_receipt_are_listed_as_what_they_are(source: Path) -> None:
    beside = [source.parent / name for name in ("side.json", "receipt.json")]
    options = ("--sidecar", str(beside[0]), "--receipt", str(beside[1]))
    _, _, text = convert(source, WHOLE, *options)
    assert [path.exists() for path in beside] == [True, True]
    assert f"{beside[0]}: the sidecar" in text
    assert f"{beside[1]}: the receipt" in text
    _, file, text = convert(source, WHOLE, "--force", *options)
    assert set(map(str, beside)) < set(file["replaced"])
    assert "to replace" in text


def test_shards_that_stay_beside_a_whole_file_are_told_of(source: Path) -> None:
    convert(source, TWO)
    code, file, _ = convert(source, WHOLE)
    (found,) = file["findings"]
    assert (code, found["code"], file["removed"]) == (0, "CVT208", [])
    assert all(name in found["message"] for name in (*TWO, INDEX))
    assert "--force" in found["fix"]
    assert listing(source) == {*WHOLE, *TWO, INDEX}


def test_a_source_is_never_removed_and_that_is_told(source: Path) -> None:
    convert(source, TWO)
    index = source.parent / "out" / INDEX
    arguments = ["convert", str(index), "--to", "safetensors", "--force", "--format", "json"]
    out = str(source.parent / "out" / "model.safetensors")
    done = runner().invoke(main, [*arguments, "-o", out])
    (file,) = json.loads(done.stdout)["files"]
    assert (file["removed"], file["findings"][0]["code"]) == ([], "CVT208")
    assert listing(source) == {*WHOLE, *TWO, INDEX}


def test_what_a_killed_run_left_is_told_of_when_it_goes(source: Path) -> None:
    out = source.parent / "out"
    out.mkdir()
    left = out / ".other.pth.ckpttool-0123456789abcdef.tmp"
    left.write_bytes(b"half")
    _, file, _ = convert(source, WHOLE)
    assert (file["cleaned"], left.exists()) == ([str(left)], False)


def overflows(source: Path) -> dict[str, Any]:
    torch.save({"a": torch.full((4,), 1e30)}, source)
    return {"dtype": "float16"}


def damaged(source: Path) -> dict[str, Any]:
    """A checksum of the source is not that of its bytes, which only copying them tells."""
    content = bytearray(source.read_bytes())
    content[content.index(torch.full((4,), 7.0).numpy().tobytes())] ^= 1
    source.write_bytes(bytes(content))
    return {}


@pytest.mark.parametrize("fails", [overflows, damaged])
def test_what_a_killed_run_left_is_told_of_where_this_run_fails_too(
    source: Path, fails: Callable[[Path], dict[str, Any]]
) -> None:
    torch.save({"a": torch.full((4,), 7.0)}, source)
    left = source.with_name(".other.pth.ckpttool-0123456789abcdef.tmp")
    left.write_bytes(b"half")
    options = ConvertOptions("safetensors", sync=False)._replace(**fails(source))
    done = convert_file(str(source), str(source.with_name("out.safetensors")), options)
    assert (done.state, done.file.verdict) == ("not-written", Verdict.FAIL)
    assert (done.cleaned, left.exists()) == ((str(left),), False)


def test_nothing_is_said_to_be_replaced_where_nothing_was(source: Path) -> None:
    _, file, text = convert(source, TWO)
    assert [file[field] for field in ("replaced", "removed", "cleaned", "findings")] == [[]] * 4
    assert "replace" not in text
    assert "remove" not in text


def test_the_first_line_counts_what_is_replaced_and_removed(source: Path) -> None:
    convert(source, TWO)
    out = str(source.parent / "out" / "model.safetensors")
    given = ["convert", str(source), "--to", "safetensors", "-o", out, "--force"]
    planned = runner().invoke(main, [*given, "--dry-run"]).stdout.splitlines()
    done = runner().invoke(main, given).stdout.splitlines()
    assert "files to remove" in planned[0]
    assert "files removed" in done[0]
    assert sum(line.startswith("  removed") for line in done) > 1
