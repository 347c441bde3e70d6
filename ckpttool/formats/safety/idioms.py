"""Calls by which honest picklers express something other than a constructor with its arguments.

``getattr`` looks an attribute up, ``copyreg._reconstructor`` and a called ``functools.partial`` of
``__new__`` make an instance, torch's rebuild functions call others, and some calls hand bytes to a
reader of pickles. Each is recognised here by its exact form, and what it stands for is judged.
"""

from __future__ import annotations

from typing import Callable, NamedTuple

from ckpttool.formats.pickles.nodes import Call, Dict, Global, New, Node
from ckpttool.formats.safety.kinds import DATA, FUNCTION
from ckpttool.formats.safety.known_names import Name, name_of


class Idiom(NamedTuple):
    """What a call stands for.

    Attributes:
        unknown: it has the name of an idiom, but none of its forms.
        gives: the kind of its result.
        makes: the calls that it stands for; the last one gives the result.
        walked: the name that it looks up.
        data: bytes that it hands to a reader of pickles.
        torch: whether that reader is torch's.
        unusual: whether the call itself is reported, since no pickler writes it.
        needs: the kind that the last of ``makes`` must give; any, if it is empty.
        consumed: a value that a base class iterates over or converts to text.
    """

    unknown: bool = False
    gives: str = DATA
    makes: tuple[Call, ...] = ()
    walked: Global | None = None
    data: bytes | None = None
    torch: bool = False
    unusual: bool = False
    needs: str = ""
    consumed: Node = None


_UNKNOWN, _DATA = Idiom(unknown=True), Idiom()
#: Bytes that are written as text.
BYTES = Idiom(gives="bytes")

# Bases of which copyreg._reconstructor calls __new__ and __init__ itself, with the state.
_BASES = frozenset(
    f"builtins.{name}"
    for name in "object dict list tuple set frozenset int float complex str bytes bytearray".split()
)
# Codecs by which protocols 0 to 2 write bytes. Others do more than encode text, and Python finds
# them by importing a module of the name that it is given.
_CODECS = frozenset({"latin1", "latin-1", "iso-8859-1", "ascii", "utf-8", "utf8"})
_ENCODE = Name("_codecs", "encode")
_PARTIAL = Name("functools", "partial")
_DTYPE = Name("numpy", "dtype")
_OBJECTS = frozenset({"O", "O4", "O8"})
# Keywords of pickle.loads. It takes its bytes by position only, torch's reader by keyword too.
_HOW_TO_READ = frozenset({"encoding", "errors", "fix_imports"})
_METHODCALLER = Name("operator", "methodcaller")
_NEW = "__new__"


def meaning(call: Call) -> Idiom | None:
    """Return what a call stands for, ``None`` if it is no idiom."""
    function = call.function
    if isinstance(function, Call):
        return _called_partial(call, function)
    if type(function) is not Global or isinstance(call, New):
        return None
    name = name_of(function)
    if name.walks and is_reader(name):
        # ("torch", "storage._load_from_bytes"): no pickler writes it, and its bytes count too
        return _IDIOMS[name.unwalked](call)._replace(unusual=True)
    read = _IDIOMS.get(name)
    return None if read is None else read(call)


def is_idiom(name: Name) -> bool:
    """Whether calls of the name are idioms."""
    return name in _IDIOMS


def is_of_objects(state: Node) -> bool:
    """Whether a state is that of a numpy array of objects."""
    # (version, shape, dtype, is_fortran, content), as ndarray.__reduce__ gives it
    dtype = state[2] if type(state) is tuple and len(state) == 5 else None
    if not isinstance(dtype, Call) or type(dtype.function) is not Global or not dtype.args:
        return False
    code = dtype.args[0]
    return name_of(dtype.function) == _DTYPE and type(code) is str and code.strip("|") in _OBJECTS


def is_reader(name: Name) -> bool:
    """Whether the name reads a pickle in bytes, also where it is reached step by step."""
    return name in _READERS or name.unwalked in _READERS


def keywords_of(call: Call) -> bool:
    """Whether a call has keyword arguments."""
    keywords = call.keywords if isinstance(call, New) else None
    return bool(keywords.flat) if isinstance(keywords, Dict) else keywords is not None


