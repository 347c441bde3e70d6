"""Files of other kinds are named by their first bytes, and never called malformed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckpttool import open_checkpoint
from ckpttool.findings.errors import UnsupportedError
from ckpttool.findings.finding import Verdict
from ckpttool.formats.foreign.signatures import is_text, kind_of
from ckpttool.inspection.listing import inspect
from tests.builders import foreign
from tests.builders import pickles as p

# At its end, so that the name has its say before.
BY_FIRST_BYTES = [one for name, one in foreign.BEGINNINGS.items() if name != "tf index"]


def said_of(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(UnsupportedError) as caught:
        open_checkpoint(str(path))
    assert caught.value.fix
    return caught.value.message


@pytest.mark.parametrize(("data", "word"), foreign.BEGINNINGS.values(), ids=foreign.BEGINNINGS)
def test_what_it_is_is_said(tmp_path: Path, data: bytes, word: str) -> None:
    assert word in said_of(tmp_path / "a.pth", data)


@pytest.mark.parametrize(("data", "word"), BY_FIRST_BYTES)
def test_a_name_of_safetensors_does_not_change_what_it_is(
    tmp_path: Path, data: bytes, word: str
) -> None:
    assert word in said_of(tmp_path / "model.safetensors", data)


@pytest.mark.parametrize("how", foreign.COMPRESSIONS)
def test_a_compressed_pickle_is_called_so(tmp_path: Path, how: str) -> None:
    path = tmp_path / "a.joblib"
    path.write_bytes(foreign.COMPRESSIONS[how](foreign.arrays(3)))
    with pytest.raises(UnsupportedError, match="a pickle compressed with") as caught:
        open_checkpoint(str(path))
    assert "joblib" not in caught.value.message  # numpy and others write such files too


@pytest.mark.parametrize(
    ("text", "fetched"),
    [
        (b"Entry not found", True),
        (b"Access to model x/y is restricted. You must be authenticated to access it.", True),
        (b"Invalid username or password.", True),
        (b"epoch,loss\n1,0.5\n", False),
        (b"model: vit\nlr: 0.1\n", False),
    ],
)
def test_only_the_answer_of_a_server_is_said_to_be_one(
    text: bytes, fetched: bool, tmp_path: Path
) -> None:
    (tmp_path / "a.pth").write_bytes(text)
    with pytest.raises(UnsupportedError, match="a text file") as caught:
        open_checkpoint(str(tmp_path / "a.pth"))
    assert ("the address" in (caught.value.fix or "")) is fetched


@pytest.mark.parametrize("first", [b"\x78\x9c", b"\x1f\x8b\x08", b"\x5d\0\0", b"BZh91AY&SY"])
def test_what_only_begins_as_compressed_bytes_do_is_not_called_so(first: bytes) -> None:
    kind = kind_of(first + b"\xff" * 60)
    assert kind is None or first == b"BZh91AY&SY"  # of which a block is needed to tell


def test_noise_stays_unknown(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\xd0\x133@b\xd0YU" * 50)
    with pytest.raises(UnsupportedError, match="no known checkpoint format"):
        open_checkpoint(str(tmp_path / "a.bin"))


def test_text_that_is_cut_inside_a_character_is_text() -> None:
    assert is_text("one \u20ac".encode()[:-1])
    assert not is_text(b"\0text")
    assert not is_text(b"\xff" * 20)
    assert not is_text(b"\x80")


def verdict_on(path: Path, data: bytes) -> Verdict:
    path.write_bytes(data)
    return inspect(str(path)).file.verdict


def test_a_name_for_the_file_hides_no_attack(tmp_path: Path) -> None:
    """A float of GGUF's letters is dropped, and what follows is the pickle of an attack."""
    attack = p.call(p.name("os", "system"), p.text("true"))
    assert verdict_on(tmp_path / "a.bin", b"GGUF\0\0\0\x040" + attack + b".") is Verdict.FAIL


def test_the_verdict_is_that_nothing_can_be_told(tmp_path: Path) -> None:
    data = foreign.BEGINNINGS["gguf"][0]
    assert verdict_on(tmp_path / "a.gguf", data) is Verdict.CANNOT_TELL
