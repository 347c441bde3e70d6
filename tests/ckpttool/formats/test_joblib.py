"""Pickles of joblib: arrays follow their BUILD, those of objects as pickles with their own memo."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckpttool import open_checkpoint
from ckpttool.findings.errors import UnsupportedError
from ckpttool.findings.uses import Use
from tests.builders import pickles as p

_WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"
_ARRAY = p.new(p.name("joblib.numpy_pickle", "NumpyArrayWrapper")) + p.dict_of() + b"b"
_CALL = p.call(p.name("evil", "run"), p.text("x"))
_ATTACK = p.call(p.name("os", "system"), p.text("x"))
# The memo of the array's own pickle has the dtype where that around it has a class.
_OUTER = p.new(p.name("net", "Net") + p.put(0))
_DTYPE = p.name("numpy", "dtype") + p.put(0) + b"0" + p.call(p.get(0), p.text("O8"))


def _refusal(folder: Path, content: bytes) -> UnsupportedError:
    path = folder / "a.joblib"
    path.write_bytes(p.PROTO2 + b"](" + content + b"e.")
    with pytest.raises(UnsupportedError, match=r"joblib.*not looked at beyond byte") as caught:
        open_checkpoint(str(path))
    return caught.value


@pytest.mark.parametrize(
    ("array", "after", "used"),
    [
        (_DTYPE, b"", []),
        (_CALL, b"", [(Use.CALL, "evil.run")]),
        (_ATTACK, b"", [(Use.ATTACK, "os.system")]),
        (p.text("x"), _CALL, [(Use.CALL, "evil.run")]),
        (p.text("x"), _ARRAY + p.PROTO2 + _CALL + b".", [(Use.CALL, "evil.run")]),
        (_CALL + b"\xff", b"", [(Use.CALL, "evil.run")]),
    ],
)
def test_an_array_of_objects_is_judged_as_a_pickle_of_its_own(
    array: bytes, after: bytes, used: list[tuple[Use, str]], tmp_path: Path
) -> None:
    error = _refusal(tmp_path, _OUTER + _ARRAY + p.PROTO2 + array + b"." + after)
    told = [(use.use, use.name) for use in error.uses]
    assert told == [(Use.CLASS, "net.Net"), (Use.CLASS, _WRAPPER), *used]


def test_of_numbers_that_pickle_takes_for_operations_attacks_are_told(tmp_path: Path) -> None:
    error = _refusal(tmp_path, _ARRAY + _ATTACK + _CALL + b"\xff")
    told = [(use.use, use.name) for use in error.uses]
    assert told == [(Use.CLASS, _WRAPPER), (Use.ATTACK, "os.system")]


def test_where_the_numbers_begin_is_said(tmp_path: Path) -> None:
    error = _refusal(tmp_path, _ARRAY + bytes(64))
    assert f"beyond byte {len(p.PROTO2 + b'](' + _ARRAY):,}" in error.message


def test_an_array_of_objects_begins_behind_the_frame_of_what_announces_it(tmp_path: Path) -> None:
    framed = b"](" + _ARRAY
    frame = b"\x80\x04\x95" + len(framed).to_bytes(8, "little") + framed
    path = tmp_path / "a.joblib"
    path.write_bytes(frame + p.PROTO2 + _CALL + b"." + _ATTACK + b"e.")
    with pytest.raises(UnsupportedError, match="joblib") as caught:
        open_checkpoint(str(path))
    told = [(use.use, use.name) for use in caught.value.uses]
    assert told == [(Use.CLASS, _WRAPPER), (Use.CALL, "evil.run"), (Use.ATTACK, "os.system")]
