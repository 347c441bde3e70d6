"""Folders of DeepSpeed ZeRO, laid out as its release 0.19 does, without DeepSpeed."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Mapping, Sequence, Tuple

import torch

MODEL = "mp_rank_00_model_states.pt"
PADDING = -1.0  # no element of a parameter has it


def rank_file(rank: int) -> str:
    return f"zero_pp_rank_{rank}_mp_rank_00_optim_states.pt"


def model_file(rank: int) -> str:
    return f"zero_pp_rank_{rank}_mp_rank_00_model_states.pt"


def groups() -> List[Dict[str, torch.Tensor]]:
    """Two groups of parameters whose sizes no number of processes divides."""
    count = torch.arange(100.0)
    return [
        {"a.weight": count[:15].reshape(3, 5), "b.weight": count[15:22].reshape(7, 1)},
        {"a.bias": count[22:25], "scale": count[25:26].reshape(())},
    ]


def state() -> Dict[str, torch.Tensor]:
    """What the folder holds, buffers first."""
    return {
        "steps": torch.arange(4),
        **{name: tensor for group in groups() for name, tensor in group.items()},
        "tied.weight": groups()[0]["a.weight"],
    }


def _model(module: Mapping[str, torch.Tensor]) -> Dict[str, object]:
    return {
        "module": dict(module),
        "buffer_names": ["steps"],
        "param_shapes": [{name: one.shape for name, one in group.items()} for group in groups()],
        "frozen_param_shapes": None,
        "frozen_param_fragments": None,
        "shared_params": {"tied.weight": "a.weight"},
        "ds_version": "0.19.8",
        "global_steps": 7,
    }


def stage_2(folder: Path, processes: int = 3, padding: Sequence[int] = ()) -> Path:
    """ZeRO-1 or 2, with so much padding behind each parameter of the first group."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(_model(state()), folder / MODEL)
    first, second = (list(group.values()) for group in groups())
    parts = [_parts(one, processes) for one in (_flat(first, padding), _flat(second, ()))]
    for rank in range(processes):
        zero: Dict[str, object] = {
            "zero_stage": 2,
            "partition_count": [processes, processes],
            "single_partition_of_fp32_groups": [one[rank] for one in parts],
        }
        if padding:
            zero["param_alignment_paddings"] = [list(padding), [0, 0]]
        torch.save({"optimizer_state_dict": zero}, folder / rank_file(rank))
    return folder


def stage_3(folder: Path, processes: int = 3) -> Path:
    """ZeRO-3, with the flat tensors in several."""
    folder.mkdir(parents=True, exist_ok=True)
    every = {name: one for group in groups() for name, one in group.items()}
    pieces = {name: _parts(one.reshape(-1), processes, even=True) for name, one in every.items()}
    empty = {name: torch.empty(0) for name in every}
    for rank in range(processes):
        torch.save(_model({**empty, "steps": torch.arange(4)}), folder / model_file(rank))
        own = [one[rank] for one in pieces.values()]
        zero = {
            "zero_stage": 3,
            "partition_count": processes,
            "fp32_flat_groups": [torch.cat(own[:2]), torch.cat(own[2:])],
        }
        torch.save({"optimizer_state_dict": zero}, folder / rank_file(rank))
    return folder


def changed(path: Path, *keys: str, value: object) -> None:
    """Put a value where the keys lead in a file that was written."""
    content = torch.load(path, weights_only=True)
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    torch.save(content, path)


def _flat(tensors: Sequence[torch.Tensor], padding: Sequence[int]) -> torch.Tensor:
    behind: Tuple[int, ...] = (*padding, *[0] * (len(tensors) - len(padding)))
    filled = [(one.reshape(-1), torch.full((pad,), PADDING)) for one, pad in zip(tensors, behind)]
    return torch.cat([part for pair in filled for part in pair])


def _parts(flat: torch.Tensor, processes: int, *, even: bool = False) -> List[torch.Tensor]:
    """The parts of all processes, as long as each other; DeepSpeed aligns those of a group."""
    align = processes if even else 2 * processes
    padding = torch.full((-flat.numel() % align,), PADDING)
    whole = torch.cat([flat, padding])
    length = whole.numel() // processes
    return [whole[rank * length : (rank + 1) * length].clone() for rank in range(processes)]
