"""The house keeps its floors: who may import whom, and where torch and numpy may come in."""

from __future__ import annotations

import ast
import json
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
import torch
from safetensors.torch import save_file

from tests.builders import checkpoints
from tests.builders.repository import ROOT

if TYPE_CHECKING:
    from typing import Iterator


# From the ground up. A room stands for all modules below it that are in no room of their own; a
# module that is in none fails.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("ckpttool._version", "mae", "mae.config"),
    ("ckpttool.findings",),
    ("ckpttool.files",),
    ("ckpttool.tensors", "mae.large"),
    ("ckpttool.formats.archives", "ckpttool.formats.pickles", "ckpttool.formats.unfilled"),
    ("ckpttool.formats.safety",),
    ("ckpttool.formats.objects",),
    ("ckpttool.formats.foreign", "ckpttool.formats.state_dicts"),
    ("ckpttool.formats.safetensors", "ckpttool.formats.torch"),
    ("ckpttool.formats.single",),
    ("ckpttool.formats.sharded",),
    ("ckpttool.formats.distributed",),
    ("ckpttool.formats", "ckpttool.formats.writing"),
    ("ckpttool.quantization",),
    ("ckpttool.models",),
    ("ckpttool.statistics",),
    ("ckpttool.inspection",),
    ("ckpttool.inputs",),
    ("ckpttool.conversion", "ckpttool.verification"),
    ("ckpttool.comparison",),
    ("ckpttool.proof",),
    ("ckpttool.against",),
    ("ckpttool.reports",),
    ("ckpttool.reports.html",),
    ("ckpttool.cli",),
    # the package itself is the face of the house: it names what is public, for types
    ("ckpttool", "ckpttool.__main__"),
)

#: Rooms that may import torch, inside their functions; and the one that lives on it.
TORCH_LATE = {
    # a tensor as torch has it, on request; the catalogue for its type alone
    "ckpttool.tensors.catalogue",
    "ckpttool.tensors.in_memory",
    "ckpttool.models.code.architectures",
    "ckpttool.models.code.building",
    "ckpttool.models.code.factories",
    "ckpttool.models.code.held",
    "ckpttool.models.code.made_inputs",
    "ckpttool.models.code.running",
    "ckpttool.models.families.mae_forward",
    "ckpttool.models.families.mae_restoring",
    "ckpttool.models.family",  # for its types alone
    "ckpttool.models.forward",
    "ckpttool.models.pictures.restoring",
    "ckpttool.models.restoring",  # for its types alone
    "ckpttool.models.sample",
    "ckpttool.models.streaming",
}
TORCH_ROOM = "mae.large"

#: What a command loads before it knows whether it needs more.
LIGHT = ("ckpttool", "ckpttool.__main__", "ckpttool.cli", "ckpttool.formats", "ckpttool.reports")

#: All that a reporter may know of the house: modules, and packages with all that is in them.
FOR_REPORTS = (
    "ckpttool._version",
    "ckpttool.comparison.result",
    "ckpttool.conversion.result",
    "ckpttool.findings",
    "ckpttool.proof.result",
    "ckpttool.verification.lock",
    "ckpttool.reports",
)


class Import(NamedTuple):
    """``importer`` imports ``imported`` on ``load``, in a ``call`` or for its ``types``."""

    importer: str
    imported: str
    when: str


def imports_in(importer: str, text: str, known: set[str]) -> list[Import]:
    """All imports in a module's source; ``from a import b`` is of ``a.b`` if that is known."""
    found = _walk(ast.parse(text), "load")
    return [Import(importer, name, when) for node, when in found for name in _names(node, known)]


def _walk(node: ast.AST, when: str) -> Iterator[tuple[ast.AST, str]]:
    yield node, when
    inside = when
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        inside = "call"
    elif isinstance(node, ast.If) and _name_of(node.test) == "TYPE_CHECKING":
        inside = "types"
    otherwise = node.orelse if isinstance(node, ast.If) else []
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, when if child in otherwise else inside)


