"""Tensors outside of the state dict that is taken, and files without any state dict."""

from __future__ import annotations

from typing import Iterable, Iterator

from ckpttool.findings import rules
from ckpttool.findings.errors import UnsupportedError
from ckpttool.findings.text import count
from ckpttool.formats.objects.arrays import is_array, is_of_numpy
from ckpttool.formats.objects.describing import key_text
from ckpttool.formats.objects.rebuild import FROM_TYPE, UNSUPPORTED, is_tensor
from ckpttool.formats.objects.storages import Locate
from ckpttool.formats.pickles.dictionaries import count_of
from ckpttool.formats.pickles.nodes import (
    Call,
    Dict,
    Global,
    Node,
    PersistentId,
    children,
    is_scalar,
    near,
    pair_of,
)
from ckpttool.formats.state_dicts.choosing import Choice, Unit, is_averaged
from ckpttool.formats.state_dicts.flattening import parts
from ckpttool.formats.state_dicts.holding import Holders, may_hold
from ckpttool.formats.state_dicts.measuring import is_random_state, storages_of
from ckpttool.formats.state_dicts.modules import Walk, class_of, closed_reason, is_module
from ckpttool.formats.state_dicts.optimizers import are_moments, is_optimizer
from ckpttool.tensors.catalogue import Outside

_FIX = "Save model.state_dict() (or a dictionary that holds it) with torch.save."
_SAVE_TENSOR = "Load it, and save it under a name: torch.save({'weight': tensor}, path)."
_SAVE_ARRAY = (
    "Where you know who wrote it, load it and save it under a name: "
    "safetensors.numpy.save_file({'weight': array}, path)."
)
_NEAR = 200  # nodes that are searched for a storage


class OutsideCounter:
    """Counts the tensors outside of the state dict that was taken, each once."""

    def __init__(self, locate: Locate, taken: Iterable[str | None]) -> None:
        """``taken`` has the keys of the storages of the state dict."""
        self._locate = locate
        self._storages = set(taken)
        self._seen: set[int] = set()

    def rows(self, choice: Choice, entries: Iterable[tuple[str, Node]]) -> Iterator[Outside]:
        """Yield a row for each state dict that is not taken, then for other entries with tensors.

        Tensors of an optimizer are not counted, nor those that share a storage with the taken ones.

        Args:
            choice: the state dict that was taken, and the others.
            entries: (dotted key, node) of the entries beside it.
        """
        for unit in choice.others:
            yield from self._of_unit(unit, choice.holders)
        yield from self.rows_of(entries)

    def rows_of(self, entries: Iterable[tuple[str, Node]]) -> Iterator[Outside]:
        """Yield a row for each entry with a tensor that was not counted yet."""
        for key, node in entries:
            tensors = nbytes = 0
            for tensor in self._tensors(node):
                length = self._length(tensor)
                tensors += length is not None
                nbytes += length or 0
            if tensors:
                yield Outside(key, tensors, nbytes, is_averaged(key))

    def _of_unit(self, unit: Unit, holders: Holders) -> Iterator[Outside]:
        lengths: list[int] = []
        for part in parts(unit.holder, holders, unit.apart):
            if part.is_tensor:
                self._seen.add(id(part.node))
                length = self._length(part.node)
                lengths += [] if length is None else [length]
        if lengths:
            yield Outside(unit.key, len(lengths), sum(lengths), is_averaged(unit.key))

    def _length(self, tensor: Node) -> int | None:
        """Return the bytes of a tensor not counted so far, ``None`` if its storages were."""
        storages = [] if is_array(tensor) else list(storages_of(tensor, self._locate))
        fresh = {key: nbytes for key, nbytes in storages if key not in self._storages}
        if storages and not fresh:
            return None
        self._storages.update(fresh)
        return sum(fresh.values())

    def _tensors(self, root: Node) -> Iterator[Node]:
        waiting = [root]
        while waiting:
            node = waiting.pop()
            if is_scalar(node) or id(node) in self._seen:
                continue
            self._seen.add(id(node))
            if is_tensor(node):
                if not is_random_state(node):
                    yield node
            elif not _is_of_an_optimizer(node):
                waiting += filter(_is_worth_a_look, children(node))


def _is_worth_a_look(node: Node) -> bool:
    return is_tensor(node) or may_hold(node)


def _is_of_an_optimizer(node: Node) -> bool:
    pairs = _pairs(node)
    return bool(pairs) and (is_optimizer(pairs) or are_moments(pairs))


def _pairs(node: Node) -> list[tuple[Node, Node]]:
    """Return the pairs of a dictionary, or the attributes of an object."""
    if isinstance(node, Call):
        node = node.mapped or (node.states[0] if node.states else None)
    return list(node.pairs()) if isinstance(node, Dict) else []


