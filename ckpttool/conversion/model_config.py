"""The ``config.json`` beside weights in a naming convention whose loader needs one."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Mapping, NamedTuple, Sequence

from ckpttool.conversion.naming import file_names
from ckpttool.files.sources import FileSource, read_bytes
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import printable
from ckpttool.findings.unambiguous_json import RepeatedKeyError, parsed
from ckpttool.formats.state_dicts.settings import settings_of
from ckpttool.models.choosing import Said, choose
from ckpttool.models.family import Kind

if TYPE_CHECKING:
    from ckpttool.conversion.options import ConvertOptions
    from ckpttool.conversion.selecting import TensorSelection
    from ckpttool.models.canonical import Canonical
    from ckpttool.tensors.catalogue import Checkpoint

CONFIG = "config.json"
# Whether the loss is on normalised pixels: no shape shows it, and the model computes with either.
_NORMALISED = "norm_pix_loss"
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

    It is written where a loader looks for it: beside a file of the name that it looks for, and not
    in a folder of other checkpoints. An existing one is kept if it agrees with the weights; if not,
    it is replaced only by force.
    """
    spelled = selection.spelled
    name = file_names(options.layout).get(options.to)
    if spelled is None or name is None:
        return ModelConfig()
    if any(one.severity is Severity.ERROR for one in spelled.findings):
        return ModelConfig()
    if os.path.basename(destination) != name:  # noqa: PTH119
        return ModelConfig(findings=(_not_looked_for(destination, name),))
    path = os.path.join(os.path.dirname(destination), CONFIG)  # noqa: PTH118, PTH120
    settings = _settings(checkpoint, spelled.source, options)
    if settings is None:
        return ModelConfig(findings=(_unknown(spelled.source),))
    if os.path.lexists(path):
        wrong = _contradictions(read_config(path), settings.shown)
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
    checkpoint: Checkpoint, canonical: Canonical, options: ConvertOptions
) -> _Settings | None:
    """Return the settings of a model with exactly these tensors; ``None`` if there is none."""
    said = _said(checkpoint, canonical)
    # what lies beside the source says the size of images that it was for
    image = options.resize_pos_embed
    sizes = None if image is None else {"img_size": image}
    judged = choose(canonical, sizes=sizes, said=said)
    family, full = judged.family, judged.kind is Kind.FULL
    config_file = family.config_file
    written = config_file.written and config_file.written(judged.config, full)
    if not written:
        return None
    shapes = {name: info.shape for name, info in canonical.tensors.items()}
    expected = {
        name: tuple(shape)
        for name, shape in family.shapes(judged.config).items()
        if full or family.group_of(name) == family.core
    }
    if shapes != expected:
        return None
    shown = {**config_file.of_size(judged.config, full), **config_file.of_shapes(shapes)}
    assumed = list(judged.assumed)
    if re.fullmatch(config_file.normalised, os.path.split(checkpoint.path)[1], re.DOTALL):
        written[_NORMALISED] = True
    elif full and not any(
        _NORMALISED in (key, key.rpartition(".")[2]) for key in (*said.config, *said.arguments)
    ):
        assumed.append(f"{_NORMALISED} {json.dumps(written[_NORMALISED])}: assumed")
    if judged.assumed:  # what no shape shows may be otherwise in a config.json that is there
        shown = {key: value for key, value in shown.items() if key not in config_file.unseen}
    findings = (_assumed(assumed),) if assumed else ()
    return _Settings({**written, **shown}, shown, findings)


def _said(checkpoint: Checkpoint, canonical: Canonical) -> Said:
    """Return what the file and the ``config.json`` beside it say of the model."""
    config = read_config(os.path.join(os.path.dirname(checkpoint.path), CONFIG)) or {}  # noqa: PTH118, PTH120
    mine = canonical.family.config_file.model_type if canonical.family else None
    if config.get("model_type", mine) != mine:  # of another model that lies in the folder
        config = {}
    arguments = {name: setting.value for name, setting in settings_of(checkpoint).items()}
    return Said(config, arguments)


def read_config(path: str) -> dict[str, object] | None:
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
        return ["it is not a JSON object"]
    return [
        f"{key} {json.dumps(found[key])[:80]}, and it is {json.dumps(value)}"
        for key, value in wanted.items()
        # True is 1 in Python and not in JSON; an image may be a number or twice the same
        if key in found
        and (found[key] != value or isinstance(found[key], bool) != isinstance(value, bool))
        and found[key] != [value, value]
    ]


def _not_looked_for(destination: str, name: str) -> Finding:
    called = printable(os.path.basename(destination))  # noqa: PTH119
    return finding(
        rules.NO_CONFIG,
        f"no {CONFIG} is written: a folder is loaded by {name}, and the file is called {called}",
        severity=Severity.NOTE,
        fix=f"Name a folder that exists with -o; the file is then called {name}.",
    )


def _unknown(canonical: Canonical) -> Finding:
    family = canonical.family
    model = (
        f"a {family.config_file.model_type} model, nor of its {family.core} alone" if family else ""
    )
    return finding(
        rules.NO_CONFIG,
        f"no {CONFIG} is written: the tensors are not all those of {model or 'a known model'}",
        fix=f"Write the {CONFIG} by hand, or take that of the model it was made from.",
    )


def _assumed(lines: Sequence[str]) -> Finding:
    return finding(
        rules.CONFIG_ASSUMED,
        f"the {CONFIG} says what no shape shows: {'; '.join(map(printable, lines))}",
        fix=f"Compare it with the model's code, and change it in {CONFIG} if it is otherwise.",
    )


def _contradicted(path: str, wrong: list[str]) -> Finding:
    return finding(
        rules.CONFIG_THERE,
        f"a {CONFIG} that describes another model is at the destination: {'; '.join(wrong)}",
        found=path,
        fix="Remove it, replace it with --force, or name another folder with -o.",
    )
