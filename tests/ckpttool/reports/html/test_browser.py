"""The page in a real browser: what it shows, what it does, and what it never does."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest

import ckpttool
from ckpttool.findings import rules
from ckpttool.findings.finding import finding
from ckpttool.findings.results import FileReport
from ckpttool.findings.rules import Severity
from docs import make_images
from tests.builders import browser, measured
from tests.builders import reports as built
from tests.ckpttool.reports.html import test_other_commands as other
from tests.ckpttool.reports.html.test_page import HOSTILE_NAMES

_LACKING = browser.lacking()
pytestmark = pytest.mark.skipif(_LACKING is not None, reason=_LACKING or "")

#: Opens a report, with options of the browser's window.
Opener = Callable[..., Any]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser.started() as running:
        yield running


@pytest.fixture
def opened(chromium: Any, tmp_path: Path) -> Iterator[Opener]:
    """Opens a report in a window of its own; at the end, no error and no request was seen."""
    trouble: List[str] = []
    windows: List[Any] = []

    def open_page(result: Any, **options: Any) -> Any:
        path = tmp_path / f"report-{len(windows)}.html"
        path.write_text(ckpttool.render(result, "html"), encoding="utf-8")
        window = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        windows.append(window)
        page = window.new_page()
        page.on("console", lambda message: trouble.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: trouble.append(f"error: {error}"))
        page.on("dialog", lambda dialog: trouble.append(f"dialog: {dialog.message}"))
        page.goto(path.as_uri())
        page.on("request", lambda request: trouble.append(f"request: {request.url}"))
        return page

    yield open_page
    for window in windows:
        window.close()
    assert trouble == []


def with_findings(*tensors: str) -> FileReport:
    """A model with an error, a warning and a note on different tensors."""
    found = (
        finding(rules.NAN, "3 numbers: NaN", tensors=[*tensors, "blocks.1.attn.qkv.weight"]),
        finding(
            rules.CONSTANT_VECTOR,
            "all the same",
            severity=Severity.WARNING,
            tensors=["blocks.0.norm1.bias"],
        ),
        finding(rules.DECODER_ABSENT, "decoder absent"),
    )
    return measured.model()._replace(findings=found)


def shown(page: Any, selector: str) -> List[str]:
    """The texts of what can be seen."""
    return [one.inner_text() for one in page.locator(selector).all() if one.is_visible()]


def names(page: Any) -> List[str]:
    return shown(page, ".tensors tbody th")


@pytest.mark.parametrize("name", built.SPECIMENS)
def test_a_page_opens_without_an_error_or_a_request(opened: Opener, name: str) -> None:
    assert opened(built.SPECIMENS[name]).locator("h1").is_visible()


OTHERS = {
    "comparison": other.every_kind(),
    "conversion": other.conversion(),
    "lock": other.lock(),
    **{f"hostile {kind}": made(other.HOSTILE) for kind, made in other.HOSTILE_RESULTS.items()},
}


@pytest.mark.parametrize("name", OTHERS)
def test_pages_of_other_commands_open_likewise_in_any_width_and_scheme(
    opened: Opener, name: str
) -> None:
    for width, scheme in ((400, "dark"), (1280, "light")):
        page = opened(OTHERS[name], viewport={"width": width, "height": 800}, color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(_CONTRAST) == []
        assert page.locator("script").count() == 1


def test_a_change_opens_its_tensor(opened: Opener) -> None:
    page = opened(other.every_kind())
    page.locator(".bars a.open").first.click()
    dialog = page.locator("dialog")
    assert dialog.locator("h2").inner_text() == "blocks.0.norm2.weight"
    assert "changed" in dialog.inner_text()


def test_the_pictures_of_the_documentation_are_small(chromium: Any, tmp_path: Path) -> None:
    pytest.importorskip("PIL", reason="Pillow is not installed")
    make_images.write(tmp_path, chromium)
    assert {path.stem for path in tmp_path.iterdir()} == set(make_images.SHOTS)
    assert max(path.stat().st_size for path in tmp_path.iterdir()) < make_images.MOST_BYTES
    assert {path.stem for path in make_images.IMAGES.glob("report-*.png")} == set(make_images.SHOTS)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_is_text_in_the_browser(opened: Opener, name: str) -> None:
    odd = measured.tensor(name, block=0, role=name)
    found = finding(rules.NAN, name, tensors=[name, "other"], expected=name)
    file = measured.file(odd)._replace(findings=(found,), path=name, unchecked=(name,))
    page = opened(built.report(file))
    page.locator(".heat a:visible").first.click()
    text = name.encode("unicode_escape").decode() if not name.isascii() else name
    assert page.locator("dialog h2").inner_text() == text
    assert page.locator("script").count() == 1
    assert page.locator("main img, main iframe, main script, main style").count() == 0


# --- what it does --------------------------------------------------------------------------


def test_findings_are_filtered_by_severity_code_and_text(opened: Opener) -> None:
    page = opened(built.report(with_findings()))
    codes = ".finding .code"
    first, second, third = shown(page, codes)
    page.get_by_label("error (1)").uncheck()
    assert shown(page, codes) == [second, third]
    assert page.locator(".filter output").inner_text() == "2 of 3 shown"
    page.get_by_label("error (1)").check()
    page.get_by_role("combobox", name="Code").select_option(third)
    assert shown(page, codes) == [third]
    page.get_by_role("combobox", name="Code").select_option("")
    page.get_by_label("Tensor or text").fill("BLOCKS.1.attn")
    assert shown(page, codes) == [first]


def test_the_map_shows_the_number_that_is_chosen(opened: Opener) -> None:
    page = opened(built.report(measured.model()))
    assert shown(page, ".map caption")[0].endswith("RMS")
    page.get_by_role("radio", name="Largest magnitude").check()
    assert all(text.count("Largest magnitude") == 1 for text in shown(page, ".map caption"))


def test_a_click_on_a_cell_opens_its_tensor_with_its_findings(opened: Opener) -> None:
    page = opened(built.report(with_findings("blocks.1.norm1.weight")))
    page.locator(".heat a:visible", has_text=".11").first.click()
    dialog = page.locator("dialog")
    assert dialog.locator("h2").inner_text() == "blocks.1.norm1.weight"
    assert "NUM001: 3 numbers: NaN" in dialog.inner_text()
    assert dialog.locator(".picture svg").is_visible()
    dialog.get_by_text("Show it in the table").click()
    assert not dialog.is_visible()
    row = page.locator("tr:target")
    assert row.locator("th").inner_text() == "blocks.1.norm1.weight"
    assert page.locator("tr:target").bounding_box()["y"] > 0


def test_a_tensor_of_a_finding_is_opened_from_it(opened: Opener) -> None:
    page = opened(built.report(with_findings()))
    page.locator(".finding summary").first.click()
    page.locator("a.open").first.click()
    assert page.locator("dialog h2").inner_text() == "blocks.1.attn.qkv.weight"


def test_the_table_is_sorted_by_the_column_that_is_clicked(opened: Opener) -> None:
    page = opened(built.report(measured.model()))
    before = names(page)
    head = page.locator(".tensors th", has=page.get_by_role("button", name="RMS"))
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert names(page)[0] == "blocks.2.norm1.weight"
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert names(page)[-1] == "blocks.2.norm1.weight"
    assert sorted(names(page)) == sorted(before)
    assert page.locator("th[aria-sort=ascending]").count() == 1


def test_numbers_in_names_are_sorted_as_numbers_and_what_has_no_number_stays_last(
    opened: Opener,
) -> None:
    bare = measured.tensor("a")._replace(rms=None)
    page = opened(built.report(measured.file(*measured.stack(11), bare)))
    page.get_by_role("button", name="tensor", exact=True).click()
    order = names(page)
    assert order.index("blocks.2.norm1.bias") < order.index("blocks.10.norm1.bias")
    for _ in range(2):
        page.get_by_role("button", name="RMS").click()
        assert names(page)[-1] == "a"


def test_the_table_is_searched_by_name(opened: Opener) -> None:
    page = opened(built.report(measured.model()))
    page.get_by_label("Name").fill("NORM1.bias")
    assert names(page) == [f"blocks.{at}.norm1.bias" for at in range(3)]
    assert page.locator(".find output").inner_text() == "3 of 14 shown"


# --- for everyone --------------------------------------------------------------------------


def test_the_keyboard_moves_in_the_map_opens_and_comes_back(opened: Opener) -> None:
    page = opened(built.report(measured.model()))
    start = page.locator(".heat a:visible", has_text=".1").first
    start.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    readout = page.locator(".readout").inner_text()
    assert readout.startswith("encoder, block 1, norm1.bias: ")
    page.keyboard.press("Enter")
    assert page.locator("dialog h2").inner_text() == "blocks.1.norm1.bias"
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()
    assert page.evaluate("document.activeElement.closest('table.heat') !== null")


def test_a_map_is_one_stop_of_the_tab_key(opened: Opener) -> None:
    page = opened(built.report(measured.model()))
    for table in page.locator("table.heat:visible").all():
        assert table.locator("a:not([tabindex='-1'])").count() == 1


def test_the_first_stop_skips_to_the_report(opened: Opener) -> None:
    page = opened(built.report(measured.model()))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_everything_that_one_can_operate_has_a_name(opened: Opener) -> None:
    page = opened(built.report(with_findings()))
    for role in ("button", "checkbox", "combobox", "link", "radio", "searchbox", "region"):
        every, named = page.get_by_role(role), page.get_by_role(role, name=".")
        assert every.count() > 0
        assert named.count() <= every.count()
        for one in every.all():
            label = one.get_attribute("aria-label") or one.text_content() or ""
            assert label.strip() or one.evaluate("one => one.labels.length") == 1


def test_a_page_is_dark_where_the_reader_is(opened: Opener) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    light, dark = (
        opened(built.report(measured.model()), color_scheme=scheme).evaluate(background)
        for scheme in ("light", "dark")
    )
    assert (light, dark) == ("rgb(251, 251, 250)", "rgb(16, 20, 24)")


_CONTRAST = """() => {
  const light = (color) => {
    const [r, g, b] = color.match(/[0-9.]+/g).map(Number).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (one) => {
    for (; one; one = one.parentElement) {
      const color = getComputedStyle(one).backgroundColor;
      if (!/^rgba.*, 0\\)$/.test(color)) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !one.checkVisibility()) continue;
    if (one.closest("svg, script")) continue;
    const [a, b] = [light(getComputedStyle(one).color), light(behind(one))].sort((x, y) => y - x);
    const told = `${one.tagName}.${one.className} ${one.textContent}`;
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(told);
  }
  return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["with a lock file", "several files", "waived", "a folder"])
