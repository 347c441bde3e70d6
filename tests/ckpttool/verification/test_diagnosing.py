"""The command that a diagnosis names next works for the very file that it is shown for."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple, Union
from unittest import mock

import pytest
import torch
from safetensors.torch import load_file, save_file

from mae.config import CONFIGS
from tests.builders import kinds
from tests.builders.commands import Done, invoke

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

Content = Callable[[], Any]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def nexts(*arguments: str) -> List[Union[str, None]]:
    done = invoke("verify", "--no-forward", "--format", "json", *arguments)
    return [one["diagnosis"]["next"] for one in json.loads(done.out)["files"]]


def next_of(*arguments: str) -> str:
    (command,) = nexts(*arguments)
    assert command is not None
    return command


def run(command: str) -> Done:
    name, *arguments = shlex.split(command)
    assert name == "ckpttool"
    return invoke(*arguments)


def with_other(**others: Any) -> Content:
    return lambda: {"model": {**kinds.encoder(), **others}}


def two() -> Dict[str, kinds.State]:
    return {"student": kinds.encoder(), "teacher": kinds.encoder(kinds.TINY._replace(depth=3))}


# --- a .pth -------------------------------------------------------------------------------


@pytest.mark.parametrize("case", kinds.CASES, ids=lambda case: str(case.title))
def test_for_each_kind_of_file_the_next_command_works(case: kinds.KindCase) -> None:
    torch.save(case.content(), "m.pth")
    assert run(next_of("m.pth")).code == 0


@pytest.mark.parametrize(
    "name", ["a b.pth", "-x.pth", "a[1].pth", "it's.pth", "$HOME.pth", "~.pth", "*.pth", "noext"]
)
def test_whatever_a_file_is_called(here: Path, name: str) -> None:
    torch.save(kinds.encoder(), here / name)
    command = next_of("--", name)
    assert command.endswith("--to safetensors")
    assert run(command).code == 0
    assert run(next_of("--", name)).code == 0  # where its twin lies beside it now


def test_each_file_of_a_glob_has_its_own() -> None:
    for name in ("a.pth", "b.pth"):
        torch.save(kinds.encoder(), name)
    commands = nexts("*.pth")
    assert commands == [f"ckpttool convert {one}.pth --to safetensors" for one in "ab"]


def test_a_name_that_cannot_be_shown_gets_no_command(here: Path) -> None:
    torch.save(kinds.encoder(), "m.pth")
    (here / "m.pth").rename(here / "a\x1b[31m.pth")
    assert nexts("a\x1b[31m.pth") == [None]


@pytest.mark.parametrize(
    ("content", "command"),
    [
        pytest.param(
            with_other(extra=torch.rand(3, dtype=torch.complex128)),
            "lock",
            id="a type that safetensors does not have",
        ),
        pytest.param(with_other(__metadata__=torch.rand(2)), "lock", id="a name that it keeps"),
        pytest.param(with_other(**{"\ud800": torch.rand(2)}), "lock", id="a name without UTF-8"),
        pytest.param(
            lambda: {"model": kinds.encoder(), "queue": torch.rand(300, 300)},
            "inspect",
            id="most bytes outside",
        ),
    ],
)
def test_where_a_conversion_would_be_refused_another_command_is_named(
    content: Content, command: str
) -> None:
    torch.save(content(), "m.pth")
    assert invoke("convert", "m.pth", "--to", "safetensors").code == 1
    assert next_of("m.pth") == f"ckpttool {command} m.pth"
    assert run(next_of("m.pth")).code == 0


def test_where_neither_conversion_nor_lock_is_possible_nothing_is_named() -> None:
    torch.save(with_other(extra=torch.eye(3).to_sparse())(), "m.pth")
    assert nexts("m.pth") == [None]
    assert invoke("convert", "m.pth", "--to", "safetensors").code == 1
    assert invoke("lock", "m.pth").code == 2


@pytest.mark.parametrize("key", ["student", "teacher"])
def test_of_several_state_dicts_the_one_that_was_verified_is_converted(
    key: str,
) -> None:
    torch.save(two(), "m.pth")
    command = next_of("m.pth", "--wrapper", key)
    assert command == f"ckpttool convert m.pth --wrapper {key} --to safetensors"
    assert run(command).code == 0
    assert ("blocks.2.norm1.weight" in load_file("m.safetensors")) is (key == "teacher")


def test_from_a_folder_that_cannot_be_written_the_result_comes_here(here: Path) -> None:
    (here / "away").mkdir()
    torch.save(kinds.encoder(), "away/m.pth")
    with mock.patch.object(os, "access", side_effect=lambda _, mode: mode != os.W_OK):
        assert next_of("away/m.pth") == (
            "ckpttool convert away/m.pth --to safetensors -o m.safetensors"
        )
        torch.save(kinds.encoder(), "m.pth")
        assert next_of("m.pth") == "ckpttool lock m.pth"


# --- a .safetensors -----------------------------------------------------------------------


def save(state: kinds.State, name: str = "m.safetensors") -> None:
    save_file(state, name, metadata={"format": "pt"})


def test_what_is_locked_is_not_to_be_locked_again() -> None:
    save(kinds.encoder())
    command = next_of("m.safetensors")
    assert command == "ckpttool lock m.safetensors"
    assert run(command).code == 0
    assert nexts("m.safetensors", "--lock", "ckpttool.lock") == [None]


def test_shards_are_locked_by_their_index() -> None:
    torch.save(kinds.encoder(), "m.pth")
    shards = ("--max-shard-size", "20KB", "-o", "model.safetensors")
    assert invoke("convert", "m.pth", "--to", "safetensors", *shards).code == 0
    command = next_of("model-00001-of-00003.safetensors")
    assert command == "ckpttool lock model.safetensors.index.json"
    assert run(command).code == 0


def test_a_lock_needs_the_sizes_that_were_demanded() -> None:
    save(kinds.encoder())
    sizes = ("--img-size", "32x32", "--depth", "2", "--no-norm-pix-loss")
    deeper = kinds.TINY._replace(depth=3)
    with mock.patch.dict(CONFIGS, {"small": deeper}):
        command = next_of("m.safetensors", *sizes)
        assert command == f"ckpttool lock m.safetensors {' '.join(sizes)}"
        assert run(command).code == 0
        assert invoke("lock", "m.safetensors").code == 1


# --- what counts --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "command"),
    [
        ((), "convert m.pth --to safetensors"),
        (("--fail-on", "note"), "explain STR002"),
        (("--fail-on", "note", "--select", "SEC"), "explain SEC005"),
        (("--require", "full"), "explain STR002"),
        (("--require", "full", "--ignore", "STR002"), "convert m.pth --to safetensors"),
    ],
)
def test_a_file_that_fails_leads_to_what_fails_it(options: Tuple[str, ...], command: str) -> None:
    torch.save(kinds.encoder(), "m.pth")
    assert next_of("m.pth", *options) == f"ckpttool {command}"


def test_what_passes_because_an_error_is_ignored_is_not_to_be_locked() -> None:
    save(kinds.encoder())
    assert nexts("m.safetensors", "--require", "full", "--ignore", "STR002") == [None]
