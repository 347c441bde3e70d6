"""Checks on names against the model: which it is, what is missing, what it has no place for."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Collection, Iterable, Iterator, Sequence

from ckpttool.files.suffixes import is_called_index, shard_name
from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.holes import clause, missing_in_words, places_in_words
from ckpttool.findings.name_filter import tip
from ckpttool.findings.names import summarise
from ckpttool.findings.patterns import matches
from ckpttool.findings.results import LOAD_STATE_DICT
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import count, meant
from ckpttool.formats.objects.beside import tensors_beside
from ckpttool.models.canonical import canonicalize
from ckpttool.models.coverage import parts_in_blocks
from ckpttool.models.family import FULL, Kind, depth_of
from ckpttool.verification.checks.behind import LOW_RANK, Behind, behind_a_prefix, has_adapters
from ckpttool.verification.options import BESIDE
from ckpttool.verification.release_files import can_be_built

if TYPE_CHECKING:
    from ckpttool.findings.results import GroupCoverage
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.verification.evidence import Evidence

_FROM_CONFIG = f"ckpttool verify PATH --schema {BESIDE}."
_CONVERT = "ckpttool convert PATH --to safetensors"
_ADAPTER = (
    "Hold the model that they are for against it, once they are merged; or use --schema none. "
    "ckpttool prove --adapter shows whether they are merged into a model."
)
_MERGE = "Merge the adapters first: save what merge_and_unload() of the PEFT model returns."
_FEW = 4  # tensors that a fix names one by one
_PLAIN = re.compile(r"[A-Za-z_][\w.]*\*?")


def check_model(evidence: Evidence) -> Iterator[Finding]:
    """Tell a checkpoint that has nothing in common with the model from an incomplete one."""
    tensors = evidence.canonical.tensors
    if not tensors:
        which = " that is read" if evidence.checkpoint.unread else ""
        yield finding(rules.NO_TENSORS, f"there is no tensor in the checkpoint{which}")
    elif evidence.unknown:
        if evidence.companion is not None:  # which says what it must hold
            return
        yield finding(rules.NO_SCHEMA, _as_unknown(evidence), fix=_ways_to_a_schema(evidence))
    elif evidence.is_other:
        behind = _behind(evidence)
        yield finding(
            rules.OTHER_MODEL,
            _as_other(evidence, behind),
            expected=summarise(list(evidence.coverage.core.missing)[:4], 4),  # shows the spelling
            found=summarise(tensors, 4),
            fix=_taking_off(evidence, behind)
            or _other_state_dict(evidence, evidence.coverage.core.missing),
        )


def _behind(evidence: Evidence) -> Behind | None:
    reference = evidence.reference
    if reference is None or not evidence.coverage.unrelated:
        return None
    return behind_a_prefix(evidence.canonical.tensors, reference.schema.entries)


def _taking_off(evidence: Evidence, behind: Behind | None) -> str | None:
    """Say how the names become those of the schema, where all that is wrong with them is known."""
    if evidence.reference is not None and has_adapters(evidence.canonical.tensors):
        return _MERGE if behind else _ADAPTER
    if behind is None or not _PLAIN.fullmatch(behind.prefix):
        return None
    first = f"--strip-prefix {behind.prefix}"
    if behind.most == 1:
        return f"Take the prefix off: {_CONVERT} {first}"
    if behind.most > 2:  # a pattern with several is for two at once
        return "Save the state dict of the module itself, without those that stand around others."
    both = f"--rename '{behind.prefix}*{behind.prefix}*=**'"
    return f"Take it out of the names: {_CONVERT} {both} --rename '{behind.prefix}*=*'"


def _as_other(evidence: Evidence, behind: Behind | None) -> str:
    if evidence.reference is not None:
        name = evidence.reference.name
        adapters = has_adapters(evidence.canonical.tensors)
        beside = ", and adapters that are not merged lie beside them" if adapters else ""
        if behind is not None:
            total = count(len(evidence.reference.schema.entries), "name")
            return (
                f"{behind.names:,} of {total} of the schema {name} have the prefix "
                f"{behind.prefix}, which the schema does not have{beside}"
            )
        if adapters and evidence.coverage.unrelated:
            return f"these are adapters, and no tensor has a name of the schema {name}"
        if evidence.coverage.unrelated:
            return f"no tensor has a name of the schema {name}"
        return f"the names are not those of the schema {evidence.reference.name}"
    other = evidence.judged.neighbour if evidence.judged else None
    # the size that was assumed would say nothing of a file that is of none
    model = (evidence.judged and evidence.judged.demanded) or f"the family {evidence.family.name}"
    without = f"no tensor has a name of {model}" if evidence.coverage.unrelated else ""
    if other is None:
        few = f"too few names are those of {model} to identify it"
        return f"{without or few}: this is another model"
    told = f"this is {other.what}, {other.told_by}"
    told = f"{without}: {told}" if without else told
    return f"{told} ({other.use})" if other.use else told


def _as_unknown(evidence: Evidence) -> str:
    other = evidence.judged.neighbour if evidence.judged else None
    told = f": this is {other.what}, {other.told_by}" if other is not None else ""
    named = evidence.release_files.architecture
    if named is not None:  # it is about all of the model, and names tell a part at times
        told = f": this is a model of the class {named}, by the config.json beside it"
    return f"no schema: names and shapes were not checked{told}"


def _ways_to_a_schema(evidence: Evidence) -> str | None:
    """Name another state dict with names of a known model, or the config.json, if there is one."""
    judged = evidence.judged
    if judged is None:
        return None
    other = _other_state_dict(evidence, judged.family.shapes(judged.config))
    if other or evidence.release_files.architecture is None:
        return other or None
    way = f"Hold it against the config.json beside it: {_FROM_CONFIG}"
    if not can_be_built():
        way = f"Install transformers (pip install 'ckpttool[hf]') and then: {_FROM_CONFIG}"
    return f"{way} Or name another source, or --schema none for the other checks."


def check_size(evidence: Evidence) -> Iterator[Finding]:
    """Fail on a file of another model than the one that was asked for, in one line."""
    judged = evidence.judged
    if judged is not None and judged.demanded is not None and not evidence.is_other:
        yield finding(
            rules.OTHER_SIZE,
            f"the file is {judged.name}, and not {judged.demanded}",
            expected=judged.demanded,
            found=judged.name,
            fix=f"If it is the right file, {judged.instead}.",
        )


def _other_state_dict(evidence: Evidence, of_model: Iterable[str]) -> str:
    """Name another state dict of the file that has the model's names; ``""`` if none has."""
    checkpoint = evidence.checkpoint
    keys = [wrapper.key for wrapper in checkpoint.wrappers[1:]]
    names: dict[str, dict[str, TensorInfo]] = {key: {} for key in keys}
    for info in tensors_beside(checkpoint) if keys else ():
        under = [key for key in keys if key and info.name.startswith(f"{key}.")]
        if under:
            key = max(under, key=len)  # one may lie in another: "model" and "model.ema"
            names[key][info.name[len(key) + 1 :]] = info
    expected = set(of_model)
    for key, tensors in names.items():
        if tensors and not expected.isdisjoint(canonicalize(tensors).tensors):
            return f"The state dict under {key} has names of the model: --wrapper {key}."
    return ""  # not None: the rule's advice is to name another state dict


