"""What CI systems read of this project is what they say they read."""

from __future__ import annotations

import copy
import json
from typing import Any, Callable

import jsonschema
import pytest

from tests.builders.ci_files import loaded
from tests.builders.repository import ROOT

WORKFLOW, GITLAB = "docs/examples/github-workflow.yml", "docs/examples/gitlab-ci.yml"
SCHEMAS = {"action.yml": "github-actions", WORKFLOW: "github-workflows", GITLAB: "gitlab-ci"}

# What pre-commit calls files by what they are, as far as used.
TAGS = ["file", "symlink"]
# pre-commit publishes no schema of its own: this is its documentation of hooks, as far as used.
HOOKS = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["id", "name", "entry", "language"],
        "additionalProperties": False,
        "properties": {
            "id": {"type": "string", "pattern": "^[a-z-]+$"},
            "name": {"type": "string"},
            "description": {"type": "string"},
            "entry": {"type": "string", "pattern": "^ckpttool verify "},
            "language": {"const": "python"},
            "files": {"type": "string", "format": "regex"},
            "exclude": {"type": "string", "format": "regex"},
            "types": {"type": "array", "items": {"enum": TAGS}},
            "types_or": {"type": "array", "items": {"enum": TAGS}},
            "args": {"type": "array", "items": {"type": "string"}},
            "require_serial": {"type": "boolean"},
            "pass_filenames": {"type": "boolean"},
        },
    },
}


def mistakes(document: Any, schema: Any) -> list[str]:
    validator = jsonschema.validators.validator_for(schema)
    validator.check_schema(schema)
    return [error.message for error in validator(schema).iter_errors(document)]


def schema_of(path: str) -> Any:
    file = ROOT / "tests/fixtures/schemas" / f"{SCHEMAS[path]}.json"
    return json.loads(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", SCHEMAS)
def test_it_is_valid(path: str) -> None:
    assert mistakes(loaded(path), schema_of(path)) == []


def test_the_hooks_are_valid() -> None:
    assert mistakes(loaded(".pre-commit-hooks.yaml"), HOOKS) == []


def without_steps(action: Any) -> None:
    del action["runs"]["steps"]


def without_shell(action: Any) -> None:
    del action["runs"]["steps"][0]["shell"]


def with_another_trigger(workflow: Any) -> None:
    workflow["on"]["pull_requests"] = workflow["on"].pop("push")


def with_another_report(pipeline: Any) -> None:
    pipeline["verify-checkpoint"]["artifacts"]["reports"]["code_quality"] = "x.json"


def without_script(pipeline: Any) -> None:
    pipeline["verify-checkpoint"]["script"] = 1


@pytest.mark.parametrize(
    ("path", "spoil"),
    [
        ("action.yml", without_steps),
        ("action.yml", without_shell),
        (WORKFLOW, with_another_trigger),
        (GITLAB, with_another_report),
        (GITLAB, without_script),
    ],
)
def test_a_mistake_would_be_found(path: str, spoil: Callable[[Any], None]) -> None:
    document = copy.deepcopy(loaded(path))
    spoil(document)
    assert mistakes(document, schema_of(path)) != []


def test_a_mistake_in_a_hook_would_be_found() -> None:
    hooks = loaded(".pre-commit-hooks.yaml")
    hooks[0]["pass_filename"] = hooks[0].pop("entry")
    assert len(mistakes(hooks, HOOKS)) == 2


def test_the_sample_workflow_uses_inputs_and_outputs_that_exist() -> None:
    action, workflow = loaded("action.yml"), loaded(WORKFLOW)
    steps = workflow["jobs"]["verify"]["steps"]
    (ours,) = [step for step in steps if "ckpttool@" in step.get("uses", "")]
    assert set(ours["with"]) <= set(action["inputs"])
    text = (ROOT / WORKFLOW).read_text(encoding="utf-8")
    used = {name.split("}")[0].split()[0] for name in text.split("steps.ckpttool.outputs.")[1:]}
    assert used == {"sarif-file"}
    assert used <= set(action["outputs"])
