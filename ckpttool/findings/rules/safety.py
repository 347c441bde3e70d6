"""SEC: code that a file can run when it is loaded, and private data that it contains."""

from __future__ import annotations

from ckpttool.findings.rules.base import COMPARE_AND_SAVE, Rule, RuleFamily, Severity

FAMILY = RuleFamily(
    "SEC", "what a file could do to its reader, and tells about its writer", stops=True
)

# The first two stand: --select of other rules must not turn a file that runs code into a pass.
KNOWN_ATTACK = Rule(
    "SEC001",
    "known-attack",
    Severity.ERROR,
    "Loading the pickle calls functions that are known from attacks.",
    "Do not load the file with torch.load or pickle. Ask its author about it.",
    "Unpickling the file runs what the message shows, such as a command or source text, whatever "
    "its weights are. ckpttool reads pickles without calling anything. `trust` does not cover "
    "these names, and `convert` and `diff` refuse the file.",
    stands=True,
)
UNKNOWN_CALL = Rule(
    "SEC002",
    "unknown-call",
    Severity.ERROR,
    "Loading the pickle calls code that ckpttool does not know.",
    "Convert the weights to safetensors, which calls nothing. Or trust the code: --trust NAME.",
    "What a pickle may call is a list of constructors of data: torch's and numpy's, those of "
    "Python's own containers, dates, paths, enumerations and the like, and OmegaConf's. Any other "
    "name that is called with arguments may be anything, so a pass would promise what nobody "
    "looked at. That is no accusation: a named tuple of your own is such a call.\n\n"
    "Ways out, the best first: convert the weights to safetensors, which leaves all of it behind; "
    "save the state dict alone, as plain tensors and plain data; or trust the code, with "
    '`--trust NAME` or `trust = ["mypackage.*"]` under `[tool.ckpttool]`. A name is the module and '
    "the attribute as the message shows them, and may end in a wildcard below its package. What "
    "is trusted is listed (SEC009).\n\n"
    "`convert` and `diff` call nothing and pass nothing of it on: there it is a warning.",
    stands=True,
)
# A warning: honest files need classes, and making one without arguments runs little of them.
NEEDED_CLASS = Rule(
    "SEC003",
    "needed-class",
    Severity.WARNING,
    "Loading the pickle needs a class beyond the default allow-list of torch.load.",
    "Publish the state dict alone, or convert it: ckpttool convert PATH --to safetensors.",
    "An instance is made without arguments and given its attributes as a plain dictionary, as "
    "pickled modules, optimizers and configuration objects are. The class must be there when the "
    "file is loaded, and its own methods then see those attributes. "
    "`torch.load(weights_only=True)` takes by default the names of a list of its own, which is "
    "that of torch 2.13 here, and refuses others until they are added with "
    "`torch.serialization.add_safe_globals`.",
)
PERSISTENT_ID = Rule(
    "SEC004",
    "persistent-id",
    Severity.ERROR,
    "The pickle refers to a storage in a form that torch does not write.",
    COMPARE_AND_SAVE,
)
# A note: every .pth is one, and nothing is known against it.
PICKLE_FORMAT = Rule(
    "SEC005",
    "pickle-format",
    Severity.NOTE,
    "The weights are shipped as a pickle, which can run code when it is loaded.",
    "Ship a safetensors file instead: ckpttool convert PATH --to safetensors.",
    "Not reported if there is a .safetensors file beside the pickle. ckpttool runs nothing when it "
    "reads a pickle; `torch.load` does unless it is given `weights_only=True`, and before torch "
    "2.6 even then (CVE-2025-32434).",
)
# Warnings, not errors: what looks like a path or a token may be none, and loading it harms nobody.
PRIVATE_PATH = Rule(
    "SEC006",
    "private-path",
    Severity.WARNING,
    "Text in the file contains paths of the machine it was written on.",
    "Publish the state dict alone: ckpttool convert PATH --to safetensors.",
    "Looked at are all texts beside the tensors of a pickle (such as the arguments of the "
    "training run) and the strings of a safetensors header. What counts is a home folder "
    "(`/home/NAME`, `/Users/NAME`, `C:\\Users\\NAME`, `/root`) or another absolute path of two "
    "and more parts that begins where machines keep data (`/checkpoint/...`, `/data/...`), "
    "stands under a key such as `output_dir`, or ends as a file does; but none of the "
    "system's own (`/usr`, `/dev`, `/proc`, `/tmp`, ...). Addresses (`https://...`), formulas "
    "of chemistry (`InChI=...`) and names of nodes (`/encoder/layer/MatMul`) are no paths.",
)
CREDENTIAL = Rule(
    "SEC007",
    "credential",
    Severity.WARNING,
    "Text in the file looks like a password, a token or a key.",
    "If it is one, revoke it even if you do not publish the file, and save the weights alone.",
    "What counts is a URL with a password in it, a token in the form of a known issuer (Hugging "
    "Face, GitHub, GitLab, AWS, Google, Slack, OpenAI), a private key in PEM form, and any text "
    "under a key such as `password` or `api_key`. Reports show the first characters only.",
)
UNCALLED_NAME = Rule(
    "SEC008",
    "uncalled-name",
    Severity.NOTE,
    "The pickle refers to a name that it never calls.",
    "Publish the state dict alone, without what torch.load(weights_only=True) refuses.",
    "For example an activation function among a module's attributes. Loading the file imports the "
    "module of the name.",
)
# Apart from SEC003 and SEC008, since data is harmless: the note says why torch.load refuses it.
BEYOND_DEFAULT = Rule(
    "SEC010",
    "beyond-default",
    Severity.NOTE,
    "Loading the pickle needs data types that torch.load does not allow by default.",
    "Save plain numbers, text, lists and dictionaries beside the tensors, or ship safetensors.",
    "For example an `argparse.Namespace`, a numpy array or a `torch.torch_version.TorchVersion`. "
    "What they make is data, so nothing is wrong with the file; but "
    "`torch.load(weights_only=True)`, the default since torch 2.6, refuses it until the names are "
    "added with "
    "`torch.serialization.add_safe_globals`. The list is that of torch 2.13; parts of "
    "torch add names of their own when they are imported, `torch.distributed.tensor` DTensor's "
    "say, and those of some modules (`os`) cannot be added. Names that SEC001, SEC002, SEC003 or "
    "SEC008 reports are beyond it, too.",
)
# Undecided: what nobody judged must not pass, and an honest program is no failure.
PROGRAM = Rule(
    "SEC011",
    "program",
    Severity.WARNING,
    "The file is a TorchScript program, whose code is not judged.",
    "Ship the weights alone: ckpttool convert PATH --to safetensors runs nothing of the program.",
    "`torch.jit.save` writes the code of the model beside its weights. Which attributes are "
    "parameters and buffers stands in the text of its classes; they are read by the names that "
    "`torch.jit.load(PATH).state_dict()` has. The code itself is neither compiled nor run, and "
    "nothing is claimed about it, so that the verdict is CANNOT TELL.",
    undecided=True,
    stands=True,
)
# Reported, so that a pass shows that somebody answers for code which nobody judged.
TRUSTED_CODE = Rule(
    "SEC009",
    "trusted-code",
    Severity.NOTE,
    "Loading the pickle calls or needs code that is trusted by --trust or the configuration.",
    "Remove a name from trust when no file needs it any more.",
    "The names come from `--trust` and from `trust` under `[tool.ckpttool]`; ckpttool has not "
    "looked at the code.",
)
