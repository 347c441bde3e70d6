"""The operations that name code and call it: kept as nodes, never imported, never called."""

from __future__ import annotations

from typing import Callable

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.formats.pickles import dictionaries
from ckpttool.formats.pickles.nodes import Call, Global, New, Node, PersistentId, pair_of
from ckpttool.formats.pickles.stack import (
    COST_CALL,
    COST_CONTAINER,
    Stack,
    changes_a_name,
    malformed,
    name_text,
    too_much,
)
from ckpttool.tensors.catalogue import Reference

#: Characters of a name, its module included; real ones have about a hundred. Names are printed,
#: and walked step by step, so a megabyte of dots would cost time as well as room.
LONGEST_NAME = 2_000
#: The class in place of an array in a pickle of joblib: the array follows its BUILD
#: (``NumpyUnpickler.load_build`` in joblib/numpy_pickle.py).
JOBLIB_ARRAY = ("joblib.numpy_pickle", "NumpyArrayWrapper")


class Calls(Stack):
    """Names and calls.

    Attributes:
        base: the offset of ``data[0]`` in its member, for references.
        persistent: makes the node for a persistent id.
        globals: a node for each name, by module and name.
        references: where each name first occurs.
        calls: every call, in order, those too whose result is popped.
        ids: every persistent id, unresolved.
        array_at: where the raw bytes of the first joblib array begin.
    """

    def __init__(
        self, data: bytes, start: int, base: int, persistent: Callable[[Node], Node]
    ) -> None:
        super().__init__(data, start)
        self.base = base
        self.persistent = persistent
        self.globals: dict[tuple[str, str], Global] = {}
        self.references: dict[tuple[str, str], Reference] = {}
        self.calls: list[Call] = []
        self.ids: list[Node] = []
        self.array_at: int | None = None
        # calls whose results were called in turn: a state given to them afterwards is too late
        self._called: set[int] = set()

    def _op_global(self) -> None:
        self._push_global(name_text(self._line()), name_text(self._line()))

    def _op_stack_global(self) -> None:
        name = self.stack.pop()
        module = self.stack.pop()
        if type(name) is not str or type(module) is not str:
            raise malformed("a global's name is not text")
        self._push_global(module, name)

    def _push_global(self, module: str, name: str) -> None:
        # no Python name has them, and a tool that reads up to a NUL or line break sees another one
        if not (module and name and module.isprintable() and name.isprintable()):
            raise malformed(
                "a global's name is empty or has control characters", found=f"{module}.{name}"
            )
        key = (module, name)
        if key not in self.references:
            self.references[key] = Reference(module, name, self.base + self.operation)
        self.stack.append(self._global(module, name))

    def _global(self, module: str, name: str) -> Global:
        key = (module, name)
        node = self.globals.get(key)
        if node is None:
            if len(module) + len(name) > LONGEST_NAME:
                raise MalformedError(
                    "a global's name is too long",
                    rules.LIMIT,
                    expected=f"at most {LONGEST_NAME:,} characters",
                    found=f"{len(module) + len(name):,}",
                )
            node = self.globals[key] = Global(module, name)
            self.budget -= 4 * COST_CONTAINER + 4 * (len(module) + len(name))
        return node

    def _op_reduce(self) -> None:
        args = self.stack.pop()
        self._push_call(self.stack.pop(), args)

    def _op_newobj(self) -> None:
        args = self.stack.pop()
        self._push_new(self.stack.pop(), args)

    def _op_newobj_ex(self) -> None:
        keywords, args = self.stack.pop(), self.stack.pop()
        self._push_new(self.stack.pop(), args, keywords)

    def _op_inst(self) -> None:
        module, name = name_text(self._line()), name_text(self._line())
        args = tuple(self._pop_mark())
        self._push_global(module, name)
        self._push_call(self.stack.pop(), args)

    def _op_obj(self) -> None:
        items = self._pop_mark()
        self._push_call(items[0], tuple(items[1:]))

    def _push_call(self, function: Node, args: Node) -> None:
        named = type(function) is Global
        if not named or type(args) is not tuple:  # asked first: a checkpoint has a million calls
            _check_call(function, args)
        if not named:
            # charged twice, since the judge keeps an entry for each too
            self._called.add(id(function))
            self.budget -= 2 * COST_CALL
        call = Call(function, args, self.base + self.operation)
        self.calls.append(call)
        if named and function.name == "getattr" and _is_attribute(function, args):
            self._push(self._global(args[0].module, f"{args[0].name}.{args[1]}"), COST_CALL)
            return
        if args and named and function.module == "collections":
            self.budget -= COST_CONTAINER * dictionaries.size_of_content(args)
            if self.budget < 0:  # before the copy: a million calls may share one long list
                raise too_much()
            call.args = dictionaries.settled(function, args)
        self._push(call, COST_CALL)

    def _push_new(self, cls: Node, args: Node, keywords: Node = None) -> None:
        _check_call(cls, args)
        call = New(cls, args, keywords, self.base + self.operation)
        self.calls.append(call)
        self._push(call, COST_CALL)

    def _op_build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Global):  # {"__code__": ...} for a function that is called next
            raise changes_a_name(target)
        if not isinstance(target, Call):
            raise malformed("BUILD sets the state of a value that is not the result of a call")
        if target.changes is None:
            self.budget -= COST_CONTAINER
        if target.states is None:
            target.states = []
        if id(target) in self._called:
            target.changed_late = True
        target.states.append(state)
        self.budget -= COST_CONTAINER
        if pair_of(target.function) == JOBLIB_ARRAY:
            self._at_array()

    def _at_array(self) -> None:
        """Note where a joblib array begins; ``pickle.load`` would go on with the next opcode."""
        if self.array_at is None:
            self.array_at = self.position

    def _op_binpersid(self) -> None:
        self._push_persistent(self.stack.pop())

    def _op_persid(self) -> None:
        self._push_persistent(name_text(self._line()))

    def _push_persistent(self, value: Node) -> None:
        self.ids.append(value)
        self._push(self.persistent(value), COST_CONTAINER)


def _is_attribute(function: Node, args: Node) -> bool:
    """Whether a call only names an attribute of a class, for example a member of an enumeration.

    Protocols below 4 write ``getattr(Outer, "Inner")`` where later ones name ``Outer.Inner``.
    """
    return (
        type(function) is Global
        and function.name == "getattr"
        and function.module in ("builtins", "__builtin__")
        and len(args) == 2
        and type(args[0]) is Global
        and type(args[1]) is str
        and args[1].isidentifier()
    )


def _check_call(function: Node, args: Node) -> None:
    if not isinstance(function, (Global, PersistentId, Call)):
        raise malformed("a value that is not a function is called")
    if type(args) is not tuple:
        raise malformed("a call's arguments are no tuple")
