"""The files of the comparison, each by what is right or wrong with it. All of them are small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Callable, NamedTuple, Tuple

import torch
from safetensors.torch import save_file

from benchmarks.comparison.running import MARKER
from tests.builders import checkpoints, models
from tests.builders.attacks import ATTACKS
from tests.builders.safetensors import file as safetensors_file

NORM = "norm.bias"


class Case(NamedTuple):
    """A file.

    Attributes:
        what: what it is, for the table.
        good: whether nothing is wrong with it.
        suffix: what its name ends in.
        write: writes it to a path.
    """

    what: str
    good: bool
    suffix: str
    write: Callable[[Path], object]


def _pth(content: Callable[[], object]) -> Callable[[Path], object]:
    return lambda path: torch.save(content(), path)


def _plain(state: Callable[[], object]) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        save_file(state(), str(path), metadata={"format": "pt"})  # type: ignore[arg-type]

    return write


def _nan() -> object:
    return models.with_a_nan(checkpoints.state(), NORM)


def _gap() -> object:
    return {name: tensor for name, tensor in checkpoints.state().items() if ".0.attn" not in name}


def _cut(write: Callable[[Path], object]) -> Callable[[Path], object]:
    """Cut the last fifth off, as an interrupted download leaves it."""

    def cut(path: Path) -> None:
        write(path)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) * 4 // 5])

    return cut


def _flipped(write: Callable[[Path], object]) -> Callable[[Path], object]:
    """Change a bit of one weight."""

    def flip(path: Path) -> None:
        write(path)
        content = bytearray(path.read_bytes())
        weight = checkpoints.state()["patch_embed.proj.weight"].numpy().tobytes()
        content[content.index(weight) + 402] ^= 1
        path.write_bytes(content)

    return flip


def _attack(what: str) -> Callable[[Path], object]:
    (attack,) = (one for one in ATTACKS if one.what == what)
    return lambda path: path.write_bytes(attack.data(str(path.parent / MARKER)))


def _overlapping(path: Path) -> object:
    tensor = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    header = {"a": tensor, "b": {**tensor, "data_offsets": [8, 24]}}
    return path.write_bytes(safetensors_file(json.dumps(header).encode(), bytes(24)))


def _half() -> object:
    return {name: tensor.half() for name, tensor in checkpoints.state().items()}


#: All files, in the order of the table.
CASES: Tuple[Case, ...] = (
    Case("weights, float32", True, ".pth", _pth(checkpoints.sound)),
    Case("weights, bfloat16", True, ".pth", _pth(checkpoints.half_precision)),
    Case("a training run: optimizer, arguments", True, ".pth", _pth(checkpoints.training_run)),
    Case("a whole module of one's own class", True, ".pth", _pth(models.tiny_model)),
    Case("calls `os.system`", False, ".pth", _attack("direct-os-system")),
    Case("calls it by way of a class", False, ".pth", _attack("closer-io-iobase")),
    Case("calls it, in a file that ends early", False, ".pth", _attack("broken-truncated")),
    Case("safetensors and pickle at once", False, ".pth", _attack("polyglot-safetensors")),
    Case("NaN in one tensor", False, ".pth", _pth(lambda: {"model": _nan()})),
    Case("an attention module is missing", False, ".pth", _pth(lambda: {"model": _gap()})),
    Case("the last block is missing", False, ".pth", _pth(checkpoints.encoder_block_missing)),
    Case("a tensor of another shape", False, ".pth", _pth(checkpoints.norm_too_wide)),
    Case(
        "a block copied over another one",
        False,
        ".pth",
        _pth(checkpoints.one_block_copied_over_another),
    ),
    Case("cut short", False, ".pth", _cut(_pth(checkpoints.sound))),
    Case("one bit changed", False, ".pth", _flipped(_pth(checkpoints.sound))),
    Case("weights, float32", True, ".safetensors", _plain(checkpoints.state)),
    Case("weights, float16", True, ".safetensors", _plain(_half)),
    Case("NaN in one tensor", False, ".safetensors", _plain(_nan)),
    Case("an attention module is missing", False, ".safetensors", _plain(_gap)),
    Case("cut short", False, ".safetensors", _cut(_plain(checkpoints.state))),
    Case("two tensors overlap", False, ".safetensors", _overlapping),
    Case("one bit changed", False, ".safetensors", _flipped(_plain(checkpoints.state))),
)
