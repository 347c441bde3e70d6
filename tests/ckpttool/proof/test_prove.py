"""Each operation is proven, and with one element changed the tensor is named."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import ckpttool
from ckpttool.comparison.numbers import stretches
from ckpttool.findings.errors import UsageError
from ckpttool.proof.result import Operation, Proof, ProofOutcome
from tests.builders import checkpoints, made, models, pairs

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

QKV = made.QKV


@pytest.fixture(params=["small tensors together", "each tensor alone"])
def _sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small tensors are read and cast together, larger ones alone, and in pieces."""
    if request.param == "each tensor alone":
        monkeypatch.setattr(stretches, "SMALL", 1)
        monkeypatch.setattr(stretches, "_TASK", 64)


def prove(folder: Path, before: object, after: object, **options: Any) -> Proof:
    source, result = pairs.save(folder, "a.pth", before), pairs.save(folder, "b.pth", after)
    return ckpttool.prove(result, source, **options)


def operations(proof: Proof) -> tuple[str, ...]:
    return tuple(operation.value for operation, number in proof.counts.items() if number)


def unexplained(proof: Proof) -> list[str]:
    return [one.name for one in proof.unexplained]


@pytest.mark.usefixtures("_sizes")
@pytest.mark.parametrize("case", made.MADE.values(), ids=made.MADE.keys())
def test_each_operation_is_named_and_proven(tmp_path: Path, case: made.Made) -> None:
    source, result, options = made.written(tmp_path, case)
    proof = ckpttool.prove(result, source, **options)
    assert proof.outcome is ProofOutcome.PROVEN, (proof.unexplained, proof.missing)
    assert operations(proof) == case.operations
    assert not proof.unexplained
    assert not proof.missing


@pytest.mark.usefixtures("_sizes")
@pytest.mark.parametrize("case", made.MADE.values(), ids=made.MADE.keys())
def test_one_element_that_is_changed_is_named(tmp_path: Path, case: made.Made) -> None:
    for name in list(case.change(case.start(pairs.state()))):

        def spoil(state: made.State, name: str = name) -> made.State:
            tensor = state[name].clone()
            tensor.view(-1)[-1] += 1
            return {**state, name: tensor}

        source, result, options = made.written(tmp_path, case, spoil)
        proof = ckpttool.prove(result, source, **options)
        assert proof.outcome is ProofOutcome.NOT_PROVEN
        assert unexplained(proof) == [name]


@pytest.mark.parametrize("layout", ["hf", "mmpretrain", "timm"])
@pytest.mark.parametrize("dtype", [None, "bfloat16"])
def test_another_layout_is_proven_both_ways(
    tmp_path: Path, tiny: str, layout: str, dtype: str | None
) -> None:
    source = checkpoints.saved(tmp_path, checkpoints.encoder_only)
    target = str(tmp_path / "b.safetensors")
    done = ckpttool.convert(source, target, to="safetensors", layout=layout, dtype=dtype)
    assert done.exit_code == 0
    proof = ckpttool.prove(target, source)
    assert proof.outcome is ProofOutcome.PROVEN, proof.unexplained
    assert ("cast" in operations(proof)) is (dtype is not None)
    assert ("split" in operations(proof)) is (layout == "hf")
    back = ckpttool.prove(source, target)
    assert back.outcome is (ProofOutcome.NOT_PROVEN if dtype else ProofOutcome.PROVEN)
    if dtype:
        assert "it has more than A's bfloat16" in back.unexplained[0].reason
    elif layout == "hf":
        assert "joined" in operations(back)


@pytest.mark.parametrize("dtype", [None, "float16"])
def test_of_a_fused_tensor_that_was_split_the_part_that_differs_is_named(
    tmp_path: Path, tiny: str, dtype: str | None
) -> None:
    from safetensors.torch import load_file

    source = checkpoints.saved(tmp_path, checkpoints.encoder_only)
    target = tmp_path / "b.safetensors"
    ckpttool.convert(source, target, to="safetensors", layout="hf", dtype=dtype)
    state = load_file(target)
    name = next(name for name in state if name.endswith("0.attention.attention.key.weight"))
    state[name][0, 0] += 1
    save_file(state, target)
    proof = ckpttool.prove(target, source)
    assert unexplained(proof) == [name]
    assert proof.outcome is ProofOutcome.NOT_PROVEN
    parts = next(one for one in proof.explained if Operation.SPLIT in one.operations)
    assert len(parts.names) == 2


