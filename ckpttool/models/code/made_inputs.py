"""Inputs that a model of transformers takes: its ``dummy_inputs``, or some made by their names."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator

from ckpttool.models.code.running import Inputs

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

#: Images, texts or sounds, and the tokens of a text.
_BATCH, _LENGTH = 2, 8
#: Samples of a sound: a second, which every stack of convolutions leaves something of.
_SAMPLES = 16_000
# Longer ones are nonsense, and would fill the memory.
_MOST = 4_096

# Where a part of a model of several has its sizes.
_PARTS = ("vision_config", "audio_config", "text_config", "encoder", "backbone_config")


def inputs_of(model: PreTrainedModel) -> list[Inputs]:
    """Return what a model may be called with, what it says itself first."""
    found = []
    known = _known(model)
    dummies = _dummies(model)
    main = getattr(model, "main_input_name", "input_ids")
    if main in dummies and set(dummies) <= known:
        found.append(Inputs("its dummy_inputs", (), dummies))
    made = {name: make(model) for name, make in _MAKERS.items() if name in known}
    made = {name: tensor for name, tensor in made.items() if tensor is not None}
    decoder = {name: one for name, one in made.items() if name == "decoder_input_ids"}
    if main in made:
        alone = {main: made[main]}
        found.append(_inputs(alone))
        if decoder:
            found.append(_inputs({**alone, **decoder}))
    if len(made) > 1:
        found.append(_inputs(made))
    if "input_values" in made:  # with channels, as codecs take them
        found.append(_inputs({"input_values": made["input_values"].unsqueeze(1)}))
    return found


def _inputs(made: Dict[str, Any]) -> Inputs:
    shapes = (f"{name} {' x '.join(map(str, one.shape))}" for name, one in made.items())
    return Inputs(f"made {', '.join(shapes)}", (), made)


def _known(model: PreTrainedModel) -> set[str]:
    """Return the names of what its forward takes."""
    return set(inspect.signature(model.forward).parameters)


def _dummies(model: PreTrainedModel) -> Dict[str, Any]:
    import torch

    dummies = model.dummy_inputs
    most = _setting(model, "vocab_size") or 1
    # a small model has fewer tokens than the library's own inputs know of
    return {
        name: one % most if torch.is_tensor(one) and not one.is_floating_point() else one
        for name, one in dummies.items()
        if one is not None
    }


def _setting(model: PreTrainedModel, *names: str) -> int | None:
    """Return a size from the configuration, or from that of the part that has it."""
    for size in _sizes(model, names):
        return size[0]
    return None


def _sides(model: PreTrainedModel, *names: str) -> tuple[int, int] | None:
    for size in _sizes(model, names):
        return (size[0], size[-1])
    return None


def _sizes(model: PreTrainedModel, names: tuple[str, ...]) -> Iterator[tuple[int, ...]]:
    parts = (model.config, *(getattr(model.config, part, None) for part in _PARTS))
    for part in parts:
        for name in names:
            value = getattr(part, name, None)
            if isinstance(value, dict):
                value = tuple(value.get(side) for side in ("height", "width"))
            size = tuple(value) if isinstance(value, (list, tuple)) else (value,)
            if size and all(type(one) is int and one > 0 for one in size):
                yield size


def _ids(model: PreTrainedModel) -> torch.Tensor | None:
    import torch

    most = _setting(model, "vocab_size")
    return None if most is None else torch.arange(1, _LENGTH + 1).expand(_BATCH, -1) % most


def _noise(*shape: int | None) -> torch.Tensor | None:
    import torch

    if any(one is None or one > _MOST * _BATCH for one in shape):
        return None
    generator = torch.Generator().manual_seed(0)
    return torch.randn([one for one in shape if one is not None], generator=generator)


def _pixels(model: PreTrainedModel) -> torch.Tensor | None:
    sides = _sides(model, "image_size", "input_size", "img_size") or (224, 224)
    channels = _setting(model, "num_channels", "in_channels", "in_chans") or 3
    frames = _setting(model, "num_frames")
    if frames is not None:
        return _noise(_BATCH, frames, channels, *sides)
    return _noise(_BATCH, channels, *sides)


def _sound(model: PreTrainedModel) -> torch.Tensor | None:
    import torch

    mels = _setting(model, "num_mel_bins")
    length = _setting(model, "max_length")
    if mels is not None and length is not None:  # a spectrogram, as AST has it
        return _noise(_BATCH, length, mels)
    return torch.sin(torch.arange(_SAMPLES) / 20).expand(_BATCH, -1)


def _features(model: PreTrainedModel) -> torch.Tensor | None:
    frames = _setting(model, "max_source_positions")
    mels = _setting(model, "num_mel_bins")
    if frames is not None and mels is not None and not _setting(model, "input_feat_per_channel"):
        return _noise(_BATCH, mels, 2 * frames)
    width = _setting(
        model, "input_feat_per_channel", "feature_projection_input_dim", "num_mel_bins"
    )
    return _noise(_BATCH, 64, width)


_MAKERS: Dict[str, Callable[[Any], Any]] = {
    "input_ids": _ids,
    "decoder_input_ids": _ids,
    "pixel_values": _pixels,
    "input_values": _sound,
    "input_features": _features,
}
