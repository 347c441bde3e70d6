"""Which tokens random masking keeps, and how their order is restored."""

from __future__ import annotations

import pytest
import torch

from mae.large.masking import random_masking


def numbered(batch: int, length: int) -> torch.Tensor:
    """Tokens (B, L, 1) that carry their own place."""
    return torch.arange(length, dtype=torch.float32).reshape(1, length, 1).repeat(batch, 1, 1)


def test_the_tokens_with_the_least_noise_are_kept_in_the_order_of_the_noise() -> None:
    noise = torch.tensor([[0.9, 0.1, 0.5, 0.3], [0.0, 0.2, 0.1, 0.4]])
    kept, mask, ids_restore = random_masking(numbered(2, 4), 0.5, noise)
    assert kept[..., 0].tolist() == [[1, 3], [0, 2]]
    assert mask.tolist() == [[1, 0, 1, 0], [0, 1, 0, 1]]
    assert ids_restore.tolist() == [[3, 0, 2, 1], [0, 2, 1, 3]]


def test_ids_restore_undoes_the_shuffle() -> None:
    noise = torch.rand(3, 11, generator=torch.Generator().manual_seed(1))
    x = numbered(3, 11)
    kept, mask, ids_restore = random_masking(x, 0.6, noise)
    filled = torch.cat([kept, torch.full((3, 11 - kept.shape[1], 1), -1.0)], dim=1)
    restored = torch.gather(filled, 1, ids_restore.unsqueeze(-1))
    assert torch.equal(restored[mask == 0], x[mask == 0])
    assert (restored[mask == 1] == -1).all()


@pytest.mark.parametrize(
    ("length", "ratio", "kept"),
    [(196, 0.75, 49), (16, 0.75, 4), (200, 0.9, 19), (10, 0.9, 0), (5, 0.0, 5)],
    ids=["published", "tiny", "a-token-lost-of-200", "a-token-lost-of-10", "nothing-hidden"],
)
def test_the_number_kept_is_rounded_down_in_floating_point(
    length: int, ratio: float, kept: int
) -> None:
    x, mask, _ = random_masking(numbered(2, length), ratio)
    assert x.shape == (2, kept, 1)
    assert mask.sum(dim=1).tolist() == [length - kept] * 2


def test_equal_noise_keeps_the_first_tokens() -> None:
    kept, _, _ = random_masking(numbered(1, 40), 0.5, torch.zeros(1, 40))
    assert kept[0, :, 0].tolist() == list(range(20))


def test_a_generator_makes_the_mask_repeatable() -> None:
    masks = [
        random_masking(numbered(2, 64), 0.5, generator=torch.Generator().manual_seed(seed))[1]
        for seed in (1, 1, 2)
    ]
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


def test_each_sample_gets_a_mask_of_its_own() -> None:
    _, mask, _ = random_masking(numbered(2, 64), 0.5, generator=torch.Generator().manual_seed(1))
    assert not torch.equal(mask[0], mask[1])


@pytest.mark.parametrize("ratio", [-0.1, 1.0, float("nan")], ids=str)
def test_a_ratio_outside_its_range_is_refused(ratio: float) -> None:
    with pytest.raises(ValueError, match="mask_ratio"):
        random_masking(numbered(1, 4), ratio)


def test_noise_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="noise"):
        random_masking(numbered(2, 4), 0.5, torch.zeros(1, 4))