def test_a_file_is_proven_from_itself(tmp_path: Path) -> None:
    path = pairs.save(tmp_path, "a.pth", pairs.training())
    proof = ckpttool.prove(path, path)
    assert proof.outcome is ProofOutcome.PROVEN
    assert operations(proof) == ("identical",)
    assert [note.split(":")[0] for note in proof.notes] == [
        "what lies beside the weights of A",
        "what lies beside the weights of B",
    ]


@pytest.mark.usefixtures("_sizes")
def test_the_wrong_way_round_is_told(tmp_path: Path) -> None:
    source, result, _ = made.written(tmp_path, made.MADE["bfloat16"])
    proof = ckpttool.prove(source, result)
    assert proof.outcome is ProofOutcome.NOT_PROVEN
    assert {one.reason for one in proof.unexplained} == {
        "it has more than A's bfloat16, which is this cast to bfloat16"
    }
    # what is no cast either way is not told to be one
    doubled = {name: 2 * tensor for name, tensor in pairs.state().items()}
    again = ckpttool.prove(pairs.save(tmp_path, "c.pth", doubled), result)
    assert all("elements differ" in one.reason for one in again.unexplained)


def test_shards_and_containers_make_no_difference_and_are_told(tmp_path: Path) -> None:
    source = pairs.save(tmp_path, "a.pth", pairs.state())
    ckpttool.convert(source, tmp_path / "b.safetensors", to="safetensors", max_shard_size=500)
    proof = ckpttool.prove(tmp_path / "b.safetensors.index.json", source)
    assert proof.outcome is ProofOutcome.PROVEN
    facts = {fact.name: (fact.left, fact.right) for fact in proof.structure}
    assert facts["container"] == ("torch-zip", "safetensors-sharded")
    one, several = facts["re-sharded"]
    assert one == "1 file"
    assert several.endswith(" shards")
    index = tmp_path / "b.safetensors.index.json"
    again = tmp_path / "c.safetensors"
    ckpttool.convert(index, again, to="safetensors", max_shard_size=400)
    proof = ckpttool.prove(f"{again}.index.json", index)
    assert proof.outcome is ProofOutcome.PROVEN
    assert "re-sharded" in {fact.name for fact in proof.structure}
    same = ckpttool.prove(index, index)
    assert "re-sharded" not in {fact.name for fact in same.structure}


def test_a_name_that_a_only_records_as_tied_is_put_back(tmp_path: Path) -> None:
    tied = {**pairs.state()}
    tied["head.weight"] = tied[QKV]
    full = pairs.save(tmp_path, "full.pth", tied)
    ckpttool.convert(full, tmp_path / "a.safetensors", to="safetensors")
    proof = ckpttool.prove(full, tmp_path / "a.safetensors")
    assert proof.outcome is ProofOutcome.PROVEN
    assert proof.counts[Operation.TIED] == 1
    # the other way round nothing is put back
    assert operations(ckpttool.prove(tmp_path / "a.safetensors", full)) == ("identical",)


def test_a_tie_that_b_dropped_without_a_record_is_missing_with_its_reason(tmp_path: Path) -> None:
    tied = {**pairs.state()}
    tied["head.weight"] = tied[QKV]
    proof = prove(tmp_path, tied, pairs.state())
    assert proof.outcome is ProofOutcome.NOT_PROVEN
    assert [(one.name, one.same_as) for one in proof.missing] == [("head.weight", QKV)]


