"""What torch shards become is what transformers loads from a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

import ckpttool
from tests.builders import torch_shards

if TYPE_CHECKING:
    from pathlib import Path

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")


def test_transformers_loads_the_safetensors_that_torch_shards_became(tmp_path: Path) -> None:
    config = transformers.BertConfig(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=8,
    )
    state = transformers.BertModel(config).state_dict()
    config.save_pretrained(tmp_path)
    names = list(state)
    files = {torch_shards.FIRST: names[:9], torch_shards.SECOND: names[9:]}
    index = torch_shards.write(
        tmp_path, {file: {name: state[name] for name in part} for file, part in files.items()}
    )
    ckpttool.convert(index, to="safetensors", max_shard_size="4kB")
    for path in tmp_path.glob("pytorch_model*"):
        path.unlink()
    loaded, told = transformers.BertModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(told.values())
    assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in state.items())
