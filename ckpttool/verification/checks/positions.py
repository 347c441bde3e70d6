"""Checks for position tables that are not the computed one of their model."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Iterator

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.rules import Severity
from ckpttool.models.family import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.findings.results import PositionTable
    from ckpttool.models.family import Family, ModelConfig
    from ckpttool.tensors.catalogue import TensorBytes
    from ckpttool.tensors.values import Values
    from ckpttool.verification.evidence import Evidence

# Findings that say more about a table than that it differs.
_SPOILT = (rules.NAN.code, rules.INFINITE.code, rules.ALL_ZERO.code, rules.CONSTANT.code)

# Where the rule's own way is none.
_FIXES = {
    "trained": "If this is part of a fine-tuned model, accept it with a waiver: pretraining leaves "
    "the table as it was computed.",
    "learned": "If the model learned its table, keep it and accept this with a waiver; else write "
    "the computed table in its place.",
    "class-token": "Make the first row zeros, as that of the class token, and let those of the "
    "patches follow.",
    "swapped": "If the weights were trained so, keep it: they need the table they were trained "
    "with. Else write the table again with x first.",
}

# Rows of a grid are the same in half of the width, but for the rounding of an interpolation.
_GRID_TOLERANCE = 1e-6

# The kinds of files in which fine-tuning has trained the table.
_FINE_TUNED = (Kind.CLASSIFIER, Kind.BACKBONE)


def check_position_tables(evidence: Evidence) -> Iterator[Finding]:
    """Position tables that are not the 2-D sine-cosine table, nor interpolated from one."""
    from ckpttool.models import position_tables as kinds  # late: numpy

    if evidence.is_other:
        return  # its positions are its own, as those of several images or channels are
    computed = (kinds.SIN_COS, kinds.INTERPOLATED, kinds.STRETCHED)
    for name, table in position_tables(evidence).items():
        positions = evidence.family.tables[name](evidence.config)
        grid = (positions.rows, positions.columns) if positions else table.grid
        if table.kind in computed and table.grid == grid:
            continue
        if table.kind == kinds.TRAINED and _kind(evidence) in _FINE_TUNED:
            continue
        if table.kind == kinds.LEARNED and _kind(evidence) is not Kind.FULL:
            whose = "as in a supervised, DINO or DeiT ViT, not in an MAE"
            message = f"the table is {table.text}, {whose}"
            if _is_said_to_be_other(evidence):
                message += ", and config.json says that it is none"
                yield finding(
                    rules.LEARNED_POSITIONS,
                    message,
                    tensors=[name],
                    severity=Severity.NOTE,
                    fix="",
                )
            else:
                yield finding(rules.LEARNED_POSITIONS, message, tensors=[name])
            continue
        same = table.grid == grid or table.kind not in computed
        there = "" if same else f", where the model has {grid[0]} x {grid[1]} patches"
        yield finding(
            rules.POS_EMBED,
            f"the table is {table.text}{there}",
            tensors=[name],
            fix=_FIXES.get(table.kind) if same else _asking_for(evidence, table.grid),
            follows=_SPOILT,
            expected=f"at most {table.tolerance:.3g}",
            found=f"{table.error:.3g}",
        )


def _is_said_to_be_other(evidence: Evidence) -> bool:
    """Whether the folder says that it is another model with this core, and nobody asked for MAE."""
    kind = (evidence.release_files.config or {}).get("model_type")
    return not evidence.asked and kind in evidence.family.config_file.of_core


def _asking_for(evidence: Evidence, grid: tuple[int, int] | None) -> str:
    patch = getattr(evidence.config, "patch_size", None)
    if not grid or not patch:
        return "Ask for the size of the images that the table is for."
    rows, columns = grid
    return f"If the table is right, pass --img-size {rows * patch}x{columns * patch}."


def _kind(evidence: Evidence) -> Kind:
    judged = evidence.judged
    return Kind.FULL if judged is None or judged.kind is None else judged.kind


def position_tables(evidence: Evidence) -> dict[str, PositionTable]:
    """Return what each position table is that was read and has the model's shape."""
    limit = evidence.limits.position_table
    found = {}
    for name in evidence.family.tables:
        stored = evidence.values.kept.get(name)
        if stored is not None:
            table = _recognised(evidence.family, evidence.config, name, _Stored(stored), limit)
            if table is not None:
                found[name] = table
    return found


def pos_embed_errors(evidence: Evidence) -> dict[str, float]:
    """Return the largest absolute error of each position table, correct ones included."""
    return {name: table.error for name, table in position_tables(evidence).items()}


class _Stored:
    """A table in memory, which is the same as itself alone: its bytes have no hash."""

    def __init__(self, content: TensorBytes) -> None:
        self.content = content

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Stored) and self.content.data is other.content.data

    def __hash__(self) -> int:
        return id(self.content.data)


@lru_cache(maxsize=2)  # the check, the summary and the diagnosis ask for the same ones
def _recognised(
    family: Family, config: ModelConfig, name: str, table: _Stored, limit: float
) -> PositionTable | None:
    from ckpttool.models.position_tables import recognise  # late: numpy

    positions = family.tables[name](config)
    found = _numbers(table.content, family.shapes(config).get(name))
    if positions is None or found is None:
        return None
    values, rounding = found
    return recognise(values, positions, max(limit, rounding))


def shown_grid(family: Family, config: ModelConfig, values: Values) -> tuple[int, int] | None:
    """Return rows and columns of patches, where the values show others than the model has."""
    from ckpttool.models.position_tables import grid_shown  # late: numpy

    shapes = family.shapes(config)
    for name, computed in family.tables.items():
        positions, stored = computed(config), values.kept.get(name)
        found = _numbers(stored, shapes.get(name)) if stored else None
        if found and positions:
            grid = grid_shown(found[0], positions, max(found[1], _GRID_TOLERANCE))
            if grid is not None:
                return grid if grid != (positions.rows, positions.columns) else None
    return None


def _numbers(
    stored: TensorBytes, shape: tuple[int, ...] | None
) -> tuple[NDArray[Any], float] | None:
    """Return a table (tokens, width), and how far its type rounds; ``None`` if it is none."""
    from ckpttool.tensors.numpy_arrays import numbers

    # another shape is a finding of check_shapes
    if shape is None or stored.dtype.kind != "float" or stored.shape != shape:
        return None
    values = numbers(stored.dtype, stored.data)
    encoding = stored.dtype.encoding
    # a type without a sign (float8_e8m0fnu) cannot hold a sine
    if values is None or encoding is None or not stored.dtype.signed:
        return None
    # sines are at most 1, where rounding errs by up to half a step of the mantissa
    return values.reshape(shape[-2:]), 2.0 ** -(encoding.mantissa + 1)
