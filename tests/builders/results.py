"""What the commands answer on a table of small inputs, as plain JSON that is the same anywhere.

``python -m tests.builders.results`` runs all of them and stores their answers, to which
``tests/test_results_unchanged.py`` holds the code. Run it before a change that must not show, or
after one that must, and commit what differs with its reason.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, Match, Tuple
from unittest import mock

from mae.config import CONFIGS
from tests.builders import attacks, shards, zips
from tests.builders import pickles as p
from tests.builders import safetensors as st
from tests.builders import torch_files as tf
from tests.builders.commands import Done, invoke
from tests.builders.repository import FIXTURES
from tests.builders.sizes import TINY

STORED = FIXTURES / "results" / "results.json"

#: The model whose checkpoints the torch fixtures are.
MODEL = TINY._replace(patch_size=4, img_size=16)

#: Every run is a row of commands; ``out`` is an empty folder at the start of each.
RUNS: Dict[str, Tuple[str, ...]] = {
    **{
        f"inspect {path}": (f"inspect {path} --format json",)
        for path in (
            "torch-1.0.0/layouts.pth",
            "torch-1.6.0/layouts.legacy.pth",
            "torch-1.12.1/layouts.pth",
            "torch-1.12.1/training.pth",
            "torch-1.6.0/module_prefix.pth",
            "honest",
            "zips",
            "safetensors",
            "attacks",
            "sharded",
            "sharded/model-00001-of-00002.safetensors",
            "mixed",
            "nowhere.pth",
        )
    },
    "inspect another wrapper": (
        "inspect torch-1.12.1/training.pth --wrapper optimizer.state --format json",
    ),
    "inspect as text": ("inspect torch-1.12.1/encoder.pth",),
    "inspect with a name trusted": ("inspect honest/class.pth --trust mylib.Net --format json",),
    "inspect less than the folder": ("inspect honest --exclude '*.tar' --format json",),
    "inspect a glob": ("inspect 'torch-*/encoder.pth'",),
    "inspect nothing": ("inspect 'none-*.pth'",),
    "inspect with an unknown option": ("inspect torch-1.12.1/encoder.pth --unknown",),
    **{
        f"verify {path}": (
            f"verify {path} --model fixture --no-forward --fingerprint --format json",
        )
        for path in (
            "torch-1.0.0/encoder.pth",
            "torch-1.0.0/training.pth",
            "torch-1.6.0/module_prefix.pth",
            "torch-1.12.1/encoder.legacy.pth",
            "torch-1.12.1/training.pth",
            "torch-1.12.1/layouts.pth",
            "honest",
            "zips",
            "safetensors",
            "attacks",
            "mixed",
            "sharded",
            *(f"shards-{name}" for name in ("shard-cut", "tensor-twice", "tensor-missing")),
            "nowhere.pth",
        )
    },
    "verify and compute": ("verify torch-1.12.1/training.pth --model fixture --format json",),
    "verify as text": ("verify torch-1.12.1/encoder.pth --model fixture --no-forward",),
    "verify the whole model": (
        "verify torch-1.12.1/encoder.pth --model fixture --no-forward --require full --format json",
    ),
    "verify with rules chosen": (
        "verify torch-1.12.1/training.pth --model fixture --no-forward --ignore MOD003"
        " --fail-on warning --format json",
    ),
    "verify with waivers": (
        "verify torch-1.12.1/training.pth --model fixture --no-forward"
        " --config waivers/ckpttool.toml --format json",
    ),
    "verify with reports for tools": (
        "verify torch-1.12.1/encoder.pth attacks/nested-loads.pth --model fixture --no-forward"
        " --format sarif --report json=out/report.json --report gitlab=out/gitlab.json"
        " --report junit=out/junit.xml",
        "report out/report.json --to concise",
    ),
    "verify with an unknown model": ("verify torch-1.12.1/encoder.pth --model unknown",),
    **{
        f"diff {left} {right}": (f"diff {left} {right} --format json",)
        for left, right in (
            ("torch-1.12.1/encoder.pth", "torch-1.12.1/encoder.legacy.pth"),
            ("torch-1.12.1/encoder.pth", "torch-1.6.0/module_prefix.pth"),
            ("torch-1.0.0/layouts.pth", "torch-1.12.1/layouts.pth"),
            ("safetensors/good.safetensors", "sharded/model.safetensors.index.json"),
            ("safetensors/good.safetensors", "safetensors/hole-between.safetensors"),
            ("attacks/direct-os-system.pth", "torch-1.12.1/encoder.pth"),
            ("nowhere.pth", "torch-1.12.1/encoder.pth"),
        )
    },
    "diff within a tolerance": (
        *(
            f"diff torch-1.0.0/training.pth torch-1.12.1/training.pth --include 'blocks.1.*'"
            f" {tolerance} --format json"
            for tolerance in ("", "--atol 0.01", "--atol 1 --rtol 0.1", "--max-ulp 3")
        ),
    ),
    "diff what lies beside the weights": (
        "diff torch-1.6.0/training.pth torch-1.12.1/training.pth --format json"
        " --exclude 'optimizer.state.?.*' --exclude 'optimizer.state.[1-4]?.*'",
    ),
    "diff some names": (
        "diff torch-1.6.0/training.pth torch-1.12.1/training.pth --weights-only"
        " --include 'blocks.*' --exclude '*.bias' --format json",
    ),
    "diff as text": ("diff torch-1.6.0/training.pth torch-1.12.1/training.pth",),
    "diff with a tolerance below zero": (
        "diff torch-1.0.0/encoder.pth torch-1.12.1/encoder.pth --atol -1",
    ),
    **{
        f"convert {path}": (f"convert {path} --to safetensors -o out/to.safetensors --format json",)
        for path in (
            "torch-1.0.0/training.pth",
            "torch-1.12.1/layouts.pth",
            "honest/good.tar",
            "sharded/model.safetensors.index.json",
            "safetensors/hole-between.safetensors",
            "zips/name-twice.pth",
            "attacks/direct-os-system.pth",
            "nowhere.pth",
        )
    },
    "convert and account for it": (
        "convert torch-1.12.1/training.pth --to safetensors -o out/to.safetensors"
        " --receipt out/receipt.json --sidecar out/sidecar.json --format json",
        "diff torch-1.12.1/training.pth out/receipt.json --weights-only --format json",
        "convert out/to.safetensors --to pth -o out/back.pth --format json",
        "diff torch-1.12.1/training.pth out/back.pth --weights-only --format json",
    ),
    "convert in shards": (
        "convert torch-1.12.1/encoder.pth --to safetensors -o out/to.safetensors"
        " --max-shard-size 16kB --receipt out/receipt.json --format json",
        "verify out --model fixture --no-forward --format json",
        "convert torch-1.12.1/encoder.pth --to safetensors -o out/to.safetensors"
        " --max-shard-size 25kB --force --format json",
    ),
    "convert and cast": (
        "convert torch-1.12.1/training.pth --to safetensors -o out/to.safetensors"
        " --dtype bfloat16 --encoder-only --exclude '*.bias' --metadata a=b --format json",
    ),
    "convert aliases one by one": (
        "convert torch-1.12.1/layouts.pth --to safetensors -o out/to.safetensors --keep-aliases"
        " --exclude 'dtype.complex*' --format json",
    ),
    "convert, to look first": (
        "convert torch-1.12.1/training.pth --to safetensors -o out/to.safetensors --dry-run"
        " --format json",
    ),
    "convert over what stands there": (
        "convert torch-1.12.1/encoder.pth --to safetensors -o out/to.safetensors",
        "convert torch-1.12.1/training.pth --to safetensors -o out/to.safetensors --format json",
        "convert torch-1.12.1/training.pth --to safetensors -o out/to.safetensors --force",
    ),
    "convert as text": ("convert torch-1.12.1/encoder.pth --to pth -o out/to.pth",),
    "convert two into one file": (
        "convert torch-1.12.1/encoder.pth torch-1.6.0/encoder.pth --to pth -o out/to.pth",
    ),
    "convert to nothing known": ("convert torch-1.12.1/encoder.pth --to onnx",),
    "lock and compare": (
        "lock torch-1.12.1/encoder.pth --model fixture --no-forward"
        " --ignore MOD010 -o out/ckpttool.lock",
        "verify torch-1.12.1/encoder.pth --model fixture --no-forward --lock out/ckpttool.lock"
        " --format json",
        "diff torch-1.12.1/encoder.pth out/ckpttool.lock --format json",
        "verify torch-1.6.0/encoder.pth --model fixture --no-forward --lock out/ckpttool.lock"
        " --format json",
    ),
    "lock what fails": ("lock torch-1.12.1/encoder.pth --model fixture -o out/ckpttool.lock",),
}


def lay_out(folder: Path) -> None:
    """Write the files that the runs are about: the same bytes on every machine."""
    for release in ("torch-1.0.0", "torch-1.6.0", "torch-1.12.1"):
        shutil.copytree(str(FIXTURES / release), str(folder / release))
    for path, data in _files().items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(data)
    shards.good(folder / "sharded")
    for name in ("shard-cut", "tensor-twice", "tensor-missing"):
        shards.DEFECTS[name][0](folder / f"shards-{name}")


def _files() -> Dict[str, bytes]:
    called = p.dict_of(
        (p.text("w"), p.tensor()), (p.text("net"), p.call(p.name("mylib", "Net"), p.text("x")))
    )
    hostile = {attack.what: attack for attack in attacks.ATTACKS}
    return {
        "honest/class.pth": tf.torch_zip(called),
        "honest/good.legacy.pth": tf.torch_legacy(),
        "honest/good.pth": tf.torch_zip(),
        "honest/good.safetensors": st.file(),
        "honest/good.tar": tf.torch_tar(),
        "honest/unfilled.pth": tf.never_filled(),
        **{f"zips/{name}.pth": zips.DEFECTS[name][0]() for name in _ZIPS},
        **{f"safetensors/{name}.safetensors": st.DEFECTS[name][0]() for name in _SAFETENSORS},
        "safetensors/good.safetensors": st.file(),
        **{
            f"attacks/{name}{hostile[name].suffix}": hostile[name].data("marker")
            for name in _ATTACKS
        },
        "mixed/empty.pth": b"",
        "mixed/notes.txt": b"what was tried\n",
        "mixed/config.json": b'{"model_type": "vit_mae", "hidden_size": 16}\n',
        "mixed/model.onnx": b"\x08\x07\x12\x07pytorch",
        "mixed/page.pth": b"<!DOCTYPE html><html><body>Not found</body></html>\n",
        "mixed/pointer.pth": b"version https://git-lfs.github.com/spec/v1\noid sha256:"
        + b"0" * 64
        + b"\nsize 12345\n",
        "mixed/weights.pth": tf.torch_zip(),
        "waivers/ckpttool.toml": _WAIVERS.encode(),
    }


_ZIPS = """
    nothing-but-a-mark end-record-cut-off prepended-bytes appended-bytes two-archives
    local-name-differs local-checksum-differs deflated encrypted torchscript-code name-twice
    name-climbs name-absolute symlink overlapping-members hidden-member
