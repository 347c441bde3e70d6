"""Whole modules: what ``torch.save(model)`` writes, walked without their classes.

The state of a pickled ``torch.nn.Module`` is its ``__dict__``. ``_parameters``, ``_buffers`` and
``_modules`` in it are dictionaries from which ``state_dict()`` makes its names: parameters, then
buffers that are persistent, then what is in the modules below, each in the order of its
dictionary. A tensor or a module with two names is listed under both; ``None`` is left out.
(``Module._save_to_state_dict`` and ``Module.state_dict`` in torch/nn/modules/module.py.) What a
class of its own adds, for example ``get_extra_state``, is computed by its code and in no file.
"""

from __future__ import annotations

from typing import Iterable, NamedTuple, Sequence

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.text import count, some_of
from ckpttool.formats.objects.rebuild import is_tensor
from ckpttool.formats.pickles.dictionaries import check_unambiguous, count_of, pairs_of
from ckpttool.formats.pickles.nodes import (
    Call,
    Dict,
    Global,
    New,
    Node,
    PersistentId,
    Set,
    near,
    pair_of,
)

#: How deep modules are nested at most. Networks that are made recursively have some tens.
MAX_DEPTH = 200
#: Characters of the names of all attributes: one long key may be in the names of all of them.
MAX_NAMES = 64_000_000
# What torch.compile returns is pickled as a call with the module as its first argument, and its
# state_dict() has the name of its only attribute before the others.
_COMPILED, _ORIGINAL = ("torch._dynamo.eval_frame", "OptimizedModule"), "_orig_mod"
# torch.fx: reduce_graph_module(attributes, source text of the imports)
_GRAPH = ("torch.fx.graph_module", "reduce_graph_module")

_PARAMETERS, _BUFFERS, _MODULES = "_parameters", "_buffers", "_modules"
_OF_MODULES = (_PARAMETERS, _BUFFERS, _MODULES)
_TRANSIENT = "_non_persistent_buffers_set"
_HOOKS = frozenset({"_state_dict_hooks", "_state_dict_pre_hooks"})
# Hooks of torch's own that change no name: they note a version.
_HARMLESS_HOOKS = frozenset({("torch.nn.utils.spectral_norm", "SpectralNormStateDictHook")})

# A module for a backend keeps its weights in an object of C++, which only torch takes apart.
_PACKED, _SCRIPTED = ("torch", "ScriptObject"), "__torch__"
# Nodes of one object that are searched for a storage.
_NEAR = 1_000
_SHOWN = 10


def is_module(node: Node) -> bool:
    """Whether a node is a pickled module whose parameters and buffers can be told."""
    return _compiled(node) is not None or _attributes(node) is not None


def has_parts(pairs: Iterable[tuple[Node, Node]]) -> bool:
    """Whether the attributes of an object are those of a module, in whatever form they are."""
    return {key for key, _ in pairs if type(key) is str}.issuperset(_OF_MODULES)


def is_graph(node: Node) -> bool:
    """Whether a node is a module of torch.fx: attributes, and source text that loading runs.

    Alone such a file is a program; among the modules of another one it is one of those.
    """
    return _graph_attributes(node) is not None


def class_of(node: Call) -> str:
    """Return the class of a module, as the pickle names it."""
    inner = _compiled(node)
    if inner is not None:
        return f"{class_of(inner)}, compiled"
    # copyreg._reconstructor(class, base, state), as protocols below 2 write it
    named = [one for one in (node.function, *node.args[:1]) if type(one) is Global]
    made = len(named) > 1 and named[0].module in ("copyreg", "copy_reg")
    return str(named[made]) if named else "an unnamed class"


def parts_of_module(node: Call) -> list[tuple[Node, Node]]:
    """Return (name, value) of the parameters, persistent buffers and modules directly in one.

    Raises:
        MalformedError: two readers would see other parts, since a key occurs twice.
    """
    inner = _compiled(node)
    if inner is not None:
        return [(_ORIGINAL, inner)]
    attributes = _attributes(node) or _graph_attributes(node)
    assert attributes is not None  # noqa: S101 (the caller asked is_module or is_graph)
    check_unambiguous(attributes, list(attributes.pairs()))
    found = {key: value for key, value in attributes.pairs() if type(key) is str}
    transient = _members(found.get(_TRANSIENT))
    parts = []
    for kind in _OF_MODULES:
        pairs = pairs_of(found[kind]) or []
        check_unambiguous(found[kind], pairs)
        for key, value in pairs:
            left_out = value is None or (kind == _BUFFERS and key in transient)
            if not left_out:
                parts.append((key, value))
    return parts


