"""QNT: quantized weights, and what turns their codes into numbers."""

from __future__ import annotations

from ckpttool.findings.rules.base import Rule, RuleFamily, Severity

FAMILY = RuleFamily("QNT", "quantized weights")

_AGAIN = "Quantize the model again, or use the file that was published."
_ALONE = (
    "Not looked for in one of several shards that is verified without its index: parts of a weight "
    "may lie in another."
)

PART_MISSING = Rule(
    "QNT001",
    "part-missing",
    Severity.ERROR,
    "A quantized weight lacks a part that is needed to decode it.",
    _AGAIN,
    "Scales of any scheme; zero points where the configuration says that there are some, and for "
    "GPTQ and AWQ; of bitsandbytes absmax, quant_map, the quant_state, and the nested ones that it "
    "speaks of; the scale of the scales of NVFP4; the stored shape of compressed-tensors; the "
    "scales of the inputs where the configuration says that they are static; of torchao all that "
    "the metadata names. Codes of 8 bits without any part are quantized if others of their kind "
    "in other layers or experts are, or if the configuration says so: without these they are a "
    "plain cast, and a warning where other weights of the file have scales. So are scales of "
    "inputs that the same weights of other layers or experts have. " + _ALONE,
)
PART_ORPHAN = Rule(
    "QNT002",
    "part-orphan",
    Severity.ERROR,
    "Scales or other parts of a quantized weight are there, but its codes are missing.",
    _AGAIN,
    _ALONE,
)
PART_SHAPE = Rule(
    "QNT003",
    "part-shape",
    Severity.ERROR,
    "A part of a quantized weight does not fit the shape of its codes.",
    _AGAIN,
    "By the sizes of groups and blocks that the configuration says; without one, by any size that "
    "divides the codes. The last block of an axis may be shorter.",
)
PART_DTYPE = Rule(
    "QNT004",
    "part-dtype",
    Severity.ERROR,
    "A part of a quantized weight has a dtype that its scheme does not allow.",
    "Save the parts in the dtypes that the quantizer wrote. Do not cast the whole file.",
    "A warning where the scales of one scheme and name are stored in several floating types: some "
    "were cast, and have fewer digits than the others.",
)
SCALE_NOT_FINITE = Rule(
    "QNT005",
    "scale-not-finite",
    Severity.ERROR,
    "A scale, or another part that decodes a weight, holds NaN or infinity.",
    _AGAIN,
    "A scale that is a bare exponent (e8m0) is NaN where its byte is 255.",
)
SCALE_NOT_POSITIVE = Rule(
    "QNT006",
    "scale-not-positive",
    Severity.WARNING,
    "A scale is zero or negative.",
    "Check how the weight was quantized: with a scale of zero, it decodes to zero.",
    "A warning: a channel that is zero everywhere may have a scale of zero, and some quantizers of "
    "integers write negative scales. An error where every scale of a weight is zero, and where the "
    "scale of the inputs, or that of the scales, is not above zero: both are divided by.",
)
CODE_OUT_OF_RANGE = Rule(
    "QNT007",
    "code-out-of-range",
    Severity.ERROR,
    "Codes, zero points or a table hold values that their scheme does not allow.",
    _AGAIN,
    "NaN among codes that are 8-bit floats; integers outside of the bits that the configuration "
    "says, where a byte holds one; numbers outside of -1 to 1 in a quant_map. Codes that are "
    "packed have no number that is out of range.",
)
GROUP_INDEX = Rule(
    "QNT008",
    "group-index",
    Severity.ERROR,
    "The group index of a weight names groups that do not exist, or in the wrong order.",
    _AGAIN,
    "g_idx has, for each input, the row of the scales. It may only rise, unless the configuration "
    "says desc_act: loaders leave it out of account otherwise.",
)
NOT_QUANTIZED = Rule(
    "QNT009",
    "not-quantized",
    Severity.ERROR,
    "A weight is not quantized, but the configuration says that it is.",
    "Add its module to what the configuration leaves out (modules_to_not_convert, ignore), or "
    "quantize it.",
    "Where others of its kind, in other layers or experts, are quantized; where the configuration "
    "names its module; and where no weight of the file is quantized. Which modules a type such as "
    "Linear means is not in a file: others are not reported.",
)
LEFT_OUT = Rule(
    "QNT010",
    "quantized-though-left-out",
    Severity.ERROR,
    "A weight is quantized, but the configuration excludes its module.",
    "Remove its module from the list (modules_to_not_convert, ignore), or dequantize it.",
    "A loader makes a plain layer of it, and takes the codes for weights.",
)
NOT_DECLARED = Rule(
    "QNT011",
    "not-declared",
    Severity.ERROR,
    "The file holds quantized weights, but the config.json beside it does not say so.",
    "Put the quantization_config of the quantizer back into config.json.",
    "A loader takes the codes for weights, or refuses the file. Without a config.json nothing is "
    "reported: such files are for programs that know them by their names.",
)
STORED_SHAPE = Rule(
    "QNT012",
    "stored-shape",
    Severity.ERROR,
    "Stored facts about a quantized weight contradict its codes, or cannot be read.",
    _AGAIN,
    "The quant_state of bitsandbytes and the weight_shape of compressed-tensors.",
)
SCALE_OF_WHOLE = Rule(
    "QNT013",
    "scale-of-whole-weight",
    Severity.WARNING,
    "Scales lie beside weights that are not quantized.",
    "If the weights are dequantized, remove the scales. Otherwise apply them.",
    "A warning: whether such a weight was multiplied with its scale is not to be seen. Nothing is "
    "reported where the configuration says that the weights are whole, as a calibrated model has "
    "them.",
)
# An error: of two weights or more it is no chance, and a model of codes computes nothing.
BARE_CODES = Rule(
    "QNT015",
    "codes-without-scales",
    Severity.ERROR,
    "Weights are 8-bit float codes that were cast without applying their scales.",
    "Cast the quantized file again, and multiply by its scales.",
    "Each of several weights of 16 bits or more reaches 448 and no number beyond, the largest of "
    "the 8-bit float e4m3, to which a quantizer scales every block; and their root mean square is "
    "far from what weights have. So ends a cast by a program that knows the scales by another "
    "name. `ckpttool convert --dequantise` multiplies.",
)
SCHEME_DIFFERS = Rule(
    "QNT014",
    "scheme-differs",
    Severity.ERROR,
    "The weights use another quantization scheme than the configuration names.",
    "Use the configuration that the quantizer wrote.",
)