def check_core(evidence: Evidence) -> Iterator[Finding]:
    """Fail on missing tensors of the group that every file must hold."""
    if evidence.reference is not None:
        return  # there is no core in it: all of it must be there
    missing = _not_expected(evidence, evidence.coverage.core.missing)
    if evidence.is_guessed and not evidence.is_other:
        yield finding(
            rules.MISSING_ENCODER,
            f"no block of the {evidence.family.core} is there, so its sizes are not known",
        )
    elif missing and not evidence.is_other:  # another model is one finding, not hundreds
        yield finding(
            rules.MISSING_ENCODER,
            f"{count(len(missing), f'{evidence.family.core} tensor')} missing",
            tensors=missing,
            fix=_advice(evidence, missing),
        )


def _advice(evidence: Evidence, missing: Sequence[str]) -> str | None:
    part = _other_parts(evidence)
    if part is not None:
        return part
    shallower = _shallower(evidence, evidence.family.core_stack, missing)
    if shallower is not None:
        return shallower
    # The rule's advice is to save what is missing, but here it may be there in another spelling.
    return "" if evidence.coverage.unexpected else None


def _other_parts(evidence: Evidence) -> str | None:
    """Say where the rest is, where the name says that this is one file of several."""
    shard = shard_name(PurePath(evidence.checkpoint.path).name)
    if shard is None:
        return None
    part = f"By its name this is part {shard.number:,} of {shard.total:,}"
    names = evidence.release_files.names
    series = shard._replace(number=0)
    here = [one for one in filter(None, map(shard_name, names)) if one._replace(number=0) == series]
    if len(here) < shard.total:
        return f"{part}: put the others and their index beside it."
    if any(map(is_called_index, names)):
        return f"{part}, and the index there is of others: ckpttool index FOLDER --force."
    return f"{part}, and of all only the index is not there: ckpttool index FOLDER writes it."


