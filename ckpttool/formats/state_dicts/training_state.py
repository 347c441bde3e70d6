"""Recognising the state of a training run, which lies in files or entries beside the weights.

Optimizer moments, schedules, scalers, random number generators and the arguments of a trainer are
no weights. A file of them is recognised by a structure that weights do not have, whatever its
name: an optimizer's dictionary has two keys, and its state goes by the numbers of parameters. An
entry beside the weights in one file is recognised by its key.
"""

from __future__ import annotations

import math
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Iterable, Mapping

from ckpttool.findings.uses import Use
from ckpttool.formats.objects.rebuild import is_tensor
from ckpttool.formats.pickles.dictionaries import pairs_of
from ckpttool.formats.pickles.nodes import Call, Global, Node, PersistentId, near
from ckpttool.tensors.dtypes import BYTE

if TYPE_CHECKING:
    from ckpttool.findings.uses import NameUse
    from ckpttool.formats.pickles import Pickle
    from ckpttool.tensors.catalogue import Entry

# Modules whose classes the arguments of Hugging Face's trainers hold: enumerations, small settings.
_MODULES = (
    r"transformers\.(?:training_args|training_args_seq2seq|trainer_utils|trainer_pt_utils|debug_utils)"
    r"|transformers\.integrations\.deepspeed|accelerate\.(?:utils\.dataclasses|state)"
    r"|sentence_transformers\.training_args|trl\.trainer(?:\.\w+)?"
)
# A class and no function, nor a method of a class: Path.unlink deletes files.
_CODE = re.compile(rf"(?:{_MODULES})\.[A-Z]\w*")

# The limits below keep weights from passing as something else by their keys alone.
# Bytes of one generator's state, and of all: CPUs have 5,056, GPUs 16 or some more.
_MOST_RANDOM, _MOST_TOGETHER = 8_192, 65_536
# Tensors among the settings of a group of parameters, and nodes that are searched for them.
_MOST_TENSORS, _MOST_NODES = 8, 10_000
# Bytes of the pickle, in which numpy's and Python's states are, of a few kilobytes each.
_MOST_PICKLE = 200_000
# Numbers outside of tensors that a schedule, a vocabulary or arguments may hold.
_MOST_NUMBERS = 10_000
# Keys of generators' states: of transformers, then of accelerate, whose file has a ``step`` too.
_GENERATORS = frozenset(
    "python numpy cpu torch cuda xpu npu mps hpu mlu musa xla"
    " random_state numpy_random_seed torch_manual_seed xm_seed"
    " torch_cuda_manual_seed torch_xpu_manual_seed torch_npu_manual_seed torch_mlu_manual_seed"
    " torch_musa_manual_seed torch_hpu_manual_seed torch_sdaa_manual_seed".split()
)
_SCALER = frozenset({"scale", "growth_factor", "backoff_factor", "growth_interval"})
_SCHEDULE = frozenset({"last_epoch", "_step_count"})

# Keys of entries beside a state dict that only training needs; other entries are not judged, but
# listed by `inspect`.
_TRAINING = re.compile(
    r"(?:.*_)?(?:optim(?:izer)?s?|opt|(?:lr_?)?schedulers?|param_schedulers?|scaler|amp|epochs?"
    r"|steps?|iter(?:ation)?s?|callbacks|loops"
    r"|rng|seed|loss(?:es)?|history|message_hub|meta|lightning_version)"
    r"(?:_state(?:s|_dict)?|_states?)?",
    re.IGNORECASE,
)
# Settings of a run, apart from its state: a loader may build the model from them.
_SETTINGS = re.compile(r"(?:.*_)?(?:args?|hparams|hyper_parameters|cfg|config)", re.IGNORECASE)
_STEPS = re.compile(r"(?:global_|num_)?(?:steps?|updates|iter(?:ation)?s?)", re.IGNORECASE)
_BEST = re.compile(r"(?:best|train|valid|val|test)_\w+|.*lightning.*|.*rng.*", re.IGNORECASE)


def is_called_training(key: str) -> bool:
    """Whether the dotted key of an entry beside weights names the state of a training run."""
    return any(pattern.fullmatch(_last(key)) for pattern in (_TRAINING, _BEST))


def is_called_settings(key: str) -> bool:
    """Whether the dotted key of an entry beside weights names the settings of a run."""
    return _SETTINGS.fullmatch(_last(key)) is not None


