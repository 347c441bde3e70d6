from __future__ import annotations

from pathlib import Path

from tests.faults.results import Came, OfWriter, Results, load, save


def test_what_came_of_runs_adds_up() -> None:
    assert Came.of(told=True).plus(Came.of(told=False)).plus(Came.of(told=False)) == Came(3, 1, 2)


def test_what_is_stored_is_what_is_loaded(tmp_path: Path) -> None:
    one = OfWriter(9, Came(3, 2, 1), Came(2, 1, 1), Came())
    stored = Results("abc", "a processor", "2026-11-26", {"lock": one}, {"EIO": Came(1, 1, 0)})
    save(stored, tmp_path / "results.json")
    assert load(tmp_path / "results.json") == stored
