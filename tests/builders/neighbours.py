"""Names and shapes of models that are handed in beside masked autoencoders, with tiny widths.

The names are those of the published code; each has two blocks, unless said otherwise.
"""

from __future__ import annotations

from typing import Dict, Tuple

import torch

Shapes = Dict[str, Tuple[int, ...]]

WIDTH, DEPTH = 8, 2
NOTHING: Shapes = {}


def under(prefix: str, shapes: Shapes) -> Shapes:
    return {prefix + name: shape for name, shape in shapes.items()}


def without(shapes: Shapes, *endings: str) -> Shapes:
    return {name: shape for name, shape in shapes.items() if not name.endswith(endings)}


def block(stem: str, width: int = WIDTH, *, qkv_bias: bool = True) -> Shapes:
    """A block of a ViT as timm spells it."""
    shapes: Shapes = {
        f"{stem}.attn.qkv.weight": (3 * width, width),
        f"{stem}.attn.proj.weight": (width, width),
        f"{stem}.attn.proj.bias": (width,),
        f"{stem}.mlp.fc1.weight": (4 * width, width),
        f"{stem}.mlp.fc1.bias": (4 * width,),
        f"{stem}.mlp.fc2.weight": (width, 4 * width),
        f"{stem}.mlp.fc2.bias": (width,),
    }
    for norm in ("norm1", "norm2"):
        shapes.update({f"{stem}.{norm}.weight": (width,), f"{stem}.{norm}.bias": (width,)})
    return {**shapes, f"{stem}.attn.qkv.bias": (3 * width,)} if qkv_bias else shapes


def blocks(stack: str = "blocks", more: Shapes = NOTHING, *, qkv_bias: bool = True) -> Shapes:
    """Blocks of a ViT, each with the tensors of ``more`` as well."""
    shapes: Shapes = {}
    for number in range(DEPTH):
        stem = f"{stack}.{number}"
        shapes.update(block(stem, qkv_bias=qkv_bias))
        shapes.update({f"{stem}.{name}": shape for name, shape in more.items()})
    return shapes


def patches(*kernel: int, channels: int = 3) -> Shapes:
    return {
        "patch_embed.proj.weight": (WIDTH, channels, *(kernel or (4, 4))),
        "patch_embed.proj.bias": (WIDTH,),
    }


def vit(*, tokens: int = 5, channels: int = 3, patch: int = 4, more: Shapes = NOTHING) -> Shapes:
    """A ViT with the names of the MAE encoder."""
    return {
        "cls_token": (1, 1, WIDTH),
        "pos_embed": (1, tokens, WIDTH),
        **patches(patch, patch, channels=channels),
        **blocks(more=more),
        "norm.weight": (WIDTH,),
        "norm.bias": (WIDTH,),
    }


def mae(*, tokens: int = 5, channels: int = 3) -> Shapes:
    """A full MAE."""
    return {
        **vit(tokens=tokens, channels=channels),
        "mask_token": (1, 1, WIDTH),
        "decoder_pos_embed": (1, 5, WIDTH),
        "decoder_embed.weight": (WIDTH, WIDTH),
        **blocks("decoder_blocks"),
        "decoder_pred.weight": (48, WIDTH),
    }


_Q_BIAS: Shapes = {"attn.q_bias": (WIDTH,), "attn.v_bias": (WIDTH,)}
_HEAD: Shapes = {
    "head.mlp.0.weight": (16, WIDTH),
    "head.mlp.2.weight": (16, 16),
    "head.last_layer.weight_g": (32, 1),
    "head.last_layer.weight_v": (32, 16),
}


def beit() -> Shapes:
    more: Shapes = {
        **_Q_BIAS,
        "gamma_1": (WIDTH,),
        "gamma_2": (WIDTH,),
        "attn.relative_position_bias_table": (12, 2),
    }
    return {
        **without(vit(more=more), "qkv.bias", "pos_embed"),
        "mask_token": (1, 1, WIDTH),
        "lm_head.weight": (64, WIDTH),
    }


def mae_of_mmsegmentation() -> Shapes:
    """A segmenter whose blocks have the relative positions and scales of BEiT, and all biases."""
    more: Shapes = {
        "gamma_1": (WIDTH,),
        "gamma_2": (WIDTH,),
        "attn.relative_position_bias_table": (12, 2),
    }
    backbone = {name.replace("blocks.", "layers."): shape for name, shape in vit(more=more).items()}
    return {**under("backbone.", backbone), "decode_head.conv_seg.weight": (150, 4, 1, 1)}


