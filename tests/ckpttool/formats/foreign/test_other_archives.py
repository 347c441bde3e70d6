"""Archives that torch.save did not write are named by what they hold, not called malformed."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from ckpttool import open_checkpoint
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError, UnsupportedError
from ckpttool.findings.uses import Use
from tests.builders import foreign, torch_files, zips
from tests.builders import pickles as p

METHODS = {"stored": zipfile.ZIP_STORED, "deflated": zipfile.ZIP_DEFLATED}
TENSOR, NUMBER = p.tensor(), b"K\x05"
STATE_DICT = p.dict_of((p.text("w"), p.tensor()))


def refused(folder: Path, data: bytes, name: str = "a.zip") -> CkpttoolError:
    (folder / name).write_bytes(data)
    with pytest.raises(CkpttoolError) as caught:
        open_checkpoint(str(folder / name))
    return caught.value


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize(("members", "word"), foreign.ZIPS.values(), ids=foreign.ZIPS)
def test_another_zip_is_named(
    tmp_path: Path, members: dict[str, bytes], word: str, method: int
) -> None:
    error = refused(tmp_path, foreign.zipped(members, method))
    assert isinstance(error, UnsupportedError)
    assert word in error.message
    assert error.fix


def test_one_of_torch_save_without_its_pickle_in_the_directory_is_malformed(tmp_path: Path) -> None:
    hidden = zips.Item(b"archive/data.pkl", b"\x80\x02}.", hidden=True)
    error = refused(tmp_path, zips.archive(hidden, *zips.MEMBERS[1:]))
    assert isinstance(error, MalformedError)


@pytest.mark.parametrize("packed", [foreign.zipped, foreign.tarred], ids=["zip", "tar"])
def test_an_attack_in_another_archive_is_told_and_code_that_it_needs_is_not(
    tmp_path: Path, packed: object
) -> None:
    assert callable(packed)
    attack = p.pickle(p.call(p.name("os", "system"), p.text("true")))
    code = p.pickle(p.call(p.name("mylib", "rebuild"), p.text("x")))
    uses = refused(tmp_path, packed({"a/x.pkl": attack, "a/y.pkl": code})).uses
    told = [(use.use, use.name) for use in uses]
    assert told == ([(Use.ATTACK, "os.system")] if packed is foreign.zipped else [])


def test_a_tar_of_other_files_is_named(tmp_path: Path) -> None:
    data = foreign.tarred({"model/model.pth": torch_files.torch_zip(), "model/readme": b"x"})
    error = refused(tmp_path, data)
    assert isinstance(error, UnsupportedError)
    assert "model/model.pth" in error.message


@pytest.mark.parametrize(
    "bodies", [(TENSOR, TENSOR), (TENSOR, NUMBER), (NUMBER, p.text("x"), TENSOR)]
)
def test_a_row_of_archives_is_a_part_of_a_distributed_checkpoint(
    tmp_path: Path, bodies: tuple[bytes, ...]
) -> None:
    error = refused(tmp_path, foreign.distributed(*bodies), "__0_0.distcp")
    assert isinstance(error, UnsupportedError)
    assert "distcp" in error.message


def test_two_state_dicts_behind_each_other_are_read_in_two_ways(tmp_path: Path) -> None:
    error = refused(tmp_path, foreign.distributed(STATE_DICT, STATE_DICT))
    assert (type(error), error.rule) == (MalformedError, rules.ZIP_DISAGREES)


def test_another_archive_behind_one_of_torch_makes_no_part_of_a_distributed_checkpoint(
    tmp_path: Path,
) -> None:
    data = torch_files.torch_zip() + foreign.zipped({"x.txt": b"x"})
    error = refused(tmp_path, data)
    assert (type(error), error.rule) == (MalformedError, rules.ZIP_DISAGREES)


def test_an_archive_in_the_row_that_attacks_is_told(tmp_path: Path) -> None:
    attack = p.call(p.name("os", "system"), p.text("true"))
    error = refused(tmp_path, foreign.distributed(attack, TENSOR))
    assert [use.name for use in error.uses] == ["os.system"]
