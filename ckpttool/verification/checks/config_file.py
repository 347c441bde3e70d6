"""Checks on the config.json beside the weights: does it describe their model?"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Iterator, NamedTuple

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.formats.state_dicts.settings import settings_of
from ckpttool.models.family import Kind

if TYPE_CHECKING:
    from ckpttool.verification.evidence import Evidence

# Characters of a value that are shown.
_LONGEST = 80


class _Setting(NamedTuple):
    key: str
    expected: object
    found: object

    @property
    def differs(self) -> bool:
        """Whether the config says something else."""
        # True == 1 in Python, but not in JSON; 1.0 is as good as 1
        kinds = isinstance(self.found, bool) == isinstance(self.expected, bool)
        return not kinds or self.found != self.expected


def check_config(evidence: Evidence) -> Iterator[Finding]:
    """A config.json that cannot be read, or that describes another model."""
    problem = evidence.release_files.config_problem
    if problem is not None:
        yield finding(
            rules.CONFIG_MALFORMED,
            f"the config.json beside the weights is not valid: {problem}",
        )
        return
    if evidence.is_other or not evidence.has_roles:
        return  # an error already; what a config of another model must say is not known
    config = evidence.release_files.config or {}
    model_type = evidence.family.config_file.model_type
    kind = config.get("model_type", model_type)  # an absent key contradicts nothing
    whole = evidence.judged is None or evidence.judged.kind is Kind.FULL
    theirs = () if whole else evidence.family.config_file.of_core
    # a classifier has a head that the model of this family has no place for
    headed = evidence.judged is not None and evidence.judged.kind is Kind.CLASSIFIER
    named = theirs if headed else (model_type, *theirs)
    if kind != model_type and kind not in theirs:
        yield finding(
            rules.CONFIG_MODEL_TYPE,
            "the config.json beside the weights names another kind of model",
            expected=" or ".join(named),
            found=_spelled(kind),
            fix=f'Set "model_type": {" or ".join(map(json.dumps, named))}, unless the weights are '
            "meant for that other model.",
        )
    yield from _contradictions(evidence, config)
    yield from _eps(evidence, config)
    yield from _norm_pix_loss(evidence, config)


def _contradictions(evidence: Evidence, config: dict[str, object]) -> Iterator[Finding]:
    full = not all(group.absent for group in evidence.coverage.others.values())
    of_model = evidence.family.config_file.of_size(evidence.config, full)
    wrong = [
        setting
        for key, expected in _expected(evidence, of_model).items()
        if key in config
        for setting in [_Setting(key, expected, _one_number(config[key]))]
        # where a config describes the model, and the file has less of it, the file is wrong
        if setting.differs and _Setting(key, of_model.get(key, ...), setting.found).differs
    ]
    if wrong:
        keys = ", ".join(setting.key for setting in wrong)
        yield finding(
            rules.CONFIG_CONTRADICTS,
            f"the config.json beside the weights describes another model: {keys}",
            expected=", ".join(f"{one.key} {_spelled(one.expected)}" for one in wrong),
            found=", ".join(f"{one.key} {_spelled(one.found)}" for one in wrong),
            fix="In config.json, set "
            + ", ".join(f"{json.dumps(one.key)}: {json.dumps(one.expected)}" for one in wrong)
            + ".",
        )


def _expected(evidence: Evidence, of_model: dict[str, object]) -> dict[str, object]:
    """Return what a config must say: what the shapes show, the rest by the size of the file."""
    shapes = {name: info.shape for name, info in evidence.canonical.tensors.items()}
    settings = evidence.family.config_file
    expected = settings.of_shapes(shapes)
    said = evidence.judged.assumed if evidence.judged else ()
    if said:  # what was assumed, or taken from the config itself, is not held against it
        of_model = {key: value for key, value in of_model.items() if key not in settings.unseen}
    return {**of_model, **expected}


def _one_number(value: object) -> object:
    """Return 224 for [224, 224], as transformers lets a config give height and width."""
    pair = _pair(value)
    return pair[0] if pair and pair[0] == pair[1] else value


def _pair(value: object) -> list[object] | None:
    """Return a pair of plain values; nothing nested, which may be too deep to write."""
    if not isinstance(value, list) or len(value) != 2:
        return None
    return None if any(isinstance(one, (list, dict)) for one in value) else value


def _spelled(value: object) -> str:
    if isinstance(value, (list, dict)) and _pair(value) is None:
        return "a list" if isinstance(value, list) else "an object"
    return str(value).lower() if isinstance(value, bool) else str(value)[:_LONGEST]


def _eps(evidence: Evidence, config: dict[str, object]) -> Iterator[Finding]:
    # apart from the other settings, and a warning: the hub's own config differs from the code
    stated, expected = config.get("layer_norm_eps", ...), evidence.config.layer_norm_eps
    if stated is not ... and _Setting("", expected, stated).differs:  # null is a value
        yield finding(
            rules.CONFIG_EPS,
            "the config.json beside the weights has another layer_norm_eps than the original code",
            expected=f"{expected:g}",
            found=_spelled(stated),
            fix="If the code of the published weights trained these too, set "
            f'"layer_norm_eps": {json.dumps(expected)}.',
        )


def _norm_pix_loss(evidence: Evidence, config: dict[str, object]) -> Iterator[Finding]:
    known = _trained_with(evidence) if config else None
    # a config that leaves it out means false, which is the model's default
    stated = config.get("norm_pix_loss", False)
    model_type = evidence.family.config_file.model_type
    if known is None or config.get("model_type", model_type) != model_type:
        return
    expected, why = known
    if stated is not expected:
        yield finding(
            rules.CONFIG_NORM_PIX,
            "the config.json beside the weights has another norm_pix_loss than the training run",
            expected=f"{_spelled(expected)}, by {why}",
            found=_spelled(stated) if "norm_pix_loss" in config else "none, which means false",
            fix=f'In config.json, set "norm_pix_loss": {_spelled(expected)}.',
        )


def _trained_with(evidence: Evidence) -> tuple[bool, str] | None:
    """Return the norm_pix_loss of the training run and where it is known from, if anywhere."""
    checkpoint = evidence.checkpoint
    # the arguments of the training run, which the MAE code saves beside the weights
    for setting in settings_of(checkpoint).values():
        if setting.name == "norm_pix_loss" and isinstance(setting.value, bool):
            return setting.value, f"{setting.key} in the file"
    name = os.path.split(checkpoint.path)[1]
    normalised = re.fullmatch(evidence.family.config_file.normalised, name, re.DOTALL)
    return (True, f"the published name {name}") if normalised else None
