"""``prove`` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result

from ckpttool.cli import main
from tests.builders import adapters, made, pairs
from tests.builders.commands import runner

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")


def run(*arguments: str) -> Result:
    return runner().invoke(main, ["prove", *arguments])


@pytest.mark.parametrize("case", made.MADE.values(), ids=made.MADE.keys())
def test_what_is_proven_exits_with_0_and_its_operations(tmp_path: Path, case: made.Made) -> None:
    source, result, options = made.written(tmp_path, case)
    given = [f"--map={old}={new}" for old, new in case.map.items()]
    given += ["--map", str(options["rename_file"])] if case.rules else []
    done = run(result, "--from", source, *given, "--format", "json")
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)["summary"]
    assert tuple(name for name, number in summary.items() if number) == case.operations


def test_what_is_not_proven_exits_with_1_and_what_cannot_be_told_with_2(tmp_path: Path) -> None:
    source, result = pairs.written(tmp_path, pairs.CASES["other-values"].change)
    done = run(result, "--from", source)
    assert done.exit_code == 1
    assert "✗ NOT PROVEN" in done.output
    assert "blocks.1.attn.qkv.weight: 48 of 48 elements differ from A's, by up to 1" in done.output
    no_file = tmp_path / "empty.pth"
    no_file.touch()
    done = run(result, "--from", str(no_file))
    assert done.exit_code == 2
    assert "! CANNOT TELL" in done.output


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="no source"),
        pytest.param(["--map", "a.toml", "--map", "b.toml"], id="two files of rules"),
        pytest.param(["--map", "nowhere.toml"], id="a file that is not there"),
        pytest.param(["--map", "nothing.*=else.*"], id="a pattern that matches nothing"),
        pytest.param(["--allow-missing", "nothing.*"], id="a name that nothing has"),
        pytest.param(["--wrapper", "nothing"], id="no such wrapper"),
    ],
)
def test_wrong_usage_exits_with_2(tmp_path: Path, arguments: list[str]) -> None:
    path = pairs.save(tmp_path, "a.pth", pairs.state())
    source = ["--from", path] if arguments else []
    done = run(path, *source, *arguments)
    assert done.exit_code == 2
    assert "PROVEN" not in done.output


def test_adapters_and_a_receipt_are_named_on_the_command_line(tmp_path: Path) -> None:
    before, adapter = adapters.base(), adapters.lora()
    source = adapters.save(tmp_path, "a.safetensors", before)
    result = adapters.save(tmp_path, "b.safetensors", adapters.merged(before, adapter))
    lora, receipt = adapters.write(tmp_path, adapter), str(tmp_path / "proof.json")
    done = run(result, "--from", source, "--adapter", lora, "--receipt", receipt)
    assert done.exit_code == 0, done.output
    assert "8 tensors: replayed within float32 arithmetic" in done.output
    assert f"receipt {receipt}" in " ".join(done.output.split())
    done = run(result, "--from", receipt)
    assert done.exit_code == 0, done.output
    assert "digests of 14 tensors alone" in done.output
    done = run(source, "--from", source, "--adapter", lora)
    assert done.exit_code == 1
    assert "it equals A's: the adapter was not merged into it" in done.output
    done = run(result, "--from", receipt, "--adapter", lora)
    assert done.exit_code == 2
    assert "Name the checkpoint itself" in " ".join(done.output.split())
