"""Folders of DeepSpeed become the weights that its own script makes of them."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Callable

import pytest
import torch
from safetensors.torch import load_file

import ckpttool
from ckpttool import open_checkpoint
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError, UnsupportedError, UsageError
from ckpttool.findings.uses import Use
from ckpttool.tensors.catalogue import Checkpoint
from tests.builders import deepspeed as built
from tests.builders.checkpoints import attack_beside
from tests.builders.repository import FIXTURES

# torch 2.0 warns of its own use of a class when it saves and loads
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

REAL = FIXTURES / "deepspeed-0.19.8"


def same(checkpoint: Checkpoint, expected: dict[str, torch.Tensor]) -> None:
    assert set(checkpoint.tensors) == set(expected)
    for name, tensor in expected.items():
        info = checkpoint.tensors[name]
        assert info.shape == tuple(tensor.shape)
        # the script makes float32 of buffers
        assert torch.equal(info.torch().to(tensor.dtype), tensor)


@pytest.mark.parametrize("stage", ["zero1", "zero2", "zero3"])
def test_what_deepspeed_wrote_is_what_its_script_makes_of_it(stage: str) -> None:
    with open_checkpoint(REAL / stage) as checkpoint:
        assert checkpoint.format == "deepspeed-zero"
        same(checkpoint, load_file(REAL / stage / "expected.safetensors"))
        assert checkpoint.uses == ()


@pytest.mark.parametrize("stage", ["zero1", "zero2", "zero3"])
def test_it_is_converted_and_proven(stage: str, tmp_path: Path) -> None:
    shutil.copytree(REAL / stage, tmp_path / "run")
    (tmp_path / "run" / "expected.safetensors").unlink()
    output = tmp_path / "model.safetensors"
    ckpttool.convert(tmp_path / "run", output, to="safetensors")
    assert ckpttool.diff(tmp_path / "run", output).exit_code == 0
    expected = load_file(REAL / stage / "expected.safetensors")
    with open_checkpoint(output) as checkpoint:
        same(checkpoint, {name: expected[name] for name in checkpoint.tensors})
        assert expected.keys() - checkpoint.tensors.keys() == {"head.weight"}  # tied, and recorded


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 7, 40])
@pytest.mark.parametrize("build", [built.stage_2, built.stage_3])
def test_any_number_of_processes_gives_the_same(
    build: Callable[..., Path], processes: int, tmp_path: Path
) -> None:
    with open_checkpoint(build(tmp_path / "step", processes)) as checkpoint:
        same(checkpoint, built.state())


def test_padding_behind_parameters_is_passed(tmp_path: Path) -> None:
    with open_checkpoint(built.stage_2(tmp_path / "step", 2, (9, 1))) as checkpoint:
        same(checkpoint, built.state())


def test_the_latest_of_several_is_taken(tmp_path: Path) -> None:
    built.stage_2(tmp_path / "global_step3")
    built.stage_3(tmp_path / "global_step5")
    (tmp_path / "latest").write_text("global_step5\n")
    with open_checkpoint(tmp_path) as checkpoint:
        assert "global_step5" in checkpoint.path


@pytest.mark.parametrize("tag", ["../other", "/etc", "a/b", "", "gone"])
def test_latest_leads_to_no_other_folder(tag: str, tmp_path: Path) -> None:
    built.stage_2(tmp_path / "other")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "latest").write_text(tag)
    with pytest.raises(CkpttoolError) as caught:
        open_checkpoint(tmp_path / "run")
    assert caught.value.rule is rules.UNREADABLE


def test_a_run_takes_its_files_as_one_checkpoint(tmp_path: Path) -> None:
    built.stage_3(tmp_path / "step")
    report = ckpttool.verify([str(tmp_path)], schema="none")
    assert [Path(file.path).name for file in report.files] == [built.rank_file(0)]


def test_frozen_parameters_are_joined_of_all_processes(tmp_path: Path) -> None:
    folder = built.stage_3(tmp_path / "step", 2)
    frozen = torch.arange(5, dtype=torch.bfloat16)
    for rank, piece in enumerate((frozen[:3], torch.cat([frozen[3:], frozen[:1]]))):
        path = folder / built.model_file(rank)
        built.changed(path, "frozen_param_shapes", value={"f": torch.Size([5])})
        built.changed(path, "frozen_param_fragments", value={"f": piece.clone()})
    with open_checkpoint(folder) as checkpoint:
        assert torch.equal(checkpoint.tensors["f"].torch(), frozen)
    (folder / built.model_file(1)).unlink()
    with pytest.raises(MalformedError, match="hold frozen parameters"):
        open_checkpoint(folder)


def test_frozen_parts_of_two_types_are_said(tmp_path: Path) -> None:
    folder = built.stage_3(tmp_path / "step", 2)
    for rank, dtype in enumerate((torch.bfloat16, torch.float16)):
        path = folder / built.model_file(rank)
        built.changed(path, "frozen_param_shapes", value={"f": torch.Size([4])})
        built.changed(path, "frozen_param_fragments", value={"f": torch.ones(2, dtype=dtype)})
    with pytest.raises(MalformedError, match="differ in type"):
        open_checkpoint(folder)


def test_a_parameter_with_the_name_of_a_buffer_is_said(tmp_path: Path) -> None:
    folder = built.stage_2(tmp_path / "step")
    built.changed(folder / built.MODEL, "buffer_names", value=["a.bias"])
    with pytest.raises(MalformedError, match="listed twice"):
        open_checkpoint(folder)


def test_what_lies_beside_the_weights_is_listed(tmp_path: Path) -> None:
    with open_checkpoint(built.stage_2(tmp_path / "step")) as checkpoint:
        assert [entry.key for entry in checkpoint.entries] == ["ds_version", "global_steps"]


# --- what is not there, or too much ----------------------------------------------------------


@pytest.mark.parametrize("build", [built.stage_2, built.stage_3])
@pytest.mark.parametrize("rank", [0, 1, 2])
def test_a_process_that_is_missing_is_said(
    build: Callable[[Path], Path], rank: int, tmp_path: Path
) -> None:
    folder = build(tmp_path / "step")
    (folder / built.rank_file(rank)).unlink()
    with pytest.raises(MalformedError, match="not those of all processes") as caught:
        open_checkpoint(folder)
    assert caught.value.expected == "3, of ranks 0 to 2"
    assert caught.value.fix == f"Put the files of ranks {rank} beside the others."


def test_a_process_of_an_earlier_run_is_said(tmp_path: Path) -> None:
    folder = built.stage_2(tmp_path / "step")
    shutil.copy(folder / built.rank_file(2), folder / built.rank_file(3))
    with pytest.raises(MalformedError, match="not those of all processes") as caught:
        open_checkpoint(folder)
    assert str(caught.value.found).startswith("4: ")
    assert "had 3 processes: those of ranks 3 and above are of another run" in str(caught.value.fix)


def swap(first: Path, second: Path) -> None:
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)


@pytest.mark.parametrize("ranks", [(0, 1), (0, 2), (1, 2)])
def test_files_that_have_changed_places_are_told_by_the_parts_they_say_they_have(
    ranks: tuple[int, int], tmp_path: Path
) -> None:
    folder = shutil.copytree(REAL / "zero2" / "global_step2", tmp_path / "step")
    swap(*(folder / built.rank_file(rank) for rank in ranks))
    with pytest.raises(MalformedError) as caught:
        open_checkpoint(folder)
    assert caught.value.rule is rules.DISTRIBUTED_CHUNKS


def test_files_of_equal_length_that_have_changed_places_are_told(tmp_path: Path) -> None:
    folder = shutil.copytree(REAL / "zero2" / "global_step2", tmp_path / "step")
    swap(folder / built.rank_file(0), folder / built.rank_file(1))
    with pytest.raises(MalformedError, match="of another process: it has other parts of"):
        open_checkpoint(folder)


@pytest.mark.parametrize("processes", [2, 4, 5])
def test_a_file_of_another_number_of_processes_is_told(processes: int, tmp_path: Path) -> None:
    folder = built.stage_2(tmp_path / "step", 3)
    other = built.stage_2(tmp_path / "other", processes)
    shutil.copy(other / built.rank_file(1), folder / built.rank_file(1))
    with pytest.raises(MalformedError, match="another ZeRO stage or number of processes than"):
        open_checkpoint(folder)


@pytest.mark.parametrize("rank", [1, 2])
def test_a_part_of_another_length_is_told(rank: int, tmp_path: Path) -> None:
    folder = built.stage_2(tmp_path / "step")
    key = "single_partition_of_fp32_groups"
    path = folder / built.rank_file(rank)
    first, second = torch.load(path)["optimizer_state_dict"][key]
    longer = torch.cat([first, first[:1]])
    built.changed(path, "optimizer_state_dict", key, value=[longer, second])
    with pytest.raises(MalformedError, match="8 are due"):
        open_checkpoint(folder)


@pytest.mark.parametrize(
    ("build", "key"),
    [(built.stage_2, "base_optimizer_state"), (built.stage_3, "optimizer_state_dict")],
)
@pytest.mark.parametrize("in_group", [True, False])
def test_a_file_of_another_step_is_told(
    build: Callable[[Path], Path], key: str, in_group: bool, tmp_path: Path
) -> None:
    folder = build(tmp_path / "step")

    def at(rank: int, step: int) -> None:
        state: dict[str, object] = {"state": {0: {"step": torch.tensor(float(step))}}}
        if in_group:
            state = {"state": {}, "param_groups": [{"step": step}]}
        path = folder / built.rank_file(rank)
        built.changed(path, "optimizer_state_dict", key, value=state)

    for rank in range(3):
        at(rank, 300)
    with open_checkpoint(folder) as checkpoint:
        same(checkpoint, built.state())
    at(2, 200)
    with pytest.raises(MalformedError, match="at another step") as caught:
        open_checkpoint(folder)
    assert built.rank_file(2) in caught.value.message


@pytest.mark.parametrize("step", [None, "3", torch.ones(2), torch.ones(0)], ids=str)
def test_what_is_no_number_of_a_step_is_not_compared(step: object, tmp_path: Path) -> None:
    folder = built.stage_2(tmp_path / "step")
    keys = ("optimizer_state_dict", "base_optimizer_state")
    for rank, own in ((0, torch.tensor(1.0)), (1, torch.tensor(1.0)), (2, step)):
        state = {"state": {0: {"step": own}}}
        built.changed(folder / built.rank_file(rank), *keys, value=state)
    with open_checkpoint(folder) as checkpoint:
        same(checkpoint, built.state())


def sliced(folder: Path, **slices: object) -> Path:
    """Have the first process say which parts of parameters of the first group it has."""
    listed = [{name.replace("_", "."): one for name, one in slices.items()}]
    path = folder / built.rank_file(0)
    built.changed(path, "optimizer_state_dict", "param_slice_mappings", value=listed)
    return folder


def test_the_parts_that_a_process_says_it_has_are_compared(tmp_path: Path) -> None:
    place = argparse.Namespace(start=0, numel=8)
    with open_checkpoint(sliced(built.stage_2(tmp_path / "a"), a_weight=place)) as checkpoint:
        same(checkpoint, built.state())
    place.numel = 7
    with pytest.raises(MalformedError, match=r"it has other parts of a\.weight"):
        open_checkpoint(sliced(built.stage_2(tmp_path / "b"), a_weight=place))


def test_parts_in_another_form_or_of_other_parameters_say_nothing(tmp_path: Path) -> None:
    elsewhere = argparse.Namespace(start=5, numel=1)
    folder = sliced(built.stage_2(tmp_path / "a"), a_weight={"start": 5}, other=elsewhere)
    with open_checkpoint(folder) as checkpoint:
        same(checkpoint, built.state())


@pytest.mark.parametrize(
    ("key", "value"), [("global_steps", 8), ("param_shapes", [{"a.weight": torch.Size([3, 5])}])]
)
def test_model_states_of_another_step_or_model_are_told(
    key: str, value: object, tmp_path: Path
) -> None:
    folder = built.stage_3(tmp_path / "step")
    built.changed(folder / built.model_file(1), key, value=value)
    with pytest.raises(MalformedError, match="another step or other parameters"):
        open_checkpoint(folder)


@pytest.mark.skipif(
    not hasattr(torch.serialization, "set_default_load_endianness"),
    reason="this torch does not write the byte order",
)
def test_the_byte_order_of_another_machine_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "byteorder", "big")
    folder = built.stage_2(tmp_path / "step")
    monkeypatch.undo()
    with pytest.raises(UnsupportedError, match="byte order"):
        open_checkpoint(folder)


def test_the_file_of_shapes_is_needed(tmp_path: Path) -> None:
    folder = built.stage_2(tmp_path / "step")
    (folder / built.MODEL).unlink()
    with pytest.raises(MalformedError, match="which says what parameters there are"):
        open_checkpoint(folder)


@pytest.mark.parametrize(
    ("build", "key", "file"),
    [
        (built.stage_2, "single_partition_of_fp32_groups", built.rank_file(2)),
        (built.stage_3, "fp32_flat_groups", built.rank_file(1)),
    ],
)
def test_parts_that_are_too_short_are_said(
    build: Callable[[Path], Path], key: str, file: str, tmp_path: Path
) -> None:
    folder = build(tmp_path / "step")
    built.changed(
        folder / file, "optimizer_state_dict", key, value=[torch.zeros(1), torch.zeros(1)]
    )
    with pytest.raises(MalformedError, match="fewer elements than the parameters need"):
        open_checkpoint(folder)


@pytest.mark.parametrize("build", [built.stage_2, built.stage_3])
def test_parts_of_no_parameter_are_said(build: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = build(tmp_path / "step")
    for path in folder.glob("*model_states.pt"):
        short = [{"a.weight": torch.Size([1, 1])}, {"a.bias": torch.Size([3])}]
        built.changed(path, "param_shapes", value=short)
    with pytest.raises(MalformedError, match="belong to none of its"):
        open_checkpoint(folder)


def test_parameters_of_one_group_need_no_list(tmp_path: Path) -> None:
    folder = built.stage_3(tmp_path / "step")
    shapes = {name: one.shape for group in built.groups() for name, one in group.items()}
    for path in folder.glob("*model_states.pt"):
        built.changed(path, "param_shapes", value=shapes)
    with open_checkpoint(folder) as checkpoint:
        same(checkpoint, built.state())


def test_a_run_without_parameters_holds_no_tensor(tmp_path: Path) -> None:
    folder = built.stage_2(tmp_path / "step", 1)
    zero = ("optimizer_state_dict", "single_partition_of_fp32_groups")
    built.changed(folder / built.rank_file(0), *zero, value=[])
    for key in ("param_shapes", "buffer_names"):
        built.changed(folder / built.MODEL, key, value=[])
    with pytest.raises(MalformedError, match="no tensor in it") as caught:
        open_checkpoint(folder)
    assert caught.value.rule is rules.NO_TENSORS


def test_a_broken_file_beside_is_named(tmp_path: Path) -> None:
    folder = built.stage_2(tmp_path / "step")
    second = folder / built.rank_file(1)
    second.write_bytes(second.read_bytes()[:-1])
    with pytest.raises(MalformedError) as caught:
        open_checkpoint(folder)
    assert caught.value.path == str(second)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = built.stage_2(tmp_path / "step")
    second = folder / built.rank_file(1)
    second.replace(tmp_path / "outside")
    second.symlink_to(tmp_path / "outside")
    with pytest.raises(MalformedError, match="is a link that leads out of the folder"):
        open_checkpoint(folder)


def test_a_model_that_is_parted_itself_is_not_read(tmp_path: Path) -> None:
    folder = built.stage_2(tmp_path / "step")
    name = built.rank_file(0).replace("mp_rank_00", "mp_rank_01")
    shutil.copy(folder / built.rank_file(0), folder / name)
    with pytest.raises(UnsupportedError, match="tensor or pipeline parallel"):
        open_checkpoint(folder)


def test_a_file_without_weights_stands_for_its_folder(tmp_path: Path) -> None:
    folder = built.stage_3(tmp_path / "step")
    report = ckpttool.verify([str(folder / built.model_file(1))], schema="none")
    assert [Path(file.path).name for file in report.files] == [built.rank_file(0)]


def test_the_weights_of_a_second_stage_are_read_by_their_own_name(tmp_path: Path) -> None:
    folder = built.stage_2(tmp_path / "step")
    with open_checkpoint(folder / built.MODEL) as checkpoint:
        assert checkpoint.format == "torch-zip"
        assert set(checkpoint.tensors) == set(built.state())


def test_a_name_alone_makes_no_checkpoint_of_deepspeed(tmp_path: Path) -> None:
    path = tmp_path / built.rank_file(0)
    torch.save({"a": torch.ones(2)}, path)
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.format == "torch-zip"


def test_there_is_no_wrapper_to_ask_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        open_checkpoint(built.stage_2(tmp_path / "step"), wrapper="module")


# --- hostile ---------------------------------------------------------------------------------


@pytest.mark.parametrize("file", [built.rank_file(0), built.rank_file(2), built.MODEL])
def test_what_any_file_would_call_is_told(file: str, tmp_path: Path) -> None:
    folder = built.stage_2(tmp_path / "step")
    content = torch.load(folder / file, weights_only=True)
    torch.save({**content, "x": attack_beside()["payload"]}, folder / file)
    with open_checkpoint(folder) as checkpoint:
        (use,) = [use for use in checkpoint.uses if use.use is Use.ATTACK]
    assert str(use.member).startswith(file)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("zero_stage",), 9),
        (("zero_stage",), "3"),
        (("partition_count",), 0),
        (("partition_count",), 10**9),
        (("partition_count",), []),
        (("single_partition_of_fp32_groups",), None),
        (("single_partition_of_fp32_groups",), [1, 2]),
        (("single_partition_of_fp32_groups",), [torch.ones(2, 2), torch.ones(2, 2)]),
        (("single_partition_of_fp32_groups",), [torch.ones(30, dtype=torch.half)] * 2),
        (("single_partition_of_fp32_groups",), [torch.ones(90)]),
        (("single_partition_of_fp32_groups",), [torch.ones(90)[::2][:8], torch.ones(2)]),
        (("param_alignment_paddings",), [[1], [1]]),
        (("param_alignment_paddings",), [[-5, 0], [0, 0]]),
    ],
    ids=str,
)
def test_a_strange_state_is_an_error_with_a_rule(
    keys: tuple[str, ...], value: object, tmp_path: Path
) -> None:
    folder = built.stage_2(tmp_path / "step")
    built.changed(folder / built.rank_file(0), "optimizer_state_dict", *keys, value=value)
    with pytest.raises(CkpttoolError) as caught:
        open_checkpoint(folder)
    assert caught.value.rule is not None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("param_shapes", None),
        ("param_shapes", [{"a": 3}]),
        ("param_shapes", [{"a": torch.Size([2**40])}, {}]),
        ("param_shapes", [{"a": [-1]}, {}]),
        ("param_shapes", []),
        ("frozen_param_shapes", {"f": torch.Size([3])}),
    ],
    ids=str,
)
def test_strange_model_states_are_an_error_with_a_rule(
    key: str, value: object, tmp_path: Path
) -> None:
    folder = built.stage_2(tmp_path / "step")
    built.changed(folder / built.MODEL, key, value=value)
    with pytest.raises(CkpttoolError) as caught:
        open_checkpoint(folder)
    assert caught.value.rule is not None


@pytest.mark.parametrize(
    ("key", "value"),
    [("module", None), ("shared_params", {"x": 3, "y": "gone"}), ("buffer_names", 3)],
)
def test_what_is_not_needed_may_be_anything(key: str, value: object, tmp_path: Path) -> None:
    folder = built.stage_2(tmp_path / "step")
    built.changed(folder / built.MODEL, key, value=value)
    with open_checkpoint(folder) as checkpoint:
        assert "a.weight" in checkpoint.tensors
