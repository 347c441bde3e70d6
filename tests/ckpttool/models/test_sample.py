"""The stand-in: the published layout on disk, or nothing at all."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch

from ckpttool.__main__ import exit_when_stopped
from ckpttool.findings.errors import OutputError, UsageError
from ckpttool.models.sample import SampleWritten, write_sample
from mae.config import CONFIGS, is_decoder_name
from mae.large import MAEViTLarge
from tests.builders import models

# torch 2.0 warns of its own use of a class when it loads or saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")


@pytest.fixture(autouse=True)
def _tiny_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONFIGS, "tiny", models.TINY)


def write(path: Path, full: bool = False, seed: int = 0, force: bool = False) -> SampleWritten:
    return write_sample(str(path), "tiny", full=full, seed=seed, force=force)


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def weights(path: Path) -> Any:
    checkpoint = torch.load(path, weights_only=True)
    assert list(checkpoint) == ["model"]
    return checkpoint["model"]


@pytest.mark.parametrize("full", [False, True], ids=["encoder", "full"])
def test_the_file_has_the_models_own_names_and_shapes(tmp_path: Path, full: bool) -> None:
    path = tmp_path / "sample.pth"
    written = write(path, full)
    expected = MAEViTLarge(models.TINY, device="meta").state_dict()
    names = [name for name in expected if full or not is_decoder_name(name)]
    state = weights(path)
    assert list(state) == names
    assert all(state[name].shape == expected[name].shape for name in names)
    assert written == SampleWritten(
        str(path),
        path.stat().st_size,
        len(names),
        sum(expected[name].numel() for name in names),
        "tiny",
        full,
        0,
    )


def test_the_weights_are_the_initialisation_of_the_seed(tmp_path: Path) -> None:
    write(tmp_path / "encoder.pth", seed=3)
    write(tmp_path / "full.pth", full=True, seed=3)
    write(tmp_path / "other.pth", seed=4)
    encoder, full, other = (weights(tmp_path / f"{n}.pth") for n in ("encoder", "full", "other"))
    assert all(torch.equal(tensor, full[name]) for name, tensor in encoder.items())
    assert not torch.equal(encoder["norm.weight"], encoder["cls_token"][0, 0])
    assert not torch.equal(encoder["blocks.0.attn.qkv.weight"], other["blocks.0.attn.qkv.weight"])
    assert (encoder["norm.weight"] == 1).all()


def test_the_archive_does_not_name_the_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "sample.pth"
    write(path)
    assert b".tmp" not in path.read_bytes()
    assert listing(tmp_path) == ["sample.pth"]


def test_the_file_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    write(tmp_path / "sample.pth")
    assert (tmp_path / "sample.pth").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_file_that_exists_is_replaced_only_when_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "sample.pth"
    path.write_bytes(b"precious")
    with pytest.raises(UsageError, match="exists already"):
        write(path)
    assert path.read_bytes() == b"precious"
    write(path, force=True)
    assert len(weights(path)) == 30


@pytest.mark.parametrize("force", [True, False])
def test_a_link_is_neither_followed_nor_replaced(tmp_path: Path, force: bool) -> None:
    target, path = tmp_path / "target", tmp_path / "sample.pth"
    target.write_bytes(b"precious")
    path.symlink_to(target)
    with pytest.raises(UsageError, match="is a symbolic link"):
        write(path, force=force)
    assert path.is_symlink()
    assert target.read_bytes() == b"precious"


def test_a_folder_is_never_replaced(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no regular file"):
        write(tmp_path, force=True)


@pytest.mark.parametrize("name", ["missing/sample.pth", "file/sample.pth", "a\0b"], ids=repr)
def test_a_place_that_cannot_be_written_to_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot be (written|created): .*FIL007"):
        write(tmp_path / name)
    assert listing(tmp_path) == ["file"]


@pytest.mark.parametrize("where", ["torch.save", "os.fsync", "os.replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left"), RuntimeError("failed\nto write")])
def test_a_failed_write_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, error: Exception
) -> None:
    path = tmp_path / "sample.pth"
    path.write_bytes(b"precious")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(where, fail)
    with pytest.raises(OutputError, match=r"No space left|failed") as caught:
        write(path, force=True)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"precious"
    assert listing(tmp_path) == ["sample.pth"]


def test_what_the_system_said_is_told_rather_than_torchs_trouble_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        try:
            raise OSError(28, "No space left on device")
        finally:
            raise RuntimeError("unexpected pos 624512 vs 624464")

    monkeypatch.setattr("torch.save", fail)
    with pytest.raises(OutputError, match="cannot be written: No space left on device"):
        write(tmp_path / "sample.pth")


@pytest.mark.parametrize("where", ["torch.save", "os.link"])
def test_an_interruption_leaves_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def interrupt(*_: object) -> None:
        try:
            raise KeyboardInterrupt
        finally:
            if where == "torch.save":  # which closes its archive, and fails to
                raise RuntimeError("unexpected pos 624512 vs 624464")

    monkeypatch.setattr(where, interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "sample.pth")
    assert not listing(tmp_path)


def test_being_asked_to_stop_leaves_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: object, file: BinaryIO) -> None:
        file.write(b"half of it")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)

    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    exit_when_stopped()
    assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL, "it would end the tests too"
    monkeypatch.setattr("torch.save", stop)
    with pytest.raises(SystemExit) as caught:
        write(tmp_path / "sample.pth")
    signal.signal(signal.SIGTERM, before)
    assert caught.value.code == 128 + signal.SIGTERM
    assert not listing(tmp_path)


def test_an_unknown_size_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no size giant\. Choose .*mae_vit_large_patch16"):
        write_sample("sample.pth", "giant", full=False, seed=0)


def test_a_seed_that_torch_does_not_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="64 bits"):
        write(tmp_path / "sample.pth", seed=2**63)
