"""Checks on the conventions of a release, in the file of the weights and beside it."""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import TYPE_CHECKING, Iterator, Sequence

from ckpttool.files.suffixes import is_called_index, is_shard_of, shard_name, without_index
from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.text import count, printable, size, some_of
from ckpttool.formats.objects.plain import tensor_bytes
from ckpttool.formats.state_dicts.training_state import is_called_settings, is_called_training

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import Entry
    from ckpttool.verification.evidence import Evidence

#: Bytes of a safetensors header that the Hugging Face hub reads.
HUB_HEADER = 25_000_000

_SHOWN = 20
# What from_pretrained of transformers takes for the weights of a folder.
_WHOLE = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


def check_container(evidence: Evidence) -> Iterator[Finding]:
    """Note weights that are shipped as a pickle alone."""
    names = evidence.release_files.names
    pickled = evidence.checkpoint.format.startswith("torch-")
    # with a safetensors file beside it, nobody has to load the pickle
    if pickled and not any(name.endswith(".safetensors") for name in names):
        yield finding(
            rules.PICKLE_FORMAT,
            f"the weights are shipped as a pickle ({evidence.checkpoint.format}); safetensors "
            "cannot run code",
        )


def check_training_state(evidence: Evidence) -> Iterator[Finding]:
    """Warn of state and settings of the training run beside the weights."""
    checkpoint = evidence.checkpoint
    beside = list(zip(checkpoint.entries, checkpoint.aside))
    found = [(entry, node) for entry, node in beside if is_called_training(entry.key)]
    settings = [(entry, node) for entry, node in beside if is_called_settings(entry.key)]
    if found:
        yield finding(
            rules.TRAINING_STATE,
            f"state of the training run lies beside the weights{_told(found + settings)}",
        )
    elif settings:  # other advice: a loader may build the model from them
        yield finding(
            rules.TRAINING_STATE,
            f"settings of the training run lie beside the weights{_told(settings)}",
            fix="Convert the weights and keep the settings beside them: ckpttool convert PATH --to "
            "safetensors --sidecar FILE.json.",
        )


def _told(beside: Sequence[tuple[Entry, object]]) -> str:
    # an entry may be called like both: train_args
    named = some_of(list(dict.fromkeys(entry.key for entry, _ in beside)), _SHOWN)
    nbytes = sum(tensor_bytes(node for _, node in beside))
    tensors = f", {size(nbytes)} of it tensors" if nbytes else ""
    return f"{tensors}: {named}"


def check_shards(evidence: Evidence) -> Iterator[Finding]:
    """Warn of weights beside an index that it does not list, for example of an earlier export."""
    checkpoint = evidence.checkpoint
    if not checkpoint.format.endswith("-sharded"):
        return
    # the index is the first source, its shards follow
    index, *listed = (os.path.split(source.name)[1] for source in checkpoint.sources)
    series = {(one.stem, one.suffix) for one in map(shard_name, listed) if one is not None}
    if is_called_index(index):
        series.add(os.path.splitext(without_index(index)))  # noqa: PTH122 (both parts)
    strays = [
        name
        for name in evidence.release_files.names
        if name not in listed and any(_is_of(stem, suffix, name) for stem, suffix in series)
    ]
    if strays:
        yield finding(
            rules.UNLISTED_SHARD,
            f"{count(len(strays), 'file')} beside the index that it does not list: "
            + some_of(strays, _SHOWN),
        )


def check_adapter(evidence: Evidence) -> Iterator[Finding]:
    """Warn of an adapter of PEFT that a loader of the whole model puts onto it."""
    names = evidence.release_files.names
    own = PurePath(evidence.checkpoint.path).name
    weights = next((name for name in names if name.startswith("adapter_model.")), None)
    if own in _WHOLE and weights is not None and "adapter_config.json" in names:
        yield finding(
            rules.ADAPTER_BESIDE,
            f"{printable(weights)} lies beside the weights of the model: with peft installed, "
            "from_pretrained adds the adapter to them, even if they already have it merged",
        )


def _is_of(stem: str, suffix: str, name: str) -> bool:
    # the single file counts too: many readers take it instead of the index
    return name == stem + suffix or is_shard_of(name, stem, suffix)


def check_format_metadata(evidence: Evidence) -> Iterator[Finding]:
    """Warn of safetensors files that do not say for which framework they were written."""
    checkpoint = evidence.checkpoint
    stated = checkpoint.metadata.get("format")
    # some versions of transformers refuse a file without "pt"
    if checkpoint.format.startswith("safetensors") and stated != "pt":
        yield finding(
            rules.NO_FORMAT,
            "the safetensors metadata does not say that the tensors are torch's",
            expected="format: pt",
            found="no format" if stated is None else f"format: {stated}",
            fix=None if stated is None else "",  # another framework's file may say so rightly
        )


def check_header_size(evidence: Evidence) -> Iterator[Finding]:
    """Warn of a header that the hub does not read, so that it shows no tensors."""
    nbytes = evidence.checkpoint.header_size or 0
    if nbytes > HUB_HEADER:
        yield finding(
            rules.HEADER_SIZE,
            "the safetensors header is larger than the hub reads",
            expected=f"at most {HUB_HEADER:,} bytes",
            found=f"{nbytes:,}",
        )


def check_release_folder(evidence: Evidence) -> Iterator[Finding]:
    """Warn of a release folder without a licence or a model card."""
    around = evidence.release_files
    if around.is_release and not around.licence:
        yield finding(rules.NO_LICENCE, "the release folder has no licence")
    if around.is_release and not around.card:
        message = "the release folder has no model card, or an empty one"
        yield finding(rules.NO_MODEL_CARD, message)


def check_unread_files(evidence: Evidence) -> Iterator[Finding]:
    """Note what lies beside the checkpoint and could not be read."""
    for line in evidence.release_files.unread:
        yield finding(rules.BESIDE_NOT_READ, f"beside the checkpoint: {line}")
