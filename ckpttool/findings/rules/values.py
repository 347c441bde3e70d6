"""NUM: the numbers."""

from __future__ import annotations

from ckpttool.findings.rules.base import Rule, RuleFamily, Severity

FAMILY = RuleFamily("NUM", "the numbers")

_ROLES = (
    "An error for the model's own weights, those of blocks beyond its depth included. For tensors "
    "that the model has no place for the meaning is unknown: all of them together are a note. A "
    "weight has two or more axes that are longer than 1."
)
_LOST = (
    "Where more than half of the model's tensors hold some, and more than 8, they are one finding, "
    "and what follows from it is not reported."
)
_BESIDE = "Those in tensors that the model has no place for are one warning."

# Errors where no training run that worked gives such a weight; warnings and notes where an honest
# model may.
NAN = Rule(
    "NUM001",
    "nan",
    Severity.ERROR,
    "A tensor holds NaN.",
    "If training diverged, use an earlier checkpoint. If a cast made them, use a wider type.",
    f"{_LOST} {_BESIDE}",
)
INFINITE = Rule(
    "NUM002",
    "infinite",
    Severity.ERROR,
    "A tensor holds infinity.",
    "If training diverged, use an earlier checkpoint. If a cast made them, use a wider type.",
    f"{_LOST} {_BESIDE} One that holds only infinity and one other number is a note: attention "
    "masks look like that.",
)
ALL_ZERO = Rule(
    "NUM003",
    "all-zero",
    Severity.ERROR,
    "All elements of a weight are zero.",
    "Check how the checkpoint was made: a trained weight is never all zero.",
    f"{_ROLES} Where most of the model's weights are zero, one finding names all of its tensors "
    "that are, gains and biases too. A mask, a layer that begins at zero (LoRA's B, a zero "
    "convolution, the modulation of adaLN) or a buffer may well be zero there.",
)
CONSTANT = Rule(
    "NUM004",
    "constant",
    Severity.ERROR,
    "All elements of a weight have the same value.",
    "Check how the checkpoint was made: a trained weight is never constant.",
    _ROLES,
)
# A note: LayerNorm begins with ones and zeros, and short runs leave some as they are.
CONSTANT_VECTOR = Rule(
    "NUM005",
    "constant-vector",
    Severity.NOTE,
    "Biases, gains or other vectors have a single value.",
    "If they were meant to be trained, check whether they were.",
    "A vector has one axis that is longer than 1, in whatever shape it is stored: a class token "
    "(1, 1, D) and the magnitudes of a weight normalisation (D, 1, 1) are vectors. Where the model "
    "is not known, what is called a bias counts as one, too: a table of relative positions, or the "
    "biases of many experts.",
)
# A warning, so that a pass without the values is seen: a NaN in them would go unnoticed.
VALUES_NOT_READ = Rule(
    "NUM006",
    "values-not-read",
    Severity.WARNING,
    "The values of a tensor were not checked.",
    "Save the tensor as a plain dense one of a common dtype.",
)
# A warning: a threshold, however chosen, is no proof.
MAGNITUDE = Rule(
    "NUM007",
    "magnitude",
    Severity.WARNING,
    "A tensor is far larger or smaller than those of the same role in the other blocks.",
    "Check how this block was saved, merged or cast. Compare it with the run it comes from.",
    "For every role (for example `blocks.*.attn.qkv.weight`) with at least five blocks: x is the "
    "logarithm of a tensor's root mean square, m the median of x over the blocks, MAD the median "
    "of |x - m|, and s = max(1.4826 * MAD, 0.15), or 0.5 in place of 0.15 for biases and gains. "
    "Reported is |x - m| / s above 10 (`tolerances.magnitude`). This is the modified z-score of "
    "Iglewicz and Hoaglin (How to Detect and Handle Outliers, 1993); 1.4826 makes the MAD of "
    "normal numbers their deviation. They advise 3.5; 10 and the two floors leave room for what "
    "differs honestly from block to block: where all others are alike, it takes a factor of 4.5, "
    "or of 150 in a bias. Tensors that are zero everywhere are left out.",
)
DUPLICATE_CONTENT = Rule(
    "NUM008",
    "duplicate-content",
    Severity.WARNING,
    "Tensors with different names hold the same bytes in separate storages.",
    "Check whether one was copied over another, or whether they should be tied.",
    "Left out are tensors of one value, the position tables, names that share one storage (tied "
    "weights), and whole blocks that are alike, which MOD002 reports. A warning if the model has "
    "two different weights of these names. Other copies may be intended (averages of the weights, "
    "teacher and student, weights that are tied by copying): they are one note, and vectors among "
    "them are left out.",
)
# An error: every step of training moves every gain and every bias.
CONSTANT_ROLE = Rule(
    "NUM009",
    "constant-role",
    Severity.ERROR,
    "A gain or bias has one and the same value in every block of a trained model.",
    "Compare it with the file it was made from, if there is one: ckpttool diff OLD NEW.",
    "A loader that does not know a name leaves the initial value, and saving keeps it: the weight "
    "may have another name in the file that was loaded. For the gains of LayerNorms and the biases"
    " of the model, in every stack of two blocks or more in which at least one other of them "
    "differs; blocks that MOD008 names are left out. A bias of which only a part is zero, as the "
    "keys' third in BEiT, is not constant. A warning where all biases of linear layers are 0: a "
    "model that was made without them may be written so; and where gains of 1 are stored in 16 "
    "bits, which small steps do not move. Others must have moved by more than 0.01: after a few "
    "steps not all have.",
)
