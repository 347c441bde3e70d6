"""Finding the state dict in what a pickle describes, by content and not by its first key."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Iterator, NamedTuple

from ckpttool import rules
from ckpttool.errors import MalformedError, UnsupportedError, UsageError
from ckpttool.formats.beside import Beside
from ckpttool.formats.dictionaries import check_unambiguous, count_of, pairs_of
from ckpttool.formats.nodes import Call, Dict, Global, Node, PersistentId, Set, pair_of
from ckpttool.formats.pickles import Pickle
from ckpttool.formats.rebuild import is_tensor, made_by_unknown_call, rebuild
from ckpttool.formats.storages import Locate, UnsupportedTensorError
from ckpttool.tensors import Entry, TensorInfo, Wrapper

#: How deep below the root a state dict is looked for, and in how many dictionaries.
MAX_DEPTH = 4
MAX_DICTIONARIES = 10_000
#: Characters of a key that is part of a dotted wrapper key.
MAX_KEY = 200
#: Tensors of a state dict, as in the other formats, and of a whole file: an optimizer keeps
#: two or three for each.
MAX_TENSORS, MAX_ALL_TENSORS = 150_000, 600_000
#: Entries that are listed at most; beyond them a count stands.
MAX_ENTRIES = 1_000

#: What stands for the entries that are only counted.
MORE = Global("ckpttool", "more")

# A state dict with fewer than this share of the largest one's tensors is not the model.
_SUBSTANTIAL = 0.5
# Where several are as large: the raw weights before anything else, averages last.
_RAW = ("model", "state_dict", "module", "net", "network")
_AVERAGED = ("ema", "teacher", "average", "swa", "shadow")

# how protocol 2 writes bytes: _codecs.encode("text", "latin1")
_BYTES = ("_codecs", "encode")


class StateDict(NamedTuple):
    """The state dict that was taken and what lies around it: fields of ``Checkpoint``."""

    tensors: dict[str, TensorInfo]
    wrapper: str | None
    wrappers: tuple[Wrapper, ...]
    entries: tuple[Entry, ...]
    aside: tuple[Node, ...]
    unread: tuple[tuple[str, str], ...]
    beside: Beside | None = None


class _Candidate(NamedTuple):
    path: tuple[str, ...]
    pairs: list[tuple[Node, Node]]
    tensors: int

    @property
    def key(self) -> str:
        return ".".join(self.path)


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
        UnsupportedError: there is none anywhere, a pickled module say.
        MalformedError: a tensor is not what it claims, or a key stands twice.
    """
    root = pickle.root
    candidates = sorted(_candidates(root), key=_rank)
    if not candidates and not wrapper and count_of(root) == 0:  # of a module without parameters
        return StateDict({}, None, (Wrapper("", 0),), (), (), ())
    if not candidates:
        raise _no_state_dict(root)
    taken = _choose(candidates, wrapper)
    largest = max(candidate.tensors for candidate in candidates)
    others = [c for c in candidates if c is not taken and c.tensors >= largest * _SUBSTANTIAL]
    tensors, unread = _catalogue(taken, locate, big_endian)
    _check_others(pickle, taken, locate, big_endian)
    beside = Beside(partial(_around, root, taken), locate, big_endian)
    entries = list(_entries(beside))
    return StateDict(
        tensors,
        taken.key or None,
        tuple(Wrapper(c.key, c.tensors) for c in [taken, *others]),
        tuple(entry for entry, _ in entries),
        tuple(node for _, node in entries),
        tuple(unread),
        beside,
    )


def _candidates(root: Node) -> Iterator[_Candidate]:
    """Every dictionary with text keys that holds a tensor, breadth first, each once."""
    waiting: deque[tuple[tuple[str, ...], Node]] = deque([((), root)])
    seen = {id(root)}
    while waiting:
        path, node = waiting.popleft()
        pairs = pairs_of(node) or []
        if pairs:
            check_unambiguous(node, pairs)
        tensors = sum(1 for key, value in pairs if is_tensor(value) and type(key) is str)
        if tensors:
            yield _Candidate(path, pairs, tensors)
        for key, value in pairs if len(path) < MAX_DEPTH else ():
            # marked as seen when it is put in line, so that a dictionary with a million
            # references waits there once
            if _may_hold(key, value) and id(value) not in seen and len(seen) < MAX_DICTIONARIES:
                seen.add(id(value))
                waiting.append(((*path, key), value))


def _may_hold(key: Node, value: Node) -> bool:
    """Whether a state dict may lie under ``value`` that a dotted key can name."""
    if type(key) is not str or len(key) > MAX_KEY:
        return False
    return isinstance(value, Dict) or (isinstance(value, Call) and not is_tensor(value))


def _rank(candidate: _Candidate) -> tuple[int, int, int, str]:
    path = candidate.path
    if any(word in part.lower() for part in path for word in _AVERAGED):
        kind = 2  # whatever it is called below: ema.module
    else:
        kind = 0 if not path or path[-1] in _RAW else 1
    return kind, -candidate.tensors, len(path), candidate.key