""".split()
_SAFETENSORS = """
    too-short length-beyond-the-file null not-utf8 trailing-comma tensor-twice metadata-nested
    dtype-unknown shape-overflows hole-between overlap trailing-bytes data-cut-off
""".split()
_ATTACKS = """
    direct-os-system path-torch-os-system closer-io-iobase allowed-parameter-data legacy-magic
    tar-pickle form-inst nested-loads broken-truncated zip-wrong-crc polyglot-safetensors
""".split()

_WAIVERS = """
[[waivers]]
code = "MOD003"
reason = "trained with learned tables"
owner = "somebody"
expires = 2999-01-01

[[waivers]]
code = "NUM001"
reason = "waives nothing"
"""


@contextlib.contextmanager
def at_work(folder: Path) -> Iterator[None]:
    """Stand in ``folder``, where paths are short, with the fixtures' model known as ``fixture``."""
    before = os.getcwd()  # noqa: PTH109
    with mock.patch.dict(CONFIGS, fixture=MODEL), mock.patch.dict(os.environ):
        for name in [name for name in os.environ if name.startswith("CKPTTOOL")]:
            del os.environ[name]
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def answers(name: str) -> Any:
    """What the commands of a run answer, in the working folder."""
    shutil.rmtree("out", ignore_errors=True)
    Path("out").mkdir()
    told = [_answer(command) for command in RUNS[name]]
    files = sorted(path for path in Path("out").rglob("*") if path.is_file())
    written = {path.as_posix(): _content(path) for path in files}
    return {"commands": told, **({"written": written} if written else {})}


