"""That the operations which are written out do exactly what their handlers do."""

from __future__ import annotations

import io
import pickle
import random
import re
import warnings
import zipfile
from typing import Iterable, Iterator

import pytest
import torch

from ckpttool.findings.errors import MalformedError
from ckpttool.formats import pickles
from ckpttool.formats.pickles import Pickle, stack
from ckpttool.formats.pickles.interpreter import Machine
from ckpttool.formats.pickles.nodes import (
    Call,
    Dict,
    Global,
    New,
    Node,
    PersistentId,
    Set,
    children,
)
from tests.builders.attacks import ATTACKS, Attack
from tests.builders.honest import HONEST

# Where a pickle may begin in a file of any container.
_BEGIN = re.compile(rb"\x80[\x02-\x05]")


def described(roots: Iterable[Node]) -> list[object]:
    """Describe nodes and which of them are the same object, as something that can be compared."""
    numbers: dict[int, int] = {}
    kept: list[Node] = []
    waiting = list(roots)
    found: list[object] = [len(waiting)]
    while waiting:
        node = waiting.pop()
        if id(node) in numbers:
            found.append(numbers[id(node)])
            continue
        numbers[id(node)] = len(numbers)
        kept.append(node)  # so that its id stays its own
        below = list(children(node))
        known = isinstance(node, (Dict, Set, Call, Global, PersistentId, list, tuple))
        found.append((type(node), len(below), own(node) if known else repr(node)))
        waiting += below
    return found


def own(node: Node) -> object:
    if isinstance(node, Global):
        return node.pair
    if isinstance(node, Set):
        return node.frozen
    if isinstance(node, Call):
        keywords = isinstance(node, New) and node.keywords is not None
        sizes = [None if one is None else len(one) for one in (node.states, node.appended)]
        return node.offset, keywords, sizes, node.mapped is None, node.changed_late
    return None


def outcome(data: bytes, start: int) -> list[object]:
    """Everything that reading a pickle gives, also where it breaks off."""
    broken: list[Pickle] = []
    told: object = None
    try:
        read = pickles.parse(data, start, base=7, member="m", broken=broken.append)
    except MalformedError as error:
        told = error.detail(), error.offset, error.rule, getattr(error, "needed", None)
        read = broken[0]
    return [
        told,
        read.end,
        read.array_at,
        read.references,
        len(read.calls),
        described((read.root, read.calls, read.ids)),
    ]


def by_handlers_alone(data: bytes, start: int) -> list[object]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Machine, "_usual_end", lambda _: 0)
        return outcome(data, start)


def check_same(data: bytes, start: int = 0) -> None:
    assert outcome(data, start) == by_handlers_alone(data, start)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: str(attack.what))
def test_attacks_read_the_same(attack: Attack) -> None:
    data = attack.data("marker")
    for match in [*_BEGIN.finditer(data)][:20]:
        check_same(data, match.start())
    check_same(data)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_honest_values_read_the_same(protocol: int) -> None:
    for honest in HONEST:
        if protocol in honest.protocols:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch 2.0 warns of every hook, marked or not
                data = pickle.dumps(honest.make(), protocol)
            check_same(data)


def tensor_pickle(number: int) -> bytes:
    """Return the pickle that torch writes for tensors of several dimensions and types."""
    shapes = [(), (3,), (300,), (2, 3), (70_000, 2), (2, 3, 4), (1, 2, 3, 4)]
    types = [torch.float32, torch.bfloat16, torch.int64]
    weights: dict[str, object] = {
        f"blocks.{place}.weight": torch.empty(
            shapes[place % len(shapes)], dtype=types[place % len(types)]
        )
        for place in range(number)
    }
    weights["parameter"] = torch.nn.Parameter(torch.zeros(2))
    weights["epoch"], weights["name"] = 3, "b\u00e4r"
    stream = io.BytesIO()
    torch.save({"model": weights, "flags": [True, False, None, 2.5, (1, 2, 3)]}, stream)
    with zipfile.ZipFile(stream) as archive:
        (member,) = (name for name in archive.namelist() if name.endswith("data.pkl"))
        return archive.read(member)


def damaged(data: bytes, number: int) -> Iterator[bytes]:
    """Yield copies of a pickle with a few bytes changed, removed or repeated."""
    chance = random.Random(number)  # noqa: S311 (the same ones in every run)
    for _ in range(number):
        copy = bytearray(data)
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(copy))
            what = chance.randrange(4)
            if what == 0:
                copy[place] = chance.randrange(256)
            elif what == 1:
                del copy[place : place + chance.randint(1, 6)]
            elif what == 2:
                copy[place:place] = copy[place : place + chance.randint(1, 40)]
            else:
                copy[place] = chance.choice(b"(KMJXtR\x85\x86Q)\x89qrhj0120.bacu")
        yield bytes(copy)


def test_tensors_read_the_same_wherever_they_are_damaged_or_cut() -> None:
    data = tensor_pickle(40)
    check_same(data)
    for cut in range(0, len(data), 101):
        check_same(data[:cut])
    small = tensor_pickle(3)
    for cut in range(len(small)):
        check_same(small[:cut])
    for copy in (*damaged(small, 600), *damaged(data, 50)):
        check_same(copy)


def test_the_budget_ends_both_at_the_same_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    data = tensor_pickle(20)
    monkeypatch.setattr(stack, "NODE_BYTES_EACH", 0)
    for room in range(0, 60_000, 293):
        monkeypatch.setattr(stack, "MAX_NODE_BYTES", room)
        check_same(data)
    assert outcome(data, 0)[0] is None


@pytest.mark.parametrize("number", [b"M\x00\x01", b"J\x00\x00\x00\x01"], ids=["short", "long"])
def test_the_budget_ends_both_at_the_same_number(
    number: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack, "NODE_BYTES_EACH", 0)
    data = b"(" + number * 40 + b"t."
    ended = []
    for room in range(0, 2_000, 8):
        monkeypatch.setattr(stack, "MAX_NODE_BYTES", room)
        check_same(data)
        ended.append(outcome(data, 0)[1])
    assert len(set(ended)) > 40


def test_a_tuple_without_a_mark_is_refused_by_both() -> None:
    data = b"t" + b"N" * 20 + b"."
    check_same(data)
    assert outcome(data, 0)[0] is not None
