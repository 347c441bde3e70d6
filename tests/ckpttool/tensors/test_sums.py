"""The sums of whole files and of tensors: those that other programs compute, or an error."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from ckpttool.files.sources import FileSource
from ckpttool.findings.errors import UnreadableError
from ckpttool.tensors import sums
from ckpttool.tensors.sums import file_sums, tensor_sum
from tests.builders.tensors import from_array


def sources(folder: Path, *contents: bytes) -> list[FileSource]:
    for number, content in enumerate(contents):
        (folder / str(number)).write_bytes(content)
    return [FileSource(str(folder / str(number))) for number in range(len(contents))]


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
@pytest.mark.parametrize("buffer", [3, 4, 1 << 20])
def test_sums_are_of_all_bytes_in_the_order_of_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: str, buffer: int
) -> None:
    monkeypatch.setattr(sums, "_BUFFER", buffer)
    contents = [b"12345678", b"", b"123"] * 3
    expected = [hashlib.new(algorithm, content).hexdigest() for content in contents]
    assert file_sums(sources(tmp_path, *contents), algorithm) == expected


def test_a_file_that_was_written_to_has_no_sum(tmp_path: Path) -> None:
    opened = sources(tmp_path, b"one", b"two")
    (tmp_path / "1").write_bytes(b"TWO")
    os.utime(tmp_path / "1", ns=(1, 1))
    with pytest.raises(UnreadableError, match="changed while"):
        file_sums(opened)


@pytest.mark.parametrize("buffer", [16, 1 << 20])
def test_the_sum_of_a_tensor_is_of_its_elements_row_by_row(
    monkeypatch: pytest.MonkeyPatch, buffer: int
) -> None:
    monkeypatch.setattr(sums, "_BUFFER", buffer)
    array = np.arange(15, dtype=np.float32).reshape(3, 5)
    turned = from_array(array)._replace(shape=(5, 3), strides=(1, 5))
    for info, rows in ((from_array(array), array), (turned, array.T)):
        assert tensor_sum(info) == hashlib.sha256(rows.tobytes()).hexdigest()
    empty = from_array(np.empty((0, 4), np.float32))
    assert tensor_sum(empty) == hashlib.sha256().hexdigest()
