"""What writes files: each writer of the tool, with what stood at its destination before."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, List, NamedTuple

import numpy as np
from safetensors.numpy import save_file

import ckpttool
from ckpttool.conversion.indexing import write_index
from ckpttool.files.publishing import write_files
from ckpttool.findings.errors import CkpttoolError, OutputError
from ckpttool.findings.rules import Severity

#: The shapes of the tensors: one of several blocks and some that share one.
SHAPES = {"large": (150_000,), "a": (40, 10), "b": (40,), "c": (7,), "d": (0,)}


class Writer(NamedTuple):
    """Something that writes.

    Attributes:
        name: what is written, and over what.
        prepare: puts what stood there before into a folder.
        write: writes there, given a folder with the sources; returns the errors, none if it did.
    """

    name: str
    prepare: Callable[[Path], object]
    write: Callable[[Path, Path], List[str]]


def make_sources(folder: Path) -> None:
    """Write what is converted, locked and described."""
    made = {name: np.arange(np.prod(shape), dtype=np.float32) for name, shape in SHAPES.items()}
    shaped = {name: array.reshape(SHAPES[name]) for name, array in made.items()}
    save_file(shaped, folder / "m.safetensors", {"format": "pt"})
    small = {name: shaped[name] for name in "abc"}
    save_file(small, folder / "small.safetensors", {"format": "pt"})


def nothing(folder: Path) -> None:
    (folder / "other").write_bytes(b"of somebody else")


def a_file(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(b"what stood here before" * 500)


def an_earlier_set(folder: Path) -> None:
    """Write four shards and their index, of other weights and with other names."""
    save_file({name: np.ones(300, np.float32) for name in "wxyz"}, folder / "earlier.safetensors")
    done = ckpttool.convert(
        folder / "earlier.safetensors",
        folder / "m.safetensors",
        to="safetensors",
        max_shard_size=1200,
        sync=False,
    )
    assert done.state == "written"
    (folder / "earlier.safetensors").unlink()


def a_lock(folder: Path) -> None:
    save_file({"w": np.ones(3, np.float32)}, folder / "w.safetensors", {"format": "pt"})
    ckpttool.lock(folder / "w.safetensors", folder / "m.lock", schema="none", forward=False)
    (folder / "w.safetensors").unlink()


def a_schema(folder: Path) -> None:
    save_file({"w": np.ones(3, np.float32)}, folder / "w.safetensors")
    ckpttool.schema(folder / "w.safetensors", folder / "m.schema.json")
    (folder / "w.safetensors").unlink()


def _converting(name: str, source: str = "m", **options: Any) -> Callable[[Path, Path], List[str]]:
    def write(sources: Path, folder: Path) -> List[str]:
        for beside in ("receipt", "sidecar"):
            if beside in options:
                options[beside] = folder / f"m.{beside}.json"
        result = ckpttool.convert(
            sources / f"{source}.safetensors", folder / name, workers=1, **options
        )
        assert (result.state == "written") == (not result.findings or not _errors(result))
        return _errors(result)

    return write


def _errors(result: ckpttool.Conversion) -> List[str]:
    return [
        f"{one.message} [{one.rule.code}]"
        for one in result.findings
        if one.severity is Severity.ERROR
    ]


def _telling(write: Callable[[Path, Path], object]) -> Callable[[Path, Path], List[str]]:
    """Return a writer whose errors are exceptions."""

    def told(sources: Path, folder: Path) -> List[str]:
        try:
            write(sources, folder)
        except OutputError as error:
            return [error.headline()]
        except CkpttoolError as error:
            return [f"{type(error).__name__}: {error.headline()}"]
        return []

    return told


def _locking(sources: Path, folder: Path) -> None:
    done = ckpttool.lock(
        sources / "small.safetensors", folder / "m.lock", schema="none", forward=False, workers=1
    )
    assert not done.exit_code


def _describing(sources: Path, folder: Path) -> None:
    ckpttool.schema(sources / "small.safetensors", folder / "m.schema.json")


def _proving(sources: Path, folder: Path) -> None:
    source = sources / "small.safetensors"
    proof = ckpttool.prove(source, source, receipt=folder / "m.receipt.json", workers=1)
    assert proof.receipt


def _reporting(_: Path, folder: Path) -> None:
    write_files({str(folder / name): name.encode() * 5_000 for name in ("r.html", "r.json")})


def an_index_to_write(folder: Path) -> None:
    an_earlier_set(folder)
    (folder / "m.safetensors.index.json").unlink()


def _indexing(_: Path, folder: Path) -> None:
    write_index(folder)


SHARDS = {"to": "safetensors", "max_shard_size": 1200}
WHOLE = "m.safetensors"

WRITERS = [
    Writer("safetensors", nothing, _converting(WHOLE, to="safetensors")),
    Writer(
        "safetensors, replaced", a_file(WHOLE), _converting(WHOLE, to="safetensors", force=True)
    ),
    Writer(
        "safetensors, not synced",
        a_file(WHOLE),
        _converting(WHOLE, to="safetensors", force=True, sync=False),
    ),
    Writer("pth, replaced", a_file("m.pth"), _converting("m.pth", to="pth", force=True)),
    Writer("shards", nothing, _converting(WHOLE, "small", **SHARDS)),
    Writer("shards, replaced", an_earlier_set, _converting(WHOLE, "small", force=True, **SHARDS)),
    Writer(
        "pth with receipt and sidecar",
        a_file("m.receipt.json"),
        _converting("m.pth", "small", to="pth", receipt="", sidecar="", force=True),
    ),
    Writer("lock, replaced", a_lock, _telling(_locking)),
    Writer("schema, replaced", a_schema, _telling(_describing)),
    Writer("receipt of a proof", nothing, _telling(_proving)),
    Writer("index", an_index_to_write, _telling(_indexing)),
    Writer("reports, one replaced", a_file("r.html"), _telling(_reporting)),
]


def _sampling(_: Path, folder: Path) -> None:
    from ckpttool.models.sample import write_sample

    write_sample(str(folder / "m.pth"), "mae_vit_demo_patch8", full=False, seed=0, force=True)


#: Apart from the others, since it takes longer: torch writes it.
SAMPLE = Writer("sample, replaced", a_file("m.pth"), _telling(_sampling))
