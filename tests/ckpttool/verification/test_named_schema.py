"""Verifying against a schema that was named: what is found, and what only a known model has."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Callable, List, Tuple

import pytest
import torch

import ckpttool
from ckpttool import Report, Severity, UsageError, Verdict
from ckpttool.reports import REPORTERS, reporter
from mae.config import DEFAULT
from tests.builders import checkpoints
from tests.builders import language_models as built
from tests.builders.commands import invoke
from tests.builders.schemas import check_json, closed, own

Change = Callable[[built.Weights], object]


@pytest.fixture
def source(tmp_path: Path) -> str:
    return built.saved(tmp_path / "source.safetensors")


def verified(folder: Path, source: str, change: Change, **options: object) -> Report:
    path = built.saved(folder / "weights.safetensors", change)
    return ckpttool.verify(path, schema=source, **options)  # type: ignore[arg-type]  # of a test


def told(report: Report) -> List[Tuple[str, Severity]]:
    return [(found.rule.code, found.severity) for found in report.findings]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (built.without_a_layer, [("STR022", Severity.ERROR)]),
        (built.without_the_head, [("STR022", Severity.ERROR)]),
        (built.with_scales, [("STR004", Severity.WARNING), ("NUM005", Severity.NOTE)]),
        (built.in_half_precision, [("STR006", Severity.WARNING)]),
        (built.in_integers, [("STR007", Severity.ERROR)]),
        (built.with_zeros, [("NUM003", Severity.WARNING)]),
        (built.with_a_tied_copy, [("NUM008", Severity.NOTE)]),
        (built.with_nan, [("NUM001", Severity.ERROR)]),
        (built.under_other_names, [("STR012", Severity.ERROR)]),
    ],
)
def test_a_defect_is_found_and_nothing_else(
    tmp_path: Path, source: str, change: Change, expected: List[Tuple[str, Severity]]
) -> None:
    report = verified(tmp_path, source, change)
    assert told(report) == expected
    failed = any(severity is Severity.ERROR for _, severity in expected)
    assert report.verdict is (Verdict.FAIL if failed else Verdict.PASS)


def test_another_shape_is_told_with_that_of_the_schema(tmp_path: Path, source: str) -> None:
    report = verified(tmp_path, source, built.with_another_width)
    found = report.findings[0]
    assert (found.rule.code, found.expected, found.found) == ("STR005", "[8, 4]", "[6, 4]")
    assert "schema" in found.message


def test_the_hole_is_all_that_is_missing(tmp_path: Path, source: str) -> None:
    (found,) = verified(tmp_path, source, built.without_a_layer).findings
    assert all(".layers.2." in name for name in found.tensors)
    assert found.message == (
        "7 of 31 tensors of source.safetensors missing: layer 2 of model.layers is missing whole"
    )
    assert found.advice is not None
    assert "--allow-missing" in found.advice


@pytest.mark.parametrize("name", REPORTERS)
def test_every_report_says_which_layer_is_gone(tmp_path: Path, source: str, name: str) -> None:
    stream = io.StringIO()
    reporter(name)(verified(tmp_path, source, built.without_a_layer), stream)
    assert "layer 2 of model.layers is missing whole" in " ".join(stream.getvalue().split())


def test_the_coverage_is_counted_in_the_groups_of_the_configuration(
    tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    built.saved(tmp_path / "weights.safetensors", built.without_a_layer)
    groups = '[groups]\nattention = ["*.self_attn.*"]\nends = ["lm_head.*", "embed.*"]\n'
    (tmp_path / "ckpttool.toml").write_text(groups)
    done = invoke("verify", "weights.safetensors", "--schema", source, "--format", "json")
    (report,) = json.loads(done.out)["files"]
    told = {name: group["expected"] for name, group in report["coverage"]["groups"].items()}
    assert told == {"attention": 16, "ends": 1, "model": 14}
    assert report["coverage"]["groups"]["attention"]["matched"] == 12
    (idle,) = [one for one in report["findings"] if one["code"] == "STR024"]
    assert "embed.*, of the group ends, takes no tensor" in idle["message"]


def test_a_pattern_of_a_group_may_come_too_late(tmp_path: Path, source: str) -> None:
    groups = {"all": ["model.*"], "attention": ["*.self_attn.*"]}
    report = verified(tmp_path, source, lambda _: None, groups=groups)
    (found,) = report.findings
    assert found.advice.startswith("Earlier groups match its names")
    with pytest.raises(UsageError, match=r"groups\.a is wrong"):
        verified(tmp_path, source, lambda _: None, groups={"a": []})


def test_what_may_be_missing_or_there_is_a_note(tmp_path: Path, source: str) -> None:
    missing = verified(
        tmp_path, source, built.without_a_layer, expected_missing="model.layers.{2}.*"
    )
    assert told(missing) == [("STR020", Severity.NOTE)]
    more = verified(tmp_path, source, built.with_scales, allow_unexpected="*.scale")
    assert ("STR004", Severity.NOTE) in told(more)
    other = verified(tmp_path, source, built.with_scales, allow_unexpected="*.zero_point")
    assert ("STR004", Severity.WARNING) in told(other)


def test_the_forward_pass_is_not_run_and_that_is_said(tmp_path: Path, source: str) -> None:
    (file,) = verified(tmp_path, source, lambda _: None).files
    assert file.forward is not None
    assert file.forward.status == "not-run"
    assert any("forward pass" in one for one in file.unchecked)
    assert file.diagnosis is None


def test_without_a_schema_names_are_not_checked_and_that_is_said(tmp_path: Path) -> None:
    report = verified(tmp_path, "none", built.under_other_names)
    assert report.verdict is Verdict.PASS
    (file,) = report.files
    assert "names, shapes and dtypes (--schema none)" in file.unchecked
    assert file.coverage is not None
    assert not file.coverage.groups
    assert not file.coverage.unexpected
    assert told(verified(tmp_path, "none", built.with_nan)) == [("NUM001", Severity.ERROR)]


# --- nothing named --------------------------------------------------------------------------


def unnamed(folder: Path, change: Change, **options: object) -> Report:
    path = built.saved(folder / "weights.safetensors", change)
    return ckpttool.verify(path, **options)  # type: ignore[arg-type]  # of a test


def test_of_a_model_that_is_not_known_nothing_can_be_told(tmp_path: Path) -> None:
    report = unnamed(tmp_path, lambda _: None)
    assert report.verdict is Verdict.CANNOT_TELL
    assert told(report) == [("STR023", Severity.WARNING)]
    (found,) = report.findings
    assert found.message == "no schema: names and shapes were not checked"
    assert "--schema SOURCE" in found.advice
    (file,) = report.files
    assert "names, shapes and dtypes (no schema)" in file.unchecked
    assert file.diagnosis is not None
    assert file.diagnosis.kind == "unknown"


def test_what_fails_without_a_schema_fails(tmp_path: Path) -> None:
    report = unnamed(tmp_path, built.with_nan)
    assert report.verdict is Verdict.FAIL
    assert [code for code, _ in told(report)] == ["NUM001", "STR023"]
    assert unnamed(tmp_path, lambda _: None, model=DEFAULT).verdict is Verdict.FAIL
    assert unnamed(tmp_path, lambda _: None, require="encoder").verdict is Verdict.FAIL


def test_no_policy_makes_a_failure_of_what_cannot_be_told(tmp_path: Path) -> None:
    strict = ckpttool.Policy(fail_on=Severity.NOTE)
    assert unnamed(tmp_path, lambda _: None, policy=strict).verdict is Verdict.CANNOT_TELL
    zeros = unnamed(tmp_path, built.with_zeros, policy=strict)
    assert zeros.verdict is Verdict.FAIL


def test_junit_has_an_error_for_what_cannot_be_told(tmp_path: Path) -> None:
    stream = io.StringIO()
    reporter("junit")(unnamed(tmp_path, lambda _: None), stream)
    assert 'errors="1"' in stream.getvalue()
    assert 'failures="0"' in stream.getvalue()


def test_what_cannot_be_told_is_not_locked(tmp_path: Path) -> None:
    path = built.saved(tmp_path / "weights.safetensors")
    assert ckpttool.lock(path, tmp_path / "x.lock").exit_code == 2
    assert not (tmp_path / "x.lock").exists()


def test_another_state_dict_of_a_known_model_is_named(tmp_path: Path) -> None:
    state = {"net": {"any.weight": torch.rand(3, 3)}, "model": checkpoints.state()}
    torch.save(state, tmp_path / "two.pth")
    report = ckpttool.verify(tmp_path / "two.pth", wrapper="net")
    (found,) = [one for one in report.findings if one.rule.code == "STR023"]
    assert "--wrapper model" in found.advice


def test_an_unsafe_file_fails_without_a_schema_too(tmp_path: Path) -> None:
    path = checkpoints.saved(tmp_path, checkpoints.attack_beside)
    report = ckpttool.verify(path, schema="none")
    assert report.verdict is Verdict.FAIL
    assert any(found.rule.code.startswith("SEC") for found in report.findings)


def test_rules_on_roles_say_nothing_of_another_model(tmp_path: Path) -> None:
    """An encoder with learned positions, untrained: as a model of its own it has no defect."""
    path = checkpoints.saved(tmp_path, checkpoints.learned_positions)
    (tmp_path / "config.json").write_text('{"model_type": "vit", "hidden_size": 7}')
    names = {name: one for name, one in checkpoints.state().items() if "decoder" not in name}
    names.pop("mask_token")
    torch.save(names, tmp_path / "encoder.pth")
    codes = [code for code, _ in told(ckpttool.verify(tmp_path / "encoder.pth", schema=path))]
    assert not [code for code in codes if code.startswith(("MOD", "CFG", "REL1"))]


@pytest.mark.parametrize("format_name", ["text", "json", "markdown", "sarif", "junit"])
def test_every_report_can_be_written(tmp_path: Path, source: str, format_name: str) -> None:
    write = reporter(format_name)
    for schema in (source, "none"):
        stream = io.StringIO()
        write(verified(tmp_path, schema, built.without_a_layer), stream)
        assert stream.getvalue()


def test_the_json_is_as_its_schema_says_and_can_be_read_back(tmp_path: Path, source: str) -> None:
    path = built.saved(tmp_path / "weights.safetensors", built.without_a_layer)
    for schema in (source, "none"):
        done = invoke("verify", path, "--schema", schema, "--format", "json")
        check_json(done.out, closed(own("verify")))
        stored = tmp_path / "stored.json"
        stored.write_text(done.out)
        again = invoke("report", str(stored), "--to", "json")
        assert json.loads(again.out) == json.loads(done.out)


def test_a_lock_and_a_waiver_hold_for_any_model(tmp_path: Path, source: str) -> None:
    lock = ckpttool.lock(source, tmp_path / "x.lock", schema=source)
    assert lock.exit_code == 0
    assert lock.checkpoints[0].forward is None
    same = ckpttool.verify(source, schema=tmp_path / "x.lock", lock=tmp_path / "x.lock")
    assert same.verdict is Verdict.PASS
    changed = built.saved(tmp_path / "changed.safetensors", built.with_zeros)
    report = ckpttool.verify(changed, schema=source, lock=tmp_path / "x.lock")
    assert report.verdict is Verdict.FAIL
    waiver = ckpttool.Waiver(code="STR022", tensors="*.layers.2.*", reason="a smaller model")
    policy = ckpttool.Policy(waivers=(waiver,))
    assert verified(tmp_path, source, built.without_a_layer, policy=policy).verdict is Verdict.PASS


def test_a_schema_and_a_model_are_one_too_many(source: str) -> None:
    for options in ({"model": DEFAULT}, {"require": "full"}, {"sizes": {"depth": 3}}):
        with pytest.raises(UsageError):
            ckpttool.verify(source, schema=source, **options)


# --- the command line ----------------------------------------------------------------------


def test_the_command_writes_what_it_reads(tmp_path: Path, source: str) -> None:
    written = tmp_path / "x.json"
    assert invoke("schema", source, "-o", str(written)).code == 0
    assert invoke("schema", source).out == written.read_text()
    assert invoke("verify", source, "--schema", str(written)).code == 0
    path = built.saved(tmp_path / "weights.safetensors", built.without_a_layer)
    done = invoke("verify", path, "--schema", str(written))
    assert done.code == 1
    assert "STR022" in done.out
    allowed = ["--allow-missing", "model.layers.2.*"]
    assert invoke("verify", path, "--schema", str(written), *allowed).code == 0


def test_a_schema_that_cannot_be_read_ends_the_run(tmp_path: Path, source: str) -> None:
    (tmp_path / "x.json").write_text('{"ckpttool_schema": 1, "tensors": {}}')
    done = invoke("verify", source, "--schema", str(tmp_path / "x.json"))
    assert done.code == 2
    assert not done.out


def test_the_configuration_names_a_schema_beside_itself(
    tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    path = built.saved(folder / "weights.safetensors", built.without_a_layer)
    ckpttool.schema(source, folder / "x.json")
    keys = 'schema = "x.json"\nexpected-missing = ["model.layers.2.*"]\n'
    (folder / "ckpttool.toml").write_text(f'{keys}allow-unexpected = ["*.scale"]\n')
    monkeypatch.chdir(tmp_path)
    assert invoke("verify", path).code == 0
    assert invoke("verify", path, "--schema", "auto").code == 2
    assert invoke("verify", path, "--model", "auto").code == 2
    assert invoke("verify", path, "--model", DEFAULT).code == 1
    (folder / "ckpttool.toml").write_text('schema = "none"\n')
    assert invoke("verify", path).code == 0
