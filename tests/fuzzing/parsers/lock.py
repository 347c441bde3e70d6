"""A lock file, and files verified against it: where they pass, all that it says of them is true."""

from __future__ import annotations

import hashlib
import json
import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Dict, List, NamedTuple, Sequence, Tuple
from unittest import mock

import torch
from safetensors import deserialize
from safetensors.torch import save_file

from ckpttool.findings.errors import CkpttoolError
from ckpttool.findings.finding import Finding, Verdict
from ckpttool.findings.results import FileReport
from ckpttool.models.reference import NONE
from ckpttool.tensors.dtypes import SAFETENSORS_DTYPES
from ckpttool.verification.checks.locked import check_all_found, check_lock
from ckpttool.verification.lock.content import LockedCheckpoint
from ckpttool.verification.lock.reading import read_lock
from ckpttool.verification.lock.writing import render
from ckpttool.verification.locking import lock_file
from ckpttool.verification.options import VerifyOptions
from ckpttool.verification.run import verified
from mae.config import CONFIGS
from tests.builders import checkpoints
from tests.builders.sizes import TINY
from tests.fuzzing import scratch
from tests.fuzzing.mutations import lines
from tests.fuzzing.parser import SAME, ViolationError

if TYPE_CHECKING:
    from random import Random

    from ckpttool.verification.evidence import Evidence

NAME = "lock"

