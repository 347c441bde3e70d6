"""A node in a few words, for a report: its kind and a short summary."""

from __future__ import annotations

from ckpttool.findings.text import count
from ckpttool.formats.objects.rebuild import is_tensor
from ckpttool.formats.pickles.dictionaries import count_of
from ckpttool.formats.pickles.nodes import (
    ByteArray,
    Call,
    Dict,
    Global,
    Node,
    PersistentId,
    Set,
    is_scalar,
    pair_of,
)

#: The node in a report for entries that are only counted.
MORE = Global("ckpttool", "more")
#: Characters of a key that is part of a dotted one.
MAX_KEY = 200

# how protocol 2 writes bytes: _codecs.encode("text", "latin1")
_BYTES = ("_codecs", "encode")


def key_text(key: Node) -> str:
    """Return any key as the text that a report shows."""
    if type(key) is str:
        return key[:MAX_KEY]
    kind, summary = describe(key)
    return summary if is_scalar(key) or kind == "bytes" else f"<{kind}>"


def describe(node: Node) -> tuple[str, str]:
    """Return the kind of a node and a short summary of it."""
    # never its content: a file may hold a text of gigabytes, or a list that contains itself
    if is_scalar(node) or type(node) is ByteArray:
        kind = "bytearray" if type(node) is ByteArray else type(node).__name__
        return kind, repr(node[:80] if isinstance(node, (str, bytes)) else node)
    if is_tensor(node):
        return "tensor", ""
    entries = count_of(node)
    if entries is not None:
        return "dict", "1 entry" if entries == 1 else f"{entries:,} entries"
    if isinstance(node, (list, tuple)):
        return type(node).__name__, count(len(node), "item")
    if isinstance(node, Set):
        return "set", count(len(node.items), "item")
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
        return kind, count(len(state.flat) // 2, "attribute")
    return kind, ""