def _choose(candidates: list[_Candidate], wrapper: str | None) -> _Candidate:
    if wrapper is not None:
        for candidate in candidates:
            if candidate.key == wrapper:
                return candidate
        found = ", ".join(repr(candidate.key) for candidate in candidates[:10])
        raise UsageError(
            "there is no state dict under that wrapper",
            expected=repr(wrapper),
            found=found,
            fix="Name one of those found with --wrapper, or leave the option out.",
        )
    largest = max(candidate.tensors for candidate in candidates)
    return next(c for c in candidates if c.tensors >= largest * _SUBSTANTIAL)


def _no_state_dict(root: Node) -> Exception:
    fix = "Save model.state_dict() (or a dictionary that holds it) with torch.save."
    if is_tensor(root):
        return UnsupportedError(
            "the file holds a single tensor, not a state dict", rules.NO_TENSORS, fix=fix
        )
    if isinstance(root, Call) and isinstance(root.function, Global) and count_of(root) is None:
        return UnsupportedError(
            f"the file holds a pickled object of {root.function}, not a state dict",
            rules.UNSUPPORTED,
            fix=fix,
        )
    return UnsupportedError(
        "there is no dictionary of tensors in the file", rules.NO_TENSORS, fix=fix
    )


def _catalogue(
    taken: _Candidate, locate: Locate, big_endian: bool
) -> tuple[dict[str, TensorInfo], list[tuple[str, str]]]:
    if taken.tensors > MAX_TENSORS:
        raise _too_many(taken.tensors, MAX_TENSORS)
    tensors: dict[str, TensorInfo] = {}
    unread: list[tuple[str, str]] = []
    for key, value in taken.pairs:
        if not is_tensor(value):
            unknown = made_by_unknown_call(value)
            if unknown is not None:
                unread.append((_key_text(key), unknown))
        elif type(key) is not str:
            unread.append((_key_text(key), "its key is not text"))
        else:
            try:
                tensors[key] = rebuild(key, value, locate, big_endian=big_endian)
            except UnsupportedTensorError as reason:
                unread.append((key, str(reason)))
    return tensors, unread


def _too_many(found: int, most: int) -> MalformedError:
    return MalformedError(
        "more tensors than are catalogued",
        rules.LIMIT,
        expected=f"at most {most:,}",
        found=f"{found:,}",
    )


def _check_others(pickle: Pickle, taken: _Candidate, locate: Locate, big_endian: bool) -> None:
    """Hold every other tensor to the same rules: torch loads a file whole or not at all."""
    known = {id(value) for _, value in taken.pairs}
    calls = [call for call in pickle.calls if is_tensor(call)]
    if len(calls) > MAX_ALL_TENSORS:
        raise _too_many(len(calls), MAX_ALL_TENSORS)
    for call in calls:
        if id(call) in known:
            continue
        try:
            rebuild("", call, locate, big_endian=big_endian)
        except UnsupportedTensorError:
            continue
        except MalformedError as error:
            error.tensor = None
            error.message += ", in a tensor beside the state dict"
            raise


def _entries(beside: Beside) -> Iterator[tuple[Entry, Node]]:
    """Yield what lies beside the tensors as the report tells of it, and as it is."""
    listed = 0
    for key, value in beside.items():
        listed += 1
        if listed <= MAX_ENTRIES:
            yield Entry(key, *describe(value)), value
    if listed > MAX_ENTRIES:
        yield Entry("...", "more", f"{listed - MAX_ENTRIES:,} further entries"), MORE


def _around(root: Node, taken: _Candidate) -> Iterator[tuple[str, Node]]:
    """Yield all that lies beside the tensors, by dotted key.

    It lies at every level of the path, and in the state dict itself.
    """
    node: Node = root
    path: tuple[str, ...] = ()
    for step in (*taken.path, None):
        following = None
        for key, value in pairs_of(node) or ():
            if step is not None and key == step:
                following = value
                continue
            if step is None and is_tensor(value) and type(key) is str:
                continue
            yield ".".join((*path, _key_text(key))), value
        node, path = following, (*path, step or "")


def _is_scalar(node: Node) -> bool:
    return node is None or isinstance(node, (bool, int, float, str, bytes))


def _key_text(key: Node) -> str:
    if type(key) is str:
        return key[:MAX_KEY]
    kind, summary = describe(key)
    return summary if _is_scalar(key) or kind == "bytes" else f"<{kind}>"


def describe(node: Node) -> tuple[str, str]:
    """Return the kind of a node and a short summary of it, never the whole of it."""
    if _is_scalar(node):
        return type(node).__name__, repr(node[:80] if isinstance(node, (str, bytes)) else node)
    if is_tensor(node):
        return "tensor", ""
    entries = count_of(node)
    if entries is not None:
        return "dict", f"{entries:,} entries"
    if isinstance(node, (list, tuple)):
        return type(node).__name__, f"{len(node):,} items"
    if isinstance(node, Set):
        return "set", f"{len(node.items):,} items"
    if isinstance(node, Global):
        return "name", str(node)
    if isinstance(node, PersistentId):
        return "storage", ""
    return _describe_call(node)


def _describe_call(node: Call) -> tuple[str, str]:
    if pair_of(node.function) == _BYTES and node.args and type(node.args[0]) is str:
        return "bytes", f"b{node.args[0][:80]!r}"
    kind = str(node.function) if isinstance(node.function, Global) else "object"
    state = node.states[0] if node.states else None
    if isinstance(state, Dict):
        return kind, f"{len(state.flat) // 2:,} attributes"
    return kind, ""
