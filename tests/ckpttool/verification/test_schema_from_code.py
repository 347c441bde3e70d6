"""A checkpoint against somebody's own code: only when asked, and said so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import ckpttool
from ckpttool import Severity, Verdict
from tests.builders import user_code
from tests.builders.commands import invoke
from tests.builders.schemas import check_json, closed, own
from tests.builders.user_code import MODULE, here

__all__ = ["here"]  # a fixture

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

NET = f"{MODULE}:Net"
SAID = f"from code: {NET} was imported and run"


def test_a_state_dict_of_the_model_passes_and_the_report_says_what_was_run(here: Path) -> None:
    path = user_code.saved(here / "net.pth")
    done = invoke("verify", path, "--schema", NET, "--no-forward")
    assert done.code == 0
    assert SAID in done.out
    report = ckpttool.verify(path, schema=NET, forward=False)
    assert report.verdict is Verdict.PASS
    assert [file.schema_from for file in report.files] == [SAID]
    check_json(json.dumps(report.to_dict()), closed(own("verify")))


def test_a_hole_is_one(here: Path) -> None:
    path = user_code.saved(here / "net.pth")
    state = dict(torch.load(path))
    del state["layers.1.0.bias"]
    torch.save(state, path)
    report = ckpttool.verify(path, schema=NET, forward=False)
    errors = [found for found in report.findings if found.severity is Severity.ERROR]
    assert [(one.rule.code, one.tensors) for one in errors] == [("STR022", ("layers.1.0.bias",))]


def test_a_tied_tensor_may_be_stored_once(here: Path) -> None:
    state = torch.load(user_code.saved(here / "net.pth"))
    del state["head.weight"]
    save_file(state, here / "net.safetensors", metadata={"format": "pt"})
    report = ckpttool.verify(here / "net.safetensors", schema=NET, forward=False)
    assert not report.findings
    (file,) = report.files
    assert file.loading is not None
    assert file.loading.filled == file.loading.tensors == len(state) + 1


def test_arguments_change_what_is_demanded(here: Path) -> None:
    path = user_code.saved(here / "net.pth")
    done = invoke("verify", path, "--schema", f"{NET}(depth=4)", "--no-forward")
    assert done.code == 1
    assert "layers.3" in done.out


def test_an_error_of_the_code_is_one_line_and_exit_code_2(here: Path) -> None:
    path = user_code.saved(here / "net.pth")
    done = invoke("verify", path, "--schema", f"{MODULE}:fails")
    assert done.code == 2
    assert done.error == (
        f"error: {MODULE}:fails failed: RuntimeError: nothing is built here [FIL504]"
    )
    assert "Traceback" not in done.err
    done = invoke("verify", path, "--debug", "--schema", f"{MODULE}:fails")
    assert "Traceback" in done.err


def test_a_schema_file_and_a_lock_take_it_too(here: Path) -> None:
    path = user_code.saved(here / "net.pth")
    done = invoke("schema", f"{NET}(depth=3)", "-o", "net.json")
    assert done.code == 0
    assert ckpttool.verify(path, schema="net.json").verdict is Verdict.PASS
    assert invoke("schema", NET).out == (here / "net.json").read_text()
    done = invoke("lock", path, "--schema", NET, "--no-forward", "-o", "-")
    assert done.code == 0, done.err


def test_nothing_is_imported_unless_it_is_asked_for(here: Path) -> None:
    path = user_code.saved(here / "net.pth")
    done = invoke("verify", path, "--schema", "none", "--no-forward")
    assert (done.code, "speaks" in done.err) == (0, False)


def test_the_configuration_of_the_project_may_name_code(here: Path) -> None:
    path = user_code.saved(here / "net.pth")
    (here / "ckpttool.toml").write_text(f'schema = "{NET}"\n')
    done = invoke("verify", path, "--no-forward")
    assert done.code == 0
    assert SAID in done.out


def test_the_configuration_of_a_checkpoint_from_elsewhere_may_not(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_code.saved(here / "net.pth")
    (here / "ckpttool.toml").write_text(f'schema = "{NET}"\n')
    (here / "work").mkdir()
    monkeypatch.chdir(here / "work")
    monkeypatch.syspath_prepend(str(here))
    inside = here / "download"
    inside.mkdir()
    for name in ("net.pth", "ckpttool.toml"):
        (here / name).rename(inside / name)
    done = invoke("verify", str(inside / "net.pth"), "--no-forward")
    assert done.code == 2
    assert "a schema that is code" in done.err
    assert "speaks" not in done.err
    assert (
        invoke(
            "verify",
            str(inside / "net.pth"),
            "--no-forward",
            "--config",
            str(inside / "ckpttool.toml"),
        ).code
        == 0
    )


# --- the forward pass ---------------------------------------------------------------------


@pytest.mark.parametrize("example", ["inputs", "more", "named(shift=2.0)", "both"])
def test_a_model_runs_on_the_example_that_is_named(here: Path, example: str) -> None:
    path = user_code.saved(here / "net.pth")
    report = ckpttool.verify(path, schema=NET, example=f"{MODULE}:{example}")
    assert report.verdict is Verdict.PASS
    (file,) = report.files
    assert file.forward is not None
    assert (file.forward.status, file.forward.unused) == ("run", ())
    assert file.forward.outputs["logits"].shape == (2, 10)
    assert not any("forward" in one for one in file.unchecked)


def test_the_report_says_what_it_was_called_with(here: Path) -> None:
    path = user_code.saved(here / "net.pth")
    done = invoke("verify", path, "--schema", NET, "--example", f"{MODULE}:inputs")
    assert done.code == 0
    assert f"called with {MODULE}:inputs: logits 2 x 10, all finite, from" in " ".join(
        done.out.split()
    )


def test_without_an_example_a_model_is_not_run(here: Path) -> None:
    path = user_code.saved(here / "net.pth")
    (file,) = ckpttool.verify(path, schema=NET).files
    assert file.forward is not None
    assert file.forward.reason == "it is not known what the model is called with: see --example"
    assert file.verdict is Verdict.PASS
    assert any("the forward pass (it is not known" in one for one in file.unchecked)


def test_an_output_that_is_not_finite_fails(here: Path) -> None:
    path = user_code.saved(here / "net.pth")
    report = ckpttool.verify(path, schema=f"{MODULE}:Infinite", example=f"{MODULE}:inputs")
    assert report.exit_code == 1
    assert "MOD005" in {found.rule.code for found in report.findings}


@pytest.mark.parametrize(
    ("model", "example", "reason"),
    [
        ("Broken", "inputs", "ValueError: this model cannot be run"),
        ("Net", "wrong", "RuntimeError"),
        ("Net", "named(shift='x')", "TypeError"),
    ],
)
def test_a_model_that_cannot_run_is_said_to_have_not_run(
    here: Path, model: str, example: str, reason: str
) -> None:
    path = user_code.saved(here / "net.pth")
    (file,) = ckpttool.verify(path, schema=f"{MODULE}:{model}", example=f"{MODULE}:{example}").files
    assert file.forward is not None
    assert file.forward.status == "not-run"
    assert "could not run with" in str(file.forward.reason)
    assert reason in str(file.forward.reason)
    assert "MOD007" in {found.rule.code for found in file.findings}
    assert any("could not run" in one for one in file.unchecked)


def test_a_model_that_ends_the_process_does_not_pass_silently(here: Path) -> None:
    path = user_code.saved(here / "net.pth")
    done = invoke("verify", path, "--schema", f"{MODULE}:Leaves", "--example", f"{MODULE}:inputs")
    assert "could not run: it ended with sys.exit(0)" in " ".join(done.out.split())
    assert "PASS" in done.out
    assert " · forward not run\n" in done.out


def test_an_incomplete_model_is_not_run(here: Path) -> None:
    path = user_code.saved(here / "net.pth")
    report = ckpttool.verify(path, schema=f"{NET}(depth=4)", example=f"{MODULE}:inputs")
    (file,) = report.files
    assert file.forward is not None
    assert file.forward.reason == "the model is not complete"


def test_a_mistake_in_the_example_is_told_before_anything_is_read(here: Path) -> None:
    path = user_code.saved(here / "net.pth")
    done = invoke("verify", path, "--schema", NET, "--example", f"{MODULE}:fails")
    assert done.code == 2
    assert f"{MODULE}:fails failed: RuntimeError: nothing is built here" in " ".join(
        done.out.split()
    )
    done = invoke("verify", path, "--schema", NET, "--example", "x.json")
    assert (done.code, "not of the form package.module:name" in done.err) == (2, True)


def test_an_example_without_code_is_wrong_usage(here: Path) -> None:
    path = user_code.saved(here / "net.pth")
    done = invoke("verify", path, "--schema", path, "--example", f"{MODULE}:inputs")
    assert (done.code, "--schema package.module:factory" in done.err) == (2, True)


def test_no_forward_imports_no_example(here: Path) -> None:
    path = user_code.saved(here / "net.pth")
    done = invoke("verify", path, "--schema", NET, "--example", "no.such:thing", "--no-forward")
    assert (done.code, "the forward pass was not run: --no-forward" in done.out) == (0, True)


def test_the_example_may_stand_in_the_configuration(here: Path) -> None:
    path = user_code.saved(here / "net.pth")
    text = f'schema = "{NET}"\nexample = "{MODULE}:inputs"\n'
    (here / "ckpttool.toml").write_text(text)
    assert f"called with {MODULE}:inputs" in " ".join(invoke("verify", path).out.split())


def test_a_lock_has_no_outputs_of_somebodys_code(here: Path) -> None:
    path = user_code.saved(here / "net.pth")
    code = ("--schema", NET, "--example", f"{MODULE}:inputs")
    done = invoke("lock", path, *code, "-o", "net.lock")
    assert done.code == 0, done.err
    assert invoke("verify", path, *code, "--lock", "net.lock").code == 0
