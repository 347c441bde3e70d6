"""The charts of a page and their tables: what is drawn, what is said where nothing can be."""

from __future__ import annotations

import math
from typing import Any

import pytest

from ckpttool.findings import rules
from ckpttool.findings.finding import finding
from ckpttool.findings.results import Diagnosis, FileReport
from ckpttool.reports.html import ramp
from ckpttool.reports.html.histograms import Bins, Block, histograms
from ckpttool.reports.html.measured import bins_of, cells_of
from ckpttool.reports.html.room import MOST_BYTES, Room, rooms
from ckpttool.reports.html.shown import number, parameters
from tests.builders import measured
from tests.builders import reports as built
from tests.builders.pages import Element, page_of, parsed
from tests.builders.reports import rendered


def page(file: FileReport) -> Element:
    return page_of(built.report(file))


def section(file: FileReport, key: str) -> Element:
    return page(file).one("section", id=f"f0-{key}")


def texts(row: Element, tag: str = "td") -> list[str]:
    return [cell.text for cell in row.all(tag)]


def test_sections_are_in_order() -> None:
    titles = [one.text for one in page(measured.model()).one("main").all("h2")]
    assert titles == [
        "Findings",
        "Heat map",
        "Histograms by block",
        "Parameters",
        "Tensors",
        "Facts",
        "Provenance and receipt",
    ]


def test_a_result_without_statistics_says_so_and_has_no_empty_chart() -> None:
    told = section(built.encoder_only(), "tensors")
    assert "no statistics of the tensors" in told.text
    assert "--stats" in told.text
    assert told.all("table") == told.all("svg") == []
    assert "Heat map" not in page(built.encoder_only()).one("main").text


def test_of_a_file_that_could_not_be_read_no_chart_is_missed() -> None:
    assert "statistics" not in page(built.unreadable()).one("main").text


def test_of_a_model_whose_sizes_are_not_known_nothing_is_counted_or_missed() -> None:
    part = Diagnosis("part", None, "a part of a model, without its core")
    whole = built.measured()._replace(diagnosis=part)
    guessed = page(whole._replace(loading=None))
    assert "294 / 294" in page(whole).text
    assert "294 / 294" not in guessed.text
    assert "decoder" in page(whole).one("section", id="f0-parameters").text
    assert "decoder" not in guessed.one("section", id="f0-parameters").text


def test_every_chart_has_a_table() -> None:
    for key in ("map", "histograms", "parameters", "tensors"):
        for table in section(measured.model(), key).all("table"):
            assert table.one("caption").text
            assert all(one.attributes["scope"] in ("col", "row") for one in table.all("th"))
        assert section(measured.model(), key).all("table") != []


# --- the heat map --------------------------------------------------------------------------


def maps(file: FileReport) -> list[Element]:
    return section(file, "map").all("div", class_="map")


def test_a_map_has_a_row_for_each_role_and_a_column_for_each_block() -> None:
    rms, largest = maps(measured.model())
    table = next(one for one in rms.all("table") if "by role and block" in one.text)
    head, *rows = table.all("tr")
    assert texts(head, "th") == ["role", "0", "1", "2"]
    assert [row.one("th").text for row in rows] == list(measured.ROLES)
    assert texts(rows[0]) == [".1", ".11", ".12"]
    assert ".4" in largest.text


def test_a_cell_leads_to_the_row_of_its_tensor() -> None:
    whole = page(measured.model())
    cell = next(one for one in whole.all("a") if one.text == ".11")
    row = whole.one("tr", id=str(cell.attributes["href"])[1:])
    assert row.one("th").text == "blocks.1.norm1.weight"


def test_larger_numbers_are_lighter() -> None:
    (rms, _) = maps(measured.model())
    looks = [str(cell.attributes["class"]) for row in rms.all("tr") for cell in row.all("td")[:1]]
    assert looks[2:] == sorted(looks[2:], key=lambda look: -int(look[1:]))
    assert looks[2] == "v15"


def test_tensors_outside_of_blocks_have_a_map_of_their_own() -> None:
    (rms, _) = maps(measured.model())
    captions = [one.text for one in rms.all("caption")]
    assert captions[0] == "encoder, outside of blocks: RMS"
    assert any(caption.startswith("tensors, outside of blocks") for caption in captions)


def test_a_missing_tensor_shows_as_a_hole() -> None:
    whole = measured.model()
    assert whole.coverage is not None
    kept = [one for one in measured.stack(3) if one.name != "blocks.1.norm1.bias"]
    encoder = whole.coverage.core._replace(missing=("blocks.1.norm1.bias", "else.where"))
    file = measured.file(*kept)._replace(
        coverage=whole.coverage._replace(groups={"encoder": encoder})
    )
    (hole,) = maps(file)[0].all("td", class_="gone")
    assert (hole.text, hole.all("a")) == ("none", [])
    assert maps(measured.model())[0].all("td", class_="gone") == []


