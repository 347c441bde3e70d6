"""A comparison as a machine reads it; its fields are documented in ``docs/diff.md``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TextIO

from ckpttool.reports.machine.json import dump, file_fields, head

if TYPE_CHECKING:
    from ckpttool.comparison.result import Change, Comparison, Largest, Side, TensorDiff


# What is said of the elements of a tensor that is the same.
_NOTHING = {"changed": 0}


def write_comparison_json(comparison: Comparison, stream: TextIO) -> None:
    """Write the report."""
    dump(
        {
            **head("diff"),
            "verdict": comparison.outcome.value,
            "exit_code": comparison.exit_code,
            "left": file_fields(comparison.left),
            "right": file_fields(comparison.right),
            "summary": {kind.value: number for kind, number in comparison.counts.items()},
            "summary_beside": {
                kind.value: number for kind, number in comparison.counts_beside.items()
            },
            "tolerance": comparison.tolerance or None,
            "excluded": comparison.excluded,
            "left_aside": dict(zip(("left", "right"), comparison.aside)),
            "not_compared": comparison.notes,
            "structure": [fact._asdict() for fact in comparison.structure],
            "tensors": [_tensor(tensor) for tensor in comparison.tensors],
            "beside": [_tensor(tensor) for tensor in comparison.beside],
            "state": [entry._asdict() for entry in comparison.state],
        },
        stream,
    )


def _tensor(tensor: TensorDiff) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "class": tensor.kind.value,
        "same": tensor.same,
        "left": _side(tensor.left),
        "right": _side(tensor.right),
        "note": tensor.note,
        **(_change(tensor.change) if tensor.change else _NOTHING if tensor.same else {}),
    }


def _side(side: Side | None) -> dict[str, Any] | None:
    return None if side is None else side._asdict()


def _change(change: Change) -> dict[str, Any]:
    fields = change._asdict()
    for name in ("max_abs", "max_rel"):
        largest: Largest | None = fields[name]
        fields[name] = None if largest is None else largest.value
        fields[f"{name}_at"] = None if largest is None else _place(largest)
    return fields


def _place(largest: Largest) -> dict[str, Any]:
    return {"index": largest.at, "left": _plain(largest.left), "right": _plain(largest.right)}


def _plain(value: object) -> object:
    return str(value) if isinstance(value, complex) else value
