"""The table of element types is the only one: a type is known by its row, and by nothing else."""

from __future__ import annotations

import ast
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckpttool.tensors.dtypes import DTYPES, DType, Float
from ckpttool.tensors.numpy_arrays import numbers
from ckpttool.tensors.statistics import Moments
from tests.builders import pairs
from tests.builders.repository import ROOT

if TYPE_CHECKING:
    from typing import Iterator

torch: Any = pytest.importorskip("torch")

#: What torch, its storages and safetensors call the types. Python has a bool, too.
NAMES = {
    str(name)
    for dtype in DTYPES.values()
    for name in (dtype.name, dtype.safetensors, dtype.storage)
} - {"None", "bool"}

#: Who may spell names of types, and why.
SPELLED = {
    "ckpttool/conversion/output.py": "advises to cast to another type",
    "ckpttool/formats/distributed/zero.py": "the type in which DeepSpeed keeps the parts",
    "ckpttool/formats/objects/parts.py": "the types of indices, scales and codes that torch has",
    "ckpttool/formats/objects/storages.py": "the types of torch's codes",
    "ckpttool/formats/safety/allowed.py": "names that pickles may say, read or not",
    "ckpttool/models/forward.py": "what torch computes in unless it is told",
    "ckpttool/models/families/mae.py": "the type of a count in a linear probe",
    "ckpttool/models/schema.py": "the type of a model's tensors",
    "ckpttool/tensors/dtypes.py": "the table",
    "ckpttool/verification/controls.py": "torch computes in two types, which shows the rounding",
}


def spelled_in(source: str) -> Iterator[str]:
    """Texts in a module that are names of types and nothing else, one or several."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = node.value.split()
            if words and NAMES.issuperset(words):
                yield node.value


def test_no_other_module_spells_names_of_types() -> None:
    spelled = {}
    for path in sorted((ROOT / "ckpttool").rglob("*.py")):
        found = list(spelled_in(path.read_text(encoding="utf-8")))
        if found:
            spelled[path.relative_to(ROOT).as_posix()] = found
    assert {name: found for name, found in spelled.items() if name not in SPELLED} == {}
    assert spelled.keys() == SPELLED.keys(), "an exception that is none any more"


@pytest.mark.parametrize(
    "source", ['X = {"F16": 2}', 'X = "float32 bfloat16".split()', 'x == "HalfStorage"']
)
def test_a_name_that_is_spelled_is_seen(source: str) -> None:
    assert list(spelled_in(source))
    assert not list(spelled_in('"""Cast to bfloat16."""'))


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
@pytest.mark.parametrize("dtype", DTYPES.values(), ids=lambda dtype: dtype.name)
def test_columns_are_what_numpy_struct_and_torch_say(dtype: DType) -> None:
    known = getattr(torch, dtype.name, None)
    if dtype.struct is not None:
        assert struct.calcsize(f"<{dtype.struct}") == dtype.itemsize
        assert np.dtype(dtype.numpy).name == dtype.name
    if dtype.storage is not None:
        assert getattr(torch, dtype.storage).dtype == known
    if dtype.encoding is not None and known is not None:
        assert dtype.encoding.largest == torch.finfo(known).max


def test_types_that_numpy_knows_are_those_that_struct_knows() -> None:
    known = {name for name in DTYPES if name == "bool" or hasattr(np, name)}
    assert {dtype.name for dtype in DTYPES.values() if dtype.numpy} == known


# --- a type that is not in the table, by its row alone --------------------------------------

# IEEE 754 in 8 bits with four for the mantissa: 0x30 is 1, and 0x6f the largest.
NEW = DType("float8_e3m4", 8, "float", Float(3, 4, 3))


@pytest.fixture
def _new_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DTYPES, NEW.name, NEW)


def test_a_row_is_enough_for_numbers_and_statistics() -> None:
    raw = memoryview(bytes([0x00, 0x80, 0x01, 0x30, 0x31, 0xEF, 0x70, 0xF0, 0x71]))
    found = numbers(NEW, raw)
    expected = [0.0, -0.0, 2.0**-6, 1.0, 1.0625, -15.5, float("inf"), -float("inf"), float("nan")]
    np.testing.assert_array_equal(found, np.array(expected, "f4"))
    moments = Moments(NEW)
    moments.add(raw)
    assert (moments.minimum, moments.maximum) == (-15.5, 1.0625)
    assert (moments.nan, moments.infinite) == (1, 2)


@pytest.mark.usefixtures("_new_row")
def test_a_row_is_enough_for_distances() -> None:
    left = np.array([0x30, 0x80, 0x6F], "u1")
    right = np.array([0x31, 0x01, 0x6F], "u1")
    tally = pairs.arrays(left, right, dtypes=(NEW.name, NEW.name))
    assert (tally.changed, tally.max_ulp) == (2, 1)
    assert tally.max_abs is not None
    assert tally.max_abs.value == 0.0625


@pytest.mark.usefixtures("_new_row")
@pytest.mark.parametrize(("last", "rounded"), [(16.0, 0x70), (15.75, 0x70), (15.7, 0x6F)])
def test_a_row_is_enough_to_recognise_a_rounded_copy(last: float, rounded: int) -> None:
    # half way between two neighbours: the even one
    values = np.array([1.03125, 1.09375, -0.0078125, last], "f4")
    kept = np.array([0x30, 0x32, 0x80, rounded], "u1")
    tally = pairs.arrays(values, kept, dtypes=("float32", NEW.name))
    assert (tally.rounds_left, tally.rounds_right) == (False, True)
    kept[0] = 0x31
    tally = pairs.arrays(values, kept, dtypes=("float32", NEW.name))
    assert not tally.rounds_right