def _answer(command: str) -> Any:
    done = invoke(*shlex.split(command))
    told = {"command": command, "exit": done.code}
    if done.out.startswith("{"):
        return {**told, "json": _same_anywhere(json.loads(done.out))}
    return {**told, **_words(done)}


def _words(done: Done) -> Dict[str, Any]:
    """The rules that are named in a report for people, and its verdict: the line it begins with."""
    text = done.out + done.err
    # of a failure its error, without the tips; of a run the verdict at the end of standard error
    errors = done.err.splitlines()
    lines = [line for line in errors if line.startswith("error: ")] or errors[-1:]
    line = (lines or done.out.splitlines() or [""])[0]
    codes = re.findall(r"\b(?!CVE)[A-Z]{3}\d{3}\b", text)
    line = re.sub(r"\d+\.\d s\b", "TIME", line).replace(os.getcwd(), "FOLDER")  # noqa: PTH109
    return {"codes": sorted(set(codes)), "line": line}


def _content(path: Path) -> Any:
    data = path.read_bytes()
    if path.suffix == ".json":
        return _same_anywhere(json.loads(data))
    if path.suffix == ".lock":
        return data.decode().splitlines()
    if path.suffix == ".xml":
        return sorted(set(re.findall(r"\b[A-Z]{3}\d{3}\b", data.decode())))
    return f"{len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()[:16]}"


