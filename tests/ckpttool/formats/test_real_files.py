"""Files that real releases of torch wrote read exactly as those releases say."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from ckpttool import open_checkpoint
from ckpttool.tensors.gather import chunks
from tests.builders.repository import FIXTURES

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import TensorInfo

FILES = sorted(FIXTURES.glob("torch-*/*.pth"))


class Section(NamedTuple):
    """Where expected.json speaks of a file, and how the file wraps and names its tensors."""

    key: str
    wrapper: str | None = None
    prefix: str = ""


SECTIONS = {
    "encoder": Section("encoder", wrapper="model"),
    "training": Section("training.model", wrapper="model"),
    "module_prefix": Section("encoder", prefix="module."),
    "layouts": Section("layouts"),
}


def section_of(path: Path) -> Section:
    """``encoder.legacy.pth`` and ``encoder.zip.pth`` hold what ``encoder.pth`` holds."""
    return SECTIONS[path.name.split(".")[0]]


def format_of(path: Path) -> str:
    """The container: the one in the file's name, or that release's default."""
    legacy = ".legacy." in path.name or path.parent.name == "torch-1.0.0"
    return "torch-legacy" if legacy else "torch-zip"


def digest(info: TensorInfo) -> str:
    """SHA-256 of the tensor's contiguous little-endian bytes."""
    sha = hashlib.sha256()
    for piece in chunks(info, memoryview(bytearray(4096))):
        sha.update(piece)
    return sha.hexdigest()


def test_there_are_files_of_three_releases() -> None:
    assert len(FILES) == 18
    assert {path.parent.name for path in FILES} == {"torch-1.0.0", "torch-1.6.0", "torch-1.12.1"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_names_dtypes_shapes_and_bytes_are_those_that_torch_saw(path: Path) -> None:
    section = section_of(path)
    expected = json.loads((path.parent / "expected.json").read_text())[section.key]
    # null: that torch could not hand out the bytes itself
    blind = {section.prefix + name for name, (_, _, sha) in expected.items() if sha is None}
    with open_checkpoint(str(path)) as checkpoint:
        assert (checkpoint.format, checkpoint.wrapper) == (format_of(path), section.wrapper)
        found = {
            name: [
                f"torch.{info.dtype.name}",
                list(info.shape),
                None if name in blind else digest(info),
            ]
            for name, info in checkpoint.tensors.items()
        }
    assert found == {section.prefix + name: value for name, value in expected.items()}


@pytest.mark.parametrize("version", ["1.6.0", "1.12.1"])
@pytest.mark.parametrize("stem", ["encoder", "layouts"])
def test_a_legacy_and_a_zip_file_have_the_same_bytes(version: str, stem: str) -> None:
    digests = []
    for name in (f"{stem}.pth", f"{stem}.legacy.pth"):
        with open_checkpoint(str(FIXTURES / f"torch-{version}" / name)) as checkpoint:
            digests.append([(key, digest(info)) for key, info in checkpoint.tensors.items()])
    assert digests[0] == digests[1]


@pytest.mark.parametrize("version", ["1.0.0", "1.6.0", "1.12.1"])
def test_a_training_file_lists_what_lies_beside_the_weights(version: str) -> None:
    with open_checkpoint(str(FIXTURES / f"torch-{version}" / "training.pth")) as checkpoint:
        keys = {entry.key.split(".")[0] for entry in checkpoint.entries}
        names = {str(reference) for reference in checkpoint.references}
    assert {"optimizer", "epoch", "args", "scaler"} <= keys
    assert "argparse.Namespace" in names
