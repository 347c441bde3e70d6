"""The page on schemas shows what the commands write."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.builders import language_models as built
from tests.builders.commands import invoke
from tests.builders.repository import DOCS
from tests.builders.schemas import check_json, own

PAGE = (DOCS / "schema.md").read_text(encoding="utf-8")
SCREENS = re.findall(r"```\n\$ ckpttool (.*)\n((?:.*\n)*?)```", PAGE)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    built.saved(tmp_path / "model-a.safetensors")
    built.saved(tmp_path / "model-b.safetensors", built.without_a_layer)
    invoke("schema", "model-a.safetensors", "-o", "model-a.schema.json")


@pytest.mark.parametrize(("command", "shown"), SCREENS, ids=[command for command, _ in SCREENS])
def test_a_screen_is_what_the_command_writes(command: str, shown: str) -> None:
    assert invoke(*command.split()).out == shown


def test_there_are_screens() -> None:
    assert len(SCREENS) == 3


def test_the_file_is_as_its_published_schema_says() -> None:
    text = Path("model-a.schema.json").read_text()
    check_json(text, own("schema"))
    wrong = json.loads(text)
    wrong["tensors"]["a"] = {"dtype": "int8"}
    with pytest.raises(Exception, match="required"):
        check_json(json.dumps(wrong), own("schema"))
