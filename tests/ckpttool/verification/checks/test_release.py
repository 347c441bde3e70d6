from __future__ import annotations

from pathlib import Path
from typing import Callable

import pytest
import torch
from safetensors.torch import save_file

from ckpttool.findings.finding import Finding
from ckpttool.verification.options import VerifyOptions
from ckpttool.verification.run import verify_file
from tests.builders import checkpoints as built
from tests.builders import releases

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

NO_LICENCE, NO_CARD = "HUB010", "HUB011"


def findings(path: Path | str, model: str) -> list[Finding]:
    report = verify_file(str(path), VerifyOptions(model=model, forward=False))
    return [found for found in report.findings if found.rule.code != "MOD007"]


def codes(path: Path | str, model: str) -> list[str]:
    return [found.rule.code for found in findings(path, model)]


def test_a_whole_release_has_no_finding(tmp_path: Path, tiny: str) -> None:
    assert codes(releases.release(tmp_path), tiny) == []


# --- the container --------------------------------------------------------------------


def test_a_pickle_beside_its_safetensors_is_quiet(tmp_path: Path, tiny: str) -> None:
    path = built.saved(tmp_path, built.sound)
    assert codes(path, tiny) == ["SEC005"]
    save_file(built.state(), tmp_path / "weights.safetensors")
    assert codes(path, tiny) == []


@pytest.mark.parametrize(
    ("metadata", "found"),
    [({"format": "pt"}, []), (None, ["no format"]), ({"format": "np"}, ["format: np"])],
)
def test_the_metadata_must_say_whose_tensors_they_are(
    tmp_path: Path, tiny: str, metadata: dict[str, str] | None, found: list[str]
) -> None:
    path = tmp_path / "w.safetensors"
    save_file(built.state(), path, metadata=metadata)
    assert [one.found for one in findings(path, tiny) if one.rule.code == "HUB008"] == found


@pytest.mark.parametrize(("length", "number"), [(25_000_000, 0), (25_000_008, 1)])
def test_a_header_beyond_the_hubs_limit_is_told(
    tmp_path: Path, tiny: str, length: int, number: int
) -> None:
    path = releases.release(tmp_path)
    data = path.read_bytes()
    own = int.from_bytes(data[:8], "little")
    padded = data[8 : 8 + own] + b" " * (length - own)
    path.write_bytes(length.to_bytes(8, "little") + padded + data[8 + own :])
    assert codes(path, tiny) == ["HUB009"] * number


# --- the training run -----------------------------------------------------------------


def test_what_a_training_run_left_is_named(tmp_path: Path, tiny: str) -> None:
    found = {
        one.rule.code: one for one in findings(built.saved(tmp_path, built.training_run), tiny)
    }
    assert found["HUB001"].message == (
        "state of the training run lies beside the weights, 64 B of it tensors: "
        "optimizer, scaler, epoch, args"
    )
    for told in ("args.output_dir = '/checkpoint/alice/mae'", "args.data_path = '/datasets01/imag"):
        assert told in found["SEC006"].message
    assert "hunter2" not in found["SEC007"].message


@pytest.mark.parametrize(
    "key",
    "optimizer_state_dict lr_scheduler epoch global_step args hyper_parameters best_acc "
    "pytorch-lightning_version callbacks amp rng_state torch_rng_state loops optimizer_states "
    "train_loss state.step message_hub".split(),
)
def test_usual_names_of_a_training_run_are_known(tmp_path: Path, tiny: str, key: str) -> None:
    path = tmp_path / "w.pth"
    torch.save({"model": built.state(), key: 1}, path)
    assert "HUB001" in codes(path, tiny)


@pytest.mark.parametrize("key", ["args", "hyper_parameters", "model_args", "config"])
def test_settings_are_not_called_state_and_may_be_kept(tmp_path: Path, tiny: str, key: str) -> None:
    path = tmp_path / "w.pth"
    torch.save({"model": built.state(), key: {"depth": 12}}, path)
    found = {one.rule.code: one for one in findings(path, tiny)}["HUB001"]
    assert found.message == f"settings of the training run lie beside the weights: {key}"
    assert "--sidecar" in found.advice


def test_what_is_called_like_both_is_told_once(tmp_path: Path, tiny: str) -> None:
    path = tmp_path / "w.pth"
    torch.save({"model": built.state(), "train_args": {"lr": 0.1}, "epoch": 1}, path)
    found = {one.rule.code: one for one in findings(path, tiny)}["HUB001"]
    assert found.message.endswith(": train_args, epoch")


@pytest.mark.parametrize("key", "classes id2label license author version notes model_name".split())
def test_what_belongs_to_a_release_is_quiet(tmp_path: Path, tiny: str, key: str) -> None:
    path = tmp_path / "w.pth"
    torch.save({"model": built.state(), key: 1}, path)
    assert codes(path, tiny) == ["SEC005"]


# --- shards ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "number"),
    [
        ((), 0),
        (("model-00003-of-00003.safetensors",), 1),
        (("model.safetensors",), 1),
        (("other-00001-of-00002.safetensors", "adapter.safetensors"), 0),
    ],
)
def test_weights_that_the_index_does_not_list_are_told(
    tmp_path: Path, tiny: str, extra: tuple[str, ...], number: int
) -> None:
    found = findings(releases.shards(tmp_path, *extra), tiny)
    assert [one.rule.code for one in found] == ["HUB002"] * number
    assert [one.message.rpartition(": ")[2] for one in found] == list(extra[:number])


# --- licence and card -----------------------------------------------------------------


def nothing(folder: Path) -> None:
    (folder / "README.md").unlink()


def empty_card(folder: Path) -> None:
    (folder / "README.md").write_text(" \n")


def card_without_licence(folder: Path) -> None:
    (folder / "README.md").write_text("# A model\nlicense: mit\n")


def licence_without_a_value(folder: Path) -> None:
    (folder / "README.md").write_text("---\nlicense:\ntags: []\n---\n# A model\n")


def licence_as_a_list(folder: Path) -> None:
    (folder / "README.md").write_text("---\r\nlicense:\r\n  - mit\r\n---\r\n# A model\r\n")


def licence_in_a_file(folder: Path) -> None:
    (folder / "README.md").write_text("# A model\n")
    (folder / "LICENSE.txt").write_text("MIT")


def licence_of_a_british_author(folder: Path) -> None:
    nothing(folder)
    (folder / "licence-weights").write_text("MIT")


def licensed_only_in_name(folder: Path) -> None:
    nothing(folder)
    (folder / "licensed_images.txt").write_text("")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (nothing, [NO_LICENCE, NO_CARD]),
        (empty_card, [NO_LICENCE, NO_CARD]),
        (card_without_licence, [NO_LICENCE]),
        (licence_without_a_value, [NO_LICENCE]),
        (licence_as_a_list, []),
        (licence_in_a_file, []),
        (licence_of_a_british_author, [NO_CARD]),
        (licensed_only_in_name, [NO_LICENCE, NO_CARD]),
    ],
)
def test_a_release_needs_a_licence_and_a_card(
    tmp_path: Path, tiny: str, change: Callable[[Path], None], expected: list[str]
) -> None:
    path = releases.release(tmp_path)
    change(tmp_path)
    assert codes(path, tiny) == expected


def test_a_folder_that_is_no_release_needs_neither(tmp_path: Path, tiny: str) -> None:
    assert codes(built.saved(tmp_path, built.sound), tiny) == ["SEC005"]