@pytest.mark.parametrize(
    ("change", "text", "look"),
    [
        ({"nan": 2}, "NaN", "odd"),
        ({"infinite": 1}, "inf", "odd"),
        ({"rms": None, "min": None, "max": None}, "?", "unknown"),
        ({"rms": 0.0}, "0", "zero"),
        ({"rms": 0.5}, ".5", "v8"),
    ],
)
def test_a_number_that_no_colour_shows_is_a_word(
    change: dict[str, Any], text: str, look: str
) -> None:
    first, *others = measured.stack(2)
    if look == "v8":  # alone, it is neither large nor small
        others = []
    drawn = maps(
        measured.file(
            first._replace(**change),
            *others,
        )
    )[0]
    cell = drawn.all("td")[0]
    assert (cell.text, cell.attributes["class"]) == (text, look)


def test_a_file_without_numbers_says_so() -> None:
    bare = measured.tensor("a")._replace(rms=None, min=None, max=None, histogram=None)
    file = measured.file(bare)
    assert "No tensor has numbers" in section(file, "map").text
    assert section(file, "map").all("table") == []


def test_a_map_of_many_blocks_is_cut_and_says_so() -> None:
    told = section(measured.file(*measured.stack(200)), "map")
    assert "104 blocks" in told.one("p", class_="cut").text
    assert section(measured.model(), "map").all("p", class_="cut") == []


def test_text_on_every_colour_of_the_ramp_can_be_read() -> None:
    assert all(ramp.contrast(ramp.ink_on(step) * 2, step) >= 4.5 for step in ramp.STEPS)
    assert ramp.contrast("000000", "ffffff") == pytest.approx(21)


def test_the_steps_of_the_ramp_differ_in_lightness() -> None:
    light = [ramp.contrast(step, "000000") for step in ramp.STEPS]
    assert light == sorted(light)


def test_a_scale_of_one_number_is_its_middle() -> None:
    assert ramp.Scale(2.0, 2.0).step(2.0) == len(ramp.STEPS) // 2
    assert ramp.scale_of([0.0, math.inf, -1.0]) is None


# --- histograms ----------------------------------------------------------------------------


def test_a_block_has_a_picture_and_a_column_of_counts() -> None:
    told = section(measured.model(), "histograms")
    assert [one.one("p", class_="ends").text for one in told.all("li")] == ["-1 1"] * 5
    labels = texts(told.one("table").all("tr")[0], "th")
    assert labels[1:] == [
        "encoder, outside of blocks",
        "tensors, outside of blocks",
        "encoder 0",
        "encoder 1",
        "encoder 2",
    ]
    assert len(told.one("tbody").all("tr")) == 16


def test_the_table_of_counts_joins_the_bins_of_the_pictures() -> None:
    fine = measured.bell(10_000, bins=66)
    file = measured.model()
    assert file.statistics is not None
    blocks = tuple(one._replace(histogram=fine) for one in file.statistics.blocks)
    told = section(file._replace(statistics=file.statistics._replace(blocks=blocks)), "histograms")
    rows = told.one("tbody").all("tr")
    assert len(rows) == 22
    assert rows[-1].one("th").text.endswith("to 1")
    counted = sum(int(texts(row)[0].replace(",", "")) for row in rows)
    assert counted == sum(fine.counts)
    assert "66 bins" in told.text


def test_that_counts_are_of_a_sample_is_said() -> None:
    file = measured.model()
    assert file.statistics is not None
    assert "in samples" not in section(file, "histograms").text
    blocks = tuple(
        one._replace(histogram=one.histogram._replace(of=10)) for one in file.statistics.blocks
    )
    sampled = file._replace(statistics=file.statistics._replace(blocks=blocks))
    assert "in samples" in section(sampled, "histograms").text


def test_a_comparison_of_a_large_model_shows_all_of_its_blocks() -> None:
    drawn = histograms(
        [
            Block(f"encoder {at}", "", (bins_of(measured.bell(10**7, bins=66)),) * 2)
            for at in range(34)
        ],
        ("A", "B"),
        rooms()["histograms"],
    )
    assert drawn is not None
    assert drawn.left_out == 0


@pytest.mark.parametrize(
    ("low", "high", "first", "last"),
    [
        pytest.param(
            -1.7e308, 1.7e308, "-1.7e308 to -8.5e307", "8.5e307 to 1.7e308", id="of any float"
        ),
        pytest.param(0.9996, 1.0004, "0.9996 to 0.9998", "1.0002 to 1.0004", id="close"),
    ],
)
def test_edges_are_numbers_that_differ(low: float, high: float, first: str, last: str) -> None:
    blocks = [Block("encoder 0", "", (Bins(low, high, (1, 2, 2, 1)),))]
    drawn = histograms(blocks, ("",), Room(10_000))
    assert drawn is not None
    edges = [row[0] for row in drawn.table.rows]
    assert (edges[0], edges[-1]) == (first, last)
    assert "inf" not in drawn.panels[0].picture


