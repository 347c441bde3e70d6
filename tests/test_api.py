"""The functions of the package: what they promise, and that the command line says the same."""

from __future__ import annotations

import copy
import doctest
import hashlib
import json
import os
import pickle
import pkgutil
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Thread, current_thread
from typing import Any, Callable, Iterator, cast
from unittest import mock

import pytest
import torch

import ckpttool
from ckpttool import Policy, UsageError, Verdict, Waiver
from ckpttool.cli import main
from ckpttool.findings.results import FileReport
from mae.config import CONFIGS, DEFAULT
from tests.builders import checkpoints, models
from tests.builders.commands import runner
from tests.builders.executors import executor
from tests.builders.repository import ROOT

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

FUNCTIONS = (
    *"open_checkpoint inspect verify diff prove convert convert_all lock read_lock".split(),
    *"schema read_schema fingerprint render".split(),
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder, with a model of the size that is the usual one meanwhile."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    torch.save(checkpoints.encoder_only(), "model.pth")
    torch.save(checkpoints.encoder_block_missing(), "other.pth")
    Path("broken.pth").write_bytes(b"PK\x03\x04 and no more")
    with mock.patch.dict(CONFIGS, {DEFAULT: models.TINY}):
        yield tmp_path


# --- the page -----------------------------------------------------------------------------


def test_the_examples_of_the_page_are_true(folder: Path) -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    shown = "\n".join("" if line.startswith("```") else line for line in page.split("\n"))
    examples = doctest.DocTestParser().get_doctest(shown, {}, "python.md", None, 0)
    assert len(examples.examples) > 20
    told: list[str] = []
    run = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    failed, _ = run.run(examples, out=told.append)
    assert not failed, "".join(told)


# --- the same as the command line ---------------------------------------------------------


def command(*arguments: str) -> tuple[int, Any]:
    done = runner().invoke(main, [*arguments, "--format", "json"])
    return done.exit_code, json.loads(done.stdout)


ABSOLUTE = "the whole path of model.pth"
PAIRS: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "inspect": (lambda: ckpttool.inspect("model.pth"), ["inspect", "model.pth"]),
    "inspect what is broken": (
        lambda: ckpttool.inspect(Path("broken.pth")),
        ["inspect", "broken.pth"],
    ),
    "verify": (
        lambda: ckpttool.verify(["model.pth", Path("other.pth"), "broken.pth"], forward=False),
        ["verify", "model.pth", "other.pth", "broken.pth", "--no-forward"],
    ),
    "verify what lies elsewhere": (
        lambda: ckpttool.verify(Path("model.pth").absolute(), require="full", forward=False),
        ["verify", ABSOLUTE, "--require", "full", "--no-forward"],
    ),
    "verify a folder": (
        lambda: ckpttool.verify(".", exclude="b*", forward=False, workers=1),
        ["verify", ".", "--exclude", "b*", "--no-forward", "--workers", "1"],
    ),
    "diff": (
        lambda: ckpttool.diff("model.pth", Path("other.pth"), atol=1e-3, exclude=["norm.*"]),
        ["diff", "model.pth", "other.pth", "--atol", "1e-3", "--exclude", "norm.*"],
    ),
    "diff what is broken": (
        lambda: ckpttool.diff("model.pth", "broken.pth"),
        ["diff", "model.pth", "broken.pth"],
    ),
    "prove": (
        lambda: ckpttool.prove("other.pth", Path("model.pth"), allow_missing="blocks.1.*"),
        ["prove", "other.pth", "--from", "model.pth", "--allow-missing", "blocks.1.*"],
    ),
    "prove what is broken": (
        lambda: ckpttool.prove("broken.pth", "model.pth"),
        ["prove", "broken.pth", "--from", "model.pth"],
    ),
    "convert": (
        lambda: ckpttool.convert(
            Path("model.pth"), Path("o.safetensors"), to="safetensors", force=True, dtype="float16"
        ),
        "convert model.pth --to safetensors -o o.safetensors --force --dtype float16".split(),
    ),
    "convert all state dicts": (
        lambda: ckpttool.convert_all("model.pth", to="safetensors", force=True),
        "convert model.pth --to safetensors --all-wrappers --force".split(),
    ),
    "convert what is broken": (
        lambda: ckpttool.convert("broken.pth", to="pth", dry_run=True),
        ["convert", "broken.pth", "--to", "pth", "--dry-run"],
    ),
}


