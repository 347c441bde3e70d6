"""A receipt or a lock in place of a checkpoint: what it tells, and what is wrong with a bad one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from ckpttool.cli import main
from ckpttool.comparison.diff import DiffOptions, diff_files
from ckpttool.comparison.result import Comparison, DiffKind, Outcome
from ckpttool.findings.errors import UsageError
from ckpttool.verification.lock.content import LockedTensor
from ckpttool.verification.lock.writing import render
from tests.builders import locks, pairs
from tests.builders.commands import invoke, runner

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")


def converted(folder: Path, content: object) -> tuple[str, str, str]:
    """Convert a checkpoint; return source, result and receipt."""
    source = pairs.save(folder, "a.pth", content)
    result, receipt = str(folder / "b.safetensors"), str(folder / "receipt.json")
    arguments = ["convert", source, "--to", "safetensors", "-o", result, "--receipt", receipt]
    done = runner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    return source, result, receipt


def compared(left: str, right: str, **options: Any) -> Comparison:
    return diff_files((left, right), DiffOptions(**options))


def test_a_receipt_stands_for_source_and_result(tmp_path: Path) -> None:
    shared = torch.ones(3)
    source, result, receipt = converted(tmp_path, {**pairs.state(), "a": shared, "b": shared})
    for sides in ((source, receipt), (receipt, source), (result, receipt), (receipt, receipt)):
        assert compared(*sides).outcome is Outcome.SAME, sides


@pytest.mark.parametrize(
    "name", ["other-values", "another-shape", "missing", "added", "renamed", "moved", "rounded"]
)
def test_digests_tell_the_classes(tmp_path: Path, name: str) -> None:
    case = pairs.CASES[name]
    _, _, receipt = converted(tmp_path, pairs.state())
    other = pairs.save(tmp_path, "other.pth", case.change(pairs.state()))
    found = compared(receipt, other)
    assert found.outcome is Outcome.DIFFERENT
    kinds = {tensor.kind.value for tensor in found.tensors} - {"identical"}
    # that a cast would make them equal takes the elements
    assert kinds == {"dtype-differs" if name == "rounded" else case.kind}


def test_a_tolerance_cannot_be_applied_to_digests(tmp_path: Path) -> None:
    _, _, receipt = converted(tmp_path, pairs.state())
    other = pairs.save(tmp_path, "other.pth", pairs.CASES["a-little"].change(pairs.state()))
    found = compared(receipt, other, atol=1.0)
    assert found.outcome is Outcome.CANNOT_TELL
    assert found.counts[DiffKind.NOT_COMPARED] == 1


def entry(**changes: object) -> dict[str, object]:
    return {"name": "w", "dtype": "float32", "shape": [1], "sha256": "0" * 64, **changes}


BAD: dict[str, tuple[dict[str, object], str]] = {
    "no tensors": ({}, "FIL501"),
    "no schema version": ({"schema_version": None, "tensors": [entry()]}, "FIL501"),
    "tensors no list": ({"tensors": {}}, "FIL501"),
    "no name": ({"tensors": [entry(name=1)]}, "FIL501"),
    "no such dtype": ({"tensors": [entry(dtype="float31")]}, "FIL501"),
    "a negative size": ({"tensors": [entry(shape=[-1])]}, "FIL501"),
    "more elements than 64 bits count": ({"tensors": [entry(shape=[2**40, 2**40])]}, "FIL501"),
    "that many beside a zero": ({"tensors": [entry(shape=[0, 2**63])]}, "FIL501"),
    "more axes than torch has": ({"tensors": [entry(shape=[1] * 65)]}, "FIL501"),
    "more tied names than the limit": (
        {"tensors": [entry()], "tied": {str(number): "w" for number in range(100_001)}},
        "FIL005",
    ),
    "a size that is true": ({"tensors": [entry(shape=[True])]}, "FIL501"),
    "a short digest": ({"tensors": [entry(sha256="0")]}, "FIL501"),
    "a tensor twice": ({"tensors": [entry(), entry()]}, "INT008"),
    "a tie to nothing": ({"tensors": [entry()], "tied": {"v": "x"}}, "FIL501"),
}


@pytest.mark.parametrize(("content", "code"), BAD.values(), ids=BAD.keys())
def test_a_bad_receipt_is_malformed(tmp_path: Path, content: dict[str, object], code: str) -> None:
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps({"tool": "ckpttool", "schema_version": 1, **content}))
    good = pairs.save(tmp_path, "a.pth", pairs.state())
    found = compared(good, str(path))
    assert found.outcome is Outcome.CANNOT_TELL
    assert [finding.rule.code for finding in found.right.findings] == [code]


def test_a_receipt_of_an_unknown_schema_version_is_said_to_be_one(tmp_path: Path) -> None:
    _, _, path = converted(tmp_path, pairs.state())
    receipt = Path(path)
    document = json.loads(receipt.read_text())
    receipt.write_text(json.dumps({**document, "schema_version": 2}))
    result = invoke("diff", pairs.save(tmp_path, "other.pth", pairs.state()), path)
    assert result.code == 2
    assert "schema version that this ckpttool does not know" in result.out
    assert "(expected schema_version 1, found schema_version 2)" in result.out


def test_a_receipt_that_lists_no_files_has_no_size(tmp_path: Path) -> None:
    path = tmp_path / "receipt.json"
    content = {"tool": "ckpttool", "schema_version": 1, "tensors": [], "result": {"files": 5}}
    path.write_text(json.dumps(content))
    assert compared(str(path), str(path)).left.size == 0


def test_json_that_is_no_receipt_is_read_as_an_index(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text("{}")
    found = compared(str(path), str(path))
    assert found.left.findings[0].rule.code == "FIL002"


# --- lock files ---------------------------------------------------------------------------


def locked(folder: Path, state: pairs.State, times: int = 1) -> str:
    """Write a lock file of a state dict, or one that says the same of several files."""
    tensors = {
        name: LockedTensor(
            "float32", tuple(value.shape), hashlib.sha256(value.numpy().tobytes()).hexdigest()
        )
        for name, value in sorted(state.items())
    }
    names = [f"{number}.pth" for number in range(times)]
    path = folder / "ckpttool.lock"
    path.write_text(render([locks.holding(name, tensors) for name in names]))
    return str(path)


@pytest.mark.parametrize("name", ["nothing", "other-values", "another-shape", "missing", "added"])
def test_a_lock_file_stands_for_what_was_locked(tmp_path: Path, name: str) -> None:
    case = pairs.CASES[name]
    lock = locked(tmp_path, pairs.state())
    other = pairs.save(tmp_path, "other.pth", case.change(pairs.state()))
    there, back = compared(lock, other), compared(other, lock)
    assert there.outcome is back.outcome is (Outcome.SAME if case.same else Outcome.DIFFERENT)
    assert {tensor.kind.value for tensor in there.tensors} - {"identical"} == (
        set() if case.same else {case.kind}
    )


def test_a_lock_file_of_several_checkpoints_is_in_the_way(tmp_path: Path) -> None:
    other = pairs.save(tmp_path, "other.pth", pairs.state())
    found = compared(other, locked(tmp_path, pairs.state(), times=2))
    assert found.outcome is Outcome.CANNOT_TELL
    assert not found.left.findings
    assert "several checkpoints" in found.right.findings[0].message


def test_a_lock_file_does_not_say_what_lies_beside_the_weights(tmp_path: Path) -> None:
    content = {"model": pairs.state(), "ema": {"w": torch.ones(1)}, "epoch": 3}
    sides = pairs.save(tmp_path, "a.pth", content), locked(tmp_path, pairs.state())
    for there in (sides, sides[::-1]):
        found = compared(*there)
        assert found.outcome is Outcome.CANNOT_TELL
        assert found.notes == (
            "what lies beside the weights, of which a lock file says nothing: ema.w, epoch",
        )
    assert compared(*sides, weights_only=True).outcome is Outcome.SAME
    assert compared(*sides, exclude=["e*"]).outcome is Outcome.SAME


@pytest.mark.parametrize("options", [{}, {"weights_only": True}], ids=["all", "weights only"])
@pytest.mark.parametrize("option", ["include", "exclude"])
def test_a_pattern_that_no_digest_has_is_refused(
    tmp_path: Path, option: str, options: dict[str, bool]
) -> None:
    content = {"model": pairs.state(), "epoch": 3}
    sides = pairs.save(tmp_path, "a.pth", content), locked(tmp_path, pairs.state())
    slip: dict[str, Any] = {option: ["pos_embd"], **options}
    right: dict[str, Any] = {option: ["pos_embed", "epoch"], **options}
    with pytest.raises(UsageError, match="pos_embd"):
        diff_files(sides, DiffOptions(**slip))
    found = diff_files(sides, DiffOptions(**right))
    assert found.excluded


def test_a_receipt_is_of_weights_alone(tmp_path: Path) -> None:
    content = {"model": pairs.state(), "ema": {"w": torch.ones(1)}, "epoch": 3}
    source, result, receipt = converted(tmp_path, content)
    for other in (result, receipt):
        found = compared(source, other)
        assert found.outcome is Outcome.DIFFERENT
        assert [(one.name, one.kind) for one in found.beside] == [("ema.w", DiffKind.ONLY_LEFT)]
        assert found.state == (("epoch", "3", None),)
        assert compared(source, other, weights_only=True).outcome is Outcome.SAME
    assert compared(result, receipt).outcome is Outcome.SAME


def test_a_list_of_digests_has_no_state_dict_to_choose(tmp_path: Path) -> None:
    source, _, receipt = converted(tmp_path, pairs.state())
    for wrapper in ((None, "model"), (None, "")):
        with pytest.raises(UsageError, match="no state dict to choose"):
            compared(source, receipt, wrappers=wrapper)
