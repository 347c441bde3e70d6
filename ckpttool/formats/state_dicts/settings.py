"""The settings of a training run that a file keeps beside its weights, each with its value.

They are the scalars at the top of the file (``epoch``, ``arch``) and those in what a trainer keeps
its options in: the ``args`` of argparse, the ``hyper_parameters`` of Lightning, a configuration of
OmegaConf, the ``meta`` of OpenMMLab.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Iterator, Mapping, NamedTuple, Sequence, Tuple, Union

from ckpttool.formats.objects.known_values import path_text
from ckpttool.formats.objects.rebuild import is_tensor
from ckpttool.formats.objects.views import (
    ATOM,
    MAPPING,
    OBJECT,
    SEQUENCE,
    Array,
    Known,
    Pairs,
    through,
    view,
)
from ckpttool.formats.pickles.nodes import Call, is_scalar
from ckpttool.formats.state_dicts.optimizers import GROUPS, is_optimizer

if TYPE_CHECKING:
    from ckpttool.formats.pickles.nodes import Node
    from ckpttool.tensors.catalogue import Checkpoint

Scalar = Union[str, bool, int, float, None]

#: What trainers call the place of their options, by the last part of its dotted key.
_PLACES = re.compile(
    r"(?:.+[_.-])?(?:args|arguments|hyper_?parameters|h_?params|hps|config|configs|cfg|conf|opts?"
    r"|options?|params|settings|flags|meta)",
    re.IGNORECASE | re.DOTALL,
)
_LONGEST_PLACE = 64
# Items of a list that is one value, as an image size is; a longer list is data.
_LONGEST_LIST = 16
# Groups of an optimizer that are shown, the settings of one, and what its parameters stand under.
_MOST_GROUPS, _MOST_OF_GROUP, _MEMBERS = 2, 40, "params"
# A key grows no further than this, and no more nodes are visited: a hostile file costs no more.
_LONGEST_KEY, _MOST_VISITED = 200, 100_000


class Setting(NamedTuple):
    """A setting: its dotted key in the file, and its value; a short list is a tuple."""

    key: str
    value: Scalar | Tuple[Scalar, ...]

    @property
    def name(self) -> str:
        """The last part of the key, which is the name that the training code gave it."""
        return self.key.rpartition(".")[2]


def settings_of(checkpoint: Checkpoint) -> dict[str, Setting]:
    """Return the settings beside the weights by their dotted key (``args.norm_pix_loss``).

    Of equal keys the first counts. Texts are whole, and untrusted.
    """
    found: dict[str, Setting] = {}
    for entry, node in zip(checkpoint.entries, checkpoint.aside):
        if len(found) >= _MOST_VISITED:
            break
        for key, place in () if entry.inside else _places(entry.key, node):
            for setting in _below(key, place):
                found.setdefault(setting.key, setting)
    return found


def optimizers_of(checkpoint: Checkpoint) -> Iterator[Setting]:
    """Yield the settings of optimizers beside the weights: those of their first groups.

    They are no settings of the run: a learning rate there is the one of the last step.
    """
    for entry, node in zip(checkpoint.entries, checkpoint.aside):
        if entry.inside or is_scalar(node):
            continue
        for key, groups in _groups(entry.key, node):
            for number, group in enumerate(groups[:_MOST_GROUPS]):
                before = f"{key}.{number}"
                parts = [(part, below) for part, below in _parts(group) if part != _MEMBERS]
                for part, below in parts[:_MOST_OF_GROUP]:
                    value = _value(through(below))
                    if not isinstance(value, _NoValue):
                        yield Setting(f"{before}.{part}", value)


def _groups(key: str, node: Node) -> Iterator[tuple[str, Sequence[Node]]]:
    """Yield the groups of an entry that is an optimizer, or is a list or a dictionary of some."""
    for where, one in ((key, node), *((f"{key}.{part}", below) for part, below in _parts(node))):
        seen = view(one) if not (is_scalar(one) or is_tensor(one)) else None
        pairs = [*seen.pairs, *seen.extra] if seen and seen.form in (MAPPING, OBJECT) else []
        groups = next((value for name, value in pairs if name == GROUPS), None)
        if isinstance(groups, list):
            yield f"{where}.{GROUPS}", groups


def _places(key: str, node: Node) -> list[tuple[str, Node]]:
    """Return an entry that is a setting or holds some, or what holds some directly in it."""
    if is_scalar(node) or _PLACES.fullmatch(key):
        return [(key, node)]
    return [
        (f"{key}.{part}", below)
        for part, below in _parts(node)
        if len(part) <= _LONGEST_PLACE and _PLACES.fullmatch(part)
    ]


def named(settings: Mapping[str, Setting], *names: str) -> Setting | None:
    """Return the first setting with one of these names, the first name before the others."""
    by_name: dict[str, Setting] = {}
    for setting in settings.values():
        by_name.setdefault(setting.name, setting)
    return next((by_name[name] for name in names if name in by_name), None)


def _below(key: str, root: Node) -> Iterator[Setting]:
    """Yield the settings below a node in the order of the file; shared parts once."""
    waiting: list[tuple[str, Node]] = [(key, root)]
    seen: set[int] = set()
    visited = 0
    while waiting and visited < _MOST_VISITED:
        visited += 1
        key, node = waiting.pop()
        node = through(node)
        value = _value(node)
        if not isinstance(value, _NoValue):
            yield Setting(key, value)
        elif id(node) not in seen and len(key) < _LONGEST_KEY:
            seen.add(id(node))
            left = _MOST_VISITED - visited
            waiting += [
                (f"{key}.{part[:_LONGEST_KEY]}", below) for part, below in _parts(node)[:left]
            ][::-1]


class _NoValue:
    """Of a node that is no single value; ``None`` is one."""


_NO_VALUE = _NoValue()


def _value(node: Node) -> Scalar | tuple[Scalar, ...] | _NoValue:
    """Return the value of a node that is a scalar, a path, a device, or a short list of scalars."""
    if _is_plain(node):
        return node  # type: ignore[no-any-return]
    text = path_text(node) if isinstance(node, Call) else None
    if text is not None:
        return text
    if isinstance(node, (list, tuple)):
        # OmegaConf wraps each item of a list
        items = tuple(map(through, node)) if len(node) <= _LONGEST_LIST else (node,)
        return items if all(map(_is_plain, items)) else _NO_VALUE
    return _of_call(node) if isinstance(node, Call) and not is_tensor(node) else _NO_VALUE


def _is_plain(node: Node) -> bool:
    return type(node) in _PLAIN


_PLAIN = frozenset({str, bool, int, float, type(None)})


def _of_call(node: Call) -> Scalar | tuple[Scalar, ...] | _NoValue:
    seen = view(node)
    if seen.form == ATOM and isinstance(seen.value, Known):
        plain = seen.value.plain  # a device, a date, a torch.Size
        return plain if _is_plain(plain) else _value(plain)
    if seen.form == ATOM and isinstance(seen.value, Array):
        return _number_of(seen.value)
    bare = seen.form == OBJECT and not (seen.items or seen.pairs or seen.extra)
    if bare and seen.call is not None and len(seen.call.args) == 1 and not seen.call.new:
        only = seen.call.args[0]
        return only if _is_plain(only) else _NO_VALUE  # an enumeration is called with its value
    return _NO_VALUE


def _parts(node: Node) -> list[tuple[str, Node]]:
    """Return the named parts of a container; of a long list, a tensor or an optimizer none."""
    if is_scalar(node) or is_tensor(node):
        return []
    seen = view(node)
    if seen.form == SEQUENCE and len(seen.items) <= _LONGEST_LIST:
        return [(str(number), item) for number, item in enumerate(seen.items)]
    pairs: Pairs = [*seen.pairs, *seen.extra] if seen.form in (MAPPING, OBJECT) else []
    if is_optimizer(list(pairs)):
        return []
    return [(str(key), value) for key, value in pairs if type(key) in (str, int)]


def _number_of(array: Array) -> Scalar | _NoValue:
    """Return the number of a scalar of numpy, as a best accuracy often is."""
    numbers = array.numbers() if array.shape is None else None
    parts = () if numbers is None else next(numbers, ())
    return parts[0] if len(parts) == 1 else _NO_VALUE
