"""Small models after their examination, sound and defective, for the checks on numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict

import numpy as np

from ckpttool.findings.results import Coverage, ForwardSummary, GroupCoverage, OutputSummary
from ckpttool.models.canonical import Canonical
from ckpttool.models.families.mae import MAE
from ckpttool.tensors.catalogue import Checkpoint, Checksum, TensorInfo
from ckpttool.tensors.contents import same_contents
from ckpttool.tensors.dtypes import DTYPES
from ckpttool.tensors.values import start_values
from ckpttool.verification.evidence import Evidence
from mae.config import MAEConfig
from mae.large.pos_embed import get_2d_sincos_pos_embed
from tests.builders import tensors as built

if TYPE_CHECKING:
    from typing import Iterable, Mapping

    from numpy.typing import NDArray

    from ckpttool.models.family import Family

Arrays = Dict[str, "NDArray[Any]"]
Change = Callable[[Arrays], None]

#: A model of 3 blocks and 2 decoder blocks on 2 x 2 patches.
TINY = MAEConfig(
    embed_dim=8, depth=3, num_heads=2, img_size=32, decoder_embed_dim=4, decoder_depth=2
)


def trained() -> Arrays:
    """Weights in which nothing is wrong: random where weights are learnt, exact tables."""
    random = np.random.default_rng(0)
    arrays: Arrays = {}
    for side, depth, width in (("blocks", 3, 8), ("decoder_blocks", 2, 4)):
        for number in range(depth):
            block = f"{side}.{number}"
            arrays[f"{block}.norm1.weight"] = random.normal(1, 0.1, width)
            arrays[f"{block}.norm1.bias"] = random.normal(0, 0.1, width)
            arrays[f"{block}.mlp.fc1.weight"] = random.normal(0, 0.1, (width, width))
            arrays[f"{block}.mlp.fc1.bias"] = random.normal(0, 0.1, width)
    arrays["decoder_norm.weight"] = random.normal(1, 0.1, 4)
    arrays["decoder_norm.bias"] = random.normal(0, 0.1, 4)
    arrays["pos_embed"] = get_2d_sincos_pos_embed(8, 2, cls_token=True)[None]
    arrays["decoder_pos_embed"] = get_2d_sincos_pos_embed(4, 2, cls_token=True)[None]
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def untrained() -> Arrays:
    """Weights as initialised: LayerNorms at 1 and 0, biases at 0, weights random."""
    arrays = trained()
    for name, array in arrays.items():
        if name.endswith(".bias"):
            array[:] = 0
        elif "norm" in name:
            array[:] = 1
    return arrays


def evidence(
    tensors: Arrays | Mapping[str, TensorInfo],
    *,
    forward: ForwardSummary | None = None,
    checksums: Iterable[Checksum] = (),
    coverage: Coverage | None = None,
    family: Family = MAE,
) -> Evidence:
    """Examine arrays (or tensors as they are) as verify does, without a file and a model."""
    infos = {
        name: given if isinstance(given, TensorInfo) else built.from_array(given, name)
        for name, given in tensors.items()
    }
    checkpoint = Checkpoint("memory", "torch-zip", (), infos, checksums=tuple(checksums))
    kept = tuple(family.tables)
    with start_values(infos, checkpoint.checksums, keep=kept, digests=False, workers=1) as run:
        values = run.result()
    return Evidence(
        checkpoint=checkpoint,
        canonical=Canonical("facebook", "", infos, {}, (), ()),
        family=family,
        config=TINY,
        coverage=coverage or covering(()),
        values=values,
        forward=forward or ForwardSummary("not-run", "not asked for"),
        require=family.core,
        contents=same_contents(infos, values, workers=1),
    )


def covering(unexpected: Iterable[str]) -> Coverage:
    """Return the coverage of a file in which only some names are not the model's."""
    whole = GroupCoverage(1, 1, (), (), 1, 1)
    return Coverage("tiny", {"encoder": whole, "decoder": whole}, tuple(unexpected))


def as_bfloat16(array: NDArray[Any], name: str) -> TensorInfo:
    """An array's elements as bfloat16, rounded towards zero."""
    halves = (array.astype("<f4").view("<u4") >> 16).astype("<u2")
    return TensorInfo(
        name,
        DTYPES["bfloat16"],
        array.shape,
        None,
        built.in_memory(halves.tobytes(), "bfloat16", array.shape).extents,
    )


def sane_forward() -> ForwardSummary:
    """A full forward pass of two images in which nothing is wrong."""
    return ForwardSummary(
        "run",
        scope="full",
        outputs={
            "features": OutputSummary((2, 2, 8), 0.0, 1.0, -3.0, 3.0, True),
            "pred": OutputSummary((2, 4, 768), 0.0, 1.0, -3.0, 3.0, True),
        },
        difference=0.5,
        loss=1.0,
    )


def honest_buffers() -> Arrays:
    """What files hold on purpose beside weights, and what looks like a weight that was lost."""
    causal = np.triu(np.full((4, 4), -np.inf), 1)
    mel = np.linspace(0, 1, 24).reshape(4, 6)
    return {
        name: np.asarray(array, np.float32)
        for name, array in {
            "blocks.0.attn.scale": np.full((1, 1, 1, 1), 0.125),
            "blocks.0.attn.bias_mask": np.zeros((1, 1, 4, 4)),
            "blocks.0.attn.causal": causal,
            "blocks.1.attn.causal": causal,
            "conv.weight_g": np.ones((8, 1, 1)),
            "bn1.running_var": np.ones(8),
            "bn2.running_var": np.ones(8),
            "bn1.bias": np.arange(8) / 10,
            "bn2.bias": np.arange(8) / 10,
            "blocks.0.lora_B.weight": np.zeros((8, 2)),
            "blocks.0.adaLN_modulation.weight": np.zeros((6, 8)),
            "zero_conv.weight": np.zeros((8, 8, 1, 1)),
            "blocks.0.gamma_1": np.full(8, 0.1),
            "blocks.0.rotary.inv_freq": 1.0 / np.arange(1, 5),
            "blocks.1.rotary.inv_freq": 1.0 / np.arange(1, 5),
            "mel.filterbank": mel,
            "teacher.mel.filterbank": mel,
            "anchors": np.full((3, 2), 32.0),
        }.items()
    }
