"""The sizes of a masked autoencoder, read off the names and shapes of a file.

What most tensors agree on is taken, so that one of another shape contradicts the rest and not the
other way round. What shapes do not show (heads, the order of a grid that is not square) comes from
what is said of the model elsewhere, from a known size, or is assumed, and that is told.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Iterator, Mapping

from ckpttool.findings.text import count
from ckpttool.models.families.mae_blocks import MOST_WIDTH, most_of, stacks_of
from ckpttool.models.families.mae_comparing import MOST_TOKENS, known_as
from ckpttool.models.families.mae_words import VITS, described
from ckpttool.models.family import Free, Kind, Reading
from mae.config import CONFIGS, MAEConfig, hidden_width

if TYPE_CHECKING:
    from ckpttool.models.families.mae_blocks import Stack
    from ckpttool.models.family import Hints, Shape

_OF_DECODER = tuple(
    f"{module}.{leaf}"
    for module in ("decoder_embed", "decoder_norm", "decoder_pred")
    for leaf in ("weight", "bias")
)

_LAST_NORMS = {f"{module}.{leaf}" for module in ("norm", "fc_norm") for leaf in ("weight", "bias")}

# Modules of detectors and segmenters beside their backbone: detectron2's and OpenMMLab's.
_HEADS = (
    *("roi_heads.", "proposal_generator.", "backbone.simfp_", "backbone.fpn_", "sem_seg_head."),
    *("decode_head.", "auxiliary_head.", "rpn_head.", "roi_head.", "bbox_head.", "mask_head."),
    *("keypoint_head.", "neck.fpn"),
)

_HEAD_WIDTH = 64  # of nearly all models
# Beyond these no model is known; sizes that large would cost memory and tell nothing.
_MOST_BLOCKS = 1000


#: What ``--model NAME`` leaves open, and a file may not say.
FREE = {
    "img_size": Free("image", "Pixels of an image: 448, or its height and width, 512x384."),
    "in_chans": Free("number", "Channels of an image."),
    "depth": Free("number", "Blocks of the encoder.", _MOST_BLOCKS),
    "decoder_depth": Free("number", "Blocks of the decoder.", _MOST_BLOCKS),
    "norm_pix_loss": Free("flag", "Whether the model was trained on normalised pixels."),
}


def read_sizes(shapes: Mapping[str, Shape], hints: Hints) -> Reading | None:
    """Return the model that tensors with these canonical names and shapes are of.

    Args:
        shapes: canonical name -> shape.
        hints: what is said of the model elsewhere, by the names of ``MAEConfig``; those that
            ``demanded`` are taken as they are.

    Returns:
        ``None`` where the shapes show no encoder.
    """
    stacks = stacks_of(shapes)
    encoder, decoder = stacks["blocks"], stacks["decoder_blocks"]
    width = most_of(_widths(shapes, encoder))
    if width is None or not encoder.numbers:
        return None
    if max(encoder.depth, decoder.depth) > _MOST_BLOCKS:
        return None
    return _Reader(shapes, hints, encoder, decoder, width).read()


class _Reader:
    """Reads one file; ``told`` gathers what was not read off the shapes, and where it is from."""

    def __init__(
        self,
        shapes: Mapping[str, Shape],
        hints: Hints,
        encoder: Stack,
        decoder: Stack,
        width: int,
    ) -> None:
        self.shapes, self.hints = shapes, hints
        self.encoder, self.decoder, self.width = encoder, decoder, width
        self.told: list[str] = []
        self.no_more: list[str] = []  # told where the file is of no known size

    def read(self) -> Reading | None:
        classes, probe = self._head()
        with_decoder = self._has_decoder()
        patch, channels = self._patches()
        tokens, class_token = self._tokens()
        config = MAEConfig(
            embed_dim=self.width,
            depth=self.encoder.depth,
            num_heads=1,
            patch_size=patch,
            in_chans=channels,
            mlp_ratio=_ratio(self.encoder.hidden, self.width),
            class_token=class_token,
            num_classes=0 if with_decoder else classes,
            pooling=self._pooling(with_decoder, classes),
            probe=probe and not with_decoder,
        )
        if with_decoder:
            config = self._with_decoder(config)
        config = config._replace(img_size=self._image(tokens - class_token, patch))
        config = self._completed(config)
        config = config._replace(qkv_bias=self._qkv_bias(config))
        config = self._with_relative(config)
        backbone = bool(config.rel_pos) or config.pooling == "none"
        if backbone and "cls_token" not in self.shapes and config.class_token:
            # these backbones keep the row of a class token that they do without
            config = config._replace(class_token=False, class_row=True)
        name = known_as(config, with_decoder)
        self.told += [] if name else self.no_more
        config = self._with_hidden_sizes(config, CONFIGS.get(name or ""), with_decoder)
        kind = Kind.FULL if with_decoder else Kind.CLASSIFIER if config.num_classes else Kind.CORE
        if backbone or (kind is Kind.CORE and self._in_another()):
            kind = Kind.BACKBONE
            config = config._replace(decoder_depth=0)
        text = name or described(config, with_decoder)
        return Reading(config, name, text, kind, tuple(self.told))

    # --- what the shapes show -------------------------------------------------------------

    def _has_decoder(self) -> bool:
        # mask_token alone decides nothing: other models have one in their encoder
        return bool(self.decoder.numbers) or any(name in self.shapes for name in _OF_DECODER)

    def _in_another(self) -> bool:
        """Whether heads of a detector or segmenter lie beside."""
        return any(name.startswith(_HEADS) for name in self.shapes)

    def _head(self) -> tuple[int, bool]:
        """Return the number of classes, 0 without a head, and whether it is a linear probe's."""
        weight = self.shapes.get("head.weight", ())
        if "head.bias" in self.shapes and len(weight) == 2 and weight[1] == self.width:
            return weight[0], False
        # the statistics of a BatchNorm are a probe's; one of them may be what is missing
        if not any(f"head.0.running_{what}" in self.shapes for what in ("mean", "var")):
            return 0, False
        weight, bias = (self.shapes.get(f"head.1.{leaf}", ()) for leaf in ("weight", "bias"))
        if len(weight) == 2 and weight[1] == self.width:
            return weight[0], True
        return (bias[0], True) if len(bias) == 1 and not weight else (0, False)

    def _pooling(self, with_decoder: bool, classes: int) -> str:
        there = {name.rpartition(".")[0] for name in _LAST_NORMS & self.shapes.keys()}
        if classes and not with_decoder and len(there) > 1:
            # a fine-tuned model computes with what only it has; the encoder's own may be left over
            self.told.append("fc_norm before the head: assumed, norm is there too")
            return "fc_norm"
        if "norm" in there or with_decoder:
            return "norm"
        if "fc_norm" in there:
            return "fc_norm"
        # a detector or segmenter may have norms of its own behind its backbone, or none
        backbone = bool(self.encoder.rel_pos) or self._in_another()
        return "none" if backbone and not classes else "norm"

    def _qkv_bias(self, config: MAEConfig) -> bool:
        """Return whether query, key and value have a bias, or should have: all may be lost."""
        shown = {self.encoder.qkv_bias, self.decoder.qkv_bias}
        if True in shown or False not in shown:  # those of one side are lost where the other's are
            return True
        hint = self.hints.get("qkv_bias")
        if hint is None or not isinstance(hint.value, bool):
            return any(self._alike(known, config, "qkv_bias") for known in CONFIGS.values())
        if not hint.value:
            self.told.append(f"no bias in qkv: {hint.source}")
        return hint.value

    def _patches(self) -> tuple[int, int]:
        """Return the side of a patch and the channels."""
        shape = self.shapes.get("patch_embed.proj.weight", ())
        if len(shape) == 4 and shape[2] == shape[3] and 0 < shape[2] < MOST_WIDTH:
            return shape[2], shape[1]
        pixels = next(iter(self.shapes.get("decoder_pred.weight", ())), 0)
        if len(shape) == 2:  # a linear layer over the pixels of a patch
            pixels = shape[1]
        channels = self._demanded("in_chans") or 3
        known = [one.patch_size for one in CONFIGS.values() if one.embed_dim == self.width]
        for side in (*known, 16, 14, 8, 32):
            if pixels == side * side * channels:
                return side, channels
        side = known[0] if known else 16
        self.told.append(f"patches of {side} pixels: assumed")
        return side, channels

    def _tokens(self) -> tuple[int, bool]:
        """Return the rows of the position table, and whether the first is a class token's."""
        rows = [
            shape[-2]
            for name in ("pos_embed", "decoder_pos_embed")
            for shape in [self.shapes.get(name, ())]
            # one without the axis of the batch shows its rows, too
            if len(shape) in (2, 3) and 0 < shape[-2] <= MOST_TOKENS
        ]
        there = "cls_token" in self.shapes
        if not rows:
            self.told.append("images of 224 pixels: assumed, no position table shows it")
            patch, _ = self._patches()
            return (224 // patch) ** 2 + there, there
        # of two that disagree, the one that is a square is the likelier
        squares = [row for row in rows if _side(row - there) is not None]
        tokens = (squares or rows)[0]
        if there and self._shown() == tokens:
            # to the class token no position is added: the row is missing, and the model's is zeros
            return tokens + 1, there
        if there or _side(tokens) is not None or _side(tokens - 1) is None:
            return tokens, there
        return tokens, True  # a square and one: the class token itself is missing

    def _shown(self) -> int:
        """Return the number of patches that the values of a position table show; 0 if none is."""
        hint = self.hints.get("grid")
        return hint.value[0] * hint.value[1] if hint and isinstance(hint.value, tuple) else 0

    def _image(self, patches: int, side: int) -> int | tuple[int, int]:
        square = _side(patches)
        wanted = self._image_hint(patches, side)
        if wanted is not None:
            return wanted
        if square is not None:
            return square * side
        rows = next(n for n in range(int(patches**0.5), 0, -1) if patches % n == 0)
        # wide images are more common than high ones
        columns = patches // rows
        self.told.append(f"a grid of {rows} x {columns} patches: assumed, of {patches}")
        return rows * side, columns * side

    def _image_hint(self, patches: int, side: int) -> int | tuple[int, int] | None:
        hint = self.hints.get("img_size")
        shown = self.hints.get("grid")
        if shown is not None and not (hint and hint.demanded) and isinstance(shown.value, tuple):
            rows, columns = shown.value
            if rows * columns == patches:
                if rows != columns:
                    self.told.append(f"a grid of {rows} x {columns} patches: {shown.source}")
                return rows * side if rows == columns else (rows * side, columns * side)
        if hint is None:
            return None
        size = hint.value
        pair = (size, size) if isinstance(size, int) else size
        if not (isinstance(pair, (tuple, list)) and len(pair) == 2):
            return None
        height, width = pair
        if not (isinstance(height, int) and isinstance(width, int)):
            return None
        if (height // side) * (width // side) == patches:
            if height != width:
                self.told.append(f"images of {height} x {width} pixels: {hint.source}")
            return height if height == width else (height, width)
        return None

    def _with_decoder(self, config: MAEConfig) -> MAEConfig:
        votes: list[int] = []
        for name in ("mask_token", "decoder_pos_embed", "decoder_norm.weight", "decoder_norm.bias"):
            votes += self.shapes.get(name, ())[-1:]
        for name in ("decoder_embed.weight", "decoder_embed.bias"):
            votes += self.shapes.get(name, ())[:1]
        width = self.decoder.width or most_of(votes) or config.decoder_embed_dim
        ratio: float | None = _ratio(self.decoder.hidden, width)
        depth = self.decoder.depth or self._demanded("decoder_depth")
        if not depth:
            depth = config.decoder_depth
            self.told.append(f"{depth} blocks in the decoder: assumed, there is none of them")
        return config._replace(
            decoder_embed_dim=width,
            decoder_depth=depth,
            decoder_mlp_ratio=None if ratio == config.mlp_ratio else ratio,
        )

    def _with_relative(self, config: MAEConfig) -> MAEConfig:
        found = self.encoder.rel_pos
        if not found:
            return config
        usual = Counter(shape[0] for shape in found.values()).most_common(1)[0][0]
        head = Counter(shape[1] for shape in found.values()).most_common(1)[0][0]
        rows = tuple(found[n][0] if n in found else usual for n in range(config.depth))
        heads = config.embed_dim // head if head and config.embed_dim % head == 0 else 1
        return config._replace(rel_pos=rows, num_heads=heads)

    # --- what they do not -----------------------------------------------------------------

    def _completed(self, config: MAEConfig) -> MAEConfig:
        """Give a file with too few blocks the depth that is demanded, said or known."""
        for field in ("depth", "decoder_depth"):
            hint = self.hints.get(field)
            if hint is None or not (hint.demanded or hint.own):
                continue
            # the arguments of a run are whatever a file says they are
            if type(hint.value) is int and hint.value <= _MOST_BLOCKS:
                # fewer than there are is a contradiction, for contradicts() to see
                config = config._replace(**{field: max(hint.value, getattr(config, field))})
        for known in CONFIGS.values():
            for field, width, less, where in (
                ("depth", "embed_dim", self.encoder.depth, ""),
                ("decoder_depth", "decoder_embed_dim", self.decoder.depth, " in the decoder"),
            ):
                same = getattr(known, width) == getattr(config, width)
                if not same or not 0 < less < getattr(known, field):
                    continue
                hint = self.hints.get(field)
                if not self._alike(known, config, field):
                    continue
                if hint is not None and (hint.demanded or hint.value == less):
                    # it is said elsewhere that there are no more
                    self.no_more.append(f"{count(less, 'block')}{where}: {hint.source}")
                    continue
                config = config._replace(**{field: getattr(known, field)})
        letter, usual, _ = VITS.get(config.embed_dim, ("", 0, 0))
        if 0 < self.encoder.depth == config.depth < usual and not self.no_more:
            # nothing says that there were no more, as nothing says that there were
            self.told.append(f"{count(config.depth, 'block')}, where ViT-{letter} has {usual}")
        return config

    def _alike(self, known: MAEConfig, config: MAEConfig, field: str) -> bool:
        """Whether a known size is the same in what tells of a field."""
        alike = (known.embed_dim, known.patch_size) == (config.embed_dim, config.patch_size)
        return alike and (field == "depth" or known.depth == config.depth)

    def _with_hidden_sizes(
        self, config: MAEConfig, known: MAEConfig | None, with_decoder: bool
    ) -> MAEConfig:
        """Add what no shape shows: heads, eps, the normalisation of the pixels."""
        heads = config.num_heads if config.rel_pos else self._heads(config.embed_dim, known)
        theirs = known if known and known.decoder_embed_dim == config.decoder_embed_dim else None
        less = self._decoder_heads(config.decoder_embed_dim, theirs, with_decoder)
        config = config._replace(num_heads=heads, decoder_num_heads=less)
        if known and not with_decoder:  # the decoder that this encoder was trained with
            config = config._replace(
                decoder_embed_dim=known.decoder_embed_dim,
                decoder_depth=known.decoder_depth,
                decoder_num_heads=known.decoder_num_heads,
                decoder_mlp_ratio=known.decoder_mlp_ratio,
            )
        eps = self.hints.get("layer_norm_eps")
        # of a published size the eps is known, whatever a config says
        if known is None and eps is not None and isinstance(eps.value, float) and eps.value > 0:
            self.told.append(f"layer_norm_eps {eps.value:g}: {eps.source}")
            config = config._replace(layer_norm_eps=eps.value)
        normalised = self.hints.get("norm_pix_loss")
        if normalised is not None and isinstance(normalised.value, bool):
            config = config._replace(norm_pix_loss=normalised.value)
        return config

    def _heads(self, width: int, known: MAEConfig | None) -> int:
        if known is not None:
            return known.num_heads
        said = self._said("num_heads", width)
        if said is not None:
            return said
        if width in VITS:
            letter, _, heads = VITS[width]
            self.told.append(f"{heads} heads: those of ViT-{letter}")
            return heads
        return self._assumed(width, "")

    def _decoder_heads(self, width: int, known: MAEConfig | None, there: bool) -> int:
        if known is not None:
            return known.decoder_num_heads
        if not there:
            return _dividing(width, 16)
        said = self._said("decoder_num_heads", width)
        if said is not None:
            return said
        if width % 16 == 0:
            self.told.append("16 heads in the decoder: assumed, those of the published ones")
            return 16
        return self._assumed(width, " in the decoder")

    def _said(self, field: str, width: int) -> int | None:
        hint = self.hints.get(field)
        if hint is None or isinstance(hint.value, bool) or not isinstance(hint.value, int):
            return None
        if hint.value < 1 or width % hint.value:
            return None
        self.told.append(f"{hint.value} heads: {hint.source}")
        return hint.value

    def _assumed(self, width: int, where: str) -> int:
        heads = _dividing(width, max(width // _HEAD_WIDTH, 1))
        self.told.append(f"{heads} head{'s' if heads > 1 else ''}{where}: assumed")
        return heads

    def _demanded(self, field: str) -> int | None:
        hint = self.hints.get(field)
        demanded = hint is not None and hint.demanded and isinstance(hint.value, int)
        return hint.value if demanded and hint and isinstance(hint.value, int) else None


def _widths(shapes: Mapping[str, Shape], encoder: Stack) -> Iterator[int]:
    # the blocks' own vote is as good as all others together
    if encoder.width is not None:
        yield from [encoder.width] * 3
    for name in ("cls_token", "pos_embed", "norm.weight", "fc_norm.weight"):
        yield from shapes.get(name, ())[-1:]
    yield from shapes.get("patch_embed.proj.bias", ())[:1]


def _ratio(hidden: int | None, width: int) -> float:
    """Return the ratio that :func:`hidden_width` turns into ``hidden``; 4 where it is unknown."""
    if hidden is None:
        return 4.0
    ratio = hidden / width
    # a quotient that was rounded down would lose one
    return ratio if hidden_width(width, ratio) == hidden else (hidden + 0.5) / width


def _side(patches: int) -> int | None:
    """Return the side of a square grid of so many patches."""
    side = round(max(patches, 0) ** 0.5)
    return side if side and side * side == patches else None


def _dividing(width: int, most: int) -> int:
    """Return the largest number up to ``most`` that divides the width."""
    return next(heads for heads in range(min(most, width), 0, -1) if width % heads == 0)
