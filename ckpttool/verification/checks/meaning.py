"""Checks for weights that are untrained, or repeated over blocks."""

from __future__ import annotations

from itertools import chain, product
from typing import TYPE_CHECKING, Iterator, Tuple, Union

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.text import count
from ckpttool.verification.evidence import is_matrix

if TYPE_CHECKING:
    from ckpttool.verification.evidence import Evidence

# A tensor of a block: its name in it, and what it shares with those of the same bytes.
_Content = Tuple[str, Union[bytes, str]]


def check_layernorms(evidence: Evidence) -> Iterator[Finding]:
    """LayerNorms that are all exactly 1 and 0: a step of training changes them."""
    if layernorms_are_initial(evidence):
        yield finding(
            rules.LAYERNORM_INITIAL,
            f"all {count(len(layernorms(evidence)), 'LayerNorm tensor')} are exactly 1 and 0, "
            "as before training",
            # lost or not loaded, where something else of the model is trained
            follows=(rules.CONSTANT_ROLE.code, rules.NOT_LOADED.code),
        )


def layernorms(evidence: Evidence) -> frozenset[str]:
    """Return the LayerNorms of the model, and that of a classifier made from it."""
    if evidence.is_other:  # in another model a BatchNorm may have these names
        return frozenset()
    return frozenset(filter(evidence.family.is_layernorm, evidence.canonical.tensors))


def layernorms_are_initial(evidence: Evidence) -> bool:
    """Whether there are LayerNorms and all have weights of 1 and biases of 0 everywhere."""
    present = layernorms(evidence)
    return bool(present) and all(is_initial(evidence, name) for name in present)


def is_initial(evidence: Evidence, name: str) -> bool:
    """Whether a LayerNorm's weight is 1 everywhere, or its bias 0."""
    values = evidence.values.tensors.get(name)
    # minimum and maximum leave out what is not finite
    if values is None or values.nan or values.infinite:
        return False
    initial = 1 if name.endswith(".weight") else 0
    return values.minimum == values.maximum == initial


def check_identical_blocks(evidence: Evidence) -> Iterator[Finding]:
    """Blocks whose tensors have the same bytes: one was copied over another."""
    for stack, group in evidence.family.stacks.items():
        blocks = _blocks(evidence, stack)
        same = _alike(blocks)
        if same:
            told = "; ".join(" = ".join(map(str, numbers)) for numbers in same)
            repeated = {
                f"{stack}.{number}.{name}"
                for number in chain.from_iterable(same)
                for name, _ in blocks[number]
            }
            yield finding(
                rules.IDENTICAL_BLOCKS,
                f"blocks of the {group} hold the same weights: {told}",
                tensors=[name for name in evidence.canonical.tensors if name in repeated],
            )


def originals(evidence: Evidence) -> dict[str, str]:
    """Return tensor -> the same one of the first block, for blocks with the same weights."""
    found = {}
    for stack in evidence.family.stacks:
        blocks = _blocks(evidence, stack)
        for first, *others in _alike(blocks):
            for other, (name, _) in product(others, blocks[first]):
                found[f"{stack}.{other}.{name}"] = f"{stack}.{first}.{name}"
    return found


def _alike(blocks: dict[int, frozenset[_Content]]) -> list[list[int]]:
    groups: dict[frozenset[_Content], list[int]] = {}
    for number, content in sorted(blocks.items()):
        groups.setdefault(content, []).append(number)
    return [numbers for numbers in groups.values() if len(numbers) > 1]


def _blocks(evidence: Evidence, stack: str) -> dict[int, frozenset[_Content]]:
    """Return the (name in the block, content) pairs of every block that can be compared."""
    if not evidence.contents:  # all tensors differ, and so do the blocks
        return {}
    outside = evidence.outside()
    contents: dict[int, set[_Content]] = {}
    with_weights = set()
    unread = set()
    for name, info in evidence.canonical.tensors.items():
        place = evidence.family.block_of(name)
        if place is None or place.stack != stack:
            continue
        _, number, rest = place
        if name not in evidence.values.tensors:
            unread.add(number)
            continue
        contents.setdefault(number, set()).add((rest, evidence.content(name)))
        # Only with a matrix of several values: gains and biases alone may agree by chance, and
        # blocks that are all zero or NaN are reported as that.
        if name not in outside and is_matrix(info) and evidence.values.tensors[name].varied:
            with_weights.add(number)
    return {number: frozenset(contents[number]) for number in sorted(with_weights - unread)}
