from __future__ import annotations

import argparse
import enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ckpttool.formats import open_checkpoint
from ckpttool.formats.state_dicts.settings import Setting, named, optimizers_of, settings_of
from tests.builders import checkpoints, honest, state_dicts

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")


class Mode(enum.Enum):
    MEAN = "mean"


class Pairs(enum.Enum):
    BOTH = (("a", 1), ("b", 2))


def settings(folder: Path, **beside: object) -> dict[str, object]:
    content = {"model": state_dicts.net(2, 4, 2), **beside}
    with open_checkpoint(checkpoints.saved(folder, lambda: content)) as checkpoint:
        found = settings_of(checkpoint)
    assert all(key == setting.key for key, setting in found.items())
    return {key: setting.value for key, setting in found.items()}


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        ({"epoch": 3, "arch": "vit", "ema": None}, {"epoch": 3, "arch": "vit", "ema": None}),
        ({"args": argparse.Namespace(lr=0.1, on=True)}, {"args.lr": 0.1, "args.on": True}),
        ({"hyper_parameters": {"mask_ratio": 0.75}}, {"hyper_parameters.mask_ratio": 0.75}),
        ({"args": {"img_size": [224, 192]}}, {"args.img_size": (224, 192)}),
        ({"args": {"model": {"width": 8}}}, {"args.model.width": 8}),
        ({"args": {"steps": [{"lr": 1}, {"lr": 2}]}}, {"args.steps.0.lr": 1, "args.steps.1.lr": 2}),
        ({"args": {"out": Path("runs/a")}}, {"args.out": "runs/a"}),
        ({"args": {"device": torch.device("cpu")}}, {"args.device": "cpu"}),
        ({"args": {"size": torch.Size([2, 3])}}, {"args.size": (2, 3)}),
        ({"run": {"cfg": {"depth": 4}}}, {"run.cfg.depth": 4}),
        ({"meta": {"epoch": 1, 7: "x"}}, {"meta.epoch": 1, "meta.7": "x"}),
        ({"best": {"args": np.float64(0.75)}}, {"best.args": 0.75}),
        ({"args": {"mode": Mode.MEAN}}, {"args.mode": "mean"}),
    ],
)
def test_a_setting_has_its_key_in_the_file_and_its_value(
    tmp_path: Path, beside: dict[str, Any], expected: dict[str, object]
) -> None:
    assert settings(tmp_path, **beside) == expected


@pytest.mark.parametrize(
    "beside",
    [
        pytest.param({"optimizer": state_dicts.optimizer(2, 4, 2)}, id="an optimizer"),
        pytest.param({"opt": state_dicts.optimizer(2, 4, 2)}, id="an optimizer by another name"),
        pytest.param({"vocabulary": {"a": 1, "b": 2}}, id="a vocabulary"),
        pytest.param({"args": {"classes": list(range(1000))}}, id="a long list"),
        pytest.param({"args": {"mean": torch.zeros(3)}}, id="a tensor"),
        pytest.param({"args": {"token": b"x"}}, id="bytes"),
        pytest.param({"args": {"rates": np.ones(2)}}, id="an array"),
        pytest.param({"args": {"pairs": Pairs.BOTH}}, id="an enumeration of more than values"),
        pytest.param({}, id="nothing"),
    ],
)
def test_what_is_no_setting_is_left_out(tmp_path: Path, beside: dict[str, Any]) -> None:
    assert settings(tmp_path, **beside) == {}


def test_a_configuration_of_omegaconf_has_the_settings_that_it_wraps(tmp_path: Path) -> None:
    pytest.importorskip("omegaconf")
    tree = honest.CONFIGURATION()
    assert settings(tmp_path, cfg=tree) == {
        "cfg.model.blocks.0.width": 8,
        "cfg.model.blocks.1.width": 16,
        "cfg.data.size": (224, 224),
    }


def test_an_entry_among_the_tensors_of_a_state_dict_is_no_setting(tmp_path: Path) -> None:
    with open_checkpoint(checkpoints.saved(tmp_path, state_dicts.module_state)) as checkpoint:
        assert settings_of(checkpoint) == {}


def test_a_million_settings_cost_no_more_than_a_bounded_number(tmp_path: Path) -> None:
    found = settings(tmp_path, args={f"s{number}": number for number in range(150_000)})
    assert 0 < len(found) <= 100_000


def test_a_deep_nesting_does_not_make_long_keys(tmp_path: Path) -> None:
    nested: dict[str, Any] = {"x": 1}
    for _ in range(100):
        nested = {"part": nested}
    assert all(len(key) < 500 for key in settings(tmp_path, args=nested))


def test_a_setting_is_found_by_the_first_of_its_names() -> None:
    found = {
        key: Setting(key, value)
        for key, value in (("args.img_size", 8), ("args.input_size", 16), ("cfg.img_size", 32))
    }
    assert named(found, "input_size", "img_size") == Setting("args.input_size", 16)
    assert named(found, "image_size", "img_size") == Setting("args.img_size", 8)
    assert named(found, "size") is None


def test_many_places_of_settings_cost_no_more_than_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ckpttool.formats.state_dicts.settings._MOST_VISITED", 4)
    eight = {f"s{number}": number for number in range(8)}
    found = settings(tmp_path, args=eight, cfg=eight, opts=eight)
    assert list(found) == ["args.s0", "args.s1", "args.s2", "cfg.s0", "cfg.s1", "cfg.s2"]


def of_optimizers(folder: Path, **beside: object) -> dict[str, object]:
    content = {"model": state_dicts.net(2, 4, 2), **beside}
    with open_checkpoint(checkpoints.saved(folder, lambda: content)) as checkpoint:
        return {one.key: one.value for one in optimizers_of(checkpoint)}


def groups(*rates: float) -> dict[str, object]:
    return {
        "state": {},
        "param_groups": [{"lr": rate, "betas": (0.9, 0.95), "params": [0]} for rate in rates],
    }


def test_the_settings_of_an_optimizer_are_those_of_its_groups(tmp_path: Path) -> None:
    assert of_optimizers(tmp_path, optimizer=groups(0.1)) == {
        "optimizer.param_groups.0.lr": 0.1,
        "optimizer.param_groups.0.betas": (0.9, 0.95),
    }


def test_optimizers_in_a_list_are_found_too(tmp_path: Path) -> None:
    found = of_optimizers(tmp_path, optimizer_states=[groups(0.1)], other={"g": groups(0.2)})
    assert found["optimizer_states.0.param_groups.0.lr"] == 0.1
    assert found["other.g.param_groups.0.lr"] == 0.2


def test_of_many_groups_the_first_are_shown(tmp_path: Path) -> None:
    found = of_optimizers(tmp_path, optimizer=groups(*(0.1 for _ in range(500))))
    assert {key.split(".")[2] for key in found} == {"0", "1"}


@pytest.mark.parametrize(
    "beside",
    [{}, {"args": {"lr": 0.1}}, {"optimizer": {"param_groups": 3}}, {"o": {"param_groups": [3]}}],
)
def test_what_has_no_groups_has_no_settings_of_an_optimizer(
    tmp_path: Path, beside: dict[str, object]
) -> None:
    assert of_optimizers(tmp_path, **beside) == {}
