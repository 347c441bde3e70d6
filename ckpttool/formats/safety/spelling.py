"""A call written as Python source, cut short: for messages only, never evaluated."""

from __future__ import annotations

from typing import Iterable, Iterator

from ckpttool.formats.pickles.nodes import Call, Dict, Global, New, Node, PersistentId, Set

#: Characters of a call in a message; a file may have a million of them in one argument.
LONGEST = 160
# How deep arguments are written out, and how many values of one container: 8 ** 3 values at most
# are looked at for 160 characters, however large the arguments are.
_DEEPEST, _MOST = 3, 8


def spelled(call: Node) -> str:
    """Return the call as Python source, at most :data:`LONGEST` characters.

    The states that BUILD gives to the result follow it.
    """
    states = (call.states or ()) if isinstance(call, Call) else ()
    given = (f".__setstate__({_spelled(state, _DEEPEST)})" for state in states[:_MOST])
    text = _spelled(call, _DEEPEST) + "".join(given)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _spelled(node: Node, depth: int) -> str:
    if isinstance(node, Global):
        return f"{node.module}.{node.name}"
    if isinstance(node, PersistentId):
        return "<storage>"
    if node is None or isinstance(node, (bool, int, float)):
        return repr(node)
    if isinstance(node, (str, bytes)):
        # cut before repr, which would escape a whole megabyte
        return repr(node if len(node) <= LONGEST else node[:LONGEST])
    if depth == 0:
        return "..."
    return _composite(node, depth - 1)


def _composite(node: Node, depth: int) -> str:
    if isinstance(node, Call):
        return _call(node, depth)
    if isinstance(node, Dict):
        pairs = (f"{_spelled(k, depth)}: {_spelled(v, depth)}" for k, v in node.pairs())
        return f"{{{_joined(pairs)}}}"
    items = (_spelled(item, depth) for item in (node.items if isinstance(node, Set) else node))
    if isinstance(node, Set):
        return f"{{{_joined(items)}}}"
    if isinstance(node, tuple):
        return f"({_joined(items)}{',' if len(node) == 1 else ''})"
    return f"[{_joined(items)}]"


def _call(call: Call, depth: int) -> str:
    function = _spelled(call.function, depth)
    arguments = [_spelled(item, depth) for item in call.args[:_MOST]]
    if len(call.args) > _MOST:
        arguments.append("...")
    if not isinstance(call, New):
        return f"{function}({', '.join(arguments)})"
    if isinstance(call.keywords, Dict):
        arguments += [f"**{_spelled(call.keywords, depth)}"] if call.keywords.flat else []
    return f"{function}.__new__({', '.join([function, *arguments])})"


def _joined(items: Iterable[str]) -> str:
    return ", ".join(_first(items))


def _first(items: Iterable[str]) -> Iterator[str]:
    for number, item in enumerate(items):
        if number == _MOST:
            yield "..."
            return
        yield item
