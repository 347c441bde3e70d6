"""MOD: what the weights mean to the model."""

from __future__ import annotations

from ckpttool.findings.rules.base import Rule, RuleFamily, Severity

FAMILY = RuleFamily("MOD", "what the weights mean to the model")

# A note: a model published before training is rare, but it is no mistake.
LAYERNORM_INITIAL = Rule(
    "MOD001",
    "layernorm-initial",
    Severity.NOTE,
    "All LayerNorms are exactly as initialised: the weights look untrained.",
    "Look at whether this is the trained checkpoint.",
)
IDENTICAL_BLOCKS = Rule(
    "MOD002",
    "identical-blocks",
    Severity.ERROR,
    "Blocks hold the same weights.",
    "Look at how the checkpoint was written: every block learns its own weights.",
)
POS_EMBED = Rule(
    "MOD003",
    "pos-embed",
    Severity.ERROR,
    "The position table is not the 2-D sine-cosine table.",
    "If the model was trained with the fixed table, save that: a learned one is another model's.",
)
FORWARD_SHAPE = Rule(
    "MOD004",
    "forward-shape",
    Severity.ERROR,
    "The forward pass gives an output of another shape.",
    "Look at the code of the model: the weights have the shapes that it asks for.",
    needs=("forward",),
)
FORWARD_NOT_FINITE = Rule(
    "MOD005",
    "forward-not-finite",
    Severity.ERROR,
    "An output of the forward pass is not finite.",
    "Look for NaN, infinity and very large values in the weights.",
    needs=("forward",),
)
FORWARD_BLIND = Rule(
    "MOD006",
    "forward-blind",
    Severity.ERROR,
    "Two different images give the same features.",
    "Look at the first layer and the blocks: the way of the pixels into the model is cut.",
    needs=("forward",),
)
# A note: without torch, or with --no-forward, everything else was still checked.
FORWARD_NOT_RUN = Rule(
    "MOD007",
    "forward-not-run",
    Severity.NOTE,
    "The forward pass was not run.",
    "Leave out --no-forward, and repair what the other findings name.",
)
