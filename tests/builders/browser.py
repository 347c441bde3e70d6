"""A real browser without a window: Chromium or Chrome of the system, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Iterator

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def program() -> str | None:
    """The browser of the system."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


def lacking() -> str | None:
    """What there is to install before a browser can be started; ``None`` where nothing is."""
    if find_spec("playwright") is None:
        return "playwright is not installed: pip install 'ckpttool[browser]'"
    return None if program() else "there is no Chromium or Chrome on the PATH"


@contextmanager
def started() -> Iterator[Any]:
    """A browser that is closed at the end."""
    from playwright.sync_api import sync_playwright

    # as root, which containers run as, Chromium has no sandbox
    as_root = hasattr(os, "geteuid") and os.geteuid() == 0
    arguments = ["--no-sandbox"] if as_root else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=arguments)
        try:
            yield browser
        finally:
            browser.close()
