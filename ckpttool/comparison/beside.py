"""Compares what lies beside the weights of two files, node by node.

Nodes are compared by meaning (``formats.objects.views``): mappings without an order, sets as
multisets, a value in any of its spellings. Each pair of nodes is compared once, so shared and
cyclic parts cost no more than others, and sharing is no difference. Tensors are only paired here,
by their dotted keys; the caller reads their elements.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Sequence, Tuple

from ckpttool.comparison.equal_values import CannotTellError, Meanings
from ckpttool.comparison.numbers.stretches import Pair
from ckpttool.comparison.result import StateDiff
from ckpttool.comparison.texts import Texts, is_short, part_of
from ckpttool.findings.names import natural_order
from ckpttool.formats.objects.beside import Beside, joined, self_of
from ckpttool.formats.objects.rebuild import dress_of, is_tensor
from ckpttool.formats.objects.views import (
    ATOM,
    MAPPING,
    OBJECT,
    SEQUENCE,
    SET,
    View,
    exact,
    through,
    view,
    wrapping,
)
from ckpttool.formats.pickles.nodes import Call, Node, is_scalar
from ckpttool.tensors.catalogue import TensorInfo

#: Parts of nodes that may be visited again, beyond three times as many as are visited first.
#: Comparing two cycles of different lengths never ends, and where names are left out, shared nodes
#: are visited under each of their keys.
MAX_AGAIN = 200_000
#: Why two objects are not compared: a constructor's arguments may mean the same as a state.
OTHER_FORM = "made in ways that may come to the same"
#: Why keys, and members of sets, are not paired.
NO_MEANING = "a key, or a member of a set, that is a tensor or nests too deep to be compared"
#: Why entries under equal keys are not: loading keeps one of them, by the order in the file.
EQUAL_KEYS = "equal numbers of two types are keys, or members, of which loading keeps one"
#: Why two tensors are not compared.
OTHER_KIND = "of a kind that is not read on one side"

_ENDLESS = "more than can be compared"
_NOTHING = object()
# The calls by which pickle protocols below 5 and from 5 on make an array: one array may be
# spelled either way. An array of objects or fields is not read further.
_ARRAYS = frozenset({"numpy._core.multiarray._reconstruct", "numpy._core.numeric._frombuffer"})
# Kinds that a report need not name, since their JSON text shows them.
_PLAIN_KINDS = frozenset({"list", "dict"})


class BesideResult(NamedTuple):
    """The result of a comparison.

    Attributes:
        state: differing values that are no tensors, in the order of the keys.
        pairs: (key, tensors) that both sides have.
        only: (key, side, tensor) that one side has.
        doubts: (key, reason) of what could not be compared.
        passed_over: keys of OmegaConf values whose types and flags differ, which are no values
            themselves.
        compared: how many values and tensors were compared.
        excluded: how many were left out by their names.
        unseen: keys below which not every name was visited: the nodes there were compared under
            another key, or could not be compared.
    """

    state: Tuple[StateDiff, ...] = ()
    pairs: Tuple[Tuple[str, Pair], ...] = ()
    only: Tuple[Tuple[str, int, TensorInfo], ...] = ()
    doubts: Tuple[Tuple[str, str], ...] = ()
    passed_over: Tuple[str, ...] = ()
    compared: int = 0
    excluded: int = 0
    unseen: Tuple[str, ...] = ()

    def with_more(self, other: BesideResult) -> BesideResult:
        """Return the results of both comparisons as one."""
        both: Any = zip(self, other)
        return BesideResult(*(one + more for one, more in both))


class Entries(NamedTuple):
    """The entries beside the weights of one side, as (dotted key, node), and their source."""

    beside: Beside | None
    items: Sequence[Tuple[str, Node]]


def entries_of(beside: Beside | None, inside: str | None = None) -> Entries:
    """Return the entries of a file; those in the wrapper ``inside`` by their keys within it."""
    if beside is None:
        return Entries(None, ())
    prefix = f"{inside}." if inside else ""
    items = [
        (key[len(prefix) :] if prefix and key.startswith(prefix) else key, node)
        for key, node in (*beside.items(), *beside.shells())
    ]
    return Entries(beside, items)


def compare_beside(
    left: Entries, right: Entries, wants: Callable[[str], bool] = lambda _: True
) -> BesideResult:
    """Compare what lies beside the weights of two files.

    Args:
        left: the entries of one file.
        right: those of the other; exchanging them exchanges the sides of the result.
        wants: whether to compare what is under a dotted key.

    Raises:
        MalformedError: a tensor is not what it claims to be.
    """
    walk = _PairWalk((left.beside, right.beside), wants)
    walk.run(left.items, right.items)
    return walk.found()


def contents(entries: Entries) -> BesideResult:
    """Return all values and tensors of one file: the result of a comparison with nothing."""
    return compare_beside(entries, Entries(None, ()))


# A key and the nodes there of both sides.
_Task = Tuple[str, Node, Node]


class _PairWalk:
    """One comparison. A stack takes the place of recursion: values may nest by the thousand."""

    def __init__(
        self, sides: tuple[Beside | None, Beside | None], wants: Callable[[str], bool]
    ) -> None:
        self._sides = sides
        self._wants = wants
        self._meanings = Meanings()
        self._state: Dict[str, List[str | None]] = {}
        self._pairs: List[Tuple[str, Pair]] = []
        self._only: List[Tuple[str, int, TensorInfo]] = []
        self._doubts: Dict[str, str] = {}
        self._unseen: set[str] = set()
        self._passed_over: set[str] = set()
        self._compared = self._excluded = 0
        self._waiting: List[Any] = []
        # By the ids of both nodes: pairs compared with nothing left out, and pairs in progress.
        self._done: Dict[Tuple[int, int], str] = {}
        self._open: Dict[Tuple[int, int], str] = {}
        # Counts what was left out: a pair with a gap in it must be visited again under other keys.
        self._gaps = 0
        self._met: Tuple[set[int], set[int]] = (set(), set())
        self._first = self._again_met = 0
        # Keeps nodes that are made here alive: a freed node's id could be given to another.
        self._kept: List[Node] = []
        # Long values by the ids of both: a file may refer to one under a million keys.
        self._equal: Dict[Tuple[int, int], bool] = {}
        self._texts = Texts()

    def found(self) -> BesideResult:
        """Return the result."""
        state = (StateDiff(key, *texts) for key, texts in self._state.items())
        return BesideResult(
            tuple(sorted(state, key=lambda entry: natural_order(entry.key))),
            tuple(self._pairs),
            tuple(self._only),
            tuple(sorted(self._doubts.items())),
            tuple(sorted(self._passed_over)),
            self._compared,
            self._excluded,
            tuple(sorted(self._unseen)),
        )

    def run(self, left: Sequence[Tuple[str, Node]], right: Sequence[Tuple[str, Node]]) -> None:
        self._push(_by_key(left, right))
        while self._waiting:
            task = self._waiting.pop()
            if len(task) == 3:
                self._compare(*task)
            else:
                self._leave(*task)

    def _push(self, tasks: Sequence[_Task]) -> None:
        # Reversed for the stack, so that keys are visited in the order of the file.
        self._waiting.extend(reversed(tasks))

    def _leave(self, pair: tuple[int, int], gaps: int) -> None:
        """Finish a pair of nodes; it counts as compared if nothing in it was left out."""
        key = self._open.pop(pair)
        if gaps == self._gaps:
            self._done[pair] = key

    def _compare(self, key: str, *nodes: Node) -> None:
        if all(map(is_scalar, nodes)):
            self._leaf(key, nodes, self._are_equal(nodes))
            return
        left, right = map(through, nodes)
        if (left is not nodes[0] or right is not nodes[1]) and _NOTHING not in nodes:
            self._wrappings(key, nodes)
        if self._tensors(key, left, right):
            return
        views = [None if node is _NOTHING else view(node) for node in (left, right)]
        there = [seen for seen in views if seen is not None]
        if len({seen.form for seen in there}) == 2:
            # For example a list and a dict: no part of one corresponds to a part of the other.
            self._push([(key, left, _NOTHING), (key, _NOTHING, right)])
        elif not all(map(_is_leaf, there)):
            if self._enter(key, left, right, views):
                self._go_into(key, left, right, views)
        elif len(there) == 1:
            self._leaf(key, (left, right), same=False)
        elif there[0].form == SET:
            self._sets(key, (left, right), there)
        else:
            self._leaf(key, (left, right), self._are_equal((left, right), there))

    def _wrappings(self, key: str, nodes: Sequence[Node]) -> None:
        """Note where types and flags differ that OmegaConf keeps around a value."""
        try:
            around = [[self._meanings.of(part) for part in wrapping(node)] for node in nodes]
        except CannotTellError:
            around = [[], [0]]  # taken as different, which is only noted
        if around[0] != around[1] and self._wants(key):
            self._passed_over.add(key)

    def _are_equal(self, nodes: Sequence[Node], views: Sequence[View] = ()) -> bool:
        """Compare two values, long ones once wherever they are referred to."""
        left, right = nodes
        pair = id(left), id(right)
        if pair not in self._equal:
            held = [_held(seen) for seen in views] if views else [exact(left), exact(right)]
            same = bool(held[0] == held[1])
            # Not remembered: comparing short values again costs less.
            if is_short(left) or is_short(right):
                return same
            self._equal[pair] = same
        return self._equal[pair]

    def _sets(self, key: str, nodes: tuple[Node, Node], views: Sequence[View]) -> None:
        if any(_has_equal_numbers(seen.items) for seen in views):
            self._doubt(key, EQUAL_KEYS)
            return
        try:
            members = [Counter(map(self._meanings.of, seen.items)) for seen in views]
        except CannotTellError:
            self._doubt(key, NO_MEANING)
            return
        same = members[0] == members[1] and views[0].kind == views[1].kind
        rest = [members[0] - members[1], members[1] - members[0]]
        # Objects of unknown classes on both sides may be equal, however differently they are made.
        if not same and all(any(map(self._meanings.is_of_object, side)) for side in rest):
            self._doubt(key)
        else:
            self._leaf(key, nodes, same)

    # --- what was found ----------------------------------------------------------------

    def _is_wanted(self, key: str) -> bool:
        if self._wants(key):
            self._compared += 1
            return True
        self._excluded += 1
        self._gaps += 1
        return False

    def _leaf(self, key: str, nodes: Sequence[Node], same: bool) -> None:
        if not self._is_wanted(key) or same:
            return
        there = [None if node is _NOTHING else self._texts.of(node) for node in nodes]
        self._differ(key, self._texts.fitting(there))

    def _differ(self, key: str, texts: Sequence[str | None]) -> None:
        known = self._state.setdefault(key, [None, None])
        for side, text in enumerate(texts):
            if text is not None:
                known[side] = text if known[side] is None else f"{known[side]}, {text}"

    def _doubt(self, key: str, reason: str = OTHER_FORM) -> None:
        self._unseen.add(key)
        if self._is_wanted(key):
            self._doubts.setdefault(key, reason)

    def _tensors(self, key: str, *nodes: Node) -> bool:
        """Note tensors; return whether either side has one."""
        infos = [
            side.tensor(key, node) if side is not None and node is not _NOTHING else None
            for side, node in zip(self._sides, nodes)
        ]
        if infos == [None, None]:
            return False
        if any(
            info is None and node is not _NOTHING and is_tensor(node)
            for info, node in zip(infos, nodes)
        ):
            self._doubt(key, OTHER_KIND)
            return True
        self._dresses(key, [info and node for info, node in zip(infos, nodes)])
        if infos[0] is not None and infos[1] is not None:
            if self._is_wanted(key):
                self._pairs.append((key, Pair(infos[0], infos[1])))
            return True
        for side, (info, node) in enumerate(zip(infos, nodes)):
            if info is not None and self._is_wanted(key):
                self._only.append((key, side, info))
            elif info is None and node is not _NOTHING:
                self._push([(key, _NOTHING, node) if side else (key, node, _NOTHING)])
        return True

    def _dresses(self, key: str, tensors: Sequence[Node]) -> None:
        """Compare what tensors carry besides elements: attributes, and a subclass's name."""
        dresses = [dress_of(node) if isinstance(node, Call) else None for node in tensors]
        if dresses != [None, None]:
            self._kept += dresses
            left, right = (_NOTHING if dress is None else dress for dress in dresses)
            self._push([(self_of(key), left, right)])

    # --- what holds other values ---------------------------------------------------------

    def _enter(self, key: str, left: Node, right: Node, views: Sequence[View | None]) -> bool:
        """Start on the parts of two nodes of one form; false if they are done or not comparable."""
        pair = id(left), id(right)
        if pair in self._done:
            self._again(key, views, self._done[pair])
            return False
        if pair in self._open:
            # A cycle. With names left out, this key may want what the outer visit leaves out.
            self._gaps += bool(self._excluded)
            self._again(key, views, self._open[pair])
            return False
        if not self._kinds(key, views):
            return False
        self._open[pair] = key
        self._waiting.append((pair, self._gaps))
        return True

    def _go_into(self, key: str, left: Node, right: Node, views: Sequence[View | None]) -> None:
        parts = self._parts(key, views)
        new = [id(node) not in met for node, met in zip((left, right), self._met)]
        for node, met in zip((left, right), self._met):
            met.add(id(node))
        if any(new):
            self._first += len(parts) + 1
        else:
            self._again_met += len(parts) + 1
        if self._again_met > 3 * self._first + MAX_AGAIN:
            self._doubts[key] = _ENDLESS
            self._unseen.update(task[0] for task in (*self._waiting, (key,)) if len(task) != 2)
            self._waiting.clear()
        else:
            self._push(parts)

    def _again(self, key: str, views: Sequence[View | None], first: str) -> None:
        """For a node that only one side has, refer to the key where its content was reported."""
        self._unseen.add(key)
        if None in views and self._is_wanted(key):
            text = json.dumps({"$ref": first})
            self._differ(key, [None if seen is None else text for seen in views])

    def _kinds(self, key: str, views: Sequence[View | None]) -> bool:
        """Compare the names of the types; return whether the parts can be compared."""
        there = [seen for seen in views if seen is not None]
        if any(seen.form == OBJECT or seen.kind not in _PLAIN_KINDS for seen in there):
            labels = {_label(seen) for seen in there}
            kinds = {seen.kind for seen in there}
            if len(kinds) == 2 and _ARRAYS.issuperset(kinds):
                self._doubt(key)
                return False
            if there[0].form == OBJECT and len(there) == 2 and len(kinds) == 1:
                forms = [seen.call.form for seen in there if seen.call is not None]
                if forms[0] != forms[1]:
                    self._doubt(key)
                    return False
            label = labels.pop() if len(labels) == 1 else "$class"
            texts = [None if seen is None else json.dumps(seen.kind) for seen in views]
            if self._is_wanted(f"{key}.{label}") and texts[0] != texts[1]:
                self._differ(f"{key}.{label}", texts)
        return True

    def _parts(self, key: str, views: Sequence[View | None]) -> list[_Task]:
        """Return the parts of two nodes in pairs."""
        left, right = (_EMPTY if seen is None else seen for seen in views)
        item = f"{key}.$items" if OBJECT in (left.form, right.form) else key
        parts = _numbered(item, left.items, right.items)
        parts += self._matched(key, left.pairs, right.pairs)
        parts += self._matched(key, left.extra, right.extra)
        for name in ("args", "states"):
            sides = [getattr(seen.call, name, ()) for seen in (left, right)]
            parts += _numbered(f"{key}.${name}", *sides)
        keywords = [seen.call.keywords if seen.call else () for seen in (left, right)]
        parts += self._matched(f"{key}.$keywords", *keywords)
        functions = [
            _NOTHING if seen.call is None or seen.call.function is None else seen.call.function
            for seen in (left, right)
        ]
        if functions != [_NOTHING, _NOTHING]:
            parts.append((f"{key}.$function", functions[0], functions[1]))
        return parts

    def _matched(self, key: str, left: Any, right: Any) -> list[_Task]:
        """Pair the entries of two mappings by what their keys mean."""
        sides: List[Dict[Any, Tuple[Node, Node]]] = [{}, {}]
        if any(_has_equal_numbers(name for name, _ in pairs) for pairs in (left, right)):
            self._doubt(key, EQUAL_KEYS)
        for side, pairs in zip(sides, (left, right)):
            for name, node in pairs:
                try:
                    side[self._meanings.of(name)] = name, node
                except CannotTellError:
                    self._doubt(joined(key, part_of(name)), NO_MEANING)
        alone = [
            [meaning for meaning in one if meaning not in other]
            for one, other in (sides, sides[::-1])
        ]
        if all(any(map(self._meanings.is_of_object, side)) for side in alone):
            self._doubt(key)
        tasks = []
        for meaning in dict.fromkeys((*sides[0], *sides[1])):
            found = [side.get(meaning, (_NOTHING, _NOTHING)) for side in sides]
            name = found[0][0] if found[0][0] is not _NOTHING else found[1][0]
            tasks.append((joined(key, part_of(name)), found[0][1], found[1][1]))
        return sorted(tasks, key=lambda task: task[0])