def test_what_lies_outside_of_the_bins_is_counted() -> None:
    told = section(built.measured(), "histograms").one("tbody")
    assert [row.one("th").text for row in told.all("tr")][-2:] == ["below", "above"]


# --- parameters ----------------------------------------------------------------------------


def test_parameters_are_drawn_by_where_they_come_from() -> None:
    whole = measured.model()
    assert whole.coverage is not None
    file = whole._replace(coverage=whole.coverage._replace(unexpected=("head",)))
    told = section(file, "parameters")
    origins = {texts(row)[0] for row in told.all("table")[0].one("tbody").all("tr")}
    assert origins == {
        "from the file",
        "not filled by the file",
        "unexpected: the model has no place for it",
    }
    assert told.one("ul", class_="origins").all("li")[0].text == "from the file"


def test_without_statistics_the_parts_of_the_model_are_drawn() -> None:
    told = section(built.encoder_only(), "parameters")
    rows = [[row.one("th").text, *texts(row)] for row in told.all("tbody")[0].all("tr")]
    assert rows == [
        ["encoder", "from the file", "294", "303,301,632", "92.03 %"],
        ["decoder", "not filled by the file", "104", "26,240,256", "7.96 %"],
    ]


def test_the_areas_are_as_the_numbers() -> None:
    told = section(measured.model(), "parameters").one("svg", class_="tree")
    areas = [
        float(str(one.attributes["width"])) * float(str(one.attributes["height"]))
        for one in told.all("rect")
    ]
    assert sum(areas) == pytest.approx(1000 * 360, rel=0.01)
    assert areas == sorted(areas, reverse=True)


# --- the table -----------------------------------------------------------------------------


def test_the_table_has_a_row_for_each_tensor_in_the_order_of_the_file() -> None:
    table = section(measured.model(), "tensors").one("table")
    names = [row.one("th").text for row in table.one("tbody").all("tr")]
    assert names[:3] == ["cls_token", "head", "blocks.0.norm1.weight"]
    assert len(names) == 14
    heads = table.one("thead").all("th")
    assert [one.attributes.get("data-sort") for one in heads][:2] == ["text", "text"]
    assert texts(table.all("tr")[1])[:4] == ["encoder", "float32", "64", "64"]


def test_least_and_largest_differ_in_what_is_shown() -> None:
    norm = measured.tensor("norm.weight")._replace(min=0.99937, max=1.00081, mean=1.00001)
    assert cells_of(norm)[4:7] == ("0.99937", "1.0008", "1")
    assert cells_of(norm._replace(min=-0.5, max=2.0, mean=0.123456))[4:7] == ("-0.5", "2", "0.1235")


def test_a_finding_leads_to_its_tensors() -> None:
    found = finding(rules.NAN, "NaN", tensors=["blocks.1.norm1.bias", "not.there"])
    whole = page(measured.model()._replace(findings=(found,)))
    (link,) = whole.all("a", class_="open")
    assert whole.one("tr", id=str(link.attributes["href"])[1:]).one("th").text == link.text
    assert "not.there" in whole.one("ul", class_="names").text


def test_of_100_000_tensors_those_of_findings_are_in_the_table() -> None:
    tensors = [measured.tensor(f"layers.{at}.weight", block=at, role="w") for at in range(100_000)]
    found = finding(rules.NAN, "NaN", tensors=["layers.99999.weight"])
    text = rendered(built.report(measured.file(*tensors)._replace(findings=(found,))), "html")
    assert len(text) < MOST_BYTES
    told = parsed(text).one("section", id="f0-tensors")
    assert told.one("tbody").all("tr")[-1].one("th").text == "layers.99999.weight"
    assert "100,000 tensors" in told.one("caption").text
    assert "more tensors" in told.one("p", class_="cut").text


def test_several_files_share_the_room_of_the_page() -> None:
    files = [measured.model(40)._replace(path=f"{at}.pth") for at in range(12)]
    text = rendered(built.report(*files), "html")
    assert len(text) < MOST_BYTES
    assert "more tensors" in text


# --- numbers -------------------------------------------------------------------------------


def test_numbers_are_short() -> None:
    told = [number(value) for value in (None, 0.0, 1e-05, 123456.0, math.nan, -math.inf)]
    assert told == ["", "0", "1e-5", "1.23e5", "NaN", "-inf"]
    assert [parameters(value) for value in (999, 303_301_632, 7_000_000_000)] == [
        "999",
        "303.3 M",
        "7.0 B",
    ]
