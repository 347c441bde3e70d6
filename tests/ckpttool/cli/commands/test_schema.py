"""What ``ckpttool schema`` writes is as its published JSON Schema says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.builders import language_models as built
from tests.builders.commands import invoke
from tests.builders.schemas import check_json, own


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    built.saved(tmp_path / "model-a.safetensors")
    invoke("schema", "model-a.safetensors", "-o", "model-a.schema.json")


def test_the_file_is_as_its_published_schema_says() -> None:
    text = Path("model-a.schema.json").read_text()
    check_json(text, own("schema"))
    wrong = json.loads(text)
    wrong["tensors"]["a"] = {"dtype": "int8"}
    with pytest.raises(Exception, match="required"):
        check_json(json.dumps(wrong), own("schema"))
