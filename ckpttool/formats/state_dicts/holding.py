"""The containers of tensors in a pickle: dictionaries, lists, tuples and objects, with their keys.

Each is walked once, however many refer to it, and no deeper than any real checkpoint nests.
"""

from __future__ import annotations

from typing import Iterable, Iterator

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.formats.objects.arrays import is_array
from ckpttool.formats.objects.describing import MAX_KEY
from ckpttool.formats.objects.rebuild import is_tensor
from ckpttool.formats.pickles.dictionaries import check_unambiguous, count_of, pairs_of
from ckpttool.formats.pickles.nodes import SCALARS, Call, Dict, Node
from ckpttool.formats.state_dicts.modules import MAX_DEPTH as MAX_MODULE_DEPTH
from ckpttool.formats.state_dicts.modules import has_parts, is_graph, is_module, parts_of_module
from ckpttool.formats.state_dicts.optimizers import are_moments, is_optimizer

#: How deep below the root tensors are looked for.
MAX_DEPTH = 32

_PLAIN = frozenset({list, tuple, Dict})
# Up to so many nodes a container is searched without an entry in the cache, which would take more
# memory than the container: a file may have a million small ones.
_FEW = 64


class Holder:
    """A dictionary, list, tuple or object that holds tensors, directly or further down.

    Attributes:
        node: the container.
        ordered: whether its values go by numbers, as a list's.
        is_object: whether its values are the attributes of an object.
        is_module: whether it is a pickled module; what is in it then is named as its
            ``state_dict()`` does.
        tensors: how many tensors are directly in it, under a key that has a form as text.
        arrays: how many arrays of numbers are.
        below: (key, holder) of the containers of tensors in it, in order.
        dotted: whether a key of a tensor directly in it has a dot, as in a module's state dict.
        optimizer: whether it is the state of an optimizer, or only holds such states.
        bare: whether no tensor in it has a name, as in a list of tensors.
        dots: whether it, or a container below it, is ``dotted``, or a module.
        modules: whether it, or a container below it, is a module.
        torch: whether it holds a torch tensor, and not only arrays.
        weighs: whether a tensor in it has more than one element; ``None`` until it is needed.
    """

    __slots__ = (
        "arrays", "bare", "below", "dots", "dotted", "is_module", "is_object", "modules", "node",
        "optimizer", "ordered", "tensors", "torch", "weighs",
    )  # fmt: skip

    def __init__(self, node: Node, *, in_module: bool = False) -> None:
        self.node = node
        self.ordered = is_ordered(node)
        foreign = isinstance(node, Call) and count_of(node) is None and node.mapped is None
        self.is_module = foreign and (is_module(node) or (in_module and is_graph(node)))
        self.is_object = foreign and not self.ordered and not self.is_module
        self.tensors = 0
        self.arrays = 0
        self.below: list[tuple[str, Holder]] = []
        self.dotted = False
        self.optimizer = False
        self.bare = self.dots = self.torch = self.modules = False
        self.weighs: bool | None = None

    def close(self) -> None:
        """Set what depends on the containers below, once those are complete."""
        below = [holder for _, holder in self.below]
        if below and not self.tensors and not self.arrays:
            self.optimizer = all(holder.optimizer for holder in below)
        self.bare = self.ordered and all(holder.bare for holder in below)
        self.modules = self.is_module or any(holder.modules for holder in below)
        self.dots = self.dotted or self.is_module or any(holder.dots for holder in below)
        self.torch = bool(self.tensors) or any(holder.torch for holder in below)

    @property
    def holds(self) -> bool:
        """Whether there is a tensor in it."""
        return bool(self.tensors or self.arrays or self.below)


class Holders:
    """All holders below a root, each once."""

    def __init__(self, root: Node, *, into_optimizers: bool = False) -> None:
        self._into_optimizers = into_optimizers
        self._known: dict[int, Holder] = {}
        self.root = self._walk(root)

    def of(self, node: Node) -> Holder | None:
        """Return the holder of a node; ``None`` for a node without tensors."""
        found = self._known.get(id(node))
        return found if found is not None and found.holds else None

    def _walk(self, root: Node) -> Holder | None:
        """Walk the containers below the root, depth first."""
        if not is_container(root):
            return None
        top = Holder(root)
        self._known[id(root)] = top
        # without recursion: the holders from the root down, their keys, and what is left of each
        path: list[tuple[str, Holder, Iterator[tuple[str, Node]]]] = [("", top, self._look(top))]
        while path:
            _, holder, rest = path[-1]
            for key, node in rest:
                known = self._known.get(id(node))
                if known is _NOTHING:
                    continue
                if known is not None:
                    # a container on the path contains itself
                    if known.holds and all(known is not one for _, one, _ in path):
                        holder.below.append((key, known))
                elif _is_entered(node, holder, len(path)):
                    below = self._known[id(node)] = Holder(node, in_module=holder.is_module)
                    path.append((key, below, self._look(below)))
                    break
            else:
                key, holder, _ = path.pop()
                holder.close()
                if not holder.holds:
                    self._known[id(holder.node)] = _NOTHING
                elif path:
                    path[-1][1].below.append((key, holder))
        return top if top.holds else None

    def _look(self, holder: Holder) -> Iterator[tuple[str, Node]]:
        """Count the tensors in a container and return the containers, with their keys."""
        node = holder.node
        if holder.is_module:
            below = self._look_at_pairs(holder, parts_of_module(node))
            return ((key, one) for key, one in below if is_module(one) or is_graph(one))
        if holder.ordered:
            return self._look_at_items(holder, items_of(node))
        pairs = named_pairs(node)
        if holder.is_object and has_parts(pairs):  # a module that no pickler writes so
            return iter(())
        if not self._into_optimizers and (is_optimizer(pairs) or are_moments(pairs)):
            holder.optimizer = True
            holder.tensors = 1  # so that it counts as a holder; its tensors are not counted
            return iter(())
        return self._look_at_pairs(holder, pairs)

    def _look_at_items(self, holder: Holder, items: Iterable[Node]) -> Iterator[tuple[str, Node]]:
        for number, value in enumerate(items):
            if type(value) in SCALARS:
                continue
            if is_tensor(value):
                holder.tensors += 1
            elif is_array(value):
                holder.arrays += 1
            elif is_container(value):
                yield str(number), value

    def _look_at_pairs(
        self, holder: Holder, pairs: list[tuple[Node, Node]]
    ) -> Iterator[tuple[str, Node]]:
        for key, value in pairs:
            if type(value) in SCALARS:
                continue
            if is_tensor(value):
                text = key if type(key) is str else written(key)
                if text is not None:
                    holder.tensors += 1
                    holder.dotted = holder.dotted or "." in text
            elif is_array(value):
                text = written(key)
                if text is not None:
                    holder.arrays += 1
                    holder.dotted = holder.dotted or "." in text
            elif is_container(value):
                text = written(key)
                if text is not None and len(text) <= MAX_KEY:
                    yield text, value