def is_partial(state: Node) -> bool:
    """Whether a state is that of a partial: function, arguments, keywords, attributes."""
    return (
        type(state) is tuple
        and len(state) == 4
        and type(state[1]) is tuple
        and all(part is None or type(part) is Dict for part in state[2:])
    )


def is_reader_with_bytes(state: tuple[Node, ...]) -> bool:
    """Whether the state of a partial has a reader of pickles and an argument that may be bytes."""
    function, args, keywords, _ = state
    if type(function) is not Global or not is_reader(name_of(function)):
        return False
    said = keywords.flat[::2] if keywords is not None else []
    return bool(args) or not all(type(key) is str and key in _HOW_TO_READ for key in said)


def is_slots(state: Node) -> bool:
    """Whether a state is that of a class with slots: ``(None, {slot: value})``."""
    return (
        type(state) is tuple
        and len(state) == 2
        and state[0] is None
        and type(state[1]) is Dict
        and all(type(key) is str and not key.startswith("__") for key in state[1].flat[::2])
    )


def root_of(function: Node, known: dict[int, Node]) -> Global | None:
    """Return the name that a function comes from, through partials and bound methods.

    ``known`` caches the roots within a pickle, so that a chain of a million is walked once.
    """
    walked = []
    while isinstance(function, Call) and id(function) not in known:
        walked.append(id(function))
        inner = next((part for part in function.args[:1] if isinstance(part, (Call, Global))), None)
        wraps = type(function.function) is Global and name_of(function.function) in _WRAPPING
        function = inner if wraps and inner is not None else function.function
    root = known.get(id(function), function)
    known.update(dict.fromkeys(walked, root))
    return root if type(root) is Global else None


def bytes_of(node: Node) -> bytes | None:
    """Return the bytes of a node, also as protocols below 3 write them; ``None`` for others."""
    if isinstance(node, bytes):
        return node
    if not isinstance(node, Call) or type(node.function) is not Global:
        return None
    if name_of(node.function) != _ENCODE or _encode(node) is not BYTES:
        return None
    text, *codec = node.args
    try:
        return str(text).encode(codec[0] if codec else "utf-8")
    except UnicodeEncodeError:
        return None


# --- the forms -----------------------------------------------------------------------------


def _getattr(call: Call) -> Idiom:
    if len(call.args) not in (2, 3) or type(call.args[1]) is not str:
        return _UNKNOWN
    whole, attribute = call.args[:2]
    if type(whole) is not Global:
        return Idiom(gives=FUNCTION)  # of an instance: a bound method, judged where it is called
    if not attribute.isidentifier():  # a dot would make the walk go on
        return _UNKNOWN
    return Idiom(gives=FUNCTION, walked=Global(whole.module, f"{whole.name}.{attribute}"))


def _type(call: Call) -> Idiom:
    # with three arguments it makes a class, whose metaclass and bases run code
    return _DATA if len(call.args) == 1 else _UNKNOWN


def _encode(call: Call) -> Idiom:
    if len(call.args) not in (1, 2) or type(call.args[0]) is not str:
        return _UNKNOWN
    codec = call.args[1] if len(call.args) == 2 else "utf-8"
    known = type(codec) is str and codec in _CODECS
    return BYTES if known else _UNKNOWN


def _reconstructor(call: Call) -> Idiom:
    if len(call.args) != 3:
        return _UNKNOWN
    cls, base, state = call.args
    plain = state is None or isinstance(state, (bool, int, float, str, bytes, tuple, list, Dict))
    if type(cls) is not Global or type(base) is not Global or not plain:
        return _UNKNOWN
    if str(name_of(base)) not in _BASES:
        return _UNKNOWN
    same = state is None or type(state) in _TYPES_OF.get(name_of(base).attribute, ())
    return _made(call, cls)._replace(consumed=None if same else state)


# Types whose items these bases copy without calling anything of the value's class.
_TYPES_OF = {"dict": (Dict,), "list": (list, tuple), "tuple": (list, tuple)}


