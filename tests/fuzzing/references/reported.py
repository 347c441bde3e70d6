"""Whether a report has every call that CPython's unpickler would make of something unlisted.

What is listed are the constructors of data, and forms of calls that make or look up something by a
name that stands among their arguments: that name is held to the list in their place.
"""

from __future__ import annotations

from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from typing import Any, Callable, Dict, Iterable, Iterator, List, Sequence, Tuple

from ckpttool.findings.uses import NameUse, Use
from ckpttool.formats.safety.allowed import makers_of
from tests.fuzzing.references.recording import Event, Named, Result, record

_Events = List[Event]
# Bytes in bytes in bytes: so deep are pickles read that a call hands to a reader.
_DEEPEST = 5


def unreported(events: Iterable[Event], uses: Sequence[NameUse], *, states: bool) -> str:
    """Return the first event that is neither listed nor reported; empty where there is none.

    ``states``: whether those count that are given to results.
    """
    by_kind = {kind: {use.name for use in uses if use.use is kind} for kind in Use}
    calls, attacks = by_kind[Use.CALL], by_kind[Use.ATTACK]
    if attacks:  # the worst that can be said is said; the rest is told by that name
        return ""
    for event, name in _unlisted(events, 0):
        if name in calls or (not name and calls) or (event.kind == "state" and not states):
            continue
        if event.kind == "new" and name in by_kind[Use.CLASS]:
            continue
        return f"{event.kind} of {name or 'a result'!a}, reported are {_shown(uses)}"
    return ""


def _shown(uses: Sequence[NameUse]) -> str:
    return ", ".join(f"{use.use.value} {use.name!a}" for use in uses[:5]) or "none"


def _unlisted(events: Iterable[Event], depth: int) -> Iterator[Tuple[Event, str]]:
    """Yield what is not listed, with its name; empty for the result of something else."""
    for event in events:
        what = event.what
        if event.kind == "state":
            yield from _of_state(event)
        elif isinstance(what, Named):
            yield from _of_name(event, what, depth)
        elif not _is_of(what, "functools.partial"):
            yield event, ""
        else:
            # what a partial calls is an event of its own
            yield from _unlisted(_called_partial(event), depth)


def _of_name(event: Event, what: Named, depth: int) -> Iterator[Tuple[Event, str]]:
    name = named(what)
    module, _, attribute = name.rpartition(".")
    if attribute in makers_of(module) or _walked(name):
        return
    told = _FORMS.get(name) if event.kind == "call" else None
    following = None if told is None else told(event.args)
    if following is None:
        yield event, name
    elif depth < _DEEPEST:
        yield from _unlisted(following, depth + 1)


def named(what: Named) -> str:
    """Return a name as Python 3 spells it."""
    module, name = NAME_MAPPING.get(what.pair, what.pair)
    return f"{IMPORT_MAPPING.get(module, module)}.{name}"


def _walked(name: str) -> bool:
    """Whether a name with several steps is listed so, as ``ZoneInfo._unpickle`` is."""
    module, _, rest = name.partition(".")
    while rest:
        if rest in makers_of(module):
            return True
        step, _, rest = rest.partition(".")
        module = f"{module}.{step}"
    return False


def _of_state(event: Event) -> Iterator[Tuple[Event, str]]:
    """Yield a state that goes to what takes none by the list."""
    what = event.what
    if not isinstance(what, Result) or not isinstance(what.function, Named):
        return
    name = named(what.function)
    module, _, attribute = name.rpartition(".")
    maker = makers_of(module).get(attribute)
    if maker is not None and event.args[0] is not None and not maker.follows & _STATES:
        yield event, name


_STATES = frozenset({"attributes", "state", "slots", "partial"})


def _is_of(what: Any, name: str) -> bool:
    function = what.function if isinstance(what, Result) else None
    return isinstance(function, Named) and named(function) == name


def _called_partial(event: Event) -> _Events:
    partial = event.what
    state = partial.states[-1] if partial.states else None
    if isinstance(state, tuple) and len(state) == 4 and isinstance(state[1], tuple):
        return [_call(state[0], (*state[1], *event.args))]
    return [_call(partial.args[0], (*partial.args[1:], *event.args))] if partial.args else []


