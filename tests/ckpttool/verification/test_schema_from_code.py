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
    assert done.last == (
        f"Error: {MODULE}:fails failed: RuntimeError: nothing is built here [FIL504]"
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
