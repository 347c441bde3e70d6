"""The other tools, and ckpttool: how each is called, and what its exit code means."""

from __future__ import annotations

import sys
from typing import Mapping, NamedTuple, Tuple

ACCEPTS, REJECTS, ERROR, SKIPS = "accepts", "rejects", "error", "skips"
#: For files that a tool is not made for.
OTHER = "not for it"

_LOAD = """
import sys, torch
torch.load(sys.argv[1], weights_only=True, map_location="cpu")
"""
_OPEN = """
import sys
from safetensors import safe_open
with safe_open(sys.argv[1], framework="np") as file:
    for name in file.keys():
        file.get_slice(name)[...]
"""


class Tool(NamedTuple):
    """A program.

    Attributes:
        name: for the table.
        package: whose version is noted.
        command: its words before the path; ``BIN/`` stands for the folder of the tools' programs.
        codes: exit code to verdict; any other code is none.
        suffixes: of the files that it is for; empty for any.
    """

    name: str
    package: str
    command: Tuple[str, ...]
    codes: Mapping[int, str]
    suffixes: Tuple[str, ...] = ()


#: By exit codes as each documents them.
TOOLS: Tuple[Tool, ...] = (
    Tool(
        "ckpttool verify",
        "ckpttool",
        (sys.executable, "-m", "ckpttool", "verify", "--format", "concise"),
        {0: ACCEPTS, 1: REJECTS},
    ),
    Tool(
        "torch.load(weights_only=True)",
        "torch",
        ("BIN/python", "-c", _LOAD),
        {0: ACCEPTS, 1: REJECTS},
        (".pth",),
    ),
    Tool("picklescan", "picklescan", ("BIN/picklescan", "-p"), {0: ACCEPTS, 1: REJECTS}, (".pth",)),
    Tool(
        "picklescan --strict",
        "picklescan",
        ("BIN/picklescan", "--strict", "-p"),
        {0: ACCEPTS, 1: REJECTS},
        (".pth",),
    ),
    Tool(
        "modelscan",
        "modelscan",
        ("BIN/modelscan", "-p"),
        {0: ACCEPTS, 1: REJECTS, 3: SKIPS},
        (".pth",),
    ),
    Tool(
        "safetensors.safe_open",
        "safetensors",
        ("BIN/python", "-c", _OPEN),
        {0: ACCEPTS, 1: REJECTS},
        (".safetensors",),
    ),
    Tool("sft check", "sft-cli", ("BIN/sft", "check"), {0: ACCEPTS, 1: REJECTS}, (".safetensors",)),
)
