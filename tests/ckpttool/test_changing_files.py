"""A file that changes while it is read is noticed, whatever reads it and whenever it changes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Tuple

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import ckpttool
from ckpttool.conversion import output
from ckpttool.files.sources import FileSource
from ckpttool.findings.errors import CkpttoolError
from tests.builders import distributed
from tests.builders.changing import replaced, rewritten

# torch 2.0 warns of its own use of a class when it saves and loads.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

TENSORS = {name: np.arange(600, dtype=np.float32) + at for at, name in enumerate("abc")}


#: A checkpoint, and the file of it that changes.
Files = Tuple[Path, Path]


def safetensors(folder: Path) -> Files:
    save_file(TENSORS, folder / "m.safetensors")
    return folder / "m.safetensors", folder / "m.safetensors"


def _converted(folder: Path, name: str, **options: Any) -> Path:
    path, _ = safetensors(folder)
    done = ckpttool.convert(path, folder / name, sync=False, force=True, **options)
    assert done.state == "written"
    return folder / name


def zipped(folder: Path) -> Files:
    path = _converted(folder, "z.pth", to="pth")
    return path, path


def an_index(folder: Path) -> Files:
    whole = _converted(folder, "s.safetensors", to="safetensors", max_shard_size=2400)
    index = whole.with_name("s.safetensors.index.json")
    return index, index


def a_shard(folder: Path) -> Files:
    index, _ = an_index(folder)
    return index, index.with_name("s-00002-of-00003.safetensors")


def legacy(folder: Path) -> Files:
    state = {name: torch.from_numpy(array) for name, array in TENSORS.items()}
    torch.save(state, folder / "m.pth", _use_new_zipfile_serialization=False)
    return folder / "m.pth", folder / "m.pth"


FILES: Dict[str, Callable[[Path], Files]] = {
    "safetensors": safetensors,
    "zip": zipped,
    "legacy": legacy,
    "index": an_index,
    "shard": a_shard,
}


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 8)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(bytes(8))


def give_way(path: Path) -> None:
    replaced(path, path.read_bytes()[:-4] + b"\1\2\3\4")


def rewrite(path: Path) -> None:
    rewritten(path, b"\1\2\3\4", path.stat().st_size // 2)


def rewrite_the_head(path: Path) -> None:
    rewritten(path, b"\xff\xff\xff")


CHANGES: List[Callable[[Path], None]] = [cut, grow, give_way, rewrite, rewrite_the_head]


def told(findings: Iterable[Any]) -> List[str]:
    return [one.rule.code for one in findings]


def converting(path: Path) -> List[str]:
    output = path.with_name("converted.safetensors")
    result = ckpttool.convert(path, output, to="safetensors", sync=False, workers=1)
    assert output.exists() == (result.state == "written")
    return told(result.findings)


def converting_with_receipt(path: Path) -> List[str]:
    output, receipt = path.with_name("converted.pth"), path.with_name("receipt.json")
    result = ckpttool.convert(path, output, to="pth", receipt=receipt, sync=False, workers=1)
    assert output.exists() == receipt.exists() == (result.state == "written")
    return told(result.findings)


def verifying(path: Path) -> List[str]:
    return told(ckpttool.verify(path, schema="none", forward=False, workers=1).findings)


def comparing(path: Path) -> List[str]:
    result = ckpttool.diff(path, path.parent / "same" / path.name, workers=1)
    return told(one for file in (result.left, result.right) for one in file.findings)


def proving(path: Path) -> List[str]:
    result = ckpttool.prove(path, path.parent / "same" / path.name, workers=1)
    return told(one for file in (result.made, result.source) for one in file.findings)


def fingerprinting(path: Path) -> List[str]:
    try:
        ckpttool.fingerprint(path, workers=1)
    except CkpttoolError as error:
        return [error.rule.code if error.rule else ""]
    return []


def locking(path: Path) -> List[str]:
    lock = path.with_name("ckpttool.lock")
    try:
        result = ckpttool.lock(path, lock, schema="none", forward=False, workers=1)
    except CkpttoolError as error:
        assert not lock.exists()
        return [error.rule.code if error.rule else ""]
    assert lock.exists() == (result.exit_code == 0)
    return told(result.findings)


READERS: List[Callable[[Path], List[str]]] = [
    converting,
    converting_with_receipt,
    verifying,
    comparing,
    proving,
    fingerprinting,
    locking,
]


class ChangingAt:
    """Changes a file just before something is read from it for the n-th time."""

    def __init__(self, path: Path, change: Callable[[Path], None], reads: int) -> None:
        self._path, self._change, self._left = path, change, reads
        self.changed = False

    def read_into(self) -> Callable[[FileSource, int, memoryview], None]:
        """Return what takes the place of the method."""
        real = FileSource.read_into

        def reading(source: FileSource, offset: int, buffer: memoryview) -> None:
            if source.name == str(self._path) and not self.changed:
                self._left -= 1
                if self._left < 0:
                    self.changed = True
                    self._change(self._path)
            real(source, offset, buffer)

        return reading


# every change of every reader for one container; the others share what notices them
CASES = [
    *(("safetensors", reader, change) for reader in READERS for change in CHANGES),
    *(
        (kind, reader, change)
        for kind in ("zip", "legacy", "index", "shard")
        for reader in READERS
        for change in (rewrite, rewrite_the_head)
    ),
]


@pytest.mark.parametrize(("kind", "reader", "change"), CASES)
def test_a_file_that_changes_before_any_read_of_it_is_noticed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    reader: Callable[[Path], List[str]],
    change: Callable[[Path], None],
) -> None:
    made = tmp_path / "made"
    made.mkdir()
    names = [one.name for one in FILES[kind](made)]
    for reads in range(200):
        folder = tmp_path / str(reads)
        shutil.copytree(made, folder)
        shutil.copytree(made, folder / "same")
        path, changes = (folder / name for name in names)
        changing = ChangingAt(changes, change, reads)
        with monkeypatch.context() as patch:
            patch.setattr(FileSource, "read_into", changing.read_into())
            found = reader(path)
        if not changing.changed:
            assert "FIL004" not in found
            break
        assert "FIL004" in found, f"read {reads + 1} of {kind}"
    else:
        pytest.fail("there was no end to the reads")
    assert reads > 1


@pytest.mark.parametrize("reads", [0, 1, 4])
def test_a_part_of_a_distributed_checkpoint_that_changes_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: int
) -> None:
    path = distributed.good(tmp_path)
    changing = ChangingAt(next(tmp_path.glob("*.distcp")), rewrite_the_head, reads)
    monkeypatch.setattr(FileSource, "read_into", changing.read_into())
    assert "FIL004" in converting(path)


@pytest.mark.parametrize("change", CHANGES)
def test_a_source_that_changes_while_the_result_is_proven_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    path, _ = safetensors(tmp_path)
    real = output.complete_and_prove

    def changed_meanwhile(*arguments: Any) -> object:
        change(path)
        return real(*arguments)

    monkeypatch.setattr("ckpttool.conversion.convert.complete_and_prove", changed_meanwhile)
    assert converting(path) == ["FIL004"]
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
