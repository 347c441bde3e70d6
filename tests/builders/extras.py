"""Packages that an installation may lack: whoever asks for one here is skipped without it."""

from __future__ import annotations

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
