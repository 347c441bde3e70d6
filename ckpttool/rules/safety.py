"""SEC: what a file could do to its reader, and what it tells about its writer."""

from __future__ import annotations

from ckpttool.rules.base import Family, Rule, Severity

FAMILY = Family("SEC", "what a file could do to its reader, and tells about its writer", stops=True)

DANGEROUS_NAME = Rule(
    "SEC001",
    "dangerous-name",
    Severity.ERROR,
    "The pickle names code that only an attack needs.",
    "Do not load the file with torch.load or pickle; ask its author about it.",
)
UNKNOWN_CALL = Rule(
    "SEC002",
    "unknown-call",
    Severity.ERROR,
    "A tensor depends on a call to code that is not torch's.",
    "Load the file where that code is trusted, and save plain tensors.",
)
FOREIGN_NAME = Rule(
    "SEC003",
    "foreign-name",
    Severity.NOTE,
    "The pickle names code beyond torch's own.",
    "Publish the state dict alone: torch.load(weights_only=True) may refuse the file.",
)
PERSISTENT_ID = Rule(
    "SEC004",
    "persistent-id",
    Severity.ERROR,
    "The pickle refers to a storage in a form that torch does not write.",
    "Save it anew with torch.save, and ask where the file comes from.",
)
PICKLE_FORMAT = Rule(
    "SEC005",
    "pickle-format",
    Severity.NOTE,
    "The weights are shipped as a pickle, which can run code when it is loaded.",
    "Ship a safetensors file instead: ckpttool convert PATH --to safetensors.",
    "Quiet where a .safetensors file lies beside the pickle. The reader of this tool executes "
    "nothing; `torch.load` of other people does unless it is told `weights_only=True`, and before "
    "torch 2.6 even then (CVE-2025-32434).",
)
PRIVATE_PATH = Rule(
    "SEC006",
    "private-path",
    Severity.WARNING,
    "Text in the file holds paths of the machine it was written on.",
    "Save the state dict alone, or take these values out before you publish.",
    "Looked at are all texts beside the tensors of a pickle (the arguments of the training run, "
    "say) and the strings of a safetensors header. What counts is a home folder (`/home/NAME`, "
    "`/Users/NAME`, `C:\\Users\\NAME`, `/root`) or another absolute path of two and more parts "
    "(`/checkpoint/...`, `/data/...`), but none of the system's own (`/usr`, `/dev`, `/proc`, "
    "`/tmp`, ...).",
)
CREDENTIAL = Rule(
    "SEC007",
    "credential",
    Severity.WARNING,
    "Text in the file looks like a password, a token or a key.",
    "Revoke it, whether or not you publish the file, and save the state dict alone.",
    "What counts is a URL with a password in it, a token in the form of a known issuer (Hugging "
    "Face, GitHub, GitLab, AWS, Google, Slack, OpenAI), a private key in PEM form, and any text "
    "under a key such as `password` or `api_key`. Reports show the first characters only.",
)
