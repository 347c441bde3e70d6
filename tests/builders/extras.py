"""Packages that an installation may lack: whoever asks for one here is skipped without it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest


def pages() -> None:
    """Ask for what HTML reports are made with."""
    pytest.importorskip("jinja2", reason="Jinja2, the extra `html`, is not installed")


def pillow() -> Any:
    """Return the module of images."""
    return pytest.importorskip("PIL.Image", reason="Pillow, the extra `images`, is not installed")


def yaml() -> Any:
    return pytest.importorskip("yaml", reason="PyYAML is not installed")


def markdown() -> Any:
    """Return the reader of Markdown, which rich brings along since release 13."""
    return pytest.importorskip("markdown_it", reason="markdown-it-py is not installed")


def parsers() -> Any:
    """Return the parsers that are fuzzed, by name; what they are held to takes a recent torch."""
    utils = pytest.importorskip("torch._utils")
    if not hasattr(utils, "_rebuild_tensor_v3"):
        pytest.skip("this torch has no _rebuild_tensor_v3", allow_module_level=True)
    return import_module("tests.fuzzing.parsers.table").PARSERS
