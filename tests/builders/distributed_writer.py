"""Saves checkpoints with torch.distributed.checkpoint, from 1, 2 and 4 processes: run as a script.

``python -m tests.builders.distributed_writer FOLDER`` leaves ``FOLDER/dcp-N`` as N processes wrote
it and ``FOLDER/dcp-N.pth``, which is what torch makes of it, and the same for ``fsdp-N``. In
``parts-N`` are safetensors files of parts, and ``safe-N`` keeps its tensors as safetensors.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Dict, Sequence

import torch
import torch.distributed as dist
from torch import nn
from torch._C._distributed_c10d import FileStore
from torch.distributed.checkpoint import filesystem, state_dict_saver
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save
from torch.distributed.checkpoint.state_dict import get_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.multiprocessing.spawn import start_processes

#: How many processes write.
WORLDS = (1, 2, 4)
#: Shapes that no number of processes divides, and some that it does.
SHAPES = {"rows.weight": (7, 6), "wide.weight": (8, 12), "one": (1, 5), "deep": (3, 5, 4)}


def whole() -> Dict[str, torch.Tensor]:
    """The tensors that are cut, the same in every process."""
    made = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=made) for name, shape in SHAPES.items()}


def _cut(world: int) -> Dict[str, Any]:
    """Tensors in all the ways in which processes can share them."""
    from torch.distributed.tensor import DTensor, Placement, Replicate, Shard
    from torch.distributed.tensor import distribute_tensor as distribute

    def shared(tensor: torch.Tensor, mesh: Any, placements: Sequence[Placement]) -> DTensor:
        # each process has the data: gloo cannot send all types
        return distribute(tensor, mesh, placements, src_data_rank=None)

    line = init_device_mesh("cpu", (world,))
    model: Dict[str, Any] = {}
    for name, tensor in whole().items():
        for axis in range(tensor.ndim):
            model[f"{name}.axis{axis}"] = shared(tensor, line, [Shard(axis)])
        model[f"{name}.same"] = shared(tensor, line, [Replicate()])
    if world == 4:
        grid = init_device_mesh("cpu", (2, 2), mesh_dim_names=("data", "model"))
        for name, tensor in whole().items():
            model[f"{name}.grid"] = shared(tensor, grid, [Shard(1), Shard(0)])
            model[f"{name}.mixed"] = shared(tensor, grid, [Replicate(), Shard(1)])
            model[f"{name}.twice"] = shared(tensor, grid, [Shard(0), Shard(0)])
    for dtype in (torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.int8, torch.bool):
        numbers = torch.arange(30).reshape(5, 6).to(dtype)
        model[f"of.{dtype}".replace(".torch.", ".")] = shared(numbers, line, [Shard(1)])
    imaginary = torch.complex(torch.arange(6.0), -torch.arange(6.0)).reshape(2, 3)
    model["complex"] = shared(imaginary, line, [Shard(1)])
    model["double.complex"] = shared(imaginary.to(torch.complex128), line, [Shard(1)])
    return model


def _plain() -> Dict[str, Any]:
    """Tensors that each process has whole."""
    return {
        "single": torch.tensor(3.5),
        "empty": torch.empty(0, 3),
        "turned": torch.arange(12.0).reshape(4, 3).t(),
        "channels": torch.arange(24.0)
        .reshape(1, 2, 3, 4)
        .contiguous(memory_format=torch.channels_last),
        "view": torch.arange(10.0)[2:5],
    }


def _fully_sharded(world: int) -> Dict[str, Any]:
    """A model and its optimizer as FSDP2 has them, after a step."""
    from torch.distributed.fsdp import fully_shard

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.LayerNorm(5), nn.Linear(5, 3))
    if world > 1:
        for layer in model:
            fully_shard(layer)
        fully_shard(model)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(2, 6)).sum().backward()
    optimizer.step()
    weights, moments = get_state_dict(model, optimizer)
    return {"model": weights, "optimizer": moments}


def _work(rank: int, world: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = FileStore(f"{folder}/store-{world}", world)
    dist.init_process_group("gloo", rank=rank, world_size=world, store=store)
    model = {**_cut(world), **_plain()}
    beside = {"epoch": 3, "args": {"lr": 0.1, "names": ["a", "b"]}, "note": None}
    state_dict_saver.save({"model": model, **beside}, checkpoint_id=f"{folder}/dcp-{world}")
    state_dict_saver.save(_fully_sharded(world), checkpoint_id=f"{folder}/fsdp-{world}")
    _write_safetensors(world, folder, model)
    dist.barrier()
    dist.destroy_process_group()


def _write_safetensors(world: int, folder: str, model: Dict[str, Any]) -> None:
    try:
        from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    except ImportError:
        return
    kept = {
        name: tensor.contiguous()
        for name, tensor in model.items()
        if "complex" not in name and "bool" not in name and tensor.numel()
    }
    parts = HuggingFaceStorageWriter(f"{folder}/parts-{world}", save_distributed=True)
    state_dict_saver.save(kept, storage_writer=parts)
    safe = filesystem.FileSystemWriter(
        f"{folder}/safe-{world}",
        serialization_format=filesystem.SerializationFormat.SAFETENSORS,
    )
    state_dict_saver.save({**kept, "epoch": 3}, storage_writer=safe)


def main(folder: str) -> None:
    """Write all folders."""
    os.environ["OMP_NUM_THREADS"] = "1"
    for world in WORLDS:
        # forked, since each would take seconds to import torch anew
        processes: Any = start_processes
        processes(_work, (world, folder), nprocs=world, start_method="fork")
    for name in (f"{kind}-{world}" for kind in ("dcp", "fsdp") for world in WORLDS):
        dcp_to_torch_save(f"{folder}/{name}", f"{folder}/{name}.pth")


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(exist_ok=True)
    main(sys.argv[1])
