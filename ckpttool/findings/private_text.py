"""Paths and credentials of an author, told by a text and by the key that it stands under."""

from __future__ import annotations

import re

#: Characters of one text that are worth a search.
MAX_TEXT = 4_096

# An absolute path of two and more parts. What follows a word, a dot or a closing bracket is a
# piece of something else: a relative path, a quotient, a template.
_START = r"(?:(?<![\w/.~)\]}-])|(?<=file://))"
_PATH = re.compile(rf"{_START}/(?:([\w.@+-]+)(?:/[\w.@+ -]+)+|root(?![\w.-]))")
# What has slashes and is no path: URLs but those of files, and formulas of chemistry. Schemes have
# a bound, so that a long word does not take quadratic time.
_NO_PATH = re.compile(r"(?<![A-Za-z])(?!file:)[A-Za-z][\w+.-]{0,20}://\S*|\bInChI=\S*")
_DRIVE = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]:(?:\\{1,2}|/(?!/))[\w. -]+(?:[\\/]{1,2}[\w. -]+)+")
# Nodes of a graph, entries of an archive and routes of a server look like paths. What begins with
# a folder in which machines keep homes or data is one; else its key or its ending must say so.
_ROOT = re.compile(
    r"(?:home|Users?|root|Volumes|autofs|afs|beegfs|cephfs?|cluster|dbfs|efs|fsx|gpfs|hdfs|lustre|mnt"
    r"|media|net|nfs|pfs|raid|scratch|hdd|ssd|nvme|disks?|drives?|volumes?|vol|storage|share[ds]?|srv"
    r"|data|datasets?|databases?|checkpoints?|ckpts?|experiments?|work|workspaces?|workdir|projects?"
    r"|proj|groups?|private|kaggle|content|gdrive|cache)\d*",
)
_KEY_OF_A_PATH = re.compile(
    r"(?:.*[_.-])?(?:path|paths|dir|dirs|directory|folder|file|files|filename|root|home|cwd|resume"
    r"|output|prefix|location|ckpt|checkpoint|executable|interpreter|python|argv)(?:[_.-]?\d+)?"
    r"|.*(?:path|dir|file|root|folder)",
    re.IGNORECASE | re.DOTALL,
)
_ENDING = re.compile(
    r"\.(?:pt|pth|ckpt|bin|safetensors|json|ya?ml|toml|cfg|ini|py|ipynb|sh|txt|csv|tsv|log|npy|npz|pkl"
    r"|h5|hdf5|tar|gz|zip|jpe?g|png|parquet|lmdb|sif|so)\Z",
    re.IGNORECASE,
)
# Folders that every machine has, so that a path in them gives nothing away.
_PUBLIC = frozenset("bin boot dev etc lib lib64 opt proc run sbin sys tmp usr var".split())

_SECRETS = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/:@]{0,100}:[^\s/@]{1,200}@"  # a URL with a password
    r"|\bhf_[A-Za-z0-9]{20,}"  # Hugging Face
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}"
    r"|\bglpat-[\w-]{20,}"  # GitLab
    r"|\bAKIA[0-9A-Z]{16}\b"  # AWS, the identifier of a key
    r"|\bAIza[\w-]{35}"  # Google
    r"|\bxox[abeoprs]-[\w-]{10,}"  # Slack
    r"|\bsk-[\w-]{20,}"  # OpenAI and Anthropic
    r"|-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----"
)
_SECRET_KEY = re.compile(
    r"(?:.*_)?(?:api_?key|secret|secret_key|access_key|passwd|password"
    r"|(?:access|api|auth|bearer|gh|github|gitlab|hf|hub|wandb)_token)",
    re.IGNORECASE | re.DOTALL,
)
_SHORTEST_SECRET = 8  # what is shorter is a placeholder: "none", "true", "xxxx"


def has_path(key: str, text: str) -> bool:
    """Whether a text under a dotted key contains a local path."""
    text = _NO_PATH.sub(" ", text)
    return _DRIVE.search(text) is not None or any(
        _is_of_a_machine(match, key) for match in _PATH.finditer(text)
    )


def _is_of_a_machine(path: re.Match[str], key: str) -> bool:
    top = path.group(1)
    if top is None:
        return True  # the home of root
    # the last part that is a name: "argv.3" is an item of a list
    name = next((part for part in reversed(key.split(".")) if not part.isdigit()), key)
    return top not in _PUBLIC and (
        _ROOT.fullmatch(top) is not None
        or _KEY_OF_A_PATH.fullmatch(name) is not None
        or _ENDING.search(path.group().rstrip()) is not None
    )


def is_secret(key: str, text: str) -> bool:
    """Whether a text under a dotted key looks like a credential."""
    name = key.rpartition(".")[2]
    word = text.strip()
    # what a key calls a secret may be a sentence about one
    secret_like = len(word) >= _SHORTEST_SECRET and not any(map(str.isspace, word))
    return _SECRETS.search(text) is not None or (
        secret_like and _SECRET_KEY.fullmatch(name) is not None
    )


def masked(text: str) -> str:
    """Return enough of a secret to find it by: more people read a report than may know a secret."""
    found = _SECRETS.search(text)
    secret = found.group() if found else text
    scheme, separator, _ = secret.partition("://")
    if separator:
        return f"a password in a URL that begins with {scheme}://"
    return f"{secret[:4]!r}... ({len(secret):,} characters)"