def _is_entered(node: Node, above: Holder, depth: int) -> bool:
    """Whether a container is looked into, so many levels below the root.

    Raises:
        MalformedError: it is in a module, whose state dict would not be whole without it.
    """
    if not above.is_module:
        return depth < MAX_DEPTH and not _is_empty(node) and may_hold(node)
    if depth >= MAX_MODULE_DEPTH:
        raise MalformedError(
            "modules are nested deeper than is read",
            rules.LIMIT,
            expected=f"at most {MAX_MODULE_DEPTH} levels",
        )
    return True


def _is_empty(node: Node) -> bool:
    """Whether a node is the result of a call without pairs, items or attributes.

    A file may have millions of them. What their arguments hold is under no key.
    """
    return isinstance(node, Call) and node.changes is None and not count_of(node)


def may_hold(node: Node) -> bool:
    """Whether a node may hold a tensor: ``False`` for scalars and small containers of them."""
    if type(node) not in _PLAIN:
        return isinstance(node, Call) or is_container(node)
    # level by level, and no further than a few nodes: what is larger is walked, and remembered
    level = [node]
    left = _FEW
    while level:
        items = [one.flat if type(one) is Dict else one for one in level]
        left -= sum(map(len, items))
        if left < 0:
            return True
        level = [item for one in items for item in one if type(item) not in SCALARS]
        if not _PLAIN.issuperset(map(type, level)):
            return True
    return False


def is_container(node: Node) -> bool:
    """Whether a node may have others under keys or numbers."""
    if isinstance(node, (Dict, list, tuple)):
        return True
    return isinstance(node, Call) and not is_tensor(node)


def is_ordered(node: Node) -> bool:
    """Whether the values of a container go by numbers."""
    if isinstance(node, (list, tuple)):
        return True
    return isinstance(node, Call) and node.appended is not None and not node.mapped


def items_of(node: Node) -> list[Node] | tuple[Node, ...]:
    """Return the values of a container that go by numbers."""
    return node if isinstance(node, (list, tuple)) else node.appended or []


def named_pairs(node: Node) -> list[tuple[Node, Node]]:
    """Return the pairs of a dictionary, or of any object that is one or has attributes.

    Raises:
        MalformedError: two readers would see other pairs.
    """
    pairs = pairs_of(node)
    if pairs is not None:
        if pairs:
            check_unambiguous(node, pairs)
        return pairs
    inner = node.mapped
    if inner is None and node.states and isinstance(node.states[0], Dict):
        inner = node.states[0]
    if inner is None:
        return []
    pairs = list(inner.pairs())
    check_unambiguous(inner, pairs)
    return pairs


def written(key: Node) -> str | None:
    """Return a key as a part of a name: text as it is, numbers as Python writes them.

    ``None`` for bytes and tuples, which tools write in different ways.
    """
    if type(key) is str:
        return key
    if key is None or type(key) in (int, float, bool):
        return str(key)
    return None


def parts_of(node: Node) -> Iterator[tuple[Node, Node]]:
    """Yield (key, value) of the values directly in a container.

    Keys are as :func:`written` has them; a key without a form as text is yielded as it is.

    Raises:
        MalformedError: a key occurs twice.
    """
    if isinstance(node, Call) and (is_module(node) or is_graph(node)):
        return iter(parts_of_module(node))
    if is_ordered(node):
        return ((str(number), value) for number, value in enumerate(items_of(node)))
    # a plain dictionary was checked for duplicate keys when it was walked
    pairs = node.pairs() if type(node) is Dict else iter(named_pairs(node))
    return (pair if type(pair[0]) is str else _with_written(pair) for pair in pairs)


def _with_written(pair: tuple[Node, Node]) -> tuple[Node, Node]:
    text = written(pair[0])
    return pair if text is None else (text, pair[1])


# The one entry in the cache for every container without tensors: there may be a million.
_NOTHING = Holder(())
