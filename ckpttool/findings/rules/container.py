"""FIL: the file and its container."""

from __future__ import annotations

from ckpttool.findings.rules.base import COMPARE_AND_SAVE, Rule, RuleFamily, Severity

FAMILY = RuleFamily("FIL", "the file and its container", stops=True)

# FIL0xx: any file; 1xx zip; 2xx pickle, legacy stream, tar; 3xx safetensors; 4xx index; 5xx files
# of ckpttool's own. Where a breach of a format is none that writers make by accident, the advice is
# also to ask where the file comes from.

# Errors, since nothing was checked; but the verdict on the file is "cannot tell", exit 2.
UNREADABLE = Rule(
    "FIL001",
    "unreadable",
    Severity.ERROR,
    "The file cannot be opened or read.",
    "Name a regular file that exists and that you can read.",
)
UNKNOWN_FORMAT = Rule(
    "FIL002",
    "unknown-format",
    Severity.ERROR,
    "The content matches no known container format.",
    "Name a .pth written by torch.save, a .safetensors file or an index of shards.",
)
UNSUPPORTED = Rule(
    "FIL003",
    "unsupported",
    Severity.ERROR,
    "The file, or something in it, is of a known kind that is not supported.",
    "Save the state_dict() again, with torch.save or as safetensors.",
)
CHANGED = Rule(
    "FIL004",
    "changed-while-read",
    Severity.ERROR,
    "The file changed while it was being read.",
    "Run again when nothing is writing to the file.",
    "What was read at different times may be of different versions, so nothing is said of any. "
    "Before a result is given, each file is held against what it was when it was opened: device, "
    "inode, size, time of writing and time of change. The time of change is set by the system "
    "alone, so a file that was rewritten in place is noticed also if its time of writing was put "
    "back. A new owner, mode or hard link changes it too, and so does removing the file or "
    "putting another in its place. Not noticed: what is written within one tick of the file "
    "system's clock after the file was opened, where its last change is of the same tick (10 ms "
    "at most on most file systems, 2 s on FAT); what another program writes through a memory map, "
    "until the system notes a time for it; and on Windows, which has no time of change here, "
    "bytes of a file whose time of writing was put back.",
)
# Not "malformed": larger limits would perhaps read the file, so it is exit 2 as well.
LIMIT = Rule(
    "FIL005",
    "limit-exceeded",
    Severity.ERROR,
    "Reading the file would take more memory or time than ckpttool allows for one file.",
    "Save it again with fewer or smaller parts. Nothing else is known about this file.",
    "Limits are budgets of memory and time, so that no file, whatever it says of itself, keeps a "
    "machine busy. Honest files can be beyond them; nothing is said about such a file.",
)
TRUNCATED = Rule(
    "FIL006",
    "truncated",
    Severity.ERROR,
    "The file ends before its content does.",
    "Download or copy the file again: it is shorter than it says.",
)
UNWRITABLE = Rule(
    "FIL007",
    "unwritable",
    Severity.ERROR,
    "The file cannot be written.",
    "Name a path in a folder that exists and that you can write to.",
)
OTHER_NAME = Rule(
    "FIL008",
    "name-of-another-format",
    Severity.WARNING,
    "The file name has the extension of another format.",
    "Rename the file so that its extension matches its content.",
    "Readers that go by the name read the file as another format: `torch.load` of torch 2.13 "
    "reads every file that ends in `.safetensors` as one, but `torch.save(x, "
    '"a.safetensors")` writes a zip. Not reported for names without a known ending.',
)
NOT_LOOKED_AT = Rule(
    "FIL009",
    "not-looked-at",
    Severity.WARNING,
    "Some files were not checked.",
    "Leave them out with --exclude, or check them with the tool that they are made for.",
    "A warning where they could hold weights: files of other formats, archives, and what is of no "
    "known kind. A note where they are caches and folders of tools, source text, sockets or FIFOs. "
    "Whatever the verdict is, it does not speak of them.",
    of_run=True,
)
# A note: nothing is wrong with the file, and its code is judged by SEC001 to SEC003.
WHOLE_MODULE = Rule(
    "FIL010",
    "whole-module",
    Severity.NOTE,
    "The file is a pickled module, not its state dict alone.",
    "Convert the weights: ckpttool convert PATH --to safetensors. It runs no code of the file.",
    "`torch.save(model)` pickles an object of the model's class. Its parameters and buffers are "
    "read out of its attributes, by the names that `state_dict()` gives them: parameters, then "
    "buffers that are persistent, then the modules below; a tied tensor under each of its names. "
    "Nothing of its code is run, and none is needed. Loading the file does need it, the very "
    "module and class that the pickle names: `torch.load` refuses it with `weights_only=True`, "
    "the default since torch 2.6, and ends with `ModuleNotFoundError` or `AttributeError` where "
    "the class is not there.\n\n"
    "What only the code knows is not there: entries that a class adds by a method of its own "
    "(`get_extra_state`, `_save_to_state_dict`, a hook), weights that it computes, and packed "
    "ones of quantized modules, which are listed as not read. Attributes that are no parameters or "
    "buffers are one entry, `$attributes`.",
)
ZIP_STRUCTURE = Rule(
    "FIL101",
    "zip-structure",
    Severity.ERROR,
    "The zip directory is malformed.",
    COMPARE_AND_SAVE,
)
ZIP_DISAGREES = Rule(
    "FIL102",
    "zip-disagrees",
    Severity.ERROR,
    "Different zip readers would see different content.",
    COMPARE_AND_SAVE,
)
ZIP_NAME = Rule(
    "FIL103",
    "zip-name",
    Severity.ERROR,
    "A member of the zip has an unsafe or ambiguous name.",
    "Save it again with torch.save, under a file name of plain characters.",
    "torch.save names the members after the file. Where no such name is the reason, ask where the "
    "file comes from.",
)
ZIP_METHOD = Rule(
    "FIL104",
    "zip-method",
    Severity.ERROR,
    "A zip member is compressed or encrypted; torch.save only stores members.",
    "Save it again with torch.save, which does not compress members.",
)
TORCH_ARCHIVE = Rule(
    "FIL105",
    "torch-archive",
    Severity.ERROR,
    "The zip does not have the layout that torch.save writes.",
    "Save it again with torch.save, and do not pack it with a zip tool.",
)
PICKLE = Rule(
    "FIL201",
    "pickle-malformed",
    Severity.ERROR,
    "The pickle stream breaks the format.",
    COMPARE_AND_SAVE,
)
LEGACY_STREAM = Rule(
    "FIL202",
    "legacy-stream",
    Severity.ERROR,
    "The legacy torch stream is malformed.",
    COMPARE_AND_SAVE,
)
TAR_STRUCTURE = Rule(
    "FIL203",
    "tar-structure",
    Severity.ERROR,
    "The tar container is malformed.",
    COMPARE_AND_SAVE,
)
SAFETENSORS_HEADER = Rule(
    "FIL301",
    "safetensors-header",
    Severity.ERROR,
    "The safetensors header is malformed.",
    "Write it again with the safetensors library, from the checkpoint it was made from.",
)
SAFETENSORS_LAYOUT = Rule(
    "FIL302",
    "safetensors-layout",
    Severity.ERROR,
    "Byte ranges of tensors do not match their shapes, or leave gaps or overlap.",
    "Write it again with the safetensors library, from the checkpoint it was made from.",
)
# A note: the format's library accepts all of these on purpose, and the tensors are the same.
SAFETENSORS_SPELLING = Rule(
    "FIL303",
    "safetensors-spelling",
    Severity.NOTE,
    "The safetensors header uses a form that the format specification does not allow.",
    "Write it again with the safetensors library, if a reader refuses it.",
    "Whitespace before the header, TAB, CR or LF behind it, `__metadata__` of null, "
    "further keys in a tensor's entry, and entries written as lists. The safetensors library and "
    "torch read all of these, and the tensors are the same; other readers may not.",
)
SHARD_INDEX = Rule(
    "FIL401",
    "shard-index",
    Severity.ERROR,
    "The index is malformed, or it and its shards disagree.",
    "Use the index and the shards of one export, or write the index again.",
)
# A note, while every other disagreement of an index is an error: no reader uses the number.
INDEX_TOTAL = Rule(
    "FIL402",
    "index-total",
    Severity.NOTE,
    "The total_size in the index is not the number of bytes of its tensors.",
    "Write the index again: ckpttool convert INDEX --to safetensors -o NEW --max-shard-size SIZE.",
    "No reader relies on it. Versions of transformers wrote wrong ones for years, some as floats.",
)
DISTRIBUTED_METADATA = Rule(
    "FIL403",
    "distributed-metadata",
    Severity.ERROR,
    "The .metadata of a distributed checkpoint lacks what torch.distributed.checkpoint writes.",
    "Write the checkpoint again with torch.distributed.checkpoint.save.",
)
DISTRIBUTED_CHUNKS = Rule(
    "FIL404",
    "distributed-chunks",
    Severity.ERROR,
    "The chunks of a distributed checkpoint do not add up to its tensors.",
    "Collect all files of one checkpoint in the folder, each as its process wrote it.",
    "Each process writes its chunks of the tensors. Together they must have each element of a "
    "tensor once, each where `.metadata` says, with the type and the shape that it says; in a "
    "folder of DeepSpeed the files say themselves how many there are and what they hold parts of.",
)
# A warning: readers take only what is listed, so that nothing is wrong with the tensors.
DISTRIBUTED_UNLISTED = Rule(
    "FIL405",
    "distributed-unlisted",
    Severity.WARNING,
    "Files of a distributed checkpoint, or bytes in them, are not in its .metadata.",
    "If they belong to an earlier run, remove them.",
    "A folder that was written to twice, by more processes at first, has files of two checkpoints. "
    "Readers leave out what `.metadata` does not list, and so does ckpttool: it was not looked at.",
)
# A note: the files are as their writer leaves them.
DISTRIBUTED_SIZES = Rule(
    "FIL406",
    "distributed-sizes",
    Severity.NOTE,
    "Files of parts of tensors do not say how large the whole tensors are.",
    "Compare the files with those of the run: a missing last part of a tensor cannot be seen.",
    "The safetensors files that torch's HuggingFaceStorageWriter leaves with "
    "`save_distributed=True` say where each part begins, and no more. A part missing in the middle "
    "is found, one at the end of an axis is not: the tensor then is that much smaller.",
)
RECEIPT = Rule(
    "FIL501",
    "receipt",
    Severity.ERROR,
    "The file is not a receipt that ckpttool convert wrote.",
    "Name an unchanged receipt from ckpttool convert --receipt.",
)
SCHEMA_FILE = Rule(
    "FIL503",
    "schema-file",
    Severity.ERROR,
    "The schema file is not what ckpttool schema writes.",
    "Restore it from version control, or write a new one with ckpttool schema.",
)
SCHEMA_CODE = Rule(
    "FIL504",
    "schema-code",
    Severity.ERROR,
    "The model that the schema comes from cannot be built.",
    "Name another source, verify --schema SOURCE; or --schema none for the checks that need none.",
    "A config.json is built by the installed transformers, and never by code that comes with a "
    "checkpoint. The outcome is CANNOT TELL, exit code 2.",
)
LOCK_FILE = Rule(
    "FIL502",
    "lock-file",
    Severity.ERROR,
    "The lock file is not what ckpttool lock writes.",
    "Restore it from version control, or write a new one with ckpttool lock.",
)
ADAPTER = Rule(
    "FIL505",
    "adapter",
    Severity.ERROR,
    "The adapter_config.json is not what PEFT writes.",
    "Save the adapter again, or restore its adapter_config.json.",
)
