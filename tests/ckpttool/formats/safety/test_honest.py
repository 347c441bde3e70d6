"""No honest value is accused, and each gets the level that its table says."""

from __future__ import annotations

import io
import pickle
import warnings
from pathlib import Path

import pytest
import torch

from ckpttool.inspection import inspect_file
from ckpttool.results import FileReport
from tests.builders.honest import HONEST, Honest

#: The gravest code of a file to the level of the table.
LEVELS = {"SEC002": "error", "SEC003": "warning", "SEC008": "note"}
#: Said of a pickle that torch.save did not write, and of nothing in it.
NO_CHECKPOINT = "FIL003"


def level_of(report: FileReport) -> str:
    codes = {one.rule.code for one in report.findings} - {NO_CHECKPOINT}
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
        assert level_of(inspect_file(str(path)).file) == honest.level


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
    assert level_of(inspect_file(str(path)).file) == honest.level


def test_the_table_has_all_levels() -> None:
    assert {honest.level for honest in HONEST} == {"nothing", *LEVELS.values()}
