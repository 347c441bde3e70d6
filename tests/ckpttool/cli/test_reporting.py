"""Reports to files and to standard output, and a stored result rendered again."""

from __future__ import annotations

import errno
import json
import os
import zipfile
from pathlib import Path

import pytest
from click.testing import Result

from ckpttool.cli import main
from ckpttool.reports import FORMATS, REPORTERS
from ckpttool.verification.lock.writing import render
from tests.builders import checkpoints as built
from tests.builders import extras
from tests.builders import locks as built_locks
from tests.builders.commands import invoke, runner

pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")


def run(*arguments: str | Path) -> Result:
    if any("html" in str(argument) for argument in arguments):
        extras.pages()
    return runner().invoke(main, [str(argument) for argument in arguments])


def no_verify(*_: object) -> None:
    raise AssertionError("weights were read")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a checkpoint ``good.pth`` and one that fails, ``bad.pth``."""
    built.saved(tmp_path, built.sound, "good.pth")
    built.saved(tmp_path, built.encoder_block_missing, "bad.pth")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def verify(tiny: str, *arguments: str | Path) -> Result:
    return run("verify", "--model", tiny, "--no-forward", *arguments)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def leftovers(folder: Path) -> list[str]:
    return [name for name in names_in(folder) if "ckpttool-" in name]


def test_one_run_writes_every_report_and_all_are_rendered_again(folder: Path, tiny: str) -> None:
    asked = [f"--report={name}=run.{name}" for name in REPORTERS]
    assert verify(tiny, "good.pth", "bad.pth", *asked).exit_code == 1
    for name in REPORTERS:
        again = folder / f"again.{name}"
        assert run("report", "run.json", "--to", name, "-o", again).exit_code == 0
        assert again.read_bytes() == (folder / f"run.{name}").read_bytes() != b""
    assert leftovers(folder) == []


@pytest.mark.parametrize("name", REPORTERS)
def test_standard_output_is_the_report_alone(folder: Path, tiny: str, name: str) -> None:
    stored = verify(tiny, "bad.pth", "--format", name, "--report", f"{name}=run.out")
    assert stored.stdout.encode() == (folder / "run.out").read_bytes()


def test_a_path_from_the_root_gives_the_same_reports(folder: Path, tiny: str) -> None:
    for place, path in (("here", Path("good.pth")), ("there", folder / "good.pth")):
        verify(tiny, path, *[f"--report={name}={place}.{name}" for name in REPORTERS])
    for name in REPORTERS:
        here, there = (folder / f"{place}.{name}" for place in ("here", "there"))
        assert here.read_bytes() == there.read_bytes()


def test_a_person_sees_the_path_that_they_typed(folder: Path, tiny: str) -> None:
    path = folder / "good.pth"
    assert f"PASS {path}  " in verify(tiny, path).stdout
    assert f"{path}: MOD007" in verify(tiny, path, "--format", "concise").stdout
    assert str(folder) not in verify(tiny, path, "--format", "markdown").stdout


def test_colours_stay_out_of_files(
    folder: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    verify(tiny, "good.pth", "--report", "text=run.txt")
    assert "\x1b" not in (folder / "run.txt").read_text()


def test_a_report_replaces_the_one_before(folder: Path, tiny: str) -> None:
    (folder / "run.json").write_text("old")
    verify(tiny, "good.pth", "--report", "json=run.json")
    assert json.loads((folder / "run.json").read_text())["verdict"] == "pass"


@pytest.mark.parametrize("name", REPORTERS)
def test_every_report_may_be_written_again(folder: Path, tiny: str, name: str) -> None:
    (folder / "run").write_bytes(b"")
    for _ in range(2):
        assert verify(tiny, "good.pth", "--report", f"{name}=run").exit_code == 0
    assert (folder / "run").read_bytes() != b""


def test_a_report_is_written_into_a_folder(folder: Path, tiny: str) -> None:
    (folder / "out").mkdir()
    assert verify(tiny, "good.pth", "--report", "sarif=out/a.sarif").exit_code == 0
    assert (folder / "out" / "a.sarif").is_file()


# --- told before any weights are read ------------------------------------------------------


@pytest.mark.parametrize(
    ("reports", "message"),
    [
        pytest.param(["sarif"], "not of the form FORMAT=PATH", id="no path"),
        pytest.param(["sarif"], "for example --report sarif=FILE", id="an example of the format"),
        pytest.param(["x.txt"], "for example --report json=FILE", id="an example"),
        pytest.param(["=x"], "invalid format ''", id="no format"),
        pytest.param(["pdf=x"], "invalid format 'pdf'", id="unknown format"),
        pytest.param(["json="], "a report needs a file", id="empty path"),
        pytest.param(["json=-"], "use --format json for standard output", id="dash"),
        pytest.param(["json=x", "sarif=./x"], "another report goes there", id="one path twice"),
        pytest.param(["json=good.pth"], "it is read by this run", id="an input"),
        pytest.param(["json=alias.pth"], "it is read by this run", id="an input, by a link"),
        pytest.param(["json=bad.pth"], "may be a checkpoint by its first bytes", id="a checkpoint"),
        pytest.param(["json=a.docx"], "may be a checkpoint by its first bytes", id="any zip"),
        pytest.param(["json=a.lock"], "it would replace a lock file", id="a lock file"),
        pytest.param(["json=a.json"], "may be a checkpoint's index", id="an index"),
        pytest.param(["junit=a.pdf"], "a file of another kind: a PDF document", id="a document"),
        pytest.param(["html=a.html"], "a file of another kind: ", id="a page of somebody's"),
        pytest.param(["json=ckpttool.toml"], "it is read by this run", id="the configuration"),
        pytest.param(["json=no/x.json"], "its folder does not exist", id="no folder"),
        pytest.param(["json=good.pth/x"], "its folder does not exist", id="a file as folder"),
        pytest.param(["json=sub"], "no regular file", id="a folder"),
        pytest.param(["json=link.json"], "the destination is a symbolic link", id="a link"),
        pytest.param([f"json={'x' * 300}"], "too long", id="a long name"),
        pytest.param(["json=a\0b"], "cannot", id="a name with NUL"),
    ],
)
def test_a_report_that_cannot_be_is_refused_first(
    folder: Path,
    tiny: str,
    monkeypatch: pytest.MonkeyPatch,
    reports: list[str],
    message: str,
) -> None:
    (folder / "sub").mkdir()
    (folder / "a.json").write_text('{"metadata": {"total_size": 4}, "weight_map": {"a": "b"}}')
    (folder / "alias.pth").symlink_to("good.pth")
    (folder / "link.json").symlink_to("elsewhere.json")
    (folder / "ckpttool.toml").touch()
    with zipfile.ZipFile(folder / "a.docx", "w") as archive:
        archive.writestr("word/document.xml", "<w:document/>")
    (folder / "a.pdf").write_bytes(b"%PDF-1.7\n")
    (folder / "a.html").write_text("<!doctype html>\n<title>Notes</title>")
    (folder / "a.lock").write_text(render([built_locks.checkpoint()]))
    before = names_in(folder)
    monkeypatch.setattr("ckpttool.against.verify.verify_file", no_verify)
    result = verify(tiny, "good.pth", *[f"--report={one}" for one in reports])
    assert result.exit_code == 2
    assert message in result.stderr.replace("\n", " ")
    assert names_in(folder) == before


def test_a_folder_that_cannot_be_written_to_is_refused_first(
    folder: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: str, *_: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr("ckpttool.files.temporary.os.open", denied)
    monkeypatch.setattr("ckpttool.against.verify.verify_file", no_verify)
    result = verify(tiny, "good.pth", "--report", "json=x.json")
    assert (result.exit_code, "x.json: cannot be created: Permission denied" in result.stderr) == (
        2,
        True,
    )


def test_nothing_is_written_before_the_end(
    folder: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "run.json").write_text("old")

    def interrupted(*_: object) -> None:
        assert (folder / "run.json").read_text() == "old"
        assert leftovers(folder) == []
        raise KeyboardInterrupt

    monkeypatch.setattr("ckpttool.against.verify.verify_file", interrupted)
    assert verify(tiny, "good.pth", "--report", "json=run.json").exit_code == 130
    assert (folder / "run.json").read_text() == "old"


def test_of_several_reports_all_are_written_or_none(
    folder: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ckpttool.cli import reporting

    (folder / "a.json").write_text("old")
    real = reporting.show

    def show(*arguments: object) -> None:
        real(*arguments)  # type: ignore[arg-type]
        (folder / "b.sarif").mkdir()  # meanwhile somebody takes the name of the second

    monkeypatch.setattr(reporting, "show", show)
    result = verify(tiny, "good.pth", "--report=json=a.json", "--report=sarif=b.sarif")
    assert result.exit_code == 2
    assert (folder / "a.json").read_text() == "old"
    assert leftovers(folder) == []


# --- report --------------------------------------------------------------------------------


@pytest.fixture
def stored(folder: Path, tiny: str) -> Path:
    """The result of a run that failed."""
    verify(tiny, "bad.pth", "--report", "json=run.json")
    return folder / "run.json"


def test_rendering_is_0_and_says_the_stored_code_on_request(stored: Path) -> None:
    assert run("report", stored, "--to", "text").exit_code == 0
    assert run("report", stored, "--to", "text", "--exit-code").exit_code == 1


def test_a_result_comes_from_standard_input_too(stored: Path) -> None:
    given = runner().invoke(main, ["report", "-", "--to", "concise"], input=stored.read_bytes())
    assert given.exit_code == 0
    assert given.stdout == run("report", stored, "--to", "concise").stdout != ""


def test_rendering_reads_no_weights(
    stored: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "bad.pth").unlink()
    assert "bad.pth" in run("report", stored, "--to", "text").stdout


def test_a_result_is_not_replaced_by_its_rendering(stored: Path) -> None:
    before = stored.read_bytes()
    result = run("report", stored, "--to", "sarif", "-o", stored)
    assert (result.exit_code, stored.read_bytes()) == (2, before)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "cannot be read: No such file", id="missing"),
        pytest.param(b"\xff\xfe{}", "it is not UTF-8", id="not UTF-8"),
        pytest.param(b"PK\x03\x04", "not a JSON document", id="a zip"),
        pytest.param(b'{"weight_map": {}}', "not a result of ckpttool", id="an index"),
    ],
)
def test_another_file_is_told_so_in_one_line(
    folder: Path, content: bytes | None, message: str
) -> None:
    if content is not None:
        (folder / "x.json").write_bytes(content)
    done = invoke("report", "x.json", "--to", "text")
    assert done.code == 2
    assert done.error.startswith("error: x.json: ")
    assert message in done.error


def test_the_result_of_another_command_is_refused(folder: Path) -> None:
    (folder / "run.json").write_text(run("inspect", "--format", "json", "good.pth").stdout)
    result = run("report", "run.json", "--to", "text")
    assert (result.exit_code, "expected verify, found inspect" in result.stderr) == (2, True)


def test_what_is_waived_is_counted_and_listed_on_request(folder: Path, tiny: str) -> None:
    (folder / "ckpttool.toml").write_text(
        '[[waivers]]\ncode = "STR001"\npath = "bad.pth"\nreason = "pruned"\nowner = "me"\n'
    )
    result = verify(tiny, "bad.pth", "--report=json=run.json")
    assert "1 waived" in result.stdout
    assert "reason" not in result.stdout
    shown = verify(tiny, "bad.pth", "--show-waived").stdout
    assert "reason    pruned" in shown
    assert "owner     me" in shown
    assert run("report", "run.json", "--to", "text", "--show-waived").stdout == shown


# --- the other commands --------------------------------------------------------------------


def test_diff_writes_a_page_and_its_json(folder: Path) -> None:
    asked = ["--report", "html=d.html", "--report", "json=d.json"]
    assert run("diff", "good.pth", "bad.pth", *asked).exit_code == 1
    # the page has statistics in any case, so that the other reports of the run have them, too
    shown = run("diff", "good.pth", "bad.pth", "--stats", "--format", "json").stdout
    assert (folder / "d.json").read_text() == shown
    assert "DIFFERENT" in (folder / "d.html").read_text()


def test_convert_writes_a_page_and_its_json(folder: Path) -> None:
    asked = ["--report", "html=c.html", "--report", "json=c.json"]
    assert run("convert", "good.pth", "--to", "safetensors", *asked).exit_code == 0
    assert json.loads((folder / "c.json").read_text())["files"][0]["state"] == "written"
    assert "WRITTEN AND PROVEN" in (folder / "c.html").read_text()


def test_lock_writes_a_page_and_its_json(folder: Path, tiny: str) -> None:
    asked = ["--report", "html=l.html", "--report", "json=l.json"]
    done = run("lock", "--model", tiny, "--no-forward", "good.pth", *asked)
    assert done.exit_code == 0, done.output
    stored = json.loads((folder / "l.json").read_text())
    assert (stored["command"], stored["verdict"]) == ("lock", "pass")
    assert "LOCKED" in (folder / "l.html").read_text()


def test_what_lock_refuses_has_its_page_too(folder: Path, tiny: str) -> None:
    done = run("lock", "--model", tiny, "--no-forward", "bad.pth", "--report", "html=l.html")
    assert done.exit_code == 1
    assert "Nothing was locked" in (folder / "l.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("diff good.pth bad.pth --report sarif=x", "invalid format 'sarif'"),
        ("diff good.pth bad.pth --report html=bad.pth", "it is read by this run"),
        ("convert good.pth --to safetensors --report html=good.safetensors", "another file there"),
        ("convert good.pth --to safetensors --receipt r --report html=r", "another file there"),
        ("lock good.pth -o a.lock --report json=a.lock", "another file there"),
    ],
)
def test_other_commands_refuse_what_cannot_be_before_they_read(
    folder: Path, arguments: str, message: str
) -> None:
    before = names_in(folder)
    done = run(*arguments.split())
    assert done.exit_code == 2
    assert message in done.stderr.replace("\n", " ")
    assert names_in(folder) == before


def test_a_page_is_offered_by_commands_whose_results_have_the_same_formats() -> None:
    of_each = [set(FORMATS[kind]) for kind in ("Comparison", "Conversions", "Lock")]
    assert of_each == [{"text", "json", "html"}] * 3
