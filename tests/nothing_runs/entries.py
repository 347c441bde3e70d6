"""Every way into the tool: functions of the package, and commands with what makes them read.

An entry is called with a file and a place for what it writes, and says which files those are.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

import ckpttool
from ckpttool.comparison.textconv import lines_or_reason
from ckpttool.reports import FORMATS
from tests.builders.commands import invoke
from tests.builders.repository import ROOT


class Place(NamedTuple):
    """What an entry is called with.

    Attributes:
        path: the file or folder that is watched.
        good: a sound checkpoint.
        out: an empty folder.
    """

    path: str
    good: str
    out: str

    def to(self, name: str) -> str:
        """Return a path in the folder for results."""
        return f"{self.out}/{name}"


class Entry(NamedTuple):
    """A way in.

    Attributes:
        name: in words.
        call: what is done.
        writes: names in the folder for results; one that ends in ``/`` is a folder of results,
            the empty one that folder itself.
        prepare: done before, unwatched.
        folders: whether it is for folders alone.
    """

    name: str
    call: Callable[[Place], object]
    writes: Tuple[str, ...] = ()
    prepare: Callable[[Place], object] | None = None
    folders: bool = False


# --- the package -------------------------------------------------------------------------


def _opened(place: Place) -> None:
    with ckpttool.open_checkpoint(place.path) as checkpoint:
        for tensor in list(checkpoint.values())[:20]:
            tensor.numpy()
        str(checkpoint)


def _rendered(place: Place) -> None:
    """Every kind of result in all of its formats."""
    results: List[Any] = [
        ckpttool.verify(place.path, forward=False, stats=True),
        ckpttool.inspect(place.path, stats=True),
        ckpttool.diff(place.path, place.good),
        ckpttool.prove(place.path, place.good),
        ckpttool.convert(place.path, place.to("a.safetensors"), to="safetensors", dry_run=True),
    ]
    for result in results:
        repr(result)
        result.to_dict()
        for name in FORMATS[type(result).__name__]:
            ckpttool.render(result, name)


_SAFETENSORS = "a.safetensors"
_API: Dict[str, Tuple[Callable[[Place], object], Tuple[str, ...]]] = {
    "open_checkpoint": (_opened, ()),
    "render": (_rendered, ()),
    "inspect": (lambda at: ckpttool.inspect(at.path), ()),
    "verify": (lambda at: ckpttool.verify(at.path), ()),
    "verify against": (
        lambda at: ckpttool.verify(at.good, against=at.path, forward=False),
        (),
    ),
    "verify with its schema": (
        lambda at: ckpttool.verify(at.good, schema=Path(at.path), forward=False),
        (),
    ),
    "fingerprint": (lambda at: ckpttool.fingerprint(at.path), ()),
    "diff": (lambda at: ckpttool.diff(at.good, at.path, stats=True), ()),
    "prove": (lambda at: ckpttool.prove(at.good, at.path), ()),
    "convert": (
        lambda at: ckpttool.convert(at.path, at.to(_SAFETENSORS), to="safetensors"),
        (_SAFETENSORS,),
    ),
    "convert_all": (
        lambda at: ckpttool.convert_all(at.path, at.out, to="safetensors"),
        ("/",),
    ),
    "lock": (lambda at: ckpttool.lock(at.path, at.to("a.lock"), forward=False), ("a.lock",)),
    "read_lock": (lambda at: ckpttool.read_lock(at.path), ()),
    "schema": (lambda at: ckpttool.schema(Path(at.path), at.to("a.json")), ("a.json",)),
    "read_schema": (lambda at: ckpttool.read_schema(Path(at.path)), ()),
    "the text of git": (lambda at: lines_or_reason(at.path), ()),
}


# --- the commands ------------------------------------------------------------------------

PATH, GOOD, OUT = "{path}", "{good}", "{out}"
_PICTURE = str(ROOT / "data" / "chelsea.png")
_HEX = "0" * 40


def _run(*words: str) -> Callable[[Place], object]:
    def call(place: Place) -> object:
        done = invoke(*(word.format(**place._asdict()) for word in words))
        if done.code == 3:  # an internal error, which hides what would have come after it
            raise RuntimeError(done.err)
        return done

    return call


_REPORTS = tuple(
    word for name in FORMATS["Report"] for word in ("--report", f"{name}={OUT}/report.{name}")
)
_FILES_OF_REPORTS = tuple(f"report.{name}" for name in FORMATS["Report"])
_PAGES = ("--report", f"html={OUT}/a.html", "--report", f"json={OUT}/a.json")
_FILES_OF_PAGES = ("a.html", "a.json")

#: Commands that write nothing.
_READING: Dict[str, Tuple[str, ...]] = {
    "verify": ("verify", PATH),
    "verify without the model": ("verify", "--no-forward", "-v", PATH),
    "verify -q": ("verify", "-q", "--no-forward", PATH, GOOD),
    "verify as json": ("verify", "--no-forward", "--stats", "--format", "json", PATH),
    "verify with a fingerprint": ("verify", "--no-forward", "--fingerprint", "--published", PATH),
    "verify as released": ("verify", "--no-forward", "--require", "full", "--debug", PATH),
    "verify against it": ("verify", "--no-forward", GOOD, "--against", PATH),
    "verify it against": ("verify", "--no-forward", PATH, "--against", GOOD, "--map", "*=*"),
    "verify by its names": ("verify", "--no-forward", GOOD, "--schema", PATH),
    "verify it by names": ("verify", "--no-forward", PATH, "--schema", GOOD),
    "verify with it as a lock": ("verify", "--no-forward", GOOD, "--lock", PATH),
    "verify with it as a configuration": ("verify", "--no-forward", GOOD, "--config", PATH),
    "verify with it as a list": ("verify", "--no-forward", "--files-from", PATH),
    "verify with it as a map": ("verify", "--no-forward", GOOD, "--against", GOOD, "--map", PATH),
    "verify with it as a picture": ("verify", GOOD, "--image", PATH),
    "verify with a picture": ("verify", PATH, "--image", _PICTURE),
    "verify by a name that is trusted": ("verify", "--no-forward", "--trust", "*", PATH),
    "the hook of a commit": ("verify", "--quiet", "--format", "concise", "--changed", "--", PATH),
    "inspect": ("inspect", PATH),
    "inspect -v": ("inspect", "-v", "--trust", "os.*", PATH),
    "inspect everything": ("inspect", "--stats", "--all", "--format", "json", PATH),
    "diff": ("diff", PATH, GOOD),
    "diff to it": ("diff", GOOD, PATH, "--stat", "--weights-only"),
    "diff with itself": ("diff", PATH, PATH, "--atol", "1", "--map", "a=b"),
    "prove": ("prove", PATH, "--from", GOOD),
    "prove from it": ("prove", GOOD, "--from", PATH, "--allow-missing", "*"),
    "prove with it as an adapter": ("prove", GOOD, "--from", GOOD, "--adapter", PATH),
    "report": ("report", PATH, "--to", "markdown"),
    "schema": ("schema", PATH),
    "textconv": ("textconv", PATH),
    "git's driver": ("git-diff", "a.pth", PATH, _HEX, "100644", GOOD, _HEX, "100644"),
    "git's driver on a new file": ("git-diff", "a.pth", "/dev/null", ".", ".", PATH, _HEX, "1"),
    "convert to look first": ("convert", PATH, "--to", "safetensors", "--dry-run"),
}

#: Commands that write, with the names of what they may write.
_WRITING: Dict[str, Tuple[Tuple[str, ...], Tuple[str, ...]]] = {
    "verify and report": (
        ("verify", "--no-forward", *_REPORTS, PATH),
        _FILES_OF_REPORTS,
    ),
    "the action": (
        (
            *("verify", "--format", "github", "--report", f"sarif={OUT}/report.sarif"),
            *("--report", f"markdown={OUT}/report.markdown", "--", PATH),
        ),
        ("report.sarif", "report.markdown"),
    ),
    "diff and report": (("diff", PATH, PATH, "--stats", *_PAGES), _FILES_OF_PAGES),
    "prove and account for it": (
        ("prove", PATH, "--from", PATH, "--receipt", f"{OUT}/receipt.json"),
        ("receipt.json",),
    ),
    "convert to safetensors": (
        (
            *("convert", PATH, "--to", "safetensors", "-o", f"{OUT}/a.safetensors", "--force"),
            *("--receipt", f"{OUT}/receipt.json", "--sidecar", f"{OUT}/sidecar.json"),
            *("--fingerprint", *_PAGES),
        ),
        ("a.safetensors", "receipt.json", "sidecar.json", *_FILES_OF_PAGES),
    ),
    "convert to pth": (
        ("convert", PATH, "--to", "pth", "-o", f"{OUT}/a.pth", "--dtype", "float16", "--parts"),
        ("a.pth",),
    ),
    "convert every state dict": (
        ("convert", PATH, "--to", "safetensors", "-o", f"{OUT}/", "--all-wrappers", "--parts"),
        ("/",),
    ),
    "convert in shards": (
        (
            *("convert", PATH, "--to", "safetensors", "-o", f"{OUT}/a.safetensors"),
            *("--max-shard-size", "16kB", "--keep-aliases"),
        ),
        ("/",),  # how many there are depends on the file
    ),
    "convert by it": (
        (*("convert", GOOD, "--to", "pth", "-o", f"{OUT}/a.pth", "--rename-file", PATH),),
        ("a.pth",),
    ),
    "lock": (
        ("lock", PATH, "-o", f"{OUT}/a.lock", "--no-forward", *_PAGES),
        ("a.lock", *_FILES_OF_PAGES),
    ),
    "report to a page": (
        ("report", PATH, "--to", "html", "-o", f"{OUT}/a.html"),
        ("a.html",),
    ),
    "schema to a file": (("schema", PATH, "-o", f"{OUT}/a.json"), ("a.json",)),
}


def _copied(place: Place) -> None:
    shutil.copytree(place.path, place.to("release"), symlinks=True)


_INDEXES = (
    "release/model.safetensors.index.json",
    "release/pytorch_model.bin.index.json",
)


def entries() -> List[Entry]:
    """Return all of them."""
    api = [Entry(f"ckpttool.{name}", call, writes) for name, (call, writes) in _API.items()]
    reading = [Entry(f"ckpttool {name}", _run(*words)) for name, words in _READING.items()]
    writing = [
        Entry(f"ckpttool {name}", _run(*words), writes)
        for name, (words, writes) in _WRITING.items()
    ]
    index = _run("index", f"{OUT}/release", "--force")
    return [
        *api,
        *reading,
        *writing,
        Entry("ckpttool index", index, _INDEXES, _copied, folders=True),
    ]
