"""The forward pass against transformers' ViTMAE: ``python -m benchmarks.forward``.

Needs transformers, of the ``dev`` extra. Both models hold the same weights; the encoder alone and
the whole model are each timed on one image at 50 tokens (three quarters masked) and at 197 (none
masked), interleaved, medians of the repeats.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable

import torch
from safetensors.torch import save_file

from benchmarks.measure import Row
from benchmarks.results import report
from ckpttool import open_checkpoint
from ckpttool.models.canonical import canonicalize
from ckpttool.models.forward import multiply_through_onednn
from ckpttool.tensors import gather
from ckpttool.tensors.catalogue import TensorInfo
from mae.large import mae_vit_large_patch16

LIMIT = 0.85


def main() -> int:
    """Measure, print the table, and exit 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    rows = [row for ratio in (0.75, 0.0) for row in compare(ratio, options.repeats)]
    return report("forward", rows)


def compare(mask_ratio: float, repeats: int) -> list[Row]:
    """Time both models on one image at one mask ratio: the encoder, then all of it."""
    ours, theirs = mae_vit_large_patch16().eval(), vitmae(mask_ratio)
    copy_weights(ours, theirs)
    multiply_through_onednn(ours)  # as verify runs it
    image = torch.linspace(-2, 2, 3 * 224 * 224).reshape(1, 3, 224, 224)
    noise = torch.linspace(0, 1, 196).reshape(1, 196)

    def encode_ours() -> Any:
        return ours.forward_encoder(image, mask_ratio, noise=noise)[0]

    def encode_theirs() -> Any:
        return theirs.vit(image, noise=noise).last_hidden_state

    def run_ours() -> Any:
        return ours(image, mask_ratio, noise=noise)[1]

    def run_theirs() -> Any:
        return theirs(image, noise=noise).logits

    tokens = int(196 * (1 - mask_ratio)) + 1
    races = {"encoder": (encode_ours, encode_theirs), "full": (run_ours, run_theirs)}
    return [race(f"{part}, {tokens} tokens", *runs, repeats) for part, runs in races.items()]


def race(what: str, ours: Callable[[], Any], theirs: Callable[[], Any], repeats: int) -> Row:
    """Time two runs that must give the same."""
    with torch.inference_mode():
        # the same weights must give the same outputs, or the race means nothing
        torch.testing.assert_close(ours(), theirs(), rtol=1e-3, atol=1e-3)
        mine, yard = interleaved((ours, theirs), repeats)
    return Row(
        what,
        "transformers ViTMAE",
        f"{mine / yard:.2f} x ({1000 * mine:.0f} ms)",
        f"at most {LIMIT:g} x",
        mine <= LIMIT * yard,
    )


def interleaved(runs: tuple[Callable[[], Any], ...], repeats: int) -> list[float]:
    """Return the median seconds of each, taken in turn."""
    taken: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats):
        for run, seconds in zip(runs, taken):
            begin = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - begin)
    return [statistics.median(seconds) for seconds in taken]


def vitmae(mask_ratio: float) -> Any:
    """Return transformers' ViTMAE-Large in its fastest attention."""
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    config = ViTMAEConfig(
        hidden_size=1024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4096,
        layer_norm_eps=1e-6,
        mask_ratio=mask_ratio,
        attn_implementation="sdpa",
    )
    return ViTMAEForPreTraining(config).eval()


def copy_weights(ours: Any, theirs: Any) -> None:
    """Give our model transformers' weights, through a file and the table of its layout."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model.safetensors")
        save_file(theirs.state_dict(), path)
        with open_checkpoint(path) as checkpoint:
            state = {
                name: torch.frombuffer(contiguous_bytes(info), dtype=torch.float32).reshape(
                    info.shape
                )
                for name, info in canonicalize(checkpoint.tensors).tensors.items()
            }
    ours.load_state_dict(state)


def contiguous_bytes(info: TensorInfo) -> bytearray:
    """Return a tensor's bytes in memory."""
    data = bytearray(info.nbytes)
    gather.fill(info, 0, memoryview(data))
    return data


if __name__ == "__main__":
    sys.exit(main())
