"""The configuration is the nearest one upward, and says so when it is wrong."""

from __future__ import annotations

import hashlib
import os
from datetime import date
from pathlib import Path

import pytest

from ckpttool.cli.configuration import Configuration, find_configuration, read_configuration
from ckpttool.findings.errors import UsageError
from ckpttool.findings.rules import Severity
from ckpttool.verification.policy import Policy
from ckpttool.verification.waivers import Waiver
from tests.builders.repository import ROOT

PYPROJECT = '[tool.ckpttool]\ncheckpoint = "data/weights.pth"\n'


def checkpoint_in(folder: Path) -> str | None:
    """The checkpoint as a run in the folder names it."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        return find_configuration().checkpoint
    finally:
        os.chdir(before)


def test_pyproject_names_a_checkpoint_relative_to_itself(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    assert checkpoint_in(tmp_path) == str(Path("data/weights.pth"))


def test_a_folder_below_finds_it_too(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "below" / "deep").mkdir(parents=True)
    assert checkpoint_in(tmp_path / "below" / "deep") == str(tmp_path / "data/weights.pth")


def test_the_nearest_file_counts(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "ckpttool.toml").write_text('checkpoint = "near.pth"\n')
    assert checkpoint_in(tmp_path / "below") == "near.pth"


def test_a_pyproject_without_our_table_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "pyproject.toml").write_text('[project]\nname = "x"\n')
    assert checkpoint_in(tmp_path / "below") == str(tmp_path / "data/weights.pth")


def test_a_configuration_without_a_checkpoint_has_none(tmp_path: Path) -> None:
    (tmp_path / "ckpttool.toml").write_text("")
    assert checkpoint_in(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param('checkpont = "x"', "Did you mean checkpoint?", id="a key misspelt"),
        pytest.param("colour = 1", "no key colour", id="a key that is not ours"),
        pytest.param("checkpoint = 5", "a string that is not empty", id="a number"),
        pytest.param('checkpoint = ""', "a string that is not empty", id="an empty path"),
        pytest.param("checkpoint = ", "not valid TOML", id="no TOML"),
        pytest.param(
            "checkpoint = " + "9" * 5_000, "not valid TOML", id="a number of 5,000 digits"
        ),
        pytest.param("sizes." * 5_000 + "x = 1", "more parts than", id="a key of 5,000 parts"),
        pytest.param("[" + "'a' . " * 33 + "b]", "more parts than", id="a table of 34 parts"),
        pytest.param("x = {" + "a." * 33 + "b = 1}", "more parts than", id="parts in a table"),
        pytest.param("[a" + ".b" * 31 + "]", "no key a", id="a table of 32 parts"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "ckpttool.toml").write_text(text)
    with pytest.raises(UsageError, match=r"ckpttool\.toml") as caught:
        find_configuration(str(tmp_path))
    assert told in str(caught.value)


def test_a_table_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool]\nckpttool = 1\n")
    with pytest.raises(UsageError, match="not a table"):
        find_configuration(str(tmp_path))


def test_this_repository_names_the_checkpoint_of_the_demo() -> None:
    assert checkpoint_in(ROOT) == str(Path("data/mae_pretrain_vit_large.pth"))


# --- the policy ------------------------------------------------------------------------------

EVERYTHING = """
model = "mae_vit_base_patch16"
require = "full"
lock = "weights.lock"
select = ["ALL"]
extend-select = ["NUM"]
ignore = ["MOD001"]
fail-on = "warning"
expected-missing = ["decoder_*"]
trust = ["mypackage.*", "other.models.Net"]

[groups]
attention = ["*.attn.*"]
"two towers" = ["visual.*", "text.*"]

[tolerances]
position-table = 0.001

[[waivers]]
code = "NUM005"
tensors = "blocks.*.bias"
path = "*.pth"
reason = "biases are frozen"
owner = "weights team"
expires = 2027-01-31
fingerprint = "ckpt1:00"

