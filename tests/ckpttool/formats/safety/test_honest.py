"""No honest value is accused, and each gets the level that its table says."""

from __future__ import annotations

import io
import pickle
import warnings
from pathlib import Path

import pytest
import torch

from ckpttool.findings.results import FileReport
from ckpttool.formats.safety.torch_names import TORCH
from ckpttool.inspection.listing import inspect
from tests.builders.honest import HONEST, Honest

#: The gravest code of a file to the level of the table.
LEVELS = {"SEC002": "error", "SEC003": "warning", "SEC008": "note"}
#: Said of a pickle that torch.save did not write, and of nothing in it.
NO_CHECKPOINT = "FIL003"
#: Said of data, and of a whole module, whatever is in it.
HARMLESS = frozenset({"SEC010", "FIL010"})
#: Said of the .metadata of a folder of torch.distributed.checkpoint without the folder.
NO_FOLDER = "FIL404"


def level_of(report: FileReport) -> str:
    codes = {one.rule.code for one in report.findings} - {NO_CHECKPOINT, NO_FOLDER, *HARMLESS}
    assert codes <= LEVELS.keys(), report.findings
    return next((LEVELS[code] for code in sorted(LEVELS) if code in codes), "nothing")


def made(honest: Honest) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return honest.make()
    except ImportError as error:
        pytest.skip(f"{error.name} is not installed")


every_value = pytest.mark.parametrize(
    ("honest", "protocol"),
    [
        pytest.param(honest, protocol, id=f"{honest.what}-{protocol}")
        for honest in HONEST
        for protocol in honest.protocols
    ],
)


@every_value
def test_a_value_beside_weights_gets_its_level(
    honest: Honest, protocol: int, tmp_path: Path
) -> None:
    value = made(honest)
    path = tmp_path / "a.pth"
    for zipped in (True, False):
        beside = {"w": torch.ones(2), "value": value}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.save(
                beside, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped
            )
        assert level_of(inspect(str(path)).file) == honest.level


# Values that torch.save writes, without those whose parts of torch add names on import.
_ON_IMPORT = ("jagged-tensor", "spec-of-distributed-tensor")
_SAVED = [one for one in HONEST if 2 in one.protocols and one.what not in _ON_IMPORT]


@pytest.mark.skipif(not str(torch.__version__).startswith(f"{TORCH}."), reason="another torch")
@pytest.mark.parametrize("honest", _SAVED, ids=lambda honest: honest.what)
def test_what_torch_refuses_by_default_is_said(honest: Honest, tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save({"w": torch.ones(2), "value": made(honest)}, path)
    said = [one for one in inspect(str(path)).file.findings if one.rule.letters == "SEC"]
    assert bool(said) == _is_refused(path)


def _is_refused(path: Path) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.load(path, weights_only=True)
    except pickle.UnpicklingError as error:
        # the operations of its reader are a matter of their own
        return "Unsupported global" in str(error) or "unsupported GLOBAL" in str(error)
    return False


@every_value
def test_a_value_in_a_plain_pickle_gets_its_level(
    honest: Honest, protocol: int, tmp_path: Path
) -> None:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pickle.Pickler(stream, protocol).dump(made(honest))
    path = tmp_path / "a.pkl"
    path.write_bytes(stream.getvalue())
    assert level_of(inspect(str(path)).file) == honest.level


def test_the_table_has_all_levels() -> None:
    assert {honest.level for honest in HONEST} == {"nothing", *LEVELS.values()}
