"""What the blocks of a masked autoencoder show of its sizes: how many there are, and how wide."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Iterable, Mapping, NamedTuple

if TYPE_CHECKING:
    from ckpttool.models.family import Shape

_BLOCK = re.compile(r"(blocks|decoder_blocks)\.(\d{1,9})\.(.+)", re.DOTALL)
_WIDE = frozenset(
    f"{module}.{leaf}" for module in ("norm1", "norm2") for leaf in ("weight", "bias")
) | {"attn.proj.bias", "mlp.fc2.bias"}
_MATRICES = ("attn.proj.weight", "attn.rel_pos_w")
# Votes on the width within the MLP: of a bias more than of both matrices, which may be transposed.
_HIDDEN = {"mlp.fc1.bias": 3, "mlp.fc1.weight": 1}

#: No model is wider; a size that large would cost memory and tell nothing.
MOST_WIDTH = 1 << 16


class Stack(NamedTuple):
    """What the blocks of one side show; ``None`` for what they do not.

    Attributes:
        numbers: of the blocks that are there.
        width: of their tokens.
        hidden: the width within the MLP.
        qkv_bias: whether query, key and value have a bias.
        rel_pos: number of a block -> the shape of its relative positions.
    """

    numbers: frozenset[int]
    width: int | None
    hidden: int | None
    qkv_bias: bool | None
    rel_pos: Mapping[int, Shape]

    @property
    def depth(self) -> int:
        """The number of blocks: most numbers below it are there, or there are so many."""
        deepest = 0
        for place, number in enumerate(sorted(self.numbers), 1):
            if number + 1 <= 2 * place:
                deepest = number + 1
        return deepest or len(self.numbers)


def stacks_of(shapes: Mapping[str, Shape]) -> dict[str, Stack]:
    """Return the stacks of blocks, the encoder's and the decoder's, by the names of them."""
    numbers: dict[str, set[int]] = {"blocks": set(), "decoder_blocks": set()}
    widths: dict[str, list[int]] = {"blocks": [], "decoder_blocks": []}
    hidden: dict[str, list[int]] = {"blocks": [], "decoder_blocks": []}
    biases = dict.fromkeys(numbers, 0)
    weights = dict.fromkeys(numbers, 0)
    rel_pos: dict[str, dict[int, Shape]] = {"blocks": {}, "decoder_blocks": {}}
    for name, shape in shapes.items():
        found = _BLOCK.fullmatch(name)
        if found is None:
            continue
        stack, number, rest = found[1], int(found[2]), found[3]
        if rest in _WIDE:
            widths[stack] += shape[:1]
        elif rest in _HIDDEN:
            hidden[stack] += shape[:1] * _HIDDEN[rest]
        elif rest == "mlp.fc2.weight":
            hidden[stack] += shape[1:2]
        elif rest == "attn.qkv.bias":
            biases[stack] += 1
        elif rest == "attn.qkv.weight":
            weights[stack] += 1
        elif rest == "attn.rel_pos_h" and len(shape) == 2:
            rel_pos[stack][number] = shape
        elif rest not in _MATRICES:
            continue  # a name of no block of ours says nothing of how many there are
        numbers[stack].add(number)
    return {
        stack: Stack(
            frozenset(numbers[stack]),
            most_of(widths[stack]),
            most_of(hidden[stack]),
            # one bias in a model without would be the odd one; one that lacks is missing
            biases[stack] > 0 if biases[stack] or weights[stack] else None,
            rel_pos[stack],
        )
        for stack in numbers
    }


def most_of(votes: Iterable[int]) -> int | None:
    """Return what most say, of the widths that a model may have."""
    counted = Counter(vote for vote in votes if 0 < vote <= MOST_WIDTH).most_common(1)
    return counted[0][0] if counted else None
