"""The table of rules: everything that ckpttool can find wrong, by stable code.

A code is three letters and three digits and is never used again for something else:
FIL container, SEC safety, INT integrity, STR structure, NUM values, MOD model meaning,
CVT conversion.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Severity(Enum):
    """How much a finding weighs: an error fails the run, the others are told."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def weight(self) -> int:
        """A number to compare by: the heavier, the higher."""
        return -list(Severity).index(self)


class Rule(NamedTuple):
    """One thing that can be wrong.

    ``name`` is the short name in kebab case, ``severity`` the default weight and
    ``meaning`` one line for the reader of a report.
    """

    code: str
    name: str
    severity: Severity
    meaning: str


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE

# --- FIL: the file and its container -------------------------------------------------
UNREADABLE = Rule("FIL001", "unreadable", _E, "The file cannot be opened or read.")
UNKNOWN_FORMAT = Rule("FIL002", "unknown-format", _E, "The content is of no known container.")
UNSUPPORTED = Rule("FIL003", "unsupported", _E, "The container is known but not supported.")
CHANGED = Rule("FIL004", "changed-while-read", _E, "The file changed while it was being read.")
LIMIT = Rule("FIL005", "limit-exceeded", _E, "The file asks for more than any real checkpoint.")
TRUNCATED = Rule("FIL006", "truncated", _E, "The file ends before its content does.")
UNWRITABLE = Rule("FIL007", "unwritable", _E, "The file cannot be written.")
ZIP_STRUCTURE = Rule("FIL101", "zip-structure", _E, "The zip directory is malformed.")
ZIP_DISAGREES = Rule("FIL102", "zip-disagrees", _E, "Two zip readers would see other content.")
ZIP_NAME = Rule("FIL103", "zip-name", _E, "A member name is unsafe or ambiguous.")
ZIP_METHOD = Rule("FIL104", "zip-method", _E, "A member is compressed or encrypted.")
TORCH_ARCHIVE = Rule("FIL105", "torch-archive", _E, "The zip lacks what torch.save writes.")
PICKLE = Rule("FIL201", "pickle-malformed", _E, "The pickle stream breaks the format.")
LEGACY_STREAM = Rule("FIL202", "legacy-stream", _E, "The legacy torch stream is malformed.")
TAR_STRUCTURE = Rule("FIL203", "tar-structure", _E, "The tar container is malformed.")
SAFETENSORS_HEADER = Rule("FIL301", "safetensors-header", _E, "The header is malformed.")
SAFETENSORS_LAYOUT = Rule("FIL302", "safetensors-layout", _E, "The byte ranges do not tile.")
SHARD_INDEX = Rule("FIL401", "shard-index", _E, "The index and its shards disagree.")
RECEIPT = Rule("FIL501", "receipt", _E, "The receipt lacks what convert writes.")

# --- SEC: what a file could do to its reader ------------------------------------------
DANGEROUS_NAME = Rule("SEC001", "dangerous-name", _E, "The pickle names code of an attack.")
UNKNOWN_CALL = Rule("SEC002", "unknown-call", _E, "Tensors depend on a call to unknown code.")
FOREIGN_NAME = Rule("SEC003", "foreign-name", _N, "The pickle names code beyond torch's own.")
PERSISTENT_ID = Rule("SEC004", "persistent-id", _E, "A persistent id is not of torch's form.")

# --- INT: bytes against what is said of them ------------------------------------------
STORAGE_SIZE = Rule("INT001", "storage-size", _E, "A storage's bytes are not what it declares.")
GEOMETRY = Rule("INT002", "tensor-geometry", _E, "A tensor reaches outside its storage.")
MISSING_STORAGE = Rule("INT003", "missing-storage", _E, "A tensor's storage is not in the file.")
CHECKSUM = Rule("INT004", "checksum", _E, "Bytes do not match their stored checksum.")
AMPLIFICATION = Rule("INT005", "amplification", _E, "Views expand to far more than the file.")
PUBLISHED = Rule("INT006", "published-digest", _E, "The file is not the published one.")
NO_CHECKSUMS = Rule("INT007", "no-checksums", _N, "The archive was written without checksums.")
DUPLICATE_KEY = Rule("INT008", "duplicate-key", _E, "Two entries have the same name.")

