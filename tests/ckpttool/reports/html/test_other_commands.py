"""The pages of comparisons, conversions and lock files."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Callable

import pytest

import ckpttool
from ckpttool.comparison.mapping import map_of
from ckpttool.comparison.result import (
    Change,
    Comparison,
    DiffKind,
    Largest,
    Outcome,
    Side,
    StateDiff,
    TensorDiff,
)
from ckpttool.conversion.result import (
    PLANNED,
    WRITTEN,
    Cast,
    Conversion,
    Conversions,
    LeftOut,
    Proof,
    WrittenFile,
)
from ckpttool.findings import rules
from ckpttool.findings.finding import Verdict, finding
from ckpttool.findings.pictures import Picture, change_of
from ckpttool.findings.results import FileReport, OutputSummary, Report
from ckpttool.models.families.mae import MAE
from ckpttool.reports.html.room import MOST_BYTES
from ckpttool.verification.lock.content import (
    Control,
    Lock,
    LockedCheckpoint,
    LockedFile,
    LockedForward,
    LockedTensor,
)
from tests.builders import measured
from tests.builders import reports as built
from tests.builders.pages import Element, parsed

HOSTILE = '<script>alert("\u202e")</script>{{ 1 }}'
SIDE = Side(("x",), "float32", (4, 2))
FILE = FileReport("a.pth", Verdict.PASS, (), "torch-zip", 1000, None, "facebook", 4, 32)


def page(result: object) -> Element:
    return parsed(ckpttool.render(result, "html"))  # type: ignore[arg-type]


def section(result: object, key: str) -> Element:
    return page(result).one("section", id=key)


def texts(row: Element, tag: str = "td") -> list[str]:
    return [cell.text for cell in row.all(tag)]


def titles(result: object) -> list[str]:
    return [one.text for one in page(result).one("main").all("h2")]


# --- comparisons ---------------------------------------------------------------------------


def change(relative: float | None = 0.01, nan: int = 0, norm: float = 0.1) -> Change:
    largest = Largest(0.25, (1, 0), 1.0, 1.25)
    return Change(8, 2, None, largest, None, 0.1, relative, 0.5, norm, 3, nan, 0, 0, 0)


def tensor(name: str, kind: DiffKind, changed: Change | None = None) -> TensorDiff:
    left = None if kind is DiffKind.ONLY_RIGHT else SIDE
    right = None if kind is DiffKind.ONLY_LEFT else SIDE
    return TensorDiff(name, kind, kind is DiffKind.IDENTICAL, left, right, changed)


def comparison(*tensors: TensorDiff) -> Comparison:
    outcome = Outcome.SAME if all(one.same for one in tensors) else Outcome.DIFFERENT
    other = FILE._replace(path="b.pth")
    return Comparison(FILE, other, outcome, tensors, map=map_of(tensors, MAE))


def every_kind(name: str = "norm.bias") -> Comparison:
    return comparison(
        tensor("blocks.0.norm1.weight", DiffKind.IDENTICAL),
        tensor("blocks.0.norm2.weight", DiffKind.CHANGED, change(0.5)),
        tensor("blocks.1.norm1.weight", DiffKind.CHANGED, change(0.01)),
        tensor("blocks.1.norm2.weight", DiffKind.CHANGED, change(0.02, nan=1)),
        tensor("blocks.0.mlp.fc1.bias", DiffKind.ONLY_LEFT),
        tensor("blocks.1.mlp.fc1.bias", DiffKind.ONLY_RIGHT),
        tensor("blocks.0.mlp.fc2.bias", DiffKind.SHAPE),
        tensor("cls_token", DiffKind.CHANGED, change(1.0, norm=1.0)),
        tensor(name, DiffKind.NOT_COMPARED),
    )


def test_a_comparison_has_its_sections_in_order() -> None:
    result = every_kind()._replace(state=(StateDiff("epoch", "1", None),))
    assert titles(result) == [
        "Findings",
        "Heat map",
        "Histograms by block",
        "Parameters",
        "Tensors",
        "Largest changes",
        "Beside the weights",
        "Provenance of A",
        "Provenance of B",
        "Receipt",
    ]


@pytest.mark.parametrize(
    ("result", "word"),
    [
        (comparison(tensor("a", DiffKind.IDENTICAL)), "= SAME"),
        (every_kind(), "≠ DIFFERENT"),
        (comparison()._replace(outcome=Outcome.CANNOT_TELL), "? CANNOT TELL"),
    ],
)
def test_the_outcome_stands_first(result: Comparison, word: str) -> None:
    assert page(result).one("header").one("span", class_="badge").text == word


def test_the_map_shows_changes_and_what_only_one_file_has() -> None:
    told = section(every_kind(), "d-map").all("div", class_="map")[0]
    cells = {row.one("th").text: texts(row) for row in told.all("tr") if row.all("td")}
    assert cells == {
        "norm1.weight": ["=", ".01"],
        "norm2.weight": [".5", "NaN"],
        "mlp.fc1.bias": ["A", "B"],
        "mlp.fc2.bias": ["≠", ""],
        "cls_token": ["1"],
        "norm.bias": ["?"],
    }


def test_of_equal_files_the_map_says_that_nothing_differs() -> None:
    result = comparison(tensor("blocks.0.norm1.weight", DiffKind.IDENTICAL))
    assert "differs in its values" in section(result, "d-map").text
    assert "No value differs" in section(result, "d-largest").text


def test_the_largest_changes_come_first_and_those_without_a_share_are_counted() -> None:
    told = section(every_kind(), "d-largest")
    rows = told.one("tbody").all("tr")
    assert [row.one("th").text for row in rows] == [
        "blocks.0.norm2.weight",
        "blocks.1.norm1.weight",
    ]
    assert [row.one("rect").attributes["width"] for row in rows] == ["100.0", "2.0"]
    assert texts(rows[0])[-1] == "at [1, 0]: 1 -> 1.25"
    assert "2 changed in a way that no share tells" in told.text


def test_histograms_show_both_files() -> None:
    sides = [
        FILE._replace(path=path, statistics=measured.statistics(*measured.stack(2)))
        for path in ("a.pth", "b.pth")
    ]
    told = section(every_kind()._replace(left=sides[0], right=sides[1]), "d-histograms")
    picture = told.one("ul", class_="panels").all("svg")[0]
    assert len(picture.all("path", class_="side0")) == len(picture.all("path", class_="side1")) == 1
    assert texts(told.one("thead"), "th") == [
        "from, to",
        *(f"encoder {block} {side}" for block in (0, 1) for side in "AB"),
    ]


def test_a_row_shows_the_values_of_both_files_over_each_other() -> None:
    names = ("blocks.0.norm2.weight", "blocks.1.norm1.weight")
    sides = [
        FILE._replace(statistics=measured.statistics(*map(measured.tensor, kept)))
        for kept in (names, names[:1])
    ]
    told = section(every_kind()._replace(left=sides[0], right=sides[1]), "d-tensors")
    rows = {row.one("th").text: row for row in told.one("tbody").all("tr")}
    assert len(rows[names[0]].all("path")) == 2
    assert texts(rows[names[0]])[-3:-1] == ["0.02", "0.02"]
    assert rows[names[1]].all("path") == []


def test_without_statistics_a_comparison_says_so() -> None:
    told = section(every_kind(), "d-histograms")
    assert "no statistics" in told.text
    assert told.all("svg") == []


def test_values_beside_the_weights_are_listed() -> None:
    result = every_kind()._replace(state=(StateDiff("epoch", "1", None),))
    rows = section(result, "d-state").one("tbody").all("tr")
    assert [(row.one("th").text, *texts(row)) for row in rows] == [("epoch", "1", "absent")]


def test_a_comparison_of_100_000_tensors_is_cut_and_keeps_what_differs() -> None:
    same = [tensor(f"layers.{at}.weight", DiffKind.IDENTICAL) for at in range(100_000)]
    result = comparison(*same, tensor("z", DiffKind.CHANGED, change()))
    text = ckpttool.render(result, "html")
    assert len(text) < MOST_BYTES
    table = parsed(text).one("section", id="d-tensors")
    assert table.one("tbody").all("tr")[-1].one("th").text == "z"


def test_paths_of_a_comparison_are_those_of_every_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    left = FILE._replace(path=str(tmp_path / "a.pth"))
    assert str(tmp_path) not in page(every_kind()._replace(left=left)).text


# --- conversions ---------------------------------------------------------------------------


def conversion(state: str = WRITTEN, verdict: Verdict = Verdict.PASS) -> Conversion:
    done = state == WRITTEN
    return Conversion(
        FILE._replace(verdict=verdict),
        "safetensors",
        state,
        "a.safetensors",
        (WrittenFile("a.safetensors", 900, 4, "ab" * 32),) if verdict is Verdict.PASS else (),
        casts=(Cast("w", "float32", "float16", 0, 0), Cast("v", "float32", "float16", 2, 7)),
        excluded=("head.weight",),
        left_out=(LeftOut("optimizer", "dict", "2 entries", 77),),
        proof=Proof(4, 800, 4, ("ckpttool 0.1.0", "safetensors 0.8.0")) if done else None,
        receipt="a.receipt.json" if done else None,
    )


@pytest.mark.parametrize(
    ("result", "word"),
    [
        (conversion(), "WRITTEN AND PROVEN"),
        (conversion(PLANNED), "NOTHING WRITTEN (dry run)"),
        (conversion("not-written", Verdict.FAIL), "REFUSED, NOTHING WRITTEN"),
        (conversion("not-written", Verdict.CANNOT_TELL), "NOTHING WRITTEN"),
    ],
)
def test_what_became_of_a_conversion_stands_first(result: Conversion, word: str) -> None:
    assert page(result).one("header").one("span", class_="badge").text.endswith(word)


def test_a_conversion_shows_what_was_written_and_what_changed() -> None:
    result = conversion()
    assert "ab" * 32 in section(result, "f0-outputs").text
    assert "head.weight" in section(result, "f0-changes").text
    assert "optimizer" in section(result, "f0-changes").text
    casts = section(result, "f0-casts").one("tbody").all("tr")
    assert [row.one("th").text for row in casts] == ["v", "w"]
    assert "4 tensors" in section(result, "f0-proof").text
    assert "a.receipt.json" in section(result, "f0-provenance").text


def test_a_conversion_that_changed_nothing_says_so() -> None:
    plain = conversion()._replace(casts=(), excluded=(), left_out=())
    assert "those of the source" in section(plain, "f0-changes").text
    assert page(plain).all("section", id="f0-casts") == []


def test_a_dry_run_proves_nothing() -> None:
    assert "a dry run writes nothing" in section(conversion(PLANNED), "f0-proof").text


def test_several_conversions_have_a_table() -> None:
    refused = conversion("not-written", Verdict.FAIL)
    from ckpttool.reports.html.convert import page_of

    made = page_of(Conversions((conversion(), refused)))
    assert made.look.key == "fail"
    assert made.lead == "1 converted, 1 not"
    assert made.overview is not None
    assert len(made.overview.rows) == 2


def test_what_was_not_converted_stands_first_however_many_were() -> None:
    from ckpttool.reports.html.convert import page_of

    refused = conversion("not-written", Verdict.FAIL)
    refused = refused._replace(file=refused.file._replace(path="last.pth"))
    made = page_of(Conversions((*[conversion()] * 300, refused)))
    assert made.overview is not None
    assert made.overview.left_out > 0
    assert made.overview.rows[0][1] == "last.pth"
    assert made.parts[0].title == "last.pth"


# --- lock files ----------------------------------------------------------------------------


def lock(report: Report | None = None, tolerance: float | None = 1e-4) -> Lock:
    output = OutputSummary((2, 4), 0.0, 1.0, -1.0, 1.0, True)
    controls = (
        Control("swap-blocks", 0.1, True),
        Control("tiny", 1.5e-6, False),
        Control("broken", math.inf, True),
    )
    forward = LockedForward("encoder", (0,), {"features": output}, 1e-6, tolerance, controls)
    checkpoint = LockedCheckpoint(
        "model.pth",
        "ckpt1:" + "0" * 64,
        "mae_vit_base_patch16",
        (LockedFile("model.pth", 1000, "cd" * 32),),
        forward,
        {"a": LockedTensor("float32", (1,), "ef" * 32)},
    )
    return Lock("x.lock", (checkpoint,), report or built.report(built.encoder_only()))


def test_a_lock_shows_what_its_controls_detect() -> None:
    told = section(lock(), "run-controls-0")
    rows = [(row.one("th").text, *texts(row)[::2]) for row in told.one("tbody").all("tr")]
    assert rows == [
        ("swap-blocks", "0.1", "yes"),
        ("tiny", "1.5e-6", "no: too near to rounding"),
        ("broken", "inf", "yes"),
    ]
    bars = [float(str(one.attributes["width"])) for one in told.all("rect")]
    assert bars == [100.0, 3.5, 100.0]
    assert told.all("line")[0].attributes["x1"] == "40.0"


def test_a_lock_without_a_tolerance_says_that_outputs_are_not_compared() -> None:
    assert "will not be compared" in section(lock(tolerance=None), "run-controls-0").text


def test_a_lock_has_the_page_of_its_verification() -> None:
    assert titles(lock())[:4] == ["Locked", "Controls", "Lock file", "Findings"]
    assert page(lock()).one("header").one("span", class_="badge").text == "✓ LOCKED"


def test_what_did_not_pass_was_not_locked() -> None:
    result = lock(built.report(built.incomplete()))._replace(checkpoints=())
    assert page(result).one("header").one("span", class_="badge").text == "✗ FAIL"
    assert "Nothing was locked" in section(result, "run-locked").text


def test_a_lock_file_that_was_read_has_a_page() -> None:
    assert titles(lock()._replace(report=None)) == ["Locked", "Controls", "Lock file"]


# --- of all --------------------------------------------------------------------------------

HOSTILE_RESULTS: dict[str, Callable[[str], object]] = {
    "comparison": lambda name: every_kind(name)._replace(
        left=FILE._replace(
            path=name, findings=(finding(rules.NAN, name, tensors=[name], expected=name),)
        ),
        state=(StateDiff(name, name, name),),
        notes=(name,),
    ),
    "conversion": lambda name: conversion()._replace(
        file=FILE._replace(path=name),
        outputs=(WrittenFile(name, 1, 1),),
        casts=(Cast(name, "float32", "float16", 1, 1),),
        excluded=(name,),
        left_out=(LeftOut(name, name, name, 1),),
    ),
    "lock": lambda name: lock()._replace(path=name),
}


@pytest.mark.parametrize("kind", HOSTILE_RESULTS)
def test_hostile_names_stay_text(kind: str) -> None:
    plain, odd = (page(HOSTILE_RESULTS[kind](name)) for name in ("plain", HOSTILE))
    assert {one.tag for one in odd} - {one.tag for one in plain} <= {"dl", "dt", "dd"}
    assert len(odd.all("script")) == 1
    assert not set(odd.text) & {"\u202e"}
    assert "<script>alert(" in odd.text


# --- pictures ------------------------------------------------------------------------------


def test_reconstructions_are_pictures_in_the_page_with_captions() -> None:
    told = section(built.report(built.pictured("cat.png")), "f0-pictures")
    pictures = told.all("img")
    assert len(pictures) == 4
    for one in pictures:
        assert str(one.attributes["src"]).startswith("data:image/png;base64,")
        assert one.attributes["alt"]
    assert told.one("figcaption").text == "cat.png"
    assert "loss" in told.text


def test_both_reconstructions_and_their_difference_are_shown() -> None:
    (one,) = built.pictured("cat.png").reconstructions
    result = every_kind()._replace(reconstructions=(change_of(one, one),))
    told = section(result, "d-pictures")
    assert [picture.attributes["alt"] for picture in told.all("img")][-1] == "|A - B|"
    assert len(told.all("img")) == 5


def test_pictures_beyond_the_room_of_the_page_are_counted() -> None:
    (one,) = built.pictured("cat.png").reconstructions
    large = one._replace(original=Picture(1500, 1000, os.urandom(4_500_000)))
    file = built.encoder_only()._replace(reconstructions=(one, large, one))
    told = section(built.report(file), "f0-pictures")
    assert len(told.all("figure")) == 1
    assert "2 more images" in told.text
