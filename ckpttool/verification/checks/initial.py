"""Parts that are as initialised in a model that is trained: not loaded, or lost on the way."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Dict, Iterator, List, Optional, Tuple

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import count, some_of
from ckpttool.formats.state_dicts.training_state import unstepped
from ckpttool.verification.checks.meaning import layernorms, layernorms_are_initial
from ckpttool.verification.checks.spoilt import mostly_lost
from ckpttool.verification.checks.units import TELLING, is_whole, units_of
from ckpttool.verification.evidence import is_bias, is_matrix

if TYPE_CHECKING:
    from ckpttool.verification.checks.units import Unit, Vector, Weight
    from ckpttool.verification.evidence import Evidence

_FEWEST_BLOCKS = 2  # what one block alone has is no role
_SHOWN = 6
_MADE_SO = (
    "A model that was made without biases is right so; else compare it with the file that it was "
    "made from: ckpttool diff OLD NEW."
)


def check_initial(evidence: Evidence) -> Iterator[Finding]:
    """What was not loaded, roles that were lost, and what else has a single value.

    A part is a side, a run of blocks or a module; a role is the same tensor of every block.
    """
    # without roles a frozen projection or a new head cannot be told from what was not loaded
    units = units_of(evidence) if evidence.has_roles else []
    found: List[Finding] = []
    if any(unit.moved for unit in units):  # else all of the model is untrained, or hardly trained
        found += _not_loaded(evidence, units)
        found += _constant_roles(evidence, units)
    yield from found
    yield from _constant_vectors(evidence, {name for one in found for name in one.tensors})


# --- not loaded -------------------------------------------------------------------------


def _not_loaded(evidence: Evidence, units: List[Unit]) -> Iterator[Finding]:
    """Yield what is as initialised though the rest is trained."""
    whole = [unit for unit in units if unit.untouched and unit.drawn and unit.stack]
    bare = [unit for unit in units if unit.untouched and unit.stack and unit.weights]
    bare = [unit for unit in bare if not unit.drawn]
    alone = [unit for unit in units if unit.drawn_alone]
    roles = list(_drawn_roles(units))
    sides = {unit.group for unit in whole}
    if whole or roles:
        # what else of the same side is as initialised has the same cause
        beside = [unit for unit in units if unit.group in sides and _is_idle(unit)]
        parts = [*_parts(units, whole, beside), *(told for told, _ in roles)]
        names = {name for unit in (*whole, *beside) for name in unit.names}
        names.update(name for _, theirs in roles for name in theirs)
        step = unstepped(evidence.checkpoint.entries)
        yield finding(
            rules.NOT_LOADED,
            f"{_are(parts)} as initialised, while the rest is trained "
            f"({_drawn_from(whole, roles)})" + (f"; {step} is 0: no step was made" if step else ""),
            severity=Severity.WARNING if step else None,
            tensors=_in_order(evidence, names),
        )
    if bare:
        yield finding(
            rules.NOT_LOADED,
            f"LayerNorms and biases of {some_of(list(_parts(units, bare, [])), _SHOWN)} are as "
            "initialised, while those of the rest are trained; the weights are not what a known "
            "initialiser draws",
            severity=Severity.WARNING,
            tensors=_in_order(evidence, {name for unit in bare for name in unit.names}),
        )
    alone = [unit for unit in alone if unit.group not in sides]
    if alone:
        yield finding(
            rules.NOT_LOADED,
            f"{_are([unit.module for unit in alone])} as initialised, while the rest is trained "
            f"({_drawn_from(alone, [])})",
            severity=Severity.WARNING,
            tensors=_in_order(evidence, {name for unit in alone for name in unit.names}),
            fix="Frozen on purpose, as the patch projection of MoCo v3, or a new head, it is "
            "right; else it was not loaded: print what load_state_dict returns.",
        )


def _are(parts: List[str]) -> str:
    one = len(parts) == 1 and not parts[0].startswith("blocks ")
    return f"{some_of(parts, _SHOWN)} {'is' if one else 'are'}"


def _is_idle(unit: Unit) -> bool:
    return not unit.stack and not unit.trained and (unit.drawn or not unit.weights)


def _drawn_roles(units: List[Unit]) -> Iterator[Tuple[str, List[str]]]:
    """Yield the weights that were drawn in every block, where others were trained."""
    for blocks in _trained_blocks(units).values():
        roles: Dict[str, List[Weight]] = defaultdict(list)
        for block in blocks:
            for role, weight in block.weights.items():
                roles[role].append(weight)
        # not of normal ones: their largest element is no bound, and tells less; and only beside
        # others that are far from where they began, since one step is more than a bound allows
        if any(not any(one.uniform for one in told) for told in roles.values()):
            for role, told in roles.items():
                drawn = [one.name for one in told if one.size >= TELLING and _is_bounded(one.drawn)]
                if len(drawn) == len(blocks) == len(told):
                    yield f"{role} in all {len(drawn):,} blocks of the {blocks[0].group}", drawn


def _is_bounded(drawn: Optional[str]) -> bool:
    return drawn is not None and drawn.startswith("uniform")


def _parts(units: List[Unit], found: List[Unit], beside: List[Unit]) -> Iterator[str]:
    """Yield what to call units: a whole side, or its blocks by number, and modules."""
    for group in dict.fromkeys(unit.group for unit in found):
        theirs = [unit for unit in found if unit.group == group]
        modules = [unit for unit in beside if unit.group == group]
        known = [unit for unit in units if unit.group == group and (unit.vectors or unit.stack)]
        if len(theirs) + len(modules) >= len(known):
            yield f"the {group}"
            continue
        numbers = _ranges(sorted(unit.number for unit in theirs))
        yield f"{'block' if len(theirs) == 1 else 'blocks'} {numbers} of the {group}"
        yield from (unit.module for unit in modules)


def _ranges(numbers: List[int]) -> str:
    runs: List[List[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    told = [f"{first}" if first == last else f"{first}-{last}" for first, last in runs]
    return some_of(told, _SHOWN)


def _drawn_from(units: List[Unit], roles: List[Tuple[str, List[str]]]) -> str:
    """Say what shows that these units, and weights of these roles, are as initialised."""
    vectors = [one for unit in units for one in unit.vectors.values()]
    biases = [one for one in vectors if not one.layernorm]
    drawn = sorted({one.drawn for unit in units for one in unit.weights.values() if one.drawn})
    facts = ["LayerNorms of 1 and 0"] if len(vectors) > len(biases) else []
    if biases:
        zero = all(one.value == 0 for one in biases)
        facts.append("biases of 0" if zero else "biases as they are drawn")
    if drawn:
        facts.append(f"weights {some_of(drawn, 2)}")
    if roles:
        facts.append("weights uniform within an initialiser's bound, and others not")
    return ", ".join(facts)


def _in_order(evidence: Evidence, names: set[str]) -> List[str]:
    return [name for name in evidence.canonical.tensors if name in names]


# --- roles ------------------------------------------------------------------------------


def _trained_blocks(units: List[Unit]) -> Dict[str, List[Unit]]:
    """Return the blocks of each stack that has enough of them, without those not loaded."""
    stacks: Dict[str, List[Unit]] = defaultdict(list)
    for unit in units:
        if unit.stack and unit.trained:
            stacks[unit.stack].append(unit)
    return {stack: some for stack, some in stacks.items() if len(some) >= _FEWEST_BLOCKS}


def _constant_roles(evidence: Evidence, units: List[Unit]) -> Iterator[Finding]:
    """Yield the gains and biases that have one and the same value in every trained block."""
    found: Dict[Tuple[str, float], List[str]] = {}
    names: List[str] = []
    biases: List[bool] = []  # whether each role of a linear layer's bias is zero
    rounded: List[bool] = []  # whether a role is gains of 1 in a coarse type
    for blocks in _trained_blocks(units).values():
        roles: Dict[str, List[Vector]] = defaultdict(list)
        for block in blocks:
            for role, vector in block.vectors.items():
                roles[role].append(vector)
        where = f"all {len(blocks):,} blocks of the {blocks[0].group}"
        same = {
            role: vectors[0].value
            for role, vectors in roles.items()
            if len(vectors) == len(blocks) and len({one.value for one in vectors}) == 1
        }
        constant = {role: value for role, value in same.items() if value is not None}
        if not any(block.moved for block in blocks) or len(constant) == len(roles):
            continue  # nothing shows that these were trained
        for role, vectors in roles.items():
            if not vectors[0].layernorm:
                biases.append(constant.get(role) == 0)
        for role, value in constant.items():
            found.setdefault((role, value), []).append(where)
            names += [one.name for one in roles[role]]
            rounded.append(value == 1 and all(one.coarse for one in roles[role]))
    if found:
        # a model that was made without biases, or with all of them lost: it does not show which
        without = len(biases) > 1 and all(biases) and not any(value for _, value in found)
        more = "; no bias of a linear layer is anything but 0" if without else ""
        more = "; in this type small steps leave a 1 as it is" if all(rounded) else more
        told = [f"{role} is {value:g} in {' and '.join(w)}" for (role, value), w in found.items()]
        yield finding(
            rules.CONSTANT_ROLE,
            f"{some_of(told, _SHOWN)}, where other gains and biases are trained{more}",
            severity=Severity.WARNING if more else None,
            tensors=_in_order(evidence, set(names)),
            fix=_MADE_SO if without else None,
            follows=mostly_lost(evidence),
        )


# --- single values ----------------------------------------------------------------------


def _constant_vectors(evidence: Evidence, told: set[str]) -> Iterator[Finding]:
    """Yield biases and gains of a single value, in one note."""
    # where all LayerNorms are as initialised, that is a finding of its own
    left_out = layernorms(evidence) if layernorms_are_initial(evidence) else frozenset()
    found = []
    for name, values in evidence.values.tensors.items():
        info = evidence.canonical.tensors[name]
        added = not is_matrix(info) or is_bias(evidence, name)
        if info.dtype.kind == "float" and added and info.numel > 1:
            constant = is_whole(values) and not values.varied
            if constant and name not in left_out and name not in told:
                found.append(name)
    if found:
        outside = evidence.outside()
        initial = all(name not in outside and _is_as_initialised(evidence, name) for name in found)
        yield finding(
            rules.CONSTANT_VECTOR,
            f"{_counted(evidence, found)} with a single value"
            + (": as initialised, not as trained" if initial else ""),
            tensors=found,
            # of weights that look untrained that is one sign more
            follows=(*mostly_lost(evidence), *([rules.LAYERNORM_INITIAL.code] if initial else [])),
        )


def _counted(evidence: Evidence, names: List[str]) -> str:
    if not any(is_matrix(evidence.canonical.tensors[name]) for name in names):
        return count(len(names), "vector")
    return "a bias" if len(names) == 1 else f"{len(names):,} biases and vectors"


def _is_as_initialised(evidence: Evidence, name: str) -> bool:
    """Whether it has the value of the initialisation: 0 in biases, 1 in LayerNorms' weights."""
    value = evidence.values.tensors[name].minimum
    begins = 0 if name.endswith(".bias") else 1 if evidence.family.is_layernorm(name) else None
    return value == begins
