"""The index of a sharded checkpoint, against json and each shard as its own library reads it."""

from __future__ import annotations

import json
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, NamedTuple, Sequence, Tuple

import torch
from safetensors import deserialize

from ckpttool import open_checkpoint
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError
from ckpttool.formats.sharded.index import files_listed
from ckpttool.tensors.dtypes import SAFETENSORS_DTYPES
from tests.builders.safetensors import file, sharing
from tests.builders.shards import FIRST, INDEX, MAP, SECOND
from tests.fuzzing import scratch
from tests.fuzzing.mutations import json_texts
from tests.fuzzing.mutations.trees import TEXTS
from tests.fuzzing.parser import ViolationError
from tests.fuzzing.tensors import Content, contents, held_to

if TYPE_CHECKING:
    from random import Random

NAME = "index"

_TORCH = ("pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin")
_WHOLE, _EMPTY, _ODD = "model.safetensors", "empty.safetensors", "\u00e9 .safetensors"
_CUT, _LINK, _OUT, _FOLDER = "cut.safetensors", "link", "out.safetensors", "folder"
_NAMES: Tuple[str, ...] = (
    *(FIRST, SECOND, *_TORCH, _WHOLE, _EMPTY, _ODD, _CUT, _LINK, _OUT, _FOLDER, INDEX, "gone"),
    *(f"./{FIRST}", f"x/../{FIRST}", FIRST.upper(), f"{FIRST} ", f"{FIRST}\0", f"{FIRST}/."),
    *(f"./{_WHOLE}", f"{_FOLDER}/../{_WHOLE}", f"{_FOLDER}/x", f"{_WHOLE}/", f"//{_WHOLE}"),
    *("model-00003-of-00002.safetensors", "model-00000-of-00002.safetensors", "x" * 300),
    *("model-00001-of-99999.safetensors", "model-00001-of-00000.safetensors", *TEXTS),
)
_TENSORS = ("a", "b", "c", "\u00e9\n", "a ", "A", "", "__metadata__")
_COUNTED = re.compile(r"(.*)-(\d{5})-of-(\d{5})(\..*)", re.DOTALL)


class _Said(NamedTuple):
    """What was read: tensors, and whether the total is said to be another one."""

    tensors: Dict[str, Content] | None
    other_total: bool


class _Index(NamedTuple):
    """An index by json alone."""

    weight_map: Dict[str, str]
    tensors: Dict[str, Content]
    total: object


@lru_cache(maxsize=None)
def seeds() -> Sequence[bytes]:
    """Return good indexes of the shards in the folder."""
    torch_map = {"t": _TORCH[0], "u": _TORCH[1]}
    return (
        _text(MAP, {"total_size": 12}),
        json.dumps({"weight_map": MAP}).encode(),
        json.dumps({"metadata": None, "weight_map": MAP}, indent=2).encode(),
        _text(dict.fromkeys("abc", _WHOLE), {"total_size": 12, "format": "pt", "x": [1, {}]}),
        _text({"\u00e9\n": _ODD}, {"total_size": 2.0}),
        _text(torch_map, {"total_size": 20}),
        _text({**MAP, **torch_map, "\u00e9\n": _ODD}, {"total_size": 34}),
        b'\n{"weight_map":{"\\u0061":"%s","b":"%s","c":"%s"} }\n'
        % (FIRST.encode(), SECOND.encode(), SECOND.replace("-", "\\u002d").encode()),
    )


def _text(weight_map: Mapping[str, str], metadata: object) -> bytes:
    return json.dumps({"metadata": metadata, "weight_map": weight_map}).encode()


def _place() -> Path:
    return scratch.folder(NAME)


@lru_cache(maxsize=None)
def _shards(_: int) -> Dict[str, Dict[str, Content]]:
    """Write the shards, and return what is in each that can be read, by its own library."""
    folder = _place()
    first = sharing({"a": 3}, {"format": "pt"})
    (folder / FIRST).write_bytes(first)
    (folder / SECOND).write_bytes(sharing({"b": 4, "c": 5}, {"format": "pt"}))
    (folder / _WHOLE).write_bytes(sharing({"a": 3, "b": 4, "c": 5}))
    (folder / _EMPTY).write_bytes(file(b"{}", b""))
    (folder / _ODD).write_bytes(sharing({"\u00e9\n": 2}))
    (folder / _CUT).write_bytes(first[:-1])
    torch.save({"t": torch.arange(3.0)}, folder / _TORCH[0])
    torch.save({"u": torch.tensor([7])}, folder / _TORCH[1])
    (folder / _FOLDER).mkdir()
    (folder / _LINK).symlink_to(FIRST)
    outside = folder.with_name(f"{folder.name}-outside")
    outside.write_bytes(sharing({"a": 3}))
    (folder / _OUT).symlink_to(outside)
    readable = (FIRST, SECOND, _WHOLE, _EMPTY, _ODD)
    return {
        **{name: _of_safetensors((folder / name).read_bytes()) for name in readable},
        **{name: _of_torch(folder / name) for name in _TORCH},
        _LINK: _of_safetensors(first),
    }


def _of_safetensors(content: bytes) -> Dict[str, Content]:
    return {
        name: (SAFETENSORS_DTYPES[one["dtype"]].name, tuple(one["shape"]), bytes(one["data"]))
        for name, one in deserialize(content)  # type: ignore[no-untyped-call]
    }


