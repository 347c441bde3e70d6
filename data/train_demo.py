"""Train the demo model: ``python data/train_demo.py data/mae_demo.pth``.

A small masked autoencoder on random crops of pictures in the public domain, which scikit-image
ships (README.md beside this file names them and their licences). One thread of a processor takes
about a quarter of an hour, and the same seed gives the same weights on the same machine with the
same versions: ``pip install scikit-image==0.26.0 Pillow==13.0.0`` beside this project.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage import data_dir

from mae.config import CONFIGS
from mae.large import MAEViTLarge

MODEL = "mae_vit_demo_patch8"
#: The training set. chelsea.png, a cat, is left out: what the model makes of it was not learnt
#: by heart.
PICTURES = """
    astronaut.png coffee.png rocket.jpg camera.png hubble_deep_field.jpg retina.jpg
""".split()
#: A crop shows a large part of a picture: what is small is mostly noise.
LARGEST, SMALLER = 256, 1.25
#: Of the channels of ImageNet's pixels, as the published models take them.
MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], dtype=np.float32)

BATCH = 64
PEAK, WARM_UP, DECAY = 1.5e-3, 200, 0.05


def main() -> None:
    """Train, and write the weights under ``"model"`` as the published files have them."""
    parser = argparse.ArgumentParser(description="Train the demo model.")
    parser.add_argument("output", type=Path)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    torch.set_num_threads(1)
    model = trained(options.steps, options.seed)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.save({"model": weights}, options.output)
    print(f"{options.output}: {options.output.stat().st_size:,} bytes")


def trained(steps: int, seed: int) -> MAEViTLarge:
    """Return the model after so many steps of AdamW, with a warm-up and a cosine."""
    config = CONFIGS[MODEL]
    generator = torch.Generator().manual_seed(seed)
    random = np.random.default_rng(seed)
    model = MAEViTLarge(config, device="meta").to_empty(device="cpu")
    model.initialise_weights(generator)
    # gains and biases are not decayed, as usual
    matrices = [one for one in model.parameters() if one.ndim > 1 and one.requires_grad]
    vectors = [one for one in model.parameters() if one.ndim <= 1 and one.requires_grad]
    groups = [
        {"params": matrices, "weight_decay": DECAY},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=PEAK, betas=(0.9, 0.95))
    pictures = [pyramid(name, config.image[0]) for name in PICTURES]
    mean = 0.0
    for step in range(steps):
        rate = PEAK * min((step + 1) / WARM_UP, 0.5 * (1 + math.cos(math.pi * step / steps)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        images = torch.from_numpy(crops(pictures, config.image[0], random))
        loss, _, _ = model(images, generator=generator)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        mean += loss.item() / 100
        if step % 100 == 99:
            print(f"step {step + 1}: loss {mean:.4f}, rate {rate:.6f}", flush=True)
            mean = 0.0
    return model


def pyramid(name: str, side: int) -> list[np.ndarray]:
    """Return a picture in all sizes of which crops are taken, as normalised pixels."""
    found = []
    picture = Image.open(Path(data_dir) / name).convert("RGB")
    least = float(LARGEST)
    while least >= side:
        scale = least / min(picture.size)
        size = tuple(round(length * scale) for length in picture.size)
        pixels = np.asarray(picture.resize(size, Image.Resampling.BICUBIC), dtype=np.float32)
        found.append((pixels / 255 - MEAN) / DEVIATION)
        least /= SMALLER
    return found


def crops(pictures: list[list[np.ndarray]], side: int, random: np.random.Generator) -> np.ndarray:
    """Return a batch of square crops (B, C, H, W), half of them mirrored."""
    batch = np.empty((BATCH, 3, side, side), dtype=np.float32)
    for number in range(BATCH):
        sizes = pictures[random.integers(len(pictures))]
        picture = sizes[random.integers(len(sizes))]
        top, left = (random.integers(length - side + 1) for length in picture.shape[:2])
        crop = picture[top : top + side, left : left + side]
        batch[number] = (crop[:, ::-1] if random.random() < 0.5 else crop).transpose(2, 0, 1)
    return batch


if __name__ == "__main__":
    main()