def test_all_text_has_contrast(opened: Opener, scheme: str, name: str) -> None:
    assert opened(built.SPECIMENS[name], color_scheme=scheme).evaluate(_CONTRAST) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_of_the_charts_has_contrast(opened: Opener, scheme: str) -> None:
    page = opened(built.report(with_findings()), color_scheme=scheme)
    assert page.evaluate(_CONTRAST) == []


@pytest.mark.parametrize("width", [320, 400, 800, 1600])
@pytest.mark.parametrize(
    "name", ["with a lock file", "several files", "hostile run", "many findings"]
)
def test_no_page_is_wider_than_its_window(opened: Opener, name: str, width: int) -> None:
    page = opened(built.SPECIMENS[name], viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [400, 1280])
def test_charts_fit_the_window_or_scroll_by_themselves(opened: Opener, width: int) -> None:
    report = built.report(measured.model(40))
    page = opened(report, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_long_name_leaves_the_numbers_of_the_map_in_sight(opened: Opener) -> None:
    report = measured.model()
    statistics = report.statistics
    assert statistics is not None
    long = measured.tensor("a" * 300)
    statistics = statistics._replace(tensors=(*statistics.tensors, long))
    page = opened(built.report(report._replace(statistics=statistics)))
    cell = page.locator(".heat.single tbody tr", has_text="a" * 300).locator("td").first
    assert cell.bounding_box()["x"] < 1280


def test_on_paper_everything_is_open_and_nothing_is_cut(opened: Opener) -> None:
    page = opened(built.report(with_findings()))
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator("details:not([open])").count() == 0
    assert not page.locator(".filter").first.is_visible()
    assert page.locator(".tensors").evaluate(
        "table => table.parentElement.clientHeight >= table.clientHeight"
    )
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0
    assert len(page.pdf()) > 10_000


def test_where_a_server_forbids_styles_charts_keep_their_size_and_colours(chromium: Any) -> None:
    window = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = window.new_page()
    body = ckpttool.render(built.report(measured.model()), "html")
    # what Jenkins sends with an artifact
    policy = "sandbox; default-src 'none'; img-src 'self'; style-src 'self';"
    headers = {"Content-Security-Policy": policy, "Content-Type": "text/html"}
    page.route("**/*", lambda route: route.fulfill(body=body, headers=headers))
    page.goto("http://ci.test/report.html")
    assert page.locator(".tensors tbody tr").count() == 14
    assert page.locator("svg.spark").first.bounding_box()["width"] < 200
    assert page.locator(".panel svg").first.bounding_box()["width"] < 400
    black = """() => [...document.querySelectorAll("svg path, svg .leaf rect")]
        .filter(one => getComputedStyle(one).fill === "rgb(0, 0, 0)").length"""
    assert page.evaluate(black) == 0
    window.close()


def test_without_script_all_of_it_is_there(opened: Opener) -> None:
    page = opened(built.report(with_findings()), java_script_enabled=False)
    assert page.locator(".finding").count() == 3
    assert len(shown(page, ".map")) == 2
    assert shown(page, "form") == []
