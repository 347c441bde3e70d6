"""STR: names, shapes and dtypes against the model."""

from __future__ import annotations

from ckpttool.findings.rules.base import Rule, RuleFamily, Severity

FAMILY = RuleFamily("STR", "names, shapes and dtypes against the model", stops=True)

MISSING_ENCODER = Rule(
    "STR001",
    "missing-encoder",
    Severity.ERROR,
    "Encoder tensors are missing.",
    "If the saved model has them, save its whole state_dict().",
)
# A note, while a partial decoder is an error: files are published without it on purpose.
DECODER_ABSENT = Rule(
    "STR002",
    "decoder-absent",
    Severity.NOTE,
    "The checkpoint has no decoder: it would stay at random initialisation.",
    "If the decoder is needed, for pre-training or reconstruction, publish the full file.",
)
DECODER_PARTIAL = Rule(
    "STR003",
    "decoder-partial",
    Severity.ERROR,
    "Only part of the decoder is in the checkpoint.",
    "Save the whole decoder, or leave it out: convert with --encoder-only.",
)
# A warning: load_state_dict(strict=False) leaves it out, and the model is complete without it.
UNEXPECTED = Rule(
    "STR004",
    "unexpected-tensor",
    Severity.WARNING,
    "The model has no place for a tensor.",
    "If nothing needs it, drop it: ckpttool convert PATH --to safetensors --exclude NAME.",
)
SHAPE = Rule(
    "STR005",
    "shape-mismatch",
    Severity.ERROR,
    "A tensor has another shape than the rest of the file implies, or than the schema says.",
    "Write the tensor in the shape of the model: load_state_dict accepts no other.",
    "The sizes of the model are those that most tensors of the file agree on. A file of another "
    "size than the one asked for is STR017.",
)
# A warning: load_state_dict casts to the model's type. STR007 is an error, since no training gives
# integers.
DTYPE = Rule(
    "STR006",
    "dtype-mismatch",
    Severity.WARNING,
    "A tensor has another floating-point type than the model.",
    "If float32 is wanted, save float32 in the run: casting back does not restore precision.",
)
DTYPE_KIND = Rule(
    "STR007",
    "dtype-kind",
    Severity.ERROR,
    "A weight has no floating-point type, or a tensor of integers has another type.",
    "Save the weights as floating-point numbers; dequantize quantized ones first.",
)
# A warning, since the choice may be wrong and every other result is about the one taken.
WRAPPER_CHOICE = Rule(
    "STR008",
    "wrapper-choice",
    Severity.WARNING,
    "The file holds several state dicts, and one was chosen.",
    "Publish one state dict per file, or choose another with --wrapper.",
)
# A note: wrappers add prefixes, and loaders remove the usual ones.
NAME_PREFIX = Rule(
    "STR009",
    "name-prefix",
    Severity.NOTE,
    "Tensor names match the model only after a prefix or a part of them is removed.",
    "Remove it from the names: ckpttool convert PATH --to safetensors --strip-prefix PREFIX.",
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
    "A tensor is of a kind that ckpttool cannot read.",
    "Save it as a plain dense tensor.",
)
OTHER_MODEL = Rule(
    "STR012",
    "other-model",
    Severity.ERROR,
    "No tensor has a name from the model.",
    "If the model is in another state dict of the file, choose it with --wrapper.",
)
UNCLEAR_NAMES = Rule(
    "STR013",
    "unclear-names",
    Severity.WARNING,
    "Tensor names do not follow one naming convention.",
    "Save all tensors of a module, with matching dtypes, under the names of one convention.",
)
MIXED_DTYPES = Rule(
    "STR014",
    "mixed-dtypes",
    Severity.WARNING,
    "The floating-point weights have different types.",
    "If this is not on purpose, save all weights in one floating-point type.",
)
# Apart from SHAPE, since the advice is another: the weights exist, in other files.
PLACEHOLDERS = Rule(
    "STR015",
    "placeholders",
    Severity.ERROR,
    "Weights are empty placeholders: their data is stored elsewhere.",
    "Gather sharded weights before saving; for DeepSpeed ZeRO-3, use zero_to_fp32.py.",
)
OUTSIDE = Rule(
    "STR016",
    "tensors-outside",
    Severity.WARNING,
    "There are tensors outside the state dicts that do not belong to an optimizer.",
    "Look at them: ckpttool inspect PATH. Save those of the model with the weights.",
    "The state of an optimizer is recognised by its structure (state and param_groups, exp_avg and "
    "the like) and not reported here, nor are states of random generators. Single numbers, a loss "
    "say, are a note.",
)
# One line in place of all tensors that are missing, or have other shapes.
OTHER_SIZE = Rule(
    "STR017",
    "other-size",
    Severity.ERROR,
    "The file holds another model than the one asked for.",
    "If it is the right file, leave out --model and the size options.",
)
# Any tensor, in whatever part: a schema that was named is what the file must hold.
MISSING = Rule(
    "STR022",
    "missing-tensor",
    Severity.ERROR,
    "Tensors of the schema are missing.",
    "If the saved model has them, save its whole state_dict(). Otherwise see --allow-missing.",
    "For the schema of another checkpoint or of a schema file: verify --schema SOURCE. Groups of "
    "names are shown as ranges, in which a hole shows as a gap.",
)
# A warning that decides nothing: what the file should hold is not known, so it neither passes nor
# fails. A model that was asked for is STR012.
NO_SCHEMA = Rule(
    "STR023",
    "no-schema",
    Severity.WARNING,
    "Names and shapes were not checked: the model is unknown and no schema was given.",
    "Give a schema: verify --schema SOURCE. Or use --schema none to run the other checks only.",
    "The file is CANNOT TELL, exit code 2, unless another finding fails it. SOURCE is another "
    "checkpoint, a sharded index, a lock file, a receipt, what ckpttool schema wrote or a "
    "config.json; hf is the one beside the file. Where a model was asked for, as with --model, "
    "the file fails with STR012.",
    undecided=True,
)
GROUP_IDLE = Rule(
    "STR024",
    "group-idle",
    Severity.WARNING,
    "A pattern of a group matches no tensor of the schema.",
    "Correct or remove it. It is matched against the names of the schema.",
    "For groups in the configuration. The first pattern that matches a name takes it, so that one "
    "behind it may have nothing left.",
)
# A warning: no weight is lost in the file, and which of the two counts is the loader's choice.
TIED_APART = Rule(
    "STR025",
    "tied-apart",
    Severity.WARNING,
    "A weight that the model ties is in the file twice, with different values.",
    "If both were trained, set the model not to tie them. Otherwise save it with one weight.",
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
    "Tensors are missing that are allowed to be missing.",
    "Take the pattern out of expected-missing, or --allow-missing, when they are back.",
)
EXPECTED_UNKNOWN = Rule(
    "STR021",
    "expected-missing-unknown",
    Severity.WARNING,
    "A pattern of expected-missing or --allow-missing matches no tensor of the model.",
    "Correct or remove it. It is matched against the names of the model.",
    "A pattern for tensors that are all there is not reported: of several files, another may lack "
    "them.",
)
