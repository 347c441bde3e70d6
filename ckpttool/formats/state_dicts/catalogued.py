"""Cataloguing the state dict of a pickle, which is found by its content and not by a fixed key."""

from __future__ import annotations

from functools import partial
from itertools import chain, islice
from typing import Callable, Iterable, Iterator, NamedTuple

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError, UnsupportedError
from ckpttool.findings.finding import Finding
from ckpttool.formats.objects.arrays import Arrays
from ckpttool.formats.objects.beside import Beside
from ckpttool.formats.objects.describing import MORE, describe, key_text
from ckpttool.formats.objects.dtensors import is_spec
from ckpttool.formats.objects.parts import PartsReader
from ckpttool.formats.objects.rebuild import (
    REBUILD_V2,
    dress_of,
    is_tensor,
    made_by_unknown_call,
    rebuild,
)
from ckpttool.formats.objects.storages import Locate, UnsupportedTensorError
from ckpttool.formats.pickles import Pickle
from ckpttool.formats.pickles.dictionaries import count_of
from ckpttool.formats.pickles.nodes import Call, Dict, Node, pair_of
from ckpttool.formats.state_dicts.choosing import Choice, Unit, asked_for, choose, units
from ckpttool.formats.state_dicts.flattening import KeyPart, parts
from ckpttool.formats.state_dicts.holding import Holder, Holders, parts_of
from ckpttool.formats.state_dicts.left_out import OutsideCounter, no_state_dict
from ckpttool.formats.state_dicts.measuring import storages_of
from ckpttool.formats.state_dicts.modules import Around, Walk, class_of, closed_reason, remark_on
from ckpttool.tensors.catalogue import ATTRIBUTES, Entry, Outside, TensorInfo, Wrapper
from ckpttool.tensors.in_parts import InParts

#: Tensors of a state dict, as in the other formats, and of a whole file: an optimizer keeps
#: two or three for each.
MAX_TENSORS, MAX_ALL_TENSORS = 1_500_000, 5_000_000
#: Entries, and state dicts, that are listed; further ones are only counted.
MAX_ENTRIES = 1_000


