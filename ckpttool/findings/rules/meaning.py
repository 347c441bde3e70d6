"""MOD: what the weights mean to the model."""

from __future__ import annotations

from ckpttool.findings.rules.base import Rule, RuleFamily, Severity

FAMILY = RuleFamily("MOD", "what the weights mean to the model")

# A warning: a model published before training is rare, and a mistake more often than not.
LAYERNORM_INITIAL = Rule(
    "MOD001",
    "looks-untrained",
    Severity.WARNING,
    "All LayerNorms have their initial values: the weights look untrained.",
    "Check that this is the trained checkpoint.",
)
IDENTICAL_BLOCKS = Rule(
    "MOD002",
    "identical-blocks",
    Severity.ERROR,
    "Different blocks hold the same weights.",
    "Check how the checkpoint was written: each block learns its own weights.",
)
POS_EMBED = Rule(
    "MOD003",
    "pos-embed",
    Severity.ERROR,
    "The position table is not the 2-D sine-cosine table, nor interpolated from one.",
    "If the model was trained with the computed table, write that one again.",
    "The message says what the table is. No findings are the sin-cos table of any grid, rounded "
    "to a narrower type or computed in float32; one that was interpolated from another grid, as "
    "torch, timm and DINO do it; one with coordinates that are stretched to a larger grid; and in "
    "a classifier one that fine-tuning has trained, beginning with sin-cos. Changed elements, "
    "swapped axes, moved rows and a missing row of the class token are.",
)
# An error, as another model is one: the encoder of an MAE is not in the file.
LEARNED_POSITIONS = Rule(
    "MOD010",
    "learned-positions",
    Severity.ERROR,
    "The position table is learned: it lacks the sin-cos structure of an MAE's table.",
    "Use the file that MAE training wrote. If such a ViT is what you want: --ignore MOD010.",
    "The correlation of the patches with the sin-cos table of the grid, interpolated from others "
    "too, is below 0.3; learned tables are below 0.1, tables that were trained from the computed "
    "one above 0.9. A whole MAE, with its decoder, has this as MOD003. It is a note where the "
    "config.json beside the file says that it is such a ViT and no MAE was asked for. Nothing says "
    "that a weight is damaged: models that learn their positions have such tables.",
)
FORWARD_SHAPE = Rule(
    "MOD004",
    "forward-shape",
    Severity.ERROR,
    "The forward pass returns an output of the wrong shape.",
    "Check the model's code: the weights have the shapes that it expects.",
    needs=("forward",),
)
FORWARD_NOT_FINITE = Rule(
    "MOD005",
    "forward-not-finite",
    Severity.ERROR,
    "An output of the forward pass contains NaN or infinity.",
    "Look for NaN, infinity and very large values in the weights.",
    needs=("forward",),
)
FORWARD_BLIND = Rule(
    "MOD006",
    "forward-blind",
    Severity.ERROR,
    "Two different images give the same features.",
    "Check the first layer and the blocks, through which the pixels reach the features.",
    needs=("forward",),
)
# A note: without torch, or with --no-forward, everything else was still checked.
FORWARD_NOT_RUN = Rule(
    "MOD007",
    "forward-not-run",
    Severity.NOTE,
    "The forward pass was not run.",
    "Run without --no-forward.",
)
NOT_LOADED = Rule(
    "MOD008",
    "not-loaded",
    Severity.ERROR,
    "Part of the model has its initial values, while the rest is trained.",
    "If it should be trained, load it before saving; load_state_dict reports what it skips.",
    "A part is a side of the model, blocks of it, or one weight in every block. Blocks count "
    "whose LayerNorms are exactly 1 and 0, whose biases are 0 (or as torch, or a ViT of timm or "
    "Flax, draws them), and whose weights are what a known initialiser draws: uniform within the "
    "bound of Xavier, Kaiming or torch's default, or normal with a deviation of 0.02, 0.01 or "
    "0.00002, or one by the number of inputs and outputs. Compared are the root mean square "
    "(within five standard deviations of its estimate) and the smallest and largest element. "
    "Weights alone count where they are uniform in every block and others of the same blocks are "
    "not. A warning where only LayerNorms and biases show it; for a module outside of the blocks, "
    "which may be frozen or new on purpose; and where the file itself counts 0 steps of training. "
    "The rest counts as trained if a gain or bias of it is more than 0.01 from its beginning. If "
    "all of the model is as initialised, that is MOD001.",
)
