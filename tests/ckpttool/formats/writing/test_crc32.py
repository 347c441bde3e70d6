from __future__ import annotations

import subprocess
import sys
import zlib

import pytest

from ckpttool.formats.writing import crc32
from ckpttool.formats.writing.crc32 import Crc32Maker, ZlibCrc32
from ckpttool.formats.writing.folding import FoldedCrc32

MANY, LONG, SHORT = crc32._WORTH_LOADING, crc32._WORTH_FOLDING, crc32._WORTH_FOLDING - 1


@pytest.fixture(autouse=True)
def _plain_zlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(zlib, "ZLIBNG_VERSION", raising=False)


def test_a_running_sum_is_that_of_all_bytes() -> None:
    running = ZlibCrc32()
    assert running.value == zlib.crc32(b"") == 0
    for part in (b"123", b"", b"456789"):
        running.update(memoryview(part))
    assert running.value == 0xCBF43926  # the check value of CRC-32


def test_before_anything_is_loaded_zlib_sums() -> None:
    assert isinstance(Crc32Maker().begin(LONG), ZlibCrc32)


def test_where_there_is_much_to_sum_what_is_long_is_folded() -> None:
    maker = Crc32Maker()
    maker.load(MANY)
    assert isinstance(maker.begin(LONG), FoldedCrc32)
    assert isinstance(maker.begin(SHORT), ZlibCrc32)


def test_where_there_is_little_to_sum_nothing_is_folded() -> None:
    maker = Crc32Maker()
    maker.load(MANY - 1)
    assert isinstance(maker.begin(LONG), ZlibCrc32)


def test_zlib_ng_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zlib, "ZLIBNG_VERSION", "2.2.4", raising=False)
    maker = Crc32Maker()
    maker.load(MANY)
    assert isinstance(maker.begin(LONG), ZlibCrc32)


@pytest.mark.parametrize(("nbytes", "loaded"), [(MANY - 1, "False"), (MANY, "True")])
def test_numpy_is_loaded_only_where_it_pays(nbytes: int, loaded: str) -> None:
    script = (
        "import sys, zlib; vars(zlib).pop('ZLIBNG_VERSION', None)\n"
        "from ckpttool.formats.writing.crc32 import Crc32Maker\n"
        f"Crc32Maker().load({nbytes}); print('numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == loaded, done.stderr
