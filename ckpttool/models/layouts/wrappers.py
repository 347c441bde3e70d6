"""Finds what a module around others puts inside of names: the string that makes most names fit.

FSDP's ``_fsdp_wrapped_module``, PEFT's ``base_layer`` and the ``_orig_mod`` of a part that was
compiled are such strings. None of them is known by name.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from ckpttool.models.layouts.readings import may_be_read, read, wrapped

if TYPE_CHECKING:
    from typing import Callable, Iterator, Mapping, Sequence, Tuple

    from ckpttool.models.layouts.readings import Reading, Wrapper
    from ckpttool.models.layouts.spellings import Spellings
    from ckpttool.tensors.catalogue import TensorInfo

    _Place = Tuple[str, str, int]

# FSDP around a checkpointed block around an adapted module: they nest. More is no model.
_MOST_WRAPPERS = 4
# Honest files have a few hundred patterns; a hostile one may not make us search a million.
_MOST_SEARCHED = 1_000
_MOST_SEARCHED_TOGETHER = 50
# One name fits by chance.
_LEAST_NAMES = 2
# PEFT keeps under this name what a module was before the one beside it was trained.
_BEFORE = "original_module"


class _Votes(NamedTuple):
    """How many names fit without a wrapper; of as many, larger tensors are the model's."""

    names: int = 0
    elements: int = 0


def wrappers_in(
    counts: Mapping[str, int],
    spellings: Spellings,
    example: Callable[[str], TensorInfo | None],
) -> tuple[Wrapper, ...]:
    """Return what is taken out inside of names, the one that makes most names fit first.

    Args:
        counts: pattern -> number of names.
        spellings: what a family calls its parts.
        example: pattern -> one of the tensors with it, where tensors are at hand.
    """
    found: tuple[Wrapper, ...] = ()
    while len(found) < _MOST_WRAPPERS:
        taken, unread = _read_all(counts, spellings, found)
        best: tuple[Wrapper, ...] = ()
        # two at once only where one makes nothing fit: "blocks._orig_mod.0._fsdp_wrapped_module."
        for together, most in ((1, _MOST_SEARCHED), (2, _MOST_SEARCHED_TOGETHER)):
            votes: dict[tuple[Wrapper, ...], _Votes] = defaultdict(_Votes)
            for pattern in unread[:most]:
                info = example(pattern)
                for wrappers, reading in wrapped(pattern, spellings, found, together):
                    # not what lies beside a tensor of the model: lora_A beside base_layer
                    if taken.isdisjoint(_places(reading)) and _fits(info, reading, spellings):
                        names, elements = votes[wrappers]
                        elements += 0 if info is None else info.numel
                        votes[wrappers] = _Votes(names + counts[pattern], elements)
            if votes:
                best = max(votes, key=lambda one: (votes[one], _BEFORE not in sum(one, ())))
                break
        if not best or votes[best].names < _LEAST_NAMES:
            break
        found += best
    return found


def _read_all(
    counts: Mapping[str, int], spellings: Spellings, known: Sequence[Wrapper]
) -> tuple[set[_Place], list[str]]:
    """Return what is found in its place, and the patterns that nothing is known of."""
    taken: set[_Place] = set()
    unread: list[str] = []
    for pattern in counts:
        reading = read(pattern, spellings, known)
        if reading is not None:
            taken.update(_places(reading))
        elif len(unread) < _MOST_SEARCHED and may_be_read(pattern, spellings):
            unread.append(pattern)
    return taken, unread


def _places(reading: Reading) -> Iterator[_Place]:
    for claim in reading.claims:
        yield reading.prefix, claim.canonical, claim.part


def _fits(info: TensorInfo | None, reading: Reading, spellings: Spellings) -> bool:
    # of a head, which not every model of a family has, they are not known
    dimensions = {spellings.dimensions.get(claim.canonical) for claim in reading.claims}
    return info is None or None in dimensions or len(info.shape) in dimensions
