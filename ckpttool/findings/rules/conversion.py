"""CVT: what a conversion changes, or cannot do."""

from __future__ import annotations

from ckpttool.findings.rules.base import Rule, RuleFamily, Severity

FAMILY = RuleFamily("CVT", "what a conversion changes, or cannot do", judged=False)

# CVT1xx: formats and destinations; 2xx: casts, names and the proof; 3xx: data that is left out.
# Errors write nothing; warnings are about data that the new file no longer has.

CANNOT_HOLD = Rule(
    "CVT101",
    "cannot-hold",
    Severity.ERROR,
    "The target format cannot hold a tensor.",
    "Leave the tensor out with --exclude, or write the other format.",
)
NOT_AS_WRITTEN = Rule(
    "CVT102",
    "not-as-written",
    Severity.ERROR,
    "Bytes read back differ from those written.",
    "Check the disk, or convert to another one.",
)
DESTINATION_EXISTS = Rule(
    "CVT103",
    "destination-exists",
    Severity.ERROR,
    "There is a file at the destination already.",
    "Name another destination with -o, or replace it with --force.",
)
DESTINATION_KIND = Rule(
    "CVT104",
    "destination-kind",
    Severity.ERROR,
    "The destination is a link or not a regular file.",
    "Name a regular file, or the target of the link.",
)
DESTINATION_SOURCE = Rule(
    "CVT105",
    "destination-is-source",
    Severity.ERROR,
    "The destination would replace its source.",
    "Name another destination with -o.",
)
NO_SPACE = Rule(
    "CVT106",
    "no-space",
    Severity.ERROR,
    "There is not enough space on the disk.",
    "Free some space, or name a destination on another disk with -o.",
)
NOT_POSSIBLE = Rule(
    "CVT201",
    "not-possible",
    Severity.ERROR,
    "The requested operation is not possible with this checkpoint.",
    "Change the options that the message names.",
    "`verify`, `inspect` and `lock` report it too, where one of several files lacks what an option "
    "asks for, such as the state dict of `--wrapper`. With one file alone it is an error message.",
)
NOT_PROVEN = Rule(
    "CVT202",
    "not-proven",
    Severity.ERROR,
    "The written file does not hold what was read.",
    "Run it again. If it persists, report it with the command and its output.",
)
TIED = Rule(
    "CVT203",
    "tied-tensors",
    Severity.NOTE,
    "Tensors that share all their bytes are stored once, under one of their names.",
    "Store another of them with --keep NAME, or all of them with --keep-aliases.",
)
# A warning: the values are right, but tensors that shared memory no longer do.
OVERLAPPING = Rule(
    "CVT204",
    "overlapping-tensors",
    Severity.WARNING,
    "Tensors share some of their bytes, which are written several times.",
    "Leave out what the model does not need with --exclude.",
)
QUANTIZED = Rule(
    "CVT209",
    "cast-of-quantized",
    Severity.ERROR,
    "Quantized weights and their scales cannot be cast.",
    "Leave --dtype out, or cast only the other tensors with --dtype-except-quantized.",
)
# An error, while underflow is a warning: one infinity spreads to all outputs, which a small weight
# that becomes zero hardly changes.
OVERFLOW = Rule(
    "CVT205",
    "cast-overflow",
    Severity.ERROR,
    "A cast turned finite numbers into infinity.",
    "Cast to bfloat16, which has float32's range, or accept it with --allow-overflow.",
)
UNDERFLOW = Rule(
    "CVT206",
    "cast-underflow",
    Severity.WARNING,
    "A cast turned small numbers into zero.",
    "Cast to bfloat16, which has float32's range, if these numbers matter.",
)
# A warning: ckpttool's own reader proved the file, only the second proof is missing.
LIBRARY_BEHIND = Rule(
    "CVT207",
    "library-behind",
    Severity.WARNING,
    "The installed safetensors library cannot read a dtype that was written.",
    "Install a newer safetensors, so that the file is also checked with the library.",
)
MODEL_STATE = Rule(
    "CVT301",
    "model-state",
    Severity.WARNING,
    "Entries of the state dict that are not tensors are left out.",
    "Keep them with --sidecar, and put them back where the module needs them.",
    "Entries among the tensors of a state dict are state of the model: the extra state of a "
    "module, a version, settings. Neither format has a place for them.",
)
# An error, unlike WRAPPER_CHOICE of verify: a conversion would lose most of the file.
MOST_OUTSIDE = Rule(
    "CVT302",
    "most-outside",
    Severity.ERROR,
    "Most tensor bytes of the file are outside the state dict that would be converted.",
    "Choose the state dict with --wrapper.",
    "Optimizers and averages are not counted. With --wrapper, whatever it names is taken.",
)
DATA_BESIDE = Rule(
    "CVT303",
    "data-beside",
    Severity.WARNING,
    "Data beside the weights is left out, but may be needed to use the model.",
    "Keep it with --sidecar FILE.json.",
    "A vocabulary, the names of classes, the arguments that a model is built with. State that only "
    "training needs (optimizers, schedules, counts of steps, losses) is not reported. Single "
    "numbers and texts alone are a note.",
)
STALE = Rule(
    "CVT208",
    "stale-files",
    Severity.WARNING,
    "Files of an earlier result are still beside the new one.",
    "Remove them, or use --force: readers may take them for a part of the new result.",
)
LARGE_SHARD = Rule(
    "CVT210",
    "large-shard",
    Severity.NOTE,
    "A shard is larger than the limit, because one tensor is.",
    "Nothing, or ask for larger shards.",
    "A tensor is never cut: one that is larger than --max-shard-size gets a shard of its own.",
)
NO_NAME = Rule(
    "CVT211",
    "no-name-in-layout",
    Severity.ERROR,
    "The requested naming convention has no name for a tensor.",
    "Leave the tensor out with --encoder-only or --exclude, or name it with --rename.",
    "A decoder has no names in the conventions `timm` and `mmseg`, and a head has none in "
    "`mmpretrain` and `mmseg`. A file with such names would load with unexpected keys. "
    "`--rename 'head.*=head.*'` keeps a name as it is.",
)
NAME_KEPT = Rule(
    "CVT212",
    "name-kept",
    Severity.NOTE,
    "Tensors that the naming convention does not know keep their names.",
    "Nothing, if they belong to the model, as a head does. Otherwise leave them out with "
    "--exclude.",
)
NO_CONFIG = Rule(
    "CVT213",
    "no-config",
    Severity.WARNING,
    "No config.json is written for transformers.",
    "Write the config.json by hand, or take that of the model that the weights were made from.",
    "transformers loads a folder by its config.json. It is written where the tensors are all those "
    "of a model that transformers has (with a class token, square images and no head), and the "
    "file is called as transformers looks for it; of another name it is a note.",
)
CONFIG_ASSUMED = Rule(
    "CVT215",
    "config-assumed",
    Severity.NOTE,
    "The config.json has a value that could not be derived from the file.",
    "Compare it with the code that trained the model, and correct it if it differs.",
    "Of a published size all is known. Of another one the number of heads is taken from the "
    "arguments in the file, from the config.json beside the source, or from models of its width.",
)
TABLE_NOT_RESIZED = Rule(
    "CVT216",
    "table-not-resized",
    Severity.ERROR,
    "A position table cannot be resized.",
    "Leave --resize-pos-embed out, or check the table with ckpttool verify.",
    "A table with changed elements, moved rows or a wrong row of the class token would be as wrong "
    "afterwards. Rows and columns of the patches must be known: those of a grid that is not square "
    "are read off the values, which a learned table does not show.",
)
NOT_DEQUANTISED = Rule(
    "CVT217",
    "not-dequantised",
    Severity.ERROR,
    "A quantized weight cannot be dequantized: a part of it is missing or invalid.",
    "Get the complete file, or leave such weights out with --exclude.",
    "Without its scale a weight has no numbers, and with one of another shape it would have wrong "
    "ones. Scales are looked for in all shards of an index.",
)
CONFIG_CLAIMS = Rule(
    "CVT218",
    "config-claims-quantization",
    Severity.WARNING,
    "The config.json beside the result says that its weights are quantized; they are not.",
    "Remove quantization_config from it.",
    "A loader that believes it looks for scales that are not there.",
)
CONFIG_THERE = Rule(
    "CVT214",
    "config-of-another-model",
    Severity.ERROR,
    "The destination has a config.json that describes another model.",
    "Remove it, replace it with --force, or name another folder with -o.",
    "One that agrees with the weights stays as it is.",
)