def eva02() -> Shapes:
    more: Shapes = {
        **_Q_BIAS,
        "mlp.w1.weight": (16, WIDTH),
        "mlp.w2.weight": (16, WIDTH),
        "mlp.w3.weight": (WIDTH, 16),
        "mlp.ffn_ln.weight": (16,),
        "attn.q_proj.weight": (WIDTH, WIDTH),
        "attn.k_proj.weight": (WIDTH, WIDTH),
        "attn.v_proj.weight": (WIDTH, WIDTH),
    }
    return without(
        vit(more=more),
        "qkv.weight",
        "qkv.bias",
        ".fc1.weight",
        ".fc2.weight",
        ".fc1.bias",
        ".fc2.bias",
    )


def dino() -> Shapes:
    return {**under("backbone.", vit()), **_HEAD}


def dino_of_both() -> Shapes:
    """The student, which is saved first, and the teacher."""
    return {**under("student.module.", dino()), **under("teacher.", dino())}


def ibot() -> Shapes:
    head: Shapes = {"head.last_layer2.weight_g": (32, 1), "head.last_layer2.weight_v": (32, 16)}
    return {**under("backbone.", {**vit(), "masked_embed": (1, WIDTH)}), **_HEAD, **head}


def dinov2() -> Shapes:
    scales: Shapes = {"ls1.gamma": (WIDTH,), "ls2.gamma": (WIDTH,)}
    return {
        **vit(patch=14, more=scales),
        "mask_token": (1, WIDTH),
        "register_tokens": (1, 4, WIDTH),
    }


def dinov2_in_chunks() -> Shapes:
    """The blocks of the second chunk keep their numbers."""
    chunks = {
        name.replace("blocks.0.", "blocks.0.0.").replace("blocks.1.", "blocks.1.1."): shape
        for name, shape in dinov2().items()
    }
    return without(chunks, "register_tokens")


def dinov3() -> Shapes:
    more: Shapes = {"ls1.gamma": (WIDTH,), "attn.qkv.bias_mask": (3 * WIDTH,)}
    tokens: Shapes = {"storage_tokens": (1, 4, WIDTH), "rope_embed.periods": (2,)}
    return {**without(vit(more=more), "pos_embed"), **tokens, "mask_token": (1, WIDTH)}


def videomae() -> Shapes:
    encoder = {**patches(2, 4, 4), **blocks(more=_Q_BIAS, qkv_bias=False)}
    return {
        **under("encoder.", encoder),
        "encoder_to_decoder.weight": (4, WIDTH),
        "mask_token": (1, 1, 4),
        **blocks("decoder.blocks", _Q_BIAS, qkv_bias=False),
    }


def prithvi() -> Shapes:
    return {**mae(), **patches(1, 4, 4, channels=6), "pos_embed": (1, 589, WIDTH)}


def videomae_classifier() -> Shapes:
    return {**patches(2, 4, 4), **blocks(more=_Q_BIAS, qkv_bias=False), "head.weight": (400, WIDTH)}


def mae_pytorch() -> Shapes:
    return {**without(videomae(), "patch_embed.proj.weight"), **under("encoder.", patches())}


def mae_st() -> Shapes:
    third = (WIDTH, WIDTH)
    apart: Shapes = {"attn.q.weight": third, "attn.k.weight": third, "attn.v.weight": third}
    return {
        **without({**patches(2, 4, 4), **blocks(more=apart)}, "qkv.weight", "qkv.bias"),
        "cls_token": (1, 1, WIDTH),
        "pos_embed_spatial": (1, 4, WIDTH),
        "pos_embed_temporal": (1, 2, WIDTH),
        "pos_embed_class": (1, 1, WIDTH),
    }


def satmae() -> Shapes:
    groups: Shapes = {
        f"patch_embed.{number}.proj.weight": (WIDTH, channels, 4, 4)
        for number, channels in enumerate((4, 4, 2))
    }
    return {
        **without(vit(), "patch_embed.proj.weight", "patch_embed.proj.bias"),
        **groups,
        "channel_embed": (1, 3, 4),
        "decoder_channel_embed": (1, 4, 4),
    }


def audiomae() -> Shapes:
    return {**mae(), **vit(tokens=513, channels=1)}


def convmae() -> Shapes:
    return {
        **{f"patch_embed{n}.proj.weight": (WIDTH, 3, 2, 2) for n in (1, 2, 3)},
        "patch_embed4.weight": (WIDTH, WIDTH),
        "stage1_output_decode.weight": (WIDTH, 4, 4, 4),
        "stage2_output_decode.weight": (WIDTH, 4, 2, 2),
        "pos_embed": (1, 4, WIDTH),
        **blocks("blocks3"),
    }


