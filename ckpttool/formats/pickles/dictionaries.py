"""Dictionaries as a pickle describes them: plain, ordered, and with a default.

The real ones copy their arguments when they are called, keep the last of two equal keys, and
have methods that an attribute can hide. So arguments are copied at the call, and a dictionary
that two readers could see differently is refused.
"""

from __future__ import annotations

from collections import Counter, OrderedDict

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.formats.pickles.nodes import Call, Dict, New, Node, pair_of

# Names whose call makes a dictionary, and how many arguments precede its content: a defaultdict's
# first is the factory.
_BEFORE = {("collections", "OrderedDict"): 0, ("collections", "defaultdict"): 1}

#: Entries of one dictionary; the largest, vocabularies, have some 250,000.
MAX_ENTRIES = 2_000_000

# BUILD sets attributes of an OrderedDict: one named ``items`` would answer in place of the method.
_METHODS = frozenset(dir(OrderedDict))


def settled(function: Node, args: tuple[Node, ...]) -> tuple[Node, ...]:
    """Return a call's arguments, with a copy of a dictionary's content as it is now.

    Python 2 wrote ``OrderedDict([[key, value], ...])`` instead of setting items.

    Raises:
        MalformedError: a dictionary is made of something else than pairs.
    """
    before = _BEFORE.get(pair_of(function) or ("", ""))
    if before is None or len(args) <= before:
        return args
    content = args[before]
    # a list on the stack can be appended to after the call, which the real dictionary never sees
    pairs = content.pairs() if isinstance(content, Dict) else content
    if len(args) > before + 1 or not isinstance(content, (list, tuple, Dict)):
        raise _not_of_pairs()
    return (*args[:before], tuple(map(_pair, pairs)))


def size_of_content(args: tuple[Node, ...]) -> int:
    """Return how many pairs :func:`settled` would copy at most."""
    contents = (part.flat if isinstance(part, Dict) else part for part in args)
    return max((len(part) for part in contents if isinstance(part, (list, tuple))), default=0)


def _pair(node: Node) -> tuple[Node, Node]:
    if not isinstance(node, (list, tuple)) or len(node) != 2:
        raise _not_of_pairs()
    return tuple(node)


def _not_of_pairs() -> MalformedError:
    return MalformedError("a dictionary is made of something else than pairs", rules.PICKLE)


def pairs_of(node: Node) -> list[tuple[Node, Node]] | None:
    """Return the pairs of a dictionary of any of the three kinds, ``None`` for anything else.

    Raises:
        MalformedError: it has more entries than are kept.
    """
    entries = count_of(node)
    if entries is not None and entries > MAX_ENTRIES:
        raise MalformedError(
            "a dictionary has more entries than the limit",
            rules.LIMIT,
            expected=f"at most {MAX_ENTRIES:,}",
            found=f"{entries:,}",
        )
    if isinstance(node, Dict):
        return list(node.pairs())
    before = _BEFORE.get(pair_of(node.function) or ("", "")) if isinstance(node, Call) else None
    if before is None:
        return None
    # __new__ makes an empty dictionary whatever its arguments are
    pairs = [] if isinstance(node, New) else [pair for part in node.args[before:] for pair in part]
    if node.mapped:
        pairs += node.mapped.pairs()
    return pairs


def count_of(node: Node) -> int | None:
    """Return how many pairs :func:`pairs_of` would give, without going through them."""
    if isinstance(node, Dict):
        return len(node.flat) // 2
    before = _BEFORE.get(pair_of(node.function) or ("", "")) if isinstance(node, Call) else None
    if before is None:
        return None
    settled_ones = 0 if isinstance(node, New) else sum(map(len, node.args[before:]))
    return settled_ones + (len(node.mapped.flat) // 2 if node.mapped else 0)


def check_unambiguous(node: Node, pairs: list[tuple[Node, Node]]) -> None:
    """Raise MalformedError if readers would differ in the content of a dictionary.

    Args:
        node: the dictionary.
        pairs: what :func:`pairs_of` gives for it.
    """
    # only text, whose hash is randomised: a million numbers with one hash are easily found
    texts = [key for key, _ in pairs if type(key) is str]
    if len(set(texts)) != len(texts):
        ((twice, _),) = Counter(texts).most_common(1)
        raise MalformedError(
            "two entries of a dictionary have the same name", rules.DUPLICATE_KEY, tensor=twice
        )
    for state in (node.states or ()) if isinstance(node, Call) else ():
        if not isinstance(state, Dict) or any(_hides(name) for name in state.flat[::2]):
            raise MalformedError("a dictionary's own methods are replaced", rules.PICKLE)


def _hides(name: Node) -> bool:
    # an attribute's name is text: no pickler writes another key here
    return type(name) is not str or name in _METHODS
