"""Writes the pictures of the HTML report for the documentation, with a real browser.

``python -m docs.make_images`` after a change of the page: of the demo model, of a copy with
defects, and of a comparison of the two. It needs the extra ``browser``, a Chromium or Chrome, and
Pillow.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable, NamedTuple

import ckpttool
from tests.builders import browser
from tests.builders.repository import ROOT

IMAGES = ROOT / "docs" / "images"
DEMO = ROOT / "data" / "mae_demo.pth"
PHOTO = ROOT / "data" / "chelsea.png"

#: A picture of a page is no larger, so that the repository stays small.
MOST_BYTES = 150_000
_COLOURS = 128


def _top(page: Any) -> None:
    """Leave the page as it opens."""


def _map(page: Any) -> None:
    page.locator("section[id$=-map]").first.evaluate("one => one.scrollIntoView()")


def _tensor(page: Any) -> None:
    _map(page)
    page.locator(".heat td.odd a:visible").first.click()


def _pictures(page: Any) -> None:
    page.locator("section[id$=-pictures]").first.evaluate("one => one.scrollIntoView()")


def _histograms(page: Any) -> None:
    page.locator("section[id$=-histograms]").first.evaluate("one => one.scrollIntoView()")


def _changes(page: Any) -> None:
    page.locator("section[id$=-largest]").first.evaluate("one => one.scrollIntoView()")


class Shot(NamedTuple):
    """A picture: of which page, at what place of it, in what window."""

    page: str
    place: Callable[[Any], None] = _top
    width: int = 1200
    height: int = 800
    scheme: str = "light"


SHOTS = {
    "report-verify": Shot("broken"),
    "report-verify-dark": Shot("broken", scheme="dark"),
    "report-map": Shot("demo", _map),
    "report-tensor": Shot("broken", _tensor),
    "report-reconstruction": Shot("demo", _pictures, height=640),
    "report-diff": Shot("diff", _map),
    "report-histograms": Shot("diff", _histograms, height=560),
    "report-changes": Shot("diff", _changes, height=560),
    "report-narrow": Shot("broken", width=400, height=800),
}


def pages(folder: Path) -> dict[str, str]:
    """Return the pages that are shown: real results, on the demo model and a copy with defects."""
    broken = _broken(folder)
    return {
        "demo": ckpttool.render(ckpttool.verify(DEMO, images=PHOTO, stats=True), "html"),
        "broken": ckpttool.render(ckpttool.verify(broken, stats=True), "html"),
        "diff": ckpttool.render(ckpttool.diff(DEMO, broken, stats=True), "html"),
    }


def _broken(folder: Path) -> Path:
    """Write a copy of the demo model that lost a tensor, and whose later blocks moved."""
    import torch

    content = torch.load(DEMO, weights_only=True)
    weights = content["model"]
    generator = torch.Generator().manual_seed(0)
    for name in [name for name in weights if name.startswith(("blocks.2.", "blocks.3."))]:
        scale = 0.02 * weights[name].std() * (1 if ".2." in name else 4)
        weights[name] += scale * torch.randn(weights[name].shape, generator=generator)
    weights["blocks.2.mlp.fc1.weight"][3, 4] = float("nan")
    del weights["decoder_blocks.1.mlp.fc1.bias"]
    path = folder / "broken.pth"
    torch.save(content, path)
    return path


def write(folder: Path, running: Any) -> None:
    """Write all pictures to a folder, with a browser that was started."""
    with tempfile.TemporaryDirectory() as scratch:
        for name, text in pages(Path(scratch)).items():
            (Path(scratch) / f"{name}.html").write_text(text, encoding="utf-8")
        for name, shot in SHOTS.items():
            (folder / f"{name}.png").write_bytes(_taken(running, Path(scratch), shot))


def _taken(running: Any, folder: Path, shot: Shot) -> bytes:
    from PIL import Image

    window = running.new_context(
        viewport={"width": shot.width, "height": shot.height}, color_scheme=shot.scheme
    )
    page = window.new_page()
    page.goto((folder / f"{shot.page}.html").as_uri())
    shot.place(page)
    full = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    window.close()
    small = io.BytesIO()
    full.quantize(_COLOURS, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()


if __name__ == "__main__":
    lacking = browser.lacking()
    if lacking is not None:
        sys.exit(lacking)
    IMAGES.mkdir(exist_ok=True)
    with browser.started() as chromium:
        write(IMAGES, chromium)
