"""No attack of the corpus passes, and each is named by every command that meets it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from ckpttool.cli import main
from ckpttool.comparison.diff import DiffOptions, diff_files
from ckpttool.conversion.convert import convert_file
from ckpttool.conversion.options import ConvertOptions
from ckpttool.findings.finding import Finding, Verdict
from ckpttool.inputs.paths import targets_of
from ckpttool.inspection.listing import inspect
from ckpttool.verification.locking import lock_file
from ckpttool.verification.options import VerifyOptions
from ckpttool.verification.run import verify_file
from tests.builders import torch_files as t
from tests.builders.attacks import ATTACKS, Attack

WITHOUT_FORWARD = VerifyOptions(forward=False)

every_attack = pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: str(attack.what))


def written(attack: Attack, folder: Path) -> str:
    path = folder / f"attack{attack.suffix}"
    path.write_bytes(attack.data(str(folder / "marker")))
    return str(path)


def names_it(attack: Attack, findings: tuple[Finding, ...]) -> bool:
    """Whether what weighs more than a note names what the attack calls."""
    told = [one.message for one in findings if one.severity.value != "note"]
    return any(name in message for name in attack.names for message in told)


@every_attack
def test_no_attack_passes_inspect(attack: Attack, tmp_path: Path) -> None:
    file = inspect(written(attack, tmp_path)).file
    assert file.verdict is Verdict.FAIL
    assert {one.rule.code for one in file.findings} & {"SEC001", "SEC002"}
    assert names_it(attack, file.findings)
    assert not list(tmp_path.glob("marker*"))


@every_attack
def test_no_attack_passes_verify(attack: Attack, tmp_path: Path) -> None:
    report = verify_file(written(attack, tmp_path), WITHOUT_FORWARD)
    assert report.verdict is Verdict.FAIL
    assert names_it(attack, report.findings)
    assert not list(tmp_path.glob("marker*"))


@every_attack
@pytest.mark.parametrize("name", ["notes.txt", "optimizer.pt"])
def test_no_attack_is_passed_over_in_a_folder(attack: Attack, name: str, tmp_path: Path) -> None:
    """Whatever it is called: it is looked at as a checkpoint is, and then named as above."""
    Path(written(attack, tmp_path)).rename(tmp_path / name)
    (target,) = targets_of([str(tmp_path)]).targets
    assert target.path == str(tmp_path / name)


@every_attack
def test_no_attack_is_locked(attack: Attack, tmp_path: Path) -> None:
    def accepted(report: object) -> bool:
        return getattr(report, "verdict", None) is Verdict.PASS

    path = written(attack, tmp_path)
    locking = lock_file(path, str(tmp_path / "a.lock"), WITHOUT_FORWARD, accepted)
    assert locking.locked is None
    assert names_it(attack, locking.report.findings)


@every_attack
def test_convert_names_every_attack_and_passes_nothing_of_it_on(
    attack: Attack, tmp_path: Path
) -> None:
    output = tmp_path / "out.safetensors"
    converted = convert_file(
        written(attack, tmp_path), str(output), ConvertOptions(to="safetensors", sync=False)
    )
    assert names_it(attack, converted.file.findings)
    if converted.file.verdict is Verdict.PASS:  # unknown code: the weights are taken without it
        content = output.read_bytes()
        assert not any(name.encode() in content for name in attack.names)
    else:
        assert not output.exists()


@every_attack
def test_diff_names_every_attack(attack: Attack, tmp_path: Path) -> None:
    good = tmp_path / "good.pth"
    good.write_bytes(t.torch_zip())
    comparison = diff_files((written(attack, tmp_path), str(good)), DiffOptions())
    assert names_it(attack, comparison.left.findings)


COMMANDS = ("inspect", "verify --no-forward", "lock --no-forward -o -")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "attack",
    # the first of each technique: the others differ in the file alone
    {attack.technique: attack for attack in reversed(ATTACKS)}.values(),
    ids=lambda attack: str(attack.technique),
)
def test_commands_exit_with_1(attack: Attack, command: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, [*command.split(), written(attack, tmp_path)])
    assert result.exit_code == 1
    assert any(name in result.output for name in attack.names)


DANGEROUS = ATTACKS[0]


@pytest.mark.parametrize(
    "options",
    [
        ["--select", "NUM"],
        ["--select", "NUM", "--ignore", "ALL"],
        ["--ignore", "SEC003"],
        ["--wrapper", ""],
        ["--wrapper", "nothing.like.it"],
        ["--trust", "os.*"],
        ["--trust", "posix.*"],
    ],
    ids=" ".join,
)
def test_no_option_makes_an_attack_pass(options: list[str], tmp_path: Path) -> None:
    command = ["verify", "--no-forward", *options, written(DANGEROUS, tmp_path)]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 1
    assert "SEC001" in result.output


@pytest.mark.parametrize("ignored", ["SEC001", "SEC"])
def test_who_ignores_an_attack_by_name_is_told_of_it(ignored: str, tmp_path: Path) -> None:
    command = ["verify", "--no-forward", "--select", "NUM", "--ignore", ignored]
    result = CliRunner().invoke(main, [*command, written(DANGEROUS, tmp_path)])
    assert "SEC001, which the policy ignores: loading it calls" in " ".join(result.output.split())