#: Words for people, which may be put better; what differs between machines; and what is drawn.
_LEFT_OUT = frozenset("message fix version semanticVersion versions rules projection".split())


def _same_anywhere(value: Any, digits: int = 6) -> Any:
    if isinstance(value, dict):
        # what a model computes differs a little between releases of torch and processors
        return {
            key: _same_anywhere(inner, 3 if key == "forward" else digits)
            for key, inner in value.items()
            if key not in _LEFT_OUT
        }
    if isinstance(value, list):
        return [_same_anywhere(inner, digits) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.{digits}g}")
    if isinstance(value, str):
        return re.sub(r"^(ckpttool|safetensors|torch) \d+\.\d\S*$", r"\1", value)
    return value


def store(path: Path = STORED) -> None:
    """Run everything, and store the answers."""
    with tempfile.TemporaryDirectory() as folder:
        lay_out(Path(folder))
        with at_work(Path(folder)):
            told = {name: answers(name) for name in RUNS}
    path.parent.mkdir(exist_ok=True)
    text = json.dumps(told, indent=1, sort_keys=True)
    short = re.sub(r"\[\s+([^][{}]{1,80}?)\s+\]", _on_one_line, text)  # shapes, above all
    path.write_text(short + "\n", encoding="utf-8")


def _on_one_line(found: Match[str]) -> str:
    return "[" + re.sub(r"\n\s+", " ", found.group(1)) + "]"


if __name__ == "__main__":
    store()
