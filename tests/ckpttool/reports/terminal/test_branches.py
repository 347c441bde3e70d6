"""The tree of names: folded where blocks are alike, and only there."""

from __future__ import annotations

import pytest

from ckpttool.findings.listing import TensorRow
from ckpttool.reports.terminal.branches import branches
from ckpttool.reports.terminal.view import TreeView


def rows(*names: str, shape: tuple[int, ...] = (2,)) -> list[TensorRow]:
    return [TensorRow(name, "float32", shape, 8) for name in names]


def drawn(tensors: list[TensorRow], fold: bool = True) -> list[str]:
    return ["  " * line.depth + line.label for line in branches(tensors, TreeView(fold=fold))]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(["cls_token"], ["cls_token"], id="one tensor"),
        pytest.param(["norm.weight", "norm.bias"], ["norm", "  weight", "  bias"], id="a module"),
        pytest.param(["patch.proj.w"], ["patch.proj.w"], id="one way to go is one line"),
        pytest.param(
            ["b.0.w", "b.0.v", "b.1.w", "b.1.v"], ["b.{0-1}", "  w", "  v"], id="alike blocks fold"
        ),
        pytest.param(
            ["b.0.w", "b.1.v", "b.2.w"],
            ["b", "  {0,2}", "    w", "  1.v"],
            id="a different block stays apart",
        ),
        pytest.param(["x.w", "y.w"], ["x.w", "y.w"], id="only numbers fold"),
        pytest.param(["b.0", "b.1"], ["b.{0-1}"], id="tensors in a list fold"),
        pytest.param(["b.00.w", "b.0.w"], ["b", "  00.w", "  0.w"], id="00 is not 0"),
        pytest.param(["a", "a.b"], ["a", "  b"], id="a tensor that is also a module"),
        pytest.param(["", "."], ["", "  "], id="empty names"),
    ],
)
def test_names_become_a_tree(names: list[str], expected: list[str]) -> None:
    assert drawn(rows(*names)) == expected


def test_unfolded_every_block_has_its_lines() -> None:
    assert drawn(rows("b.0.w", "b.1.w"), fold=False) == ["b", "  0.w", "  1.w"]


def test_blocks_of_other_shapes_do_not_fold() -> None:
    tensors = rows("b.0.w") + rows("b.1.w", shape=(3,))
    assert drawn(tensors) == ["b", "  0.w", "  1.w"]


def test_totals_count_every_folded_block() -> None:
    top = next(branches(rows("b.0.w", "b.0.v", "b.1.w", "b.1.v")))
    assert (top.alike, top.tensors, top.nbytes) == (2, 2, 16)


def test_a_name_of_a_thousand_parts_is_no_deep_tree() -> None:
    deep = rows(".".join("a" * 1000), ".".join("a" * 999))
    assert max(line.depth for line in branches(deep)) < 30


def test_a_tensor_that_is_also_a_module_counts_what_is_below_it() -> None:
    tensors = rows("top.a", "top.a.b", "top.a.c")
    first = next(branches(tensors))
    assert (first.label, first.tensors, first.nbytes) == ("top.a", 3, 24)
    # alike themselves, but not in what is below them
    assert drawn(rows("b.0", "b.1", "b.1.w")) == ["b", "  0", "  1", "    w"]


def order(names: list[str], sort: str | None) -> list[str]:
    tensors = [TensorRow(name, "float32", (size,), 4 * size) for size, name in enumerate(names, 1)]
    return [line.label for line in branches(tensors, TreeView(sort=sort))]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [(None, ["b10", "b9", "a"]), ("size", ["a", "b9", "b10"]), ("name", ["a", "b9", "b10"])],
)
def test_what_is_on_one_level_has_the_order_that_was_asked_for(
    sort: str | None, expected: list[str]
) -> None:
    assert order(["b10", "b9", "a"], sort) == expected


def test_folded_blocks_are_as_large_as_all_of_them() -> None:
    tensors = rows("head.w", shape=(3,)) + rows("b.0.w", "b.1.w", "b.2.w")
    tensors = [row._replace(nbytes=20) if row.name == "head.w" else row for row in tensors]
    labels = [line.label for line in branches(tensors, TreeView(sort="size"))]
    assert labels == ["b.{0-2}", "w", "head.w"]


def test_at_a_depth_the_tree_ends_and_what_is_below_is_counted() -> None:
    tensors = rows("b.0.w", "b.0.v", "b.1.w", "b.1.v", "norm.w", "norm.v")
    lines = list(branches(tensors, TreeView(depth=1)))
    assert [(line.label, line.hidden) for line in lines] == [("b.{0-1}", 2), ("norm", 2)]
    assert not any(line.hidden for line in branches(tensors, TreeView(depth=2)))


def test_what_is_in_a_folded_block_is_said_to_be_of_each() -> None:
    lines = list(branches(rows("b.0.w", "b.0.v", "b.1.w", "b.1.v", "c")))
    assert [line.label for line in lines if line.is_of_each] == ["w", "v"]


def test_a_line_has_the_tensors_that_it_stands_for() -> None:
    tensors = rows("b.0.w", "b.0.v", "b.1.w", "b.1.v", "c")
    for depth, expected in (
        (None, [[], ["b.0.w", "b.1.w"], ["b.0.v", "b.1.v"], ["c"]]),
        (1, [["b.0.w", "b.0.v", "b.1.w", "b.1.v"], ["c"]]),
    ):
        lines = branches(tensors, TreeView(depth=depth), every=True)
        assert [[row.name for row in line.rows] for line in lines] == expected
    assert not any(line.rows for line in branches(tensors))
