"""Two files compared: every class fires, both ways; what is beside the tensors; trouble."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
import torch

from ckpttool.comparison.diff import DiffOptions, diff_files
from ckpttool.comparison.result import Comparison, DiffKind, Outcome, TensorDiff
from ckpttool.findings.errors import UsageError
from tests.builders import pairs
from tests.builders.layouts import encoder_names

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

CHANGED = pairs.CASES["other-values"].change
REVERSED = {DiffKind.ONLY_LEFT: DiffKind.ONLY_RIGHT, DiffKind.ONLY_RIGHT: DiffKind.ONLY_LEFT}


def compared(paths: tuple[str, str], **options: Any) -> Comparison:
    return diff_files(paths, DiffOptions(**options))


def odd_one(comparison: Comparison) -> TensorDiff:
    """The one tensor that is of another class than most."""
    ordered = sorted(comparison.tensors, key=lambda tensor: tensor.kind is DiffKind.IDENTICAL)
    return ordered[0]


@pytest.mark.parametrize("case", pairs.CASES.values(), ids=pairs.CASES.keys())
def test_each_difference_has_its_class_from_both_sides(tmp_path: Path, case: pairs.Case) -> None:
    left, right = pairs.written(tmp_path, case.change)
    there, back = (compared(sides, **case.options) for sides in ((left, right), (right, left)))
    assert odd_one(there).kind.value == case.kind
    assert odd_one(back).kind is REVERSED.get(odd_one(there).kind, odd_one(there).kind)
    expected = Outcome.SAME if case.same else Outcome.DIFFERENT
    if case.kind == "not-compared":
        expected = Outcome.CANNOT_TELL
    assert there.outcome is back.outcome is expected
    assert there.counts[DiffKind.IDENTICAL] == back.counts[DiffKind.IDENTICAL]


def swapped(tensor: TensorDiff) -> TensorDiff:
    change = tensor.change
    if change is not None:
        peaks = [
            peak and peak._replace(left=peak.right, right=peak.left)
            for peak in (change.max_abs, change.max_rel)
        ]
        turn = change.norm_change
        change = change._replace(
            max_abs=peaks[0],
            max_rel=peaks[1],
            norm_change=None if turn is None else -turn,
            nan_left=change.nan_right,
            nan_right=change.nan_left,
            infinite_left=change.infinite_right,
            infinite_right=change.infinite_left,
            norm_left=change.norm_right,
            norm_right=change.norm_left,
        )
    kind = REVERSED.get(tensor.kind, tensor.kind)
    rounded = {"left": "right", "right": "left", None: None}[tensor.rounded]
    other = tensor._replace(
        kind=kind, left=tensor.right, right=tensor.left, change=change, rounded=rounded
    )
    named = other.left or other.right
    return other._replace(name=named.names[0]) if named else other


@pytest.mark.parametrize("case", pairs.CASES.values(), ids=pairs.CASES.keys())
def test_exchanging_the_files_exchanges_the_report(tmp_path: Path, case: pairs.Case) -> None:
    left, right = pairs.written(tmp_path, case.change)
    there, back = (compared(sides, **case.options) for sides in ((left, right), (right, left)))
    assert tuple(map(swapped, there.tensors)) == back.tensors
    assert (there.left, there.right) == (back.right, back.left)


def test_the_order_of_the_files_does_not_matter(tmp_path: Path) -> None:
    state = {**pairs.state(), "layers.10.w": torch.ones(1), "layers.9.w": torch.ones(2)}
    other = {name: value + 1 for name, value in reversed(list(state.items()))}
    content = {"model": other, "b": 1, "a": 1}
    left = pairs.save(tmp_path, "a.pth", {"a": 2, "b": 2, "model": state})
    right = pairs.save(tmp_path, "b.pth", content)
    there, back = compared((left, right)), compared((right, left))
    assert tuple(map(swapped, there.tensors)) == back.tensors
    assert [entry.key for entry in there.state] == [entry.key for entry in back.state]
    layers = [tensor.name for tensor in there.tensors if tensor.name.startswith("layers")]
    assert layers == ["layers.9.w", "layers.10.w"]


def test_what_one_side_cannot_read_is_not_only_on_the_other(tmp_path: Path) -> None:
    left = pairs.save(tmp_path, "a.pth", {**pairs.state(), "mask": torch.eye(3).to_sparse()})
    right = pairs.save(tmp_path, "b.pth", {**pairs.state(), "mask": torch.eye(3)})
    for sides, known in (((left, right), 1), ((right, left), 0)):
        found = compared(sides)
        assert found.outcome is Outcome.CANNOT_TELL
        (mask,) = [tensor for tensor in found.tensors if tensor.name == "mask"]
        assert mask.kind is DiffKind.NOT_COMPARED
        assert [side is not None for side in (mask.left, mask.right)] == [known == 0, known == 1]


def test_what_changed_is_told_with_its_place_and_values(tmp_path: Path) -> None:
    def one_element(state: pairs.State) -> pairs.State:
        tensor = state["blocks.0.attn.qkv.weight"].clone()
        tensor[7, 2] = 5.0
        return {**state, "blocks.0.attn.qkv.weight": tensor}

    change = odd_one(compared(pairs.written(tmp_path, one_element))).change
    assert change is not None
    assert change.max_abs is not None
    assert (change.changed, change.elements) == (1, 48)
    assert change.max_abs.at == (7, 2)
    assert change.max_abs.right == 5.0


def test_zeros_of_another_sign_are_no_large_change(tmp_path: Path) -> None:
    left, right = (
        pairs.save(tmp_path, f"{n}.pth", {"w": zeros})
        for n, zeros in enumerate((torch.zeros(4), -torch.zeros(4)))
    )
    tensor = odd_one(compared((left, right)))
    assert tensor.change is not None
    assert (tensor.kind, tensor.change.changed) == (DiffKind.CHANGED, 4)
    assert tensor.change.relative_rms == tensor.change.rms == 0


def test_what_is_renamed_is_paired_one_to_one(tmp_path: Path) -> None:
    same = {"a": torch.ones(3), "b": torch.ones(3)}
    left = pairs.save(tmp_path, "a.pth", {**same, "k": torch.zeros(1)})
    right = pairs.save(tmp_path, "b.pth", {"x": torch.ones(3), "k": torch.zeros(1)})
    counts = compared((left, right)).counts
    assert (counts[DiffKind.RENAMED], counts[DiffKind.ONLY_LEFT], counts[DiffKind.ONLY_RIGHT]) == (
        1,
        1,
        0,
    )


def test_two_layouts_are_compared_by_canonical_names(tmp_path: Path) -> None:
    shape = {"attn.qkv.weight": (6, 2), "attn.qkv.bias": (6,)}
    ours = {
        name: torch.rand(shape.get(name.split(".", 2)[-1], (2, 2))) for name in encoder_names(1)
    }
    from ckpttool.models.layouts.hf_vitmae import HF_VITMAE

    theirs: dict[str, Any] = {}
    for name, tensor in ours.items():
        others = HF_VITMAE.names_of(name) or ()
        theirs.update(
            (other, part.clone()) for other, part in zip(others, tensor.chunk(len(others)))
        )
    left, right = pairs.save(tmp_path, "a.pth", ours), pairs.save(tmp_path, "b.pth", theirs)
    found = compared((left, right))
    assert found.outcome is Outcome.SAME
    assert ("layout", "facebook", "hf-vitmae") in found.structure
    qkv = next(tensor for tensor in found.tensors if tensor.name == "blocks.0.attn.qkv.weight")
    assert qkv.right is not None
    assert len(qkv.right.names) == 3


# --- containers, state, structure ---------------------------------------------------------


def safetensors(folder: Path, state: pairs.State) -> str:
    from safetensors.torch import save_file

    save_file(state, str(folder / "b.safetensors"), metadata={"format": "pt"})
    return str(folder / "b.safetensors")


def test_a_container_is_no_difference_and_is_told(tmp_path: Path) -> None:
    left = pairs.save(tmp_path, "a.pth", {"model": pairs.state()})
    found = compared((left, safetensors(tmp_path, pairs.state())))
    assert found.outcome is Outcome.SAME
    assert [fact.name for fact in found.structure] == ["container", "wrapper", "metadata format"]


def test_ties_are_told(tmp_path: Path) -> None:
    shared = torch.ones(3)
    left = pairs.save(tmp_path, "a.pth", {"a": shared, "b": shared})
    right = pairs.save(tmp_path, "b.pth", {"a": shared, "b": shared.clone()})
    found = compared((left, right))
    assert found.outcome is Outcome.SAME
    assert found.structure == (("tied", "a = b", "none"),)


def test_a_recorded_tie_stands_for_its_tensor(tmp_path: Path) -> None:
    shared = torch.ones(3)
    left = pairs.save(tmp_path, "a.pth", {"a": shared, "b": shared})
    from safetensors.torch import save_file

    save_file({"a": shared}, str(tmp_path / "b.safetensors"), metadata={"b": "a"})
    assert compared((left, str(tmp_path / "b.safetensors"))).outcome is Outcome.SAME


def test_epoch_and_arguments_and_the_optimizer_are_compared(tmp_path: Path) -> None:
    left = pairs.save(tmp_path, "a.pth", pairs.training())
    right = pairs.save(tmp_path, "b.pth", pairs.training(epoch=4, lr=0.2))
    found = compared((left, right))
    assert found.outcome is Outcome.DIFFERENT
    assert found.counts[DiffKind.IDENTICAL] == len(found.tensors)
    assert found.state == (
        ("args.lr", "0.1", "0.2"),
        ("epoch", "3", "4"),
        ("optimizer.param_groups.0.lr", "0.1", "0.2"),
    )
    assert [(one.name, one.kind) for one in found.beside] == [
        ("optimizer.state.0.exp_avg", DiffKind.IDENTICAL),
        ("optimizer.state.0.step", DiffKind.IDENTICAL),
    ]
    overlooked = compared((left, right), exclude=["epoch", "optimizer*", "args*"])
    assert overlooked.outcome is Outcome.SAME
    # epoch, args.$object, args.lr, args.name, and of the optimizer lr, params and two moments
    assert overlooked.excluded == 8


BESIDE = [
    pytest.param({"model_ema": pairs.state()}, id="an average"),
    pytest.param({"likelihood": {"noise": torch.ones(1)}}, id="a learned likelihood"),
    pytest.param({"optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}}, id="moments"),
    pytest.param({"mean": torch.ones(2)}, id="a tensor alone"),
    pytest.param({"parts": [(1, torch.ones(2))]}, id="in a list"),
    pytest.param({"u": torch.ones(2).untyped_storage()}, id="a storage"),
    pytest.param({"q": [torch.eye(2).to_sparse()]}, id="a kind that is not read"),
]


@pytest.mark.parametrize("beside", BESIDE)
def test_tensors_beside_the_weights_that_one_side_lacks_are_a_difference(
    tmp_path: Path, beside: dict[str, Any]
) -> None:
    left = pairs.save(tmp_path, "a.pth", {"model": pairs.state(), **beside})
    right = pairs.save(tmp_path, "b.pth", {"model": pairs.state()})
    there, back = compared((left, right)), compared((right, left))
    assert there.outcome is back.outcome is Outcome.DIFFERENT
    assert {one.kind for one in there.beside} == {DiffKind.ONLY_LEFT}
    assert {one.kind for one in back.beside} == {DiffKind.ONLY_RIGHT}
    assert there.counts[DiffKind.IDENTICAL] == len(there.tensors)
    assert compared((left, left)).outcome is Outcome.SAME
    only_weights = compared((left, right), weights_only=True)
    assert only_weights.outcome is Outcome.SAME
    assert only_weights.aside == (tuple(beside), ())


def test_tensors_beside_the_weights_are_compared_by_their_elements(tmp_path: Path) -> None:
    left = pairs.save(tmp_path, "a.pth", {"model": pairs.state(), "ema": {"w": torch.zeros(4)}})
    right = pairs.save(tmp_path, "b.pth", {"model": pairs.state(), "ema": {"w": torch.ones(4)}})
    found = compared((left, right))
    (tensor,) = found.beside
    assert (found.outcome, tensor.name, tensor.kind) == (
        Outcome.DIFFERENT,
        "ema.w",
        DiffKind.CHANGED,
    )
    assert tensor.change is not None
    assert tensor.change.changed == 4
    assert compared((left, right), atol=1.0).outcome is Outcome.SAME
    assert compared((left, right), exclude=["ema.*"]).outcome is Outcome.SAME
    assert len(compared((left, right), include=["ema.*"]).beside) == 1


def test_a_file_is_not_the_same_as_its_own_conversion_that_lost_tensors(tmp_path: Path) -> None:
    from ckpttool.conversion.convert import convert_file
    from ckpttool.conversion.options import ConvertOptions

    left = pairs.save(tmp_path, "a.pth", {"model": pairs.state(), "ema": pairs.state()})
    right, receipt = (str(tmp_path / name) for name in ("b.safetensors", "receipt.json"))
    convert_file(left, right, ConvertOptions(to="safetensors", receipt=receipt))
    for other in (right, receipt):
        assert compared((left, other)).outcome is Outcome.DIFFERENT
        assert compared((other, left)).outcome is Outcome.DIFFERENT
        assert compared((left, other), weights_only=True).outcome is Outcome.SAME
    assert compared((right, receipt)).outcome is Outcome.SAME


def test_the_wrapper_is_chosen_on_either_side(tmp_path: Path) -> None:
    other = CHANGED(pairs.state())
    left = pairs.save(tmp_path, "a.pth", {"model": pairs.state(), "ema": other})
    right = pairs.save(tmp_path, "b.pth", {"net": other})
    assert compared((left, right), weights_only=True).outcome is Outcome.DIFFERENT
    found = compared((left, right), weights_only=True, wrappers=("ema", None))
    assert (found.outcome, found.left.wrapper) == (Outcome.SAME, "ema")
    turned = compared((right, left), weights_only=True, wrappers=(None, "ema"))
    assert turned.outcome is Outcome.SAME
    with pytest.raises(UsageError, match="no state dict under that wrapper"):
        compared((left, right), wrappers=(None, "ema"))


def test_what_lies_in_the_state_dict_itself_goes_by_its_key_there(tmp_path: Path) -> None:
    left = pairs.save(tmp_path, "a.pth", {"model": {**pairs.state(), "version": 1}})
    right = pairs.save(tmp_path, "b.pth", {"net": {**pairs.state(), "version": 1}})
    assert compared((left, right)).outcome is Outcome.SAME
    changed = pairs.save(tmp_path, "c.pth", {"net": {**pairs.state(), "version": 2}})
    assert compared((left, changed)).state == (("version", "1", "2"),)


def test_entries_beyond_those_that_are_listed_are_compared(tmp_path: Path) -> None:
    beside = {f"e{number}": number for number in range(1_200)}
    left = pairs.save(tmp_path, "a.pth", {"model": pairs.state(), **beside})
    right = pairs.save(tmp_path, "b.pth", {"model": pairs.state(), **beside, "e1199": 0})
    assert compared((left, right)).state == (("e1199", "1199", "0"),)


def test_endless_views_beside_the_weights_are_not_read(tmp_path: Path) -> None:
    grain = torch.zeros(1)
    state = {number: {"exp_avg": grain.expand(3_000_000 + number)} for number in range(8)}
    content = {"model": pairs.state(), "optimizer": {"state": state}}
    path = pairs.save(tmp_path, "a.pth", content)
    found = compared((path, path))
    assert found.outcome is Outcome.CANNOT_TELL
    assert found.counts_beside[DiffKind.NOT_COMPARED] == 8


class Holder:
    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


class OtherHolder(Holder):
    pass


class Attributes(dict):  # type: ignore[type-arg]
    pass


def attributes(note: int, **content: Any) -> Attributes:
    held = Attributes(content)
    held.note = note  # type: ignore[attr-defined]
    return held


WEIGHTS = {"a.w": torch.ones(2), "a.b": torch.ones(2)}


@pytest.mark.parametrize(
    ("left", "right"),
    [
        pytest.param(Holder(model=WEIGHTS), OtherHolder(model=WEIGHTS), id="class of the root"),
        pytest.param(
            {"net": Holder(model=WEIGHTS)}, {"net": OtherHolder(model=WEIGHTS)}, id="on the way"
        ),
        pytest.param(Holder(model=WEIGHTS), {"model": WEIGHTS}, id="an object or a dictionary"),
        pytest.param(attributes(1, model=WEIGHTS), attributes(2, model=WEIGHTS), id="attribute"),
        pytest.param(
            {"model": attributes(1, **WEIGHTS)},
            {"model": attributes(2, **WEIGHTS)},
            id="attribute of the state dict",
        ),
    ],
)
def test_what_holds_the_weights_is_content_too(tmp_path: Path, left: Any, right: Any) -> None:
    paths = tuple(pairs.save(tmp_path, f"{n}.pth", one) for n, one in enumerate((left, right)))
    there = compared((paths[0], paths[1]))
    assert there.outcome is compared((paths[1], paths[0])).outcome is Outcome.DIFFERENT
    assert there.counts[DiffKind.IDENTICAL] == len(there.tensors)
    assert all("$self" in entry.key for entry in there.state)
    for path in paths:
        assert compared((path, path)).outcome is Outcome.SAME


def test_versions_of_modules_are_told_and_no_difference(tmp_path: Path) -> None:
    state = torch.nn.BatchNorm1d(2).state_dict()
    left = pairs.save(tmp_path, "a.pth", state)
    right = pairs.save(tmp_path, "b.pth", dict(state))
    found = compared((left, right))
    assert found.outcome is Outcome.SAME
    assert [fact.name for fact in found.structure] == ["module versions"]
    assert compared((left, left)).structure == ()


def test_flags_of_omegaconf_are_told_and_no_difference(tmp_path: Path) -> None:
    omegaconf = pytest.importorskip("omegaconf")
    paths = []
    for readonly in (True, False):
        config = omegaconf.OmegaConf.create({"lr": 0.1})
        omegaconf.OmegaConf.set_readonly(config, readonly)
        content = {"state_dict": pairs.state(), "hyper_parameters": {"cfg": config}}
        paths.append(pairs.save(tmp_path, f"{readonly}.ckpt", content))
    found = compared((paths[0], paths[1]))
    assert found.outcome is Outcome.SAME
    assert found.notes == ("types and flags of OmegaConf at hyper_parameters.cfg",)
    assert compared((paths[0], paths[0])).notes == ()


def test_patterns_choose_and_what_they_leave_out_is_counted(tmp_path: Path) -> None:
    case = pairs.CASES["other-values"]
    paths = pairs.written(tmp_path, case.change)
    assert compared(paths, exclude=["blocks.1.*"]).outcome is Outcome.SAME
    found = compared(paths, include=["blocks.1.*"], exclude=["*.norm1.*"])
    assert (len(found.tensors), found.excluded) == (2, 6)
    with pytest.raises(UsageError, match="no tensor is left"):
        compared(paths, exclude=["*"])


@pytest.mark.parametrize("option", ["include", "exclude"])
@pytest.mark.parametrize("weights_only", [False, True])
def test_a_pattern_that_matches_nothing_is_refused(
    tmp_path: Path, option: str, weights_only: bool
) -> None:
    content = {"model": pairs.state(), "optimizer": {"state": {"step": 1}}}
    paths = (pairs.save(tmp_path, "a.pth", content), pairs.save(tmp_path, "b.pth", content))
    for given in (["pos_embed", "optimizr*"], ["optimizr*", "pos_embed"]):
        with pytest.raises(UsageError, match=rf"matches optimizr\* \({option}\).*optimizer"):
            compared(paths, **{option: given}, weights_only=weights_only)


@pytest.mark.parametrize("option", ["include", "exclude"])
def test_a_pattern_may_match_in_one_file_alone(tmp_path: Path, option: str) -> None:
    content = {"model": pairs.state(), "epoch": 1}
    paths = pairs.save(tmp_path, "a.pth", content), pairs.save(tmp_path, "b.pth", content["model"])
    for sides in (paths, paths[::-1]):
        compared(sides, **{option: ["pos_embed", "epoch"]})


@pytest.mark.parametrize("pattern", ["optimizer*", "optimizer.state.step"])
def test_a_pattern_for_what_is_left_aside_is_no_slip(tmp_path: Path, pattern: str) -> None:
    content = {"model": pairs.state(), "optimizer": {"state": {"step": 1}}}
    paths = (pairs.save(tmp_path, "a.pth", content), pairs.save(tmp_path, "b.pth", content))
    found = compared(paths, exclude=[pattern], weights_only=True)
    assert found.outcome is Outcome.SAME


@pytest.mark.parametrize("pattern", ["second*", "second.inner.epoch", "*.inner.epoch"])
def test_a_pattern_for_what_is_there_under_another_key_too_is_no_slip(
    tmp_path: Path, pattern: str
) -> None:
    shared = {"inner": {"epoch": 1, "loss": [1, {"a": 2}]}}
    content = {"model": pairs.state(), "first": shared, "second": shared}
    paths = (pairs.save(tmp_path, "a.pth", content), pairs.save(tmp_path, "b.pth", content))
    assert compared(paths, exclude=[pattern]).outcome is Outcome.SAME
    with pytest.raises(UsageError, match="third"):
        compared(paths, exclude=["third*"])


# --- trouble ------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 1], ids=["left", "right"])
@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(None, "FIL001", id="missing"),
        pytest.param(b"", "FIL006", id="empty"),
        pytest.param(b"not a checkpoint", "FIL002", id="unknown"),
        pytest.param(struct.pack("<Q", 10**6) + b"{}", "FIL006", id="cut off"),
    ],
)
def test_the_file_in_the_way_is_named(
    tmp_path: Path, place: int, data: bytes | None, code: str
) -> None:
    good = pairs.save(tmp_path, "good.pth", pairs.state())
    bad = tmp_path / "bad.safetensors" if data and data[-1:] == b"}" else tmp_path / "bad.pth"
    if data is not None:
        bad.write_bytes(data)
    paths = (str(bad), good) if place == 0 else (good, str(bad))
    found = compared(paths)
    assert found.outcome is Outcome.CANNOT_TELL
    files = (found.left, found.right)
    assert [finding.rule.code for finding in files[place].findings] == [code]
    assert not files[1 - place].findings


def test_a_file_that_is_an_attack_cannot_be_the_same(tmp_path: Path) -> None:
    from tests.builders import checkpoints

    left = checkpoints.saved(tmp_path, checkpoints.attack_beside)
    found = compared((left, left))
    assert found.outcome is Outcome.CANNOT_TELL
    assert found.left.findings[0].rule.code == "SEC001"


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    paths = pairs.written(tmp_path, dict)

    class Touch:
        def start(self, total: int) -> None:
            assert total > 0
            with Path(paths[1]).open("ab") as stream:
                stream.write(b"x")

        def advance(self, nbytes: int) -> None:
            """Nothing."""

    found = diff_files(paths, DiffOptions(), Touch())
    assert found.outcome is Outcome.CANNOT_TELL
    assert found.right.findings[0].rule.code == "FIL004"


def test_endless_views_are_not_read(tmp_path: Path) -> None:
    grain = torch.zeros(1)
    endless = {f"v{number}": grain.expand(3_000_000 + number) for number in range(8)}
    path = pairs.save(tmp_path, "a.pth", endless)
    found = compared((path, path))
    assert found.outcome is Outcome.CANNOT_TELL
    assert found.counts[DiffKind.NOT_COMPARED] == 8


def test_each_side_is_opened_and_put_under_canonical_names_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ckpttool.comparison import diff as comparing
    from ckpttool.comparison import pairing
    from ckpttool.files import sources
    from ckpttool.models.canonical import canonicalize

    left, right = pairs.written(tmp_path, CHANGED)
    opened: list[str] = []
    named: list[int] = []
    real_open = sources._open

    def count_open(path: str) -> Any:
        opened.append(path)
        return real_open(path)

    def count_name(tensors: Any) -> Any:
        named.append(len(tensors))
        return canonicalize(tensors)

    monkeypatch.setattr(sources, "_open", count_open)
    monkeypatch.setattr(comparing, "canonicalize", count_name)
    monkeypatch.setattr(pairing, "canonicalize", count_name)
    compared((left, right))
    assert (opened, len(named)) == ([left, right], 2)