def _newobj(call: Call) -> Idiom:
    if not call.args or type(call.args[0]) is not Global:
        return _UNKNOWN
    return _made(call, call.args[0], call.args[1:])


def _newobj_ex(call: Call) -> Idiom:
    if len(call.args) != 3 or type(call.args[0]) is not Global or type(call.args[1]) is not tuple:
        return _UNKNOWN
    return _made(call, *call.args)


def _made(call: Call, cls: Global, args: Node = (), keywords: Node = None) -> Idiom:
    """Return the idiom of a call that makes an instance of ``cls``."""
    return Idiom(makes=(_with_changes(New(cls, args, keywords, call.offset), call),))


def _with_changes(made: Call, call: Call) -> Call:
    # the state and items that the pickle gives to the result are the instance's
    made.changes = call.changes
    return made


def _called_partial(call: Call, partial: Call) -> Idiom | None:
    """``partial(cls.__new__, cls, *args, **kwargs)()``, as protocols 2 and 3 write NEWOBJ_EX.

    ``partial(constructor, *args, **kwargs)()`` is written by classes whose own arguments have
    keywords.
    """
    made = type(partial.function) is Global and name_of(partial.function) == _PARTIAL
    states = partial.states or []
    if not made or len(states) != 1 or partial.changed_late:
        return None
    state = states[0]
    if type(state) is not tuple or len(state) != 4 or type(state[1]) is not tuple:
        return None
    function, args, keywords, attributes = state
    # with keywords it is pickled as partial(methodcaller, name, **keywords)(*args), and only
    # stores them; any other function with arguments in both places is no pickler's
    methodcaller = type(function) is Global and name_of(function) == _METHODCALLER
    if type(function) is not Global or attributes is not None or (call.args and not methodcaller):
        return None
    if not function.name.endswith(f".{_NEW}"):
        told = Call(function, (*args, *call.args), call.offset)
        plain = methodcaller or not (isinstance(keywords, Dict) and keywords.flat)
        return Idiom(makes=(_with_changes(told, call),)) if plain else None
    cls = args[0] if args else None
    # __new__ of another class than the one it makes is what no pickler writes
    owner = str(name_of(Global(function.module, function.name[: -len(_NEW) - 1])))
    if type(cls) is not Global or owner not in _BASES | {str(name_of(cls))}:
        return None
    return _made(call, cls, args[1:], keywords)


def _reduce(call: Call) -> Idiom:
    """``functools.reduce(operator.or_, (int, str))``: how copyreg pickles ``int | str``."""
    if len(call.args) != 2 or type(call.args[0]) is not Global or type(call.args[1]) is not tuple:
        return _UNKNOWN
    function, types = call.args
    is_or = name_of(function) in (Name("_operator", "or_"), Name("operator", "or_"))
    plain = all(type(one) is Global or _is_alias(one) for one in types)
    return _DATA if is_or and plain else _UNKNOWN


def _is_alias(node: Node) -> bool:
    """Whether a call gives a type: ``type(None)``, ``list[int]``."""
    if not isinstance(node, Call) or type(node.function) is not Global:
        return node is None
    names = (Name("builtins", "type"), Name("types", "GenericAlias"), _GETITEM)
    return name_of(node.function) in names


_GETITEM = Name("_operator", "getitem")
_SUBSCRIBED = frozenset({"typing", "collections.abc", "collections"})


def _getitem(call: Call) -> Idiom:
    """``operator.getitem(typing.List, int)``: how typing pickles ``List[int]``."""
    if len(call.args) != 2 or type(call.args[0]) is not Global:
        return _UNKNOWN
    name = name_of(call.args[0])
    known = name.module in _SUBSCRIBED and not name.walks and name.attribute[:1].isupper()
    return _DATA if known or str(name) in _BASES else _UNKNOWN


def _from_type(call: Call) -> Idiom:
    """``_rebuild_from_type_v2(function, type, args, state)`` calls the function itself."""
    if len(call.args) != 4 or type(call.args[2]) is not tuple or call.states:
        return _UNKNOWN
    function, cls, args, state = call.args
    if type(function) is not Global or type(cls) is not Global:
        return _UNKNOWN
    # two calls: torch rebuilds the tensor, makes it one of cls and gives that the attributes
    made = New(cls, (), None, call.offset)
    made.states = [_attributes_of(state)]
    return Idiom(makes=(made, Call(function, args, call.offset)), needs="tensor")


