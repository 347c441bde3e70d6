"""STR: names, shapes and dtypes against the model."""

from __future__ import annotations

from ckpttool.findings.rules.base import Rule, RuleFamily, Severity

FAMILY = RuleFamily("STR", "names, shapes and dtypes against the model", stops=True)

MISSING_ENCODER = Rule(
    "STR001",
    "missing-encoder",
    Severity.ERROR,
    "Encoder tensors are missing.",
    "If the model that was saved has them, save its whole state_dict().",
)
# A note, while a partial decoder is an error: files are published without it on purpose.
DECODER_ABSENT = Rule(
    "STR002",
    "decoder-absent",
    Severity.NOTE,
    "There is no decoder in the checkpoint: it would stay at random initialisation.",
    "Publish the full file if the decoder is needed, for pre-training or to show images.",
)
DECODER_PARTIAL = Rule(
    "STR003",
    "decoder-partial",
    Severity.ERROR,
    "Only a part of the decoder is there.",
    "If the model has them, save the whole decoder; or leave it out: convert with --encoder-only.",
)
# A warning: load_state_dict(strict=False) leaves it out, and the model is complete without it.
UNEXPECTED = Rule(
    "STR004",
    "unexpected-tensor",
    Severity.WARNING,
    "The model has no place for a tensor.",
    "If nothing needs it, leave it out: ckpttool convert PATH --to safetensors --exclude NAME.",
)
SHAPE = Rule(
    "STR005",
    "shape-mismatch",
    Severity.ERROR,
    "A tensor has another shape than the rest of the file implies, or than the schema has.",
    "Write the tensor in the shape that the model has for it: load_state_dict takes no other.",
    "The sizes of the model are those that most tensors of the file agree on. A file of another "
    "size than the one asked for is STR017.",
)
# A warning: load_state_dict casts to the model's type. STR007 is an error, since no training gives
# integers.
DTYPE = Rule(
    "STR006",
    "dtype-mismatch",
    Severity.WARNING,
    "A tensor has another floating type than the model's.",
    "If float32 is wanted, save it so in the run: casting back restores no digits.",
)
DTYPE_KIND = Rule(
    "STR007",
    "dtype-kind",
    Severity.ERROR,
    "A weight is not of a floating type, or a tensor of integers is of another type.",
    "Save the weights as floating point numbers, quantized ones as what they stand for.",
)
# A warning, since the choice may be wrong and every other result is about the one taken.
WRAPPER_CHOICE = Rule(
    "STR008",
    "wrapper-choice",
    Severity.WARNING,
    "The file holds several state dicts, of which one was taken.",
    "Publish one state dict a file, or name another with --wrapper.",
)
# A note: wrappers add prefixes, and loaders remove the usual ones.
NAME_PREFIX = Rule(
    "STR009",
    "name-prefix",
    Severity.NOTE,
    "Something was taken out of names, before or inside of them, so that they fit.",
    "Write the names without it: ckpttool convert PATH --to safetensors --strip-prefix PREFIX.",
)
NO_TENSORS = Rule(
    "STR010",
    "no-tensors",
    Severity.ERROR,
    "There is no state dict in the checkpoint.",
    "Save model.state_dict(), or a dictionary that holds it.",
)
UNREAD_ENTRY = Rule(
    "STR011",
    "unsupported-tensor",
    Severity.WARNING,
    "A tensor is of a kind that is not read.",
    "Save it as a plain dense tensor.",
)
OTHER_MODEL = Rule(
    "STR012",
    "other-model",
    Severity.ERROR,
    "No tensor has a name of the model.",
    "If another state dict of the file is the model's, name it with --wrapper.",
)
UNCLEAR_NAMES = Rule(
    "STR013",
    "unclear-names",
    Severity.WARNING,
    "Names do not fit into one naming convention.",
    "Save all parts of a module, alike in type and shape, under the names of one convention.",
)
MIXED_DTYPES = Rule(
    "STR014",
    "mixed-dtypes",
    Severity.WARNING,
    "The floating weights are not all of one type.",
    "If they are not mixed on purpose, save all weights in one floating type.",
)
# Apart from SHAPE, since the advice is another: the weights exist, in other files.
PLACEHOLDERS = Rule(
    "STR015",
    "placeholders",
    Severity.ERROR,
    "Weights have no elements: they stand for weights that are elsewhere.",
    "Gather sharded weights before they are saved, with zero_to_fp32.py for ZeRO-3 say.",
)
OUTSIDE = Rule(
    "STR016",
    "tensors-outside",
    Severity.WARNING,
    "There are tensors beside the state dicts that are no optimizer's.",
    "Look at what they are: ckpttool inspect PATH. Save with the weights what is the model's.",
    "The state of an optimizer is recognised by its structure (state and param_groups, exp_avg and "
    "the like) and not reported here, nor are states of random generators. Single numbers, a loss "
    "say, are a note.",
)
# One line in place of all tensors that are missing, or have other shapes.
OTHER_SIZE = Rule(
    "STR017",
    "other-size",
    Severity.ERROR,
    "The file is of another model than the one that was asked for.",
    "If it is the right file, leave out --model and the options of sizes.",
)
# Any tensor, in whatever part: a schema that was named is what the file must hold.
MISSING = Rule(
    "STR022",
    "missing-tensor",
    Severity.ERROR,
    "Tensors of the schema that was named are missing.",
    "If the saved model has them, save its whole state_dict(); if not, see --allow-missing.",
    "For the schema of another checkpoint or of a schema file: verify --schema SOURCE. Groups of "
    "names are shown as ranges, in which a hole shows as a gap.",
)
# A warning that decides nothing: what the file should hold is not known, so it neither passes nor
# fails. A model that was asked for is STR012.
NO_SCHEMA = Rule(
    "STR023",
    "no-schema",
    Severity.WARNING,
    "No schema: names and shapes were not checked, because the model is not a known one.",
    "Name what the file must hold: verify --schema SOURCE; or --schema none for the other checks.",
    "The file is CANNOT TELL, exit code 2, unless another finding fails it. SOURCE is another "
    "checkpoint, a sharded index, a lock file, a receipt, what ckpttool schema wrote or a "
    "config.json; hf is the one beside the file. Where a model was asked for, with --model say, "
    "the file fails with STR012.",
    undecided=True,
)
GROUP_IDLE = Rule(
    "STR024",
    "group-idle",
    Severity.WARNING,
    "A pattern of a group takes no tensor of the schema.",
    "Correct it, or take it out: it is held against the names of the schema.",
    "For groups in the configuration. The first pattern that matches a name takes it, so that one "
    "behind it may have nothing left.",
)
# A warning: no weight is lost in the file, and which of the two counts is the loader's choice.
TIED_APART = Rule(
    "STR025",
    "tied-apart",
    Severity.WARNING,
    "A weight that the model ties is in the file twice, with other numbers each time.",
    "If both were trained, the model must not tie them; if not, save it again with one weight.",
    "For schemas that are built from a config.json or from code, which say what is tied; in a "
    "config.json it is tie_word_embeddings. So ends a merge of an adapter that trained both the "
    "embedding and the head of a model that ties them: transformers 5 keeps both and warns, "
    "earlier versions and many engines use one for both.",
)
# Reported although it is allowed, so that a pattern that is no longer needed is seen.
EXPECTED_MISSING = Rule(
    "STR020",
    "expected-missing",
    Severity.NOTE,
    "Tensors are missing that may be missing.",
    "Take the pattern out of expected-missing, or --allow-missing, when they come back.",
)
EXPECTED_UNKNOWN = Rule(
    "STR021",
    "expected-missing-unknown",
    Severity.WARNING,
    "A pattern of what may be missing stands for no tensor of the model.",
    "Correct it, or take it out: it is held against the names of the model.",
    "A pattern for tensors that are all there is not reported: of several files, another may lack "
    "them.",
)