def multimae() -> Shapes:
    return {
        "input_adapters.rgb.proj.weight": (WIDTH, 3, 4, 4),
        "input_adapters.depth.proj.weight": (WIDTH, 1, 4, 4),
        "global_tokens": (1, 1, WIDTH),
        **blocks("encoder"),
    }


def croco() -> Shapes:
    cross: Shapes = {"cross_attn.projq.weight": (WIDTH, WIDTH)}
    return {
        **patches(),
        **blocks("enc_blocks"),
        **blocks("dec_blocks", cross),
        "mask_token": (1, 1, WIDTH),
        "prediction_head.weight": (48, WIDTH),
    }


def dust3r() -> Shapes:
    cross: Shapes = {"cross_attn.projq.weight": (WIDTH, WIDTH)}
    return {**without(croco(), "prediction_head.weight"), **blocks("dec_blocks2", cross)}


def vitdet() -> Shapes:
    relative: Shapes = {"attn.rel_pos_h": (27, 4), "attn.rel_pos_w": (27, 4)}
    backbone = without(vit(more=relative), "cls_token", ".norm.weight", "norm.bias")
    backbone.pop("norm.weight")
    return {
        **under("backbone.net.", backbone),
        "backbone.simfp_2.0.weight": (WIDTH, 4, 2, 2),
        "roi_heads.box_predictor.cls_score.weight": (81, 16),
    }


def sam() -> Shapes:
    relative: Shapes = {"attn.rel_pos_h": (27, 4), "attn.rel_pos_w": (27, 4)}
    return {
        **under("image_encoder.", {**patches(), **blocks(more=relative)}),
        "image_encoder.neck.0.weight": (4, WIDTH, 1, 1),
        "mask_decoder.iou_token.weight": (1, 4),
    }


def vitpose() -> Shapes:
    backbone = without(vit(tokens=17, patch=16), "cls_token")
    backbone["last_norm.weight"] = backbone.pop("norm.weight")
    return {
        **under("backbone.", backbone),
        "keypoint_head.deconv_layers.0.weight": (WIDTH, 4, 4, 4),
        "keypoint_head.final_layer.weight": (17, 4, 1, 1),
    }


def vit_pytorch() -> Shapes:
    return {
        "pos_embedding": (1, 5, WIDTH),
        "cls_token": (1, 1, WIDTH),
        "to_patch_embedding.1.weight": (WIDTH, 48),
        **{f"transformer.layers.{n}.0.fn.to_qkv.weight": (3 * WIDTH, WIDTH) for n in range(DEPTH)},
        **{f"transformer.layers.{n}.0.norm.weight": (WIDTH,) for n in range(DEPTH)},
        "mlp_head.1.weight": (10, WIDTH),
    }


def mae_of_vit_pytorch() -> Shapes:
    return {**under("encoder.", vit_pytorch()), "mask_token": (8,), "to_pixels.weight": (48, 8)}


def torchvision() -> Shapes:
    stem = "encoder.layers.encoder_layer_"
    return {
        "class_token": (1, 1, WIDTH),
        "conv_proj.weight": (WIDTH, 3, 4, 4),
        "encoder.pos_embedding": (1, 5, WIDTH),
        **{f"{stem}{n}.ln_1.weight": (WIDTH,) for n in range(DEPTH)},
        **{f"{stem}{n}.self_attention.in_proj_weight": (24, WIDTH) for n in range(DEPTH)},
        "heads.head.weight": (1000, WIDTH),
    }


def clip() -> Shapes:
    """OpenAI's spelling; the text tower has blocks of the same names."""
    tower: Shapes = {}
    for number in range(DEPTH):
        stem = f"transformer.resblocks.{number}"
        tower[f"{stem}.attn.in_proj_weight"] = (3 * WIDTH, WIDTH)
        tower[f"{stem}.ln_1.weight"] = (WIDTH,)
    visual: Shapes = {
        "class_embedding": (WIDTH,),
        "positional_embedding": (5, WIDTH),
        "conv1.weight": (WIDTH, 3, 4, 4),
        **tower,
    }
    return {**under("visual.", visual), **tower, "token_embedding.weight": (64, WIDTH)}


def clip_of_transformers() -> Shapes:
    stem = "vision_model.encoder.layers"
    return {
        "vision_model.embeddings.class_embedding": (WIDTH,),
        "vision_model.embeddings.patch_embedding.weight": (WIDTH, 3, 4, 4),
        **{f"{stem}.{n}.layer_norm1.weight": (WIDTH,) for n in range(DEPTH)},
        **{f"{stem}.{n}.self_attn.q_proj.weight": (WIDTH, WIDTH) for n in range(DEPTH)},
    }