[[waivers]]
code = "NUM001"
reason = "known"
expires = "2027-02-01"
"""


def read(folder: Path, text: str) -> Configuration:
    path = folder / "ckpttool.toml"
    path.write_text(text)
    return read_configuration(str(path))


def test_every_key_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, EVERYTHING)
    first, second = found.policy.waivers
    assert (found.model, found.require) == ("mae_vit_base_patch16", "full")
    assert found.lock == str(tmp_path / "weights.lock")
    assert found.expected_missing == ("decoder_*",)
    assert found.groups == {"attention": ("*.attn.*",), "two towers": ("visual.*", "text.*")}
    assert found.trust == ("mypackage.*", "other.models.Net")
    assert found.limits.position_table == 0.001
    assert found.policy._replace(waivers=()) == Policy(
        ("ALL",), ("NUM",), ("MOD001",), Severity.WARNING
    )
    assert first == Waiver(
        "NUM005",
        "biases are frozen",
        "blocks.*.bias",
        "*.pth",
        "weights team",
        date(2027, 1, 31),
        "ckpt1:00",
        str(tmp_path),
        f"waiver 1 of {tmp_path / 'ckpttool.toml'}",
    )
    assert second == Waiver(
        "NUM001",
        "known",
        expires=date(2027, 2, 1),
        folder=str(tmp_path),
        place=f"waiver 2 of {tmp_path / 'ckpttool.toml'}",
    )


def test_without_a_file_there_is_a_default_for_everything(tmp_path: Path) -> None:
    found = find_configuration(str(tmp_path))
    assert found == Configuration()
    assert found.policy.fail_on is Severity.ERROR


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param('select = "NUM"', "select is wrong", id="a string for a list"),
        pytest.param('ignore = ["NUM01"]', "Did you mean NUM001?", id="a code misspelt"),
        pytest.param('ignore = ["XYZ"]', "ckpttool rules", id="a code that is not ours"),
        pytest.param('fail-on = "errors"', "Did you mean error?", id="a severity misspelt"),
        pytest.param('model = "vit"', "mae_vit_large_patch16", id="a model that is not ours"),
        pytest.param("[tolerances]\nposition-tabel = 1", "position-table?", id="a tolerance"),
        pytest.param("[tolerances]\nposition-table = 0", "above 0", id="a tolerance of zero"),
        pytest.param("[tolerances]\nposition-table = true", "above 0", id="a truth value"),
        pytest.param("groups = 1", "a table of groups", id="no table of groups"),
        pytest.param('[groups]\na = "x.*"', "groups.a is wrong", id="a group without a list"),
        pytest.param("[groups]\na = []", "one at least", id="a group without patterns"),
        pytest.param('[groups]\na = [""]', "not empty", id="a group with an empty pattern"),
        pytest.param('[groups]\n"" = ["x"]', "a name in groups", id="a group without a name"),
        pytest.param(
            '[groups]\na = ["x"]\nb = ["x"]', "in two groups", id="a pattern in two groups"
        ),
        pytest.param("[waivers]\n", "[[tool.ckpttool.waivers]]", id="one table for several"),
        pytest.param('[[waivers]]\ncode = "NUM001"', "no reason", id="no reason"),
        pytest.param(
            '[[waivers]]\ncode = "FIL009"\nreason = "x"', "run as a whole", id="of no file"
        ),
        pytest.param('[[waivers]]\nreason = "x"', "no code", id="no code"),
        pytest.param(
            '[[waivers]]\ncode = "NUM"\nreason = "x"', "the code of a rule", id="half a code"
        ),
        pytest.param(
            '[[waivers]]\ncode = "NUM001"\nreason = ""', "not empty", id="an empty reason"
        ),
        pytest.param(
            '[[waivers]]\ncode = "NUM001"\nreason = "x"\nexpires = "soon"',
            "waiver 1.expires is wrong",
            id="no date",
        ),
        pytest.param(
            '[[waivers]]\ncode = "NUM001"\nreason = "x"\nexpiry = 2027-01-31',
            "Did you mean expires?",
            id="a key of a waiver misspelt",
        ),
    ],
)
def test_a_policy_that_is_wrong_is_said(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    assert told in str(caught.value)
    assert "ckpttool.toml" in str(caught.value)


@pytest.mark.skipif(os.name == "nt", reason="a folder that is in use stays")
def test_a_working_folder_that_was_removed_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(UsageError, match="not there any more"):
        find_configuration()


def test_a_configuration_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_configuration(str(tmp_path / "gone.toml"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_configuration_that_is_named_must_be_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ckpttool.toml")
    for path in (tmp_path, tmp_path / "ckpttool.toml"):
        with pytest.raises(UsageError, match="no regular file"):
            read_configuration(str(path))


def test_a_configuration_that_is_named_must_be_ours(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    with pytest.raises(UsageError, match=r"no table tool\.ckpttool"):
        read_configuration(str(tmp_path / "pyproject.toml"))


# --- where the search ends ---------------------------------------------------------------


def found_from(folder: Path) -> str | None:
    return find_configuration(str(folder)).path


def laid_out(root: Path, *files: str) -> None:
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('ignore = ["NUM"]\n' if name.endswith(".toml") else "")


@pytest.mark.parametrize("mark", [".git/HEAD", ".git", ".hg/requires"])
def test_a_stray_file_above_the_repository_does_not_count(tmp_path: Path, mark: str) -> None:
    laid_out(tmp_path, "ckpttool.toml", f"repo/{mark}", "repo/release/weights.pth")
    assert found_from(tmp_path / "repo" / "release") is None
    laid_out(tmp_path, "repo/ckpttool.toml")
    assert found_from(tmp_path / "repo" / "release") == str(tmp_path / "repo" / "ckpttool.toml")


def test_a_repository_in_a_repository_has_its_own(tmp_path: Path) -> None:
    laid_out(tmp_path, ".git/HEAD", "ckpttool.toml", "part/.git", "part/weights.pth")
    assert found_from(tmp_path / "part") is None


def test_without_a_repository_the_search_ends_below_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    laid_out(tmp_path, "ckpttool.toml", "home/ckpttool.toml", "home/work/run/weights.pth")
    assert found_from(tmp_path / "home" / "work" / "run") is None
    assert found_from(tmp_path / "home") is None
    laid_out(tmp_path, "home/work/ckpttool.toml")
    assert found_from(tmp_path / "home" / "work" / "run") is not None


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_what_everybody_may_write_is_nobodys_configuration(tmp_path: Path) -> None:
    laid_out(tmp_path, "shared/ckpttool.toml", "shared/mine/weights.pth")
    (tmp_path / "shared").chmod(0o1777)
    assert found_from(tmp_path / "shared" / "mine") is None
    assert found_from(tmp_path / "shared") is None
    laid_out(tmp_path, "shared/.git/HEAD")  # the runner's own choice, in an image say
    assert found_from(tmp_path / "shared" / "mine") is not None


def test_a_link_is_taken_as_it_is_named(tmp_path: Path) -> None:
    laid_out(tmp_path, "here/ckpttool.toml", "there/weights.pth")
    (tmp_path / "here" / "link").symlink_to(tmp_path / "there")
    assert found_from(tmp_path / "here" / "link") is not None


def test_the_bytes_of_the_file_are_summed(tmp_path: Path) -> None:
    text = "# a comment\n" + EVERYTHING
    assert read(tmp_path, text).sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_the_source_is_named_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid_out(tmp_path, "a/ckpttool.toml")
    monkeypatch.chdir(tmp_path)
    source = find_configuration("a").source
    assert source is not None
    assert source.path == str(Path("a/ckpttool.toml"))
    assert Configuration().source is None