@pytest.mark.parametrize("case", PAIRS)
def test_a_result_is_what_the_command_writes_and_nothing_is_printed(
    folder: Path, case: str, capfd: pytest.CaptureFixture[str]
) -> None:
    call, arguments = PAIRS[case]
    words = [str(folder / "model.pth") if word == ABSOLUTE else word for word in arguments]
    if case.startswith("convert"):
        call()  # what is replaced is told: let something stand there for both
    result = call()
    assert capfd.readouterr() == ("", "")
    assert command(*words) == (result.exit_code, result.to_dict())
    assert json.loads(ckpttool.render(result, "json")) == result.to_dict()
    assert ckpttool.render(result).strip()


def test_a_lock_is_what_the_command_writes(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    locked = ckpttool.lock("model.pth", Path("api.lock"), forward=False)
    assert capfd.readouterr() == ("", "")
    assert (locked.verdict, locked.exit_code) == (Verdict.PASS, 0)
    done = runner().invoke(main, ["lock", "model.pth", "-o", "-", "--no-forward"])
    assert done.stdout == locked.text == Path("api.lock").read_text()
    assert ckpttool.read_lock(Path("api.lock")).text == locked.text
    assert "LOCKED api.lock  1 checkpoint" in ckpttool.render(locked)
    assert locked.report is not None
    assert locked.to_dict()["report"] == locked.report.to_dict()
    assert locked.to_dict()["checkpoints"][0]["name"] == "model.pth"


def test_what_fails_is_not_locked(folder: Path) -> None:
    locked = ckpttool.lock(["model.pth", "other.pth"], "api.lock", forward=False)
    assert (locked.exit_code, locked.checkpoints, Path("api.lock").exists()) == (1, (), False)
    assert {found.rule.code for found in locked.findings} >= {"STR001"}


def test_a_fingerprint_is_that_of_the_report(folder: Path) -> None:
    report = ckpttool.verify("model.pth", forward=False, fingerprint=True)
    assert ckpttool.fingerprint(Path("model.pth")) == report.files[0].fingerprint


def test_work_is_done_on_the_callers_executor(folder: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        report = ckpttool.verify("model.pth", forward=False, executor=pool, workers=1)
        assert ckpttool.diff("model.pth", "model.pth", executor=pool, workers=1).exit_code == 0
        done = ckpttool.convert("model.pth", to="pth", executor=pool, workers=1)
    assert (report.exit_code, done.state) == (0, "written")


def test_sums_of_whole_files_are_computed_on_the_callers_executor(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = hashlib.new
    where: list[Thread] = []

    def noted(algorithm: str) -> Any:
        where.append(current_thread())
        return new(algorithm)

    monkeypatch.setattr("hashlib.new", noted)
    with executor("the caller's own thread") as own:
        ckpttool.lock("model.pth", "api.lock", forward=False, executor=own)
        ckpttool.convert("model.pth", to="pth", force=True, receipt="a.json", executor=own)
    assert where == [current_thread()] * 3


def test_results_do_not_share_a_dictionary_that_can_be_changed(folder: Path) -> None:
    report = ckpttool.verify("broken.pth")
    listing, conversion = ckpttool.inspect("broken.pth"), ckpttool.convert("broken.pth", to="pth")
    for own in (listing.metadata, report.files[0].lock_lines, conversion.tied, conversion.restored):
        for change in ("__setitem__", "setdefault"):
            with pytest.raises(TypeError, match="cannot be changed"):
                getattr(own, change)("a", "b")
        with pytest.raises(TypeError, match="cannot be changed"):
            own.update(a="b")  # type: ignore[call-overload]
        assert own == {}
    for result in (report, listing, conversion):
        assert pickle.loads(pickle.dumps(result)) == copy.deepcopy(result) == result


# --- mistakes -----------------------------------------------------------------------------


def verify(**options: Any) -> Any:
    return ckpttool.verify("model.pth", **options)


def diff(**options: Any) -> Any:
    return ckpttool.diff("model.pth", "model.pth", **options)


def prove(**options: Any) -> Any:
    return ckpttool.prove("model.pth", "model.pth", **options)


def convert(**options: Any) -> Any:
    return ckpttool.convert("model.pth", **{"to": "safetensors", **options})


def lock(**options: Any) -> Any:
    return ckpttool.lock("model.pth", "api.lock", **options)


def policy(**fields: Any) -> Any:
    return verify(policy=Policy(**fields))


def waiver(**fields: Any) -> Any:
    return policy(waivers=[Waiver(**{"code": "SEC005", "reason": "known", **fields})])


CLOSED = ThreadPoolExecutor(1)
CLOSED.shutdown()
WRONG: list[tuple[Callable[..., Any], dict[str, list[Any]]]] = [
    (
        verify,
        {
            "model": ["x", None, 3],
            "require": ["all", 3],
            "forward": ["no"],
            "stats": [3],
            "wrapper": [3],
            "device": [0],
            "trust": ["*", [3], 3],
            "expected_missing": [3, [None]],
            "policy": ["strict", None],
            "limits": [ckpttool.Thresholds(magnitude=float("nan")), (1e-6, 10, 0.01)],
            "lock": [3, b"x", "", ckpttool.Listing(FileReport("a.pth", Verdict.PASS, ()))],
            "exclude": [3],
            "workers": [0, -3, 1.5, "4", True],
            "executor": ["threads", CLOSED],
            "progress": [3, print, nullcontext],
            "today": ["2026-01-01", datetime(2026, 1, 1)],
        },
    ),
    (
        diff,
        {
            "atol": [-1, float("nan"), float("inf"), "0.1", True],
            "rtol": [-0.1, float("nan")],
            "max_ulp": [-1, 0.5],
            "equal_nan": ["yes"],
            "weights_only": [1],
            "stats": ["no"],
            "include": [3],
            "left_wrapper": [0],
            "workers": [0, -3],
            "executor": [3, CLOSED],
            "progress": [print],
        },
    ),
    (
        prove,
        {
            "map": [3, {"a": 1}, {"*": "a"}, {"norm.weigt": "x"}],
            "rename_file": [3, "", "none.toml"],
            "allow_missing": [3, "bloks.*", [None]],
            "wrapper": [0],
            "from_wrapper": [0, "none"],
            "workers": [0, -3],
            "executor": [3, CLOSED],
            "progress": [print],
        },
    ),
    (
        convert,
        {
            "to": ["onnx", None, 3, ["pth"]],
            "dtype": ["int8", 16],
            "max_shard_size": [0, -1, 1.5, "much", True],
            "destination": ["", b"x", 3, "-", "x.pth", "a\0b"],
            "force": ["yes"],
            "dry_run": [None],
            "metadata": [3, {"a": 1}, {"a": None}, {3: "a"}, {"a": "\ud800"}],
            "keep": [3],
            "sidecar": ["", 3],
            "receipt": [b"x"],
            "workers": [0],
            "executor": [3, CLOSED],
            "progress": ["bar", print],
            "except_quantized": [True],
        },
    ),
    (
        lock,
        {
            "policy": ["strict"],
            "progress": [3, print],
            "today": [datetime(2026, 1, 1)],
            "executor": [CLOSED],
        },
    ),
    (
        policy,
        {
            "select": [None, 3, (3,), "", "XYZ"],
            "extend_select": [["XYZ"]],
            "ignore": [("XYZ",), b"SEC005", (None,)],
            "fail_on": ["error"],
            "waivers": [None, 3, (3,), "SEC005", [("SEC005", "known")]],
            "vouches": ["no", None],
        },
    ),
    (
        waiver,
        {
            "code": ["XYZ", "SEC", None, ["SEC005"], "CFG001"],
            "reason": [None, 3],
            "tensors": [["norm.*"], 3],
            "path": [b"model.pth"],
            "owner": [3],
            "expires": ["2020-01-01", datetime(2026, 1, 1)],
            "fingerprint": [3],
            "folder": [Path()],
            "place": [3],
        },
    ),
]
MISTAKES: dict[str, Callable[[], Any]] = {
    f"{function.__name__} {option}={value!r}": partial(function, **{option: value})
    for function, options in WRONG
    for option, values in options.items()
    for value in values
}
for name in ("open_checkpoint", "inspect", "verify", "fingerprint", "read_lock", "lock"):
    for path in ("", b"model.pth", 3, None, "a\0b", *(["\ud800"] if os.name == "posix" else [])):
        MISTAKES[f"{name} of {path!r}"] = partial(getattr(ckpttool, name), path)
MISTAKES.update(
    {
        "diff of bytes": partial(ckpttool.diff, cast("Any", b"model.pth"), "model.pth"),
        "verify nothing": partial(ckpttool.verify, []),
        "verify bytes among others": partial(ckpttool.verify, ["model.pth", cast("Any", b"x")]),
        "inspect stats": partial(ckpttool.inspect, "model.pth", stats=cast("Any", 1)),
        "inspect workers": partial(ckpttool.inspect, "model.pth", stats=True, workers=0),
        "inspect wrapper": partial(ckpttool.inspect, "model.pth", wrapper=cast("Any", 3)),
        "render format": lambda: ckpttool.render(ckpttool.inspect("model.pth"), "sarif"),
        "render nothing": partial(ckpttool.render, cast("Any", None)),
        "fingerprint workers": partial(ckpttool.fingerprint, "model.pth", workers=0),
        "lock over a checkpoint": partial(ckpttool.lock, "model.pth", "other.pth"),
    }
)


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_of_the_caller_is_a_usage_error_and_nothing_is_written(
    folder: Path, case: str
) -> None:
    before = sorted(folder.iterdir())
    with pytest.raises(UsageError):
        MISTAKES[case]()
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("path", ["missing.pth", "broken.pth", "."])
def test_what_is_wrong_with_a_file_is_in_the_result(folder: Path, path: str) -> None:
    for result in (
        ckpttool.inspect(path),
        ckpttool.diff("model.pth", path),
        ckpttool.prove("model.pth", path),
        ckpttool.convert(path, to="pth"),
        ckpttool.verify(path, forward=False),
    ):
        assert result.exit_code in (1, 2)
        assert result.findings


def test_an_argument_that_is_wrong_is_named(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"^lock is not text .*found Listing"):
        verify(lock=ckpttool.inspect("model.pth"))
    with pytest.raises(UsageError, match=r"^workers is wrong .*found 0"):
        diff(workers=0)
    with pytest.raises(UsageError, match=r"^max_shard_size is for safetensors only"):
        convert(to="pth", max_shard_size=1)
    with pytest.raises(UsageError, match=r"^no such format for a Listing: .sarif"):
        ckpttool.render(ckpttool.inspect("model.pth"), "sarif")
    with pytest.raises(UsageError, match=r"^no such result to render: .str.*Listing"):
        ckpttool.render(cast("Any", "model.pth"))


@pytest.mark.parametrize("case", MISTAKES)
def test_no_message_of_an_argument_names_an_option_of_the_command_line(
    folder: Path, case: str
) -> None:
    with pytest.raises(UsageError) as error:
        MISTAKES[case]()
    assert not re.search(r"(?<!\S)--?[a-z]", str(error.value))


# --- names --------------------------------------------------------------------------------

LOADS_ALL = f"""
import ckpttool, importlib, pkgutil, sys
assert not {{"numpy", "torch"}} & set(sys.modules), "too much is loaded"
for module in pkgutil.walk_packages(ckpttool.__path__, "ckpttool."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
for name in {FUNCTIONS!r}:
    assert type(getattr(ckpttool, name)).__name__ == "function", name
scope = {{}}
exec("from ckpttool import *", scope)
assert set(ckpttool.__all__) <= set(scope) & set(dir(ckpttool))
"""


def test_no_module_stands_in_the_place_of_a_function() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADS_ALL], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""


def test_every_public_name_is_there_and_no_module_is_called_so() -> None:
    assert all(hasattr(ckpttool, name) for name in ckpttool.__all__)
    assert set(ckpttool._HOMES) == {*ckpttool.__all__} - {"__version__"}
    modules = {module.name for module in pkgutil.iter_modules(ckpttool.__path__)}
    assert modules.isdisjoint(ckpttool.__all__)
    with pytest.raises(AttributeError, match="nothing_like_it"):
        import_module("ckpttool").nothing_like_it  # noqa: B018


# --- in a notebook ------------------------------------------------------------------------


def test_a_result_is_one_line_in_an_interactive_session(folder: Path) -> None:
    Path("other.pth").rename("other\x1b[31m.pth")
    report = ckpttool.verify("model.pth", forward=False)
    conversion = ckpttool.convert("model.pth", to="safetensors")
    shown = [
        repr(one)
        for one in (
            report,
            report.files[0],
            ckpttool.inspect("model.pth"),
            ckpttool.inspect("nosuch.pth"),
            ckpttool.diff("model.pth", "other\x1b[31m.pth"),
            conversion,
            ckpttool.prove("model.safetensors", "model.pth"),
        )
    ]
    assert shown == [
        "<Report: pass, 1 file, 3 findings>",
        "<FileReport: pass model.pth, torch-zip, 30 tensors, 3 findings>",
        "<Listing: model.pth, torch-zip, 30 tensors>",
        "<Listing: cannot-tell nosuch.pth, 1 finding>",
        r"<Comparison: different model.pth | other\x1b[31m.pth>",
        "<Conversion: written model.pth -> model.safetensors>",
        "<Proof: proven model.safetensors from model.pth>",
    ]
