"""The code runs on Python 3.8, whatever Python runs the tests: its syntax, and what it calls.

The linter knows the syntax of its target, and that annotations are never evaluated; neither it
nor mypy says that ``frozenset[str]()`` or ``int | None`` is evaluated, which Python 3.8 cannot do.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Iterator

import pytest

from tests.builders.repository import ROOT

OLDEST = (3, 8)

#: What can be subscripted since Python 3.9 only.
NOT_GENERIC = {"dict", "frozenset", "list", "set", "tuple", "type"}
#: Methods and arguments that are younger, by name alone.
YOUNGER = {"bit_count", "is_relative_to", "pairwise", "removeprefix", "removesuffix", "with_stem"}
YOUNGER_ARGUMENTS = {("zip", "strict"), ("shutdown", "cancel_futures")}
#: What can be one side of ``|`` since Python 3.9 (dicts) and 3.10 (types).
TYPES = NOT_GENERIC | {"bool", "bytes", "float", "int", "object", "str"}

SOURCES = [
    path
    for folder in ("ckpttool", "mae", "tests", "benchmarks", "docs")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "fixtures" not in path.parts
]


def too_young(text: str) -> list[int]:
    """The lines that Python 3.8 cannot run, though it may read them."""
    tree = ast.parse(text, feature_version=OLDEST)
    return sorted(node.lineno for node in _evaluated(tree) if _is_young(node))


def _evaluated(node: ast.AST) -> Iterator[ast.expr]:
    """All expressions but annotations, which nobody evaluates, and what is for types alone."""
    if isinstance(node, ast.expr):
        yield node
    skipped = {"annotation", "returns"}
    if isinstance(node, ast.If) and _name_of(node.test) == "TYPE_CHECKING":
        skipped.add("body")
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if field not in skipped and isinstance(child, ast.AST):
                yield from _evaluated(child)


def _is_young(node: ast.expr) -> bool:
    if isinstance(node, ast.Subscript):
        return isinstance(node.value, ast.Name) and node.value.id in NOT_GENERIC
    if isinstance(node, ast.Call):
        name = _name_of(node.func)
        return any((name, argument.arg) in YOUNGER_ARGUMENTS for argument in node.keywords)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _is_not_joined(node.left) or _is_not_joined(node.right)
    if isinstance(node, ast.FormattedValue):
        return isinstance(node.value, ast.Constant) and _is_width(node.format_spec)
    return isinstance(node, ast.Attribute) and node.attr in YOUNGER


def _is_width(spec: ast.expr | None) -> bool:
    """Whether it is computed and without an alignment: for a text, not 0 before Python 3.10."""
    return isinstance(spec, ast.JoinedStr) and isinstance(spec.values[0], ast.FormattedValue)


def _is_not_joined(node: ast.expr) -> bool:
    if isinstance(node, ast.Name):
        return node.id in TYPES
    return isinstance(node, (ast.Dict, ast.DictComp)) or (
        isinstance(node, ast.Constant) and node.value is None
    )


def _name_of(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_needs_a_younger_python(path: Path) -> None:
    assert too_young(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        "x = frozenset[str]()",
        "Pair = tuple[int, int]",
        "'a'.removeprefix('b')",
        "zip('a', 'b', strict=True)",
        "Name = int | None",
        "isinstance(1, int | str)",
        "x = {'a': 1} | {'b': 2}",
        "f\"{'':{width}}\"",
    ],
)
def test_what_is_younger_is_found(text: str) -> None:
    assert too_young(text) == [1]


@pytest.mark.parametrize(
    "text",
    [
        "x: frozenset[str] = frozenset()",
        "def f(x: list[int]) -> tuple[int, ...]: ...",
        "if TYPE_CHECKING: Pair = tuple[int, int]",
        "dict(a=1)['a']",
        "zip('a', 'b')",
        "x: int | None = 1 | 2",
        "x = {1} | set() | {name for name in 'ab'}",
        "f\"{'':<{width}} {'':3} {'a'}\"",
    ],
)
def test_what_python_38_can_run_is_left_alone(text: str) -> None:
    assert too_young(text) == []


def test_younger_syntax_is_found() -> None:
    with pytest.raises(SyntaxError):
        too_young("match x:\n    case 1: pass")
