"""Merges of adapters are proven where they were made, and what went wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import ckpttool
from ckpttool.proof import merges
from ckpttool.proof.result import Operation, Proof, ProofOutcome
from tests.builders import adapters, checkpoints
from tests.builders.repository import ROOT

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

RIGHT, WRONG = adapters.right(), adapters.wrong()
PEFT = sorted(path.parent for path in ROOT.glob("tests/fixtures/peft-*/*/lora"))


@pytest.fixture(params=["in one block", "in pieces"])
def _blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors are replayed as a whole, or in pieces of some rows and columns."""
    if request.param == "in pieces":
        monkeypatch.setattr(merges, "_BLOCK", 200)
        monkeypatch.setattr(merges, "_BLOCKS", 2)
        monkeypatch.setattr(merges, "_FACTOR", 50)
        monkeypatch.setattr(merges, "_MEASURED", 1000)


def prove(folder: Path, case: adapters.Right | adapters.Wrong) -> Proof:
    lora = adapters.write(folder, case.adapter, case.config)
    source = adapters.save(folder, "a.safetensors", case.before)
    return ckpttool.prove(adapters.save(folder, "b.safetensors", case.after), source, adapter=lora)


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("case", RIGHT.values(), ids=RIGHT.keys())
def test_a_merge_is_proven(tmp_path: Path, case: adapters.Right) -> None:
    proof = prove(tmp_path, case)
    assert proof.outcome is ProofOutcome.PROVEN, ckpttool.render(proof)
    assert proof.counts[Operation.MERGED] == case.merged
    needed = {one.merge.arithmetic for one in proof.explained if one.merge}
    assert case.arithmetic in needed
    assert needed <= {"float32", case.arithmetic}
    assert "re-sharded" not in {fact.name for fact in proof.structure}


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
def test_a_merge_that_went_wrong_is_not_proven_and_said(
    tmp_path: Path, case: adapters.Wrong
) -> None:
    proof = prove(tmp_path, case)
    assert proof.outcome is ProofOutcome.NOT_PROVEN, ckpttool.render(proof)
    reasons = [one.reason for one in proof.unexplained]
    reasons += [part.reason for part in proof.unmerged]
    assert any(case.said in reason for reason in reasons), reasons
    assert len(proof.unexplained) == case.named, [one.name for one in proof.unexplained]
    assert len(proof.unmerged) == case.unmerged
    assert "NOT PROVEN" in ckpttool.render(proof)


@pytest.mark.parametrize("case", RIGHT.values(), ids=RIGHT.keys())
def test_one_element_that_is_changed_is_named(tmp_path: Path, case: adapters.Right) -> None:
    name = next(name for name in case.after if "q_proj.weight" in name)
    spoilt = case.after[name].clone()
    spoilt[-1, -1] += 0.5
    proof = prove(tmp_path, case._replace(after={**case.after, name: spoilt}))
    assert proof.outcome is ProofOutcome.NOT_PROVEN
    assert [one.name for one in proof.unexplained] == [name]


@pytest.mark.parametrize("folder", PEFT, ids=[path.name for path in PEFT])
def test_what_peft_merged_is_proven_and_its_base_is_not(folder: Path) -> None:
    base, merged = folder / "base.safetensors", folder / "merged.safetensors"
    proof = ckpttool.prove(merged, base, adapter=folder / "lora")
    assert proof.outcome is ProofOutcome.PROVEN, ckpttool.render(proof)
    assert proof.counts[Operation.MERGED]
    assert ckpttool.prove(merged, base).outcome is ProofOutcome.NOT_PROVEN
    never = ckpttool.prove(base, base, adapter=folder / "lora")
    assert never.outcome is ProofOutcome.NOT_PROVEN
    assert any("not merged into it" in one.reason for one in never.unexplained)


def test_there_are_files_that_peft_wrote() -> None:
    assert len(PEFT) == 12


def test_several_adapters_are_merged_in_their_order_and_one_left_out_is_named(
    tmp_path: Path,
) -> None:
    before = adapters.base(torch.bfloat16)
    first, second = adapters.lora(), adapters.lora(seed=300)
    paths = [
        adapters.write(tmp_path, one, name=f"lora{n}") for n, one in enumerate((first, second))
    ]
    source = adapters.save(tmp_path, "a.safetensors", before)
    once = adapters.merged(before, first)
    both = adapters.save(tmp_path, "both.safetensors", adapters.merged(once, second))
    proof = ckpttool.prove(both, source, adapter=paths)
    assert proof.outcome is ProofOutcome.PROVEN, ckpttool.render(proof)
    merge = next(one.merge for one in proof.explained if one.merge)
    assert merge.adapters == tuple(paths)
    alone = adapters.save(tmp_path, "alone.safetensors", once)
    proof = ckpttool.prove(alone, source, adapter=paths)
    assert {one.reason for one in proof.unexplained} == {f"{paths[1]} was not merged into it"}


def test_bits_of_an_adapter_may_be_a_pickle(tmp_path: Path) -> None:
    before, adapter = adapters.base(), adapters.lora()
    lora = tmp_path / "lora"
    lora.mkdir()
    torch.save(adapter, lora / "adapter_model.bin")
    (lora / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 4, "lora_alpha": 8}')
    source = adapters.save(tmp_path, "a.safetensors", before)
    made = adapters.save(tmp_path, "b.safetensors", adapters.merged(before, adapter))
    for named in (lora, lora / "adapter_model.bin"):
        assert ckpttool.prove(made, source, adapter=named).outcome is ProofOutcome.PROVEN


