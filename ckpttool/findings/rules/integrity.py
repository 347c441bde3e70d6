"""INT: bytes against what is said of them."""

from __future__ import annotations

from ckpttool.findings.rules.base import COMPARE_AND_SAVE, Rule, RuleFamily, Severity

# Errors: the bytes themselves are wrong, whatever the model is.
FAMILY = RuleFamily("INT", "bytes against what is said of them", stops=True)

STORAGE_SIZE = Rule(
    "INT001",
    "storage-size",
    Severity.ERROR,
    "A storage does not have the number of bytes that it declares.",
    COMPARE_AND_SAVE,
)
GEOMETRY = Rule(
    "INT002",
    "tensor-geometry",
    Severity.ERROR,
    "A tensor's shape, strides and offset do not fit into its storage.",
    COMPARE_AND_SAVE,
)
MISSING_STORAGE = Rule(
    "INT003",
    "missing-storage",
    Severity.ERROR,
    "A tensor's storage is not in the file.",
    COMPARE_AND_SAVE,
)
CHECKSUM = Rule(
    "INT004",
    "checksum",
    Severity.ERROR,
    "Bytes do not match their stored checksum.",
    "Compare the file with the original: these bytes are not those that the checksum was made of.",
)
AMPLIFICATION = Rule(
    "INT005",
    "amplification",
    Severity.ERROR,
    "Views expand to far more bytes than the file stores for them.",
    "Save the tensor before it was expanded, or leave it out of the state dict.",
)
PUBLISHED = Rule(
    "INT006",
    "published-digest",
    Severity.ERROR,
    "The file is not the one that was published under its name, or none was.",
    "If it should be that file, download it from its authors; else leave out --published.",
)
# A note: torch leaves them out only where its user turned them off.
NO_CHECKSUMS = Rule(
    "INT007",
    "no-checksums",
    Severity.NOTE,
    "The archive was written without checksums, so changed bytes would not be noticed.",
    "Write a file that has them: ckpttool convert PATH --to pth.",
)
DUPLICATE_KEY = Rule(
    "INT008",
    "duplicate-key",
    Severity.ERROR,
    "Two entries have the same name.",
    "Write it again with unique names: readers disagree on which of the two counts.",
)
# Apart from CHECKSUM: fetching the file again would give the same zeros.
NEVER_FILLED = Rule(
    "INT010",
    "never-filled",
    Severity.ERROR,
    "A storage was laid out in the file and never filled with its bytes.",
    "Write the file again, without torch.serialization.skip_data, or fill its records.",
    "`torch.serialization.skip_data` reserves room for a storage, for a program that writes the "
    "bytes later. Until then it has zeros and a stored checksum of 0, which is not that of zeros. "
    "That tells it from damage, which leaves the checksum of the bytes that were there before.",
)
# A warning: the weights are right, but the file may publish data that nobody meant to.
WASTED_BYTES = Rule(
    "INT009",
    "wasted-bytes",
    Severity.WARNING,
    "The file holds bytes of storages that no tensor uses.",
    "Save copies of the views: {name: tensor.clone() for name, tensor in state.items()}.",
    "torch.save writes the whole storage of a view, however small the view is. The rest of the "
    "storage stays in the file: bytes that everybody downloads, and perhaps data that nobody meant "
    "to publish. Counted are bytes that the tensors of the state dict do not cover in their own "
    "storages, and storages that nothing in the pickle refers to. Not reported below one percent "
    "of the state dict (`tolerances.wasted-share`).",
)