class StateDict(NamedTuple):
    """The state dict that was taken and the content around it: fields of ``Checkpoint``."""

    tensors: dict[str, TensorInfo]
    wrapper: str | None
    wrappers: tuple[Wrapper, ...]
    entries: tuple[Entry, ...] = ()
    aside: tuple[Node, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()
    unread_bytes: int = 0
    in_parts: tuple[InParts, ...] = ()
    outside: tuple[Outside, ...] = ()
    beside: Beside | None = None
    remarks: tuple[Finding, ...] = ()


def find(
    pickle: Pickle, wrapper: str | None, locate: Locate, *, big_endian: bool = False
) -> StateDict:
    """Choose a state dict in a pickle and catalogue its tensors.

    Args:
        pickle: what the file describes.
        wrapper: the dotted key asked for (``""`` is the root), ``None`` to choose.
        locate: finds the storage of a persistent id.
        big_endian: whether storages hold big-endian elements.

    Raises:
        UsageError: there is no state dict under ``wrapper``.
        UnsupportedError: there is none anywhere, for example a pickled module.
        MalformedError: a tensor's geometry or storage is wrong, or a key occurs twice.
    """
    root = pickle.root
    if not wrapper and count_of(root) == 0:  # the state dict of a module without parameters
        return StateDict({}, None, (Wrapper("", 0),))
    holders = Holders(root)
    found = list(units(holders))
    if not found and (wrapper is None or holders.root is None):
        raise no_state_dict(root, holders, locate)
    choice = choose(holders, found) if wrapper is None else asked_for(root, holders, found, wrapper)
    catalogue = _Catalogue(locate, big_endian)
    catalogue.take(_parts(choice))
    around = _around_modules(choice)
    for name, node in around.closed:
        catalogue.note(name, closed_reason(node), node)
    others = _check_others(pickle, catalogue.nodes, locate, big_endian)
    before = f"{choice.taken.key}." if choice.taken.key else ""
    aside = partial(_beside, root, choice, catalogue.rest, around.attributes)
    beside = Beside(
        partial(_without_place, aside),
        locate,
        big_endian,
        frames=partial(_frames, root, choice),
        dressed=[(f"{before}{name}", node) for name, node in catalogue.dressed],
        unread=catalogue.unread_nodes,
    )
    entries = list(_entries(aside()))
    # skipped for most files, which have one state dict; kept alive for the ids of their nodes
    shells = [one for one in beside.shells() if not is_spec(one[1])] if others else []
    counted = OutsideCounter(locate, catalogue.storages()) if others else None
    return StateDict(
        catalogue.tensors,
        choice.taken.key or None,
        tuple(_wrappers(choice, catalogue.count)),
        tuple(entry for entry, _ in entries),
        tuple(node for _, node in entries),
        tuple(catalogue.unread),
        catalogue.unread_bytes,
        tuple(catalogue.in_parts),
        tuple(islice(counted.rows(choice, chain(beside.items(), shells)), MAX_ENTRIES))
        if counted is not None
        else (),
        beside,
        _remarks(choice, around),
    )


def _parts(choice: Choice) -> Iterator[KeyPart]:
    return parts(choice.taken.holder, choice.holders, choice.taken.apart)


def _wrappers(choice: Choice, tensors: int) -> Iterator[Wrapper]:
    yield Wrapper(choice.taken.key, tensors, _class_of(choice.taken))
    for unit in choice.others[:MAX_ENTRIES]:
        inner = parts(unit.holder, choice.holders, unit.apart)
        yield Wrapper(unit.key, sum(part.is_tensor for part in inner), _class_of(unit))


def _class_of(unit: Unit) -> str | None:
    return class_of(unit.holder.node) if unit.holder.is_module else None


class _Catalogue:
    """The tensors of a state dict, and those that cannot be read."""

    def __init__(self, locate: Locate, big_endian: bool) -> None:
        self._locate = locate
        self._big_endian = big_endian
        self._arrays = Arrays()
        self._parts = PartsReader(locate, big_endian=big_endian)
        self._unread_storages: dict[str, int] = {}
        self.tensors: dict[str, TensorInfo] = {}
        self.unread: list[tuple[str, str]] = []
        self.unread_nodes: list[tuple[str, Node]] = []
        self.in_parts: list[InParts] = []
        self.dressed: list[tuple[str, Node]] = []
        self.nodes: set[Node] = set()  # calls, which are equal to themselves only
        self.rest: list[KeyPart] = []
        self.count = 0

    @property
    def unread_bytes(self) -> int:
        """Bytes of the storages of tensors that are not read."""
        return sum(self._unread_storages.values())

    def storages(self) -> set[str | None]:
        """Return the keys of all storages of the state dict."""
        return {*(info.storage for info in self.tensors.values()), *self._unread_storages}

    def take(self, found: Iterable[KeyPart]) -> None:
        """Catalogue the tensors among the parts of a state dict, and keep the other parts."""
        known = self.nodes
        for part in found:
            if not part.is_tensor:
                self.rest.append(part)
                unknown = made_by_unknown_call(part.node)
                if unknown is not None:
                    self.note(_name(part), unknown, part.node)
                continue
            self.count += 1
            if self.count > MAX_TENSORS:
                raise _too_many(self.count, MAX_TENSORS)
            node = part.node
            # a parameter is a call around the call of its tensor: both are checked by rebuild
            while type(node) is Call and node not in known:
                known.add(node)
                node = node.args[0] if node.args else None
            if part.name is None:
                self.rest.append(part)
                self.note(_name(part), "its key cannot be part of a name", part.node)
            else:
                self._add(part.name, part.node)

    def _add(self, name: str, node: Node) -> None:
        if name in self.tensors:
            raise UnsupportedError(
                "two tensors have the same name once keys are written as text and joined with dots",
                rules.UNSUPPORTED,
                tensor=name,
                fix="Save the state dict again with names that differ.",
            )
        try:
            self.tensors[name] = (
                rebuild(name, node, self._locate, big_endian=self._big_endian)
                if is_tensor(node)
                else self._arrays.tensor(name, node)
            )
        except UnsupportedTensorError as reason:
            self.note(name, str(reason), node)
            self.unread_nodes.append((name, node))
            made = self._parts.read(name, node)
            if made is not None:
                self.in_parts.append(made)
            return
        if pair_of(node.function) != REBUILD_V2 and dress_of(node) is not None:
            self.dressed.append((name, node))

    def note(self, name: str, reason: str, node: Node) -> None:
        """Keep a tensor, or an object that holds some, as one that is not read."""
        self.unread.append((name, reason))
        self._unread_storages.update(storages_of(node, self._locate))


def _name(part: KeyPart) -> str:
    return part.prefix + key_text(part.key)


def _too_many(found: int, most: int) -> MalformedError:
    return MalformedError(
        "more tensors than are catalogued",
        rules.LIMIT,
        expected=f"at most {most:,}",
        found=f"{found:,}",
    )


def _check_others(pickle: Pickle, known: set[Node], locate: Locate, big_endian: bool) -> bool:
    """Check every other tensor of the file by the same rules; return whether there may be any."""
    # torch loads a file whole or not at all, so a malformed optimizer is a malformed file
    calls = [call for call in pickle.calls if call not in known and is_tensor(call)]
    if len(calls) + len(known) > MAX_ALL_TENSORS:
        raise _too_many(len(calls) + len(known), MAX_ALL_TENSORS)
    for call in calls:
        try:
            rebuild("", call, locate, big_endian=big_endian)
        except UnsupportedTensorError:
            continue
        except MalformedError as error:
            error.tensor = None
            error.message += ", in a tensor beside the state dict"
            raise
    # tensors of a tar archive are no calls of its pickle
    return bool(calls) or not known.issubset(pickle.calls)


def _entries(around: Iterable[tuple[str, Node, bool]]) -> Iterator[tuple[Entry, Node]]:
    """Yield the entries beside the tensors, each as a report shows it and as a node."""
    listed = 0
    for key, value, inside in around:
        listed += 1
        if listed <= MAX_ENTRIES:
            yield Entry(key, *describe(value), inside), value
    if listed > MAX_ENTRIES:
        yield Entry("...", "more", f"{listed - MAX_ENTRIES:,} further entries"), MORE


def _without_place(
    aside: Callable[[], Iterator[tuple[str, Node, bool]]],
) -> Iterator[tuple[str, Node]]:
    """Yield the nodes beside the tensors, by dotted key."""
    return ((key, value) for key, value, _ in aside())


def _beside(
    root: Node, choice: Choice, rest: list[KeyPart], attributes: Dict
) -> Iterator[tuple[str, Node, bool]]:
    """Yield every node that is no tensor of the state dict, and whether it is among those.

    They are at every level of the path to the state dict, and in it: ``rest``. Attributes of whole
    modules, thousands often, are one dictionary.
    """
    node: Node = root
    path: tuple[str, ...] = ()
    for step in choice.taken.path:
        following = None
        for key, value in parts_of(node):
            if key == step and type(key) is str:
                following = value
            else:
                yield ".".join((*path, key_text(key))), value, False
        node, path = following, (*path, step)
    before = "".join(f"{step}." for step in path)
    for part in rest:
        yield before + _name(part), part.node, part.inside and not part.is_tensor
    if attributes.flat:
        yield before + ATTRIBUTES, attributes, False


def _around_modules(choice: Choice) -> Around:
    """Collect what whole modules that make up the state dict hold beside its tensors."""
    walk = Walk()
    for name, holder in _whole_modules(choice):
        walk.take(name, holder.node)
    return walk.found


def _whole_modules(choice: Choice) -> Iterator[tuple[str, Holder]]:
    """Yield the modules of the state dict that are in no other module, by dotted name."""
    waiting = [("", choice.taken.holder)] if choice.taken.holder.modules else []
    seen: set[int] = set()
    while waiting:
        name, holder = waiting.pop()
        if id(holder) in seen or holder.optimizer or not holder.modules:
            continue
        apart = frozenset() if seen else choice.taken.apart
        seen.add(id(holder))
        if holder.is_module:
            yield name, holder
        else:
            before = f"{name}." if name else ""
            below = [(f"{before}{key}", one) for key, one in holder.below if key not in apart]
            waiting += reversed(below)


def _remarks(choice: Choice, around: Around) -> tuple[Finding, ...]:
    before = f"{choice.taken.key}." if choice.taken.key else ""
    classes = [
        ((before + name).rstrip("."), class_of(holder.node))
        for name, holder in _whole_modules(choice)
    ]
    return (remark_on(classes, around),) if classes else ()


def _frames(root: Node, choice: Choice) -> Iterator[tuple[str, Node]]:
    """Yield the containers on the path to the state dict, and those that make it up."""
    node: Node = root
    path: tuple[str, ...] = ()
    for step in choice.taken.path:
        yield ".".join(path), node
        found = (value for key, value in parts_of(node) if type(key) is str and key == step)
        node, path = next(found, None), (*path, step)
    waiting = [(".".join(path), choice.taken.holder)]
    seen: set[int] = set()
    while waiting:
        key, holder = waiting.pop()
        if id(holder) in seen:
            continue
        apart = choice.taken.apart if not seen else frozenset()
        seen.add(id(holder))
        yield key, holder.node
        waiting += [
            (f"{key}.{part}" if key else part, below)
            for part, below in reversed(holder.below)
            if part not in apart and not below.optimizer
        ]