def _shallower(evidence: Evidence, stack: str, missing: Sequence[str]) -> str | None:
    """Say how to ask for fewer blocks, where those that are missing are the last ones."""
    there = depth_of(evidence.canonical.tensors, stack)
    places = [evidence.family.block_of(name) for name in missing]
    last = there and all(one and one.stack == stack and one.number >= there for one in places)
    option = evidence.family.depths.get(stack)
    if not last or option is None:
        return None
    blocks = count(there or 0, "block")
    return f"The last blocks are missing. If the model has {blocks}, say --{option} {there}."


def check_others(evidence: Evidence) -> Iterator[Finding]:
    """Note a decoder that is absent (an error if it is required), fail on a part of one."""
    if evidence.reference is not None:
        return
    for name, group in evidence.coverage.others.items():
        if group.missing and not (evidence.is_other or evidence.is_guessed):
            yield from _incomplete(evidence, name, group)


def _incomplete(evidence: Evidence, name: str, group: GroupCoverage) -> Iterator[Finding]:
    if group.absent:
        required = evidence.require == FULL
        yield finding(
            rules.DECODER_ABSENT,
            f"{name} absent: {group.expected} tensors would stay at random initialisation",
            severity=Severity.ERROR if required else None,
            fix=_where_all_is(evidence, name) if required else None,
        )
        return
    missing = _not_expected(evidence, group.missing)
    if missing:
        yield finding(
            rules.DECODER_PARTIAL,
            f"{len(missing)} of {count(group.expected, f'{name} tensor')} missing",
            tensors=missing,
            fix=_other_parts(evidence)
            or _shallower(evidence, _stack_of(evidence, name), missing)
            or _whole(evidence, name),
        )


def _where_all_is(evidence: Evidence, name: str) -> str:
    core = evidence.family.core
    alone = f"ask for the {core} alone: --require {core}"
    published = evidence.family.with_all(evidence.coverage.schema)
    if published:
        return f"The published {' and '.join(published)} have the {name}; or {alone}."
    return f"Publish the file with the {name}, or {alone}."


def _whole(evidence: Evidence, name: str) -> str | None:
    # the rule's own advice is for the decoder, which convert can leave out
    if evidence.family.stacks and name in evidence.family.stacks.values():
        return None
    return f"If the model that was saved has them, save the whole {name}; or leave it out."


def _stack_of(evidence: Evidence, group: str) -> str:
    stacks = evidence.family.stacks.items()
    return next((stack for stack, its_group in stacks if its_group == group), "")


def check_all(evidence: Evidence) -> Iterator[Finding]:
    """Fail on what a schema that was named has, and the file has not."""
    if evidence.reference is None or evidence.is_other:
        return
    groups = evidence.coverage.groups.values()
    missing = _not_expected(evidence, [name for group in groups for name in group.missing])
    if missing:
        total = count(sum(group.expected for group in groups), "tensor")
        words = missing_in_words(missing, evidence.reference.schema.entries)
        yield finding(
            rules.MISSING,
            f"{len(missing):,} of {total} of {evidence.coverage.schema} missing{clause(words)}",
            tensors=missing,
            fix=_other_parts(evidence) or _untied(evidence, missing),
        )


def _untied(evidence: Evidence, missing: Sequence[str]) -> str | None:
    """Say how a head of a model counts as tied, where another tensor may stand for it."""
    config = evidence.release_files.config or {}
    if evidence.reference is None or evidence.reference.code is None or len(missing) > 1:
        return None
    inner = config.get("text_config")
    sizes = [one.get("vocab_size") for one in (config, inner) if isinstance(one, dict)]
    shape = evidence.reference.schema.entries[missing[0]].shape
    tensors = evidence.canonical.tensors
    alike = [name for name, info in tensors.items() if info.shape == shape]
    if len(shape) != 2 or shape[0] not in sizes or len(alike) != 1:
        return None
    return (
        f"If it is to be {alike[0]}, set tie_word_embeddings to true in config.json; if it was a "
        "weight of its own, save the model's whole state_dict()."
    )


def check_expected_missing(evidence: Evidence) -> Iterator[Finding]:
    """Note what may be missing by the configuration, so that it is not forgotten."""
    missing = [name for group in evidence.coverage.groups.values() for name in group.missing]
    if evidence.is_other or not evidence.expected_missing:
        return
    unexpected = set(_not_expected(evidence, missing))
    if len(missing) > len(unexpected):
        yield finding(
            rules.EXPECTED_MISSING,
            f"{count(len(missing) - len(unexpected), 'tensor')} missing, which is allowed",
            tensors=[name for name in missing if name not in unexpected],
        )


