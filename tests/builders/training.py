"""State of training runs, as files beside the weights hold it, and weights that look like it."""

from __future__ import annotations

import random
from typing import Any, Callable

import numpy as np
import torch

from tests.builders import pickles as p


def _trained() -> tuple[torch.optim.Optimizer, Any]:
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(2)).sum().backward()
    optimizer.step()
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)


SCALER = {
    "scale": 65536.0,
    "growth_factor": 2.0,
    "backoff_factor": 0.5,
    "growth_interval": 2000,
    "_growth_tracker": 0,
}
#: What each is called, and what makes it; a name with a blank is of another library.
STATES: dict[str, Callable[[], Any]] = {
    "state of an optimizer": lambda: _trained()[0].state_dict(),
    "state of a schedule": lambda: _trained()[1].state_dict(),
    "state of a gradient scaler": lambda: SCALER,
    "state of random number generators": lambda: {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "cpu": torch.get_rng_state(),
        "cuda": [torch.zeros(16, dtype=torch.uint8)],
    },
    "state of random number generators ": lambda: {
        "step": 7,
        "random_state": random.getstate(),
        "numpy_random_seed": np.random.get_state(),
        "torch_manual_seed": torch.get_rng_state(),
        "torch_cuda_manual_seed": [],
    },
}


#: Weights in structures that are nearly those of training state.
WEIGHTS: dict[str, object] = {
    "names": {"state": {"w": torch.ones(2)}, "param_groups": [{"params": [0]}]},
    "5": {"state": {5: {"w": torch.ones(2)}}, "param_groups": [{"params": [0]}]},
    "no group": {"state": {0: torch.ones(2)}, "param_groups": []},
    "bare tensors": {"state": {0: torch.ones(2)}, "param_groups": [{"params": [0]}]},
    "a state dict as the state of a parameter": {
        "state": {0: {"norm.w": torch.ones(2)}},
        "param_groups": [{"params": [0]}],
    },
    "weights in a group": {
        "state": {},
        "param_groups": [{"params": [0], "w": [torch.ones(2)] * 9}],
    },
    "parameters in a group": {"state": {}, "param_groups": [{"params": [torch.ones(2)]}]},
    "many generators": {"cuda": [torch.ones(8192).byte() for _ in range(9)]},
    "numbers in a schedule": {"last_epoch": 1, "w": [0.5] * 10_000},
    "weights beside": {
        "state": {},
        "param_groups": [{"params": []}],
        "model": {"w": torch.ones(2)},
    },
    "a generator of floats": {"cpu": torch.ones(2)},
    "a generator too large": {"cpu": torch.zeros(90_000, dtype=torch.uint8)},
    "a schedule with weights": {"last_epoch": 1, "w": torch.ones(2)},
    "a scaler with weights": {**SCALER, "w": torch.ones(2)},
    "bytes alone": torch.zeros(90_000, dtype=torch.uint8),
}


def arguments(*calls: bytes) -> bytes:
    """The pickle's body of a trainer's arguments at Hugging Face: an object, and enumerations."""
    strategy = p.call(p.name("transformers.trainer_utils", "IntervalStrategy"), p.text("no"))
    fields = [(p.text(str(number)), one) for number, one in enumerate((strategy, *calls))]
    made = p.new(p.name("transformers.training_args", "TrainingArguments"))
    return made + p.dict_of(*fields) + b"b"
