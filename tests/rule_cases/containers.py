"""FIL, SEC and INT: files that break their format, are not safe, or not what they say."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Callable, Dict, Iterable
from unittest import mock

from ckpttool import open_checkpoint, prove
from ckpttool.comparison.diff import DiffOptions, diff_files
from ckpttool.findings.errors import CkpttoolError
from ckpttool.findings.finding import Finding, finding_from
from ckpttool.inspection.listing import inspect
from ckpttool.models.families.mae import MAE
from ckpttool.tensors.catalogue import Checkpoint, Checksum
from ckpttool.verification.checks.container import check_checksums
from ckpttool.verification.lock.writing import HEAD
from ckpttool.verification.options import VerifyOptions
from ckpttool.verification.run import verify_file
from ckpttool.verification.schema_sources import read_schema
from tests.builders import (
    adapters,
    checkpoints,
    distributed,
    distributed_defects,
    evidence,
    modules,
    releases,
    scripts,
    shards,
    sharing,
    zips,
)
from tests.builders import pickles as p
from tests.builders import safetensors as st
from tests.builders import torch_files as tf
from tests.rule_cases.gate import searched
from tests.rule_cases.runs import SOUND, Case, Run, convert, holding, saved, verified, written

GOOD = tf.torch_zip()
GOOD_ZIP = holding(GOOD)
GOOD_LEGACY = holding(tf.torch_legacy())
GOOD_TAR = holding(tf.torch_tar())
GOOD_SAFETENSORS = holding(st.file())


UNKNOWN_CALL = tf.torch_zip(
    p.dict_of(
        (p.text("w"), p.tensor()),
        (p.text("x"), p.call(p.name("mylib", "rebuild"), p.storage())),
    )
)


def zipped(defect: str) -> Case:
    return Case(holding(zips.DEFECTS[defect][0]()), GOOD_ZIP)


def dcp(defect: str) -> Case:
    return Case(verified(distributed_defects.DEFECTS[defect][0]), verified(distributed.good))


def tensors(defect: str) -> Case:
    return Case(holding(st.DEFECTS[defect][0]()), GOOD_SAFETENSORS)


def beside(name: str, data: bytes) -> Run:
    """Search a folder of a checkpoint and one other file."""

    def run(folder: Path) -> Iterable[Finding]:
        written(folder, GOOD, "model.pth")
        written(folder, data, name)
        return searched(folder)

    return run


def meddled_with(folder: Path) -> Iterable[Finding]:
    """Verify a file that is touched while it is read."""
    path = checkpoints.saved(folder, checkpoints.sound)

    class Meddler:
        def start(self, total: int) -> None:
            os.utime(path, ns=(total, total))

        def advance(self, nbytes: int) -> None:
            """The deed is done already."""

    return verify_file(path, VerifyOptions(forward=False), Meddler()).findings


def trusting(name: str) -> Callable[[Path], Iterable[Finding]]:
    """Inspect a file that calls ``mylib.rebuild``, and trust the name."""

    def run(folder: Path) -> Iterable[Finding]:
        path = written(folder, UNKNOWN_CALL, "a.pth")
        return inspect(str(path), trust=(name,)).file.findings

    return run


def named_as_schema(text: str) -> Run:
    """Read a schema file of this text."""

    def run(folder: Path) -> Iterable[Finding]:
        try:
            read_schema(written(folder, text.encode(), "x.json"))
        except CkpttoolError as error:
            return [finding_from(error)]
        return []

    return run


def with_adapter(config: str) -> Run:
    """Prove a merge of an adapter with this configuration."""

    def run(folder: Path) -> Iterable[Finding]:
        before, adapter = adapters.base(), adapters.lora()
        paths = [
            adapters.save(folder, name, state)
            for name, state in (("b", adapters.merged(before, adapter)), ("a", before))
        ]
        lora = adapters.write(folder, adapter, json.loads(config))
        return prove(*paths, adapter=lora).findings

    return run


def listed(name: str, text: str) -> Case:
    """Compare a checkpoint with a receipt or lock of this text, and with its own receipt."""

    def bad(folder: Path) -> Iterable[Finding]:
        good = checkpoints.saved(folder, checkpoints.sound)
        other = str(written(folder, text.encode(), name))
        return diff_files((good, other), DiffOptions()).right.findings

    def good(folder: Path) -> Iterable[Finding]:
        source = checkpoints.saved(folder, checkpoints.sound)
        own = str(folder / "receipt.json")
        convert(source, folder / "out.safetensors", receipt=own)
        return diff_files((source, own), DiffOptions()).right.findings

    return Case(bad, good)


def one_bit_flipped(folder: Path) -> str:
    path = checkpoints.saved(folder, checkpoints.sound)
    with open_checkpoint(path) as checkpoint:
        offset = checkpoint.tensors["norm.weight"].extents[0].offset
    data = bytearray(Path(path).read_bytes())
    data[offset] ^= 1
    Path(path).write_bytes(data)
    return path


def published(folder: Path) -> Iterable[Finding]:
    """Verify a file whose digest is the published one."""
    with mock.patch.dict(MAE.published, {"weights.pth": ""}):
        return saved(checkpoints.sound, published=True)(folder)


def with_checksums(given: bool) -> Iterable[Finding]:
    whole = evidence.evidence(evidence.trained())
    infos = whole.checkpoint.tensors
    extent = next(iter(infos.values())).extents[0]
    sums = (Checksum("data/0", extent, 0),) if given else ()
    checkpoint = Checkpoint("memory", "torch-zip", (), infos, checksums=sums)
    return check_checksums(whole._replace(checkpoint=checkpoint))


def tensor(*held: bytes, **geometry: bytes) -> bytes:
    return tf.torch_zip(p.dict_of((p.text("w"), p.tensor(*held, **geometry))))


CASES: Dict[str, Case] = {
    "FIL001": Case(verified(lambda folder: folder / "missing.pth"), SOUND),
    "FIL002": Case(holding(b"no checkpoint at all, only some words"), GOOD_SAFETENSORS),
    "FIL003": zipped("torchscript-code"),
    "FIL004": Case(meddled_with, SOUND),
    "FIL005": zipped("too-many-members"),
    "FIL006": Case(holding(b""), GOOD_ZIP),
    "FIL008": Case(
        verified(lambda folder: written(folder, tf.torch_zip(), "a.safetensors")),
        verified(lambda folder: written(folder, tf.torch_zip(), "a.pth")),
    ),
    "FIL009": Case(beside("w.gguf", b"GGUF\3\0\0\0"), beside("w.gguf", b"a text")),
    "FIL010": Case(saved(modules.small), SOUND),
    "FIL101": zipped("counts-differ-in-one-record"),
    "FIL102": zipped("appended-bytes"),
    "FIL103": zipped("name-climbs"),
    "FIL104": zipped("deflated"),
    "FIL105": Case(holding(tf.torch_zip(members={"version": None})), GOOD_ZIP),
    "FIL201": Case(
        holding(tf.torch_zip(members={"data.pkl": p.pickle(b"}") + p.pickle(b"N")})), GOOD_ZIP
    ),
    "FIL202": Case(holding(tf.torch_legacy() + b"x"), GOOD_LEGACY),
    "FIL203": Case(holding(tf.torch_tar(extra=tf.tar_member("x", b"", kind=b"2"))), GOOD_TAR),
    "FIL301": tensors("trailing-comma"),
    "FIL302": tensors("overlap"),
    "FIL303": Case(holding(st.ODDITIES["newline-behind-it"][0]()), GOOD_SAFETENSORS),
    "FIL401": Case(verified(shards.DEFECTS["shard-missing"][0]), verified(shards.good)),
    "FIL402": Case(verified(shards.TOTALS["a-fraction"]), verified(shards.good)),
    "FIL403": dcp("climbs"),
    "FIL404": dcp("chunk-missing"),
    "FIL405": Case(verified(distributed.with_another_file), verified(distributed.good)),
    "FIL406": Case(verified(distributed.good_parts), verified(distributed.good)),
    "FIL501": listed("receipt.json", '{"tool": "ckpttool"}'),
    "FIL502": listed("ckpttool.lock", f"{HEAD}\nlock 2\n"),
    "FIL503": Case(
        named_as_schema('{"ckpttool_schema": 1, "tensors": {"a": {"dtype": "int7", "shape": []}}}'),
        named_as_schema('{"ckpttool_schema": 1, "tensors": {"a": {"dtype": "int8", "shape": []}}}'),
    ),
    "FIL504": Case(
        named_as_schema('{"model_type": "bert"}'),
        named_as_schema('{"ckpttool_schema": 1, "tensors": {"a": {"dtype": "int8", "shape": []}}}'),
    ),
    "FIL505": Case(
        with_adapter('{"peft_type": "LORA", "r": 4, "lora_alpha": "8"}'),
        with_adapter('{"peft_type": "LORA", "r": 4, "lora_alpha": 8}'),
    ),
    "SEC001": Case(saved(checkpoints.attack_beside), SOUND),
    "SEC002": Case(holding(UNKNOWN_CALL), trusting("mylib.*")),
    "SEC003": Case(saved(checkpoints.object_beside), saved(checkpoints.namespace_beside)),
    "SEC004": Case(holding(tensor(p.text("0") + b"Q")), GOOD_ZIP),
    "SEC005": Case(SOUND, verified(releases.release)),
    "SEC006": Case(saved(checkpoints.training_run), saved(checkpoints.namespace_beside)),
    "SEC007": Case(saved(checkpoints.training_run), saved(checkpoints.namespace_beside)),
    "SEC008": Case(saved(checkpoints.function_beside), saved(checkpoints.called_beside)),
    "SEC010": Case(saved(checkpoints.namespace_beside), SOUND),
    "SEC011": Case(holding(scripts.program()), GOOD_ZIP),
    "SEC009": Case(trusting("mylib.rebuild"), trusting("mylib.other")),
    "INT001": Case(holding(tf.torch_zip(storages={"0": bytes(15)})), GOOD_ZIP),
    "INT002": Case(holding(tensor(offset=p.integer(1))), GOOD_ZIP),
    "INT003": Case(holding(tf.torch_zip(storages={})), GOOD_ZIP),
    "INT004": Case(verified(one_bit_flipped), SOUND),
    "INT005": Case(saved(sharing.bomb), saved(sharing.expanded)),
    "INT006": Case(saved(checkpoints.sound, published=True), published),
    "INT007": Case(lambda _: with_checksums(False), lambda _: with_checksums(True)),
    "INT008": zipped("name-twice"),
    "INT009": Case(saved(checkpoints.view_of_a_large_storage), SOUND),
    "INT010": Case(holding(tf.never_filled()), GOOD_ZIP),
}
