"""A proof is written as a receipt, and the next proof takes it in A's place, by its digests."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import ckpttool
from ckpttool.findings.errors import OutputError, UsageError
from ckpttool.proof.result import Proof, ProofOutcome
from tests.builders import adapters, checkpoints, made, pairs, schemas
from tests.builders.repository import ROOT

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

QKV = made.QKV


def receipt_of(folder: Path, source: str, result: str, **options: Any) -> str:
    path = str(folder / "proof.json")
    proof = ckpttool.prove(result, source, receipt=path, **options)
    assert proof.outcome is ProofOutcome.PROVEN, ckpttool.render(proof)
    assert proof.receipt == path
    return path


def from_receipt(folder: Path, before: object, after: object, **options: Any) -> Proof:
    source = pairs.save(folder, "a.pth", before)
    receipt = receipt_of(folder, source, source)
    return ckpttool.prove(pairs.save(folder, "b.pth", after), receipt, **options)


@pytest.mark.parametrize("case", made.MADE.values(), ids=made.MADE.keys())
def test_a_receipt_has_digests_of_both_files_and_how_each_tensor_was_made(
    tmp_path: Path, case: made.Made
) -> None:
    source, result, options = made.written(tmp_path, case)
    path = receipt_of(tmp_path, source, result, **options)
    text = Path(path).read_text()
    document = json.loads(text)
    schemas.check_json(text, schemas.closed(schemas.own("proof-receipt")))
    assert document["kind"] == "proof"
    assert tuple(document["operations"]) == case.operations
    assert document["source"]["fingerprint"] == ckpttool.fingerprint(source)
    assert document["result"]["fingerprint"] == ckpttool.fingerprint(result)
    # it lists what is in B, as the receipt of a conversion does
    assert ckpttool.diff(result, path).outcome.value == "same"
    assert str(tmp_path) not in text


def test_the_same_proof_gives_the_same_receipt(tmp_path: Path) -> None:
    source, result, _ = made.written(tmp_path, made.MADE["bfloat16"])
    first = Path(receipt_of(tmp_path, source, result)).read_bytes()
    assert Path(receipt_of(tmp_path, source, result)).read_bytes() == first


def test_the_adapter_is_in_the_receipt(tmp_path: Path) -> None:
    before, adapter = adapters.base(), adapters.lora()
    source = adapters.save(tmp_path, "a.safetensors", before)
    merged = adapters.save(tmp_path, "b.safetensors", adapters.merged(before, adapter))
    path = receipt_of(tmp_path, source, merged, adapter=adapters.write(tmp_path, adapter))
    text = Path(path).read_text()
    schemas.check_json(text, schemas.closed(schemas.own("proof-receipt")))
    (told,) = json.loads(text)["adapters"]
    assert [file["name"] for file in told["files"]] == [
        "adapter_model.safetensors",
        "adapter_config.json",
    ]
    # and what was merged is now known by its digests
    copy = adapters.save(tmp_path, "c.safetensors", adapters.merged(before, adapter))
    assert ckpttool.prove(copy, path).outcome is ProofOutcome.PROVEN
    assert ckpttool.prove(source, path).outcome is ProofOutcome.NOT_PROVEN


def test_a_receipt_says_what_was_dequantised(tmp_path: Path) -> None:
    written = ROOT / "tests" / "fixtures" / "compressed-tensors-0.20.0" / "int8-channel-bf16"
    shutil.copy(f"{written}.safetensors", tmp_path / "model.safetensors")
    shutil.copy(f"{written}.json", tmp_path / "config.json")
    source, result = str(tmp_path / "model.safetensors"), str(tmp_path / "b.safetensors")
    done = ckpttool.convert(source, result, to="safetensors", dequantise="bfloat16")
    assert done.exit_code == 0
    text = Path(receipt_of(tmp_path, source, result)).read_text()
    schemas.check_json(text, schemas.closed(schemas.own("proof-receipt")))
    assert json.loads(text)["operations"]["dequantised"] == 1


def test_no_receipt_is_written_of_what_is_not_proven(tmp_path: Path) -> None:
    source, result = pairs.written(tmp_path, pairs.CASES["other-values"].change)
    path = tmp_path / "proof.json"
    proof = ckpttool.prove(result, source, receipt=path)
    assert proof.outcome is ProofOutcome.NOT_PROVEN
    assert proof.receipt is None
    assert not path.exists()


@pytest.mark.parametrize("verdict", ["not-proven", None, True])
def test_a_receipt_that_says_of_no_proof_that_it_holds_stands_for_nothing(
    tmp_path: Path, verdict: object
) -> None:
    source = pairs.save(tmp_path, "a.pth", pairs.state())
    path = Path(receipt_of(tmp_path, source, source))
    path.write_text(json.dumps({**json.loads(path.read_text()), "verdict": verdict}))
    proof = ckpttool.prove(source, path)
    assert proof.outcome is ProofOutcome.CANNOT_TELL
    assert "it is of a proof, and does not say that it holds" in ckpttool.render(proof)


def test_a_receipt_replaces_nothing_but_an_earlier_one(tmp_path: Path) -> None:
    source = pairs.save(tmp_path, "a.pth", pairs.state())
    path = receipt_of(tmp_path, source, source)
    for taken in (source, pairs.save(tmp_path, "other.pth", pairs.state())):
        before = Path(taken).read_bytes()
        with pytest.raises(UsageError, match="the receipt cannot be written"):
            ckpttool.prove(source, source, receipt=taken)
        assert Path(taken).read_bytes() == before
    with pytest.raises(OutputError):
        ckpttool.prove(source, source, receipt=tmp_path / "no folder" / "proof.json")
    with pytest.raises(UsageError, match="an input of the proof"):
        ckpttool.prove(source, path, receipt=path)


@pytest.mark.parametrize(
    ("change", "operations"),
    [
        pytest.param(dict, ("identical",), id="the same"),
        pytest.param(
            lambda state: {f"module.{name}": value for name, value in state.items()},
            ("renamed",),
            id="a prefix",
        ),
        pytest.param(
            lambda state: {("new" if name == QKV else name): v for name, v in state.items()},
            ("identical", "renamed"),
            id="another name",
        ),
        pytest.param(
            lambda state: {**state, "head.weight": state[QKV].clone()},
            ("identical", "tied-name-put-back"),
            id="a tie",
        ),
    ],
)
def test_what_kept_its_elements_is_proven_by_digests(
    tmp_path: Path, change: Any, operations: tuple[str, ...]
) -> None:
    proof = from_receipt(tmp_path, pairs.state(), change(pairs.state()))
    assert proof.outcome is ProofOutcome.PROVEN, ckpttool.render(proof)
    assert tuple(one.value for one, number in proof.counts.items() if number) == operations
    assert proof.digests_from == "receipt of a proof"
    assert "what it says of how A was made" in proof.notes[0]
    text = ckpttool.render(proof)
    assert "receipt of a proof, digests of 8 tensors alone" in text
    assert "not checked  the elements of A" in text


def test_another_container_and_other_shards_are_proven_by_digests(tmp_path: Path) -> None:
    source = pairs.save(tmp_path, "a.pth", pairs.state())
    receipt = receipt_of(tmp_path, source, source)
    ckpttool.convert(source, tmp_path / "b.safetensors", to="safetensors", max_shard_size=500)
    proof = ckpttool.prove(tmp_path / "b.safetensors.index.json", receipt)
    assert proof.outcome is ProofOutcome.PROVEN


def test_what_needs_elements_cannot_be_told_from_digests(tmp_path: Path) -> None:
    state = pairs.state()
    cast = from_receipt(tmp_path, state, {name: value.half() for name, value in state.items()})
    assert cast.outcome is ProofOutcome.CANNOT_TELL
    assert all("name the checkpoint" in one.reason for one in cast.unexplained)
    parts = {name: value for name, value in state.items() if name != QKV}
    parts.update({f"{QKV}.{part}": rows.clone() for part, rows in enumerate(state[QKV].chunk(3))})
    split = from_receipt(tmp_path, state, parts)
    assert split.outcome is ProofOutcome.CANNOT_TELL
    assert len(split.unexplained) == 3
    lora = adapters.write(tmp_path, adapters.lora())
    merged = from_receipt(tmp_path, state, state, adapter=lora)
    assert merged.outcome is ProofOutcome.CANNOT_TELL
    assert "Name the checkpoint" in (merged.findings[0].fix or "")


def test_a_split_by_rules_cannot_be_told_from_digests(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[split]]\nfrom = "w"\nto = ["a", "b"]\n')
    whole = torch.rand(4, 3)
    after = dict(zip("ab", (part.clone() for part in whole.chunk(2))))
    proof = from_receipt(tmp_path, {"w": whole}, after, rename_file=rules)
    assert proof.outcome is ProofOutcome.CANNOT_TELL


def test_a_transpose_cannot_be_told_from_digests(tmp_path: Path) -> None:
    square = torch.rand(3, 3)
    rules = tmp_path / "rules.toml"
    rules.write_text('[[transpose]]\nfrom = "w"\nto = "w"\n')
    for after in (square, square.t().contiguous()):
        proof = from_receipt(tmp_path, {"w": square}, {"w": after}, rename_file=rules)
        assert proof.outcome is ProofOutcome.CANNOT_TELL
        assert "made of parts or of a transpose" in proof.unexplained[0].reason
        (tmp_path / "proof.json").unlink()


def test_one_number_repeated_is_no_tensor_of_a_list(tmp_path: Path) -> None:
    state = {"w": torch.rand(3), "b": torch.zeros(3)}
    proof = from_receipt(tmp_path, state, {**state, "c": torch.zeros(3)})
    assert proof.outcome is ProofOutcome.NOT_PROVEN
    assert "one repeated number identifies no tensor" in proof.unexplained[0].reason


def test_what_digests_refute_is_not_proven(tmp_path: Path) -> None:
    state = pairs.state()
    other = from_receipt(tmp_path, state, {**state, QKV: state[QKV] + 1})
    assert other.outcome is ProofOutcome.NOT_PROVEN
    assert [one.name for one in other.unexplained] == [QKV]
    added = from_receipt(tmp_path, state, {**state, "more": torch.rand(3)})
    assert added.outcome is ProofOutcome.NOT_PROVEN
    assert added.unexplained[0].reason == "A has nothing like it"
    zeros = {**state, "a.bias": torch.zeros(7)}
    renamed = from_receipt(tmp_path, zeros, {**zeros, "b.bias": torch.zeros(7)})
    assert [one.name for one in renamed.unexplained] == ["b.bias"]
    gone = {name: value for name, value in state.items() if name != QKV}
    missing = from_receipt(tmp_path, state, gone)
    assert missing.outcome is ProofOutcome.NOT_PROVEN
    assert [one.name for one in missing.missing] == [QKV]
    allowed = from_receipt(tmp_path, state, gone, allow_missing=QKV)
    assert allowed.outcome is ProofOutcome.PROVEN


def test_a_receipt_of_a_conversion_and_a_lock_stand_for_what_they_are_of(
    tmp_path: Path, tiny: str
) -> None:
    source = checkpoints.saved(tmp_path, checkpoints.sound)
    target, receipt = str(tmp_path / "b.safetensors"), tmp_path / "receipt.json"
    ckpttool.convert(source, target, to="safetensors", receipt=receipt)
    locked = tmp_path / "b.lock"
    ckpttool.lock(target, locked, forward=False)
    for listed in (receipt, locked):
        proof = ckpttool.prove(target, listed)
        assert proof.outcome is ProofOutcome.PROVEN, ckpttool.render(proof)
        assert ckpttool.prove(source, listed).outcome is ProofOutcome.PROVEN
    assert proof.digests_from == "lock file"


def test_receipts_chain(tmp_path: Path) -> None:
    state = pairs.state()
    first = pairs.save(tmp_path, "a.pth", state)
    second = pairs.save(tmp_path, "b.pth", {name: value.half() for name, value in state.items()})
    receipt = receipt_of(tmp_path, first, second)
    third = tmp_path / "c.safetensors"
    ckpttool.convert(second, third, to="safetensors")
    last = tmp_path / "last.json"
    proof = ckpttool.prove(third, receipt, receipt=last)
    assert proof.outcome is ProofOutcome.PROVEN
    text = last.read_text()
    schemas.check_json(text, schemas.closed(schemas.own("proof-receipt")))
    told = json.loads(text)["source"]
    assert told["digests_from"] == "receipt of a proof"
    assert [file["name"] for file in told["files"]] == ["proof.json"]
    assert ckpttool.prove(second, last).outcome is ProofOutcome.PROVEN