def check_expected_names(evidence: Evidence) -> Iterator[Finding]:
    """Warn of patterns of names that may be missing, and that the model does not have."""
    coverage = evidence.coverage
    if not evidence.expected_missing or not coverage.groups:
        return
    missing = [name for group in coverage.groups.values() for name in group.missing]
    names = {*missing, *evidence.canonical.tensors}.difference(coverage.unexpected)
    names.update(evidence.companion.names if evidence.companion else ())
    for pattern in evidence.expected_missing:
        if not any(matches(pattern, name) for name in names):
            yield finding(
                rules.EXPECTED_UNKNOWN,
                f"{pattern}, which may be missing, matches no tensor of {coverage.schema}",
                fix=meant(pattern, sorted(names)),
            )


def check_groups(evidence: Evidence) -> Iterator[Finding]:
    """Warn of patterns of groups that take no tensor: what they were meant for is in another."""
    reference = evidence.reference
    if reference is None:
        return
    for group, pattern in reference.idle:
        yield finding(
            rules.GROUP_IDLE,
            f"{pattern}, of the group {group}, takes no tensor of {evidence.coverage.schema}",
            fix=_nearest(pattern, reference.schema.entries),
        )


def _nearest(pattern: str, names: Collection[str]) -> str | None:
    if any(matches(pattern, name) for name in names):
        return "Earlier groups match its names: move it before them, or remove it."
    return tip(pattern, names)


def _not_expected(evidence: Evidence, missing: Sequence[str]) -> list[str]:
    return _beyond(evidence.expected_missing, missing)


def _beyond(patterns: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the names that no pattern stands for."""
    return [name for name in names if not any(matches(pattern, name) for pattern in patterns)]


def check_unexpected(evidence: Evidence) -> Iterator[Finding]:
    """Warn of tensors that the model has no place for."""
    if evidence.is_other:
        return
    names = _beyond(evidence.allow_unexpected, evidence.coverage.unexpected)
    whose = "the model" if evidence.reference is None else "the schema"
    allowed = set(evidence.coverage.unexpected).difference(names)
    if allowed:
        yield finding(
            rules.UNEXPECTED,
            f"{whose} has no place for {count(len(allowed), 'tensor')}, which is allowed",
            tensors=[name for name in evidence.coverage.unexpected if name in allowed],
            severity=Severity.NOTE,
            fix="",
        )
    if not names:
        return
    judged = evidence.judged
    backbone = judged is not None and judged.kind is Kind.BACKBONE
    beside = ": they are of the model around the backbone" if backbone else ""
    if evidence.reference is not None:
        beside = clause(places_in_words(names, evidence.canonical.tensors))
    yield finding(
        rules.UNEXPECTED,
        f"{whose} has no place for {count(len(names), 'tensor')}{beside}",
        tensors=names,
        # that they lie there is what such a file is
        severity=Severity.NOTE if backbone else None,
        fix="" if backbone else _leaving_out(evidence),
    )


def _leaving_out(evidence: Evidence) -> str | None:
    names = evidence.coverage.unexpected
    parts = parts_in_blocks(evidence.canonical, evidence.coverage)
    if any(part.endswith(LOW_RANK) for part in parts):
        return _MERGE
    if not evidence.coverage.core.complete:
        return ""  # no advice to remove them: they may be what is missing, under other names
    if parts:
        return "Its blocks compute with them: leave them out only if they were merged before."
    kinds = [
        kind for kind in evidence.family.classifier if any(name.startswith(kind) for name in names)
    ]
    if kinds:
        named = " and ".join(kind.rstrip(".") for kind in kinds)
        return (
            f"{named} belong{'s' if len(kinds) == 1 else ''} to a fine-tuned classifier. If the "
            "pre-trained model is to be published, take the file from before the fine-tuning."
        )
    return _excluding(evidence, _beyond(evidence.allow_unexpected, names))


def _excluding(evidence: Evidence, names: Sequence[str]) -> str | None:
    """Return the options that leave tensors out, by the names that the file has for them."""
    origins = [own for name in names for own in evidence.canonical.origins[name]]
    first = origins[0].partition(".")[0]
    ours = [name for name in evidence.checkpoint.tensors if name.startswith(f"{first}.")]
    if len(ours) == len(origins) > 1 and set(ours) == set(origins):
        origins = [f"{first}.*"]
    # a longer list, or names that a shell or a pattern reads otherwise, are for the reader to write
    if len(origins) > _FEW or not all(map(_PLAIN.fullmatch, origins)):
        return None
    told = " ".join(f"--exclude '{name}'" for name in origins)
    leave = f"If nothing needs it, leave it out: {_CONVERT} {told}"
    if evidence.reference is not None and evidence.reference.loader != LOAD_STATE_DICT:
        return (
            f"If the model has it, config.json names another class than the weights are of. {leave}"
        )
    return leave
