"""A number is within half a step of its code, or it is not: to the last bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ckpttool.quantization import steps
from ckpttool.quantization.codes import Coded
from ckpttool.quantization.steps import Within, compare, parts, regions
from tests.builders import coded


@pytest.fixture(params=["at once", "in pieces"], autouse=True)
def _sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "in pieces":
        monkeypatch.setattr(steps, "_PART", 50)
        monkeypatch.setattr(steps, "_STEP", 128)


def held(weight: Coded, numbers: torch.Tensor) -> Within:
    original, total = coded.info(numbers), Within()
    for part in parts(weight):
        for region in regions(weight, part):
            total = total.merged(compare(weight, original, region))
    assert total.elements == numbers.numel()
    return total


def fp8(codes: torch.Tensor, scale: float = 1.0, dtype: str = "float8_e4m3fn") -> Coded:
    rows, columns = codes.shape
    one = torch.full((1, 1, 1), scale)
    return coded.in_blocks(codes.view(torch.uint8)[None], one, (rows, columns), dtype)


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz"])
@pytest.mark.parametrize("scale", [1.0, 0.37, -2.0])
def test_what_torch_rounds_is_within_half_a_step_and_the_next_code_is_not(
    dtype: str, scale: float
) -> None:
    kind = getattr(torch, dtype)
    quotients = torch.randn(7, 300).clamp(-3, 3) * torch.logspace(-2, 1, 300)
    codes = quotients.to(kind)
    numbers = (quotients.double() * scale).float()
    assert held(fp8(codes, scale, dtype), numbers).outside == 0
    wrong = codes.view(torch.uint8).clone()
    wrong[4, 123] += 1
    found = held(fp8(wrong.view(kind), scale, dtype), numbers)
    assert (found.outside, found.first) == (1, 4 * 300 + 123)
    assert 0.5 < found.farthest <= 1.5


@pytest.mark.parametrize("code", [0x00, 0x80, 0x01, 0x07, 0x08, 0x39, 0x7D, 0xBB])
def test_the_middle_between_codes_belongs_to_both(code: int) -> None:
    pair = torch.tensor([[code, code + 1 if code != 0x80 else 0x81]], dtype=torch.uint8)
    values = pair.view(torch.float8_e4m3fn).double()
    middle = values.mean().float().expand(1, 2).contiguous()
    assert held(fp8(pair), middle).outside == 0
    for direction in (-1e30, 1e30):
        beside = torch.nextafter(middle, torch.tensor(direction))
        for _ in range(16):  # beyond what a quotient in float32 may be off
            beside = torch.nextafter(beside, torch.tensor(direction))
        assert held(fp8(pair), beside).outside == 1


def test_zero_has_two_codes() -> None:
    codes = torch.tensor([[0x00, 0x80]], dtype=torch.uint8)
    for number in (0.0, -0.0, 2.0**-10, -(2.0**-10)):
        assert held(fp8(codes), torch.full((1, 2), number)).outside == 0


def test_the_outermost_code_reaches_half_a_step_further() -> None:
    codes = torch.tensor([[0x7E, 0xFE]], dtype=torch.uint8)  # 448, 32 above the code before it
    assert held(fp8(codes), torch.tensor([[464.0, -464.0]])).outside == 0
    found = held(fp8(codes), torch.tensor([[480.0, -480.0]]))
    assert (found.outside, found.farthest, found.clipped) == (2, 1.0, 0)


def test_a_power_of_two_for_a_scale_clips_below_the_next_one() -> None:
    """The scale is that of the largest exponent, so up to 8 is clipped to 6."""
    blocks = torch.full((1, 1, 1, 16), 0x77, dtype=torch.uint8)
    scales = torch.full((1, 1, 1), 128, dtype=torch.uint8)  # 2
    weight = coded.mxfp4(blocks, scales)
    numbers = torch.full((1, 32, 1), 12.0)
    numbers[0, :3, 0] = torch.tensor([14.0, 15.9, 16.0])
    found = held(weight, numbers)
    assert (found.outside, found.first, found.clipped) == (1, 2, 1)
    numbers[0, 3, 0] = -14.0  # the code is the one of 14
    found = held(weight, numbers)
    assert (found.outside, found.clipped) == (2, 1)


def test_integers_are_less_their_zero_points() -> None:
    codes = torch.tensor([[-128, -1, 0, 1, 127]], dtype=torch.int8)
    weight = coded.in_blocks(
        codes[None],
        torch.full((1, 1, 1), 0.5),
        (1, 5),
        "int8",
        torch.full((1, 1, 1), 3, dtype=torch.int8),
    )
    numbers = (codes.float() - 3) * 0.5
    for shift in (-0.25, 0.0, 0.25):
        assert held(weight, numbers + shift).outside == 0
    assert held(weight, numbers + 0.26).outside == 5
    assert held(weight, numbers - 0.26).farthest == pytest.approx(0.52, rel=1e-4)


def test_a_quotient_that_was_rounded_to_16_bits_is_told_apart() -> None:
    """100.3 is 100.5 in bfloat16, and 101.3 is 101.5, which is rounded to 102."""
    codes = torch.tensor([[100, 102, 103]], dtype=torch.int8)
    numbers = torch.tensor([[100.3, 101.3, 101.3]])
    scales = torch.ones(1, 1, 1)
    weight = coded.in_blocks(codes[None], scales, (1, 3), "int8")
    assert held(weight, numbers).outside == 2
    # bfloat16 has the quotient by this scale, but not the numbers 100.3 and 101.3 themselves
    third = torch.full((1, 1, 1), 1 / 3)
    weight = coded.in_blocks(codes[None], third, (1, 3), "int8")
    original = (numbers / 3).bfloat16()
    found = held(weight, original)
    assert (found.outside, found.rounded) == (1, 1)
    assert found.first == 2
    found = held(weight, original.float())  # of 32 bits no quotient is rounded so
    assert (found.outside, found.rounded) == (2, 0)


def test_no_number_is_within_no_number_alone() -> None:
    codes = torch.tensor([[0x7F, 0x7F, 0x00, 0x00]], dtype=torch.uint8)
    nan, far = float("nan"), float("inf")
    found = held(fp8(codes), torch.tensor([[nan, 1.0, nan, far]]))
    assert (found.outside, found.first, found.farthest) == (3, 1, far)


def test_infinity_is_within_a_code_of_it() -> None:
    far = float("inf")
    codes = torch.tensor([[0x7C, 0xFC, 0x7C, 0x7B]], dtype=torch.uint8)  # infinite, and 57344
    found = held(fp8(codes, 1.0, "float8_e5m2"), torch.tensor([[far, -far, 61440.0, 61440.0]]))
    assert found.outside == 0
    found = held(fp8(codes, 1.0, "float8_e5m2"), torch.tensor([[-far, -far, 57344.0, far]]))
    assert (found.outside, found.first) == (3, 0)


@pytest.mark.parametrize("scale", [float("inf"), -float("inf"), float("nan")])
def test_a_scale_that_is_not_finite_makes_no_number_of_any_code(scale: float) -> None:
    for kind in (torch.float8_e4m3fn, torch.float8_e5m2):
        codes = torch.zeros(2, 8).to(kind)
        for numbers in (torch.randn(2, 8), torch.zeros(2, 8), torch.randn(2, 8).bfloat16()):
            assert held(fp8(codes, scale, str(kind)[6:]), numbers).outside == 16


def test_a_scale_of_zero_is_that_of_zeros() -> None:
    codes = torch.tensor([[0x00, 0x38]], dtype=torch.uint8)
    assert held(fp8(codes, 0.0), torch.zeros(1, 2)).outside == 0
    assert held(fp8(codes, 0.0), torch.tensor([[0.0, 1e-9]])).first == 1


@pytest.mark.parametrize("rows", [3, 70, 3000])
def test_places_of_a_transposed_weight_are_its_own(rows: int) -> None:
    blocks, scales = coded.any_bytes(2, rows, 3, 16), coded.any_bytes(2, rows, 3, below=140)
    weight = coded.mxfp4(blocks, scales)
    read: Any = pytest.importorskip("transformers.integrations.mxfp4").convert_moe_packed_tensors
    numbers = read(blocks, scales, dtype=torch.float32)
    assert held(weight, numbers).outside == 0
    numbers[1, 77, rows - 1] += numbers.abs().max()
    found = held(weight, numbers)
    assert (found.outside, found.first) == (1, (96 + 77) * rows + rows - 1)


@pytest.mark.parametrize("scale", [2.0**-120, 1.1e-40, 1e38])
def test_the_smallest_and_largest_scales_are_exact_too(scale: float) -> None:
    codes = torch.tensor([[0x08, 0x38, 0x3F]], dtype=torch.uint8)
    weight = fp8(codes, scale)
    numbers = (codes.view(torch.float8_e4m3fn).double() * float(torch.tensor(scale))).float()
    assert held(weight, numbers).outside == 0
    found = held(weight, numbers * 1.2)
    assert (found.outside, found.first) == (3, 0)


def test_an_empty_weight_holds() -> None:
    assert held(fp8(torch.empty(0, 4, dtype=torch.uint8)), torch.empty(0, 4)) == Within()
    empty = coded.mxfp4(
        torch.empty(1, 0, 2, 16, dtype=torch.uint8), torch.empty(1, 0, 2, dtype=torch.uint8)
    )
    assert held(empty, torch.empty(1, 64, 0)).outside == 0
