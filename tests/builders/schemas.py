"""What reports must be valid against: the schemas of those who read them, and our own."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import jsonschema
import xmlschema

from tests.builders.repository import ROOT

OFFICIAL = ROOT / "tests" / "fixtures" / "schemas"
OWN = ROOT / "docs" / "schema"


@lru_cache(maxsize=None)
def own(command: str) -> Any:
    """The published schema of a command's JSON."""
    return json.loads((OWN / f"{command}.schema.json").read_text(encoding="utf-8"))


def check_json(text: str, schema: Any) -> None:
    """Fail unless a JSON document is valid."""
    jsonschema.validators.validator_for(schema)(schema).validate(json.loads(text))


def check_sarif(text: str) -> None:
    check_json(text, _official("sarif-2.1.0-rtm.5.json"))


def check_gitlab(text: str) -> None:
    check_json(text, _official("gitlab-code-quality.json"))


def check_junit(text: str) -> None:
    _junit().validate(text)


def closed(schema: Any) -> Any:
    """The same schema, in which every field must be one that it names."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {"additionalProperties": False} if isinstance(schema.get("properties"), dict) else {}
    return {**strict, **{key: closed(value) for key, value in schema.items()}}


@lru_cache(maxsize=None)
def _official(name: str) -> Any:
    return json.loads((OFFICIAL / name).read_text(encoding="utf-8"))


@lru_cache(maxsize=None)
def _junit() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(str(OFFICIAL / "junit-10.xsd"))
