"""Changes to what JSON text says: a value, a key, a part of the tree in another place."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, Callable, List, Tuple, Union

from tests.fuzzing.mutations import raw

if TYPE_CHECKING:
    from random import Random

#: Texts at which readers and those who print them go wrong.
TEXTS: Tuple[str, ...] = (
    *("", "w", "__metadata__", "../w", "/etc/passwd", "a\\b", "a/b", "\0", "\n", "\x1b[31m"),
    *("\u202e", "\ud800", "\ufffe", "::error::", "F32", "f32", "NaN", "1e400", "-0", "0x10"),
)
_Holder = Union["dict[str, Any]", List[Any]]


def mutate(tree: Any, random: Random) -> Any:
    """Return a copy of the tree with one change."""
    changed = [copy.deepcopy(tree)]  # in a list, so that the root can be changed as well
    holder, key = random.choice(list(_places(changed)))
    random.choice(_CHANGES)(holder, key, random)
    return changed[0] if changed else None


def text_of(tree: Any, random: Random) -> bytes:
    """Return the tree as JSON, spelled in one of several ways."""
    spaced = random.choice(((",", ":"), (", ", ": ")))
    text = json.dumps(tree, ensure_ascii=random.random() < 0.5, separators=spaced)
    return text.encode("utf-8", "surrogatepass")


def value(random: Random) -> Any:
    """Return a value that stands where another one is expected."""
    kind = random.randrange(8)
    if kind < 3:
        return raw.edge(random) * random.choice((1, 1, 1, -1))
    if kind == 3:
        return random.choice((0.5, 1.0, 1e308, float("inf"), float("nan"), -0.0, 2.0**53))
    if kind == 4:
        return random.choice(TEXTS)
    return random.choice((None, True, False, [], {}, [[]], {"": {}}, [0], ["w"]))


def _places(tree: Any) -> Any:
    """Yield each list or object of the tree with each key of it."""
    if isinstance(tree, dict):
        for key in list(tree):
            yield tree, key
            yield from _places(tree[key])
    elif isinstance(tree, list):
        for place, item in enumerate(tree):
            yield tree, place
            yield from _places(item)


def _replace(holder: _Holder, key: Any, random: Random) -> None:
    holder[key] = value(random)


def _shift(holder: _Holder, key: Any, random: Random) -> None:
    """Let a number be another one near it, a text another text, and so on."""
    old = holder[key]
    if isinstance(old, bool) or old is None:
        holder[key] = not old
    elif isinstance(old, (int, float)):
        holder[key] = random.choice((old + 1, old - 1, -old, old * 2, float(old)))
    elif isinstance(old, str):
        at = random.randrange(len(old) + 1)
        holder[key] = old[:at] + random.choice(TEXTS) + old[at + random.randrange(2) :]
    elif isinstance(old, list):
        old.insert(random.randrange(len(old) + 1), value(random))
    else:
        old[random.choice(TEXTS)] = value(random)


def _remove(holder: _Holder, key: Any, _: Random) -> None:
    del holder[key]


def _rename(holder: _Holder, key: Any, random: Random) -> None:
    if isinstance(holder, dict):
        holder[random.choice((*TEXTS, *holder))] = holder.pop(key)
    else:
        holder.insert(random.randrange(len(holder) + 1), holder.pop(key))


def _repeat(holder: _Holder, key: Any, random: Random) -> None:
    """Put a value in the place of one beside it, or once more."""
    if isinstance(holder, dict):
        holder[random.choice((*TEXTS, *holder))] = copy.deepcopy(holder[key])
    else:
        holder.append(copy.deepcopy(holder[key]))


def _nest(holder: _Holder, key: Any, random: Random) -> None:
    deep = random.choice((1, 2, 100))
    for _ in range(deep):
        holder[key] = random.choice((lambda inner: [inner], lambda inner: {"w": inner}))(
            holder[key]
        )


_CHANGES: Tuple[Callable[[_Holder, Any, Random], None], ...] = (
    *(_replace, _replace, _shift, _shift, _shift, _remove, _rename, _repeat, _nest),
)
