"""The other tools, and ckpttool: how each is installed and called, what its exit code means."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import List, Mapping, NamedTuple, Tuple

ROOT = Path(__file__).parents[2]
#: Programs of one function each, for what is a library and no program.
LIBRARIES = Path(__file__).parent / "libraries.py"

ACCEPTS, REJECTS, ERROR, SKIPS = "accepts", "rejects", "error", "skips"
#: For files that a tool is not made for.
OTHER = "not for it"

#: The environment that runs the comparison, which has ckpttool.
OURS = ""
#: What is installed into each environment, with the extras for the files of torch.
ENVIRONMENTS: Mapping[str, Tuple[str, ...]] = {
    "torch": ("torch", "numpy", "safetensors", "sft-cli"),
    "picklescan": ("picklescan", "numpy"),
    "modelscan": ("modelscan",),
    "fickling": ("fickling[torch]",),
    "modelaudit": ("modelaudit[pytorch,safetensors]",),
}


class Tool(NamedTuple):
    """A program.

    Attributes:
        name: for the tables.
        package: whose version is noted.
        environment: in which it is installed.
        entry: the function that its program calls, as ``module:function``.
        program: its program; ``BIN/`` stands for the folder of the environment's programs.
        words: what stands between the program and the path.
        codes: exit code to verdict; any other code is none.
        suffixes: of the files that it is for; empty for any.
        slow: whether it takes seconds for each file, so that it gets some of each kind only.
    """

    name: str
    package: str
    environment: str
    entry: str
    program: Tuple[str, ...]
    words: Tuple[str, ...]
    codes: Mapping[int, str]
    suffixes: Tuple[str, ...] = ()
    slow: bool = False

    def command(self, programs: Path) -> List[str]:
        """Return the words of its command line before the path."""
        return [word.replace("BIN/", f"{programs}/") for word in (*self.program, *self.words)]

    @property
    def title(self) -> str:
        """Its name as code, with what is no part of the code after it."""
        code, comma, rest = self.name.partition(",")
        return f"`{code}`{comma}{rest}"

    def shown(self) -> str:
        """Return the command line, with the path in its place."""
        words = [word.replace("BIN/", "").replace(f"{ROOT}/", "") for word in self.program]
        return " ".join((*words[-1:], *self.words, "FILE"))


def _library(name: str, package: str, word: str, suffixes: Tuple[str, ...] = ()) -> Tool:
    return Tool(
        name,
        package,
        package if package in ENVIRONMENTS else "torch",
        f"{LIBRARIES.stem}:main",
        ("BIN/python", str(LIBRARIES)),
        (word,),
        {0: ACCEPTS, 1: REJECTS},
        suffixes,
    )


def _scanner(
    name: str,
    entry: str,
    words: Tuple[str, ...],
    codes: Mapping[int, str],
    suffixes: Tuple[str, ...] = (".pth",),
    slow: bool = False,
) -> Tool:
    package = name.split()[0]
    program = (f"BIN/{package}",)
    return Tool(name, package, package, entry, program, words, codes, suffixes, slow)


CKPTTOOL = Tool(
    "ckpttool verify",
    "ckpttool",
    OURS,
    "ckpttool.__main__:run",
    (sys.executable, "-m", "ckpttool"),
    ("verify", "--format", "concise"),
    {0: ACCEPTS, 1: REJECTS},
)
#: What a file could run, and nothing of its weights: it needs no model that ckpttool knows.
INSPECT = CKPTTOOL._replace(name="ckpttool inspect", words=("inspect",))
TORCH = _library("torch.load(weights_only=True)", "torch", "load", (".pth",))
PICKLESCAN = _scanner("picklescan", "picklescan.cli:main", ("-p",), {0: ACCEPTS, 1: REJECTS})
STRICT = _scanner(
    "picklescan --strict", "picklescan.cli:main", ("--strict", "-p"), {0: ACCEPTS, 1: REJECTS}
)
MODELSCAN = _scanner("modelscan", "modelscan.cli:main", ("-p",), {0: ACCEPTS, 1: REJECTS, 3: SKIPS})
FICKLING = _library("fickling", "fickling", "scan", (".pth",))
FICKLING_ML = _library("fickling, safe ML environment", "fickling", "load-hooked", (".pth",))
MODELAUDIT = _scanner(
    "modelaudit",
    "modelaudit.__main__:_run",
    ("scan", "--no-cache"),
    {0: ACCEPTS, 1: REJECTS},
    (),
    slow=True,
)
SAFETENSORS = _library("safetensors.safe_open", "safetensors", "open", (".safetensors",))
SFT = Tool(
    "sft check",
    "sft-cli",
    "torch",
    "",
    ("BIN/sft",),
    ("check",),
    {0: ACCEPTS, 1: REJECTS},
    (".safetensors",),
)

#: For defects of weights, in the order of the table of docs/comparison.md.
FOR_WEIGHTS: Tuple[Tool, ...] = (CKPTTOOL, TORCH, PICKLESCAN, STRICT, MODELSCAN, SAFETENSORS, SFT)
#: For what a file could run, in the order of the tables of docs/safety.md.
FOR_CODE: Tuple[Tool, ...] = (
    INSPECT,
    CKPTTOOL,
    TORCH,
    PICKLESCAN,
    STRICT,
    MODELSCAN,
    FICKLING,
    FICKLING_ML,
    MODELAUDIT,
    SAFETENSORS,
)
