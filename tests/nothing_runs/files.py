"""All files of the builders, each where a user could have downloaded it."""

from __future__ import annotations

import json
import pickle
import shutil
import warnings
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple

import torch

from tests.builders import (
    deepspeed,
    distributed,
    foreign,
    hostile_names,
    kinds,
    neighbours,
    pickles,
    safetensors,
    shards,
    torch_files,
    torch_shards,
    zips,
)
from tests.builders.attacks import ATTACKS
from tests.builders.honest import HONEST
from tests.builders.repository import FIXTURES


class Watched(NamedTuple):
    """A file, or a folder.

    Attributes:
        kind: what it is a case of: a technique, a table of defects, a kind of folder.
        path: what a command gets.
        names: dotted names that it would have somebody import.
    """

    kind: str
    path: str
    names: tuple[str, ...] = ()


def laid_out(folder: Path) -> List[Watched]:
    """Write all files below a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    made: List[Watched] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, on what it saves
        for make in (_attacks, _defects, _honest, _models, _foreign, _folders, _texts):
            place = folder / make.__name__.strip("_")
            place.mkdir()
            made += make(place)
    return made


def good(folder: Path) -> Path:
    """A sound file to hold others against."""
    path = folder / "good.safetensors"
    path.write_bytes(safetensors.file())
    return path


# --- single files ------------------------------------------------------------------------


def _attacks(folder: Path) -> Iterator[Watched]:
    for one in ATTACKS:
        path = _written(folder, f"{one.what}{one.suffix}", one.data(str(folder / "ran")))
        yield Watched(one.technique, path, one.names)


def _defects(folder: Path) -> Iterator[Watched]:
    for name, (make, _) in zips.DEFECTS.items():
        yield Watched("defect of a zip", _written(folder, f"{name}.zip.pth", make()))
    for name, (make, _) in safetensors.DEFECTS.items():
        yield Watched("defect of a header", _written(folder, f"{name}.safetensors", make()))
    sound = {
        "zip": torch_files.torch_zip(),
        "legacy": torch_files.torch_legacy(),
        "tar": torch_files.torch_tar(),
    }
    for name, data in sound.items():
        yield Watched("sound", _written(folder, f"{name}.pth", data))
        for share in (2, 3, 10):
            cut = data[: len(data) - len(data) // share]
            yield Watched("cut off", _written(folder, f"{name}-cut-{share}.pth", cut))


def _honest(folder: Path) -> Iterator[Watched]:
    """Values of users, among them those whose class loading needs (SEC003)."""
    for number, one in enumerate(HONEST):
        try:
            body = pickle.dumps({"value": one.make()}, one.protocols[0])
        except ImportError:  # of a library that is not installed
            continue
        path = _written(folder, f"{number}-{one.what}.pth", torch_files.torch_zip(body))
        yield Watched(f"honest: {one.kind}", path)


def _models(folder: Path) -> Iterator[Watched]:
    contents: Dict[str, object] = {case.title: case.content() for case in kinds.CASES}
    contents.update((name, neighbours.tensors(make())) for make, name in neighbours.ALL)
    for name, content in contents.items():
        path = folder / f"{_plain(name)}.pth"
        torch.save(content, path)
        yield Watched("kind of a model", str(path))
    for path in sorted(FIXTURES.glob("torch-1*/*.pth")):
        shutil.copy(path, folder / f"{path.parent.name}-{path.name}")
        yield Watched("file of an old torch", str(folder / f"{path.parent.name}-{path.name}"))


def _foreign(folder: Path) -> Iterator[Watched]:
    for number, (name, (data, _)) in enumerate(foreign.BEGINNINGS.items()):
        yield Watched("foreign", _written(folder, f"{number}-{_plain(name)}.bin", data + bytes(64)))
    for name, (members, _) in foreign.ZIPS.items():
        yield Watched("foreign", _written(folder, f"{name}.zip", foreign.zipped(members)))
        yield Watched("foreign", _written(folder, f"{name}.tar", foreign.tarred(members)))


# --- folders -----------------------------------------------------------------------------


def _body(folder: Path) -> bytes:
    """A pickle that calls os.system."""
    return pickles.pickle(
        pickles.name("os", "system") + pickles.tuple_of(pickles.text(f"touch {folder}/ran")) + b"R"
    )


def _folders(folder: Path) -> Iterator[Watched]:
    for name, build in _FOLDERS.items():
        place = folder / name
        place.mkdir()
        build(place)
        yield Watched(f"folder: {name}", str(place), ("os.system", "evil", "antigravity"))
    for name, (make, _, _) in shards.DEFECTS.items():
        yield Watched("defect of an index", str(make(folder / f"index-{name}")))


def _distributed(folder: Path) -> None:
    distributed.good(folder)


def _listing_of_code(folder: Path) -> None:
    distributed.good(folder)
    (folder / ".metadata").write_bytes(_body(folder))


def _parts_of_code(folder: Path) -> None:
    distributed.good(folder)
    for part in folder.glob("*.distcp"):
        part.write_bytes(foreign.distributed(_body(folder), _body(folder)))


def _deepspeed(folder: Path) -> None:
    deepspeed.stage_2(folder)


def _deepspeed_of_code(folder: Path) -> None:
    deepspeed.stage_3(folder)
    for part in sorted(folder.rglob("*.pt"))[:2]:
        part.write_bytes(torch_files.torch_zip(_body(folder)))
    # what the script is that DeepSpeed itself puts beside a checkpoint, for people to run
    (folder / "zero_to_fp32.py").write_text(_TOUCH.format(folder))


def _shards_of_code(folder: Path) -> None:
    torch_shards.good(folder)
    (folder / torch_shards.SECOND).write_bytes(torch_files.torch_zip(_body(folder)))


def _index_that_leads_out(folder: Path) -> None:
    shards.good(folder)
    (folder / "modeling_evil.py").write_text(_TOUCH.format(folder))
    led = {"a": "../../../../etc/passwd", "b": "/etc/passwd", "c": "modeling_evil.py", "d": "-"}
    shards.write(folder, led)


_TOUCH = "open({!r} + '/ran', 'w').write('ran')\n"
_MODULES = "evil antigravity this sitecustomize usercustomize conftest torch numpy json ckpttool"


def _modules_beside(folder: Path) -> None:
    """Modules with the names of those that a tool imports, in the folder where it is called."""
    (folder / "model.safetensors").write_bytes(safetensors.file())
    for name in _MODULES.split():
        (folder / f"{name}.py").write_text(_TOUCH.format(str(folder)))


def _remote_code(folder: Path) -> None:
    """A model of Hugging Face whose configuration names code of its own."""
    (folder / "model.safetensors").write_bytes(safetensors.file())
    (folder / "modeling_evil.py").write_text(_TOUCH.format(str(folder)))
    config = {
        "architectures": ["EvilModel"],
        "model_type": "evil",
        "auto_map": {"AutoModel": "modeling_evil.Evil", "AutoConfig": "modeling_evil.Config"},
        "trust_remote_code": True,
        "custom_pipelines": {"evil": {"impl": "modeling_evil.Pipeline"}},
        "_attn_implementation": "evil/kernel",
        "quantization_config": {"quant_method": "evil", "modules_to_not_convert": ["a(a+)+$"]},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"auto_map": {"AutoTokenizer": "evil"}})
    )
    index = {"_class_name": "EvilPipeline", "unet": ["evil.module", "Unet"]}
    (folder / "model_index.json").write_text(json.dumps(index))


def _adapter_of_code(folder: Path) -> None:
    (folder / "adapter_model.bin").write_bytes(torch_files.torch_zip(_body(folder)))
    config = {
        "peft_type": "LORA",
        "base_model_name_or_path": "http://w.example/model",
        "auto_mapping": {"base_model_class": "Evil", "parent_library": "antigravity"},
        "target_modules": "(a+)+$",
        "r": 2,
        "lora_alpha": 4,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))


def _configured(folder: Path) -> None:
    """Configurations beside hostile files, which a run finds by itself."""
    (folder / "model.pth").write_bytes(torch_files.torch_zip(_body(folder)))
    name = json.dumps(hostile_names.SHORT.replace("\ud800", ""))
    (folder / "ckpttool.toml").write_text(
        f'trust = ["os.*", "evil", {name}]\nschema = "evil:factory"\nexample = "evil:inputs"\n'
        'checkpoint = "model.pth"\nlock = "../../../etc/passwd"\nformat = "html"\n'
    )
    (folder / "pyproject.toml").write_text(
        '[tool.ckpttool]\ntrust = ["*"]\nschema = "antigravity:x"\n[build-system]\n'
        'requires = ["evil"]\n'
    )


def _names(folder: Path) -> None:
    """A file whose every name is hostile."""
    state = {f"{number}{name}": 4 for number, name in enumerate(hostile_names.ALL)}
    told = {name.encode("utf-8", "replace").decode(): size for name, size in state.items()}
    (folder / "names.safetensors").write_bytes(safetensors.sharing(told, {"format": "pt"}))


def _empty(folder: Path) -> None:
    (folder / "empty.pth").write_bytes(b"")


_FOLDERS: Dict[str, Callable[[Path], None]] = {
    "of several processes": _distributed,
    "of several processes, the listing code": _listing_of_code,
    "of several processes, the parts code": _parts_of_code,
    "of DeepSpeed": _deepspeed,
    "of DeepSpeed with code": _deepspeed_of_code,
    "of torch shards with code": _shards_of_code,
    "with an index that leads out": _index_that_leads_out,
    "with modules beside": _modules_beside,
    "with remote code": _remote_code,
    "with an adapter of code": _adapter_of_code,
    "with configurations": _configured,
    "with hostile names": _names,
    "with nothing": _empty,
}


# --- texts: what is neither weights nor a folder -----------------------------------------


def _texts(folder: Path) -> Iterator[Watched]:
    name = hostile_names.SHORT.replace("\ud800", "")
    lock = f"# ckpttool lock file, version 1\n{name}\n"
    documents: Dict[str, object] = {
        "schema.json": {"ckpttool_schema": 1, "tensors": {name: {"dtype": "F32", "shape": [1]}}},
        "receipt.json": {"tool": "ckpttool", "receipt": {"sources": [name]}, "files": [name]},
        "result.json": {"tool": "ckpttool", "schema_version": 1, "command": "verify", "files": []},
        "model.safetensors.index.json": {"weight_map": {name: "evil.py"}},
        # a config.json without weights beside it is read by transformers, which has its own test
        "deep.json": json.loads("[" * 500 + "]" * 500),
    }
    for file, document in documents.items():
        yield Watched("text", _written(folder, file, json.dumps(document).encode()))
    texts = {
        "hostile.lock": lock,
        "renames.toml": f"rename = [[{json.dumps(name)}, 'a']]\njoin = ['evil']\n",
        "names.txt": "-\n--help\n$(touch ran)\n`touch ran`\n",
        "run.py": _TOUCH.format(str(folder)),
        "run.sh": f"#!/bin/sh\ntouch {folder}/ran\n",
        "picture.eps": "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(ran) (w) file\n%%EOF\n",
        "picture.svg": f'<svg xmlns="http://www.w3.org/2000/svg"><script>{name}</script></svg>',
    }
    for file, text in texts.items():
        yield Watched("text", _written(folder, file, text.encode()))


def _written(folder: Path, name: str, data: bytes) -> str:
    path = folder / _plain(name)
    path.write_bytes(data)
    return str(path)


def _plain(name: str) -> str:
    return "".join(one if one.isalnum() or one in ".-_ " else "_" for one in name)