def _of_torch(path: Path) -> Dict[str, Content]:
    return {
        name: (str(one.dtype)[6:], tuple(one.shape), one.numpy().tobytes())
        for name, one in torch.load(path, weights_only=True).items()
    }


def mutate(content: bytes, random: Random) -> bytes:
    """Change the text, or which file a tensor is in."""
    if random.random() < 0.6:
        return json_texts.mutate(content, random)
    return json_texts.in_tree(content, random, _mapped_otherwise)


def _mapped_otherwise(tree: Any, random: Random) -> Any:
    weight_map = tree.get("weight_map") if isinstance(tree, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        return tree
    name, change = random.choice(list(weight_map)), random.randrange(5)
    if change == 0:
        weight_map[name] = random.choice(_NAMES)
    elif change == 1:
        weight_map[random.choice(_TENSORS)] = random.choice((weight_map[name], *_NAMES))
    elif change == 2:
        del weight_map[name]
    elif change == 3:
        weight_map[random.choice(_TENSORS)] = weight_map.pop(name)
    else:
        old, new = weight_map[name], random.choice(_NAMES)
        tree["weight_map"] = {
            key: new if value == old else value for key, value in weight_map.items()
        }
    return tree


def read(content: bytes) -> object:
    """Open the index in its folder, and read the tensors of its shards."""
    _shards(os.getpid())
    path = _place() / INDEX
    path.write_bytes(content)
    checkpoint = open_checkpoint(path)
    other = any(remark.rule is rules.INDEX_TOTAL for remark in checkpoint.remarks)
    return _Said(contents(checkpoint), other)


def compare(content: bytes, said: object | CkpttoolError) -> str:
    """Hold the tensors to those of the listed shards, and what is refused to what is wrong."""
    theirs = _expected(content)
    if isinstance(said, CkpttoolError):
        if isinstance(theirs, str):
            return f"refused by both: {theirs}"
        why = _stricter(content)
        if not why:
            raise ViolationError(f"nothing is wrong with it, and it is refused: {said}")
        return f"refused here alone: {why}"
    if isinstance(theirs, str):
        raise ViolationError(f"it is read, although {theirs}")
    assert isinstance(said, _Said)
    files = files_listed(str(_place() / INDEX))  # what folders are searched by
    if files != tuple(dict.fromkeys(theirs.weight_map.values())):
        raise ViolationError(f"other files: {files!a:.200}")
    total = sum(len(tensor[2]) for tensor in theirs.tensors.values())
    right = type(theirs.total) is int and theirs.total == total
    if said.other_total is right:
        raise ViolationError(f"the total {theirs.total!a:.100} of {total} is judged wrongly")
    why = _stricter(content)
    if why:
        raise ViolationError(f"it is read, with {why}")
    assert said.tensors is not None
    if list(said.tensors) != list(theirs.weight_map):
        raise ViolationError("the tensors are in another order than the index has them")
    return held_to(said.tensors, theirs.tensors)


def _expected(content: bytes) -> _Index | str:
    """Return what the index stands for; what is wrong with it in few words, if something is."""
    try:
        document = json.loads(content.decode())
    except (ValueError, RecursionError):
        return "it is no JSON"
    weight_map = document.get("weight_map") if isinstance(document, dict) else None
    metadata = document.get("metadata") if isinstance(document, dict) else None
    if not isinstance(weight_map, dict) or not isinstance(metadata, (dict, type(None))):
        return "it is no index"
    if not weight_map or not all(isinstance(name, str) for name in weight_map.values()):
        return "it maps no tensors to names"
    return _of_shards(weight_map, (metadata or {}).get("total_size"))


def _of_shards(weight_map: Dict[str, str], total: object) -> _Index | str:
    shards = _shards(os.getpid())
    files = dict.fromkeys(weight_map.values())
    if not files.keys() <= shards.keys():
        return "a file is not there, or no shard"
    if _LINK in files and FIRST in files:
        return "a file is listed under two names"
    if not all(map(_is_complete, [files] * len(files), files)):
        return "a shard of a series is not listed"
    found = [(name, file) for file in files for name in shards[file]]
    if len(found) != len(weight_map) or dict(found) != weight_map:
        return "the shards hold other tensors"
    return _Index(weight_map, {name: shards[file][name] for name, file in found}, total)


def _is_complete(files: Mapping[str, None], one: str) -> bool:
    counted = _COUNTED.fullmatch(one)
    if counted is None:
        return True
    before, _, total, after = counted.groups()
    whole = {f"{before}-{number:05}-of-{total}{after}" for number in range(1, int(total) + 1)}
    return whole <= files.keys()


def _stricter(content: bytes) -> str:
    """Return in which way strict JSON is more than what json reads; empty if in none."""
    text, strange = content.decode(), []

    def unique(pairs: Sequence[Tuple[str, object]]) -> Dict[str, object]:
        if len(dict(pairs)) < len(pairs):
            strange.append("a key twice")
        return dict(pairs)

    def number(digits: str) -> int:
        if len(digits) > 19:  # with a sign
            strange.append("a number of more than 64 bits")
        return 0

    json.loads(
        text,
        object_pairs_hook=unique,
        parse_int=number,
        parse_constant=lambda _: strange.append("a number that JSON does not have"),
    )
    if text.count(",") + text.count(":") + text.count("[") + text.count("{") > 3_000_000:
        strange.append("more values than the limit")
    return strange[0] if strange else ""
