from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from ckpttool.findings import rules
from ckpttool.findings.rules import Severity
from ckpttool.verification.checks.siblings import check_copies, check_magnitudes
from ckpttool.verification.options import Thresholds
from tests.builders import evidence as built
from tests.builders.tensors import from_array

if TYPE_CHECKING:
    from typing import Callable

    from tests.builders.evidence import Arrays

ROLE = "blocks.{}.mlp.fc1.weight"


def blocks(number: int, **factors: float) -> Arrays:
    """Alike weights in ``number`` blocks; ``b3=10`` makes that of block 3 ten times as large."""
    random = np.random.default_rng(0)
    arrays = {ROLE.format(n): random.normal(0, 1, (16, 16)) for n in range(number)}
    for n, array in enumerate(arrays.values()):
        array *= 0.1 * factors.get(f"b{n}", 1) / np.sqrt((array**2).mean())
    return {name: array.astype("f4") for name, array in arrays.items()}


# --- magnitude ------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [10.0, 0.1, 1e6])
def test_a_block_far_from_the_others_is_found(factor: float) -> None:
    (found,) = check_magnitudes(built.evidence(blocks(8, b3=factor)))
    assert (found.rule, found.tensors) == (rules.MAGNITUDE, (ROLE.format(3),))
    assert found.expected == "a root mean square about 0.1"


@pytest.mark.parametrize(
    ("factor", "message"),
    [
        (100.0, "100 times what is usual in the other blocks (31 robust deviations)"),
        (0.01, "1/100 of what is usual in the other blocks (31 robust deviations)"),
    ],
)
def test_the_factor_is_told(factor: float, message: str) -> None:
    (found,) = check_magnitudes(built.evidence(blocks(8, b3=factor)))
    assert found.message == message


@pytest.mark.parametrize(
    "arrays",
    [
        pytest.param(blocks(8), id="alike"),
        pytest.param(blocks(4, b3=100), id="four blocks"),
        pytest.param(blocks(8, b3=3), id="three times as large"),
        pytest.param(blocks(8, b3=0), id="zero, which is found elsewhere"),
        pytest.param({**blocks(8), "head.weight": np.full((2, 2), 9e9)}, id="in no block"),
        pytest.param(blocks(12, **{f"b{n}": 2.0**n for n in range(12)}), id="growing with depth"),
        pytest.param(
            {f"{name}.b": array[0] for name, array in blocks(8, b3=50).items()}, id="bias"
        ),
        pytest.param(built.untrained(), id="untrained"),
    ],
)
def test_a_usual_magnitude_is_quiet(arrays: Arrays) -> None:
    assert list(check_magnitudes(built.evidence(arrays))) == []


def test_a_bias_must_be_further_off_than_a_weight() -> None:
    biases = {name: array[0] for name, array in blocks(8, b3=1000).items()}
    assert [found.tensors for found in check_magnitudes(built.evidence(biases))] == [
        (ROLE.format(3),)
    ]


def test_the_limit_is_the_policys() -> None:
    evidence = built.evidence(blocks(8, b3=3))._replace(limits=Thresholds(magnitude=3.5))
    assert [found.tensors for found in check_magnitudes(evidence)] == [(ROLE.format(3),)]


def test_many_are_told_in_one_line() -> None:
    arrays = {
        f"{name}.{part}": array for name, array in blocks(8, b3=100).items() for part in range(10)
    }
    *_, last = check_magnitudes(built.evidence(arrays))
    assert len(last.tensors) == 2


# --- copies ---------------------------------------------------------------------------


def copied(source: str, target: str) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[target] = arrays[source]

    return change


def constant(arrays: Arrays) -> None:
    for name in ("blocks.0.mlp.fc1.bias", "blocks.1.mlp.fc1.bias"):
        arrays[name][:] = 0.5


def whole_block(arrays: Arrays) -> None:
    for name in [name for name in arrays if name.startswith("blocks.0.")]:
        arrays[name.replace(".0.", ".2.")] = arrays[name]


def tables(arrays: Arrays) -> None:
    arrays["decoder_pos_embed"] = arrays["pos_embed"]


def test_a_copy_is_found() -> None:
    arrays = built.trained()
    names = ("blocks.0.mlp.fc1.weight", "blocks.2.mlp.fc1.weight")
    copied(*names)(arrays)
    (found,) = check_copies(built.evidence(arrays))
    assert (found.rule, found.tensors) == (rules.DUPLICATE_CONTENT, names)
    assert found.message == "2 tensors hold the same 256 bytes"


def test_a_copy_within_a_block_that_stands_twice_is_told_once() -> None:
    arrays = built.trained()
    arrays["blocks.0.extra"] = arrays["blocks.0.mlp.fc1.weight"]
    whole_block(arrays)
    (found,) = check_copies(built.evidence(arrays))
    assert sorted(found.tensors) == ["blocks.0.extra", "blocks.0.mlp.fc1.weight"]


@pytest.mark.parametrize("change", [lambda _: None, constant, whole_block, tables])
def test_what_is_no_copy_or_told_elsewhere_is_quiet(change: Callable[[Arrays], None]) -> None:
    arrays = built.trained()
    change(arrays)
    assert list(check_copies(built.evidence(arrays))) == []


def test_tied_weights_are_no_copies() -> None:
    tied = from_array(np.arange(6, dtype="f4").reshape(2, 3))
    assert list(check_copies(built.evidence({"embed": tied, "head": tied}))) == []


def test_integers_may_well_be_the_same() -> None:
    index = np.arange(9).reshape(3, 3)
    assert list(check_copies(built.evidence({"a": index, "b": index.copy()}))) == []


def test_copies_that_may_be_meant_are_one_note() -> None:
    beside = built.honest_buffers()
    beside["ema.blocks.0.mlp.fc1.weight"] = built.trained()["blocks.0.mlp.fc1.weight"]
    arrays = {**built.trained(), **beside}
    (found,) = check_copies(built.evidence(arrays, coverage=built.covering(beside)))
    assert (found.rule, found.severity) == (rules.DUPLICATE_CONTENT, Severity.NOTE)
    assert found.tensor == (
        "blocks.0.mlp.fc1.weight, ema.blocks.0.mlp.fc1.weight, mel.filterbank, "
        "teacher.mel.filterbank"
    )
    assert found.message.startswith("4 tensors hold the content of 2: 352 B are in the file")


def test_two_weights_of_the_model_that_are_one_are_a_warning_whatever_lies_beside() -> None:
    name = "blocks.0.mlp.fc1.weight"
    arrays = built.trained()
    arrays["blocks.2.mlp.fc1.weight"] = arrays[name]
    arrays["ema"] = arrays[name]
    (found,) = check_copies(built.evidence(arrays, coverage=built.covering(["ema"])))
    assert (found.severity, len(found.tensors)) == (Severity.WARNING, 3)


def test_scales_beside_the_model_may_differ_with_depth() -> None:
    scales = {f"blocks.{n}.gamma": np.full(8, 1e-6 if n == 7 else 0.1, "f4") for n in range(8)}
    arrays = {**blocks(8), **scales}
    assert list(check_magnitudes(built.evidence(arrays, coverage=built.covering(scales)))) == []
    assert list(check_magnitudes(built.evidence(arrays))) != []
