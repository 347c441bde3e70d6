"""The pickle of an archive, against torch and CPython: names, calls, values, tensors."""

from __future__ import annotations

import argparse
import datetime as dt
import io
import pathlib
import warnings
import zipfile
from collections import OrderedDict, defaultdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Dict, Sequence

import numpy as np
import torch
from torch import nn

from ckpttool.files.sources import MemorySource
from ckpttool.findings.errors import CkpttoolError
from ckpttool.formats import open_source
from tests.builders import pickles as p
from tests.fuzzing.archives import STORAGES, archive
from tests.fuzzing.mutations import pickled
from tests.fuzzing.references import agreement

if TYPE_CHECKING:
    from random import Random

NAME = "pickle"


@lru_cache(maxsize=None)
def seeds() -> Sequence[bytes]:
    """Return good pickles in every protocol."""
    made = [_saved(_weights(), protocol) for protocol in (2, 4)]
    made += [_saved(_few(), protocol) for protocol in (1, 3, 5)]
    made += [_saved(_training(), protocol) for protocol in (2, 4)]
    made += [_saved(_beside(), protocol) for protocol in (2, 5)]
    made += [module(), _saved(_kinds(), 2), _saved(_nested(), 3), _PROTOCOL_0]
    return tuple(made)


def mutate(content: bytes, random: Random) -> bytes:
    """Change opcodes, or whole values."""
    return pickled.mutate(content, random, seeds())


def read(content: bytes) -> object:
    """Catalogue an archive with this pickle and read its tensors."""
    return agreement.Read(open_source(MemorySource(archive(content), "model.pth"), None))


def compare(content: bytes, said: object | CkpttoolError) -> str:
    """Hold names, calls and values to CPython's unpickler, and the tensors to torch's."""
    refused = isinstance(said, CkpttoolError)
    agreement.check_pickle(content, said.uses, accepted=not refused)  # type: ignore[union-attr]
    if refused:
        return "refused here"
    assert isinstance(said, agreement.Read)
    return agreement.check_tensors(said, archive(content), lambda: (content, STORAGES))


# --- seeds ---------------------------------------------------------------------------------


def _saved(value: object, protocol: int) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(value, stream, pickle_protocol=protocol)
    with zipfile.ZipFile(stream) as saved:
        for key in saved.namelist():
            if key.startswith("archive/data/"):
                assert saved.getinfo(key).file_size == len(STORAGES[key[len("archive/data/") :]])
        return saved.read("archive/data.pkl")


def _weights() -> object:
    """A state dict with a tied tensor, a view, a transposed tensor and an empty one."""
    base = torch.arange(4.0)
    state: Dict[str, Any] = OrderedDict()
    state["a.weight"] = base.reshape(2, 2)
    state["a.bias"] = torch.arange(2)
    state["b.weight"] = state["a.weight"].t()
    state["b.half"] = base.reshape(2, 2)[1:]
    state["c"] = torch.ones(8, dtype=torch.float16)
    state["d"] = nn.Parameter(torch.ones(2, 2))
    state["step"] = torch.ones((), dtype=torch.complex128)
    state["none"] = torch.ones(0)
    state._metadata = OrderedDict([("", {"version": 1})])  # type: ignore[attr-defined]
    return state


def _few() -> object:
    return {"a": nn.Parameter(torch.ones(4)), "b": torch.arange(2), "c": torch.ones(8).half()}


def _training() -> object:
    weights = {"fc.weight": torch.ones(2, 2), "fc.bias": torch.ones(4)}
    moments = {0: {"step": 7, "exp_avg": torch.ones(2, 2)}, 1: {"exp_avg": torch.ones(4)}}
    groups = [{"lr": 1e-3, "betas": (0.9, 0.999), "params": [0, 1]}]
    return {
        "state_dict": weights,
        "optimizer": {"state": moments, "param_groups": groups},
        "epoch": 300,
        "args": argparse.Namespace(arch="base", data=None, seeds=[1, 2], big=2**70, on=True),
    }


def _beside() -> object:
    return {
        "model": {"w": torch.ones(4)},
        "array": np.arange(3, dtype=np.int16),
        "best": np.float64(0.5),
        "random": (3, (1, 2), None),
        "raw": b"\xff\0",
        "buffer": bytearray(b"ab"),
        "classes": {"a", "b"},
        "frozen": frozenset((1,)),
        "when": dt.datetime(2020, 1, 2),
        "path": pathlib.PurePosixPath("a/b"),
        "counts": defaultdict(int, {"x": 1}),
    }


def module() -> bytes:
    """A whole module, without most of what is empty in it."""
    whole = nn.Sequential(nn.Linear(1, 4), nn.ReLU())
    for one in whole.modules():
        for name in [name for name in vars(one) if name.endswith(("hooks", "_called"))]:
            delattr(one, name)
    return _saved(whole, 2)


def _kinds() -> object:
    halves = torch.ones(8, dtype=torch.bfloat16)
    parameter = nn.Parameter(halves)
    parameter.tag = "x"  # type: ignore[attr-defined]
    ones = torch.ones(2, dtype=torch.int64)
    return {
        "uint16": torch.ones(8, dtype=torch.uint16),
        "fp8": torch.ones(16).to(torch.float8_e4m3fn),
        "bf16": halves,
        "sparse": torch.sparse_coo_tensor(torch.tensor([[0, 1]]), ones, check_invariants=True),
        "tagged": parameter,
    }


def _nested() -> object:
    layers = [{"w": torch.ones(4), "b": torch.ones(2, dtype=torch.int64)} for _ in range(2)]
    return {"encoder": {"layers": layers}, "decoder": {"out.w": torch.ones(2, 2)}}


#: A pickle of opcodes of protocol 0 alone, but for the persistent id of the storage.
_PROTOCOL_0 = (
    b"(dp0\nVw\np1\nctorch._utils\n_rebuild_tensor_v2\np2\n((Vstorage\np3\nctorch\nFloatStorage\np4\n"
    b"V0\np5\nVcpu\np6\nI4\ntp7\nQI0\n(I2\nI2\ntp8\n(L2L\nI1\ntp9\nI00\n"
    b"ccollections\nOrderedDict\np10\n(tRp11\ntp12\nRp13\nsVepoch\nI3\nsS'lr'\nF0.5\ns" + p.STOP
)
