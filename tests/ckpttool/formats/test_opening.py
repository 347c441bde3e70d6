"""Which format a file is taken for: by its content, and what is said where it is of none."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from ckpttool import open_checkpoint
from ckpttool.files.sources import FileSource
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError, UnsupportedError
from ckpttool.findings.uses import NameUse, Use
from ckpttool.formats import open_source, single
from ckpttool.formats.pickles import interpreter
from tests.builders import safetensors, torch_files
from tests.builders.attacks import ATTACKS, POLYGLOT, Attack

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1213234688\n"


@pytest.mark.parametrize("name", ["a.pth", "model.safetensors", "model.safetensors.index.json"])
def test_a_pointer_of_git_lfs_is_called_one_whatever_it_stands_for(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(POINTER)
    with pytest.raises(UnsupportedError, match="git lfs pull") as caught:
        open_checkpoint(str(tmp_path / name))
    assert caught.value.rule is rules.UNKNOWN_FORMAT


def test_other_text_is_called_text(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(b"version 2 of the weights")
    with pytest.raises(UnsupportedError, match="a text file"):
        open_checkpoint(str(tmp_path / "a.pth"))


FIRST_OPCODES = sorted(set(b"NIJKMLFGSTUVXBC()]}lcd\x80\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x95\x96"))


@pytest.mark.parametrize("first", FIRST_OPCODES)
def test_a_length_that_looks_like_an_opcode_makes_no_pickle(tmp_path: Path, first: int) -> None:
    header = safetensors.GOOD + b" " * ((first - len(safetensors.GOOD)) % 256)
    (tmp_path / "a.safetensors").write_bytes(safetensors.file(header))
    with open_checkpoint(str(tmp_path / "a.safetensors")) as checkpoint:
        assert checkpoint.uses == ()


@pytest.mark.parametrize("attack", [one for one in ATTACKS if one.technique == POLYGLOT])
def test_what_a_reader_of_pickles_would_call_is_told_of_other_formats(
    tmp_path: Path, attack: Attack
) -> None:
    (tmp_path / "a.bin").write_bytes(attack.data("marker"))
    try:
        with open_checkpoint(str(tmp_path / "a.bin")) as checkpoint:
            uses = checkpoint.uses
    except CkpttoolError as error:
        uses = error.uses
    if "safetensors" in attack.what:
        assert {use.member for use in uses} == {"the file read as a pickle"}
    told = {use.name for use in uses if use.use in (Use.CALL, Use.ATTACK)}
    assert told & set(attack.names)


def test_a_pickle_beyond_the_limits_is_not_of_an_unknown_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreter, "MAX_OPERATIONS", 1_000)
    (tmp_path / "a.pth").write_bytes(b"]0" * 1_000 + b".")
    with pytest.raises(MalformedError) as caught:
        open_checkpoint(str(tmp_path / "a.pth"))
    assert caught.value.rule is rules.LIMIT


USED = NameUse(Use.CALL, "mylib.f", "mylib.f()", None, 0)


@pytest.mark.parametrize("changed", [True, False])
def test_what_is_wrong_with_a_file_that_changed_meanwhile_is_that_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: bool
) -> None:
    def read(*_: object) -> NoReturn:
        if changed:
            path.write_bytes(b"another content")
        error = MalformedError("it makes no sense", rules.PICKLE)
        error.uses = (USED,)
        raise error

    path = tmp_path / "a.pth"
    path.write_bytes(torch_files.torch_zip())
    monkeypatch.setattr(single, "read", read)
    with pytest.raises(CkpttoolError) as caught:
        open_checkpoint(path)
    assert caught.value.rule is (rules.CHANGED if changed else rules.PICKLE)
    assert caught.value.uses == (USED,)


def test_an_interrupt_while_a_file_is_opened_closes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(single, "read", interrupted)
    (tmp_path / "a.pth").write_bytes(torch_files.torch_zip())
    source = FileSource(str(tmp_path / "a.pth"))
    with pytest.raises(KeyboardInterrupt):
        open_source(source, None)
    assert source.fileno() == -1
