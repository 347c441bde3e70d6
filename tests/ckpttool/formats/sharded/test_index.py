"""Which JSON file is an index of shards."""

from __future__ import annotations

import pytest

from ckpttool.files.sources import MemorySource
from ckpttool.formats.sharded import index


def is_index(data: bytes) -> bool:
    return index.is_index(MemorySource(data, "a.json"), data[:64])


INDEX = b'{"metadata": {}, "weight_map": {"a": "b"}}'


@pytest.mark.parametrize("data", [INDEX, INDEX[:-2], b'{"weight_map": NaN}'])
def test_an_object_with_a_weight_map_is_an_index_be_it_broken(data: bytes) -> None:
    assert is_index(data)


@pytest.mark.parametrize(
    "data", [b"{}", b'{"a": "weight_map"}', b'{"a": {"weight_map": {}}}', b'["weight_map"]', b""]
)
def test_other_json_is_none(data: bytes) -> None:
    assert not is_index(data)


def test_nor_is_what_is_larger_than_any_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "MAX_JSON", len(INDEX) - 1)
    assert not is_index(INDEX)
