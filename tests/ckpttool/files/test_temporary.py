from __future__ import annotations

import os
from contextlib import nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, List, NoReturn

import pytest

from ckpttool.files import temporary
from ckpttool.files.leftovers import clean
from ckpttool.files.temporary import Growing, create, new_id, temporary_path
from ckpttool.findings.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

RUN = new_id()


def names(folder: Path) -> List[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("half_dead", [False, True], ids=["alive", "one of its files unlocked"])
def test_what_a_run_under_way_put_aside_stays(tmp_path: Path, half_dead: bool) -> None:
    path = tmp_path / "m"
    path.write_bytes(b"new")
    aside = temporary_path(str(path), RUN, "old")
    (tmp_path / aside).write_bytes(b"old")
    growing = create(str(tmp_path / "other"), RUN, [])
    if half_dead:
        os.link(path, temporary_path(str(path), RUN, "tmp"))
    try:
        clean(str(tmp_path))
        assert os.path.exists(aside)  # noqa: PTH110 (a str already)
        assert path.read_bytes() == b"new"
    finally:
        os.close(growing.fd)
    clean(str(tmp_path))
    assert names(tmp_path) == ["m"]
    assert path.read_bytes() == b"old"


def test_a_new_file_that_was_taken_for_a_leftover_is_created_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = temporary.lock
    taken: List[str] = []

    def taken_first(fd: int) -> bool:
        if not taken:
            taken.extend(names(tmp_path))
            (tmp_path / taken[0]).unlink()
        return real(fd)

    monkeypatch.setattr(temporary, "lock", taken_first)
    growing = create(str(tmp_path / "m"), RUN, [])
    assert names(tmp_path) == taken
    assert os.path.samestat(os.fstat(growing.fd), os.stat(growing.temporary))  # noqa: PTH116
    os.close(growing.fd)


def test_a_file_that_other_runs_keep_removing_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(temporary, "is_still", lambda *_: False)
    with pytest.raises(OutputError, match="another run keeps removing the file"):
        create(str(tmp_path / "m"), RUN, [])
    assert names(tmp_path) == []


def test_of_two_that_lock_a_file_one_has_the_lock(tmp_path: Path) -> None:
    growing = create(str(tmp_path / "m"), RUN, [])
    fd = os.open(growing.temporary, os.O_RDWR)
    assert not temporary.lock(fd)
    assert temporary.lock_now(growing.temporary) is None
    os.close(growing.fd)
    assert temporary.lock(fd)
    os.close(fd)


def test_a_file_that_is_not_there_cannot_be_locked(tmp_path: Path) -> None:
    assert temporary.lock_now(str(tmp_path / "gone")) is None


def interrupted(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def test_a_signal_while_a_file_is_locked_leaves_no_open_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m").write_bytes(b"")
    closed: List[int] = []
    locks = SimpleNamespace(LOCK_EX=2, LOCK_NB=4, flock=interrupted)
    monkeypatch.setattr(temporary, "_locks", locks)
    monkeypatch.setattr(temporary, "release", closed.append)
    with pytest.raises(KeyboardInterrupt):
        temporary.lock_now(str(tmp_path / "m"))
    (descriptor,) = closed
    os.close(descriptor)


class Interrupted(List[Growing]):
    """A list after whose growth a signal arrives."""

    def append(self, one: Growing) -> None:
        super().append(one)
        raise KeyboardInterrupt


def test_a_signal_behind_the_creation_leaves_the_file_to_whoever_has_the_list(
    tmp_path: Path,
) -> None:
    growing = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        create(str(tmp_path / "m"), RUN, growing)
    assert names(tmp_path) == [os.path.basename(growing[0].temporary)]  # noqa: PTH119
    os.close(growing[0].fd)


def test_a_signal_before_it_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporary, "lock", interrupted)
    growing: List[Growing] = []
    with pytest.raises(KeyboardInterrupt):
        create(str(tmp_path / "m"), RUN, growing)
    assert (names(tmp_path), growing) == ([], [])


@pytest.mark.parametrize(("times", "answers"), [(3, True), (temporary._TRIES, True), (500, False)])
def test_a_call_that_signals_break_off_is_made_again_but_not_for_ever(
    times: int, answers: bool
) -> None:
    left = [times]

    def call(what: str) -> str:
        if left[0]:
            left[0] -= 1
            raise InterruptedError
        return what

    with nullcontext() if answers else pytest.raises(InterruptedError):
        assert temporary.repeated(call, "done") == "done"
