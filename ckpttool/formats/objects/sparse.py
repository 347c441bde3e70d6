"""Layouts of sparse tensors: their names, and whether parts fit together."""

from __future__ import annotations

from ckpttool.formats.pickles.nodes import Call, Node, pair_of

#: The layout of a sparse tensor whose elements have their places beside them.
COORDINATES = "sparse_coo"
#: The layouts of compressed sparse tensors, and whether rows are compressed, and in blocks.
COMPRESSED = {
    "sparse_csr": (True, False),
    "sparse_csc": (False, False),
    "sparse_bsr": (True, True),
    "sparse_bsc": (False, True),
}


def compressed_names(by_rows: bool) -> tuple[str, str]:
    """Return the names of the two tensors of indices of a compressed sparse tensor."""
    return ("crow_indices", "col_indices") if by_rows else ("ccol_indices", "row_indices")


def layout_of(node: Node) -> str | None:
    """Return the layout that a node names, by itself or through ``_get_layout``."""
    name = pair_of(node)
    if name is None and isinstance(node, Call) and len(node.args) == 1:
        called = pair_of(node.function) == ("torch.serialization", "_get_layout")
        text = node.args[0] if called and type(node.args[0]) is str else ""
        name = ("torch", text[6:]) if text.startswith("torch.") else None
    known = name is not None and name[0] == "torch" and name[1] in {COORDINATES, *COMPRESSED}
    return name[1] if known and name is not None else None


def fit(
    layout: str,
    shape: tuple[int, ...],
    starts: tuple[int, ...],
    places: tuple[int, ...],
    values: tuple[int, ...],
) -> bool:
    """Whether the shapes of the parts of a compressed sparse tensor are those of its own.

    ``torch._validate_sparse_compressed_tensor_args`` has the same conditions.
    """
    by_rows, in_blocks = COMPRESSED[layout]
    batch = len(starts) - 1
    if batch < 0 or len(places) != batch + 1 or len(shape) < batch + 2 or len(values) <= batch:
        return False
    block = values[batch + 1 : batch + 3] if in_blocks else (1, 1)
    if len(block) != 2 or 0 in block:
        return False
    rows, columns = (size // step for size, step in zip(shape[batch:], block))
    whole = (rows * block[0], columns * block[1]) == shape[batch : batch + 2]
    dense = values[batch + (3 if in_blocks else 1) :]
    return (
        whole
        and starts[:-1] == places[:-1] == values[:batch] == shape[:batch]
        and starts[-1] == (rows if by_rows else columns) + 1
        and places[-1] == values[batch]
        and dense == shape[batch + 2 :]
    )