def unstepped(entries: Iterable[Entry]) -> str | None:
    """Return the key of a count of training steps that is 0; ``None`` where there is none."""
    # not epochs: after the first one scripts save 0
    found = (one.key for one in entries if one.kind == "int" and one.summary == "0")
    return next((key for key in found if _STEPS.fullmatch(_last(key))), None)


def _last(key: str) -> str:
    return key.rpartition(".")[2].replace("-", "_")


def training_state(pickle: Pickle) -> str | None:
    """Return which part of a training run a pickle is; ``None`` if it may be anything else."""
    root = pickle.root
    if is_tensor(root):  # torch.save(torch.get_rng_state(), path)
        return _GENERATOR if _is_random(pickle) else None
    if not pickle.ids and _is_arguments(root) and not holds_numbers(root):
        return f"arguments of a trainer ({root.function})"
    entries = _entries(root)
    if _is_optimizer(entries):
        return "state of an optimizer"
    generators = entries.keys() - {"step"}
    if generators and generators <= _GENERATORS and _is_random(pickle):
        return _GENERATOR
    if pickle.ids or holds_numbers(root):
        return None  # schedules and scalers hold no tensors, and few numbers
    if entries.keys() >= _SCALER:
        return "state of a gradient scaler"
    return "state of a schedule" if _SCHEDULE & entries.keys() else None


def beyond_arguments(uses: Iterable[NameUse]) -> list[NameUse]:
    """Return the uses of names other than the classes in the arguments of known trainers."""
    return [one for one in uses if one.use is Use.ATTACK or not _CODE.fullmatch(one.name)]


_GENERATOR = "state of random number generators"


def _entries(node: Node) -> Mapping[str, Node]:
    """Return a dictionary's entries; none if a key is no text, or occurs twice."""
    pairs = pairs_of(node) or []
    entries = {key: value for key, value in pairs if type(key) is str}
    return entries if len(entries) == len(pairs) else {}


def _is_optimizer(entries: Mapping[str, Node]) -> bool:
    """Whether it is the ``state_dict()`` of a ``torch.optim.Optimizer``, and nothing else."""
    groups, state = entries.get("param_groups"), pairs_of(entries.get("state"))
    if len(entries) != 2 or not isinstance(groups, list) or not groups or state is None:
        return False
    numbers: set[int] = set()
    for group in groups:
        params = _entries(group).get("params")
        # numbers of parameters: a group that holds the tensors themselves may be the weights
        if not isinstance(params, list) or not all(type(one) is int for one in params):
            return False
        numbers.update(params)
        if any(map(_holds_weights, _entries(group).values())):
            return False
    return all(type(key) is int and key in numbers and _is_state_of_one(one) for key, one in state)


def _is_state_of_one(node: Node) -> bool:
    """Whether it is an optimizer's state of one parameter: keys without the dots of a model's."""
    pairs = pairs_of(node)
    return pairs is not None and all(type(key) is not str or "." not in key for key, _ in pairs)


def _holds_weights(node: Node) -> bool:
    """Whether a setting of a group holds more tensors than a learning rate and two momenta."""
    return sum(1 for one in near([node], _MOST_NODES) if is_tensor(one)) > _MOST_TENSORS


def _is_random(pickle: Pickle) -> bool:
    """Whether it only holds small storages of bytes, as generators' states are."""
    sizes = [_bytes_of(one.value if type(one) is PersistentId else one) for one in pickle.ids]
    small = max(sizes, default=0) <= _MOST_RANDOM and sum(sizes) <= _MOST_TOGETHER
    return small and pickle.end <= _MOST_PICKLE


def holds_numbers(root: Node) -> bool:
    """Whether it has so many numbers or bytes that it could be weights written without arrays."""
    floats = nbytes = 0
    for one in near([root], _MOST_NUMBERS * 4):
        floats += type(one) is float
        nbytes += len(one) if isinstance(one, (bytes, bytearray)) else 0
    return floats >= _MOST_NUMBERS or nbytes >= _MOST_NUMBERS * 4


def _bytes_of(value: Node) -> float:
    """Return the size of a storage of bytes; infinite if it is of anything else."""
    if type(value) is not tuple or len(value) < 5:
        return math.inf
    kind, count = value[1], value[4]
    if type(kind) is Global and kind.name in (BYTE.storage, "UntypedStorage"):
        return count if type(count) is int else math.inf
    return math.inf


def _is_arguments(root: Node) -> bool:
    """Whether it is an object of a trainer's arguments, of a known library or another."""
    if not isinstance(root, Call) or type(root.function) is not Global:
        return False
    name = str(root.function)
    return name.endswith("TrainingArguments") or fnmatchcase(name, "trl.trainer.*Config")
