"""Models with tied weights compute the same from what a conversion wrote.

The embedding must be in the file, for it is what a model, or the part of it that has no head,
is loaded by. transformers is in the extra ``dev``; without it these tests skip.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from ckpttool.conversion.convert import convert_file
from ckpttool.conversion.options import ConvertOptions
from tests.builders import tied_models
from tests.builders.tied_models import TIED_MODELS, TiedModel

pytest.importorskip("transformers")

# torch and transformers warn of what they do themselves, each release of something else
pytestmark = pytest.mark.filterwarnings("ignore")

TO_SAFETENSORS = ConvertOptions("safetensors", sync=False)


def converted(source: Path, options: ConvertOptions) -> Path:
    """A folder with the config and the converted weights alone."""
    folder = source.parent.with_name("converted")
    folder.mkdir()
    shutil.copy(source.with_name("config.json"), folder)
    output = folder / ("model.safetensors" if options.to == "safetensors" else "pytorch_model.bin")
    done = convert_file(str(source), str(output), options)
    assert done.state == "written", done
    return folder


@pytest.mark.parametrize("size", [None, 2000], ids=["one file", "shards"])
@pytest.mark.parametrize("model", TIED_MODELS.values(), ids=list(TIED_MODELS))
def test_a_model_computes_the_same_after_conversion(
    tmp_path: Path, model: TiedModel, size: int | None
) -> None:
    source = tied_models.save(model, tmp_path / "source")
    expected, before = tied_models.outputs(model, source.parent)
    folder = converted(source, TO_SAFETENSORS._replace(max_shard_size=size))
    found, told = tied_models.outputs(model, folder)
    assert torch.equal(found, expected)
    assert told["missing_keys"] == before["missing_keys"]  # a pooler, say, that was never saved
    assert (folder / "model.safetensors.index.json").exists() == (size is not None)


@pytest.mark.parametrize("name", ["BART", "T5's encoder alone"])
def test_a_model_computes_the_same_after_there_and_back(tmp_path: Path, name: str) -> None:
    model = TIED_MODELS[name]
    source = tied_models.save(model, tmp_path / "source")
    expected, _ = tied_models.outputs(model, source.parent)
    there = tmp_path / "there.safetensors"
    convert_file(str(source), str(there), TO_SAFETENSORS)
    back = tmp_path / "back"
    back.mkdir()
    shutil.copy(source.with_name("config.json"), back)
    convert_file(str(there), str(back / "pytorch_model.bin"), ConvertOptions("pth", sync=False))
    assert torch.equal(tied_models.outputs(model, back)[0], expected)
    states = [torch.load(path / "pytorch_model.bin") for path in (source.parent, back)]
    assert list(states[0]) == list(states[1])


def test_the_head_alone_is_not_enough(tmp_path: Path) -> None:
    """What the tests above would miss if any name did: the embedding is missing then."""
    model = TIED_MODELS["Llama without its head"]
    source = tied_models.save(model, tmp_path / "source")
    expected, _ = tied_models.outputs(model, source.parent)
    folder = converted(source, TO_SAFETENSORS._replace(keep=("lm_head.weight",)))
    found, told = tied_models.outputs(model, folder)
    assert not torch.equal(found, expected)
    assert told["missing_keys"]


def test_the_index_lists_the_stored_names_in_the_order_of_the_model(tmp_path: Path) -> None:
    source = tied_models.save(TIED_MODELS["BART"], tmp_path / "source")
    folder = converted(source, TO_SAFETENSORS._replace(max_shard_size=2000))
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    stored = [name for name in torch.load(source) if name in index["weight_map"]]
    assert list(index["weight_map"]) == stored
    assert "model.shared.weight" in stored