def _compiled(node: Node) -> Call | None:
    """Return the module in what ``torch.compile`` made of it, ``None`` for anything else."""
    made = type(node) is Call and node.changes is None and pair_of(node.function) == _COMPILED
    inner = node.args[0] if made and node.args else None
    return inner if _attributes(inner) is not None else None


def _attributes(node: Node) -> Dict | None:
    """Return the ``__dict__`` of a pickled module, ``None`` for anything else."""
    if not isinstance(node, Call) or node.changes is None or is_tensor(node):
        return None
    # items, or a second state, would change what the first one says; no pickler writes them
    plain = node.mapped is None and node.appended is None and len(node.states or ()) == 1
    return _of_a_module(node.states[0]) if plain and node.states else None


def _graph_attributes(node: Node) -> Dict | None:
    plain = type(node) is Call and node.changes is None and pair_of(node.function) == _GRAPH
    return _of_a_module(node.args[0]) if plain and node.args else None


def _of_a_module(state: Node) -> Dict | None:
    """Return attributes if they are those of a module."""
    if type(state) is not Dict:
        return None
    found = {key: value for key, value in state.pairs() if type(key) is str and key in _OF_MODULES}
    known = len(found) == len(_OF_MODULES)
    return state if known and all(count_of(one) is not None for one in found.values()) else None


def _members(node: Node) -> frozenset[str]:
    """Return the texts in a set; protocols below 4 write it as a call with a list."""
    items: Iterable[Node] = ()
    if isinstance(node, Set):
        items = node.items
    elif isinstance(node, Call):
        first = node.args[0] if node.args and isinstance(node.args[0], (list, tuple)) else ()
        items = (*first, *(node.appended or ()))
    return frozenset(item for item in items if type(item) is str)


# --- what is in modules beside their state dict ---------------------------------------------------


class Around(NamedTuple):
    """What modules hold beside the tensors that ``state_dict()`` lists.

    Attributes:
        attributes: dotted name to attribute, and ``NAME.$self`` to the class of a module without
            tensors. Empty hooks, and what is there a second time, are left out.
        closed: (dotted name, node) of objects among the modules that hold tensors in a form that
            only their own class knows.
        hooks: how many hooks of the model's code ``state_dict()`` would call.
    """

    attributes: Dict
    closed: list[tuple[str, Node]]
    hooks: int


