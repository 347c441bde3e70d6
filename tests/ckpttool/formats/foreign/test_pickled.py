"""Pickles that torch.save did not write are named by what they are made of."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from ckpttool import open_checkpoint
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError, UnsupportedError
from ckpttool.findings.finding import Verdict
from ckpttool.formats.torch import legacy as torch_legacy
from ckpttool.inspection.listing import inspect
from tests.builders import foreign

PROTOCOLS = range(6)


def refused(folder: Path, data: bytes) -> CkpttoolError:
    (folder / "a.pkl").write_bytes(data)
    with pytest.raises(CkpttoolError) as caught:
        open_checkpoint(str(folder / "a.pkl"))
    return caught.value


def verdict_on(path: Path) -> Verdict:
    return inspect(str(path)).file.verdict


def tensors() -> Any:
    return {"w": torch.ones(3), "p": torch.nn.Parameter(torch.ones(2)), "step": 5}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_dump_of_tensors_is_no_attack_and_no_checkpoint(
    tmp_path: Path, protocol: int
) -> None:
    error = refused(tmp_path, pickle.dumps(tensors(), protocol=protocol))
    assert isinstance(error, UnsupportedError)
    assert "a pickle.dump of tensors" in error.message
    assert error.uses == ()


def test_torch_load_does_not_read_it_and_the_advice_works(tmp_path: Path) -> None:
    data = pickle.dumps(tensors())
    with pytest.raises(RuntimeError, match="magic number"):
        torch.load(io.BytesIO(data), weights_only=False)
    torch.save(pickle.loads(data), tmp_path / "a.pth")
    with open_checkpoint(str(tmp_path / "a.pth")) as checkpoint:
        assert sorted(checkpoint.tensors) == ["p", "w"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_dump_of_arrays_is_named(tmp_path: Path, protocol: int) -> None:
    error = refused(tmp_path, foreign.arrays(protocol))
    assert "a pickle.dump of numpy arrays" in error.message


def test_the_class_of_an_object_is_named(tmp_path: Path) -> None:
    error = refused(tmp_path, pickle.dumps(torch.nn.Linear(2, 2)))
    assert "torch.nn.modules.linear.Linear" in error.message
    assert verdict_on(tmp_path / "a.pkl") is Verdict.CANNOT_TELL


def test_a_pickle_that_is_longer_than_one_window_is_read_to_its_end(tmp_path: Path) -> None:
    data = pickle.dumps({"w": torch.zeros(3_000_000).numpy()}, protocol=4)
    assert "numpy arrays" in refused(tmp_path, data).message
    error = refused(tmp_path, data[:-5_000_000])
    assert (type(error).__name__, error.rule) == ("TruncatedPickleError", rules.TRUNCATED)
    assert error.found == f"{len(data) - 5_000_000:,}"


def test_a_pickle_beyond_the_budget_is_not_called_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_legacy, "MAX_PICKLES", 1_100_000)
    data = pickle.dumps({"w": torch.zeros(3_000_000).numpy()}, protocol=4)
    error = refused(tmp_path, data)
    assert (type(error), error.rule) == (MalformedError, rules.LIMIT)
    assert verdict_on(tmp_path / "a.pkl") is Verdict.CANNOT_TELL