def _attributes_of(state: Node) -> Node:
    """Return what torch's _set_obj_state sets of a state: attributes, and slots beside them."""
    both = state if type(state) is tuple and len(state) == 2 else (state,)
    if not all(part is None or type(part) is Dict for part in both):
        return state
    attributes = Dict()
    attributes.flat = [item for part in both if part is not None for item in part.flat]
    return attributes


def _parameter_with_state(call: Call) -> Idiom:
    """``_rebuild_parameter_with_state(tensor, bool, hooks, state)`` sets attributes as well."""
    if len(call.args) != 4 or call.states:
        return _UNKNOWN
    made = New(_PARAMETER, (), None, call.offset)
    made.states = [_attributes_of(call.args[3])]
    rebuilt = Call(_REBUILD_PARAMETER, call.args[:3], call.offset)
    return Idiom(makes=(made, rebuilt), needs="tensor")


_PARAMETER = Global("torch.nn.parameter", "Parameter")
_REBUILD_PARAMETER = Global("torch._utils", "_rebuild_parameter")


def _wrapper_subclass(call: Call) -> Idiom:
    """``_rebuild_wrapper_subclass(cls, dtype, sizes, ...)``: an instance of the class."""
    if len(call.args) != 8 or type(call.args[0]) is not Global:
        return _UNKNOWN
    return _made(call, call.args[0])


def _loads(torch: bool) -> Callable[[Call], Idiom]:
    def read(call: Call) -> Idiom:
        data = bytes_of(call.args[0]) if len(call.args) == 1 else None
        if data is None:
            return _UNKNOWN
        return Idiom(gives="storage" if torch else DATA, data=data, torch=torch)

    return read


def _ufunc(call: Call) -> Idiom:
    """``numpy.core._ufunc_reconstruct("numpy", "sin")`` names a function of numpy or scipy."""
    # it imports the module that it is given: of other packages that may run anything
    texts = len(call.args) == 2 and all(type(part) is str for part in call.args)
    if not texts or call.args[0].partition(".")[0] not in ("numpy", "scipy"):
        return _UNKNOWN
    return Idiom(gives=FUNCTION, walked=Global(call.args[0], call.args[1]))


_READERS: dict[Name, Callable[[Call], Idiom]] = {
    Name("torch.storage", "_load_from_bytes"): _loads(torch=True),
    Name("pickle", "loads"): _loads(torch=False),
    Name("_pickle", "loads"): _loads(torch=False),
}
_IDIOMS: dict[Name, Callable[[Call], Idiom]] = {
    **_READERS,
    Name("builtins", "getattr"): _getattr,
    Name("builtins", "type"): _type,
    _ENCODE: _encode,
    Name("copyreg", "_reconstructor"): _reconstructor,
    Name("copyreg", "__newobj__"): _newobj,
    Name("copyreg", "__newobj_ex__"): _newobj_ex,
    Name("functools", "reduce"): _reduce,
    Name("_functools", "reduce"): _reduce,
    _GETITEM: _getitem,
    Name("operator", "getitem"): _getitem,
    Name("torch._tensor", "_rebuild_from_type_v2"): _from_type,
    Name("torch._tensor", "_rebuild_from_type"): _from_type,
    Name("torch.tensor", "_rebuild_from_type_v2"): _from_type,
    Name("torch.tensor", "_rebuild_from_type"): _from_type,
    Name("torch._utils", "_rebuild_wrapper_subclass"): _wrapper_subclass,
    Name("torch._utils", "_rebuild_parameter_with_state"): _parameter_with_state,
    Name("numpy.core", "_ufunc_reconstruct"): _ufunc,
    Name("numpy._core", "_ufunc_reconstruct"): _ufunc,
}
# Functions whose result calls their first argument, or a method of it.
_WRAPPING = frozenset({_PARTIAL, Name("builtins", "getattr")})
