"""Real files with hostile names, through the commands: every stream and every file is inert."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import pytest

from ckpttool.reports import FORMATS
from tests.builders import hostile_names as hostile
from tests.builders import inert
from tests.builders.commands import Done, invoke
from tests.builders.hostile_files import SOURCES

pytestmark = pytest.mark.usefixtures("tiny")

#: One short name with much in it, and some of each row of the table.
NAMES = {
    "much at once": hostile.SHORT,
    "a terminal": hostile.WORST["act on a terminal"][0],
    "another direction": "a\u202e\u2066b\u200b",
    "a CI system": "\n::error file=W::W\r\n##vso[task.complete]FORGED%0A::set-env",
    "markup": '"><script>FORGED</script>|`[F](http://w.example)\n\n# FORGED',
    "a parser": "\x0b\ufffe\ud800]]>\\",
}

_REPORTS = [word for name in FORMATS["Report"] for word in ("--report", f"{name}={{out}}/{name}")]
#: Commands, and how what they write on standard output is read.
_COMMANDS: Dict[str, Tuple[List[str], str]] = {
    "verify": (["verify", "--model", "tiny", "--no-forward", "--stats", *_REPORTS], "text"),
    "verify, concise": (["verify", "--no-forward", "--format", "concise", "-v"], "concise"),
    "inspect": (["inspect", "--all", "--stats"], "text"),
    "inspect as json": (["inspect", "--format", "json"], "json"),
    "textconv": (["textconv"], "text"),
    "schema": (["schema"], "json"),
}
#: Options of the table that a command does not have.
_WITHOUT = {"inspect": ("--schema", "--lock"), "schema": ("--schema", "--lock")}

every_source = pytest.mark.parametrize("source", SOURCES)


def made(tmp_path: Path, source: str, name: str) -> Tuple[str, List[str]]:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    path, options = SOURCES[source](tmp_path / "in", name)
    return str(path), options


def wrong(done: Done, out: Path, reader: str) -> Iterator[str]:
    """What is wrong with the streams of a command, and with the files that it wrote."""
    assert done.code != 3, done.err
    if done.out:
        yield from (f"standard output: {one}" for one in inert.READERS[reader](done.out))
    yield from (f"standard error: {one}" for one in inert.in_a_log(done.err))
    for path in out.iterdir():
        known = {"a.lock": "text", "a.json": "json", "receipt.json": "json"}
        name = known.get(path.name, path.name)
        if name in inert.READERS:
            text = path.read_text(encoding="utf-8")
            yield from (f"{path.name}: {one}" for one in inert.READERS[name](text))


def _known(command: str, options: List[str]) -> List[str]:
    word = command.partition(",")[0].partition(" ")[0]
    return [] if options[:1] and options[0] in _WITHOUT.get(word, ()) else options


@every_source
@pytest.mark.parametrize("name", ["much at once", "a CI system", "markup", "a parser"])
def test_commands_on_a_file_are_inert(source: str, name: str, tmp_path: Path) -> None:
    path, options = made(tmp_path, source, NAMES[name])
    out = tmp_path / "out"
    for command, (words, reader) in _COMMANDS.items():
        given = [word.format(out=out) for word in words]
        more = [] if command == "textconv" else _known(command, options)
        done = invoke(*given, path, *more)
        assert list(wrong(done, out, reader)) == [], command


@every_source
@pytest.mark.parametrize("name", ["much at once", "a CI system"])
def test_commands_on_two_files_are_inert(source: str, name: str, tmp_path: Path) -> None:
    path, _ = made(tmp_path, source, NAMES[name])
    other, _ = SOURCES["tensors of safetensors"](tmp_path, NAMES["markup"])
    out = tmp_path / "out"
    pages = ["--report", f"html={out}/html", "--report", f"json={out}/json"]
    convert = ["--to", "safetensors", "-o", f"{out}/a.safetensors", "--receipt"]
    runs: List[Tuple[List[str], str]] = [
        (["diff", path, str(other), *pages], "text"),
        (["diff", path, path, "--format", "json"], "json"),
        (["prove", path, "--from", str(other)], "text"),
        (["verify", "--no-forward", path, "--against", str(other), *pages], "text"),
        (["git-diff", NAMES[name], path, "0", "1", str(other), "0", "1"], "text"),
        (["convert", path, *convert, f"{out}/receipt.json", "--parts", *pages], "text"),
        (["lock", path, "--model", "tiny", "--no-forward", "-o", f"{out}/a.lock", *pages], "text"),
    ]
    for words, reader in runs:
        assert list(wrong(invoke(*words), out, reader)) == [], words[0]


@every_source
def test_a_name_is_told_wherever_it_stands(source: str, tmp_path: Path) -> None:
    path, options = made(tmp_path, source, "FORGED\x1b[2J")
    runs = (
        ["verify", "--show-waived", "--no-forward", "--model", "tiny", path, *options],
        ["inspect", path, "--all", *_known("inspect", options)],
        ["diff", path, path, "--format", "json"],
    )
    told = "".join(done.out + done.err for done in (invoke(*words) for words in runs))
    assert "FORGED" in told


# --- what is typed --------------------------------------------------------------------------

_TYPED: Tuple[Tuple[str, ...], ...] = (
    ("{name}",),
    ("verify", "{name}"),
    ("verify", "{name}.pth", "a*{name}"),
    ("verify", "--{name}"),
    ("verify", "a.pth", "--model", "{name}"),
    ("verify", "a.pth", "--select", "{name}"),
    ("verify", "a.pth", "--format", "{name}"),
    ("verify", "a.pth", "--report", "{name}"),
    ("verify", "a.pth", "--report", "json={name}/{name}"),
    ("verify", "a.pth", "--config", "{name}"),
    ("verify", "a.pth", "--device", "{name}"),
    ("verify", "a.pth", "--schema", "{name}:{name}"),
    ("verify", "a.pth", "--img-size", "{name}"),
    ("inspect", "a.pth", "--depth", "{name}"),
    ("inspect", "a.pth", "--exclude", "{name}"),
    ("diff", "a.pth", "{name}"),
    ("convert", "{name}", "--to", "{name}"),
    ("convert", "a.pth", "--to", "safetensors", "--rename", "{name}"),
    ("explain", "{name}"),
    ("help", "{name}"),
    ("report", "{name}"),
    ("completion", "{name}"),
    ("sample", "{name}", "--model", "{name}"),
)


@pytest.mark.parametrize("words", _TYPED, ids=" ".join)
@pytest.mark.parametrize("name", NAMES)
def test_what_is_typed_comes_back_inert(
    words: Tuple[str, ...], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.pth").write_bytes(b"")
    typed = NAMES[name].replace("\0", "").replace("\ud800", "\udc80")
    done = invoke(*(word.format(name=typed) for word in words))
    assert done.code in (1, 2)
    assert list(inert.in_a_log(done.out + done.err)) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_variable_of_the_environment_comes_back_inert(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = NAMES[name].replace("\0", "").replace("\ud800", "\udc80")
    monkeypatch.setenv("CKPTTOOL_VERIFY_FORMAT", typed)
    monkeypatch.setenv("CKPTTOOL_UNKNOWN", typed)
    done = invoke("verify", "a.pth")
    assert done.code == 2
    assert list(inert.in_a_log(done.err)) == []
