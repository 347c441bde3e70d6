"""Folders with an index and its shards, good ones and ones with a named defect."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Callable, Dict, Tuple

from tests.builders.safetensors import sharing

INDEX = "model.safetensors.index.json"
FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
MAP = {"b": SECOND, "a": FIRST, "c": SECOND}


def good(folder: Path) -> Path:
    """Tensors a, b and c of 3, 4 and 5 bytes in two shards; returns the index's path."""
    folder.mkdir(exist_ok=True)
    (folder / FIRST).write_bytes(sharing({"a": 3}, {"format": "pt", "part": "1"}))
    (folder / SECOND).write_bytes(sharing({"b": 4, "c": 5}, {"format": "pt", "part": "2"}))
    return write(folder, MAP)


def many(folder: Path, count: int) -> Path:
    """So many shards of one tensor each; returns the index's path."""
    for number in range(count):
        (folder / f"{number}.safetensors").write_bytes(sharing({f"w{number}": 1}))
    weight_map = {f"w{number}": f"{number}.safetensors" for number in range(count)}
    return write(folder, weight_map, {})


def write(folder: Path, weight_map: object, metadata: object = None) -> Path:
    """Write an index of these parts and return its path."""
    stated = {"total_size": 12} if metadata is None else metadata
    return write_text(folder, json.dumps({"metadata": stated, "weight_map": weight_map}))


def write_text(folder: Path, text: str) -> Path:
    path = folder / INDEX
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path


def _mapped(**changes: str) -> Callable[[Path], Path]:
    """The good folder with another file for some tensors."""

    def build(folder: Path) -> Path:
        good(folder)
        return write(folder, {**MAP, **changes})

    return build


def _without(name: str) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        good(folder)
        return write(folder, {key: file for key, file in MAP.items() if key != name})

    return build


def _stating(metadata: object) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        good(folder)
        return write(folder, MAP, metadata)

    return build


def _index_of(text: str) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        good(folder)
        return write_text(folder, text)

    return build


def _second_shard(**tensors: int) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        path = good(folder)
        (folder / SECOND).write_bytes(sharing(tensors))
        return path

    return build


def _shard_missing(folder: Path) -> Path:
    path = good(folder)
    (folder / SECOND).unlink()
    return path


def _shard_dangling(folder: Path) -> Path:
    path = _shard_missing(folder)
    (folder / SECOND).symlink_to("nothing")
    return path


def _shard_looping(folder: Path) -> Path:
    path = _shard_missing(folder)
    (folder / SECOND).symlink_to(SECOND)
    return path


def _shard_linked_out(folder: Path) -> Path:
    path = good(folder)
    outside = folder.parent / "secret.safetensors"
    (folder / SECOND).rename(outside)
    (folder / SECOND).symlink_to(outside)
    return path


def _shard_linked_through_a_folder(folder: Path) -> Path:
    path = _shard_linked_out(folder)
    (folder / SECOND).unlink()
    (folder / "out").symlink_to("..")
    (folder / SECOND).symlink_to("out/secret.safetensors")
    return path


def _shard_twice(folder: Path) -> Path:
    good(folder)
    os.link(folder / SECOND, folder / "copy.safetensors")
    return write(folder, {**MAP, "c": "copy.safetensors"})


def _shard_a_fifo(folder: Path) -> Path:
    path = _shard_missing(folder)
    os.mkfifo(folder / SECOND)
    return path


def _shard_cut(folder: Path) -> Path:
    path = good(folder)
    (folder / SECOND).write_bytes((folder / SECOND).read_bytes()[:-1])
    return path


def _shard_a_zip(folder: Path) -> Path:
    good(folder)
    (folder / "second").write_bytes(b"PK\x03\x04 and so on")
    return write(folder, {"a": FIRST, "b": "second"})


