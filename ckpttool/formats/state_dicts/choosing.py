"""Which of the dictionaries in a file are state dicts, and which of them is taken.

A state dict is a dictionary that holds tensors. Nested dictionaries are one state dict if their
keys are parts of names (without dots), or if they are under a key that names a model. Dictionaries
with dotted names, as ``module.state_dict()`` gives, are one each. Averages, optimizers and models
that usually lie side by side are always separate.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Iterator, NamedTuple

from ckpttool.findings.errors import UsageError
from ckpttool.formats.objects.arrays import is_array
from ckpttool.formats.objects.rebuild import is_tensor
from ckpttool.formats.pickles.nodes import Node
from ckpttool.formats.state_dicts.flattening import parts, same_written
from ckpttool.formats.state_dicts.holding import Holder, Holders, is_container, parts_of
from ckpttool.formats.state_dicts.measuring import elements_of, is_number

# A state dict with fewer than this share of the largest one's elements is not the model, even if
# its key says so: a small part of it, or another network.
_SUBSTANTIAL = 0.5
# Among several of that size: raw weights before anything else, averages last.
_RAW = ("model", "state_dict", "module", "net", "network")
_AVERAGED = ("ema", "teacher", "average", "swa", "shadow")
_AVERAGED_WORDS = frozenset({*_AVERAGED, "averaged", "avg"})
# In JEPA's code the average of the encoder.
_AVERAGED_KEY = "target_encoder"
# Keys that weights never have, for optimizers whose structure is not known.
_OPTIMIZER = re.compile(r"(?:.*_)?opt(?:im(?:izer)?s?)?(?:_state(?:s|_dict)?)?", re.IGNORECASE)
# Keys of models that lie side by side in a file, each a state dict of its own.
_SIDE_BY_SIDE = frozenset({*_RAW, "model_state_dict", "student", "online", "target"})
# The two networks of a GAN: netG, gen, D, disc_a ...
_GENERATOR = re.compile(r"(?:net_?)?(?:g|gen(?:erator)?)(?:_[a-z0-9]+)?", re.IGNORECASE)
_DISCRIMINATOR = re.compile(
    r"(?:net_?)?(?:d|disc?|critic|discriminator)(?:_[a-z0-9]+)?", re.IGNORECASE
)
# Keys that name one model, however its weights are nested: Flax writes trees of dictionaries.
_ONE_MODEL = re.compile(
    r"(?:.*_)?(?:model|state_dict|module|net|network|params?|parameters|weights?|variables)"
    r"(?:_(?:state_dict|state|ema|avg))?",
    re.IGNORECASE,
)
# Of those, the ones that may be nested in another of them: {"model": {"state_dict": ...}}.
_INNER = frozenset({"model", "state_dict", "module", "model_state_dict"})
# The words of model_ema, modelEMA and EMAModel.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# State dicts that are listed; a hostile file may have a million.
_MOST = 10_000


class Unit(NamedTuple):
    """A state dict.

    Attributes:
        path: the keys that lead to it.
        holder: the container at the end of that path.
        apart: keys directly in it whose values are no part of it.
        whole: ``False`` for loose tensors beside state dicts.
    """

    path: tuple[str, ...]
    holder: Holder
    apart: frozenset[str]
    whole: bool = True

    @property
    def key(self) -> str:
        """The dotted key."""
        return ".".join(self.path)


def units(holders: Holders) -> Iterator[Unit]:
    """Yield every state dict below the root, the deepest ones last."""
    if holders.root is None:
        return
    waiting: deque[tuple[tuple[str, ...], Holder]] = deque([((), holders.root)])
    seen = {id(holders.root)}
    for _ in range(_MOST):
        if not waiting:
            return
        path, holder = waiting.popleft()
        if holder.optimizer:
            continue
        unit, further = _divide(path, holder, torch=holders.root.torch)
        if unit is not None:
            yield unit
        for key, below_it in further:
            # a dictionary under two keys is one state dict, under the first of them
            if id(below_it) not in seen:
                seen.add(id(below_it))
                waiting.append(((*path, key), below_it))


def _divide(
    path: tuple[str, ...], holder: Holder, *, torch: bool
) -> tuple[Unit | None, list[tuple[str, Holder]]]:
    """Return the state dict that a container is, if it is one, and containers to search further."""
    if holder.is_module:  # however its parts are called: it is one model
        return Unit(path, holder, frozenset()), []
    _check_written(path, holder)
    if holder.ordered or holder.is_object:  # a state dict is a dictionary
        return None, holder.below
    one_model = bool(path) and _ONE_MODEL.fullmatch(path[-1]) is not None
    apart, rest, wraps = [], [], False
    for key, below_it in holder.below:
        if below_it.bare:
            continue  # a list of tensors: its numbers become parts of the dictionary's names
        if below_it.optimizer or is_averaged(key):
            apart.append((key, below_it))
        elif _stands_apart(key, one_model):
            apart.append((key, below_it))
            wraps = True
        # objects, and arrays beside tensors, are more often logs of a run than weights
        elif (below_it.is_object or torch > below_it.torch) and not (one_model or holder.dotted):
            apart.append((key, below_it))
        else:
            rest.append((key, below_it))
    here = bool(holder.tensors or holder.arrays) or len(apart) + len(rest) < len(holder.below)
    if (holder.dotted or not wraps) and (not rest or _is_one(holder, here, rest, one_model)):
        unit = Unit(path, holder, frozenset(key for key, _ in apart)) if here or rest else None
        return unit, apart
    beside = frozenset(key for key, _ in (*apart, *rest))
    loose = Unit(path, holder, beside, whole=False) if here else None
    return loose, [pair for pair in holder.below if pair[0] in beside]


def _check_written(path: tuple[str, ...], holder: Holder) -> None:
    """Refuse keys that differ, and are the same once they are written."""
    written: set[str] = set()
    for key, _ in holder.below:
        if key in written:
            raise same_written(".".join((*path, key)))
        written.add(key)


def _stands_apart(key: str, one_model: bool) -> bool:
    """Whether a key names one of several state dicts that lie side by side."""
    # within one model, "target" or "generator" is the name of a part
    if one_model:
        return key.lower() in _INNER
    sides = (_GENERATOR, _DISCRIMINATOR)
    return key.lower() in _SIDE_BY_SIDE or any(one.fullmatch(key) for one in sides)


def is_averaged(key: str) -> bool:
    """Whether a key names an average of weights."""
    return key == _AVERAGED_KEY or not _AVERAGED_WORDS.isdisjoint(
        word.lower() for word in _WORD.findall(key)
    )


def _is_one(holder: Holder, here: bool, rest: list[tuple[str, Holder]], one_model: bool) -> bool:
    """Whether a dictionary and the dictionaries in it are one state dict."""
    if holder.dotted:
        return True
    heavy = [one for _, one in rest if _weighs(one)]
    alone = not here or not (one_model or _has_weights(holder, direct=True))
    if len(heavy) < 2 and alone:  # only a wrapper around one
        return False
    return one_model or not any(one.dots for one in heavy)


def _weighs(holder: Holder) -> bool:
    if holder.weighs is None:
        holder.weighs = _has_weights(holder)
    return holder.weighs


def _has_weights(holder: Holder, *, direct: bool = False) -> bool:
    """Whether a tensor in it has more than one element, which a count or a loss has not."""
    # without recursion, and each container once: they may be shared or contain themselves
    waiting, seen = [holder], {id(holder)}
    while waiting:
        one = waiting.pop()
        if one.tensors or one.arrays:
            for _, value in parts_of(one.node):
                if (is_tensor(value) or is_array(value)) and not is_number(value):
                    return True
        for _, under in one.below:
            wanted = not under.optimizer and (under.bare or not direct)
            if wanted and id(under) not in seen:
                seen.add(id(under))
                waiting.append(under)
    return False


# --- one of them -------------------------------------------------------------------------


class Choice(NamedTuple):
    """The state dict that is taken, and the others.

    Attributes:
        taken: the one taken.
        holders: the containers it was found among.
        others: the other state dicts, the likeliest first.
    """

    taken: Unit
    holders: Holders
    others: tuple[Unit, ...]


def choose(holders: Holders, found: list[Unit]) -> Choice:
    """Take the likeliest of the state dicts, of which there is at least one."""
    if len(found) == 1:  # without the sizes, for which every tensor is looked at
        return Choice(found[0], holders, ())
    sizes = _sizes(found, holders)
    ranked = sorted(found, key=lambda unit: _rank(unit, sizes[id(unit)]))
    # loose tensors are no candidates however large they are: for example statistics of a data set
    eligible = [unit for unit in ranked if unit.whole and sizes[id(unit)]] or ranked
    eligible = [one for one in eligible if not any(map(_OPTIMIZER.fullmatch, one.path))] or eligible
    most = max(sizes[id(unit)] for unit in eligible)
    taken = next(unit for unit in eligible if sizes[id(unit)] >= most * _SUBSTANTIAL)
    return Choice(taken, holders, _others(taken, ranked, sizes))


def asked_for(root: Node, holders: Holders, found: list[Unit], wrapper: str) -> Choice:
    """Take the tensors under a dotted key, whatever else is there.

    Raises:
        UsageError: there is no tensor under the key.
    """
    sizes = _sizes(found, holders)
    ranked = sorted(found, key=lambda unit: _rank(unit, sizes[id(unit)]))
    for unit in ranked:
        # as found, without the averages and optimizers in it; other containers are taken whole
        if unit.key == wrapper and unit.whole:
            return Choice(unit, holders, _others(unit, ranked, sizes))
    for path, node in _resolved(root, wrapper):
        below = Holders(node)
        # only whoever asks for an optimizer gets its moments as tensors
        if below.root is not None and below.root.optimizer:
            below = Holders(node, into_optimizers=True)
        if below.root is not None:
            taken = Unit(path, below.root, frozenset())
            others = [unit for unit in ranked if unit.path[: len(path)] != path]
            return Choice(taken, below, _others(taken, others, sizes))
    found_keys = ", ".join(repr(unit.key) for unit in ranked[:10])
    raise UsageError(
        "there is no state dict under that wrapper",
        expected=repr(wrapper),
        found=found_keys or "none",
        fix="Name one of those found, or leave the wrapper out.",
    )


def _others(taken: Unit, ranked: list[Unit], sizes: dict[int, int]) -> tuple[Unit, ...]:
    """Return the state dicts beside the one taken; single numbers and arrays are none."""
    return tuple(
        unit
        for unit in ranked
        if unit is not taken and unit.whole and sizes[id(unit)] and unit.holder.torch
    )


def _sizes(found: list[Unit], holders: Holders) -> dict[int, int]:
    """Return the elements of each state dict, by its ``id``.

    Numbers and states of random generators are counted only where there is nothing else.
    """
    sizes, numbers = {}, {}
    torch = any(unit.holder.torch for unit in found)
    for unit in found:
        sizes[id(unit)] = numbers[id(unit)] = 0
        for part in parts(unit.holder, holders, unit.apart):
            # arrays are weights where there is nothing else
            if part.is_tensor and not (torch and is_array(part.node)):
                into = numbers if is_number(part.node) else sizes
                into[id(unit)] += elements_of(part.node)
    return sizes if any(sizes.values()) else numbers


def _rank(unit: Unit, elements: int) -> tuple[float, int, int, str]:
    path = unit.path
    if not unit.holder.torch:
        kind = 4.0
    elif not unit.whole:
        kind = 3.0
    elif any(word in part.lower() for part in path for word in _AVERAGED):
        kind = 2.0  # any part of the path: ema.module
    elif any(_DISCRIMINATOR.fullmatch(part) for part in path):
        kind = 1.5
    else:
        kind = 0.0 if not path or path[-1] in _RAW else 1.0
    return kind, -elements, len(path), unit.key


def _resolved(root: Node, wrapper: str) -> Iterator[tuple[tuple[str, ...], Node]]:
    """Yield (keys, node) of every reading of a dotted key, since keys may have dots themselves."""
    waiting: list[tuple[tuple[str, ...], Node, str]] = [((), root, wrapper)]
    for _ in range(_MOST):
        if not waiting:
            return
        path, node, rest = waiting.pop()
        if not rest:
            yield path, node
        elif is_container(node):
            for key, value in parts_of(node):
                if type(key) is str and (rest == key or rest.startswith(f"{key}.")):
                    waiting.append(((*path, key), value, rest[len(key) + 1 :]))
