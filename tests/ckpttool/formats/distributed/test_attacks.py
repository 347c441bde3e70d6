"""No attack of the corpus passes as an object of a distributed checkpoint, or as its listing."""

from __future__ import annotations

import io
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

from ckpttool.findings.finding import Finding, Verdict
from ckpttool.inspection.listing import inspect
from tests.builders import distributed
from tests.builders.attacks import ATTACKS, Attack

pytestmark = pytest.mark.skipif(not distributed.LISTS, reason="this torch lists them elsewhere")

#: What a listing begins with: the name of its class, dropped again.
HEAD = b"\x80\x02ctorch.distributed.checkpoint.metadata\nMetadata\n0"


def names_it(attack: Attack, findings: tuple[Finding, ...]) -> bool:
    """Whether what weighs more than a note names what the attack calls."""
    told = [one.message for one in findings if one.severity.value != "note"]
    return any(name in message for name in attack.names for message in told)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: str(attack.what))
def test_no_attack_passes_as_an_object(attack: Attack, tmp_path: Path) -> None:
    data = attack.data(str(tmp_path / "marker"))
    path = distributed.write(tmp_path / "c", raw={"object": data})
    file = inspect(path).file
    assert file.verdict is Verdict.FAIL
    assert names_it(attack, file.findings)
    assert not list(tmp_path.glob("marker*"))


def pickle_in(attack: Attack, marker: str) -> bytes:
    """The pickle of an attack that is one, or one in an archive; else nothing."""
    data = attack.data(marker)
    if zipfile.is_zipfile(io.BytesIO(data)):
        with suppress(Exception), zipfile.ZipFile(io.BytesIO(data)) as archive:
            data = archive.read("archive/data.pkl")
    return data if data[:2] == b"\x80\x02" else b""


# not those of a reader of archives, or of the pickles that follow the first one
OTHERS = ("zip trick", "legacy stream")
PICKLED = [one for one in ATTACKS if one.technique not in OTHERS and pickle_in(one, "")]


@pytest.mark.parametrize("attack", PICKLED, ids=lambda attack: str(attack.what))
def test_no_attack_passes_as_a_listing(attack: Attack, tmp_path: Path) -> None:
    path = tmp_path / ".metadata"
    path.write_bytes(HEAD + pickle_in(attack, str(tmp_path / "marker"))[2:])
    file = inspect(path).file
    assert file.verdict is Verdict.FAIL
    assert names_it(attack, file.findings)
    assert not list(tmp_path.glob("marker*"))


def test_most_attacks_are_tried_as_a_listing() -> None:
    assert len(PICKLED) > 300
