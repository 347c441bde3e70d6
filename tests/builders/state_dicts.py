"""Files as projects save them: several state dicts, nested ones, and what lies around them.

Each builder returns what goes into torch.save. Names of entries are those that public code uses.
"""

from __future__ import annotations

import argparse
import collections
from typing import Any, Dict

import torch
from torch import nn

State = Dict[str, torch.Tensor]


def net(*widths: int) -> State:
    """The state dict of linear layers: two tensors for each, with dotted names."""
    layers = [nn.Linear(*pair) for pair in zip(widths, widths[1:])]
    return dict(nn.Sequential(*layers).state_dict())


def layer(inner: int, outer: int) -> State:
    """The state dict of one linear layer, whose two names have no dot."""
    return dict(nn.Linear(inner, outer).state_dict())


def optimizer(*widths: int) -> dict[str, Any]:
    """Adam's state for such a net, which is twice as large."""
    moments = {
        number: {"step": torch.tensor(1.0), "exp_avg": tensor, "exp_avg_sq": tensor * 2}
        for number, tensor in enumerate(net(*widths).values())
    }
    return {"state": moments, "param_groups": [{"lr": 1e-3, "params": list(moments)}]}


def list_of_one() -> object:
    return {"state_dict": [net(4, 8, 4)], "acc": torch.tensor(0.9)}


def list_of_layers() -> object:
    return {"weights": [layer(4, 4), layer(4, 4)], "acc": torch.tensor(0.9)}


def weights_and_optimizer() -> object:
    return [net(4, 8, 4), optimizer(4, 8, 4)]


def epoch_and_weights() -> object:
    return 3, net(4, 8, 4)


def nested() -> object:
    layers = {f"l{n}": {"w": torch.rand(2, 2), "b": torch.rand(2)} for n in range(2)}
    return {"enc": layers, "dec": {"l0": {"w": torch.rand(2, 2)}}}


def nested_below_a_key() -> object:
    return {"model": {"encoder": net(4, 8, 4), "decoder": net(4, 4)}, "epoch": 1}


def encoder_and_decoder() -> object:
    return {"encoder": net(4, 8, 4), "decoder": net(4, 4, 2), "epoch": 1}


def encoder_and_decoder_of_one_layer() -> object:
    return {"encoder": layer(4, 8), "decoder": layer(8, 4), "optimizer": optimizer(4, 8)}


def gan() -> object:
    return {
        "G": net(4, 8, 4),
        "D": net(4, 8, 1),
        "G_ema": net(4, 8, 4),
        "optim_G": optimizer(4, 8, 4),
        "latent_avg": torch.rand(16),
    }


def gan_with_a_large_discriminator() -> object:
    return {"netG": layer(4, 8), "netD": layer(8, 7)}


def gan_below_keys() -> object:
    nets = {"G": {"state_dict": net(4, 8, 4)}, "D": {"state_dict": net(4, 8, 1)}}
    return {"nets": nets, "step": 7}


def cycle_gan() -> object:
    names = ("G_A", "G_B", "D_A", "D_B")
    return {name: net(4, 8, 4 if name[0] == "G" else 1) for name in names}


def averages_beside() -> object:
    weights = net(4, 8, 4)
    return {"epoch": 1, "state_dict": weights, "state_dict_ema": net(4, 8, 4), "arch": "vit"}


def optimizer_of_another_structure() -> object:
    """Moments by names of their own, and more of them than there are weights."""
    moments = {name: list(net(4, 8, 4).values()) for name in ("m", "v", "r")}
    return {"net": net(4, 8, 4), "opt_state": moments}


def averages_without_names() -> object:
    shadow = list(net(4, 8, 4).values())
    return {"state_dict": net(4, 8, 4), "ema": {"decay": 0.9, "shadow_params": shadow}}


def student_and_teacher() -> object:
    return {
        "student": net(4, 8, 4),
        "teacher": net(4, 8, 4),
        "optimizer": optimizer(4, 8, 4),
        "dino_loss": {"center": torch.rand(1, 8)},
    }


def lightning() -> object:
    return {
        "state_dict": net(4, 8, 4),
        "callbacks": {"ModelCheckpoint{'every': 1.5}": {"best_model_score": torch.tensor(0.5)}},
        "optimizer_states": [optimizer(4, 8, 4), optimizer(4, 8)],
        "loops": {},
    }


def fairseq() -> object:
    return {
        "args": argparse.Namespace(arch="base"),
        "model": net(4, 8, 4),
        "extra_state": {"val_loss": torch.tensor(0.3)},
        "last_optimizer_state": optimizer(4, 8, 4),
    }


def ordered_with_metadata() -> object:
    state = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8)).state_dict()
    assert isinstance(state, collections.OrderedDict)
    return {"meta": {"epoch": 1}, "state_dict": state, "optimizer": {"g": optimizer(4, 8)}}


def in_a_namespace() -> object:
    return argparse.Namespace(epoch=1, state_dict=net(4, 8, 4))


def integer_keys() -> object:
    return {0: torch.rand(3), 1: torch.rand(3)}


def tensors_in_a_tuple() -> object:
    return {**net(4, 8), "fc._packed": (torch.rand(4, 4), None)}


def embedding_of_a_token() -> object:
    """A textual inversion: one vector, and the number of its token."""
    return {
        "string_to_token": {"*": torch.tensor(265)},
        "string_to_param": {"*": nn.Parameter(torch.rand(4, 8))},
        "name": "style",
    }


def quantized() -> object:
    """What the state dict of a dynamically quantized layer holds."""
    weight = torch.quantize_per_tensor(torch.rand(64, 64), 0.1, 0, torch.qint8)
    return {
        "fc.scale": torch.tensor(1.0),
        "fc._packed_params.dtype": torch.qint8,
        "fc._packed_params._packed_params": (weight, torch.rand(64)),
    }


class Memory:
    """An object with tensors under keys that are no names."""

    def __init__(self, size: int) -> None:
        self.seen = {(0, "keys"): torch.ones(size, size)}


def memory_beside() -> object:
    return {"state_dict": net(4, 4), "memory": Memory(64)}


def module_beside() -> object:
    return {"state_dict": net(4, 4), "best": nn.Linear(64, 64)}


def module_state() -> object:
    return {**net(4, 8), "0._extra_state": {"amax": 1.5}, "version": "1.2", "steps": None}


def with_a_vocabulary() -> object:
    """What a recogniser of text needs, between what its training went on by."""
    letters = {letter: number for number, letter in enumerate("abc")}
    return {"model": net(4, 8), "optimizer": optimizer(8, 16), "epoch": 3, "vocabulary": letters}
