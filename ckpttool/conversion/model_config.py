"""The ``config.json`` beside weights in a naming convention whose loader needs one."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Mapping, NamedTuple

from ckpttool.conversion.naming import file_names
from ckpttool.files.sources import FileSource, read_bytes
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.unambiguous_json import RepeatedKeyError, parsed
from ckpttool.formats.state_dicts.settings import settings_of

if TYPE_CHECKING:
    from ckpttool.conversion.options import ConvertOptions
    from ckpttool.conversion.selecting import TensorSelection
    from ckpttool.models.family import Family, Shape
    from ckpttool.tensors.catalogue import Checkpoint

CONFIG = "config.json"
# A larger file is no configuration of a model.
_MAX_SIZE = 1 << 20


class ModelConfig(NamedTuple):
    """The ``config.json`` of a result.

    Attributes:
        path: where; ``None`` if there is none, since the model is not known.
        content: what to write; ``None`` if one that agrees is there.
        findings: why there is none, what was assumed, what one that is there contradicts.
    """

    path: str | None = None
    content: bytes | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def kept(self) -> bool:
        """Whether there is one that stays as it is."""
        return self.path is not None and self.content is None


def config_of(
    checkpoint: Checkpoint, selection: TensorSelection, destination: str, options: ConvertOptions
) -> ModelConfig:
    """Return the ``config.json`` for the result; none for most conventions.

    An existing one is kept if it agrees with the weights, and else replaced only by force.
    """
    spelled = selection.spelled
    if spelled is None or not file_names(options.layout):
        return ModelConfig()
    family, shapes = spelled.family, spelled.shapes
    path = os.path.join(os.path.dirname(destination), CONFIG)  # noqa: PTH118, PTH120
    theirs = _read(os.path.join(os.path.dirname(checkpoint.path), CONFIG))  # noqa: PTH118, PTH120
    settings = _settings(checkpoint, family, shapes, theirs)
    if settings is None:
        return ModelConfig(findings=(_unknown(family),))
    if os.path.lexists(path):
        wrong = _contradictions(_read(path), settings.shown)
        if not wrong:
            return ModelConfig(path)
        if not options.force:
            return ModelConfig(findings=(_contradicted(path, wrong),))
    content = json.dumps(settings.all, indent=2, sort_keys=True).encode("ascii") + b"\n"
    return ModelConfig(path, content, settings.findings)


class _Settings(NamedTuple):
    """What a ``config.json`` is to hold, and what of it the shapes show."""

    all: Mapping[str, object]
    shown: Mapping[str, object]
    findings: tuple[Finding, ...] = ()


def _settings(
    checkpoint: Checkpoint,
    family: Family,
    shapes: Mapping[str, Shape],
    theirs: Mapping[str, object] | None,
) -> _Settings | None:
    """Return the settings of the model that has these tensors, ``None`` if it is not known."""
    config_file = family.config_file
    for sizes in family.sizes.values():
        expected = family.shapes(sizes)
        core = [name for name in expected if family.group_of(name) == family.core]
        full = len(shapes) == len(expected)
        if dict(shapes) not in (dict(expected), {name: expected[name] for name in core}):
            continue
        shown = {**config_file.of_size(sizes, full), **config_file.of_shapes(shapes)}
        normalised = _normalised(checkpoint, config_file.normalised, theirs)
        whole = config_file.written(sizes, full, normalised) if config_file.written else {}
        return _Settings({**whole, **shown, "model_type": config_file.model_type}, shown)
    return None


def _normalised(
    checkpoint: Checkpoint, published: str, theirs: Mapping[str, object] | None
) -> bool:
    """Return whether the model was trained on normalised pixels, by the first who says so."""
    for setting in settings_of(checkpoint).values():
        if setting.name == "norm_pix_loss" and isinstance(setting.value, bool):
            return setting.value
    said = (theirs or {}).get("norm_pix_loss")
    if isinstance(said, bool):
        return said
    name = os.path.split(checkpoint.path)[1]
    return re.fullmatch(published, name, re.DOTALL) is not None


def _read(path: str) -> dict[str, object] | None:
    """Return what a ``config.json`` says; ``None`` if it is not there or no such file."""
    try:
        source = FileSource(path)
    except CkpttoolError:
        return None
    try:
        if source.size > _MAX_SIZE:
            return None
        found = parsed(read_bytes(source, 0, source.size).decode(), int)
    except (CkpttoolError, RepeatedKeyError, ValueError, RecursionError):
        return None
    finally:
        source.close()
    return found if isinstance(found, dict) else None


def _contradictions(found: Mapping[str, object] | None, wanted: Mapping[str, object]) -> list[str]:
    """Return what a ``config.json`` says otherwise, a text each; an absent key says nothing."""
    if found is None:
        return ["it is no JSON object"]
    return [
        f"{key} {json.dumps(found[key])[:80]}, and it is {json.dumps(value)}"
        for key, value in wanted.items()
        # True is 1 in Python and not in JSON; an image may be a number or twice the same
        if key in found
        and (found[key] != value or isinstance(found[key], bool) != isinstance(value, bool))
        and found[key] != [value, value]
    ]


def _unknown(family: Family) -> Finding:
    return finding(
        rules.NO_CONFIG,
        f"no {CONFIG} is written: the tensors are not those of a known {family.name} model, whole "
        "or its encoder alone",
        fix=f"Write the {CONFIG} by hand, or take that of the model it was made from.",
    )


def _contradicted(path: str, wrong: list[str]) -> Finding:
    return finding(
        rules.CONFIG_THERE,
        f"a {CONFIG} that describes another model is at the destination: {'; '.join(wrong)}",
        found=path,
        fix="Remove it, replace it with --force, or name another folder with -o.",
    )