def test_an_adapter_that_attacks_is_not_trusted(tmp_path: Path) -> None:
    before, adapter = adapters.base(), adapters.lora()
    lora = Path(adapters.write(tmp_path, adapter))
    (lora / "adapter_model.safetensors").unlink()
    attack = {key: one for key, one in checkpoints.attack_beside().items() if key != "model"}
    torch.save({"state_dict": adapter, **attack}, lora / "adapter_model.bin")
    source = adapters.save(tmp_path, "a.safetensors", before)
    made = adapters.save(tmp_path, "b.safetensors", adapters.merged(before, adapter))
    assert ckpttool.prove(made, source, adapter=lora).outcome is ProofOutcome.CANNOT_TELL


def test_an_adapter_for_separate_parts_is_merged_into_the_fused_tensor(tmp_path: Path) -> None:
    before, adapter = adapters.base(), adapters.lora()
    after = adapters.merged(before, adapter)
    join = "[[join]]\nfrom = ['*.q_proj.weight', '*.v_proj.weight']\nto = '*.qv.weight'\n"
    rules = tmp_path / "rules.toml"
    rules.write_text(join)
    for layer in adapters.LAYERS:
        place = f"model.layers.{layer}.self_attn"
        parts = [after.pop(f"{place}.{name}.weight") for name in ("q_proj", "v_proj")]
        after[f"{place}.qv.weight"] = torch.cat(parts)
    lora = adapters.write(tmp_path, adapter)
    source = adapters.save(tmp_path, "a.safetensors", before)
    made = adapters.save(tmp_path, "b.safetensors", after)
    proof = ckpttool.prove(made, source, adapter=lora, rename_file=rules)
    assert proof.outcome is ProofOutcome.PROVEN, ckpttool.render(proof)
    assert proof.counts[Operation.JOINED] == 2
    assert proof.counts[Operation.MERGED] == 6


@pytest.mark.parametrize("apart", [True, False])
def test_of_a_fused_tensor_the_part_that_was_not_merged_is_named(
    tmp_path: Path, apart: bool
) -> None:
    fused, parts = "m.qv.weight", ("m.q.weight", "m.v.weight")
    size = adapters.SIZE
    q, v = adapters.base()[f"{adapters.Q0}.weight"], adapters.base(seed=9)[f"{adapters.Q0}.weight"]
    up, down = torch.rand(2 * size, 4), torch.rand(4, size)
    merged = torch.cat([q + 2 * (up @ down)[:size], v])
    whole = {fused: torch.cat([q, v])}
    rules = tmp_path / "rules.toml"
    if apart:  # the adapter is for A's fused tensor
        rules.write_text(f"[[split]]\nfrom = '{fused}'\nto = {list(parts)}\n")
        before, after = whole, dict(zip(parts, merged.chunk(2)))
        adapter = {"m.qv.lora_A.weight": down, "m.qv.lora_B.weight": up}
    else:
        rules.write_text(f"[[join]]\nfrom = {list(parts)}\nto = '{fused}'\n")
        before, after = dict(zip(parts, (q, v))), {fused: merged}
        adapter = {f"m.{part}.lora_A.weight": down for part in "qv"}
        adapter.update({f"m.{part}.lora_B.weight": up[:size] for part in "qv"})
    lora = adapters.write(tmp_path, adapter)
    source = adapters.save(tmp_path, "a.safetensors", before)
    made = adapters.save(tmp_path, "b.safetensors", after)
    proof = ckpttool.prove(made, source, adapter=lora, rename_file=rules)
    assert proof.outcome is ProofOutcome.NOT_PROVEN
    (one,) = proof.unexplained
    assert one.name == (parts[1] if apart else fused)
    assert "the adapter was not merged into it" in one.reason
    assert apart or one.reason.startswith("in its rows of m.v.weight: it equals A's")


def test_how_many_elements_differ_is_counted_unless_most_do(tmp_path: Path) -> None:
    case = RIGHT["float32"]
    name = f"{adapters.Q0}.weight"
    for number, said in ((3, "3 of 576 elements"), (500, "at least 500 of 576 elements")):
        spoilt = case.after[name].clone()
        spoilt.view(-1)[:number] += torch.rand(number) + 1
        folder = tmp_path / str(number)
        folder.mkdir()
        proof = prove(folder, case._replace(after={**case.after, name: spoilt}))
        (one,) = proof.unexplained
        assert one.reason.startswith(f"{said} differ from the merge, the first at [0, 0]")


def test_factors_that_cancel_explain_nothing_they_do_not_add(tmp_path: Path) -> None:
    before = {"m.weight": adapters.base()[f"{adapters.Q0}.weight"]}
    huge = torch.full((adapters.SIZE, 1), 1e10)
    row = torch.rand(1, adapters.SIZE)
    adapter = {
        "m.lora_B.weight": torch.cat([huge, -huge], 1),
        "m.lora_A.weight": torch.cat([row, row]),
    }
    config = {**adapters.CONFIG, "r": 2}
    moved = {"m.weight": before["m.weight"] + torch.rand(adapters.SIZE, adapters.SIZE)}
    case = adapters.Right(before, moved, adapter, config)
    assert prove(tmp_path, case).outcome is ProofOutcome.NOT_PROVEN


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_make_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(merges, "_BLOCK", 33)
    case = WRONG["one layer left out"]
    lora = adapters.write(tmp_path, case.adapter)
    source = adapters.save(tmp_path, "a.safetensors", case.before)
    made = adapters.save(tmp_path, "b.safetensors", case.after)
    proof = ckpttool.prove(made, source, adapter=lora, workers=workers)
    assert len(proof.unexplained) == 4
