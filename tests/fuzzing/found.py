"""Faults of ckpttool that mutated files brought to light, and the tests that hold them mended."""

from __future__ import annotations

from typing import NamedTuple, Tuple


class Found(NamedTuple):
    """A fault.

    Attributes:
        parser: whose inputs showed it.
        what: what was wrong, in a sentence.
        test: the test, as ``file::name`` below ``tests/``.
    """

    parser: str
    what: str
    test: str


_LOCK = "ckpttool/verification/lock/test_reading.py::test_what_is_wrong_is_said"
_HEADER = "ckpttool/formats/safetensors/test_whole.py::test_a_defect_is_refused_with_its_rule"
_PICKLE = "ckpttool/formats/test_pickles.py::test_a_broken_stream_is_refused_with_its_place"
_ZIP = "ckpttool/formats/torch/test_torch_files.py::test_a_bad_zip_is_refused"

_TAR = (
    "ckpttool/formats/archives/test_tar.py::"
    "test_a_header_that_readers_may_read_in_two_ways_is_refused"
)
FOUND: Tuple[Found, ...] = (
    Found(
        "header",
        "A file was read that the format's library refuses: a further key of a tensor had a number "
        "beyond 64 bits, such as `1e400`.",
        _HEADER,
    ),
    Found(
        "header",
        "Millions of values in a further key of a tensor took seconds to skip.",
        _HEADER,
    ),
    Found(
        "header",
        "A text longer than the limit was called malformed, where a limit was reached.",
        _HEADER,
    ),
    Found(
        "header",
        "`numpy()` of a tensor without elements failed with numpy's own error where its other "
        "sizes were too large.",
        "ckpttool/tensors/test_in_memory.py::"
        "test_sizes_beside_a_zero_that_numpy_cannot_hold_are_an_error_of_ours",
    ),
    Found(
        "pickle",
        "The integer `-0` of protocol 0 was read as 0, which CPython's unpickler reads as `False`.",
        _PICKLE,
    ),
    Found(
        "pickle",
        "Floats of protocol 0 were read that CPython's unpickler refuses: with underscores or "
        "spaces, or too large.",
        _PICKLE,
    ),
    Found(
        "pickle",
        "A pickle was read of which a number of the memo makes CPython's unpickler ask for 64 GiB.",
        "ckpttool/formats/test_pickles.py::"
        "test_a_memo_number_beyond_the_bytes_of_the_pickle_meets_a_limit",
    ),
    Found(
        "pickle",
        "A dictionary was read whose keys cannot be hashed: a bytearray, an ordered dictionary.",
        _PICKLE,
    ),
    Found(
        "zip",
        "An archive was accepted whose alignment of storages is no number, or whose id is no text:"
        " torch.load refuses these.",
        "ckpttool/formats/torch/test_torch_files.py::test_a_bad_zip_is_refused",
    ),
    Found(
        "zip",
        "A TorchScript program that states big-endian numbers was read as such, and by"
        " torch.jit.load as little-endian.",
        "ckpttool/formats/torch/test_script.py::test_a_program_of_big_endian_numbers_is_not_read",
    ),
    Found(
        "zip",
        "Of a refused archive, a pickle whose deflate stream breaks off was not judged: torch reads"
        " what comes before.",
        "ckpttool/formats/foreign/test_loose_pickles.py::test_a_pickle_is_found",
    ),
    Found(
        "zip",
        "Headers in every fourth byte of a refused archive took seconds to look through.",
        "ckpttool/formats/foreign/test_loose_pickles.py::"
        "test_marks_without_a_pickle_are_looked_at_up_to_a_limit",
    ),
    Found(
        "pickle",
        "Of two attributes of an object with one name the first was read; torch takes the last.",
        _ZIP,
    ),
    Found(
        "pickle",
        "A tensor of whole numbers that requires a gradient was read, which torch refuses.",
        _ZIP,
    ),
    Found(
        "legacy",
        "A stream was read with a persistent id in the facts of the system, at which torch fails.",
        "ckpttool/formats/torch/test_torch_files.py::test_a_bad_legacy_stream_is_refused",
    ),
    Found(
        "index",
        "Python's search for garbage doubled the time that JSON of many objects takes.",
        "ckpttool/files/test_strict_json.py::test_nobody_searches_for_garbage_meanwhile",
    ),
    Found(
        "lock",
        "A lock whose fingerprint was not that of its tensors was taken for one of the weights.",
        _LOCK,
    ),
    Found(
        "lock",
        "A tolerance of `inf`, or one beyond a control that counts, was accepted from a lock.",
        _LOCK,
    ),
    Found(
        "lock",
        "A checkpoint named `.` or by a path above the lock's folder ended a run over a folder "
        "with Python's own error.",
        _LOCK,
    ),
    Found(
        "lock",
        "A line of millions of words, and a hundred thousand checkpoints, took memory and time.",
        "ckpttool/verification/lock/test_reading.py::"
        "test_a_line_without_end_is_refused_before_it_is_taken_apart",
    ),
    Found(
        "metadata",
        "A tensor without elements was read of which chunks with elements are listed.",
        "ckpttool/formats/distributed/test_folder.py::test_a_defect_is_named_with_the_tensor",
    ),
    Found(
        "tar",
        "Archives were read of which tarfile, and so torch, reads other members or none: numbers "
        "that are not octal beside the size or begin behind a NUL, names that are not ASCII, times "
        "of GNU's, an extended header without a member, times and owners beyond those of files.",
        _TAR,
    ),
    Found(
        "tar",
        "A storage without a type was read, which torch asks each for.",
        "ckpttool/formats/torch/test_torch_files.py::test_a_bad_tar_is_refused",
    ),
    Found(
        "tar",
        "Of a refused archive, pickles were not judged that torch reads: of the last of two "
        "members, under names in extended headers, of tar before POSIX, behind others in a member.",
        "ckpttool/formats/torch/test_tar_judging.py::test_a_call_in_a_refused_archive_is_told",
    ),
    Found(
        "receipt",
        "A shape of a hundred thousand large sizes in a receipt was multiplied out, for seconds.",
        "ckpttool/comparison/test_opening.py::test_a_bad_receipt_is_malformed",
    ),
    Found(
        "configuration",
        "A number of more digits than Python converts ended a run with Python's own error.",
        "ckpttool/cli/test_configuration.py::test_what_is_wrong_is_said",
    ),
    Found(
        "configuration",
        "A key of tens of thousands of parts took the parser of TOML more than 256 MB.",
        "ckpttool/cli/test_configuration.py::test_what_is_wrong_is_said",
    ),
    Found(
        "pickle",
        "Ten megabytes of the memo operations of protocol 0 took more than two seconds.",
        "ckpttool/formats/test_pickles.py::test_a_memo_index_is_the_number_that_its_line_spells",
    ),
    Found(
        "configuration",
        "A pattern with several wildcards took hours on a name on which it nearly fits.",
        "ckpttool/findings/test_globs.py::test_wildcards_do_not_multiply",
    ),
    Found(
        "model-config",
        "Expressions for names of modules took seconds and hundreds of megabytes on odd names.",
        "ckpttool/quantization/test_expressions.py::"
        "test_expressions_that_take_too_long_are_given_up_and_said_to_be_unread",
    ),
    Found(
        "pickle",
        "Values that hold themselves were gone through again and again: 800 bytes took 0.5 s.",
        "ckpttool/formats/test_pickles.py::test_what_holds_itself_is_looked_at_once",
    ),
    Found(
        "tar",
        "A refused archive in which torch finds its members under other names was called a tar "
        "archive of another kind.",
        "ckpttool/formats/torch/test_tar_judging.py::"
        "test_an_archive_of_torchs_under_other_names_is_not_called_another_kind",
    ),
    Found(
        "zip",
        "A call was not named where a program of big-endian numbers is refused: exit code 2 for 1.",
        "ckpttool/formats/torch/test_script.py::"
        "test_a_kind_of_archive_that_is_not_read_hides_no_call",
    ),
    Found(
        "zip",
        "A byte order in a member `Byteorder` was not seen: torch finds members in any case.",
        "ckpttool/formats/torch/test_torch_files.py::test_a_bad_zip_is_refused",
    ),
)
