"""AGN: a checkpoint held against another one, with ``verify --against``."""

from __future__ import annotations

from ckpttool.findings.rules.base import Rule, RuleFamily, Severity

FAMILY = RuleFamily("AGN", "another checkpoint that the file is held against")

_NEEDS = ("against",)

AGAINST_MISSING = Rule(
    "AGN001",
    "against-missing",
    Severity.ERROR,
    "A tensor of the other checkpoint is missing.",
    "Export it again with the tensor, or allow that it is missing: --allow-missing.",
    "Names are compared as they stand, without what a wrapper puts before them, by the layouts "
    "that are known, or as --map says. A tensor of the same values under another name is no "
    "replacement, since a loader would not find it; the fix names it.",
    needs=_NEEDS,
)
AGAINST_SHAPE = Rule(
    "AGN002",
    "against-shape",
    Severity.ERROR,
    "A tensor has another shape than in the other checkpoint.",
    "Write it in the shape of the other checkpoint, or compare with one of the same sizes.",
    needs=_NEEDS,
)
AGAINST_DTYPE = Rule(
    "AGN003",
    "against-dtype",
    Severity.ERROR,
    "A tensor has another dtype than in the other checkpoint.",
    "If the cast is intended, allow it with --allow-cast DTYPE; every bit is checked then.",
    needs=_NEEDS,
)
AGAINST_CAST = Rule(
    "AGN004",
    "against-cast",
    Severity.ERROR,
    "A tensor is not the cast of the tensor in the other checkpoint.",
    "Cast the other file again: ckpttool convert OTHER --to safetensors --dtype DTYPE.",
    "With --allow-cast, the other checkpoint's numbers are rounded as torch and convert --dtype "
    "round them, and every bit is compared; a NaN may be any NaN. Truncated numbers, and weights "
    "that were trained further, differ.",
    needs=_NEEDS,
)
AGAINST_CHANGED = Rule(
    "AGN005",
    "against-changed",
    Severity.ERROR,
    "A tensor that must be the same has other values.",
    "See ckpttool diff OTHER PATH. If some may differ, list the others: --must-not-change GLOB.",
    "Bytes are compared, so that -0.0 is not 0.0. By default all tensors have to be the same.",
    needs=_NEEDS,
)
AGAINST_UNCHANGED = Rule(
    "AGN006",
    "against-unchanged",
    Severity.ERROR,
    "A tensor that must change has the same values.",
    "Check whether the merge or the training run updates this tensor.",
    "With --must-change. A tensor that is, to the bit, the other one's cast as --allow-cast allows "
    "is unchanged, too.",
    needs=_NEEDS,
)
AGAINST_NOT_COMPARED = Rule(
    "AGN007",
    "against-not-compared",
    Severity.WARNING,
    "Tensors could not be compared with the other checkpoint.",
    "Compare them with the code that wrote them, then waive this finding.",
    "The file is CANNOT TELL, exit code 2, unless another finding fails it. Tensors of kinds that "
    "are not read, as sparse and quantized ones, are compared neither with each other nor with "
    "others; a cast cannot be replayed from a list of digests; and a pattern of --must-change or "
    "--must-not-change that stands for missing tensors alone demands nothing. Where the file has "
    "nothing of the other checkpoint, and may lack all of it, nothing was compared.",
    needs=_NEEDS,
    undecided=True,
)
AGAINST_UNREADABLE = Rule(
    "AGN008",
    "against-unreadable",
    Severity.WARNING,
    "The other checkpoint cannot be read completely, or fails a check itself.",
    "Verify the other checkpoint by itself, to see what is wrong with it.",
    "The file is CANNOT TELL, exit code 2, unless another finding fails it. Another checkpoint "
    "that is missing, or whose header cannot be read, ends the run before any file is read.",
    needs=_NEEDS,
    undecided=True,
)
AGAINST_ITSELF = Rule(
    "AGN009",
    "against-itself",
    Severity.WARNING,
    "The file is compared with itself, which proves nothing.",
    "Name the checkpoint that it was made from, or leave this file out: --exclude.",
    "The file is CANNOT TELL, exit code 2, unless another finding fails it.",
    needs=_NEEDS,
    undecided=True,
)
AGAINST_EXTRA = Rule(
    "AGN010",
    "against-extra",
    Severity.WARNING,
    "A tensor is not in the other checkpoint.",
    "If it is intended, allow it with --allow-unexpected.",
    needs=_NEEDS,
)
# A warning, as loaders remove the usual prefixes; but load_state_dict does not.
AGAINST_MOVED = Rule(
    "AGN012",
    "against-moved",
    Severity.WARNING,
    "A tensor has its name with a wrapper's parts that the other checkpoint's name lacks, or "
    "without them.",
    "Take the prefix out: ckpttool convert PATH --to safetensors --strip-prefix PREFIX.",
    "They are parts that modules around others put into names, such as module. and _orig_mod. Code "
    "that loads the one by its names does not load the other.",
    needs=_NEEDS,
)
# Reported although it is allowed, so that nothing that differs is out of sight.
AGAINST_ALLOWED = Rule(
    "AGN011",
    "against-allowed",
    Severity.NOTE,
    "A difference from the other checkpoint is allowed.",
    "If it is not intended, remove the option that allows it.",
    needs=_NEEDS,
)
