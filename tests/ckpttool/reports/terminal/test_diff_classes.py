"""A row for each tensor that changed, and one line for what many have in common."""

from __future__ import annotations

from ckpttool.comparison.result import Comparison, DiffKind, Outcome, Side, StateDiff, TensorDiff
from ckpttool.reports import render
from ckpttool.reports.terminal.view import DiffView
from tests.ckpttool.reports.terminal.test_diff import FILE, change, comparison, written

SIDE = Side(("x",), "float32", (4,))
HALF = Side(("x",), "float16", (4,))
LAYERS = [f"layers.{number}.fc" for number in range(24)]


def lines(*tensors: TensorDiff, view: DiffView | None = None) -> list[str]:
    return shown(comparison(*tensors), view)


def shown(result: Comparison, view: DiffView | None = None) -> list[str]:
    return [line.strip() for line in written(result, view).splitlines()]


def changed(name: str, *, odd: int = 0, zero: str = "") -> TensorDiff:
    found = change(odd=odd)._replace(
        norm_left=0.0 if zero == "left" else 1.0, norm_right=0.0 if zero == "right" else 1.0
    )
    return TensorDiff(name, DiffKind.CHANGED, False, SIDE, SIDE, found)


def of(kind: DiffKind, name: str, left: str, right: str) -> TensorDiff:
    return TensorDiff(
        name, kind, False, SIDE._replace(names=(left,)), SIDE._replace(names=(right,))
    )


def test_the_verdict_is_first_and_counts_each_class_once() -> None:
    same = TensorDiff("same", DiffKind.IDENTICAL, True, SIDE, SIDE)
    gone = TensorDiff("gone", DiffKind.ONLY_LEFT, False, SIDE, None)
    first, *rest = lines(changed("a"), gone, same)
    assert first == "✗ DIFFERENT a.pth | b.pth  1 of 3 tensors changed · 1 only in the left file"
    assert not any("DIFFERENT" in line for line in rest)


def test_a_tensor_is_one_row() -> None:
    found = lines(changed("a.weight"), changed("b.weight"))
    rows = [line for line in found if ".weight" in line]
    assert [row.split()[1] for row in rows] == ["a.weight", "b.weight"]
    assert "changed, float32" in found


def test_what_all_share_is_one_line() -> None:
    cast = [
        TensorDiff(name, DiffKind.CAST, False, SIDE, HALF, change(), "a note", (), "right")
        for name in LAYERS
    ]
    found = lines(*cast)
    assert "all 24 tensors on the right are the left rounded to float16" in found
    assert not any("a note" in line for line in found)
    exact = TensorDiff("e", DiffKind.CAST, False, SIDE, HALF, None, "another note")
    told = "25 tensors on the right are the left rounded to float16, 1 of them without any loss"
    assert f"all {told}" in lines(*cast, exact)
    assert any("same numbers: float32 on the left, float16" in line for line in lines(exact))


def test_rounded_both_ways_is_told_for_each() -> None:
    there, back, exact = (
        TensorDiff(name, DiffKind.CAST, False, SIDE, HALF, change(), "n", (), side)
        for name, side in (("a", "right"), ("b", "left"), ("c", None))
    )
    found = " ".join(lines(there, back, exact))
    assert "1 tensor on the right is the left rounded to float16" in found
    assert "1 tensor on the left is the right rounded to float32" in found
    assert "1 tensor has the same numbers" in found


def test_the_rows_of_a_cast_are_listed_on_demand() -> None:
    cast = TensorDiff("a.w", DiffKind.CAST, False, SIDE, HALF, change(), "n", (), "right")
    assert not any(line.startswith("c a.w") for line in lines(cast))
    assert any(line.startswith("c a.w") for line in lines(cast, view=DiffView(top=1)))


def test_one_prefix_is_one_line() -> None:
    moved = [of(DiffKind.MOVED, name, name, f"net.{name}") for name in LAYERS]
    assert "all 24 tensors: * -> net.*" in lines(*moved)


def test_names_of_single_tensors_are_told_in_full() -> None:
    renamed = [of(DiffKind.RENAMED, name, name, f"{name[::-1]}.b") for name in ("aa", "bc")]
    assert {"aa -> aa.b", "bc -> cb.b"} <= set(lines(*renamed))


def test_shapes_that_differ_alike_are_told_once() -> None:
    wide = Side(("x",), "float32", (8,))
    tensors = [TensorDiff(name, DiffKind.SHAPE, False, SIDE, wide) for name in LAYERS]
    assert "layers.{0-23}.fc: float32 [4] -> float32 [8]" in lines(*tensors)


def test_what_was_zero_does_not_fill_the_list() -> None:
    biases = [changed(f"{name}.bias", zero="left") for name in LAYERS]
    found = lines(*biases, changed("head.weight"))
    (line,) = [line for line in found if "zero on the left" in line]
    assert line == "24 biases are zero on the left: layers.{0-23}.fc.bias"
    rows = [line for line in found if line.startswith("▓") and "%" in line]
    assert [row.split()[1] for row in rows] == ["head.weight"]
    emptied = lines(changed("head.weight", zero="right"))
    assert "1 tensor is zero on the right: head.weight" in emptied


def test_what_was_zero_is_last_in_the_short_form_too() -> None:
    tensors = [changed("layers.0.bias", zero="left"), changed("head.weight")]
    found = [line for line in lines(*tensors, view=DiffView(stat=True)) if " | " in line]
    assert [line.split()[0] for line in found[1:]] == ["head.weight", "layers.0.bias"]


def test_nan_says_nan() -> None:
    found = lines(changed("a.w", odd=3), changed("b.w"))
    assert "3 NaN on the left only: a.w" in found
    (row,) = [line for line in found if line.startswith("! a.w")]
    assert "NaN" in row


def test_a_note_that_many_share_is_told_once() -> None:
    noted = [changed(name)._replace(note="only key differs") for name in LAYERS]
    found = [line for line in lines(*noted) if "only key differs" in line]
    assert found == ["layers.{0-23}.fc: only key differs"]


def test_without_numbers_the_names_are_told() -> None:
    tensors = [TensorDiff(name, DiffKind.CHANGED, False, SIDE, SIDE) for name in LAYERS]
    assert "layers.{0-23}.fc: float32 [4]" in lines(*tensors)


def test_all_are_listed_on_demand() -> None:
    many = [changed(f"t{number}") for number in range(30)]
    assert sum(line.startswith("▓") for line in lines(*many)) == 10
    every = lines(*many, view=DiffView(top=99))
    assert sum(line.startswith("▓") for line in every) == 30
    assert not any("more" in line for line in every)


def test_what_both_files_are_is_told_once() -> None:
    found = lines(changed("a"))
    assert any(line.startswith("both ") for line in found)
    other = FILE._replace(path="b.pth", size=2)
    found = shown(comparison(changed("a"))._replace(right=other))
    assert [line.split()[0] for line in found if "torch-zip" in line] == ["left", "right"]


def test_many_entries_of_one_side_are_ranges() -> None:
    state = tuple(StateDiff(f"opt.{number}", None, "1") for number in range(9))
    every = (StateDiff("epoch", "3", "4"), *state)
    found = shown(comparison(changed("a"))._replace(state=every))
    assert "epoch: 3 -> 4" in found
    assert "only in the right file: opt.{0-8}" in found


def test_equal_files_are_one_line() -> None:
    same = TensorDiff("a", DiffKind.IDENTICAL, True, SIDE, SIDE)
    result = Comparison(FILE, FILE, Outcome.SAME, (same, same))
    assert render(result) == "✓ SAME a.pth | a.pth  all 2 tensors identical\n"