# --- no state dict at all ----------------------------------------------------------------


def no_state_dict(root: Node, holders: Holders, locate: Locate) -> UnsupportedError:
    """Return the error for a file without a state dict, which names its content instead."""
    if is_of_numpy(root):
        what = "a single array of numpy" if is_array(root) else "a numpy array of no numbers"
        fix = _SAVE_ARRAY if is_array(root) else ""
        return _error(f"the file holds {what}, not a state dict", fix)
    if is_tensor(root):
        kind = _unsupported_kind(root)
        what = f"a single tensor ({kind})" if kind else "a single tensor"
        return _error(f"the file holds {what}, not a state dict", "" if kind else _SAVE_TENSOR)
    modules = list(_modules(root))
    if modules:
        key, node = modules[0]
        name = class_of(node)
        more = f" (and {count(len(modules) - 1, 'more module')})" if len(modules) > 1 else ""
        where = (
            f"there is a pickled module under {key!r}" if key else "the file is a pickled module"
        )
        return _error(
            f"{where}, of class {name}{more}, without a parameter or a buffer that can be read"
            + _closed(node),
            "Where the class is installed and the file is trusted, load it and save its "
            "state_dict() with torch.save.",
            rules.UNSUPPORTED,
        )
    if isinstance(root, Call) and isinstance(root.function, Global) and count_of(root) is None:
        return _error(
            f"the file holds a pickled object of {root.function}, not a state dict",
            rule=rules.UNSUPPORTED,
        )
    return _no_names(root, holders, locate)


def _no_names(root: Node, holders: Holders, locate: Locate) -> UnsupportedError:
    top = holders.root
    if top is not None and top.optimizer:
        return _error(
            "the file holds the state of an optimizer and no weights of a model",
            "Name the file that the model's state dict was saved to.",
        )
    if top is not None and top.bare:
        return _error(
            f"the file holds a {type(root).__name__} of tensors that have no names",
            "Read them under their numbers (0, 1, ...) with --wrapper ''.",
        )
    empty = _empty(root)
    if empty is not None:
        return _error(f"the dictionary under {empty!r} is empty: there is no tensor in the file")
    counted = OutsideCounter(locate, ())
    elsewhere = list(counted.rows_of(_top_entries(root)))
    if elsewhere:
        listed = ", ".join(f"{row.key} ({count(row.tensors, 'tensor')})" for row in elsewhere[:10])
        return _error(
            "no dictionary that can be looked into holds tensors by name; "
            f"there are some in {listed}"
        )
    if any(isinstance(part, PersistentId) for part in near((root,), _NEAR)):
        return _error("the file holds only storages: bytes without a shape, no tensor")
    if top is not None:
        return _error("no dictionary in the file holds tensors by name")
    return _error("there is no dictionary of tensors in the file: it holds no tensor")


def _error(message: str, fix: str = _FIX, rule: rules.Rule = rules.NO_TENSORS) -> UnsupportedError:
    return UnsupportedError(message, rule, fix=fix)


def _unsupported_kind(root: Node) -> str | None:
    """Return what keeps a tensor from being read, ``None`` if nothing does."""
    reason = UNSUPPORTED.get(pair_of(root.function) or ("", ""))
    if pair_of(root.function) in FROM_TYPE and len(root.args) > 1:
        reason = f"of class {root.args[1]}"
    return reason


def _empty(root: Node) -> str | None:
    """Return the first key that leads to an empty dictionary: a module without parameters."""
    for key, value in _top_entries(root):
        if count_of(value) == 0:
            return key
    return None


def _top_entries(root: Node) -> Iterator[tuple[str, Node]]:
    if isinstance(root, (list, tuple)):
        yield from ((str(number), item) for number, item in enumerate(root))
    else:
        yield from ((key_text(key), value) for key, value in _pairs(root))


def _closed(module: Call) -> str:
    """Return words for what holds the weights of a module that has none to be read."""
    walk = Walk()
    walk.take("", module)
    closed = walk.found.closed
    return f": {closed[0][0]} is {closed_reason(closed[0][1])}" if closed else ""


def _modules(root: Node) -> Iterator[tuple[str, Call]]:
    """Yield (key, node) of the pickled modules near the root, those in another not."""
    waiting: list[tuple[str, Node, int]] = [("", root, 0)]
    seen: set[int] = set()
    while waiting:
        key, node, depth = waiting.pop()
        if is_scalar(node) or id(node) in seen:
            continue
        seen.add(id(node))
        if is_module(node):
            yield key, node
        elif depth < _DEPTH_OF_MODULES:
            below = [(f"{key}.{part}" if key else part, one) for part, one in _top_entries(node)]
            waiting += [(part, one, depth + 1) for part, one in reversed(below)]


_DEPTH_OF_MODULES = 3
