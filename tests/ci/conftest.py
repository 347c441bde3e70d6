"""A workspace as CI has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import checkpoints as built
from tests.builders.programs import ran


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A folder to work in, with a sound checkpoint, and one that has a hole."""
    workspace = tmp_path / "work space"
    workspace.mkdir()
    built.saved(workspace, built.sound, "good.pth")
    built.saved(workspace, built.encoder_block_missing, "bad.pth")
    return workspace


@pytest.fixture
def locked(workspace: Path) -> Path:
    """The same, where the sound one is configured and locked."""
    (workspace / "ckpttool.toml").write_text('checkpoint = "good.pth"')
    assert ran(workspace, ["ckpttool", "lock", "--no-forward"]).returncode == 0
    return workspace
