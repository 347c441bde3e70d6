"""What the folders of a release are for, by the files in them that say so.

A pipeline of diffusers has a ``model_index.json``, which names the class of each folder; a model of
diffusers or transformers a ``config.json``, an adapter of PEFT an ``adapter_config.json``. Nothing
is imported, and what such a file says proves nothing about the weights.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Iterable, Iterator, Mapping

from ckpttool.files.sources import FileSource
from ckpttool.files.strict_json import strict_json
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError
from ckpttool.findings.listing import Component

if TYPE_CHECKING:
    from ckpttool.findings.inventory import Item

_PIPELINE, _CONFIGS = "model_index.json", ("config.json", "adapter_config.json")
_CLASS = "_class_name"
# Kinds of adapters as PEFT spells them -> as people do.
_WRITTEN = {"LORA": "LoRA", "ADALORA": "AdaLoRA"}
# Far above honest files: one of a stranger must not keep the run busy.
_LARGEST = 1_000_000


def components(items: Iterable[Item]) -> Iterator[Component]:
    """Yield what each folder is for that a file among the items says something of.

    What a pipeline says of its folders counts before what these say of themselves.
    """
    paths = sorted({item.path for item in items if not item.path.endswith("/")})
    found: dict[str, Component] = {}
    for name in (_PIPELINE, *_CONFIGS):
        for path in paths:
            if os.path.basename(path) == name:  # noqa: PTH119 (as it was found)
                for one in _told(path):
                    found.setdefault(one.folder, one)
    yield from found.values()


def _told(path: str) -> Iterator[Component]:
    folder, name = os.path.split(path)
    said = _read(path)
    if name != _PIPELINE:
        words = _of_adapter(said) if name == _CONFIGS[1] else _of_model(said)
        if words:
            yield Component(folder, words, name)
        return
    words = _text(said.get(_CLASS))
    if words:
        yield Component(folder, words, name)
    for part, row in said.items():
        # the library and the class; null for a part that the pipeline can do without
        if isinstance(row, list) and len(row) == 2 and _text(row[1]) and _is_name(part):
            yield Component(str(Path(folder) / part), row[1], name)


def _is_name(part: str) -> bool:
    return bool(part) and part not in {os.curdir, os.pardir} and not {"/", "\\", "\0"} & set(part)


def _of_model(said: Mapping[str, object]) -> str:
    classes = said.get("architectures")
    first = classes[0] if isinstance(classes, list) and classes else None
    return _text(said.get(_CLASS)) or _text(first) or _text(said.get("model_type"))


def _of_adapter(said: Mapping[str, object]) -> str:
    kind = _text(said.get("peft_type"))
    kind = _WRITTEN.get(kind, kind)
    return f"{kind} adapter" if kind else ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _read(path: str) -> Mapping[str, object]:
    """Return what a file says; nothing of one that is broken, which the inventory lists too."""
    try:
        if os.stat(path).st_size > _LARGEST:  # noqa: PTH116 (any text may be a path here)
            return {}
        with closing(FileSource(path)) as source:
            said = strict_json(source, rules.CONFIG_MALFORMED)
    except (CkpttoolError, OSError):
        return {}
    return said if isinstance(said, dict) else {}


def sizes(items: Iterable[Item]) -> dict[str, int]:
    """Return the bytes of each file among the items, by its path; of folders nothing."""
    found = {}
    for item in items:
        try:
            if not item.path.endswith("/"):
                found[item.path] = os.stat(item.path).st_size  # noqa: PTH116
        except OSError:
            continue
    return found
