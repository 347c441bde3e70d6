"""Modules of torch.fx: programs that compute are said to be ones, others stay unknown code."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Callable

import pytest
import torch
from torch.nn import functional

from ckpttool import open_checkpoint
from ckpttool.findings.errors import CkpttoolError, UnsupportedError
from ckpttool.findings.finding import Verdict
from ckpttool.findings.uses import Use
from ckpttool.inspection.listing import inspect
from tests.builders import pickles as p
from tests.builders import torch_files

IMPORTS = "from math import inf\nimport torch\nimport torch.fx._pytree as fx_pytree\n"
FORWARD = "def forward(self, x):\n    return "


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.GELU())
        self.register_buffer("shift", torch.ones(4))

    # torch.fx does not know annotations that are text
    def forward(self, x, scale=2.0):  # type: ignore[no-untyped-def]
        y = self.inner(x).view(x.size(0), -1) * scale
        y = functional.relu(y) + torch.cat([x, x], 1)[..., :4] - operator.neg(x)
        y = torch.clamp(functional.layer_norm(y, (4,)), -float("inf"), 1e3).to(torch.float32)
        return {"out": y, "rest": (y[0], y[:, None], y.shape[1])}


def symbolic() -> object:
    return torch.fx.symbolic_trace(Model())


def operations() -> object:
    from torch.fx.experimental.proxy_tensor import make_fx

    return make_fx(lambda x: functional.softmax(x, -1) @ x.t())(torch.randn(4, 4))


def exported() -> object:
    if not hasattr(torch, "export"):
        pytest.skip("this torch exports nothing")
    return torch.export.export(torch.nn.Linear(4, 2), (torch.randn(1, 4),)).graph_module


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("make", [symbolic, operations, exported])
@pytest.mark.parametrize("legacy", [False, True])
def test_a_graph_module_is_a_program_and_no_attack(
    tmp_path: Path, make: Callable[[], object], legacy: bool
) -> None:
    path = tmp_path / "a.pth"
    torch.save(make(), path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(UnsupportedError, match=r"a program, a module of torch\.fx") as caught:
        open_checkpoint(str(path))
    assert not any(use.use in (Use.CALL, Use.ATTACK) for use in caught.value.uses)
    assert inspect(str(path)).file.verdict is Verdict.CANNOT_TELL


def graph_module(code: str, imports: str = IMPORTS, *more: tuple[bytes, bytes]) -> bytes:
    """The pickled call that makes a module of this source text."""
    body = p.dict_of((p.text("_code"), p.text(code)), *more)
    return p.call(p.name("torch.fx.graph_module", "reduce_graph_module"), body, p.text(imports))


def opened(folder: Path, body: bytes) -> tuple[CkpttoolError, Verdict]:
    (folder / "a.pth").write_bytes(torch_files.torch_zip(body))
    with pytest.raises(CkpttoolError) as caught:
        open_checkpoint(str(folder / "a.pth"))
    return caught.value, inspect(str(folder / "a.pth")).file.verdict


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("torch.relu(x)", id="torch"),
        pytest.param("operator.add(x, _operator.neg(x))", id="operators"),
        pytest.param("fx_pytree.tree_flatten_spec(x, self._in_spec)", id="trees"),
    ],
)
def test_the_least_of_programs_is_one(code: str, tmp_path: Path) -> None:
    imports = IMPORTS + "import operator\nimport _operator\n"
    error, verdict = opened(tmp_path, graph_module(f"{FORWARD}{code}\n", imports))
    assert ("a program" in error.message, verdict) == (True, Verdict.CANNOT_TELL)


HOSTILE = {
    "import of a module that acts": graph_module(FORWARD + "os.system('x')", "import os\n"),
    "import inside": graph_module("def forward(self, x):\n    import os\n    return x\n"),
    "import by a function": graph_module(FORWARD + "__import__('os').system('x')\n"),
    "call at the top": graph_module("torch.hub.load('a', 'b')\n" + FORWARD + "x\n"),
    "computing at the top": graph_module("eval('1')\n" + FORWARD + "x\n"),
    "a walk from torch": graph_module(FORWARD + "torch.serialization.os.system('x')\n"),
    "torch.load": graph_module(FORWARD + "torch.load('x')\n"),
    "torch.load as a value": graph_module(
        "def forward(self, x):\n    f = torch.load\n    f('x')\n"
    ),
    "a module as a value": graph_module("def forward(self, x):\n    t = torch\n    t.load('x')\n"),
    "a module of torch as a value": graph_module(
        "def forward(self, x):\n    t = torch.hub\n    t.f('x')\n"
    ),
    "load under another name": graph_module(FORWARD + "f('x')\n", "from torch import load as f\n"),
    "eval under another name": graph_module(
        FORWARD + "f('x')\n", "from builtins import eval as f\n"
    ),
    "eval under its name": graph_module(FORWARD + "eval('x')\n", "from builtins import eval\n"),
    "getattr under another name": graph_module(
        FORWARD + "g(self, '__class__')\n", "from builtins import getattr as g\n"
    ),
    "getattr of a dunder": graph_module(FORWARD + "getattr(self, '__class__')\n"),
    "getattr of what is computed": graph_module(FORWARD + "getattr(self, '__cla' + 'ss__')\n"),
    "an attribute of a dunder": graph_module(FORWARD + "x.__class__.__base__.__subclasses__()\n"),
    "a name of builtins": graph_module(FORWARD + "__builtins__['eval']('1')\n"),
    "a library": graph_module(FORWARD + "torch.ops.load_library('x')\n"),
    "a file": graph_module(FORWARD + "torch.ops.aten.from_file.default('x', True)\n"),
    "a file by a method": graph_module(FORWARD + "self.w.numpy().tofile('x')\n"),
    "a lambda": graph_module(FORWARD + "(lambda: x)()\n"),
    "a comprehension": graph_module(FORWARD + "[y for y in x]\n"),
    "a class": graph_module("class A:\n    x = 1\n" + FORWARD + "x\n"),
    "a decorator": graph_module("@torch.jit.script\n" + FORWARD + "x\n"),
    "a default": graph_module("def forward(self, x=open('y')):\n    return x\n"),
    "an annotation": graph_module("def forward(self, x: open('y')):\n    return x\n"),
    "a formatted text": graph_module(FORWARD + 'f"{open(1)}"\n'),
    "a name of two meanings": graph_module("getattr = 1\n" + FORWARD + "x\n"),
    "a loop": graph_module("def forward(self, x):\n    while True:\n        pass\n"),
    "imports that begin what the code ends": graph_module(
        '"""\n' + FORWARD + "x\n", IMPORTS + 'import os; os.system(\'x\')\n"""\n'
    ),
    "an operator that calls": graph_module(
        FORWARD + "operator.methodcaller('tofile', 'y')(x)\n", "import operator\n"
    ),
    "a tree that registers functions": graph_module(
        FORWARD + "fx_pytree.register_pytree_flatten_spec(x, x)\n"
    ),
    "a tree as a value": graph_module(
        "def forward(self, x):\n    t = fx_pytree.tree_flatten_spec\n"
    ),
    "imports that are no text": p.call(
        p.name("torch.fx.graph_module", "reduce_graph_module"),
        p.dict_of((p.text("_code"), p.text(FORWARD + "x\n"))),
        b"N",
    ),
    "no Python": graph_module("def forward(self, x:"),
    "a tracer of somebody's": graph_module(
        FORWARD + "x\n", IMPORTS, (p.text("_tracer_cls"), p.name("mylib", "Tracer"))
    ),
    "a function among its attributes": graph_module(
        FORWARD + "self.f('x')\n", IMPORTS, (p.text("f"), p.name("os", "system"))
    ),
    "a partial among its attributes": graph_module(
        FORWARD + "self.f()\n",
        IMPORTS,
        (p.text("f"), p.call(p.name("functools", "partial"), p.name("torch", "load"))),
    ),
    "the code twice": graph_module(
        FORWARD + "x\n", IMPORTS, (p.text("_code"), p.text(FORWARD + "eval('1')\n"))
    ),
    "brackets without end": graph_module(FORWARD + "(" * 100_000 + "x" + ")" * 100_000),
    "calls without end": graph_module(FORWARD + "x" + "()" * 100_000),
    "signs without end": graph_module(FORWARD + "(" + "-\n" * 100_000 + "x)"),
    "signs on a line that goes on": graph_module(FORWARD + "-\\\n" * 100_000 + "x"),
    "functions without end": graph_module(FORWARD + "lambda:" * 100_000 + "x"),
    "branches without end": graph_module(
        "def forward(self, x):\n    if x: x\n" + "    elif x: x\n" * 100_000
    ),
    "a sum without end": graph_module(FORWARD + "+".join(["x"] * 100_000)),
    "a sum of texts without end": graph_module(FORWARD + "-".join(['","'] * 100_000)),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_what_does_more_than_to_compute_stays_unknown_code(tmp_path: Path, body: bytes) -> None:
    error, verdict = opened(tmp_path, body)
    assert {use.use for use in error.uses} & {Use.CALL, Use.ATTACK}
    assert verdict is Verdict.FAIL


def test_one_that_acts_beside_one_that_computes_is_told(tmp_path: Path) -> None:
    good = graph_module(FORWARD + "x\n")
    error, verdict = opened(tmp_path, p.tuple_of(good, HOSTILE["torch.load"]))
    assert [use.times for use in error.uses if use.use is Use.CALL] == [2]
    assert verdict is Verdict.FAIL


def test_beside_a_state_dict_it_stays_unknown_code(tmp_path: Path) -> None:
    """The weights can be had without it, so the file is read, and nothing of it passes."""
    state = p.dict_of((p.text("w"), p.tensor()))
    body = p.dict_of((p.text("model"), state), (p.text("program"), graph_module(FORWARD + "x\n")))
    (tmp_path / "a.pth").write_bytes(torch_files.torch_zip(body))
    with open_checkpoint(str(tmp_path / "a.pth")) as checkpoint:
        assert list(checkpoint.tensors) == ["w"]
        assert [use.use for use in checkpoint.uses] == [Use.CALL]
    assert inspect(str(tmp_path / "a.pth")).file.verdict is Verdict.FAIL