def siglip() -> Shapes:
    probe: Shapes = {"vision_model.head.probe": (1, 1, WIDTH)}
    return {**without(clip_of_transformers(), "class_embedding"), **probe}


def dit() -> Shapes:
    return {
        "x_embedder.proj.weight": (WIDTH, 4, 2, 2),
        "t_embedder.mlp.0.weight": (WIDTH, 16),
        **blocks(more={"adaLN_modulation.1.weight": (6 * WIDTH, WIDTH)}),
    }


def swin() -> Shapes:
    table: Shapes = {"attn.relative_position_bias_table": (49, 2)}
    return {
        "patch_embed.proj.weight": (WIDTH, 3, 4, 4),
        **blocks("layers.0.blocks", table),
        "layers.0.downsample.reduction.weight": (16, 32),
    }


def resnet() -> Shapes:
    shapes: Shapes = {"conv1.weight": (64, 3, 7, 7), "bn1.running_mean": (64,)}
    for layer in range(1, 5):
        stem = f"layer{layer}.0"
        shapes.update(
            {
                f"{stem}.conv1.weight": (4, 4, 1, 1),
                f"{stem}.conv2.weight": (4, 4, 3, 3),
                f"{stem}.bn1.running_mean": (4,),
            }
        )
    return {**shapes, "fc.weight": (1000, 4)}


def convnext() -> Shapes:
    return {
        "downsample_layers.0.0.weight": (WIDTH, 3, 4, 4),
        "stages.0.0.dwconv.weight": (WIDTH, 1, 7, 7),
        "stages.0.0.pwconv1.weight": (32, WIDTH),
    }


def bert() -> Shapes:
    return {
        "bert.embeddings.word_embeddings.weight": (64, WIDTH),
        "bert.embeddings.token_type_embeddings.weight": (2, WIDTH),
        "bert.encoder.layer.0.attention.self.query.weight": (WIDTH, WIDTH),
    }


def gpt2() -> Shapes:
    return {
        "transformer.wte.weight": (64, WIDTH),
        "transformer.wpe.weight": (16, WIDTH),
        "transformer.h.0.attn.c_attn.weight": (WIDTH, 3 * WIDTH),
    }


def llama() -> Shapes:
    return {
        "model.embed_tokens.weight": (64, WIDTH),
        "model.layers.0.self_attn.q_proj.weight": (WIDTH, WIDTH),
        "model.layers.0.mlp.gate_proj.weight": (16, WIDTH),
    }


def unet() -> Shapes:
    return {
        "conv_in.weight": (WIDTH, 4, 3, 3),
        "time_embedding.linear_1.weight": (32, WIDTH),
        "mid_block.resnets.0.conv1.weight": (WIDTH, WIDTH, 3, 3),
    }


def simmim() -> Shapes:
    encoder: Shapes = {"mask_token": (1, 1, WIDTH), **vit(), **blocks(more=_Q_BIAS, qkv_bias=False)}
    return {**under("encoder.", encoder), "decoder.0.weight": (48, WIDTH, 1, 1)}


def prithvi_of_two_dates() -> Shapes:
    shapes = {**vit(tokens=9), **patches(1, 4, 4, channels=6)}
    return {**under("encoder.", shapes), "encoder.temporal_embed_enc.scale": (1,)}


def vjepa() -> Shapes:
    return {**patches(2, 4, 4), **blocks(), "norm.weight": (WIDTH,), "norm.bias": (WIDTH,)}


def hiera() -> Shapes:
    """The first block as wide as the patches, the second twice as wide."""
    second = {**block("blocks.1", 2 * WIDTH), "blocks.1.proj.weight": (2 * WIDTH, WIDTH)}
    wider = {**second, "blocks.1.attn.qkv.weight": (6 * WIDTH, WIDTH)}
    heads = {"head.projection.weight": (1000, 2 * WIDTH)}
    return {"pos_embed": (1, 4, WIDTH), **patches(7, 7), **block("blocks.0"), **wider, **heads}


def point_mae() -> Shapes:
    encoder: Shapes = {
        "encoder.first_conv.0.weight": (4, 3, 1),
        "pos_embed.0.weight": (4, 3),
        "norm.weight": (WIDTH,),
        **blocks("blocks.blocks", qkv_bias=False),
    }
    decoder = blocks("MAE_decoder.blocks", qkv_bias=False)
    return {**under("MAE_encoder.", encoder), "mask_token": (1, 1, WIDTH), **decoder}


