"""Every report is valid by the schema of those who read it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import jsonschema
import pytest
import xmlschema

from ckpttool.cli import main
from tests.builders import adapters, checkpoints, quantized_models, schemas
from tests.builders import reports as built
from tests.builders.commands import runner

pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

Check = Callable[[str], None]


def check_verify(text: str) -> None:
    schemas.check_json(text, schemas.closed(schemas.own("verify")))


CHECKS: dict[str, Check] = {
    "json": check_verify,
    "junit": schemas.check_junit,
    "sarif": schemas.check_sarif,
    "gitlab": schemas.check_gitlab,
}


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("specimen", built.SPECIMENS)
def test_every_report_is_valid(specimen: str, name: str) -> None:
    CHECKS[name](built.rendered(built.portable_from(built.SPECIMENS[specimen]), name))


def test_what_is_wrong_would_be_noticed() -> None:
    with pytest.raises(jsonschema.ValidationError):
        schemas.check_sarif('{"version": "2.1.0", "runs": [{"tool": {}}]}')
    with pytest.raises(jsonschema.ValidationError):
        schemas.check_gitlab('[{"description": "no place"}]')
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        schemas.check_junit("<testsuites><testsuite/></testsuites>")
    with pytest.raises(jsonschema.ValidationError):
        check_verify('{"schema_version": 2}')


# --- our own -------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["verify", "inspect", "convert", "diff", "prove"])
def test_a_schema_is_one(command: str) -> None:
    schema = schemas.own(command)
    jsonschema.validators.validator_for(schema).check_schema(schema)


def test_what_schemas_share_is_the_same() -> None:
    shared = schemas.own("verify")["$defs"]
    for command in ("inspect", "convert", "diff", "prove"):
        definitions = schemas.own(command)["$defs"]
        assert {name: shared.get(name, own) for name, own in definitions.items()} == definitions


def json_of(command: str, *arguments: str) -> str:
    result = runner().invoke(main, [command, "--format", "json", *arguments])
    assert result.exit_code in (0, 1, 2)
    return result.stdout


def check_closed(command: str, text: str) -> Any:
    schemas.check_json(text, schemas.closed(schemas.own(command)))
    return json.loads(text)


CONTENTS = {
    "sound": checkpoints.sound,
    "hostile": checkpoints.hostile_name,
    "an attack": checkpoints.attack_beside,
    "two state dicts": checkpoints.averaged_weights_beside,
    "something beside": checkpoints.namespace_beside,
    "a sparse tensor": checkpoints.sparse_tensor_added,
}


@pytest.mark.parametrize("content", CONTENTS)
def test_real_runs_are_valid(tmp_path: Path, tiny: str, content: str) -> None:
    path = checkpoints.saved(tmp_path, CONTENTS[content])
    missing = str(tmp_path / "missing.pth")
    target = str(tmp_path / "out.safetensors")
    check_closed("verify", json_of("verify", "--model", tiny, path, missing))
    check_closed("inspect", json_of("inspect", path, missing))
    check_closed("convert", json_of("convert", "--to", "safetensors", "-o", target, path))


def test_resized_tables_are_valid(tmp_path: Path) -> None:
    path = checkpoints.saved(tmp_path, checkpoints.sound)
    target = str(tmp_path / "out.safetensors")
    size = ("--resize-pos-embed", "48", "--fingerprint")
    done = check_closed(
        "convert", json_of("convert", "--to", "safetensors", "-o", target, *size, path)
    )
    assert len(done["files"][0]["resized"]) == 2
    check_closed("verify", json_of("verify", target))


def test_decoded_weights_are_valid(tmp_path: Path) -> None:
    path = checkpoints.saved(tmp_path, lambda: quantized_models.int8_of_channels().tensors)
    target = str(tmp_path / "out.safetensors")
    more = ("--dequantise", "bfloat16", "--fingerprint", "-o", target)
    done = check_closed("convert", json_of("convert", "--to", "safetensors", *more, path))
    assert len(done["files"][0]["dequantised"]) == 5


def test_a_cast_and_its_comparison_are_valid(tmp_path: Path) -> None:
    path = checkpoints.saved(tmp_path, checkpoints.sound)
    target = str(tmp_path / "out.safetensors")
    cast = ("--dtype", "float16", "--receipt", str(tmp_path / "receipt.json"))
    done = check_closed(
        "convert", json_of("convert", "--to", "safetensors", "-o", target, *cast, path)
    )
    assert done["files"][0]["casts"]
    compared = check_closed("diff", json_of("diff", "--atol", "1", path, target))
    assert any("max_abs" in tensor for tensor in compared["tensors"])
    check_closed("diff", json_of("diff", path, str(tmp_path / "missing.pth")))
    proven = check_closed("prove", json_of("prove", target, "--from", path))
    assert proven["explained"][0]["cast"]
    back = check_closed("prove", json_of("prove", path, "--from", target))
    assert back["unexplained"]
    other = checkpoints.saved(tmp_path, checkpoints.classifier_head_added, "other.pth")
    assert check_closed("prove", json_of("prove", path, "--from", other))["missing"]
    check_closed("prove", json_of("prove", path, "--from", str(tmp_path / "missing.pth")))
    before, adapter = adapters.base(), adapters.lora()
    base = adapters.save(tmp_path, "a.safetensors", before)
    merged = adapters.save(tmp_path, "m.safetensors", adapters.merged(before, adapter))
    lora = adapters.write(tmp_path, adapter)
    told = check_closed("prove", json_of("prove", merged, "--from", base, "--adapter", lora))
    assert told["summary"]["adapter-merged"] == 8
    never = check_closed("prove", json_of("prove", path, "--from", base, "--adapter", lora))
    assert never["unmerged"]
