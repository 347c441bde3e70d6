"""The map of rows: whatever is not each row of the source once is noticed."""

from __future__ import annotations

import pytest

from ckpttool.conversion.renaming.rows import Naming, cut_rows, merged, split, unequal_rows
from ckpttool.conversion.result import Rows
from ckpttool.findings.errors import UsageError
from tests.builders.layouts import tensor

SOURCE = {"a": tensor("a", (6, 2)), "b": tensor("b", (3, 6)), "n": tensor("n", ())}


def naming(**rows: tuple[Rows, ...]) -> Naming:
    """Tensors of these rows of the source, and the rest of the source under its own names."""
    used = {one.name for taken in rows.values() for one in taken}
    tensors = {name: info for name, info in SOURCE.items() if name not in used}
    for name, taken in rows.items():
        turned = any(one.transposed for one in taken)
        height = sum(one.stop - one.start for one in taken)
        tensors[name] = tensor(name, (6, 3) if turned else (height, 2))
    return Naming(tensors, dict(rows))


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param({}, id="as they are"),
        pytest.param({"x": (Rows("a", 0, 6),)}, id="renamed"),
        pytest.param({"x": (Rows("a", 0, 2),), "y": (Rows("a", 2, 6),)}, id="split"),
        pytest.param({"x": (Rows("a", 2, 6), Rows("a", 0, 2))}, id="in another order"),
        pytest.param({"x": (Rows("a", 0, 6), Rows("b", 0, 3))}, id="joined"),
        pytest.param({"x": (Rows("b", 0, 3, True),)}, id="transposed"),
    ],
)
def test_every_row_once_is_fine(rows: dict[str, tuple[Rows, ...]]) -> None:
    assert unequal_rows(SOURCE, naming(**rows)) is None


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        pytest.param({"x": (Rows("a", 0, 5),)}, "row 5 of a is written nowhere", id="the last"),
        pytest.param({"x": (Rows("a", 1, 6),)}, "row 0 of a is written nowhere", id="the first"),
        pytest.param(
            {"x": (Rows("a", 0, 3),), "y": (Rows("a", 2, 6),)},
            "row 2 of a is written twice",
            id="twice",
        ),
        pytest.param({"x": (Rows("z", 0, 6),)}, "z, which was not taken", id="a stranger"),
        pytest.param(
            {"x": (Rows("a", 0, 6, True),)}, "not a transpose of a", id="of another shape"
        ),
    ],
)
def test_anything_else_is_told(rows: dict[str, tuple[Rows, ...]], told: str) -> None:
    assert told in str(unequal_rows(SOURCE, naming(**rows)))


def test_rows_that_are_columns_of_the_source_are_not_split() -> None:
    turned = tensor("x", (6, 3))
    with pytest.raises(UsageError, match="b cannot be split into 3 parts: it is transposed"):
        list(split(turned, (Rows("b", 0, 3, True),), ("q", "k", "v")))
    parts = split(turned, (Rows("a", 0, 6),), ("q", "k", "v"))
    assert [rows for _, _, rows in parts] == [(Rows("a", n, n + 2),) for n in (0, 2, 4)]


def test_a_tensor_that_is_left_out_is_told() -> None:
    found = naming()
    del found.tensors["n"]
    assert unequal_rows(SOURCE, found) == "row 0 of n is written nowhere"


def test_a_tensor_with_more_rows_than_it_is_made_of_is_told() -> None:
    found = naming(x=(Rows("a", 0, 6),))
    found.tensors["x"] = tensor("x", (7, 2))
    assert unequal_rows(SOURCE, found) == "x has 7 rows, and is made of others"


def test_a_hostile_name_is_shown_escaped() -> None:
    source = {"\x1b[2J": tensor("\x1b[2J", (2,))}
    assert unequal_rows(source, Naming({}, {})) == r"row 0 of \x1b[2J is written nowhere"


def test_rows_that_follow_each_other_are_one_run() -> None:
    parts = Rows("a", 0, 2), Rows("a", 2, 4), Rows("b", 4, 5), Rows("a", 4, 6)
    assert merged(parts) == (Rows("a", 0, 4), Rows("b", 4, 5), Rows("a", 4, 6))
    assert merged((Rows("a", 0, 2, True), Rows("a", 2, 4))) != (Rows("a", 0, 4),)


def test_rows_are_cut_across_tensors() -> None:
    joined = Rows("a", 0, 4), Rows("b", 10, 14)
    assert cut_rows(joined, 2, 6) == (Rows("a", 2, 4), Rows("b", 10, 12))
    assert cut_rows(joined, 4, 8) == (Rows("b", 10, 14),)