class Walk:
    """Collects what is around the tensors of modules, each module once."""

    def __init__(self) -> None:
        self.found = Around(Dict(), [], 0)
        self._seen: set[int] = set()
        self._left = MAX_NAMES

    def take(self, name: str, module: Call) -> None:
        """Collect from a module and all modules in it; ``name`` is its dotted name.

        Raises:
            MalformedError: there are too many to list.
        """
        waiting: list[tuple[str, Node]] = [(name, module)]
        while waiting:
            name, node = waiting.pop()
            if id(node) in self._seen:
                continue
            self._seen.add(id(node))
            before = f"{name}." if name else ""
            if not (is_module(node) or is_graph(node)):
                self._take_other(name, node)
                continue
            parts = parts_of_module(node)
            below = [(key, value) for key, value in parts if not is_tensor(value)]
            if len(below) == len(parts):  # otherwise its class is that of a part of the state dict
                self._add(f"{before}$self", _bare(node))
            self._take_attributes(before, node)
            for key, value in reversed(below):
                if type(key) is str:
                    self._left -= len(before) + len(key)
                    waiting.append((f"{before}{key}", value))
            self._check()

    def _take_attributes(self, before: str, module: Call) -> None:
        attributes = _attributes(module) or _graph_attributes(module)
        transient = _members(dict(_texts(attributes)).get(_TRANSIENT))
        for key, value in _texts(attributes):
            if key == _BUFFERS:
                for buffer, tensor in pairs_of(value) or ():
                    if buffer in transient and tensor is not None:
                        self._add_once(f"{before}{buffer}", tensor)
            elif key not in _OF_MODULES and not (key.startswith("_") and _is_nothing(value)):
                if key in _HOOKS:
                    self._count_hooks(value)
                if _is_packed(value):
                    self.found.closed.append((f"{before}{key}", value))
                self._add_once(f"{before}{key}", value)
        # what torch.compile keeps beside the module, the arguments of a call
        if attributes is None:
            for number, value in enumerate(module.args[1:], 1):
                self._add_once(f"{before}$args.{number}", value)

    def _count_hooks(self, hooks: Node) -> None:
        foreign = [
            hook
            for _, hook in pairs_of(hooks) or ()
            if not (isinstance(hook, Call) and pair_of(hook.function) in _HARMLESS_HOOKS)
        ]
        self.found = self.found._replace(hooks=self.found.hooks + len(foreign))

    def _take_other(self, name: str, node: Node) -> None:
        if isinstance(node, Call) and any(
            isinstance(part, PersistentId) for part in near((node,), _NEAR)
        ):
            self.found.closed.append((name, node))
        self._add(name, node)

    def _add_once(self, name: str, value: Node) -> None:
        # a configuration that every layer refers to is one; scalars have no identity
        if isinstance(value, (Call, Dict, Set, list)):
            if id(value) in self._seen:
                return
            self._seen.add(id(value))
        self._add(name, value)
        self._check()

    def _add(self, name: str, value: Node) -> None:
        self._left -= len(name)
        self.found.attributes.flat += (name, value)

    def _check(self) -> None:
        if self._left < 0:
            raise MalformedError(
                "the attributes of modules have too long names to be listed",
                rules.LIMIT,
                expected=f"names of {MAX_NAMES:,} characters together",
            )


def _is_packed(value: Node) -> bool:
    """Whether an attribute is an object that only code of another language takes apart."""
    name = pair_of(value.function) if isinstance(value, Call) else None
    if name is None or not value.states or type(value.states[0]) is Dict:
        return False
    # torch.jit.save writes such objects under their own names, torch.save under one for all
    known = name == _PACKED or name[0].partition(".")[0] == _SCRIPTED
    return known and any(isinstance(part, PersistentId) for part in near((value,), _NEAR))


def _texts(attributes: Dict | None) -> list[tuple[str, Node]]:
    pairs = () if attributes is None else attributes.pairs()
    return [(key, value) for key, value in pairs if type(key) is str]


def _is_nothing(value: Node) -> bool:
    """Whether an attribute of torch's own says nothing: no hooks, no names, not set."""
    if value is None or count_of(value) == 0:
        return True
    is_set = isinstance(value, Set) or (
        isinstance(value, Call) and pair_of(value.function) in _SETS and not value.states
    )
    return is_set and not _members(value)


_SETS = frozenset({("builtins", "set"), ("__builtin__", "set")})


def _bare(node: Call) -> Node:
    """Return a module without its attributes."""
    if isinstance(node, New):
        return New(node.function, node.args, node.keywords)
    return Call(node.function, tuple(one for one in node.args[:1] if type(one) is Global))


def closed_reason(node: Node) -> str:
    """Return why the tensors of one of :attr:`Around.closed` are not read."""
    name = node.function if isinstance(node.function, Global) else "an unnamed class"
    return f"in an object of {name}, whose code alone tells its tensors' names"


def remark_on(classes: Sequence[tuple[str, str]], around: Around) -> Finding:
    """Return the note on the whole modules that weights were read from, each by key and class."""
    named = [f"'{key}' of class {name}" if key else f"of class {name}" for key, name in classes]
    if len(named) == 1:
        what, its, it = "a whole module was", "its", "it"
    else:
        what, its, it = f"{count(len(named), 'whole module')} were", "their", "them"
    message = (
        f"{what} pickled, {some_of(named, _SHOWN)}: {its} weights were read out of {its} "
        f"attributes, by the names of {its} state_dict(), and none of {its} code was run. Loading "
        f"{it} takes that code, so torch.load(..., weights_only=True) refuses the file"
    )
    if around.hooks:
        hooks = count(around.hooks, "hook")
        message += f". {hooks} of {its} state_dict() may rename or add entries; that was not done"
    return finding(rules.WHOLE_MODULE, message)
