"""Files and folders in which a name is hostile, one for each place where a name may stand."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import torch

from ckpttool.verification.lock.writing import render
from tests.builders import checkpoints, pickles, safetensors, torch_files
from tests.builders import locks as made_by_hand
from tests.builders.zips import MEMBERS, archive

State = Dict[str, Any]
#: Makes a file, and says which one and which options the commands get.
Build = Callable[[Path, str], Tuple[Path, List[str]]]


def encodable(name: str) -> str:
    """Return a name as UTF-8 holds it."""
    return name.encode("utf-8", "replace").decode()


def of_a_file(name: str, suffix: str = ".pth") -> str:
    """Return a name as a file system holds it: short, without slashes and NUL."""
    plain = encodable(name).replace("/", "_").replace("\0", "_")
    return plain.encode()[:180].decode(errors="ignore") + suffix


def _saved(folder: Path, content: object, name: str = "a.pth") -> Path:
    torch.save(content, folder / name)
    return folder / name


def tensors(folder: Path, name: str) -> Tuple[Path, List[str]]:
    """Names of tensors, of the model and beside it."""
    odd = {name: torch.ones(2), f"{name}.0.{name}": torch.tensor([float("nan"), 1.0])}
    return _saved(folder, {"model": {**checkpoints.state(), **odd}}), []


def tensors_of_safetensors(folder: Path, name: str) -> Tuple[Path, List[str]]:
    """The same in a header, with metadata."""
    path = folder / "a.safetensors"
    text = encodable(name)
    told = {text: text, "format": "pt", f"{text}2": "b"}
    path.write_bytes(safetensors.sharing({text: 4, f"{text}.b": 8}, told))
    return path, []


def wrappers(folder: Path, name: str) -> Tuple[Path, List[str]]:
    """Keys of containers, two of which hold state dicts."""
    content = {name: {"model": checkpoints.state()}, f"{name}b": {"w": torch.ones(3)}}
    return _saved(folder, content), []


def wrapper_that_is_asked_for(folder: Path, name: str) -> Tuple[Path, List[str]]:
    """A key on the command line that is not there."""
    return _saved(folder, {"model": checkpoints.state()}), ["--wrapper", name.replace("\0", "")]


def beside_the_weights(folder: Path, name: str) -> Tuple[Path, List[str]]:
    """Settings, texts and keys that a training run leaves, a credential among them."""
    args = Namespace(lr=0.1, model=name, resume=f"/home/{name}/a.pth")
    beside = {"args": args, name: [name, {name: name}], "api_key": f"hf_{'a' * 30}{name}"}
    return _saved(folder, {"model": checkpoints.state(), **beside}), []


def calls(folder: Path, name: str) -> Tuple[Path, List[str]]:
    """A module and an attribute that the pickle calls, and an argument."""
    module, attribute = (encodable(name).replace("\n", "\x0b") for _ in "ab")
    call = pickles.name(module, attribute) + pickles.tuple_of(pickles.text(encodable(name))) + b"R"
    path = folder / "a.pth"
    path.write_bytes(torch_files.torch_zip(pickles.pickle(call)))
    return path, []


def files(folder: Path, name: str) -> Tuple[Path, List[str]]:
    """The name of the file and of its folder."""
    place = folder / of_a_file(name, "")
    place.mkdir()
    return _saved(place, {"model": checkpoints.state()}, of_a_file(name)), []


def folders(folder: Path, name: str) -> Tuple[Path, List[str]]:
    """Files of a folder: one that is checked, one that is not looked at, a link, one excluded."""
    place = folder / "release"
    place.mkdir()
    _saved(place, {"model": checkpoints.state()}, of_a_file(name))
    (place / of_a_file(name, ".log")).write_text(encodable(name))
    (place / of_a_file(name, ".onnx")).write_bytes(b"\x08\x07")
    (place / of_a_file(name, ".bin")).symlink_to(folder / of_a_file(name, ".nowhere"))
    return place, []


def members(folder: Path, name: str) -> Tuple[Path, List[str]]:
    """The names of what lies in an archive."""
    path = folder / "a.pth"
    raw = name.encode("utf-8", "surrogatepass")[:200]
    odd = MEMBERS[1]._replace(name=raw)
    path.write_bytes(archive(*MEMBERS, odd))
    return path, []


def indexes(folder: Path, name: str) -> Tuple[Path, List[str]]:
    """An index: names of tensors and of shards, and metadata."""
    (folder / "a.safetensors").write_bytes(safetensors.sharing({"x": 4}))
    places = {"x": "a.safetensors", name: "a.safetensors", f"{name}.b": "a.safetensors"}
    index = {"metadata": {name: name}, "weight_map": places}
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps(index))
    return path, []


def configurations_of_models(folder: Path, name: str) -> Tuple[Path, List[str]]:
    """A config.json beside the weights."""
    config = {"model_type": name, "architectures": [name], "_name_or_path": name, name: name}
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": config}))
    return tensors_of_safetensors(folder, name)


def adapters(folder: Path, name: str) -> Tuple[Path, List[str]]:
    """A configuration of an adapter."""
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": name, "base_model_name_or_path": name}
    (folder / "adapter_config.json").write_text(json.dumps({**config, "target_modules": [name]}))
    path = folder / "adapter_model.safetensors"
    path.write_bytes(safetensors.sharing({f"base_model.model.{encodable(name)}.lora_A.weight": 8}))
    return path, []


def policies(folder: Path, name: str) -> Tuple[Path, List[str]]:
    """A configuration of the tool: waivers, patterns, and a key that it does not know."""
    text = json.dumps(encodable(name).replace("\x7f", ""))
    (folder / "ckpttool.toml").write_text(
        f'trust = [{text}]\n[[waivers]]\ncode = "NUM001"\n'
        f"reason = {text}\nowner = {text}\ntensors = {text}\nexpires = 2099-01-01\n",
        encoding="utf-8",
    )
    return _saved(folder, {"model": checkpoints.state()}), []


def schemas(folder: Path, name: str) -> Tuple[Path, List[str]]:
    """A schema file with names that the checkpoint has not, and the other way round."""
    path, _ = tensors_of_safetensors(folder, name)
    tensors = {"dtype": "float32", "shape": [2], "names": [encodable(f"{name}c"), "x"]}
    schema = {"ckpttool_schema": 1, "name": name, "tensors": [tensors]}
    (folder / "schema.json").write_text(json.dumps(schema))
    return path, ["--schema", str(folder / "schema.json")]


def locks(folder: Path, name: str) -> Tuple[Path, List[str]]:
    """A lock file that names another file, other tensors and another model."""
    path = _saved(folder, {"model": checkpoints.state()})
    locked = made_by_hand.checkpoint(encodable(name), encodable(name), "norm.weight")
    (folder / "a.lock").write_text(render([locked]), encoding="utf-8")
    return path, ["--lock", str(folder / "a.lock")]


#: By where the name stands.
SOURCES: Dict[str, Build] = {
    "tensors": tensors,
    "tensors of safetensors": tensors_of_safetensors,
    "wrappers": wrappers,
    "a wrapper that is asked for": wrapper_that_is_asked_for,
    "beside the weights": beside_the_weights,
    "calls": calls,
    "files": files,
    "folders": folders,
    "members of an archive": members,
    "indexes": indexes,
    "configurations of models": configurations_of_models,
    "adapters": adapters,
    "policies": policies,
    "schemas": schemas,
    "locks": locks,
}
