"""DIF: what differs from the lock file."""

from __future__ import annotations

from ckpttool.findings.rules.base import Rule, RuleFamily, Severity

FAMILY = RuleFamily("DIF", "what differs from the lock file")

_MEANT = "If the change is intended, review it with ckpttool diff and write the lock again."

# Errors without exception: whoever locks weights wants to hear of every change.
LOCK_CONTENT = Rule(
    "DIF001",
    "lock-content",
    Severity.ERROR,
    "Tensors have other values than the lock file records.",
    _MEANT,
    "Compared is the SHA-256 of each tensor's contiguous little-endian bytes, by its name in the "
    "canonical layout: another container or another layout of the names makes no difference.",
    needs=("lock",),
)
LOCK_GONE = Rule(
    "DIF002",
    "lock-gone",
    Severity.ERROR,
    "Tensors in the lock file are missing from the checkpoint.",
    _MEANT,
    needs=("lock",),
)
LOCK_ADDED = Rule(
    "DIF003",
    "lock-added",
    Severity.ERROR,
    "The checkpoint has tensors that are not in the lock file.",
    _MEANT,
    needs=("lock",),
)
LOCK_GEOMETRY = Rule(
    "DIF004",
    "lock-geometry",
    Severity.ERROR,
    "Tensors have another dtype or shape than the lock file records.",
    _MEANT,
    needs=("lock",),
)
LOCK_FORWARD = Rule(
    "DIF005",
    "lock-forward",
    Severity.ERROR,
    "The model's outputs differ from those in the lock file.",
    "If the tensors are the same, check the model's code, the device and the torch version.",
    "Compared are statistics and projections of the outputs of a fixed input, within the "
    "tolerance of the lock file, which lies between what rounding does and what the nearest "
    "wrong model does.",
    needs=("lock", "forward"),
)
LOCK_ENTRY = Rule(
    "DIF006",
    "lock-entry",
    Severity.ERROR,
    "The lock file has no entry for the checkpoint.",
    "Lock it together with the others: ckpttool lock PATH... -o FILE.",
    "A checkpoint is found in a lock file by its path, its weights or its name without ending; "
    "a file that locks only one checkpoint is compared with every one.",
    needs=("lock",),
)
LOCK_SCHEMA = Rule(
    "DIF007",
    "lock-schema",
    Severity.ERROR,
    "The weights were locked as another model.",
    "Ask for the model that was locked. If this one is intended, write the lock again.",
    needs=("lock",),
)
# A note: --no-forward is the user's choice, and the tensors were compared.
LOCK_FORWARD_OPEN = Rule(
    "DIF008",
    "lock-forward-open",
    Severity.NOTE,
    "The model's outputs could not be compared with the lock file.",
    "Run verify without --no-forward, and lock weights for which a control counts.",
    needs=("lock",),
)
LOCK_UNMATCHED = Rule(
    "DIF009",
    "lock-unmatched",
    Severity.ERROR,
    "The lock file lists a checkpoint that is not in the folder.",
    "Put the file back, or lock the folder again without it.",
    "Reported if a folder is verified, not for files that are named. For a folder below that of "
    "the lock file, only checkpoints that are locked below it count, and those that are locked in "
    "one folder with a checkpoint of which it has a copy.",
    needs=("lock",),
    of_run=True,
)
