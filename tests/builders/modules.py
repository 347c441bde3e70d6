"""Whole modules, as ``torch.save(model)`` pickles them, of classes that a reader does not have."""

from __future__ import annotations

import argparse
import contextlib
import copy
import sys
import types
import warnings
from typing import Any, Callable, Dict, Iterator

import torch
from torch import nn

#: A detector's classes, in the modules that public files name.
_TASKS = "ultralytics.nn.tasks"


def small() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 1))


class Everything(nn.Module):
    """A module with each kind of attribute that ``state_dict()`` lists or leaves out."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.embedding.weight  # tied
        self.again = self.embedding  # one module under two names
        self.scales = nn.ParameterList([nn.Parameter(torch.ones(2)) for _ in range(2)])
        self.parts = nn.ParameterDict({"x": nn.Parameter(torch.zeros(2))})
        self.heads = nn.ModuleDict({"a": nn.Linear(1, 1), "b": nn.Identity()})
        self.layers = nn.ModuleList([nn.Sequential(nn.Linear(1, 1), nn.Dropout())])
        self.register_parameter("bias", None)
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("nothing", None)
        self.register_buffer("mask", torch.ones(2, 2), persistent=False)
        self.stride = torch.tensor([8.0, 16.0])
        self.act = torch.nn.functional.relu


def with_everything() -> nn.Module:
    return Everything()


def normed() -> nn.Module:
    """The old functions: parameters are split or joined by a hook, the weight is an attribute."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weighted = nn.utils.weight_norm(nn.Linear(2, 2))
    return nn.Sequential(weighted, nn.utils.spectral_norm(nn.Linear(2, 2)), nn.LSTM(2, 2))


def parallel() -> nn.Module:
    return nn.DataParallel(small())


def averaged() -> nn.Module:
    return torch.optim.swa_utils.AveragedModel(small())


def attention() -> nn.Module:
    return nn.TransformerEncoderLayer(4, 2, 8)


def nested() -> nn.Module:
    """Deeper than other containers of tensors are looked into."""
    made: nn.Module = nn.Linear(1, 1)
    for _ in range(40):
        made = nn.Sequential(made, nn.ReLU())
    return made


def named_like_wrappers() -> nn.Module:
    """Parts whose names would be state dicts of their own in a dictionary."""
    made = nn.Module()
    for name in ("model", "ema", "teacher", "module", "G", "D", "optimizer"):
        made.add_module(name, nn.Linear(1, 1))
    return made


def of_old_torch() -> nn.Module:
    """Without the attributes that modules have since torch 1.6 and 2.0."""
    made = small()
    for module in made.modules():
        for name in (
            "_non_persistent_buffers_set",
            "_backward_pre_hooks",
            "_is_full_backward_hook",
            "_forward_hooks_with_kwargs",
            "_forward_hooks_always_called",
            "_forward_pre_hooks_with_kwargs",
            "_state_dict_pre_hooks",
            "_load_state_dict_post_hooks",
        ):
            module.__dict__.pop(name, None)
    return made


#: Modules whose state dict torch makes of their attributes alone.
MODULES: Dict[str, Callable[[], nn.Module]] = {
    make.__name__: make
    for make in (
        small, with_everything, normed, parallel, averaged, attention, nested, named_like_wrappers,
    )
}  # fmt: skip


@contextlib.contextmanager
def detector() -> Iterator[nn.Module]:
    """A detector of classes that are gone when the block is left."""
    made = {name: types.ModuleType(name) for name in ("ultralytics", "ultralytics.nn", _TASKS)}
    before = {name: sys.modules.get(name) for name in made}
    sys.modules.update(made)
    try:
        yield _detector(made[_TASKS])
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def _detector(tasks: types.ModuleType) -> nn.Module:
    for name in ("Conv", "Detect", "DetectionModel"):
        setattr(tasks, name, type(name, (nn.Module,), {"__module__": _TASKS}))
    model: nn.Module = tasks.DetectionModel()
    layers = []
    for width in (1, 2):
        conv = tasks.Conv()
        conv.conv, conv.bn = nn.Conv2d(width, 2, 1, bias=False), nn.BatchNorm2d(2)
        conv.act = nn.SiLU()
        layers.append(conv)
    head = tasks.Detect()
    head.cv2, head.stride = nn.ModuleList([nn.Conv2d(2, 1, 1)]), torch.zeros(3)
    model.model = nn.Sequential(*layers, head)
    settings = {"yaml": {"nc": 1}, "names": {0: "person"}, "args": argparse.Namespace(imgsz=640)}
    model.__dict__.update(settings)
    return model.half()


def release_of(model: nn.Module) -> dict[str, Any]:
    """What a release of that detector holds."""
    return {
        "epoch": -1,
        "best_fitness": None,
        "model": model,
        "ema": None,
        "updates": None,
        "optimizer": None,
        "train_args": {"task": "detect", "imgsz": 640},
        "date": "2024-01-01",
        "version": "8.1.0",
    }


def training_of(model: nn.Module) -> dict[str, Any]:
    """What its training writes: the average instead of the model."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    content = {"epoch": 3, "model": None, "ema": copy.deepcopy(model)}
    return {**content, "optimizer": optimizer.state_dict()}