def _name_of(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def _names(node: ast.AST, known: set[str]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    assert node.level == 0, "relative imports hide where a name comes from"
    names = [f"{node.module}.{alias.name}" for alias in node.names]
    return [name if name in known else str(node.module) for name in names]


def _dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {
    _dotted(path.relative_to(ROOT)): path
    for package in ("ckpttool", "mae")
    for path in sorted((ROOT / package).rglob("*.py"))
}
IMPORTS = [
    found
    for name, path in SOURCES.items()
    for found in imports_in(name, path.read_text(encoding="utf-8"), set(SOURCES))
]


def room_of(module: str) -> str:
    """The entry of FLOORS that a module belongs to: the nearest of itself and its packages.

    The package at the top is no room for what is below it: a loose module needs a floor of its own.
    """
    rooms = {room for floor in FLOORS for room in floor}
    name = module
    while name.count(".") > 1 and name not in rooms:
        name = name.rpartition(".")[0]
    return name if name in rooms else module


def floor_of(module: str) -> int | None:
    """The floor of a module, 0 at the bottom; ``None`` for one that has none."""
    room = room_of(module)
    return next((number for number, rooms in enumerate(FLOORS) if room in rooms), None)


def upward(imports: list[Import]) -> list[Import]:
    """The imports that run to a higher floor, for types too: what a room knows, it depends on."""
    floors = [(one, floor_of(one.importer), floor_of(one.imported)) for one in imports]
    return [one for one, low, high in floors if low is not None and high is not None and low < high]


def circle(imports: list[Import]) -> list[str]:
    """A chain of modules that import each other on load, the first one named again at its end."""
    edges: dict[str, list[str]] = {}
    for one in imports:
        if one.when == "load":
            edges.setdefault(one.importer, []).append(one.imported)
    done: set[str] = set()

    def follow(module: str, chain: list[str]) -> list[str]:
        if module in chain:
            return [*chain[chain.index(module) :], module]
        if module in done:
            return []
        done.add(module)
        found = (follow(one, [*chain, module]) for one in edges.get(module, []))
        return next((one for one in found if one), [])

    return next((found for found in (follow(start, []) for start in edges) if found), [])


def loaded_by(start: str, imports: list[Import]) -> set[str]:
    """All modules that importing ``start`` loads, packages on the way to them included."""
    loaded: set[str] = set()
    waiting = [start]
    while waiting:
        module = waiting.pop()
        if module in loaded:
            continue
        loaded.add(module)
        waiting += [one.imported for one in imports if (one.importer, one.when) == (module, "load")]
        waiting += [module.rpartition(".")[0]] if "." in module else []
    return loaded


def test_every_module_has_a_floor() -> None:
    assert [module for module in SOURCES if floor_of(module) is None] == []


def test_every_room_that_has_a_floor_is_there() -> None:
    assert [room for floor in FLOORS for room in floor if room not in SOURCES] == []


def test_rooms_of_one_floor_do_not_know_each_other() -> None:
    rooms = [(one, room_of(one.importer), room_of(one.imported)) for one in IMPORTS]
    assert [
        one
        for one, importer, imported in rooms
        if importer != imported and floor_of(importer) == floor_of(imported) is not None
    ] == []


def test_the_page_names_every_module_that_has_a_floor() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = page[page.index("## Rooms") : page.index("## Floors")]
    names = [module.rpartition(".")[2] for floor in FLOORS for module in floor]
    assert [name for name in names if not re.search(rf"\b{name}\b", rooms)] == ["_version"]


def test_every_module_that_the_page_names_is_there() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[a-z_]+/)+[a-z_]*)(?:\.py)?`", page))
    gone = {
        one
        for one in named
        if not (ROOT / "ckpttool" / one).is_dir()
        and not (ROOT / "ckpttool" / f"{one}.py").is_file()
        and not (ROOT / one).exists()
        and not (ROOT / f"{one}.py").exists()
    }
    assert (gone, "findings/errors" in named or "findings/results" in named) == (set(), True)


def test_no_import_runs_upward() -> None:
    assert upward(IMPORTS) == []


def test_no_imports_go_in_a_circle() -> None:
    assert circle(IMPORTS) == []


def test_torch_comes_in_only_where_it_may() -> None:
    torch = [one for one in IMPORTS if one.imported.split(".")[0] == "torch"]
    assert [
        one
        for one in torch
        if room_of(one.importer) != TORCH_ROOM
        and not (one.importer in TORCH_LATE and one.when in ("call", "types"))
    ] == []


def test_the_model_is_loaded_late() -> None:
    assert [
        one
        for one in IMPORTS
        if one.importer.startswith("ckpttool")
        and one.imported.startswith("mae.large")
        and one.when == "load"
        and one.imported != "mae.large.pos_embed"  # numpy alone
    ] == []


@pytest.mark.parametrize("start", LIGHT)
def test_the_light_path_loads_neither_torch_nor_numpy(start: str) -> None:
    roots = {module.split(".")[0] for module in loaded_by(start, IMPORTS)}
    assert roots & {"numpy", "safetensors", "torch"} == set()


def test_reporters_know_results_only() -> None:
    house = [one for one in IMPORTS if one.imported.split(".")[0] in ("ckpttool", "mae")]
    assert [
        one
        for one in house
        if room_of(one.importer).startswith("ckpttool.reports")
        and not f"{one.imported}.".startswith(tuple(f"{known}." for known in FOR_REPORTS))
    ] == []


SPECIMEN = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import torch
else:
    import json
class Room:
    from ckpttool import cli
    def late(self):
        from ckpttool.verification.run import verify
"""


def test_the_walker_tells_when_an_import_happens() -> None:
    known = {"ckpttool.cli", "ckpttool.verification.run"}
    assert imports_in("ckpttool.findings.text", SPECIMEN, known) == [
        Import("ckpttool.findings.text", "typing", "load"),
        Import("ckpttool.findings.text", "torch", "types"),
        Import("ckpttool.findings.text", "json", "load"),
        Import("ckpttool.findings.text", "ckpttool.cli", "load"),
        Import("ckpttool.findings.text", "ckpttool.verification.run", "call"),
    ]


def test_an_upward_import_is_found() -> None:
    step = Import("ckpttool.formats.safetensors.whole", "ckpttool.verification.run", "call")
    assert upward([step, Import("ckpttool.cli", "ckpttool.findings.text", "load")]) == [step]


def test_a_circle_is_found_and_a_late_import_breaks_it() -> None:
    there, back = Import("a", "b", "load"), Import("b", "a", "load")
    assert circle([there, back]) == ["a", "b", "a"]
    assert circle([there, back._replace(when="call")]) == []


# --- the same, by running it ------------------------------------------------------------

WITHOUT = """
import runpy, sys
del sys.argv[0]
kept = sys.argv.pop(0).split(",")
sys.modules.update({name: None for name in ("torch", "numpy", "safetensors") if name not in kept})
run = runpy.run_path if sys.argv[0].endswith(".py") else runpy.run_module
run(sys.argv[0], run_name="__main__")
"""


def tiny_safetensors(folder: Path) -> Path:
    """A safetensors file of one tensor of two numbers, written by hand."""
    header = json.dumps({"lonely": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})
    path = folder / "tiny.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header.encode() + struct.pack("<2f", 1, 2))
    return path


def without_torch(*arguments: str, keep: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run a module or a script as python does, with torch and numpy made unimportable."""
    command = [sys.executable, "-W", "error", "-c", WITHOUT, ",".join(keep), *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_making_torch_unimportable_works() -> None:
    assert "ModuleNotFoundError" in without_torch("mae.large.attention").stderr


def test_inspect_runs_without_torch_and_numpy(tmp_path: Path) -> None:
    done = without_torch("ckpttool", "inspect", str(tiny_safetensors(tmp_path)))
    assert (done.returncode, done.stderr) == (0, "")
    assert "lonely" in done.stdout


def test_statistics_are_gathered_without_torch(tmp_path: Path) -> None:
    path = str(tiny_safetensors(tmp_path))
    done = without_torch("ckpttool", "inspect", "--stats", path, keep=("numpy",))
    assert (done.returncode, done.stderr) == (0, "")
    assert "histogram" in done.stdout


@pytest.mark.parametrize("containers", [("pth", "pth"), ("pth", "safetensors")], ids="-".join)
def test_equal_files_are_compared_without_torch_and_numpy(
    containers: tuple[str, str], tmp_path: Path
) -> None:
    weights = {"large": torch.arange(70_000.0), "small": torch.arange(5.0)}
    paths = [str(tmp_path / f"{side}.{kind}") for side, kind in zip("ab", containers)]
    for path in paths:
        if path.endswith(".pth"):
            torch.save(weights, path)
        else:
            save_file(weights, path)
    done = without_torch("ckpttool", "diff", *paths)
    assert (done.returncode, done.stderr) == (0, "")
    assert "SAME" in done.stdout
    done = without_torch("ckpttool", "prove", paths[1], "--from", paths[0])
    assert (done.returncode, done.stderr) == (0, "")
    assert "PROVEN" in done.stdout


@pytest.mark.parametrize("to", ["safetensors", "pth"])
def test_convert_runs_without_torch(to: str, tmp_path: Path) -> None:
    target = tmp_path / f"out.{to}"
    arguments = ("convert", str(tiny_safetensors(tmp_path)), "--to", to, "-o", str(target))
    done = without_torch("ckpttool", *arguments, keep=("numpy", "safetensors"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "WRITTEN AND PROVEN" in done.stdout
    assert target.exists()


def test_convert_makes_no_sha256_unless_it_is_asked_to(tmp_path: Path) -> None:
    script = tmp_path / "counts.py"
    script.write_text(
        "import sys\n"
        "import ckpttool\n"
        "ckpttool.convert(sys.argv[1], sys.argv[2], to='pth')\n"
        "sys.stdout.write(str('hashlib' in sys.modules))\n"
    )
    source, target = str(tiny_safetensors(tmp_path)), str(tmp_path / "out.pth")
    done = without_torch(str(script), source, target)
    assert (done.stdout, done.stderr) == ("False", "")


@pytest.mark.parametrize(
    "command", [("verify", "--no-forward"), ("lock", "--no-forward", "-o", "-")], ids=" ".join
)
def test_without_the_forward_pass_nothing_needs_torch(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    path = checkpoints.saved(tmp_path, checkpoints.sound)
    script = tmp_path / "tiny.py"
    script.write_text(
        "from ckpttool.cli import main\n"
        "from mae.config import CONFIGS, DEFAULT\n"
        "from tests.builders.sizes import TINY\n"
        "CONFIGS[DEFAULT] = TINY\n"
        "main()\n"
    )
    done = without_torch(str(script), *command, path, keep=("numpy",))
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr
    assert {"verify": "PASS", "lock": "tensor pos_embed"}[command[0]] in done.stdout


def test_a_checkpoint_opens_without_torch_and_numpy(tmp_path: Path) -> None:
    script = tmp_path / "opens.py"
    script.write_text(
        "import ckpttool, sys\n"
        "with ckpttool.open_checkpoint(sys.argv[1]) as checkpoint:\n"
        "    sys.stdout.write(' '.join(checkpoint.tensors))\n"
    )
    done = without_torch(str(script), str(tiny_safetensors(tmp_path)))
    assert (done.stdout, done.stderr) == ("lonely", "")
