"""The forward pass of a model with the checkpoint's tensors, on two fixed inputs.

The family says what they are and how its model is run. The weights are streamed through a model on
the meta device. What the file lacks is not run.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping

from ckpttool.findings.errors import UsageError
from ckpttool.findings.results import ForwardSummary, OutputSummary
from ckpttool.models.family import FULL

if TYPE_CHECKING:
    import torch

    from ckpttool.models.family import Computed, Family, ModelConfig
    from ckpttool.tensors.catalogue import TensorInfo

#: Numbers that the elements of one image are projected to.
DIRECTIONS = 8  # in lock files, as the prime is: other values would be another format
_PRIME = 1_000_003


def not_run(reason: str) -> ForwardSummary:
    """Return the result of a forward pass that did not take place."""
    return ForwardSummary("not-run", reason)


def run_forward(
    family: Family,
    config: ModelConfig,
    tensors: Mapping[str, TensorInfo],
    *,
    full: bool,
    device: str = "cpu",
    dtype: str = "float32",
) -> ForwardSummary:
    """Run the model on the two fixed inputs of its family.

    Args:
        family: whose model it is.
        config: the sizes of the model.
        tensors: by canonical name; others than the model's are left alone. They are read block
            by block, and other dtypes than ``dtype`` are converted first.
        full: run all of the model; otherwise nothing but the core is touched.
        device: as torch names it, ``cpu`` or ``cuda:1`` say.
        dtype: what to compute in; ``float64`` is slower, and shows what rounding does.

    Returns:
        The result, ``not-run`` where the family has no forward pass, or a tensor is missing, of
        another shape or of a dtype that this torch cannot convert.

    Raises:
        UsageError: the device does not exist, or its memory does not suffice.
        UnreadableError: a file cannot be read or was cut.
    """
    if family.forward is None:
        return not_run(f"there is none for models of the family {family.name}")
    why_not = family.forward.why_not(config)
    if why_not:
        return not_run(why_not)
    with filled(family, config, tensors, full=full, device=device, dtype=dtype) as (model, problem):
        if problem:
            return not_run(problem)
        import torch

        computed = family.forward.run(model, full, device, getattr(torch, dtype))
        return _summary_of(computed, FULL if full else family.core, device)


@contextmanager
def filled(
    family: Family,
    config: ModelConfig,
    tensors: Mapping[str, TensorInfo],
    *,
    full: bool,
    device: str,
    dtype: str = "float32",
) -> Iterator[tuple[Any, str | None]]:
    """Fill a model with tensors, to compute with it in the block; as :func:`run_forward`.

    Yields:
        The model, and why it was not filled; ``None`` if it was.
    """
    import torch

    from ckpttool.models.streaming import stream

    require_device(device)
    model = family.load()(config, device="meta")
    kind = getattr(torch, dtype)
    # TF32 would round the patches' projection to 10 bits, and the features with it
    exactly = torch.backends.cudnn.flags(allow_tf32=False)
    try:
        with torch.inference_mode(), exactly:
            problem = stream(family, model, tensors, full=full, device=device, dtype=kind)
            if not problem and torch.device(device).type == "cpu" and kind is torch.float32:
                multiply_through_onednn(model)
            yield model, problem
    except torch.cuda.OutOfMemoryError as error:
        raise _bad_device(device, error) from error


def multiply_through_onednn(model: torch.nn.Module) -> None:
    """Let a model's linear layers use oneDNN on the CPU, for inference in float32 only.

    torch multiplies float32 through MKL, which is slower on AMD's processors at 50 to 200 tokens
    of ViT-Large: it takes twice the time with AVX-512, and a fifth more with AVX2 alone (torch
    2.13, EPYC). The sums differ by rounding only.
    """
    from torch import nn

    found = _onednn()
    if found is None:
        return
    multiply = found

    class OneDnnLinear(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return multiply(x, self.weight, self.bias)

    for module in model.modules():
        if type(module) is nn.Linear:
            # A method set on the layer would refer back to it and keep the weights in memory.
            module.__class__ = OneDnnLinear


def _onednn() -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor] | None:
    """Return what multiplies as :func:`torch.nn.functional.linear`; ``None`` if nothing does."""
    import torch

    def multiply(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        # what torch.compile uses for layers like these: unlike Tensor.to_mkldnn() and to_dense(),
        # it does not copy the activations
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return product

    one = torch.ones(1, 1)
    try:
        right = bool(multiply(one, one, one[0]) == 2)
    except (AttributeError, RuntimeError, TypeError):  # a torch without oneDNN, or with another
        return None
    return multiply if right else None


def _summary_of(computed: Computed, scope: str, device: str) -> ForwardSummary:
    features = computed.outputs["features"]
    return ForwardSummary(
        "run",
        scope=scope,
        device=device,
        tokens=computed.tokens or features.shape[1],
        outputs={name: output_summary(output) for name, output in computed.outputs.items()},
        difference=float((features[0] - features[1]).abs().max()),
        loss=computed.loss,
        kept=computed.kept,
    )


def output_summary(output: torch.Tensor, *, projected: bool = True) -> OutputSummary:
    """Return an output in numbers.

    Args:
        output: (images, ...), floating.
        projected: also by its inner products, :func:`projection`.
    """
    values = output.cpu().double()  # sums of float32 squares can overflow
    return OutputSummary(
        tuple(values.shape),
        float(values.mean()),
        float(values.std(unbiased=False)),
        float(values.min()),
        float(values.max()),
        bool(values.isfinite().all()),
        projection(values) if projected else (),
    )


def projection(values: torch.Tensor) -> tuple[float, ...]:
    """Return inner products of each image's elements with :data:`DIRECTIONS` fixed vectors.

    With element ``n`` of ``N`` and direction ``k``, both from 0, the vectors are
    ``sqrt(2 / N) * cos(2 pi m / p)``, ``m = ((n * n mod p) * a) mod p``,
    ``a = (k + 1) * 618033 mod p`` and ``p = 1000003``, a prime: whole numbers up to the cosine,
    so that every machine has the same. Elements of size 1 without order give products of size 1.

    Args:
        values: (images, ...) in float64.

    Returns:
        ``images * DIRECTIONS`` numbers, image by image.
    """
    import torch

    rows = values.flatten(1)
    place = torch.arange(rows.shape[1], dtype=torch.int64)
    factor = torch.arange(1, DIRECTIONS + 1, dtype=torch.int64) * 618_033 % _PRIME
    phase = (place * place % _PRIME)[:, None] * factor % _PRIME  # (N, directions)
    vectors = (phase.double() * (2 * math.pi / _PRIME)).cos() * (2 / rows.shape[1]) ** 0.5
    return tuple((rows @ vectors).flatten().tolist())


def require_device(device: str) -> None:
    """Refuse a device that is not there.

    Raises:
        UsageError: torch cannot compute on it.
    """
    import torch

    try:
        # computing is the only proof that a device is there: torch takes "cuda:9" for a name
        torch.ones(1, device=device).item()
    # "cuda" without CUDA is an AssertionError, other devices and drivers raise the rest
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        raise _bad_device(device, error) from error


def _bad_device(device: str, error: Exception) -> UsageError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return UsageError(
        f"the forward pass cannot use the device {device}: {reason}",
        fix="Leave out --device to run on the CPU, or use --no-forward.",
    )
