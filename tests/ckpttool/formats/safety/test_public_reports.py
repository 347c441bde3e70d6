"""Files rebuilt from public reports: of scanners that were passed, and of honest files refused."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from ckpttool.findings.finding import Verdict
from ckpttool.inspection.listing import inspect
from tests.builders import pickles as p
from tests.builders.torch_files import torch_zip

GETATTR = p.name("builtins", "getattr")


def joined(text: str) -> bytes:
    """``getattr(str, "join")("", list(text))``: a name that no string of the stream holds."""
    builtins = p.call(p.name("importlib", "import_module"), p.text("builtins"))
    join = p.call(GETATTR, p.call(GETATTR, builtins, p.text("str")), p.text("join"))
    return p.call(join, p.text(""), p.list_of(*map(p.text, text)))


class Report(NamedTuple):
    """What the pickle of a report does, and the name that must be told."""

    body: bytes
    name: str


SLOTS = p.tuple_of(b"N", p.dict_of((p.text("a"), p.text("os"))))
BUILTINS = p.tuple_of(b"}", p.dict_of((p.text("shape"), p.name("numpy", "__builtins__"))))

PRINT = b"cbuiltins\nprint\n(S'x'\ntR."

PASSED_BY_SCANNERS = {
    # an allowed function is given attributes, and they become the names of what is called
    "protectai/modelscan#85": Report(p.name("numpy", "prod") + SLOTS + b"b0N", "numpy.prod"),
    "protectai/modelscan#330": Report(
        p.name("numpy", "size")
        + BUILTINS
        + b"b0"
        + p.call(p.call(p.name("numpy", "size"), p.name("numpy", "size"), p.text("eval"))),
        "numpy.size",
    ),
    # the names are computed in the stream
    "protectai/modelscan#331": Report(
        p.call(p.name("importlib", "import_module"), joined("os")), "importlib.import_module"
    ),
    "protectai/modelscan#267": Report(
        p.call(p.name("pickle", "loads"), b"C" + bytes([len(PRINT)]) + PRINT), "builtins.print"
    ),
    # names put into the memo early and taken out of it late
    "mmaitre314/picklescan#22": Report(
        p.text("os")
        + p.put(1)
        + b"0"
        + p.text("system")
        + p.put(2)
        + b"0"
        + p.text("math")
        + p.put(3)
        + b"0"
        + p.get(1)
        + p.get(2)
        + b"\x93"
        + p.tuple_of(p.text("x"))
        + b"R",
        "os.system",
    ),
    # functions that were on no list
    "protectai/modelscan#338 collect_env": Report(
        p.call(p.name("torch.utils.collect_env", "run"), p.text("x")),
        "torch.utils.collect_env.run",
    ),
    "protectai/modelscan#338 mlflow": Report(
        p.call(p.name("mlflow.projects.backend.local", "_run_entry_point"), p.text("x")),
        "mlflow.projects.backend.local._run_entry_point",
    ),
    "protectai/modelscan#338 pandas": Report(
        p.call(p.name("pandas.io.parsers.readers", "read_csv"), p.text("https://x")),
        "pandas.io.parsers.readers.read_csv",
    ),
    "mmaitre314/picklescan#66": Report(
        p.call(p.name("pkgutil", "resolve_name"), p.text("os:system")), "pkgutil.resolve_name"
    ),
    "google/saferpickle#2": Report(
        p.call(p.name("shutil", "copy"), p.text("a"), p.text("b")), "shutil.copy"
    ),
}


@pytest.mark.parametrize("report", PASSED_BY_SCANNERS.values(), ids=PASSED_BY_SCANNERS.keys())
def test_what_scanners_passed_fails(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(p.PROTO4 + report.body + p.STOP)
    file = inspect(str(path)).file
    assert file.verdict is Verdict.FAIL
    errors = [one for one in file.findings if one.severity.value == "error"]
    assert any(report.name in one.message for one in errors)


#: Changes of what is no dictionary, which corrupted the memory of torch's own reader.
CHANGED_IN_PLACE = {
    "promptfoo/modelaudit#1524 tensor": p.tensor() + b"K\x00K\x01s",
    "promptfoo/modelaudit#1524 storage": p.storage() + b"K\x00K\x01s",
    "promptfoo/modelaudit#1524 items": p.tensor() + b"(K\x00K\x01u",
}


@pytest.mark.parametrize("changed", CHANGED_IN_PLACE.values(), ids=CHANGED_IN_PLACE.keys())
def test_items_of_what_is_no_dictionary_fail(changed: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(torch_zip(p.dict_of((p.text("w"), changed))))
    assert inspect(str(path)).file.verdict is Verdict.FAIL


HONEST: dict[str, Any] = {
    # numpy's numbers in a state dict's extra state, and random states, which weights_only refuses
    "deepmodeling/deepmd-kit#4147": {"w": torch.ones(2), "_extra_state": {"lr": np.float64(1e-3)}},
    "huggingface/accelerate#3036": {
        "w": torch.ones(2),
        "numpy": np.random.RandomState(0).get_state(),
    },
    "pytorch/pytorch#133163": {"w": torch.ones(2), "b": b"hello", "a": bytearray(b"hello")},
    "pytorch/pytorch#139302": {"w": torch.ones(2), "n": np.arange(6.0).reshape(2, 3)},
}


@pytest.mark.parametrize("value", HONEST.values(), ids=HONEST.keys())
@pytest.mark.parametrize("plain", [False, True], ids=["torch", "pickle"])
def test_what_weights_only_refuses_of_honest_files_is_data(
    value: Any, plain: bool, tmp_path: Path
) -> None:
    path = tmp_path / "a.pth"
    if plain:
        stream = io.BytesIO()
        pickle.dump(value, stream)
        path.write_bytes(stream.getvalue())
    else:
        torch.save(value, path)
    codes = {one.rule.code for one in inspect(str(path)).file.findings}
    assert codes <= {"FIL003", "SEC010"}