# --- forms: what the function itself does, as events; ``None`` for any other use of it -------


def _call(what: Any, args: Tuple[Any, ...]) -> Event:
    # of a class that is found as ``cls.__new__`` only that is called
    if isinstance(what, Named) and what.pair[1].endswith(".__new__") and args:
        return _new(args[0])
    return Event("call", what, args, {})


def _new(what: Any) -> Event:
    return Event("new", what, (), {})


def _getattr(args: Tuple[Any, ...]) -> _Events | None:
    return [] if len(args) in (2, 3) and type(args[1]) is str and "." not in args[1] else None


def _type(args: Tuple[Any, ...]) -> _Events | None:
    return [] if len(args) == 1 else None


def _encode(args: Tuple[Any, ...]) -> _Events | None:
    known = len(args) == 1 or (len(args) == 2 and args[1] in _CODECS)
    return [] if known and type(args[0]) is str else None


_CODECS = ("latin1", "latin-1", "iso-8859-1", "ascii", "utf-8", "utf8")


def _reconstructor(args: Tuple[Any, ...]) -> _Events | None:
    return [_new(args[0])] if len(args) == 3 and _is_base(args[1]) else None


def _is_base(what: Any) -> bool:
    return isinstance(what, Named) and named(what).startswith("builtins.")


def _first_is_made(args: Tuple[Any, ...]) -> _Events | None:
    return [_new(args[0])] if args else None


def _reduce(args: Tuple[Any, ...]) -> _Events | None:
    is_or = (
        len(args) == 2 and isinstance(args[0], Named) and named(args[0]).endswith("operator.or_")
    )
    return [] if is_or else None


def _getitem(args: Tuple[Any, ...]) -> _Events | None:
    return [] if len(args) == 2 and isinstance(args[0], Named) else None


def _from_type(args: Tuple[Any, ...]) -> _Events | None:
    if len(args) != 4 or not isinstance(args[2], tuple):
        return None
    return [_call(args[0], args[2]), _new(args[1])]


def _parameter(args: Tuple[Any, ...]) -> _Events | None:
    return [] if len(args) == 4 else None


def _read(args: Tuple[Any, ...]) -> _Events | None:
    data: Any = args[0] if len(args) == 1 else None
    if _is_of(data, "_codecs.encode") and _encode(data.args) is not None:
        text, codec = data.args if len(data.args) == 2 else (*data.args, "utf-8")
        data = text.encode(codec, "replace")
    if type(data) not in (bytes, bytearray) or len(data) > 100_000:
        return None
    found: _Events = []
    for _ in range(5):  # as many as a legacy file has
        told = record(bytes(data))
        found += told.events
        data = data[told.end :]
        if told.error or not data:
            break
    return found


def _ufunc(args: Tuple[Any, ...]) -> _Events | None:
    texts = len(args) == 2 and all(type(part) is str for part in args)
    return [] if texts and args[0].partition(".")[0] in ("numpy", "scipy") else None


_FORMS: Dict[str, Callable[[Tuple[Any, ...]], _Events | None]] = {
    "builtins.getattr": _getattr,
    "builtins.type": _type,
    "_codecs.encode": _encode,
    "copyreg._reconstructor": _reconstructor,
    "copyreg.__newobj__": _first_is_made,
    "copyreg.__newobj_ex__": _first_is_made,
    "functools.reduce": _reduce,
    "_functools.reduce": _reduce,
    "_operator.getitem": _getitem,
    "operator.getitem": _getitem,
    "torch._tensor._rebuild_from_type_v2": _from_type,
    "torch._tensor._rebuild_from_type": _from_type,
    "torch.tensor._rebuild_from_type_v2": _from_type,
    "torch.tensor._rebuild_from_type": _from_type,
    "torch._utils._rebuild_wrapper_subclass": _first_is_made,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.storage._load_from_bytes": _read,
    "pickle.loads": _read,
    "_pickle.loads": _read,
    "numpy.core._ufunc_reconstruct": _ufunc,
    "numpy._core._ufunc_reconstruct": _ufunc,
}
