"""What checkpoint files and their shards are called."""

from __future__ import annotations

import os
import re
from pathlib import PurePath
from typing import NamedTuple

SAFETENSORS = (".safetensors",)
#: Of files that torch.save wrote.
TORCH = (".pth", ".pth.tar", ".pt", ".bin", ".ckpt")
SUFFIXES = SAFETENSORS + TORCH
#: What files of other programs are called, and what their names promise.
PROMISES = {
    **dict.fromkeys((".pkl", ".pickle", ".joblib"), "a pickle"),
    **dict.fromkeys((".npz", ".npy"), "arrays of NumPy"),
    **dict.fromkeys((".gguf", ".ggml"), "GGUF"),
    **dict.fromkeys((".h5", ".hdf5", ".keras"), "HDF5"),
    **dict.fromkeys((".onnx", ".ort"), "ONNX"),
    **dict.fromkeys((".msgpack", ".flax"), "MessagePack"),
    **dict.fromkeys((".pb", ".tflite", ".index", ".meta"), "TensorFlow"),
    **dict.fromkeys((".mlmodel", ".mlpackage"), "Core ML"),
    **dict.fromkeys((".engine", ".plan", ".trt"), "TensorRT"),
    **dict.fromkeys((".zip", ".tar", ".gz", ".tgz", ".xz", ".zst", ".7z"), "an archive"),
    **dict.fromkeys((".json", ".yaml", ".yml", ".toml", ".txt", ".md", ".csv"), "text"),
}
#: Of the index of shards, behind the suffix of the shards.
INDEX = ".index.json"

# The same of a variant, as diffusers and transformers name it: model.safetensors.index.fp16.json.
_INDEX = re.compile(r"\.index(?:\.[a-z0-9_-]+)?\.json", re.IGNORECASE)
# As save_pretrained of transformers counts shards: model-00001-of-00003.safetensors, of a variant
# model-00001-of-00003.fp16.safetensors or model.fp16-00001-of-00003.safetensors.
_SHARD = re.compile(r"(.*)-([0-9]{5})-of-([0-9]{5})((?:\.[A-Za-z0-9_]+)?\.[A-Za-z]+)", re.DOTALL)


def is_called_index(path: str) -> bool:
    """Whether a file is called as the indexes of shards are."""
    return without_index(path) != path


def without_index(path: str) -> str:
    """Return the name of the one file that an index stands for; of others the name itself."""
    found = [one for one in _INDEX.finditer(path) if one.end() == len(path)]
    return path[: found[-1].start()] if found else path


def is_called_checkpoint(path: str) -> bool:
    """Whether a file is called as checkpoints and their indexes are."""
    return path.lower().endswith(SUFFIXES) or is_called_index(path)


#: Put before the suffix of a result that would have the name of its source.
CLEAN = ".clean"
#: The file that lists the parts of a distributed checkpoint, which goes by the name of its folder.
METADATA = ".metadata"
#: What a checkpoint of DeepSpeed is opened by, which goes by the name of its folder, too: the
#: process, and which part of a parted model.
DEEPSPEED = re.compile(r"(?:bf16_)?zero_pp_rank_(\d{1,6})_mp_rank_(\d{1,6})_optim_states\.pt")
# What torch calls safetensors files of parts of tensors: the folder of them is one checkpoint, too.
_PART = re.compile(r"shard-[0-9]{5,}-model-[0-9]{5,}-of-[0-9]{5,}\.safetensors", re.DOTALL)


def is_called_part(name: str) -> bool:
    """Whether a file has the name that torch gives safetensors files of parts of tensors."""
    return _PART.fullmatch(name) is not None


def is_folders_name(name: str) -> bool:
    """Whether a file of this name stands for the checkpoint that its folder is."""
    return name == METADATA or is_called_part(name) or DEEPSPEED.fullmatch(name) is not None


def stem_of(path: str) -> str:
    """Return a file's name without the suffix of its container."""
    name = PurePath(path).name
    if is_folders_name(name):
        # absolute, since the folder may be the one that one works in
        return PurePath(os.path.abspath(path)).parent.name or "model"  # noqa: PTH100
    name = without_index(name)
    for ending in SUFFIXES:
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return name


class ShardName(NamedTuple):
    """A file's name that says which of how many shards it is."""

    stem: str
    number: int
    total: int
    suffix: str

    def __str__(self) -> str:
        return f"{self.stem}-{self.number:05d}-of-{self.total:05d}{self.suffix}"


def shard_name(path: str) -> ShardName | None:
    """Return what the name of a file says of shards, if it does; the stem has the folders."""
    found = _SHARD.fullmatch(path)
    # a file of parts numbers those of its process, which may have no tensor for some of them
    if found is None or is_called_part(PurePath(path).name):
        return None
    stem, number, total, suffix = found.groups()
    return ShardName(stem, int(number), int(total), suffix)


def is_shard_of(name: str, stem: str, suffix: str) -> bool:
    """Whether a file has the name of a shard of ``stem + suffix``."""
    shard = shard_name(name)
    return shard is not None and (shard.stem, shard.suffix) == (stem, suffix)
