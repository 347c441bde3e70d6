"""A cast leaves quantized weights, and what makes numbers of them, as they are, or is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import pytest
import torch

from ckpttool import open_checkpoint
from ckpttool.cli import main
from ckpttool.conversion.convert import convert_file
from ckpttool.conversion.options import ConvertOptions, check
from ckpttool.conversion.result import Conversion
from ckpttool.findings.errors import UsageError
from ckpttool.findings.finding import Verdict
from ckpttool.tensors.gather import chunks
from tests.builders.commands import runner
from tests.builders.quantized import PLAIN, QUANTIZED, Quantized, State

# torch 2.0 warns of its own use of a class when it saves.
pytestmark = pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")

CASTS = ["float16", "bfloat16", "float32"]


def saved(folder: Path, state: State) -> str:
    path = folder / "in.pth"
    torch.save(state, path)
    return str(path)


def built(build: Callable[[], Quantized]) -> Quantized:
    try:
        return build()
    except AttributeError:
        pytest.skip("this torch has no such type")


def is_beside(name: str) -> bool:
    """Whether a tensor in the module of a quantized weight is no part of one."""
    return name.endswith(("bias", "weight_format", "weight_shape"))


def convert(source: str, to: str = "safetensors", **options: Any) -> Conversion:
    chosen = ConvertOptions(to, sync=False)._replace(**options)
    return convert_file(source, str(Path(source).with_name(f"out.{to}")), chosen)


def tensors_in(path: object) -> dict[str, tuple[str, bytes]]:
    with open_checkpoint(str(path)) as checkpoint:
        buffer = memoryview(bytearray(4096))
        return {
            name: (info.dtype.name, b"".join(bytes(piece) for piece in chunks(info, buffer)))
            for name, info in checkpoint.tensors.items()
        }


@pytest.mark.parametrize("name", QUANTIZED)
@pytest.mark.parametrize("dtype", CASTS)
def test_a_cast_of_quantized_weights_is_refused_with_their_names(
    tmp_path: Path, name: str, dtype: str
) -> None:
    state, plain = built(QUANTIZED[name])
    plain_dtypes = {tensor.dtype for tensor in state.values() if tensor.is_floating_point()}
    refused = convert(saved(tmp_path, state), dtype=dtype)
    if plain_dtypes == {getattr(torch, dtype)}:
        assert refused.casts == ()  # there is nothing to cast, and nothing was
        return
    assert (refused.state, refused.file.verdict) == ("not-written", Verdict.FAIL)
    (found,) = refused.file.findings
    assert found.rule.code == "CVT209"
    told = {name for name in set(state) - set(plain) if not is_beside(name)}
    assert set(found.tensors) == told
    assert found.message.startswith(f"{len(told)} tensors make up quantized weights (")
    beside = len(state) - len(plain) - len(told)
    assert (f"(and {beside} beside them)" in str(found.fix)) == bool(beside)
    assert [path.name for path in tmp_path.iterdir()] == ["in.pth"]


@pytest.mark.parametrize("name", QUANTIZED)
@pytest.mark.parametrize("dtype", CASTS)
@pytest.mark.parametrize("to", ["safetensors", "pth"])
def test_the_others_are_cast_where_that_is_asked_for(
    tmp_path: Path, name: str, dtype: str, to: str
) -> None:
    state, plain = built(QUANTIZED[name])
    source = saved(tmp_path, state)
    done = convert(source, to, dtype=dtype, except_quantized=True)
    assert done.state == "written", done.file.findings
    before, after = tensors_in(source), tensors_in(done.destination)
    assert list(after) == list(state)
    assert {key: after[key] for key in set(state) - set(plain)} == {
        key: before[key] for key in set(state) - set(plain)
    }
    assert {after[key][0] for key in plain} == {dtype}
    assert set(done.not_cast) == set(state) - set(plain)
    assert not {cast.name for cast in done.casts} & set(done.not_cast)


@pytest.mark.parametrize("name", QUANTIZED)
def test_without_a_cast_quantized_weights_are_nothing_special(tmp_path: Path, name: str) -> None:
    state, _ = built(QUANTIZED[name])
    source = saved(tmp_path, state)
    done = convert(source)
    assert (done.state, done.file.findings, done.not_cast) == ("written", (), ())
    assert tensors_in(done.destination) == tensors_in(source)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_plain_model_is_cast_whatever_its_parameters_are_called(
    tmp_path: Path, name: str, dtype: str
) -> None:
    state = PLAIN[name]()
    done = convert(saved(tmp_path, state), dtype=dtype, allow_overflow=True)
    assert done.state == "written", done.file.findings
    floating = {key for key, tensor in state.items() if tensor.is_floating_point()}
    assert {cast.name for cast in done.casts} == floating


def test_a_scale_without_its_weight_is_one_all_the_same(tmp_path: Path) -> None:
    state, plain = built(QUANTIZED["scaled fp8"])
    source = saved(tmp_path, state)
    refused = convert(source, dtype="bfloat16", exclude=("*.weight", "scaled_fp8"))
    assert [found.rule.code for found in refused.file.findings] == ["CVT209"]
    quantized = tuple(set(state) - set(plain))
    assert convert(source, dtype="bfloat16", exclude=quantized).state == "written"


def test_one_tensor_under_two_names_is_cast_under_neither(tmp_path: Path) -> None:
    shared = torch.rand(4)
    state = {"a.qweight": torch.ones(4, 4, dtype=torch.int32), "a.scales": shared, "b": shared}
    done = convert(saved(tmp_path, state), "pth", dtype="bfloat16", except_quantized=True)
    assert (done.state, done.not_cast) == ("written", tuple(state))
    loaded = torch.load(str(done.destination), weights_only=True)
    assert torch.equal(loaded["b"], shared)
    assert loaded["b"].data_ptr() == loaded["a.scales"].data_ptr()


def test_the_exception_needs_a_cast() -> None:
    with pytest.raises(UsageError, match="nothing is cast"):
        check(ConvertOptions("pth", except_quantized=True))


def test_what_was_not_cast_is_counted_and_named_everywhere(tmp_path: Path) -> None:
    state, plain = QUANTIZED["nf4"]()
    receipt = tmp_path / "receipt.json"
    arguments = ["convert", saved(tmp_path, state), "--to", "safetensors", "--no-sync", "--force"]
    arguments += ["--dtype", "bfloat16", "--dtype-except-quantized", "--receipt", str(receipt)]
    text = runner().invoke(main, arguments).stdout
    number = f"{len(state) - len(plain)} tensors of quantized weights or beside them not cast"
    assert text.splitlines()[0].endswith(f" · {number}")
    assert "  not cast     model" in text
    told = json.loads(runner().invoke(main, [*arguments, "--format", "json"]).stdout)
    expected = [name for name in state if name not in plain]
    assert told["files"][0]["not_cast"] == expected
    assert json.loads(receipt.read_text())["not_cast"] == expected
    dry = runner().invoke(main, [*arguments, "--dry-run"]).stdout
    assert f"{len(expected)} tensors of quantized weights or beside them" in dry


def test_the_one_part_of_a_quantized_weight_is_one(tmp_path: Path) -> None:
    state = {"weight_scale_inv": torch.rand(1), "norm.weight": torch.rand(4)}
    (found,) = convert(saved(tmp_path, state), dtype="bfloat16").file.findings
    assert found.message.startswith("1 tensor makes up quantized weights")
