"""Tensor names as a tree with totals, in which identical blocks are folded into one line."""

from __future__ import annotations

import re
from math import prod
from typing import Dict, Iterable, Iterator, List, Mapping, NamedTuple, Tuple

from ckpttool.findings.listing import TensorRow
from ckpttool.findings.names import compress, natural_order
from ckpttool.reports.terminal.view import TreeView

# A name with more parts is hostile, and a tree as deep could exceed the recursion limit.
_DEEPEST = 24

# A block's number, as compress() reads one: folded names must come out as ranges.
_NUMBER = re.compile(r"0|[1-9][0-9]{0,14}")

# The dtype and shape of a leaf, and the (name, kind) of every branch.
_Shape = Tuple[object, ...]


class Branch(NamedTuple):
    """A line of the tree.

    Attributes:
        depth: 0 for the outermost.
        label: a part of the name, ``{0-23}`` for branches that were folded.
        leaf: the tensor itself (of the first one folded), ``None`` for a branch.
        alike: how many were folded into this line, 1 for none.
        times: how many branches of the tree the line stands for: inside of a branch that was
            folded from 24, that is 24 times ``alike``.
        tensors, parameters, nbytes: totals of one of them.
        hidden: tensors of one of them that are on no line of their own, as they lie too deep.
        rows: where they were asked for, all tensors that a line stands for, if it is one of a
            tensor, or of a branch of which nothing more is shown.
    """

    depth: int
    label: str
    leaf: TensorRow | None
    alike: int
    times: int
    tensors: int
    parameters: int
    nbytes: int
    hidden: int = 0
    rows: Tuple[TensorRow, ...] = ()

    @property
    def is_of_each(self) -> bool:
        """Whether it stands in a branch that was folded, so that it is one of several."""
        return self.times > self.alike


# Most nodes are tensors without any: one for all of them.
_NO_BRANCHES: Mapping[str, _Node] = {}


class _Node:
    """A part of a name: its tensor, its branches and, after ``_measure``, its totals."""

    # less memory, as a file of 100,000 tensors has more nodes than that
    __slots__ = ("branches", "kind", "leaf", "nbytes", "parameters", "tensors")

    def __init__(self) -> None:
        self.leaf: TensorRow | None = None
        self.branches: Mapping[str, _Node] = _NO_BRANCHES
        self.kind = self.tensors = self.parameters = self.nbytes = 0


def branches(
    rows: Iterable[TensorRow],
    view: TreeView = TreeView(),  # noqa: B008 (a constant)
    *,
    every: bool = False,
) -> Iterator[Branch]:
    """Iterate over the lines of the tree, in the order in which the names first appear.

    Args:
        rows: the tensors.
        view: whether numbered branches with the same names, types and shapes become one, the order
            of those on one level, and how many levels there are.
        every: whether the lines have all the tensors that they stand for.
    """
    root = _Node()
    for row in rows:
        node = root
        for part in row.name.split(".", _DEEPEST):
            below = node.branches.get(part)
            node = _grown(node, part) if below is None else below
        node.leaf = row
    _measure(root, {})
    yield from _Lines(view, every).below([root], 0, 1)


def _grown(node: _Node, part: str) -> _Node:
    """Return a new branch of a node."""
    if node.branches is _NO_BRANCHES:
        node.branches = {}
    branch = node.branches[part] = _Node()  # type: ignore[index]  # a dictionary by now
    return branch


def _measure(node: _Node, kinds: Dict[_Shape, int]) -> None:
    """Fill in the totals and the kind, a number that two branches share if they are alike."""
    leaf = node.leaf  # a name may be a tensor and the start of another's name
    tensors, parameters, nbytes = (0, 0, 0) if leaf is None else (1, prod(leaf.shape), leaf.nbytes)
    below: List[Tuple[str, int]] = []
    for name, branch in node.branches.items():
        inner = branch.leaf
        if inner is not None and not branch.branches:  # most: without a call for each
            branch.tensors, branch.parameters, branch.nbytes = 1, prod(inner.shape), inner.nbytes
            branch.kind = kinds.setdefault((inner.dtype, inner.shape), len(kinds))
        else:
            _measure(branch, kinds)
        tensors += branch.tensors
        parameters += branch.parameters
        nbytes += branch.nbytes
        below.append((name, branch.kind))
    node.tensors, node.parameters, node.nbytes = tensors, parameters, nbytes
    shape = (leaf.dtype, leaf.shape) if leaf else None, tuple(below)
    node.kind = kinds.setdefault(shape, len(kinds))


class _Lines:
    """Makes the lines of a tree that was measured."""

    def __init__(self, view: TreeView, every: bool) -> None:
        self._view = view
        self._every = every

    def below(self, nodes: List[_Node], depth: int, times: int) -> Iterator[Branch]:
        """Yield the lines below a node; of several that are alike it is the first."""
        for names, branch in _sorted(_below(nodes[0], self._view.fold), self._view.sort):
            alike = len(names)
            label, every = _joined(names), self._found(nodes, names)
            # a single branch is put on the same line: patch_embed.proj, blocks.{0-23}
            while alike == 1 and branch.leaf is None:
                below = _below(branch, self._view.fold)
                if len(below) != 1:
                    break
                inner, branch = below[0]
                label, alike = f"{label}.{_joined(inner)}", len(inner)
                every = self._found(every, inner)
            inside = times * alike
            is_last = depth + 1 == self._view.depth
            hidden = branch.tensors - (branch.leaf is not None) if is_last else 0
            leaves = tuple(_leaves(every, below=is_last)) if self._every else ()
            totals = branch.tensors, branch.parameters, branch.nbytes
            yield Branch(depth, label, branch.leaf, alike, inside, *totals, hidden, leaves)
            if not is_last:
                yield from self.below(every, depth + 1, inside)

    def _found(self, nodes: List[_Node], names: List[str]) -> List[_Node]:
        """Return the branches of these names; of nodes that are alike only those of the first."""
        if not self._every:
            return [nodes[0].branches[names[0]]]
        return [node.branches[name] for node in nodes for name in names]


def _leaves(nodes: Iterable[_Node], *, below: bool) -> Iterator[TensorRow]:
    """Yield the tensors that nodes are, and with ``below`` those in them too."""
    waiting = list(nodes)[::-1]
    while waiting:
        node = waiting.pop()
        if node.leaf is not None:
            yield node.leaf
        if below:
            waiting.extend(reversed(list(node.branches.values())))


def _joined(names: List[str]) -> str:
    # compress() folds whole parts between dots, and a lone name is such a part
    return names[0] if len(names) == 1 else ", ".join(compress(names))


_Group = Tuple[List[str], _Node]


def _sorted(groups: List[_Group], order: str | None) -> List[_Group]:
    if order == "size":
        return sorted(groups, key=lambda group: -len(group[0]) * group[1].nbytes)
    if order == "name":
        return sorted(groups, key=lambda group: natural_order(group[0][0]))
    return groups


def _below(node: _Node, fold: bool) -> List[_Group]:
    """Return the branches, each with the names of those that are folded into it."""
    if not fold:
        return [([name], branch) for name, branch in node.branches.items()]
    groups: Dict[object, _Group] = {}
    for name, branch in node.branches.items():
        # only numbers: query, key and value are alike too, and a reader wants to see each
        key: object = branch.kind if _NUMBER.fullmatch(name) else name
        groups.setdefault(key, ([], branch))[0].append(name)
    return list(groups.values())
