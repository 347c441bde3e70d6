"""Options that several commands have, and what declaring them does not import."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest

from ckpttool.cli.choices import BadValue
from ckpttool.cli.option_kinds import Pixels, Size, Top
from tests.builders.repository import ROOT
from tests.builders.safetensors import file

if TYPE_CHECKING:
    from pathlib import Path

# Runs a command and prints the modules of the table of targets that it imported.
LOADED = """
import sys
from ckpttool.cli import main
main(sys.argv[1:], standalone_mode=False)
print(*(name for name in sys.modules if name.startswith("ckpttool.formats.writing")))
"""


@pytest.mark.parametrize(
    ("arguments", "loads"),
    [
        pytest.param(["--help"], False, id="the help of the program"),
        pytest.param(["inspect", "--help"], False, id="the help of another command"),
        pytest.param(["inspect", "x.safetensors"], False, id="another command"),
        pytest.param(["convert", "--help"], True, id="the help that lists the table"),
    ],
)
def test_a_table_is_imported_for_its_own_command_only(
    tmp_path: Path, arguments: list[str], loads: bool
) -> None:
    (tmp_path / "x.safetensors").write_bytes(file())
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert bool(done.stdout.splitlines()[-1]) is loads


@pytest.mark.parametrize("pixels", ["9" * 5000, "0", "4x0", "-1", "1x2x3", "", "x"])
def test_pixels_that_are_no_size_are_refused(pixels: str) -> None:
    with pytest.raises(click.BadParameter):
        Pixels().convert(pixels, None, None)


@pytest.mark.parametrize(("pixels", "size"), [("448", 448), ("512x384", (512, 384))])
def test_pixels_are_those_of_a_side_or_of_both(pixels: str, size: object) -> None:
    assert Pixels().convert(pixels, None, None) == size


def test_a_size_has_a_unit() -> None:
    assert Size().convert("4GiB", None, None) == 4 * 1024**3
    with pytest.raises(BadValue) as caught:
        Size().convert("5", None, None)
    assert caught.value.tips == ("Did you mean 5GB?",)


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("12", 12), ("all", Top.ALL)])
def test_a_list_is_as_long_as_it_is_asked_to_be(text: str, number: int) -> None:
    assert Top().convert(text, None, None) == number


@pytest.mark.parametrize("text", ["-1", "x", "", "1.5", "9" * 5000])
def test_a_length_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Top().convert(text, None, None)


def test_the_word_for_all_is_completed() -> None:
    context, option = click.Context(click.Command("x")), click.Option(["--top"])
    assert [item.value for item in Top().shell_complete(context, option, "a")] == ["all"]
    assert Top().shell_complete(context, option, "1") == []