def test_what_is_missing_is_named_unless_it_may_be(tmp_path: Path) -> None:
    encoder = {k: v for k, v in pairs.state().items() if not k.startswith("decoder")}
    proof = prove(tmp_path, pairs.state(), encoder)
    assert proof.outcome is ProofOutcome.NOT_PROVEN
    assert [one.name for one in proof.not_allowed] == ["decoder_blocks.0.mlp.fc2.weight"]
    allowed = prove(tmp_path, pairs.state(), encoder, allow_missing="decoder*")
    assert allowed.outcome is ProofOutcome.PROVEN
    assert [one.allowed for one in allowed.missing] == [True]
    with pytest.raises(UsageError, match="no tensor name of A matches"):
        prove(tmp_path, pairs.state(), encoder, allow_missing=["decoder*", "mtp.*"])


def test_what_a_has_nothing_of_is_named(tmp_path: Path) -> None:
    proof = prove(tmp_path, pairs.state(), {**pairs.state(), "head.weight": torch.rand(3, 4)})
    assert unexplained(proof) == ["head.weight"]
    assert proof.unexplained[0].reason == "A has nothing like it"


def test_one_number_repeated_is_not_recognised_by_its_content(tmp_path: Path) -> None:
    before = {**pairs.state(), "a.bias": torch.zeros(7)}
    proof = prove(tmp_path, before, {**pairs.state(), "b.bias": torch.zeros(7)})
    assert unexplained(proof) == ["b.bias"]
    assert [one.name for one in proof.missing] == ["a.bias"]
    assert "identifies no tensor" in proof.unexplained[0].reason
    # nor is it the copy of another that B has
    copied = prove(tmp_path, before, {**before, "b.bias": torch.zeros(7)})
    assert unexplained(copied) == ["b.bias"]


def test_two_tensors_that_changed_places_are_not_renamed(tmp_path: Path) -> None:
    state = pairs.state()
    one, other = "blocks.0.norm1.weight", "blocks.1.norm1.weight"
    swapped = {**state, one: state[other], other: state[one]}
    assert unexplained(prove(tmp_path, state, swapped)) == [one, other]


@pytest.mark.usefixtures("_sizes")
def test_a_cast_is_held_to_the_bits(tmp_path: Path) -> None:
    before = {"w": torch.tensor([0.1, -0.0, 1e-30, float("nan"), 1e30])}
    half = {"w": before["w"].half()}
    proof = prove(tmp_path, before, half)
    assert proof.outcome is ProofOutcome.PROVEN
    assert proof.explained[0].cast == ("float32", "float16", 1, 1)
    other_sign = {"w": torch.tensor([0.1, 0.0, 1e-30, float("nan"), 1e30]).half()}
    wrong = prove(tmp_path, before, other_sign)
    assert wrong.unexplained[0].reason.endswith("cast to float16, the first at [1]")
    # of several small tensors each has its own losses, and its own place
    two = {"v": torch.ones(3), **before}
    several = prove(tmp_path, two, {name: tensor.half() for name, tensor in two.items()})
    assert [one.cast and one.cast[2:] for one in several.explained] == [(0, 0), (1, 1)]
    cut_off = {"w": torch.tensor([1.003])}  # the nearest is 1
    down = torch.tensor([1.0]).bfloat16()
    up = torch.tensor([1.0078125]).bfloat16()
    assert prove(tmp_path, cut_off, {"w": down}).outcome is ProofOutcome.PROVEN
    assert prove(tmp_path, cut_off, {"w": up}).outcome is ProofOutcome.NOT_PROVEN


@pytest.mark.parametrize("change", [lambda t: t.reshape(4, 12), lambda t: t.to(torch.int32)])
def test_another_shape_and_a_type_that_is_not_cast_are_named(tmp_path: Path, change: Any) -> None:
    state = pairs.state()
    proof = prove(tmp_path, state, {**state, QKV: change(state[QKV])})
    assert unexplained(proof) == [QKV]
    assert not proof.missing


def test_what_cannot_be_read_cannot_be_told(tmp_path: Path) -> None:
    state = pairs.state()
    sparse = {**state, QKV: state[QKV].to_sparse()}
    for before, after in ((state, sparse), (sparse, state), (sparse, sparse)):
        proof = prove(tmp_path, before, after)
        assert proof.outcome is ProofOutcome.CANNOT_TELL
        assert unexplained(proof) == [QKV]
        assert not proof.missing
    changed = {**sparse, "pos_embed": state["pos_embed"] + 1}
    assert prove(tmp_path, state, changed).outcome is ProofOutcome.NOT_PROVEN