def _has_equal_numbers(nodes: Iterable[Node]) -> bool:
    """Whether two of them are equal numbers of different types, as 1 and True are."""
    # By text, whose hash is salted: a file could hold a million numbers of the same hash.
    kinds: Dict[str, type] = {}
    for node in nodes:
        if type(node) in _NUMBERS and node == node and abs(node) != _INFINITY:
            text = str(int(node)) if node == int(node) else repr(node)
            if kinds.setdefault(text, type(node)) is not type(node):
                return True
    return False


_NUMBERS = (bool, int, float)
_INFINITY = float("inf")
_EMPTY = View("", "")


def _label(seen: View) -> str:
    if seen.call is None:
        return "$class"
    return "$object" if seen.call.new else "$call"


def _is_leaf(seen: View) -> bool:
    """Whether it is reported in one piece: a value, a set, a list of plain values, or empty."""
    if seen.form in (ATOM, SET):
        return True
    if seen.form == SEQUENCE and not seen.extra:
        return all(map(is_scalar, seen.items))
    return seen.form == MAPPING and not (seen.pairs or seen.extra)


def _held(seen: View) -> object:
    """Return an object that is equal for equal values, or equal lists of plain values."""
    if seen.form == ATOM:
        return exact(seen.value)
    return seen.kind, tuple(map(exact, seen.items))


def _numbered(key: str, left: Sequence[Node], right: Sequence[Node]) -> list[_Task]:
    most = max(len(left), len(right))
    return [
        (joined(key, str(number)), _at(left, number), _at(right, number)) for number in range(most)
    ]


def _at(items: Sequence[Node], number: int) -> Node:
    return items[number] if number < len(items) else _NOTHING


def _by_key(left: Sequence[Tuple[str, Node]], right: Sequence[Tuple[str, Node]]) -> list[_Task]:
    """Pair entries by their keys."""
    # Lists, because keys that are objects of one class are shown by the same text.
    sides: List[Dict[str, List[Node]]] = [{}, {}]
    for side, items in zip(sides, (left, right)):
        for key, node in items:
            side.setdefault(key, []).append(node)
    return [
        (key, _at(sides[0].get(key, ()), number), _at(sides[1].get(key, ()), number))
        for key in sorted({**sides[0], **sides[1]})
        for number in range(max(len(side.get(key, ())) for side in sides))
    ]
