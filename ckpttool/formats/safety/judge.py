"""What loading a pickle would run: every call judged by what it could do.

A call of a constructor in ``allowed``, with arguments of the kinds that it takes, is data. An
instance of an unknown class that is made without arguments and given its attributes as a plain
dictionary needs that class, which is reported. Every other call may run code. Nothing is imported,
looked up or called to find that out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Iterable, NamedTuple, Sequence

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.findings.uses import NameUse, Use
from ckpttool.formats.pickles.nodes import SCALARS, Call, Dict, Global, New, Node, near
from ckpttool.formats.safety import idioms, programs
from ckpttool.formats.safety.allowed import Maker, is_value, makers_of
from ckpttool.formats.safety.kinds import (
    DATA,
    FUNCTION,
    HOLDER,
    KIND_BY_TYPE,
    OBJECT,
    RECORD,
    RESULT,
    fits,
    kind_of,
)
from ckpttool.formats.safety.known_names import (
    Name,
    acts_on_import,
    is_known_attack,
    is_of_python,
    makes_code_run,
    name_of,
    python3,
    runs_commands,
)
from ckpttool.formats.safety.spelling import spelled
from ckpttool.formats.safety.torch_names import DEFAULT_NAMES
from ckpttool.tensors.catalogue import Reference

if TYPE_CHECKING:
    from ckpttool.formats.pickles import Pickle

_NOTHING: frozenset[str] = frozenset()
# Kinds of values whose code, or whose attributes' code, a call may run.
_NO_DATA = frozenset({OBJECT, RESULT, RECORD, FUNCTION})
_HOLDING = _NO_DATA | {HOLDER}
# And names: a constructor that is given a class may make an instance of it.
_FOREIGN = _HOLDING | {"name"}
# Values below a container or a state that are looked at; a larger one counts as not judged.
_LARGEST = 100_000
# Up to so many items a new look is as fast as a look into the cache of earlier ones.
_FEW = 100
# How deep calls that stand for others may be nested; torch's are one deep.
_DEEPEST = 8
# Values looked at in a whole file, since a file may share one large value among a million others;
# a million takes a third of a second.
_LOOKS = 3_000_000
_CONTAINER_KINDS = frozenset({"tuple", "list", "dict", "set"})
# What may be given items, or a state with items in it, after it was made.
_FILLED_KINDS = frozenset({DATA, "array"})
# The parts of torch's persistent ids: ("storage", class, key, location, length).
_PARTS = SCALARS | {Global}
# Attributes that Python or numpy look up by themselves, and then call or put in the class's place.
_ACTING_ATTRIBUTES = frozenset(
    "__array__ __array_interface__ __array_struct__ __class__ __del__ __dict__ __reduce__ "
    "__setstate__".split()
)
# Data of an exception, spelled like the hooks that _is_hook refuses.
_OF_EXCEPTIONS = frozenset(
    "__cause__ __context__ __notes__ __suppress_context__ __traceback__".split()
)


#: The name in a report where the result of another call is called.
NAMELESS = "a value that is not a name"


class Nested(NamedTuple):
    """Bytes that a call hands to a reader of pickles.

    Attributes:
        data: the bytes.
        torch: whether that reader is torch's, and they are a file of torch.save.
        place: where they stand, for messages.
        depth: how deep they are nested, 1 for those in a pickle of the file.
    """

    data: bytes
    torch: bool
    place: str
    depth: int


class _Counted:
    """A name that is used, its first use, and how often there were others like it."""

    __slots__ = ("first", "times", "walked")

    def __init__(self, first: NameUse) -> None:
        self.first = first
        self.times = 1
        self.walked = first.walked

    def use(self) -> NameUse:
        return self.first._replace(times=self.times, walked=self.walked)


class Judge:
    """Judges the pickles of one file, one after the other.

    Attributes:
        references: every name that the pickles refer to, in order.
        problem: the first call that no reader would accept.
    """

    def __init__(self, nested: Callable[[Nested], bool]) -> None:
        """Make a judge; ``nested`` has it judge pickles in bytes, and returns whether it could."""
        self._nested = nested
        self.references: list[Reference] = []
        self.problem: MalformedError | None = None
        self._uses: dict[tuple[Use, str], _Counted] = {}
        # what calls of a function were reported as, for REDUCE and for NEWOBJ: see _repeats
        self._alike: dict[tuple[Node, type], _Counted] = {}
        self._makers: dict[Node, Maker | None] = {}
        # whether constructors take arguments of some kinds: most calls repeat earlier ones
        self._fits: dict[tuple[Maker, tuple[str, ...]], bool] = {}
        # those of them whose results are data, whatever the arguments hold
        self._fitting: set[tuple[Maker, tuple[str, ...]]] = set()
        # keyed by identity: nodes have no hash over their content, and equal ones are not the same
        self._gives: dict[int, str] = {}
        self._holders: dict[int, bool] = {}
        self._roots: dict[int, Node] = {}
        self._followed: list[tuple[Call, Maker | None]] = []
        self._looks_left = _LOOKS
        # for each graph module, whether it is a program and no more
        self._programs: list[bool] = []
        self._member: str | None = None
        self._depth = 0
        # Whether a pickle of the file made anything that is no data, or named an attack. While
        # neither happened no container needs to be searched: nearly all files end so.
        self._foreign = False
        self._attacks = False

    def uses(self) -> tuple[NameUse, ...]:
        """Return what was found so far, in order."""
        # a name that is called is necessarily referred to, which is no second finding
        uses = [counted.use() for counted in self._uses.values()]
        worse = {use.name for use in uses if use.use is not Use.NAMED}
        return tuple(use for use in uses if use.use is not Use.NAMED or use.name not in worse)

    def read(self, pickle: Pickle, member: str | None, depth: int = 0) -> None:
        """Judge every call of a pickle, and the names and persistent ids in it.

        Re-entrant: pickles in bytes are read while the pickle around them is judged.
        """
        outer = self._gives, self._holders, self._followed, self._roots
        self._gives, self._holders, self._followed, self._roots = {}, {}, [], {}
        outer_place, self._member, self._depth = (self._member, self._depth), member, depth
        self.references += pickle.references
        called: set[Name] = set()
        self._attacks = self._attacks or any(
            is_known_attack(python3(name.module, name.name)) for name in pickle.references
        )
        makers, fitting, gives = self._makers, self._fitting, self._gives
        for call in pickle.calls:
            # nearly all calls of a checkpoint, a hundred thousand at a time, end here: a
            # constructor was called like this before, and nothing is done to the result
            maker = makers.get(call.function)
            # (not a partial, which may be handed to a caller)
            if maker is None or maker.gives == FUNCTION or type(call) is New or _is_changed(call):
                self._judge(call, called)
            elif (maker, self._kinds(call.args) if call.args else ()) in fitting:
                gives[id(call)] = maker.gives
            else:
                self._judge(call, called)
        # last, since a state may hold calls that come after the one it is given to
        for call, maker in self._followed:
            self._judge_following(call, maker)
        if self._foreign:
            for value in pickle.ids:
                self._judge_id(value)
        for reference in pickle.references:
            self._refer(reference, called)
        # identities are those of living nodes: another pickle's may have the same numbers
        self._gives, self._holders, self._followed, self._roots = outer
        self._member, self._depth = outer_place

    # --- one call --------------------------------------------------------------------------

    def _judge(self, call: Call, called: set[Name], depth: int = 0) -> None:
        if self._repeats(call):
            return
        function = call.function
        if type(function) is Global:
            maker = self._maker_of(function)
            if maker is not None:
                self._judge_maker(call, function, maker)
                return
            called.add(name_of(function))
        idiom = idioms.meaning(call)
        if idiom is idioms.BYTES and not _is_changed(call):
            self._gives[id(call)] = idiom.gives  # old protocols write every scalar so
        elif idiom is not None:
            self._gives[id(call)] = OBJECT  # in case its own state refers to it
            self._judge_idiom(call, idiom, called, depth)
        elif isinstance(call, New) and type(function) is Global:
            self._give(call, OBJECT)
            self._judge_instance(call, function)
        else:
            is_program = programs.is_graph_module(call)
            if is_program:
                self._programs.append(self._only_computes(call))
            counted = self._report(call, Use.CALL)
            own = type(function) is Global and counted.first.name == str(name_of(function))
            if own and not is_program:
                self._alike[function, Call] = counted

    def _repeats(self, call: Call) -> bool:
        """Count a call that is reported as an earlier one was, if it is known to be alike.

        A file may make millions of them: each is a function's name and nothing else that counts.
        """
        counted = self._alike.get((call.function, type(call)))
        if counted is None or call.changes is not None:
            return False
        if isinstance(call, New):
            if call.args or call.keywords is not None:
                return False
        elif call.args and counted.first.use is not Use.ATTACK and self._searches():
            return False  # there may be an attack among these arguments
        counted.times += 1
        self._gives[id(call)] = OBJECT if counted.first.use is Use.CLASS else RESULT
        return True

    def _only_computes(self, call: Call) -> bool:
        """Whether a graph module is a program that was not judged, and nothing worse."""
        nodes = self._near(call.args)
        if nodes is None or _is_changed(call) or not programs.only_computes(call):
            return False
        # its source can reach every attribute: none may be a function that does more than compute
        made = {node.function for node in nodes if isinstance(node, Call)}
        return all(
            self._given(node) not in (FUNCTION, RESULT)
            if isinstance(node, Call)
            else type(node) is not Global or node in made or programs.may_be_attribute(node)
            for node in nodes
        )

    @property
    def only_programs(self) -> bool:
        """Whether there are graph modules, and the source text of all does no more than compute."""
        return bool(self._programs) and all(self._programs)

    def _maker_of(self, function: Global) -> Maker | None:
        try:
            return self._makers[function]
        except KeyError:
            name = name_of(function)
            maker = self._makers[function] = makers_of(name.module).get(name.attribute)
            return maker

    def _judge_maker(self, call: Call, function: Global, maker: Maker) -> None:
        """Judge a call of a constructor of data."""
        self._give(call, maker.gives)
        # __new__ without arguments runs nothing, whatever the row says that the class takes
        if not (type(call) is New and not call.args and not idioms.keywords_of(call)):
            kinds = self._kinds(call.args)
            if not self._takes(maker, kinds) or idioms.keywords_of(call):
                self._misfit(call, function, kinds)
                return
            if _HOLDING.isdisjoint(kinds):
                self._fitting.add((maker, kinds))
            else:
                self._give(call, _kept(maker.gives, kinds))
        if maker.gives == FUNCTION:
            self._judge_handed(call)
        if _is_changed(call):
            self._follow(call, maker)

    def _takes(self, maker: Maker, kinds: tuple[str, ...]) -> bool:
        if (maker, kinds) not in self._fits:
            self._fits[maker, kinds] = fits(maker.ways, kinds)
        return self._fits[maker, kinds]

    def _judge_handed(self, call: Call) -> None:
        """Judge a partial of a reader of pickles and its bytes as if it was called.

        Without bytes it is a function like any other: a call of it is judged when there is one.
        """
        function, args = call.args[0] if call.args else None, call.args[1:]
        if args and type(function) is Global and idioms.is_reader(name_of(function)):
            self._judge(Call(function, args, call.offset), set())
            self._report(call, Use.CALL, name_of(function))

    def _judge_id(self, value: Node) -> None:
        """Judge a persistent id: torch compares its parts and formats them in messages."""
        parts = value if type(value) is tuple else (value,)
        odd = [one for one in parts if type(one) not in _PARTS and self.kind(one) in _HOLDING]
        if not odd:
            return
        made = (node for node in self._near(odd) or odd if isinstance(node, Call))
        # what is too large to look at counts as something that acts
        call = next(made, Call(None, value))
        if isinstance(call, New) or not self._repeats(call):
            self._report(call, Use.CALL, text="a persistent id")

    def _misfit(self, call: Call, function: Global, kinds: Sequence[str]) -> None:
        """Report arguments whose code a constructor may run, or that no reader would accept."""
        self._give(call, OBJECT)
        if idioms.keywords_of(call) or not _FOREIGN.isdisjoint(kinds):
            if RESULT not in kinds:  # a reported call and its consequences are one finding
                self._report(call, Use.CALL)
        else:
            # plain data of the wrong kind, with which loading fails in every reader
            self._malformed(call, f"{name_of(function)} takes no such arguments")

    def _follow(self, call: Call, maker: Maker | None) -> None:
        """Remember a result that is changed, to judge the changes once all calls are judged."""
        self._followed.append((call, maker))
        if maker is None or not call.states:
            return
        # before the other calls are judged, so that they know: a method may call an attribute
        tensor = maker.gives == "tensor" and any(type(state) is Dict for state in call.states)
        if tensor or "attributes" in maker.follows:
            self._give(call, RECORD)

    def _judge_following(self, call: Call, maker: Maker | None) -> None:
        """Judge what is done to a result."""
        # state before items, and two states, are what no pickler writes
        follows = maker.follows if maker else _NOTHING
        wrong = (
            call.changed_late
            or (call.mapped is not None and "items" not in follows)
            or (call.appended is not None and not follows & {"append", "add"})
            or len(call.states or ()) > 1
        )
        if wrong or not all(self._takes_state(state, maker) for state in call.states or ()):
            self._report(call, Use.CALL)

    def _takes_state(self, state: Node, maker: Maker | None) -> bool:
        follows = maker.follows if maker else _NOTHING
        if is_attributes(state):
            if "fields" in follows and state is not None and not self._are_fields(state):
                return False
            plain = state is None or not any(map(_is_hook, state.flat[::2]))
            if "attributes" in follows:
                return plain
            return plain and "state" in follows and self.kind(state) not in _HOLDING
        if "slots" in follows and idioms.is_slots(state):
            return self.kind(state) not in _HOLDING
        if "partial" in follows:
            return idioms.is_partial(state) and not idioms.is_reader_with_bytes(state)
        if type(state) is Dict and any(
            type(key) is str and key in _ACTING_ATTRIBUTES for key in state.flat[::2]
        ):
            return False
        # an array of objects stores its items; of another dtype numpy converts them, which calls
        stores = "stores" in follows and idioms.is_of_objects(state)
        return "state" in follows and (stores or self.kind(state) not in _FOREIGN)

    def _are_fields(self, state: Dict) -> bool:
        """Whether nothing in some attributes can be called, since the class's methods may do so."""
        nodes = self._near((state,)) if self._foreign else ()
        return nodes is not None and not any(
            isinstance(node, Call) and self._given(node) in (FUNCTION, RESULT) for node in nodes
        )

    def _judge_instance(self, made: New, cls: Global) -> None:
        """Judge an instance of a class that is not on the list."""
        name = name_of(cls)
        states = made.states or []
        plain = not (made.args or idioms.keywords_of(made) or made.changed_late)
        plain = plain and len(states) <= 1 and all(map(is_attributes, states))
        needed = plain and not (makes_code_run(name) or self._may_be_given_an_attack(states))
        counted = self._report(made, Use.CLASS if needed else Use.CALL, name)
        if plain and not states:
            self._alike[cls, New] = counted

    def _judge_idiom(self, call: Call, idiom: idioms.Idiom, called: set[Name], depth: int) -> None:
        """Judge a call by its meaning: a walk, an instance, another call, bytes to read."""
        if idiom.unknown or depth > _DEEPEST:
            self._report(call, Use.CALL)
            return
        self._give(call, idiom.gives)
        acting = False
        for made in idiom.makes:
            self._judge(made, called, depth + 1)
            self._gives[id(call)] = self._gives[id(made)]
            acting = acting or any(self.kind(state) in _HOLDING for state in made.states or ())
        kind = self._gives[id(call)]
        unfit = bool(idiom.needs) and kind not in (idiom.needs, OBJECT, RESULT)
        if idiom.needs == kind and acting:
            self._give(call, RECORD)  # one of its attributes may take a method's place
        if not idiom.makes and idiom.gives == DATA and idiom.data is None:
            self._give(call, _kept(DATA, self._kinds(call.args)))
        if idiom.walked is not None:
            self._walk(call, name_of(idiom.walked))
        if idiom.data is not None:
            unfit = not self._nested(self._nest(call, idiom)) or unfit
            if self._foreign and idiom.gives == DATA:
                self._give(call, FUNCTION)  # the result may be anything that the bytes hold
        if unfit or idiom.unusual or self.kind(idiom.consumed) in _HOLDING:
            self._report(call, Use.CALL)
        if _is_changed(call) and not idiom.makes:
            self._follow(call, None)

    def _walk(self, call: Call, name: Name) -> None:
        """Judge a name that a call looks up as if the pickle named it."""
        if acts_on_import(name):
            self._report(call, Use.CALL, name)
        elif is_known_attack(name):
            self._report(call, Use.NAMED, name)

    def _nest(self, call: Call, idiom: idioms.Idiom) -> Nested:
        place = f"{self._member}, in" if self._member else "in"
        place += f" the bytes of the call at byte {call.offset:,}"
        return Nested(idiom.data or b"", idiom.torch, place, self._depth + 1)

    def _kinds(self, args: tuple[Node, ...]) -> tuple[str, ...]:
        if self._foreign:
            return tuple([self.kind(argument) for argument in args])
        # kind() written out: this runs once for each tensor and each numpy scalar of a file
        by_type, given = KIND_BY_TYPE.get, self._gives.get
        return tuple([by_type(type(one)) or given(id(one)) or self.kind(one) for one in args])

    def kind(self, node: Node) -> str:
        """Return the kind of a value as far as the pickle tells."""
        kind = kind_of(node, self._given)
        if not self._foreign:
            return kind
        filled = kind in _CONTAINER_KINDS or (
            kind in _FILLED_KINDS and isinstance(node, Call) and _is_changed(node)
        )
        return HOLDER if filled and self._holds_foreign(node) else kind

    def _holds_foreign(self, container: Node) -> bool:
        """Whether a container holds something that is no data, or is too large to say."""
        if id(container) not in self._holders:
            short = isinstance(container, (tuple, list)) and len(container) < _FEW
            if short and SCALARS.issuperset(map(type, container)):
                return False
            nodes = self._near((container,))
            self._holders[id(container)] = nodes is None or any(
                isinstance(node, Call) and node is not container and self._given(node) in _NO_DATA
                for node in nodes
            )
        return self._holders[id(container)]

    def _near(self, roots: Iterable[Node]) -> list[Node] | None:
        """Return the nodes below some values, ``None`` if they are too many to look at."""
        nodes = list(near(roots, _LARGEST)) if self._looks_left > 0 else []
        self._looks_left -= len(nodes)
        return nodes if 0 < len(nodes) < _LARGEST else None

    def _give(self, call: Call, kind: str) -> None:
        self._gives[id(call)] = kind
        if kind in _NO_DATA:
            self._foreign = True
            self._holders.clear()  # a container that was looked at may hold this result

    def _given(self, node: Node) -> str:
        return self._gives.get(id(node), OBJECT)

    # --- what is found ---------------------------------------------------------------------

    def _report(self, call: Call, use: Use, name: Name | None = None, text: str = "") -> _Counted:
        """Record a call under ``name``, by default the name that its function comes from.

        ``text`` says what runs the code, if it is not the call itself.
        """
        if name is None:
            root = idioms.root_of(call.function, self._roots)
            name = name_of(root) if root is not None else None
        if use is Use.CALL:
            self._give(call, RESULT)
            attack = self._attack(call, name)
            use, name = (Use.CALL, name) if attack is None else (Use.ATTACK, attack)
        shown = str(name) if name else NAMELESS
        walked = name is not None and name.leaves_classes
        return self._keep(NameUse(use, shown, text, self._member, call.offset, walked=walked), call)

    def _keep(self, found: NameUse, call: Node = None) -> _Counted:
        key = found.use, found.name
        known = self._uses.get(key)
        # counted, not listed: a file may call one name a million times
        if known is not None:
            known.times += 1
            known.walked = known.walked or found.walked
        else:
            first = found if found.text else found._replace(text=spelled(call))
            known = self._uses[key] = _Counted(first)
        return known

    def _attack(self, call: Call, name: Name | None) -> Name | None:
        """Return the known attack that a call is: its own name, or one among its arguments."""
        if name is not None and is_known_attack(name):
            return name
        return self._near_attack((call.function, call.args, *(call.states or ())))

    def _searches(self) -> bool:
        """Whether the values that a call is given are searched for attacks."""
        return self._attacks and self._looks_left > 0

    def _may_be_given_an_attack(self, states: Sequence[Node]) -> bool:
        if not (self._attacks and states):
            return False
        # a state too large to search counts as one: an attack would only have to be padded
        return self._near_attack(states) is not None or self._near(states) is None

    def _near_attack(self, roots: Iterable[Node]) -> Name | None:
        """Return the first name below some values that runs commands."""
        for node in (self._near(roots) or ()) if self._searches() else ():
            if type(node) is Global and self._maker_of(node) is None:
                name = name_of(node)
                if runs_commands(name):
                    return name
        return None

    def _refer(self, reference: Reference, called: set[Name]) -> None:
        """Judge a name that occurs in the pickle: a note, unless its module acts on import."""
        name = python3(reference.module, reference.name)
        shown = str(name)
        found = NameUse(Use.NAMED, shown, shown, self._member, reference.offset)
        if acts_on_import(name):
            self._keep(found._replace(use=Use.ATTACK if is_of_python(name) else Use.CALL))
        elif not (
            name in called
            or shown in DEFAULT_NAMES
            or is_value(name.module, name.attribute)
            or name.attribute in makers_of(name.module)
            or (idioms.is_idiom(name) and not idioms.is_reader(name))
        ):
            self._keep(found)

    def keep_problem(self, problem: MalformedError) -> None:
        """Keep an error to raise once everything was read; the first counts."""
        if self.problem is None:
            self.problem = problem

    def _malformed(self, call: Call, message: str) -> None:
        if self.problem is not None:  # before the call is spelled out: there may be a million
            return
        self.keep_problem(
            MalformedError(
                message,
                rules.PICKLE,
                member=self._member,
                offset=call.offset if call.offset >= 0 else None,
                found=spelled(call),
            )
        )


def _is_changed(call: Call) -> bool:
    """Whether the result of a call is given a state or items."""
    return call.changes is not None and bool(call.states or call.appended or call.mapped)


def _kept(gives: str, kinds: Iterable[str]) -> str:
    """Return the kind of data made of such arguments: a holder, if they are no data."""
    return HOLDER if gives == DATA and not _HOLDING.isdisjoint(kinds) else gives


def _is_hook(key: str) -> bool:
    """Whether an attribute is one that Python, numpy or torch look up by themselves."""
    return key.startswith("__") and key.endswith("__") and key not in _OF_EXCEPTIONS


def is_attributes(state: Node) -> bool:
    """Whether a state is a dictionary of attributes, or none at all."""
    if state is None:
        return True
    return type(state) is Dict and all(
        type(key) is str and key not in _ACTING_ATTRIBUTES for key in state.flat[::2]
    )