def test_the_state_dict_of_either_file_can_be_chosen(tmp_path: Path) -> None:
    average = {name: tensor / 2 for name, tensor in pairs.state().items()}
    both = {"model": pairs.state(), "model_ema": average}
    assert prove(tmp_path, both, average).outcome is ProofOutcome.NOT_PROVEN
    proof = prove(tmp_path, both, average, from_wrapper="model_ema")
    assert proof.outcome is ProofOutcome.PROVEN
    assert prove(tmp_path, average, both, wrapper="model_ema").outcome is ProofOutcome.PROVEN


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_workers_make_no_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(stretches, "SMALL", 1)
    monkeypatch.setattr(stretches, "_TASK", 64)
    before = {"w": torch.rand(999), "v": torch.rand(10, 10)}
    after = {"w": before["w"].bfloat16(), "v": before["v"].bfloat16()}
    after["w"][500] += 1
    proof = prove(tmp_path, before, after, workers=workers)
    assert unexplained(proof) == ["w"]
    assert proof.unexplained[0].reason.startswith("1 of 999 elements differ")
    assert proof.unexplained[0].reason.endswith("the first at [500]")


def test_a_broken_file_and_a_list_of_digests_cannot_be_told(tmp_path: Path) -> None:
    good = pairs.save(tmp_path, "a.pth", pairs.state())
    bad = tmp_path / "bad.pth"
    bad.write_bytes(b"PK\x03\x04 and no more")
    receipt = tmp_path / "receipt.json"
    ckpttool.convert(good, tmp_path / "b.safetensors", to="safetensors", receipt=receipt)
    for path in (bad, tmp_path / "none.pth", receipt):
        for sides in ((good, path), (path, good), (path, path)):
            if sides == (good, receipt):  # in A's place its digests are enough
                continue
            proof = ckpttool.prove(*sides)
            assert proof.outcome is ProofOutcome.CANNOT_TELL
            assert proof.findings


def test_an_attack_is_never_proven(tmp_path: Path) -> None:
    path = checkpoints.saved(tmp_path, checkpoints.attack_beside)
    assert ckpttool.prove(path, path).outcome is ProofOutcome.CANNOT_TELL


@pytest.mark.parametrize("count", [3000])
def test_thousands_of_hostile_names_are_shown_and_harmless(tmp_path: Path, count: int) -> None:
    names = [f"blocks.{10**6 * n}.\x1b[31m[bold]{{x}}\n.w" for n in range(count)]
    state = {name: torch.full((2,), float(place)) for place, name in enumerate(names)}
    state[names[7]] = torch.rand(2)
    other = {**state, names[7]: state[names[7]] + 1, "\x1b[0m": torch.rand(3)}
    proof = prove(tmp_path, state, other)
    assert unexplained(proof) == [names[7], "\x1b[0m"]
    text = ckpttool.render(proof)
    assert "\x1b" not in text
    json.loads(ckpttool.render(proof, "json"))


@pytest.mark.parametrize("which", ["a.pth", "b.pth"])
def test_a_file_that_changes_meanwhile_proves_nothing(tmp_path: Path, which: str) -> None:
    class Meddler:
        def start(self, _: int) -> None:
            os.utime(tmp_path / which, (1, 1))

        def advance(self, nbytes: int) -> None:
            pass

    proof = prove(tmp_path, pairs.state(), pairs.state(), progress=Meddler())
    assert proof.outcome is ProofOutcome.CANNOT_TELL
    assert "changed" in ckpttool.render(proof)


def test_what_differs_in_no_number_is_told_without_one(tmp_path: Path) -> None:
    zeros = torch.tensor([1.0, 0.0])
    proof = prove(tmp_path, {"w": zeros}, {"w": torch.tensor([1.0, -0.0])})
    assert [one.reason for one in proof.unexplained] == ["1 of 2 elements differs from A's"]