# --- STR: names, shapes and dtypes against the schema ---------------------------------
MISSING_ENCODER = Rule("STR001", "missing-encoder", _E, "Encoder tensors are missing.")
DECODER_ABSENT = Rule("STR002", "decoder-absent", _N, "There is no decoder in the checkpoint.")
DECODER_PARTIAL = Rule("STR003", "decoder-partial", _E, "Only a part of the decoder is there.")
UNEXPECTED = Rule("STR004", "unexpected-tensor", _W, "The model has no place for a tensor.")
SHAPE = Rule("STR005", "shape-mismatch", _E, "A tensor has another shape than the model's.")
DTYPE = Rule("STR006", "dtype-mismatch", _W, "A tensor has another floating type.")
DTYPE_KIND = Rule("STR007", "dtype-kind", _E, "A weight is not of a floating type.")
WRAPPER_CHOICE = Rule("STR008", "wrapper-choice", _N, "One of several state dicts was taken.")
NAME_PREFIX = Rule("STR009", "name-prefix", _N, "Names carry a prefix that was set aside.")
NO_TENSORS = Rule("STR010", "no-tensors", _E, "There is no state dict in the checkpoint.")
UNREAD_ENTRY = Rule("STR011", "unsupported-tensor", _W, "A tensor is of a kind that is not read.")
OTHER_MODEL = Rule("STR012", "other-model", _E, "No tensor has a name of the model.")
UNCLEAR_NAMES = Rule("STR013", "unclear-names", _W, "Names do not fit into one layout.")

# --- NUM: the numbers ------------------------------------------------------------------
NAN = Rule("NUM001", "nan", _E, "A tensor holds NaN.")
INFINITE = Rule("NUM002", "infinite", _E, "A tensor holds infinity.")
ALL_ZERO = Rule("NUM003", "all-zero", _E, "A weight is zero everywhere.")
CONSTANT = Rule("NUM004", "constant", _E, "A weight has one value everywhere.")
CONSTANT_VECTOR = Rule("NUM005", "constant-vector", _N, "Biases or gains have a single value.")
VALUES_NOT_READ = Rule("NUM006", "values-not-read", _W, "The values were not examined.")

# --- MOD: what the weights mean to the model -------------------------------------------
LAYERNORM_INITIAL = Rule("MOD001", "layernorm-initial", _N, "LayerNorms at initialisation.")
IDENTICAL_BLOCKS = Rule("MOD002", "identical-blocks", _E, "Blocks hold the same weights.")
POS_EMBED = Rule("MOD003", "pos-embed", _E, "The position table is not the sin-cos table.")
FORWARD_SHAPE = Rule("MOD004", "forward-shape", _E, "The forward pass gives another shape.")
FORWARD_NOT_FINITE = Rule("MOD005", "forward-not-finite", _E, "Outputs are not all finite.")
FORWARD_BLIND = Rule("MOD006", "forward-blind", _E, "Different inputs give the same features.")
FORWARD_NOT_RUN = Rule("MOD007", "forward-not-run", _N, "The forward pass was not run.")

# --- CVT: what a conversion changes, or cannot do ---------------------------------------
CANNOT_HOLD = Rule("CVT101", "cannot-hold", _E, "The format has no place for a tensor.")
NOT_AS_WRITTEN = Rule("CVT102", "not-as-written", _E, "Bytes read back are not those written.")
DESTINATION_EXISTS = Rule("CVT103", "destination-exists", _E, "Something stands there already.")
DESTINATION_KIND = Rule("CVT104", "destination-kind", _E, "The destination is not a plain file.")
DESTINATION_SOURCE = Rule("CVT105", "destination-is-source", _E, "It would replace its source.")
NO_SPACE = Rule("CVT106", "no-space", _E, "The disk has not enough room.")
NOT_POSSIBLE = Rule("CVT201", "not-possible", _E, "What was asked for cannot be done.")
NOT_PROVEN = Rule("CVT202", "not-proven", _E, "What was written is not what was read.")
TIED = Rule("CVT203", "tied-tensors", _N, "Names of the same bytes are stored once.")
OVERLAPPING = Rule("CVT204", "overlapping-tensors", _W, "Shared bytes are written several times.")
OVERFLOW = Rule("CVT205", "cast-overflow", _E, "A cast made finite numbers infinite.")
UNDERFLOW = Rule("CVT206", "cast-underflow", _W, "A cast made small numbers zero.")
LIBRARY_BEHIND = Rule("CVT207", "library-behind", _W, "The safetensors library is too old.")
STALE = Rule("CVT208", "stale-files", _W, "Files of an earlier result could not be removed.")

#: Every rule by its code, in order.
RULES = {
    rule.code: rule
    for rule in sorted(value for value in list(globals().values()) if isinstance(value, Rule))
}
