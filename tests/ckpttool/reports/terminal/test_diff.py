"""The report on a comparison: the map at every width, with and without signs of its own."""

from __future__ import annotations

import io
from typing import Iterator

import pytest

from ckpttool.comparison.mapping import map_of
from ckpttool.comparison.result import (
    Change,
    Comparison,
    DiffKind,
    Largest,
    Outcome,
    Side,
    TensorDiff,
)
from ckpttool.findings.finding import Verdict
from ckpttool.findings.results import FileReport
from ckpttool.models.families.mae import MAE
from ckpttool.reports.terminal.diff_map import sign_of
from ckpttool.reports.terminal.diff_numbers import place
from ckpttool.reports.terminal.diff_text import write
from ckpttool.reports.terminal.view import DiffView
from tests.builders.layouts import decoder_names, encoder_names
from tests.builders.reports import Terminal

SIDE = Side(("x",), "float32", (4,))
FILE = FileReport("a.pth", Verdict.PASS, (), "torch-zip", 1, None, "facebook", 1, 4)


def change(relative: float | None = 0.01, odd: int = 0) -> Change:
    return Change(4, 2, None, None, None, 0.1, relative, 0.5, 0.1, 3, odd, 0, 0, 0)


def comparison(*tensors: TensorDiff) -> Comparison:
    other = FILE._replace(path="b.pth")
    return Comparison(FILE, other, Outcome.DIFFERENT, tensors, map=map_of(tensors, MAE))


def model(moved: dict[str, float]) -> Comparison:
    """A full ViT-Large in which some tensors changed, by so much."""
    names = [*encoder_names(24), *decoder_names(8)]
    return comparison(
        *(
            TensorDiff(name, DiffKind.CHANGED, False, SIDE, SIDE, change(moved[name]))
            if name in moved
            else TensorDiff(name, DiffKind.IDENTICAL, True, SIDE, SIDE)
            for name in names
        )
    )


def written(
    result: Comparison, view: DiffView | None = None, stream: io.StringIO | None = None
) -> str:
    stream = stream or io.StringIO()
    write(result, stream, view or DiffView())
    return stream.getvalue()


#: More than are listed one by one, so that a map is drawn.
MOVED = {
    **{f"blocks.{number}.mlp.fc1.weight": 0.005 for number in range(10)},
    "blocks.7.attn.qkv.weight": 0.5,
    "decoder_blocks.3.mlp.fc1.bias": 0.0001,
    "norm.bias": 0.05,
}


def rows(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        role, _, cells = line.strip().partition("  ")
        yield role, cells.strip(" ")


def test_the_map_shows_what_moved() -> None:
    found = list(rows(written(model(MOVED))))
    encoder = dict(reversed(found))  # the first of each role
    qkv = encoder["qkv"]
    assert qkv.replace(" ", "") == "." * 7 + "██" + "." * 16
    assert encoder["fc1"].replace(" ", "") == "▒" * 20 + "." * 14
    assert encoder["fc2"].replace(" ", "") == "." * 24
    decoder = [cells for role, cells in found if role == "fc1"][1]
    assert decoder.replace(" ", "") == "..." + "░░" + "...."
    assert "▓ norm" in written(model(MOVED))


def test_rows_are_in_the_order_of_a_block_whatever_the_order_of_the_names() -> None:
    result = model(MOVED)
    turned = tuple(reversed(result.tensors))
    text = written(result._replace(tensors=turned, map=map_of(turned, MAE)))
    order = [role for role, _ in rows(text) if role in ("norms", "qkv", "proj", "fc1", "fc2")]
    assert order == ["norms", "qkv", "proj", "fc1", "fc2"] * 2


@pytest.mark.parametrize("width", [50, 80, 160])
@pytest.mark.parametrize("plain", [True, False], ids=["plain", "colour"])
def test_the_report_fits_the_terminal(
    monkeypatch: pytest.MonkeyPatch, width: int, plain: bool
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    if plain:
        monkeypatch.setenv("NO_COLOR", "1")
    else:
        monkeypatch.delenv("NO_COLOR", raising=False)
    text = written(model(MOVED), stream=Terminal())
    assert ("\x1b[" in text) is not plain
    if plain:
        assert max(map(len, text.splitlines())) <= width


def test_signs_are_ascii_where_nothing_else_can_be_written() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    write(model(MOVED), stream, DiffView())
    stream.flush()
    assert b"##" in raw.getvalue()


def test_what_is_not_drawn_is_counted() -> None:
    many = [f"layers.{n}.part{p}.weight" for n in range(450) for p in range(20)]
    many += [f"stack{n}.0.a.weight" for n in range(9)] + [f"other{n}" for n in range(30)]
    tensors = (TensorDiff(name, DiffKind.CHANGED, False, SIDE, SIDE, change()) for name in many)
    text = written(comparison(*tensors, TensorDiff("x", DiffKind.IDENTICAL, True, SIDE, SIDE)))
    for told in ("and 4 roles more", "and 50 blocks more", "and 3 stacks more"):
        assert told in text
    assert "and 9,029 more (--top N or --top all lists them)" in text


KINDS = [kind for kind in DiffKind if kind is not DiffKind.CHANGED]


def test_every_class_has_a_sign_of_its_own_weight() -> None:
    signs = [sign_of(TensorDiff("x", kind, False, SIDE, SIDE)) for kind in KINDS]
    # two kinds of tolerance share one
    assert len(set(signs)) == len(KINDS) - 1
    shades = [
        sign_of(TensorDiff("x", DiffKind.CHANGED, False, SIDE, SIDE, change(share)))
        for share in (1e-4, 5e-3, 5e-2, 5e-1)
    ]
    assert "".join(shade.character for shade in shades) == "░▒▓█"
    odd = sign_of(TensorDiff("x", DiffKind.CHANGED, False, SIDE, SIDE, change(1e-9, odd=1)))
    assert odd.weight > max(sign.weight for sign in (*signs, *shades))


@pytest.mark.parametrize(
    ("left", "right", "told"),
    [
        pytest.param(1.0, 1.5, "1 -> 1.5", id="few digits where they tell"),
        pytest.param(0.0001234, 0.000123456, "0.0001234 -> 0.0001235", id="four where they do"),
        pytest.param(2.0, 2 + 2.0**-22, "2 -> 2.00000024", id="neighbours in float32"),
        pytest.param(1.0, 1 + 2.0**-52, "1 -> 1.0000000000000002", id="neighbours in float64"),
        pytest.param(1 + 1j, 1 + 1.0000001j, "1+1j -> 1+1.0000001j", id="complex"),
    ],
)
def test_values_that_differ_never_look_the_same(left: complex, right: complex, told: str) -> None:
    largest = Largest(abs(left - right), (0,), left, right)
    assert place(largest) == f"{told} at [0]"
