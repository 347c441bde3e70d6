"""Weights of a small model, trained and as initialised, large enough for statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable

import numpy as np

from mae.config import MAEConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tests.builders.evidence import Arrays

#: Four blocks of 64 features, three of the decoder of 48.
SMALL = MAEConfig(
    embed_dim=64,
    depth=4,
    num_heads=2,
    patch_size=8,
    img_size=32,
    decoder_embed_dim=48,
    decoder_depth=3,
    decoder_num_heads=2,
)

Draw = Callable[["np.random.Generator", "tuple[int, ...]"], Any]


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    return int(np.prod(shape[1:])), shape[0]


def _uniform(bound: Callable[[int, int], float]) -> Draw:
    def draw(random: np.random.Generator, shape: tuple[int, ...]) -> Any:
        most = bound(*_fans(shape))
        return random.uniform(-most, most, shape)

    return draw


def _normal(deviation: Callable[[int, int], float], cut: float = 9.0) -> Draw:
    def draw(random: np.random.Generator, shape: tuple[int, ...]) -> Any:
        numbers = random.normal(0, 1, (64, *shape))
        # of 64 tries one is within the cut, all but surely
        kept = np.take_along_axis(numbers, np.argmax(np.abs(numbers) < cut, axis=0)[None], axis=0)
        return kept[0] * deviation(*_fans(shape))

    return draw


#: How layers are drawn before training.
DRAWN: Dict[str, Draw] = {
    "Xavier": _uniform(lambda inputs, outputs: (6 / (inputs + outputs)) ** 0.5),
    "torch's default": _uniform(lambda inputs, _: inputs**-0.5),
    "Kaiming": _uniform(lambda inputs, _: (6 / inputs) ** 0.5),
    "normal 0.02": _normal(lambda *_: 0.02),
    "normal by inputs": _normal(lambda inputs, _: inputs**-0.5),
    "cut off at two": _normal(lambda *_: 0.02, cut=2.0),
}


def trained(config: MAEConfig = SMALL, seed: int = 0) -> Arrays:
    """Weights as training leaves them: heavier tails than those of a normal distribution."""
    random = np.random.default_rng(seed)
    arrays: Arrays = {}
    for name, shape in config.shapes.items():
        gain = "norm" in name and name.endswith("weight")
        numbers = random.laplace(1 if gain else 0, 0.03, shape)
        arrays[name] = numbers.astype(np.float32)
    return arrays


def initialise(arrays: Arrays, names: Iterable[str], drawn: str = "Xavier", seed: int = 1) -> None:
    """Draw some tensors anew: LayerNorms are 1 and 0, biases 0."""
    random = np.random.default_rng(seed)
    for name in names:
        shape = arrays[name].shape
        if len([length for length in shape if length > 1]) > 1:
            arrays[name] = DRAWN[drawn](random, shape).astype(np.float32)
        elif name.endswith("token"):
            arrays[name] = random.normal(0, 0.02, shape).astype(np.float32)
        else:
            arrays[name] = np.full(shape, float(name.endswith("weight")), np.float32)


def decoder(arrays: Arrays) -> list[str]:
    """The names of the decoder, without its table."""
    return [n for n in arrays if n.startswith(("decoder_", "mask")) and "pos_embed" not in n]


def blocks(arrays: Arrays, *numbers: int, stack: str = "blocks") -> list[str]:
    """The names of some blocks."""
    return [n for n in arrays for number in numbers if n.startswith(f"{stack}.{number}.")]


def roles(arrays: Arrays, role: str) -> list[str]:
    """The names of a role, in all blocks of both sides."""
    return [name for name in arrays if name.endswith(f".{role}") and "blocks." in name]


def moved(array: NDArray[Any], by: float = 1e-4) -> NDArray[Any]:
    """A tensor after one step of AdamW: every element by the learning rate, up or down."""
    signs = np.where(np.arange(array.size).reshape(array.shape) % 2, 1, -1)
    return (array + by * signs).astype(np.float32)
