"""A masked autoencoder with the defects that conversions have had, for the proof by controls.

They are blocks numbered in another order, a grid read by columns, parts of a fused tensor in
another order, and transformers' default of layer_norm_eps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, Iterator, Sequence, Tuple

from ckpttool.tensors.catalogue import TensorInfo
from ckpttool.tensors.rows import cut

if TYPE_CHECKING:
    from mae.config import MAEConfig

Tensors = Dict[str, TensorInfo]


def controls(config: MAEConfig, tensors: Tensors) -> Iterator[Tuple[str, MAEConfig, Tensors]]:
    """Yield (name, sizes, tensors) of every control that these tensors allow."""
    if config.depth > 1:
        yield "swap-blocks", config, _with_swapped_blocks(config, tensors)
    for name, change in (
        ("transpose-positions", _with_transposed_positions),
        ("swap-query-key", _with_swapped_query_and_key),
    ):
        changed = change(config, tensors)
        if changed is not None:
            yield name, config, changed
    yield "layernorm-eps-1e-12", config._replace(layer_norm_eps=1e-12), tensors


def _with_swapped_blocks(config: MAEConfig, tensors: Tensors) -> Tensors:
    """Swap the two blocks in the middle of the encoder."""
    second = config.depth // 2  # neighbours in the middle differ least: the hardest to notice
    first = second - 1
    swapped = {}
    for name in tensors:
        other = name
        for one, two in ((first, second), (second, first)):
            before = f"blocks.{one}."
            if name.startswith(before):
                other = f"blocks.{two}.{name[len(before) :]}"
        swapped[name] = tensors[other]
    return swapped


def _with_transposed_positions(config: MAEConfig, tensors: Tensors) -> Tensors | None:
    """Swap the axes of the position table's grid, as another order of ``meshgrid`` does."""
    table = tensors["pos_embed"]
    # rows are swapped as ranges of bytes, so they must be contiguous
    if table.strides is not None or table.nbytes % (config.num_patches + config.rows_before):
        return None
    row = table.nbytes // (config.num_patches + config.rows_before)
    before = config.rows_before
    rows, columns = config.grid
    # the class token's row stays
    order = list(range(before))
    order += [before + y * columns + x for x in range(columns) for y in range(rows)]
    ranges = [(place * row, (place + 1) * row) for place in order]
    return {**tensors, "pos_embed": rearranged(table, ranges)}


def _with_swapped_query_and_key(config: MAEConfig, tensors: Tensors) -> Tensors | None:
    """Swap the rows of query and key in all blocks of the encoder."""
    changed = dict(tensors)
    for number in range(config.depth):
        for leaf in ("weight", "bias") if config.qkv_bias else ("weight",):
            name = f"blocks.{number}.attn.qkv.{leaf}"
            fused = tensors[name]
            if fused.strides is not None or fused.nbytes % 3:
                return None
            part = fused.nbytes // 3
            ranges = [(part, 2 * part), (0, part), (2 * part, 3 * part)]
            changed[name] = rearranged(fused, ranges)
    return changed


def rearranged(info: TensorInfo, ranges: Sequence[Tuple[int, int]]) -> TensorInfo:
    """Return a row-major tensor of parts of another's bytes, in the order of ``ranges``.

    Args:
        info: row-major; its bytes stay unread.
        ranges: (start, stop) in bytes of ``info``, at least as many as ``info`` has in all.
    """
    extents = tuple(piece for start, stop in ranges for piece in cut(info.extents, start, stop))
    return info._replace(extents=extents, storage=None)  # no longer a view of one storage