def test_of_a_file_without_tensors_nothing_is_proven(tmp_path: Path) -> None:
    path, source = tmp_path / "b.safetensors", tmp_path / "a.safetensors"
    save_file({}, path)
    save_file({"w": torch.rand(3)}, source)
    for other in (source, path):
        proof = ckpttool.prove(path, other, allow_missing="*" if other is source else ())
        assert proof.outcome is ProofOutcome.CANNOT_TELL
        assert "there is no tensor in the checkpoint" in ckpttool.render(proof)


def test_empty_tensors_are_proven(tmp_path: Path) -> None:
    empty = {"w": torch.empty(0, 3), "s": torch.rand(())}
    assert prove(tmp_path, empty, empty).outcome is ProofOutcome.PROVEN
    cast = {"w": torch.empty(0, 3).half(), "s": empty["s"].half()}
    assert prove(tmp_path, empty, cast).outcome is ProofOutcome.PROVEN


def test_the_report_has_a_line_for_each_operation_and_what_is_left(tmp_path: Path) -> None:
    state = pairs.state()
    after: made.State = {f"module.{name}": value.half() for name, value in state.items()}
    after.pop("module.pos_embed")
    after["module.head.bias"] = torch.rand(9)
    text = ckpttool.render(prove(tmp_path, state, after))
    lines = [line.strip() for line in text.splitlines()]
    assert any(line.startswith("renamed") and "7 tensors" in line for line in lines)
    assert any("float32 -> float16, to nearest, ties to even" in line for line in lines)
    assert lines[0].startswith("✗ NOT PROVEN")
    assert lines[0].endswith("  7 of 8 tensors explained · 1 tensor of A missing")
    assert lines.index("unexplained") < lines.index("missing from B")


def test_a_model_is_proven_from_its_training_run(tmp_path: Path, tiny: str) -> None:
    model = models.tiny_model().state_dict()
    source = pairs.save(tmp_path, "run.pth", {"model": model, "epoch": 3})
    save_file({k: v.clone() for k, v in model.items()}, tmp_path / "b.safetensors")
    assert ckpttool.prove(tmp_path / "b.safetensors", source).outcome is ProofOutcome.PROVEN


def test_many_that_differ_are_a_table_the_largest_difference_first(tmp_path: Path) -> None:
    state = {f"layers.{number}.w": torch.ones(4) for number in range(30)}
    after = {name: value + number for number, (name, value) in enumerate(state.items())}
    lines = [line.strip() for line in ckpttool.render(prove(tmp_path, state, after)).splitlines()]
    start = lines.index("29 differ from A's:")
    assert lines[start + 1].split() == ["tensor", "shape", "elements", "largest", "difference"]
    assert lines[start + 2].split() == ["✗", "layers.29.w", "[4]", "all", "29"]
    assert "and 9 more (--format json lists all)" in lines


def test_few_that_differ_are_told_in_sentences(tmp_path: Path) -> None:
    state = {"a": torch.ones(4), "b": torch.ones(4)}
    proof = prove(tmp_path, state, {name: value + 1 for name, value in state.items()})
    assert "✗ a, b: 4 of 4 elements differ from A's, by up to 1" in ckpttool.render(proof)
    found = proof.to_dict()["unexplained"][0]["differing"]
    assert found == {"changed": 4, "elements": 4, "other": "A's", "largest": 1.0}


def test_nan_of_b_is_told(tmp_path: Path) -> None:
    proof = prove(tmp_path, {"a": torch.ones(4)}, {"a": torch.tensor([1, 1, 1, float("nan")])})
    assert proof.unexplained[0].reason == "1 of 4 elements differs from A's; 1 NaN in B only"
    assert proof.unexplained[0].differing is None


def test_one_rule_stands_for_all_names_that_it_changed(tmp_path: Path) -> None:
    state = {f"layers.{number}.w": torch.rand(4) for number in range(30)}
    text = ckpttool.render(
        prove(tmp_path, state, {f"net.{name}": value for name, value in state.items()})
    )
    assert "30 tensors: * -> net.*" in text
