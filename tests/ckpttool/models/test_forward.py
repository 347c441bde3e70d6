"""The forward pass on a tiny model: what it computes, what it notices, what it leaves alone."""

from __future__ import annotations

import gc
import math
import subprocess
import sys
import weakref
from typing import Callable, Dict

import pytest
import torch
from torch import Tensor

from ckpttool.findings.errors import UsageError
from ckpttool.findings.results import ForwardSummary
from ckpttool.models import forward, streaming
from ckpttool.models.families.mae import MAE
from ckpttool.models.families.mae_forward import MAE_FORWARD, images_of, noise_of
from ckpttool.models.forward import not_run, run_forward
from ckpttool.models.streaming import stream
from ckpttool.tensors.catalogue import TensorInfo
from ckpttool.tensors.dtypes import DTYPES
from mae.large import MAEViTLarge
from tests.builders import models

State = Dict[str, Tensor]


def run(state: State, full: bool = False) -> ForwardSummary:
    return run_forward(MAE, models.TINY, models.in_memory(state), full=full)


def tiny_state() -> State:
    return models.tiny_model().state_dict()


def test_an_encoder_gives_features_of_the_expected_shape() -> None:
    result = run(models.encoder_of(tiny_state()))
    assert (result.status, result.reason, result.scope) == ("run", None, "encoder")
    assert (result.device, result.tokens, result.loss) == ("cpu", 5, None)
    assert {name: out.shape for name, out in result.outputs.items()} == {"features": (2, 5, 16)}
    assert result.outputs["features"].finite


def test_a_full_checkpoint_gives_predictions_and_the_models_own_loss() -> None:
    model = models.tiny_model()
    result = run(model.state_dict(), full=True)
    assert result.scope == "full"
    shapes = {"features": (2, 5, 16), "pred": (2, 16, 192)}
    assert {name: out.shape for name, out in result.outputs.items()} == shapes
    assert MAE_FORWARD.shapes(models.TINY, True) == shapes
    with torch.no_grad():
        images, noise = images_of(models.TINY), noise_of(models.TINY)
        loss, pred, _ = model(images, 0.75, noise)
        features, _, _ = model.forward_encoder(images, 0.75, noise)
    assert result.loss == pytest.approx(float(loss), rel=1e-5)
    assert result.outputs["pred"].mean == pytest.approx(float(pred.mean()), rel=1e-4)
    deviation = float(pred.double().std(unbiased=False))
    assert result.outputs["pred"].std == pytest.approx(deviation, rel=1e-5)
    assert result.outputs["pred"].max == pytest.approx(float(pred.max()), rel=1e-4)
    assert result.difference == pytest.approx(float((features[0] - features[1]).abs().max()))


def test_onednn_gives_the_same_numbers_but_for_rounding() -> None:
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        pytest.skip("this torch has no oneDNN")
    if torch.__version__ < "2.1":
        pytest.skip("torch 2.0 has this product only with an activation after it")
    model = models.tiny_model()
    images, noise = models.images_and_noise()
    with torch.inference_mode():
        plain = model(images, 0.75, noise)
        forward.multiply_through_onednn(model)
        fast = model(images, 0.75, noise)
    assert type(model.decoder_embed) is not torch.nn.Linear
    for one, other in zip(plain, fast):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def unavailable(*_: object) -> torch.Tensor:
    raise RuntimeError("this torch was built without oneDNN")


def another(*_: object) -> torch.Tensor:
    return torch.zeros(1, 1)