def monai() -> Shapes:
    shapes: Shapes = {
        "patch_embedding.position_embeddings": (1, 8, WIDTH),
        "patch_embedding.patch_embeddings.weight": (WIDTH, 1, 4, 4, 4),
        "norm.weight": (WIDTH,),
    }
    for name, shape in blocks(qkv_bias=False).items():
        other = name.replace("mlp.fc", "mlp.linear").replace("attn.proj", "attn.out_proj")
        shapes[other] = shape
    return shapes


def yolos() -> Shapes:
    heads: Shapes = {
        "class_embed.layers.0.weight": (WIDTH, WIDTH),
        "bbox_embed.layers.2.weight": (4, WIDTH),
    }
    return {**under("backbone.", {**vit(tokens=15), "det_token": (1, 10, WIDTH)}), **heads}


def ast() -> Shapes:
    """An AST of spectrograms: a distilled DeiT of one channel."""
    return under("v.", {**vit(tokens=6, channels=1), "dist_token": (1, 1, WIDTH)})


def packed() -> Shapes:
    """What torch.ao's quantize_dynamic leaves: biases in tuples, and no matrix."""
    shapes = vit()
    matrices = [name for name, shape in shapes.items() if name[:6] == "blocks" and len(shape) == 2]
    for name in matrices:
        stem = name[: -len(".weight")]
        del shapes[name]
        shapes[f"{stem}._packed_params._packed_params.1"] = shapes.pop(f"{stem}.bias")
        shapes.update({f"{stem}.scale": (), f"{stem}.zero_point": ()})
    return shapes


def flat() -> Shapes:
    """A state dict of FSDP with flat parameters, one for each block and one for the rest."""
    inner = "_fsdp_wrapped_module._flat_param"
    return {inner: (50,), **{f"_fsdp_wrapped_module.blocks.{n}.{inner}": (90,) for n in range(2)}}


def adapters() -> Shapes:
    """What save_pretrained of PEFT writes of a model with LoRA."""
    shapes: Shapes = {"classifier.weight": (5, WIDTH)}
    for number in range(DEPTH):
        stem = f"vit.encoder.layer.{number}.attention.attention.query"
        shapes[f"{stem}.lora_A.weight"] = (2, WIDTH)
        shapes[f"{stem}.lora_B.weight"] = (WIDTH, 2)
    return under("base_model.model.", shapes)


#: Every one, with the name of the family that it is told to be.
ALL = (
    (prithvi, "Prithvi"),
    (prithvi_of_two_dates, "Prithvi"),
    (mae_st, "mae_st"),
    (vjepa, "V-JEPA"),
    (hiera, "Hiera"),
    (point_mae, "Point-MAE"),
    (monai, "MONAI"),
    (yolos, "YOLOS"),
    (ast, "DeiT"),
    (packed, "torch.ao"),
    (flat, "FSDP"),
    (adapters, "PEFT"),
    (videomae, "VideoMAE"),
    (videomae_classifier, "VideoMAE"),
    (mae_pytorch, "MAE-pytorch"),
    (satmae, "SatMAE"),
    (simmim, "SimMIM"),
    (audiomae, "AudioMAE"),
    (convmae, "ConvMAE"),
    (multimae, "MultiMAE"),
    (dust3r, "DUSt3R"),
    (croco, "CroCo"),
    (mae_of_vit_pytorch, "MAE of vit-pytorch"),
    (dinov3, "DINOv3"),
    (dinov2, "DINOv2"),
    (dinov2_in_chunks, "DINOv2"),
    (ibot, "iBOT"),
    (dino, "DINO"),
    (sam, "SAM"),
    (vitdet, "ViTDet"),
    (vitpose, "ViTPose"),
    (eva02, "EVA-02"),
    (swin, "Swin"),
    (beit, "BEiT"),
    (clip, "CLIP"),
    (clip_of_transformers, "CLIP"),
    (siglip, "SigLIP"),
    (vit_pytorch, "vit-pytorch"),
    (torchvision, "torchvision"),
    (dit, "DiT"),
    (resnet, "ResNet"),
    (convnext, "ConvNeXt"),
    (bert, "BERT"),
    (gpt2, "GPT-2"),
    (llama, "Llama"),
    (unet, "UNet"),
)


def tensors(shapes: Shapes) -> Dict[str, torch.Tensor]:
    """Tensors of these shapes, ready for torch.save."""
    return {name: torch.zeros(shape) for name, shape in shapes.items()}
