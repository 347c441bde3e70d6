"""A receipt that stands for a checkpoint: nothing is the same or proven but what it says."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Sequence, Tuple

import torch
from safetensors import deserialize
from safetensors.torch import save_file

import ckpttool
from ckpttool import open_checkpoint
from ckpttool.comparison.digests import diff_digests
from ckpttool.comparison.opening import open_either, report_on, report_on_receipt
from ckpttool.comparison.options import DiffOptions
from ckpttool.comparison.result import Outcome
from ckpttool.findings.errors import CkpttoolError, UnsupportedError
from ckpttool.inputs.receipts import Receipt
from ckpttool.models.canonical import Canonical, canonicalize
from ckpttool.proof.digests import prove_digests
from ckpttool.proof.options import ProveOptions
from ckpttool.proof.result import ProofOutcome
from ckpttool.tensors.catalogue import Checkpoint
from ckpttool.tensors.dtypes import DTYPES, SAFETENSORS_DTYPES
from tests.builders import executors
from tests.fuzzing import scratch
from tests.fuzzing.mutations import json_texts, raw
from tests.fuzzing.parser import SAME, ViolationError

if TYPE_CHECKING:
    from random import Random

NAME = "receipt"

_SOURCE, _MADE, _RECEIPT, _PROOF = "source.pth", "made.safetensors", "receipt.json", "proof.json"
_LONG = 1_000_000
# Threads cost more than all the rest.
_INLINE = executors.Inline()

# Of a tensor: dtype, shape, SHA-256.
_Digest = Tuple[str, Tuple[int, ...], str]


class _Files(NamedTuple):
    """What a receipt is held against, and the receipts of it."""

    made: Checkpoint
    canonical: Canonical
    truth: Dict[str, _Digest]
    receipts: Tuple[bytes, ...]


class _Said(NamedTuple):
    """The results of the commands that take a receipt in place of a checkpoint."""

    same: Outcome | None
    proven: ProofOutcome | None
    tensors: Dict[str, _Digest]


@lru_cache(maxsize=1)
def _files() -> _Files:
    """Convert and prove once, with receipts."""
    folder = scratch.shared(NAME)
    torch.manual_seed(0)
    shared = torch.randn(2, 3)
    state = {
        "w": shared,
        "tied": shared,
        "n": torch.arange(4, dtype=torch.int16),
        "scale": torch.tensor(1.5, dtype=torch.bfloat16),
        "none": torch.empty(0, 2),
    }
    torch.save(state, folder / _SOURCE)
    plain, made = folder / "plain.safetensors", folder / _MADE
    ckpttool.convert(folder / _SOURCE, plain, to="safetensors", receipt=folder / _RECEIPT)
    # the tied tensor in full, as another program writes it
    save_file({name: tensor.clone() for name, tensor in state.items()}, made)
    ckpttool.prove(made, folder / _SOURCE, receipt=folder / _PROOF)
    checkpoint = open_checkpoint(made)
    found = {
        name: _digest(SAFETENSORS_DTYPES[one["dtype"]].name, one["shape"], bytes(one["data"]))
        for name, one in deserialize(made.read_bytes())  # type: ignore[no-untyped-call]
    }
    receipts = ((folder / _RECEIPT).read_bytes(), (folder / _PROOF).read_bytes())
    return _Files(checkpoint, canonicalize(checkpoint.tensors), found, receipts)


def _digest(dtype: str, shape: Sequence[int], content: bytes) -> _Digest:
    return dtype, tuple(shape), hashlib.sha256(content).hexdigest()


@lru_cache(maxsize=None)
def seeds() -> Sequence[bytes]:
    """Return the receipts, and what has to be in one alone."""
    known = _files()
    least = {
        "tensors": [
            {"name": name, "dtype": dtype, "shape": shape, "sha256": digest}
            for name, (dtype, shape, digest) in known.truth.items()
        ],
        "tool": "ckpttool",
        "schema_version": 1,
    }
    shorter = []
    for text in known.receipts:
        document = json.loads(text)
        shorter.append(json.dumps({key: document[key] for key in document if document[key]}))
    return (*known.receipts, *(one.encode() for one in shorter), json.dumps(least).encode())


def mutate(content: bytes, random: Random) -> bytes:
    """Change the text, or what it says of a tensor."""
    if random.random() < 0.6:
        return json_texts.mutate(content, random)
    return json_texts.in_tree(content, random, _claimed)


def _claimed(tree: Any, random: Random) -> Any:
    """Change what is said of a tensor, to what could be said of one."""
    tensors: Any = tree.get("tensors") if isinstance(tree, dict) else None
    entries = [one for one in tensors if isinstance(one, dict)] if _is_list(tensors) else []
    if not entries:
        return tree
    entry, other = random.choice(entries), random.choice(entries)
    change = random.randrange(8)
    if change == 0:
        key = random.choice(("name", "dtype", "shape", "sha256"))
        entry[key], other[key] = other.get(key), entry.get(key)
    elif change == 1:
        entry["dtype"] = random.choice((*DTYPES, "float", "Float32", "torch.float32"))
    elif change == 2:
        entry["shape"] = random.choice(([], [0], [6], [3, 2], [1, 2, 3], [2, 3, 1], [-2, -3]))
    elif change == 3:
        digest = str(entry.get("sha256"))
        at = random.randrange(len(digest) + 1)
        new = random.choice("0123456789abcdefABCDEF")
        entry["sha256"] = random.choice((digest.upper(), digest[:at] + new + digest[at + 1 :]))
    elif change == 4:
        tensors.append({**other, "name": random.choice(("x", "tied", "w", "n "))})
    elif change == 5:
        tensors.remove(entry)
    elif change == 6:
        names = [one.get("name") for one in entries]
        name = str(random.choice(("x", "tied", *names, raw.edge(random))))
        tree["tied"] = random.choice(({}, {name: random.choice(names)}, {"tied": "w"}, None))
    else:
        tree[random.choice(("verdict", "kind", "schema_version", "result"))] = random.choice(
            ("proof", "proven", "not-proven", 1, 1.0, True, {"wrapper": "w", "files": [{}]}, None)
        )
    return tree


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def read(content: bytes) -> object:
    """Read the receipt, compare the file with it, and prove that the file was made from it."""
    known = _files()
    path = scratch.folder(NAME) / "changed.json"
    path.write_bytes(content)
    receipt = open_either(str(path))
    if isinstance(receipt, Checkpoint):  # what is no receipt is opened as any other file
        receipt.close()
        raise UnsupportedError("no receipt")
    reports = report_on_receipt(receipt), report_on(known.made, known.canonical.layout)
    same = proven = None
    # of a large one only one of the two, as a command does
    if len(content) < _LONG or len(content) % 2:
        options = DiffOptions(executor=_INLINE)
        files = receipt, known.made
        same = diff_digests(files, reports, (known.canonical,), options).outcome
    if len(content) < _LONG or not len(content) % 2:
        asked = ProveOptions(executor=_INLINE)
        proven = prove_digests(receipt, known.made, known.canonical, asked, reports).outcome
    return _Said(same, proven, _listed(receipt))


def _listed(receipt: Receipt) -> Dict[str, _Digest]:
    return {name: (*digest,) for name, digest in receipt.tensors.items()}


def compare(content: bytes, said: object | CkpttoolError) -> str:
    """Hold the results to what json finds in the receipt."""
    if isinstance(said, CkpttoolError):
        return "refused"
    assert isinstance(said, _Said)
    truth = _files().truth
    theirs = _stated(json.loads(content))
    if said.tensors != theirs:
        raise ViolationError(f"{said.tensors!a:.300} are read, and it has {theirs!a:.300}")
    right = theirs == truth
    if said.same is not None and (said.same is Outcome.SAME) is not right:
        raise ViolationError(f"{said.same}, and the receipt has {theirs!a:.300}")
    proven = said.proven is ProofOutcome.PROVEN
    if proven and set(theirs.values()) != set(truth.values()):
        raise ViolationError(f"it is proven, and the receipt has {theirs!a:.300}")
    if right and said.proven is not None and not proven:
        raise ViolationError("nothing is proven, and the receipt has all tensors")
    return SAME if right or proven else "found to be others"


def _stated(document: Dict[str, Any]) -> Dict[str, _Digest]:
    """Return the tensors that a receipt lists, with the names that are tied to one."""
    entries: List[Dict[str, Any]] = document["tensors"]
    found: Dict[str, _Digest] = {
        one["name"]: (one["dtype"], tuple(one["shape"]), one["sha256"]) for one in entries
    }
    assert len(found) == len(entries)
    tied: Dict[str, str] = document.get("tied", {})
    return {**found, **{name: found[kept] for name, kept in tied.items()}}
