"""Nodes as the reader of pickles makes them, without a pickle."""

from __future__ import annotations

from typing import Any

from ckpttool.formats.pickles.nodes import Call, Dict, Global, New, PersistentId


def dict_node(*pairs: tuple[Any, Any]) -> Dict:
    node = Dict()
    node.flat = [part for pair in pairs for part in pair]
    return node


def namespace(**attributes: object) -> Call:
    node = New(Global("argparse", "Namespace"), ())
    node.states = [dict_node(*attributes.items())]
    return node


def storage(key: str, count: int, dtype: str = "FloatStorage") -> PersistentId:
    return PersistentId(("storage", Global("torch", dtype), key, "cpu", count))


def tensor(key: str = "0", count: int = 4) -> Call:
    function = Global("torch._utils", "_rebuild_tensor_v2")
    return Call(function, (storage(key, count), 0, (count,), (1,), False, None))