@pytest.mark.parametrize("what", [unavailable, another])
def test_without_onednn_torch_multiplies_as_it_does(
    what: Callable[..., torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = models.tiny_model()
    images, noise = models.images_and_noise()
    with torch.inference_mode():
        plain = model(images, 0.75, noise)
        monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", what)
        forward.multiply_through_onednn(model)
        same = model(images, 0.75, noise)
    assert all(map(torch.equal, plain, same))


def test_the_same_weights_give_the_same_result() -> None:
    assert run(tiny_state(), full=True) == run(tiny_state(), full=True)


def test_the_noise_keeps_a_quarter_of_the_patches_and_says_which() -> None:
    order = noise_of(models.TINY)[0].argsort()
    assert run(tiny_state()).kept == tuple(sorted(order[:4].tolist()))


def test_float64_gives_the_same_numbers_but_for_rounding() -> None:
    infos = models.in_memory(tiny_state())
    exact = run_forward(MAE, models.TINY, infos, full=True, dtype="float64")
    rough = run_forward(MAE, models.TINY, infos, full=True)
    assert exact.loss == pytest.approx(rough.loss, rel=1e-5)
    assert exact.loss != rough.loss
    for name, output in exact.outputs.items():
        assert output.projection == pytest.approx(rough.outputs[name].projection, abs=1e-4)


def test_a_projection_is_the_inner_product_that_is_documented() -> None:
    values = torch.arange(12, dtype=torch.float64).reshape(2, 2, 3).sin()
    expected = [
        sum(
            float(image[n])
            * math.sqrt(2 / 6)
            * math.cos(
                2 * math.pi * ((n * n * ((k + 1) * 618_033 % 1_000_003)) % 1_000_003) / 1_000_003
            )
            for n in range(6)
        )
        for image in values.flatten(1)
        for k in range(8)
    ]
    assert forward.projection(values) == pytest.approx(expected, abs=1e-12)


def test_numbers_without_order_are_projected_to_their_own_size() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(2, 50, 1024, generator=generator, dtype=torch.float64)
    projected = torch.tensor(forward.projection(values))
    assert 0.5 < float(projected.pow(2).mean().sqrt()) < 2


def test_the_images_are_two_different_ones_of_common_size() -> None:
    images = images_of(models.TINY)
    assert images.shape == (2, 3, 32, 32)
    assert images.mean(dim=(1, 2, 3)).abs().max() < 0.1
    assert images.std(dim=(1, 2, 3)).sub(1).abs().max() < 0.1
    assert (images[0] - images[1]).abs().mean() > 0.5


def test_both_images_share_their_noise_and_no_two_patches_do() -> None:
    noise = noise_of(models.TINY)
    assert torch.equal(noise[0], noise[1])
    assert len(set(noise[0].tolist())) == 16


def test_the_features_of_different_images_differ() -> None:
    result = run(tiny_state())
    assert result.difference is not None
    assert result.difference > 0.1 * result.outputs["features"].std


def test_a_model_blind_to_its_input_gives_the_same_features() -> None:
    result = run(models.blind_to_its_input(tiny_state()))
    assert result.difference is not None
    assert result.difference < 1e-5 * result.outputs["features"].std


@pytest.mark.parametrize(
    ("tensor", "spoilt"),
    [
        # Not in the queries or keys: at fewer tokens than a vector register holds, torch's fused
        # attention takes the NaN for a masked score. The check on values finds those.
        ("blocks.0.attn.proj.weight", {"features", "pred"}),
        ("decoder_pred.bias", {"pred"}),
    ],
    ids=["encoder", "decoder"],
)
def test_a_nan_in_a_weight_makes_outputs_that_are_not_finite(tensor: str, spoilt: set[str]) -> None:
    result = run(models.with_a_nan(tiny_state(), tensor), full=True)
    assert {name for name, out in result.outputs.items() if not out.finite} == spoilt
    assert result.loss is not None
    assert math.isnan(result.loss)


def test_a_decoder_that_is_not_asked_for_is_not_touched() -> None:
    tensors = models.in_memory(tiny_state())
    clean = run_forward(MAE, models.TINY, tensors, full=False)
    for name in [name for name in tensors if name.startswith("decoder_")]:
        tensors[name] = tensors[name]._replace(extents=(), shape=(3,))
    assert run_forward(MAE, models.TINY, tensors, full=False) == clean


def test_an_encoder_only_run_never_calls_the_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(MAEViTLarge, "forward_decoder", lambda *_: calls.append("decoder"))
    assert run(tiny_state()).status == "run"
    assert not calls


def test_a_full_run_encodes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    encode = MAEViTLarge.encode

    def counted(model: MAEViTLarge, x: Tensor) -> Tensor:
        calls.append(x.shape[0])
        return encode(model, x)

    monkeypatch.setattr(MAEViTLarge, "encode", counted)
    run(tiny_state(), full=True)
    assert calls == [2]


def streamed(full: bool = False) -> MAEViTLarge:
    """A model on the meta device that reads its weights as it goes."""
    model = MAEViTLarge(models.TINY, device="meta")
    infos = models.in_memory(tiny_state())
    assert stream(MAE, model, infos, full=full, device="cpu", dtype=torch.float32) is None
    return model


def test_a_block_has_no_weights_before_its_turn() -> None:
    model = streamed()
    parameters = dict(model.named_parameters())
    assert not parameters["norm.bias"].is_meta
    assert parameters["blocks.0.norm1.bias"].is_meta
    assert model.mask_token.is_meta
    assert model.decoder_pred.weight.is_meta


def test_the_blocks_share_their_memory_and_compute_with_their_own_weights() -> None:
    model, plain = streamed(full=True), models.tiny_model()
    images, noise = models.images_and_noise()
    with torch.inference_mode():
        ours, theirs = model(images, 0.75, noise), plain(images, 0.75, noise)
    for one, other in zip(ours, theirs):
        torch.testing.assert_close(one, other)
    parameters = dict(model.named_parameters())
    first, second = (parameters[f"blocks.{number}.norm1.weight"] for number in range(2))
    assert first.data_ptr() == second.data_ptr()


def test_the_memory_is_let_go_when_the_pass_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[weakref.ref[memoryview]] = []

    def allocate(nbytes: int) -> memoryview:
        memory = memoryview(bytearray(nbytes))
        given.append(weakref.ref(memory))
        return memory

    monkeypatch.setattr(streaming, "allocate", allocate)
    gc.disable()  # a cycle would otherwise be cleared by chance
    try:
        run(tiny_state(), full=True)
        assert [reference() for reference in given] == [None, None]
    finally:
        gc.enable()


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_other_floating_types_are_computed_in_float32(dtype: str) -> None:
    state = tiny_state()
    narrowed = {name: tensor.to(getattr(torch, dtype)) for name, tensor in state.items()}
    widened = {name: tensor.to(torch.float32) for name, tensor in narrowed.items()}
    assert run(narrowed, full=True) == run(widened, full=True)


def _without_a_block(tensors: dict[str, TensorInfo]) -> None:
    for name in [name for name in tensors if name.startswith("blocks.1.")]:
        del tensors[name]


def _with_another_shape(tensors: dict[str, TensorInfo]) -> None:
    tensors["norm.bias"] = tensors["norm.bias"]._replace(shape=(4, 4))


def _of_integers(tensors: dict[str, TensorInfo]) -> None:
    tensors["norm.bias"] = tensors["norm.bias"]._replace(dtype=DTYPES["int32"])


def _of_a_type_unknown_to_torch(tensors: dict[str, TensorInfo]) -> None:
    tensors["norm.bias"] = tensors["norm.bias"]._replace(dtype=DTYPES["float6_e2m3"])


def _of_a_type_that_torch_only_stores(tensors: dict[str, TensorInfo]) -> None:
    tensors["norm.bias"] = tensors["norm.bias"]._replace(dtype=DTYPES["float4_e2m1fn_x2"])


@pytest.mark.parametrize(
    ("defect", "reason"),
    [
        (_without_a_block, "12 tensors that it needs are missing, the first is blocks.1.norm1"),
        (_with_another_shape, "norm.bias has the shape (4, 4), not (16,)"),
        (_of_integers, "torch cannot compute with int32, the type of norm.bias"),
        (_of_a_type_unknown_to_torch, "torch cannot compute with float6_e2m3"),
        (_of_a_type_that_torch_only_stores, "torch cannot compute with float4_e2m1fn_x2"),
    ],
    ids=["missing", "shape", "integers", "unknown-type", "stored-only-type"],
)
def test_tensors_that_cannot_be_run_are_not_run_and_the_reason_is_said(
    defect: Callable[[dict[str, TensorInfo]], None], reason: str
) -> None:
    tensors = models.in_memory(tiny_state())
    defect(tensors)
    result = run_forward(MAE, models.TINY, tensors, full=False)
    assert result.status == "not-run"
    assert result.reason is not None
    assert result.reason.startswith(reason)


def test_a_pass_that_was_not_run_claims_nothing() -> None:
    result = not_run("--no-forward")
    assert result == ForwardSummary("not-run", "--no-forward")
    assert not result.outputs
    assert not result.kept


@pytest.mark.parametrize("device", ["cuda:99", "teapot", "meta", ""], ids=str)
def test_a_device_that_cannot_compute_is_the_callers_mistake(device: str) -> None:
    tensors = models.in_memory(tiny_state())
    with pytest.raises(UsageError, match="cannot use the device") as caught:
        run_forward(MAE, models.TINY, tensors, full=False, device=device)
    assert "\n" not in str(caught.value)
    assert caught.value.fix is not None
    assert "--device" in caught.value.fix


def test_the_room_is_entered_without_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; from ckpttool.models import forward, sample"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