#: Defect to the code of the rule that it breaks and a word of the message.
DEFECTS: Dict[str, Tuple[Callable[[Path], Path], str, str]] = {
    "no-weight-map": (_index_of('{"metadata": {}}'), "FIL002", "weight_map"),
    "configuration-file": (_index_of('{"model_type": "vit_mae"}'), "FIL002", "weight_map"),
    "not-json": (_index_of("{]"), "FIL401", "JSON"),
    "cut-off": (_index_of('{"weight_map": {"a": "x'), "FIL006", "JSON"),
    "two-documents": (_index_of("{} {}"), "FIL401", "JSON"),
    "byte-order-mark": (_index_of('\ufeff{"weight_map": {}}'), "FIL401", "JSON"),
    "not-utf8": (_index_of('{"\udcff": 1}'), "FIL401", "UTF-8"),
    "nan": (_index_of('{"metadata": {"x": NaN}, "weight_map": {}}'), "FIL401", "NaN"),
    "huge-number": (_index_of('{"metadata": {"x": %s}}' % ("9" * 5000)), "FIL401", "64 bits"),
    "deep": (_index_of('{"metadata": ' + "[" * 100_000), "FIL005", "deep"),
    "weight-map-twice": (_index_of('{"weight_map":{},"weight_map":{}}'), "INT008", "weight_map"),
    "tensor-twice": (_index_of('{"weight_map":{"a":"x","a":"y"}}'), "INT008", "a"),
    "tensor-twice-by-an-escape": (
        _index_of('{"weight_map":{"a":"x","\\u0061":"y"}}'),
        "INT008",
        "a",
    ),
    "weight-map-a-list": (_index_of('{"weight_map": []}'), "FIL401", "object"),
    "weight-map-empty": (_index_of('{"weight_map": {}}'), "FIL401", "empty"),
    "metadata-a-list": (_index_of('{"metadata":[],"weight_map":{"a":"x"}}'), "FIL401", "object"),
    "file-a-number": (_index_of('{"weight_map": {"a": 1}}'), "FIL401", "string"),
    "file-climbs": (_mapped(a="../secret.safetensors"), "FIL401", "../secret"),
    "file-is-the-parent": (_mapped(a=".."), "FIL401", ".."),
    "file-empty": (_mapped(a=""), "FIL401", "plain name"),
    "file-in-a-folder": (_mapped(a="sub/x.safetensors"), "FIL401", "sub/x"),
    "file-absolute": (_mapped(a="/etc/passwd"), "FIL401", "/etc/passwd"),
    "file-backslash": (_mapped(a="..\\x"), "FIL401", "plain name"),
    "file-nul": (_mapped(a="x\0y"), "FIL401", "\\x00"),
    "file-of-a-drive": (_mapped(a="C:x"), "FIL401", "C:x"),
    "file-lone-surrogate": (_mapped(a="\ud800"), "FIL401", "plain name"),
    "file-name-too-long": (_mapped(a="x" * 5000), "FIL401", "not there"),
    "index-names-itself": (_mapped(a=INDEX), "FIL401", "same file"),
    "shard-missing": (_shard_missing, "FIL401", SECOND),
    "shard-dangling": (_shard_dangling, "FIL401", "not there"),
    "shard-looping": (_shard_looping, "FIL401", "not there"),
    "shard-linked-out": (_shard_linked_out, "FIL001", "lead out"),
    "shard-linked-through-a-folder": (_shard_linked_through_a_folder, "FIL001", "lead out"),
    "shard-twice": (_shard_twice, "FIL401", "same file"),
    "shard-not-listed": (
        _index_of(json.dumps({"weight_map": {"a": FIRST}})),
        "FIL401",
        f"{SECOND} is not listed",
    ),
    "shard-number-impossible": (
        _mapped(a="model-00003-of-00002.safetensors"),
        "FIL401",
        "counts itself wrong",
    ),
    "shard-a-fifo": (_shard_a_fifo, "FIL001", "FIFO"),
    "shard-cut": (_shard_cut, "FIL006", SECOND),
    "shard-a-zip": (_shard_a_zip, "FIL006", "second"),
    "tensor-missing": (_second_shard(b=4), "FIL401", "c lies in no shard"),
    "tensor-not-listed": (_without("c"), "FIL401", "c in"),
    "tensor-in-the-wrong-shard": (_mapped(c=FIRST), "FIL401", "c lies in"),
    "tensor-in-two-shards": (_second_shard(a=3, b=4, c=5), "FIL401", "a lies in"),
}

#: What an index may state of its tensors' bytes, which are 12, and be read all the same.
TOTALS: Dict[str, Callable[[Path], Path]] = {
    "wrong": _stating({"total_size": 13}),
    "a-fraction": _stating({"total_size": 12.0}),
    "true": _stating({"total_size": True}),
    "text": _stating({"total_size": "12"}),
    "null": _stating({"total_size": None}),
    "a-list": _stating({"total_size": []}),
    "absent": _stating({}),
    "no-metadata": _index_of(json.dumps({"weight_map": MAP})),
    "metadata-null": _index_of(json.dumps({"metadata": None, "weight_map": MAP})),
}
