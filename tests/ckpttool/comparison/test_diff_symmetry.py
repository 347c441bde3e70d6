"""Exchanging two files exchanges the sides of the whole JSON report, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckpttool.comparison.diff import DiffOptions, diff_files
from ckpttool.findings.errors import UsageError
from tests.builders import pairs

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

NAN, INF = float("nan"), float("inf")
#: What a tensor may be, by the side's choice; ``None`` is to be missing.
TENSORS: Dict[str, Any] = {
    "ones": torch.ones(2, 3),
    "more": torch.full((2, 3), 1.5),
    "next": torch.nextafter(torch.ones(2, 3), torch.tensor(2.0)),
    "half": torch.ones(2, 3).half(),
    "third as bfloat16": torch.full((2, 3), 1 / 3).bfloat16(),
    "third": torch.full((2, 3), 1 / 3),
    "double": torch.ones(2, 3).double(),
    "turned": torch.ones(3, 2),
    "odd": torch.tensor([[NAN, INF, 1], [-INF, 0, -0.0]]),
    "odd in other places": torch.tensor([[1, NAN, INF], [-INF, -0.0, 0]]),
    "integers": torch.tensor([[2**62, -(2**62), 1], [0, 0, 0]]),
    "flags": torch.tensor([[True, False, True], [True] * 3]),
    "complex": torch.full((2, 3), 1 + 2j),
    "sparse": torch.eye(3).to_sparse(),
    "none": None,
}
NAMES = ("a.weight", "b.weight", "module.a.weight", "c")
SIDES = st.fixed_dictionaries(
    {
        "tensors": st.fixed_dictionaries(
            {name: st.sampled_from(sorted(TENSORS)) for name in NAMES}
        ),
        "tied": st.booleans(),
        "wrapper": st.sampled_from(["", "model", "state_dict"]),
        "beside": st.dictionaries(
            st.sampled_from(["epoch", "args", "best"]),
            st.one_of(st.integers(0, 3), st.sampled_from([NAN, INF, "text"]), st.lists(st.none())),
        ),
    }
)


def saved(folder: Path, name: str, side: dict[str, Any]) -> str:
    state = {name: TENSORS[choice] for name, choice in side["tensors"].items()}
    state = {name: tensor for name, tensor in state.items() if tensor is not None}
    state["always"] = torch.zeros(1)
    if side["tied"]:
        state["also"] = state["always"]
    wrapped = {side["wrapper"]: state} if side["wrapper"] else state
    return pairs.save(folder, name, {**wrapped, **(side["beside"] if side["wrapper"] else {})})


def report(left: str, right: str, options: DiffOptions) -> Any:
    try:
        return diff_files((left, right), options).to_dict()
    except UsageError as error:  # a pattern that matches nothing on either side
        return str(error)


def other_side(word: str) -> str:
    for here, there in (("left", "right"), ("right", "left")):
        if word == here or word.endswith((f"_{here}", f"only-{here}")):
            return word[: -len(here)] + there
    return word


def turned(value: Any) -> Any:
    """A report, or a part of it, with its sides exchanged."""
    if isinstance(value, list):
        return [turned(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {other_side(key): turned(item) for key, item in value.items()}
    if "class" in found:
        found["class"] = other_side(found["class"])
        side = found["left"] or found["right"]
        found["name"] = side["names"][0] if side else found["name"]
    if found.get("rounded") is not None:
        found["rounded"] = other_side(found["rounded"])
    if found.get("norm_change") is not None:
        found["norm_change"] = -found["norm_change"]
    return found


OPTIONS = [DiffOptions(), DiffOptions(atol=0.5), DiffOptions(rtol=0.1, equal_nan=True)]
OPTIONS += [DiffOptions(max_ulp=1), DiffOptions(exclude=("b*", "best"))]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(left=SIDES, right=SIDES, options=st.sampled_from(OPTIONS))
def test_exchanging_the_files_exchanges_the_json(
    tmp_path: Path, left: dict[str, Any], right: dict[str, Any], options: DiffOptions
) -> None:
    paths = saved(tmp_path, "left.pth", left), saved(tmp_path, "right.pth", right)
    assert turned(report(*paths, options)) == report(*paths[::-1], options)


KINDS: Dict[str, Callable[[Dict[str, Any]], Any]] = {
    "structure": lambda found: found["structure"],
    "state": lambda found: found["state"],
    "a moved tensor": lambda found: found["summary"]["moved"],
    "a renamed tensor": lambda found: found["summary"]["renamed"],
}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_is_exchanged_has_every_kind_in_it(tmp_path: Path, kind: str) -> None:
    """The case that would show an exchange that only tensors of the same name survive."""
    none = dict.fromkeys(NAMES, "none")
    left = {"tensors": {**none, "a.weight": "more", "b.weight": "third"}, "tied": True}
    right = {"tensors": {**none, "module.a.weight": "more", "c": "third"}, "tied": False}
    paths = (
        saved(tmp_path, "left.pth", {**left, "wrapper": "model", "beside": {"epoch": 1}}),
        saved(tmp_path, "right.pth", {**right, "wrapper": "state_dict", "beside": {"best": 2}}),
    )
    found = report(*paths, DiffOptions())
    assert KINDS[kind](found)
    assert turned(found) == report(*paths[::-1], DiffOptions())
    assert turned(found) != found
