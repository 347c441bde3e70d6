from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, Callable, Dict

import pytest

from ckpttool.files.leftovers import clean
from ckpttool.files.publishing import write_files
from ckpttool.findings.errors import OutputError


def found(folder: Path) -> Dict[str, bytes]:
    return {one.name: one.read_bytes() for one in sorted(folder.iterdir())}


def failing(real: Callable[..., Any], error: int, done: bool = False) -> Callable[..., Any]:
    """Return a call that always fails, perhaps after it did its work."""

    def call(*arguments: Any) -> Any:
        if done:
            real(*arguments)
        raise OSError(error, os.strerror(error))

    return call


#: How file systems say that they have no hard links: FAT, shared folders of phones and virtual
#: machines, those of other programs, network ones.
NO_LINKS = ("EPERM", "EACCES", "ENOSYS", "EOPNOTSUPP", "ENOTSUP")


@pytest.mark.parametrize("name", NO_LINKS)
def test_where_there_are_no_hard_links_files_are_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(os, "link", failing(os.link, getattr(errno, name)))
    write_files({str(tmp_path / "a"): b"new", str(tmp_path / "b"): b"new"})
    assert found(tmp_path) == {"a": b"new", "b": b"new"}


def test_a_file_system_that_cannot_rename_either_is_told_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"old")
    for name in ("link", "replace"):
        monkeypatch.setattr(os, name, failing(getattr(os, name), errno.ENOSYS))
    with pytest.raises(OutputError, match="a: cannot get its name: Function not") as caught:
        write_files({str(tmp_path / "a"): b"new"})
    assert caught.value.fix is not None
    assert "Write to a local disk" in caught.value.fix
    assert found(tmp_path) == {"a": b"old"}


@pytest.mark.parametrize("call", ["link", "replace"])
def test_an_answer_that_a_server_lost_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(os, call, failing(getattr(os, call), errno.EIO, done=True))
    write_files({str(tmp_path / "a"): b"new", str(tmp_path / "b"): b"new"})
    assert found(tmp_path) == {"a": b"new", "b": b"new"}


def test_what_cannot_be_put_back_is_kept_and_the_next_run_puts_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [str(tmp_path / name) for name in "abc"]
    for path in paths:
        Path(path).write_bytes(b"old")
    replace, calls = os.replace, []

    def breaking(source: str, target: str) -> None:
        calls.append(target)
        if len(calls) > 2:  # the disk turns read-only before the third name
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", breaking)
        with pytest.raises(OutputError, match="c: cannot get its name") as caught:
            write_files(dict.fromkeys(paths, b"new"))
    assert caught.value.fix is not None
    assert caught.value.fix.startswith(f"Not put back as it was: {paths[1]}, {paths[0]}.")
    assert len(clean(str(tmp_path))) > 2
    assert found(tmp_path) == dict.fromkeys("abc", b"old")


def test_a_file_that_appears_at_a_forced_name_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing stood there when it was looked, and something does when the name is given."""
    path, link = tmp_path / "a", os.link

    def late(source: str, target: str) -> None:
        if target == str(path) and not path.exists():
            path.write_bytes(b"of somebody else")
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    write_files({str(path): b"new"})
    assert found(tmp_path) == {"a": b"new"}
