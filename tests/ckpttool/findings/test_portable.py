"""Paths in reports that are kept."""

from __future__ import annotations

import os

import pytest

from ckpttool.findings import rules
from ckpttool.findings.finding import finding
from ckpttool.reports import REPORTERS
from tests.builders import reports as built

pytestmark = pytest.mark.skipif(os.sep != "/", reason="paths as POSIX writes them")


def shown(*paths: str, folder: str = "/work") -> list[str]:
    files = [built.encoder_only()._replace(path=path) for path in paths]
    return [file.path for file in built.portable_from(built.report(*files), folder).files]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        pytest.param("data/m.pth", "data/m.pth", id="below"),
        pytest.param("./data//m.pth", "data/m.pth", id="below, spelled oddly"),
        pytest.param("/work/data/m.pth", "data/m.pth", id="below, from the root"),
        pytest.param("data/../m.pth", "m.pth", id="below, after all"),
        pytest.param("../m.pth", "m.pth", id="outside"),
        pytest.param("/home/me/m.pth", "m.pth", id="outside, from the root"),
        pytest.param("/working/m.pth", "m.pth", id="a folder whose name begins alike"),
        pytest.param("/", "", id="the root"),
    ],
)
def test_a_path_is_relative_or_a_name(path: str, name: str) -> None:
    assert shown(path) == [name]


def test_the_root_as_working_folder() -> None:
    assert shown("/data/m.pth", folder="/") == ["data/m.pth"]


def test_files_outside_are_told_apart_by_as_much_as_it_takes() -> None:
    assert shown("/a/x/m.pth", "/b/x/m.pth", "/c/n.pth") == ["a/x/m.pth", "b/x/m.pth", "n.pth"]
    assert shown("m.pth", "/a/m.pth") == ["m.pth", "a/m.pth"]
    assert shown("/a/m.pth", "/a/m.pth") == ["m.pth", "m.pth"]


def test_messages_name_files_as_the_report_does() -> None:
    said = "/home/me/m.pth and /home/me/shard-1 differ from /work/data/x"
    found = finding(rules.NAN, said, found="/home/me/m.pth", fix="Look at /work/data/x.")
    file = built.encoder_only()._replace(
        path="/home/me/m.pth", findings=(found,), unchecked=(said, "runs/work/x and ../work/x")
    )
    (after,) = built.portable_from(built.report(file)).files
    assert after.findings[0].message == "m.pth and shard-1 differ from data/x"
    assert (after.findings[0].found, after.findings[0].fix) == ("m.pth", "Look at data/x.")
    assert after.unchecked == (
        "m.pth and shard-1 differ from data/x",
        "runs/work/x and ../work/x",  # no path of the run, but for its middle
    )


@pytest.mark.parametrize("name", REPORTERS)
def test_no_format_says_where_files_lie(name: str) -> None:
    files = [
        file._replace(path=f"/secret/place/{at}.pth", lock="/secret/place/weights.lock")
        for at, file in enumerate((built.encoder_only(), built.incomplete(), built.waived()))
    ]
    text = built.rendered(built.portable_from(built.report(*files)), name)
    assert "secret" not in text
    assert "1.pth" in text


def test_a_second_time_changes_nothing() -> None:
    once = built.portable_from(built.SPECIMENS["several files"])
    assert built.portable_from(once, "/elsewhere") == once


def test_only_lines_that_can_be_asked_for_are_kept() -> None:
    (file,) = built.portable_from(built.report(built.locked())).files
    assert file.lock_lines == {"cls_token": 12, "norm.bias": 300, "norm.weight": 301}
