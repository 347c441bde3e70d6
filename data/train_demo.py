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
    astronaut.png coffee.png rocket.jpg hubble_deep_field.jpg retina.jpg
    camera.png brick.png grass.png gravel.png
""".split()
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
    pictures = pyramid(config.image[0])
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


def pyramid(side: int) -> list[np.ndarray]:
    """Return every picture in all sizes of which a crop can be taken, as normalised pixels."""
    found = []
    for name in PICTURES:
        picture = Image.open(Path(data_dir) / name).convert("RGB")
        while min(picture.size) >= side:
            pixels = np.asarray(picture, dtype=np.float32) / 255
            found.append((pixels - MEAN) / DEVIATION)
            smaller = tuple(round(length / 1.5) for length in picture.size)
            picture = picture.resize(smaller, Image.Resampling.BOX)
    return found


def crops(pictures: list[np.ndarray], side: int, random: np.random.Generator) -> np.ndarray:
    """Return a batch of square crops (B, C, H, W), half of them mirrored."""
    batch = np.empty((BATCH, 3, side, side), dtype=np.float32)
    for number in range(BATCH):
        picture = pictures[random.integers(len(pictures))]
        top, left = (random.integers(length - side + 1) for length in picture.shape[:2])
        crop = picture[top : top + side, left : left + side]
        batch[number] = (crop[:, ::-1] if random.random() < 0.5 else crop).transpose(2, 0, 1)
    return batch


if __name__ == "__main__":
    main()