_MODEL, _OTHER = "model.safetensors", "other weights.safetensors"
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[^ "]+')

# Of a tensor: dtype, shape, SHA-256.
_Truth = Dict[str, Tuple[str, str, str]]


class _Locked(NamedTuple):
    """The files, all that is true of each, and their lock."""

    evidence: Dict[str, Evidence]
    truth: Dict[str, _Truth]
    entries: Tuple[LockedCheckpoint, ...]


class _Said(NamedTuple):
    """What was found against the lock: by file, and on entries that no file matches."""

    findings: Dict[str, List[Finding]]
    unmatched: List[Finding]
    entries: Dict[str, str | None]


@lru_cache(maxsize=1)
def _locked() -> _Locked:
    """Write the files, and verify and lock them once: a lock that changes asks for no more.

    Forked processes have all this from the first one: torch cannot run a model in them.
    """
    folder = scratch.shared(NAME)
    save_file(checkpoints.state(), folder / _MODEL)
    torch.manual_seed(0)
    save_file(
        {
            "a b": torch.arange(3, dtype=torch.int16),
            '\u00e9\n"{1}': torch.tensor(1.5, dtype=torch.bfloat16),
            "empty": torch.empty(0, 2, dtype=torch.float64),
            "w": torch.tensor([[True, False]]),
        },
        folder / _OTHER,
    )
    evidence, truth, entries = {}, {}, []
    options = {
        _MODEL: VerifyOptions("tiny", fingerprint=True),
        _OTHER: VerifyOptions(reference=NONE, fingerprint=True, forward=False),
    }
    with mock.patch.dict(CONFIGS, tiny=TINY):
        for name, own in options.items():
            path = str(folder / name)
            with verified(path, own) as (_report, found):
                assert found is not None
                evidence[name] = found
            entry = lock_file(path, str(folder / "ckpttool.lock"), own, lambda _: True).locked
            assert entry is not None
            entries.append(entry)
            truth[name] = _truth((folder / name).read_bytes())
    return _Locked(evidence, truth, tuple(entries))


def _truth(content: bytes) -> _Truth:
    found = {}
    for name, one in deserialize(content):  # type: ignore[no-untyped-call]
        dtype = SAFETENSORS_DTYPES[one["dtype"]].name
        shape = json.dumps(one["shape"], separators=(",", ":"))
        found[name] = dtype, shape, hashlib.sha256(one["data"]).hexdigest()
    return found


@lru_cache(maxsize=None)
def seeds() -> Sequence[bytes]:
    """Return the lock of both files and of each, and as systems check them out."""
    model, other = _locked().entries
    plain = model._replace(forward=None)
    texts = [render(some) for some in ((other,), (plain, other), (model,), (other, model))]
    return (*(text.encode() for text in texts), texts[0].replace("\n", "\r\n").encode())


def mutate(content: bytes, random: Random) -> bytes:
    """Change a line, and in some cases what has to fit to it: the count, the fingerprint."""
    changed = lines.mutate(content, random)
    if random.random() < 0.4:
        changed = _fitting(changed, with_fingerprint=random.random() < 0.7)
    return changed


def _fitting(content: bytes, *, with_fingerprint: bool) -> bytes:
    """Repair the counts of tensors, and the fingerprints of those whose lines can be read."""
    parts = re.split(rb"(?m)^(?=checkpoint )", content)
    for place, part in enumerate(parts[1:], 1):
        tensors = re.findall(rb"(?m)^tensor .*$", part)
        part = re.sub(rb"(?m)^tensors \d+", b"tensors %d" % len(tensors), part)
        if with_fingerprint:
            own = _fingerprint(_tensors(tensors))
            part = re.sub(rb"(?m)^fingerprint .*?(?=\r?$)", f"fingerprint {own}".encode(), part)
        parts[place] = part
    return b"".join(parts)


def _tensors(found: Sequence[bytes]) -> _Truth:
    words = [_words(one.decode("ascii", "replace").rstrip("\r")) for one in found]
    return {one[1]: (one[2], one[3], one[4]) for one in words if len(one) == 5}


def _words(line: str) -> List[str]:
    try:
        return [
            str(json.loads(one)) if one.startswith('"') else one for one in _TOKEN.findall(line)
        ]
    except (ValueError, RecursionError):
        return []


def _fingerprint(tensors: _Truth) -> str:
    """Return the fingerprint of tensors, as docs/fingerprint.md has it."""
    whole = hashlib.sha256()
    for name, (dtype, shape, digest) in sorted(tensors.items()):
        fields = (json.dumps(name), json.dumps(dtype), shape, json.dumps(digest))
        whole.update(f"[{','.join(fields)}]\n".encode())
    return f"ckpt1:{whole.hexdigest()}"


def read(content: bytes) -> object:
    """Read the lock, and hold both files against it as one run does."""
    known = _locked()
    folder = scratch.shared(NAME)
    path = folder / f"{os.getpid()}.lock"  # beside the files, whose names are relative to it
    path.write_bytes(content)
    lock = read_lock(path)
    findings, entries, reports = {}, {}, []
    for name, evidence in known.evidence.items():
        own = lock.of(evidence.checkpoint.path, evidence.fingerprint)
        held = evidence._replace(lock=lock, locked=own)
        findings[name] = list(check_lock(held))
        entries[name] = None if own is None else own.name
        reports.append(
            FileReport(evidence.checkpoint.path, Verdict.PASS, (), fingerprint=evidence.fingerprint)
        )
    unmatched = list(check_all_found(reports, [(lock, [str(folder)])]))
    return _Said(findings, unmatched, entries)


def compare(content: bytes, said: object | CkpttoolError) -> str:
    """Hold every line of the entry of a file that passes to the file."""
    if isinstance(said, CkpttoolError):
        return "refused"
    assert isinstance(said, _Said)
    entries = _entries(content.decode("ascii"))
    known = _locked()
    passing = [name for name, findings in said.findings.items() if not findings]
    for name in passing:
        entry = entries.get(said.entries[name] or "")
        if entry is None:
            raise ViolationError(f"{name} passes, and there is no entry for it")
        _held_to(entry, name, known)
    if len(passing) == len(known.truth) and not said.unmatched:
        own = {said.entries[name] for name in passing}
        if own != entries.keys():
            raise ViolationError(f"nothing looked at {sorted(entries.keys() - own)!a:.200}")
        return SAME
    return SAME if passing else "found to be others"


def _entries(text: str) -> Dict[str, List[List[str]]]:
    """Return the lines of each entry as words, by its name."""
    entries: Dict[str, List[List[str]]] = {}
    for line in text.replace("\r\n", "\n").split("\n"):
        words = [] if line.startswith("#") else _words(line)
        if words[:1] == ["checkpoint"]:
            entries[words[1]] = []
        elif entries and words:
            entries[list(entries)[-1]].append(words)
    return entries


def _held_to(entry: List[List[str]], name: str, known: _Locked) -> None:
    """Raise ViolationError for a line that is not true of the file."""
    truth, evidence = known.truth[name], known.evidence[name]
    listed = [tuple(words[1:]) for words in entry if words[0] == "tensor"]
    if sorted(listed) != sorted((key, *value) for key, value in truth.items()):
        raise ViolationError(f"{name} passes, and the lock has other tensors: {listed!a:.300}")
    single = {words[0]: words[1:] for words in entry}
    if single["fingerprint"] != [_fingerprint(truth)]:
        raise ViolationError(f"{name} passes, with the fingerprint {single['fingerprint']!a:.200}")
    if evidence.reference is None and single["schema"] != [evidence.coverage.schema]:
        raise ViolationError(f"{name} passes, as {single['schema']!a:.200}")
    if "forward" in single:
        _held_to_outputs(entry, single, evidence)


def _held_to_outputs(
    entry: List[List[str]], single: Dict[str, List[str]], evidence: Evidence
) -> None:
    """Raise ViolationError where an output is further away than the lock allows."""
    forward = evidence.forward
    if list(map(int, single["kept"])) != list(forward.kept):
        raise ViolationError(f"it passes, with the patches {single['kept']!a:.200}")
    (tolerance,) = map(float, single["tolerance"])
    for words in entry:
        if words[0] not in ("output", "projection"):
            continue
        own = forward.outputs[words[1]]
        right: Sequence[float] = own.projection
        if words[0] == "output":
            right = (own.mean, own.std, own.min, own.max)
            if json.loads(words[2]) != list(own.shape):
                raise ViolationError(f"it passes, with the shape {words[2]:.200}")
        size = (own.mean**2 + own.std**2) ** 0.5
        given = list(map(float, words[2 + (words[0] == "output") :]))
        apart = max(abs(one - two) for one, two in zip(given, right))
        if len(given) != len(right) or not apart <= 1.001 * tolerance * size:
            raise ViolationError(f"it passes, with {given!a:.200} for {right!a:.200}")
