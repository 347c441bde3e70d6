"""Optimizers' state, recognised by its structure: it is no part of a model.

``torch.optim.Optimizer.state_dict()`` is ``{"state": {...}, "param_groups": [...]}``; wrappers of
optimizers (DeepSpeed, apex, Megatron) keep flat copies of the weights under keys of their own.
"""

from __future__ import annotations

from ckpttool.formats.pickles.nodes import Node

#: The key of the groups of parameters, each with its settings.
GROUPS = "param_groups"
# Keys of those copies. As large as the model, they would be taken for it.
_FLAT = frozenset(
    "fp32_flat_groups single_partition_of_fp32_groups base_optimizer_state fp32_groups_flat "
    "fp32_from_fp16_params fp32_from_fp16".split()
)
# Keys of the state for each parameter, of torch's optimizers and of Adafactor, CAME, 8-bit Adam.
_MOMENTS = frozenset(
    "exp_avg exp_avg_sq max_exp_avg_sq exp_inf exp_avg_sq_row exp_avg_sq_col exp_avg_res "
    "exp_avg_diff exp_avg_slow exp_grad_norm momentum_buffer square_avg grad_avg acc_delta sum "
    "state1 state2 qmap1 qmap2 absmax1 absmax2 max1 max2 new_max1 new_max2".split()
)
# Further keys, which a model may have as well: they count only beside one of the others.
_WITH_MOMENTS = _MOMENTS | {"step", "lr", "RMS", "previous_grad", "previous_update_grad"}


def is_optimizer(pairs: list[tuple[Node, Node]]) -> bool:
    """Whether a dictionary, or the attributes of an object, are those of an optimizer."""
    for key, value in pairs:
        if type(key) is str and (key in _FLAT or (key == GROUPS and isinstance(value, list))):
            return True
    return False


def are_moments(pairs: list[tuple[Node, Node]]) -> bool:
    """Whether a dictionary is an optimizer's state of one parameter, and nothing else."""
    if len(pairs) > len(_WITH_MOMENTS) or not all(type(key) is str for key, _ in pairs):
        return False
    names = {key for key, _ in pairs}
    return names <= _WITH_MOMENTS and bool(names & _MOMENTS)
