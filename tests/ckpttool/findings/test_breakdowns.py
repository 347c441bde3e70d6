"""What is not a file's fault and no bug is named, and everything else is left a bug."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest

from ckpttool.findings.breakdowns import breakdown
from tests.builders import packages


def caught(folder: Path, source: bytes, statement: str) -> BaseException:
    """Run a statement with a package ``brittle`` of such a source, and return what it raises."""
    (folder / "brittle").mkdir()
    (folder / "brittle" / "__init__.py").write_bytes(source)
    sys.path.insert(0, str(folder))
    try:
        exec(statement, {})  # noqa: S102 (of the table below)
    except (Exception, SystemExit) as error:  # noqa: BLE001 (whatever a broken package raises)
        return error
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.partition(".")[0] == "brittle"]:
            del sys.modules[name]
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    "how",
    sorted(
        how
        for how in packages.BROKEN
        if how not in ("half installed", "that ends the process", "that wants memory")
    ),
)
def test_a_package_that_cannot_be_imported_is_named(tmp_path: Path, how: str) -> None:
    told = breakdown(caught(tmp_path, packages.BROKEN[how], "import brittle"))
    assert told is not None
    assert told.startswith("brittle cannot be used: ")
    assert told.endswith("Install it again: python -m pip install --force-reinstall brittle.")


@pytest.mark.parametrize(
    "statement", ["from brittle import Tensor", "import brittle.nn", "import brittle; brittle.nn"]
)
def test_a_package_that_lacks_something_is_named(tmp_path: Path, statement: str) -> None:
    told = breakdown(caught(tmp_path, b"", statement))
    assert told is not None
    assert told.startswith("brittle cannot be used: ")


def test_a_library_that_finds_no_room_is_no_reason_to_install_it_again(tmp_path: Path) -> None:
    source = packages.BROKEN["that wants memory"]
    told = breakdown(caught(tmp_path, source, "import brittle"))
    assert told is not None
    assert told.startswith("there is not enough memory to load brittle: ")
    assert "Install" not in told


def test_a_part_of_python_is_not_to_be_installed() -> None:
    if sys.version_info < (3, 10):
        pytest.skip("Python does not name its own modules before 3.10")
    told = breakdown(ModuleNotFoundError("No module named '_lzma'", name="_lzma"))
    assert told is not None
    assert "Install" not in told
    assert "a part of Python" in told


def test_the_first_cause_is_told_of_a_page_of_advice() -> None:
    page = "\n\nIMPORTANT: PLEASE READ THIS\n\nmany reasons\n\nOriginal error was: no libx.so\n"
    told = breakdown(ImportError(page, name="numpy"))
    assert told is not None
    assert told.startswith("numpy cannot be used: no libx.so. ")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param(MemoryError(), "not enough memory", id="memory"),
        pytest.param(
            SystemError("error return without exception set"), "broke off", id="the interpreter"
        ),
        pytest.param(
            OSError(errno.ENOMEM, "Cannot allocate memory"), "not enough memory", id="map"
        ),
        pytest.param(
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate "
                "memory: you tried to allocate 9 bytes"
            ),
            "not enough memory",
            id="torch's allocator",
        ),
        pytest.param(OSError(errno.EMFILE, "Too many"), "ulimit -a", id="descriptors"),
        pytest.param(RuntimeError("can't start new thread"), "ulimit -a", id="threads"),
        pytest.param(
            OSError(errno.EIO, "Input/output error", "w.pth"),
            "w.pth: Input/output error",
            id="disk",
        ),
        pytest.param(
            OSError(errno.ENAMETOOLONG, "File name too long", "x" * 5000),
            "xxx: File name too long",
            id="path too long",
        ),
        pytest.param(
            UnicodeEncodeError(sys.getfilesystemencoding(), "a\ud800", 1, 2, "surrogates"),
            "cannot be a path here",
            id="path that the system cannot spell",
        ),
    ],
)
def test_what_the_system_refuses_is_said(error: Exception, words: str) -> None:
    told = breakdown(error)
    assert told is not None
    assert words in told
    assert len(told) < 700


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(RuntimeError("two lines"), id="any"),
        pytest.param(AttributeError("'NoneType' object has no attribute 'x'"), id="of an object"),
        pytest.param(
            AttributeError("module 'ckpttool.findings.text' has no attribute 'x'"), id="of ours"
        ),
        pytest.param(
            ImportError("cannot import name 'x'", name="ckpttool.findings.text"), id="our module"
        ),
        pytest.param(OSError(errno.EBADF, "Bad file descriptor"), id="a descriptor that is none"),
        pytest.param(OSError("of no number"), id="an error of no system"),
        pytest.param(KeyError("memory"), id="a key"),
        pytest.param(UnicodeEncodeError("latin-1", "€", 0, 1, "ordinal"), id="another encoding"),
    ],
)
def test_everything_else_is_a_bug(error: Exception) -> None:
    assert breakdown(error) is None


def test_an_error_in_our_own_modules_is_a_bug_although_they_were_being_imported() -> None:
    with pytest.raises(ImportError) as caught_error:
        exec("import ckpttool.nowhere", {})  # noqa: S102 (what is to be caught)
    assert breakdown(caught_error.value) is None
