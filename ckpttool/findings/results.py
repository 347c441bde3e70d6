"""The results that every reporter gets: a report of the run, with a result for each file.

Plain values without references to open files, numpy or torch: they outlive the file, can be
pickled by a worker, and load fast in commands that only render them.
"""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, NoReturn

from ckpttool._version import __version__
from ckpttool.findings.finding import Finding, Verdict, verdict_of
from ckpttool.findings.inventory import Item
from ckpttool.findings.json_fields import report_document
from ckpttool.findings.pictures import Reconstruction
from ckpttool.findings.rules import Severity
from ckpttool.findings.statistics import Statistics
from ckpttool.findings.text import brief, count


class _NoItems(Dict[str, Any]):
    """An empty dictionary that stays empty. Unlike a read-only view of one, it can be pickled."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("this dictionary is the default of all results: it cannot be changed")

    __setitem__ = update = setdefault = __ior__ = _refuse


#: The default of dictionaries in results, which share it.
NO_ITEMS: dict[str, Any] = _NoItems()


class Mismatch(NamedTuple):
    """A tensor that is there with another shape or dtype than the model's (torch's names)."""

    name: str
    expected_shape: tuple[int, ...]
    expected_dtype: str
    found_shape: tuple[int, ...]
    found_dtype: str

    @property
    def same_shape(self) -> bool:
        """Whether only the dtype differs."""
        return self.expected_shape == self.found_shape


class GroupCoverage(NamedTuple):
    """One part of the model (encoder, decoder) compared with the checkpoint.

    Attributes:
        expected: tensors of the model.
        matched: those that the checkpoint can fill, if need be from another floating type.
        missing: names that the checkpoint lacks, in the model's order.
        mismatched: every tensor whose shape or dtype differs, in the model's order.
        parameters: elements of the model.
        covered: elements of the matched tensors.
    """

    expected: int
    matched: int
    missing: tuple[str, ...]
    mismatched: tuple[Mismatch, ...]
    parameters: int
    covered: int

    @property
    def complete(self) -> bool:
        """Whether the checkpoint fills this part completely."""
        return self.matched == self.expected

    @property
    def absent(self) -> bool:
        """Whether no tensor of this part is in the checkpoint, of whatever shape."""
        return self.expected > 0 and len(self.missing) == self.expected


class Coverage(NamedTuple):
    """How much of a model a checkpoint holds.

    Attributes:
        schema: the name of the model.
        groups: the parts of the model, by name. The first is the core, which every file must
            hold. Of another schema they are its top-level modules; none where there was none.
        unexpected: names that the model has no place for, in the checkpoint's order.
    """

    schema: str
    groups: dict[str, GroupCoverage]
    unexpected: tuple[str, ...]

    @property
    def core(self) -> GroupCoverage:
        """The part that every file must hold; an empty one where there is no schema."""
        return next(iter(self.groups.values()), GroupCoverage(0, 0, (), (), 0, 0))

    @property
    def others(self) -> dict[str, GroupCoverage]:
        """The parts without which a file may be published, by name."""
        return dict(list(self.groups.items())[1:])

    @property
    def unrelated(self) -> bool:
        """Whether not one of the model's names is in the checkpoint."""
        return bool(self.groups) and all(group.absent for group in self.groups.values())


#: What loads a state dict into a module of torch.
LOAD_STATE_DICT = "load_state_dict(strict=False)"


class Loading(NamedTuple):
    """What ``load_state_dict(strict=False)`` would fill of the model that a file was compared with.

    Attributes:
        tensors, parameters: of the model.
        filled, filled_parameters: of these, by names and shapes as they stand in the file.
        renamed, renamed_parameters: the same under the model's own names, whatever names the file
            has: without their prefix, with parts joined.
        refused: tensors that stand under a name of the model with another shape: torch raises an
            error for them, strict or not.
        random: group -> how many of its tensors are not filled by names as they stand, where there
            are any: they stay as they are initialised.
        layout: of the model's own names, where ``convert --layout`` writes them from the file's and
            more would be filled then; else ``None``.
        loader: what would fill it: of transformers, ``from_pretrained`` knows names that the module
            has not.
    """

    tensors: int
    parameters: int
    filled: int
    filled_parameters: int
    renamed: int
    renamed_parameters: int
    refused: int
    random: dict[str, int]
    layout: str | None
    loader: str = LOAD_STATE_DICT


class Diagnosis(NamedTuple):
    """What a file is, how that was established, and what to do next.

    Attributes:
        kind: a word for tools: that of the family (``encoder``, ``full``, ``classifier``,
            ``backbone``), ``other`` of another known model, ``part``, ``unknown``, ``empty``.
        model: its name, or its sizes in words; ``None`` where neither is known.
        text: what the file is and is good for; one line, not escaped.
        established: by how many names and shapes; ``""`` where there is none.
        assumed: what was not read off the shapes, and where it is from; a line each.
        next: the command to run next; ``None`` where none is known to help.
    """

    kind: str
    model: str | None
    text: str
    established: str = ""
    assumed: tuple[str, ...] = ()
    next: str | None = None


class OutputSummary(NamedTuple):
    """An output of the forward pass in numbers.

    Attributes:
        shape: images first.
        mean, std, min, max: over all elements, all NaN if one element is; ``std`` is of the
            population.
        finite: whether all elements are.
        projection: inner products of each image's elements with some fixed vectors, image by
            image, so that a change of any element shows; see ``forward.projection``.
    """

    shape: tuple[int, ...]
    mean: float
    std: float
    min: float
    max: float
    finite: bool
    # statistics alone would miss a permutation of the elements
    projection: tuple[float, ...] = ()


class ForwardSummary(NamedTuple):
    """The outputs of a forward pass, or why it was not run.

    Attributes:
        status: ``run`` or ``not-run``.
        reason: why it was not run; ``None`` when it was.
        scope: what was run: the core of the model (``encoder``), or ``full``.
        device: where it ran.
        tokens: tokens per image in the encoder, the class token included.
        outputs: ``features`` (images, tokens, width), and with a decoder ``pred`` (images,
            patches, numbers in a patch).
        difference: the largest absolute difference between the features of the two images.
            They share their masking noise, so only the pixels can make one. Equal features
            may still differ by rounding (some 1e-6): compare with their deviation.
        loss: mean squared error over hidden patches, not normalised; ``None`` without decoder.
        kept: the patches that the fixed masking noise leaves visible, in their order.
        inputs: what a model of somebody's code was called with, for people.
        unused: weights of such a model that these inputs do not use, or modules of them; in short
            form.
    """

    status: str
    reason: str | None = None
    scope: str | None = None
    device: str | None = None
    tokens: int | None = None
    outputs: dict[str, OutputSummary] = NO_ITEMS
    difference: float | None = None
    loss: float | None = None
    kept: tuple[int, ...] = ()
    inputs: str | None = None
    unused: tuple[str, ...] = ()


class PositionTable(NamedTuple):
    """What a position table is.

    Attributes:
        kind: ``sin-cos``, ``interpolated``, ``stretched``, ``trained`` or ``learned``; or what it
            is that should not be: ``changed``, ``class-token``, ``swapped`` or ``moved``.
        text: the same for people, with the grid: ``sin-cos at 14 x 14``.
        residual: the largest absolute difference from what the text says.
        error: that from the sin-cos table of the model's grid; infinite if an element is not
            finite.
        tolerance: up to where a difference is none.
        grid: rows and columns of patches, where the values show them.
    """

    kind: str
    text: str
    residual: float
    error: float
    tolerance: float
    grid: tuple[int, int]


class ValuesSummary(NamedTuple):
    """The counts of the pass over the bytes.

    Attributes:
        examined: tensors whose elements were all examined.
        skipped: tensors that were not read.
        nan, infinite: tensors that hold such elements.
        checksums: stored checksums compared with the bytes.
        bad_checksums: those that do not match.
        pos_embed_errors: the largest absolute difference from the sin-cos table, by table.
        position_tables: what each of these tables is.
    """

    examined: int
    skipped: int
    nan: int
    infinite: int
    checksums: int
    bad_checksums: int
    pos_embed_errors: dict[str, float]
    position_tables: dict[str, PositionTable] = NO_ITEMS


class LockSummary(NamedTuple):
    """The result of the comparison with a lock file.

    Attributes:
        name: the checkpoint's name in the lock file.
        tensors: how many it has there.
        same: those that the checkpoint has with the same dtype, shape and bytes.
        distance: how far the outputs are from the locked ones, in parts of their root mean
            square; ``None`` if they were not compared.
        tolerance: the distance allowed.
    """

    name: str
    tensors: int
    same: int
    distance: float | None = None
    tolerance: float | None = None


class Waived(NamedTuple):
    """A finding that a waiver covers, so that it does not count.

    Attributes:
        finding: as it would have been reported.
        reason: why it is accepted, in the words of the waiver.
        owner: who is responsible for it.
        expires: the last day on which it is accepted, for example ``2099-12-31``.
    """

    finding: Finding
    reason: str
    owner: str | None = None
    expires: str | None = None


class AgainstSummary(NamedTuple):
    """The result of holding a file against another checkpoint.

    Attributes:
        path: of the other checkpoint, as the caller named it.
        wrapper: the dotted key of the state dict that was taken of it; ``None`` at the root.
        kind: ``checkpoint``, or ``digests`` for a lock file or a receipt.
        tensors, parameters: of the other checkpoint, those under a second name counted again.
        found, found_parameters: of these, what the file has in the same shape.
        same, same_parameters: of these, what has the same bytes, or the bytes of an allowed cast.
        cast: how many tensors were cast, as the options allow, to the bit.
        demanded: of the values, in words.
    """

    path: str
    wrapper: str | None
    kind: str
    tensors: int
    parameters: int
    found: int
    found_parameters: int
    same: int
    same_parameters: int
    cast: int
    demanded: str


class ConfigurationFile(NamedTuple):
    """The configuration that a file was judged by.

    Attributes:
        path: of the file.
        sha256: of its bytes, in hexadecimal.
    """

    path: str
    sha256: str


class FileReport(NamedTuple):
    """The result for one file. Fields are ``None`` if it could not be read far enough.

    Attributes:
        path: as the caller named it.
        verdict: of this file alone.
        findings: errors first, each severity in the order of the checks.
        waived: findings that a waiver of the policy covers, in the same order.
        format: the container, for example ``torch-zip``.
        size: bytes of all its files.
        wrapper: the dotted key of the state dict that was taken; ``None`` at the root.
        layout: the naming convention; ``None`` if none was recognised.
        tensors, parameters: how many, as stored.
        diagnosis: what the file is.
        fingerprint: of the weights, whatever the container; ``None`` if bytes were skipped, or
            nobody asked for it.
        coverage, values, forward: see there.
        published: the name of the published file that this one equals, byte for byte; ``None``
            if it was not compared, or differs.
        unchecked: descriptions of what was not checked.
        lock: the lock file that the weights were compared with; ``None`` without one.
        lock_lines: tensor to its line in that file, counted from 1.
        locked: the result of that comparison; ``None`` if the lock file has no entry for the file.
        configuration: that it was verified and judged by; ``None`` without one.
        fail_on: the least severity that fails the file.
        loading: what a loader would fill of the model.
        schema_from: the code that the schema is from, and what was done with it, for people.
        against: the result of holding it against another checkpoint; ``None`` if that was not
            asked, or it could not be read so far.
        quantized: how many weights are quantized, by which schemes and who says so, for people;
            ``None`` if none is known to be.
        statistics: of the tensors; ``None`` if they were not asked for.
        reconstructions: of the images that were named, in their order.
    """

    path: str
    verdict: Verdict
    findings: tuple[Finding, ...]
    format: str | None = None
    size: int | None = None
    wrapper: str | None = None
    layout: str | None = None
    tensors: int | None = None
    parameters: int | None = None
    fingerprint: str | None = None
    coverage: Coverage | None = None
    values: ValuesSummary | None = None
    forward: ForwardSummary | None = None
    published: str | None = None
    unchecked: tuple[str, ...] = ()
    waived: tuple[Waived, ...] = ()
    lock: str | None = None
    lock_lines: dict[str, int] = NO_ITEMS
    locked: LockSummary | None = None
    configuration: ConfigurationFile | None = None
    fail_on: Severity = Severity.ERROR
    loading: Loading | None = None
    diagnosis: Diagnosis | None = None
    schema_from: str | None = None
    against: AgainstSummary | None = None
    quantized: str | None = None
    statistics: Statistics | None = None
    reconstructions: tuple[Reconstruction, ...] = ()

    def __repr__(self) -> str:
        """Return a line: in a notebook, all fields would fill pages."""
        tensors = None if self.tensors is None else count(self.tensors, "tensor")
        found = count(len(self.findings), "finding")
        return brief("FileReport", f"{self.verdict.value} {self.path}", self.format, tensors, found)

    @property
    def stopped(self) -> bool:
        """Whether the file could not be read: nothing more is known than the error."""
        # every check of a file that was read begins with its coverage
        return self.coverage is None

    @property
    def is_sized(self) -> bool:
        """Whether the sizes are known of the model that it is, or is a part of.

        Else its coverage is that of a model of other sizes, and says nothing of the file.
        """
        part = self.diagnosis is not None and self.diagnosis.kind == "part"
        return not part or self.loading is not None


class Report(NamedTuple):
    """A run: every file's result, and the worst of their verdicts.

    Attributes:
        files: in the order in which they were named.
        of_run: findings on the run as a whole: unused waivers, for example.
        fail_on: the least severity that fails the run; the least of all files'.
        version: that of ckpttool; a stored result keeps that of the run.
        inventory: every file in the folders of the run, with its standing; empty if only
            checkpoints were named.
    """

    files: tuple[FileReport, ...]
    of_run: tuple[Finding, ...] = ()
    fail_on: Severity = Severity.ERROR
    version: str = __version__
    inventory: tuple[Item, ...] = ()

    def __repr__(self) -> str:
        """Return a line: in a notebook, all fields would fill pages."""
        files, found = count(len(self.files), "file"), count(len(self.findings), "finding")
        return brief("Report", self.verdict.value, files, found)

    @property
    def verdict(self) -> Verdict:
        """The verdict with the highest exit code, so that CANNOT TELL comes before FAIL."""
        verdicts = [file.verdict for file in self.files]
        # a run of nothing has checked nothing; with an inventory, its files were at least seen
        if not verdicts and not self.inventory:
            return worst([])
        return worst([*verdicts, verdict_of(self.of_run, self.fail_on)])

    @property
    def exit_code(self) -> int:
        """The process's exit status for the run."""
        return self.verdict.exit_code

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings on every file, in order, then those on the run as a whole."""
        return (*(found for file in self.files for found in file.findings), *self.of_run)

    def to_dict(self) -> dict[str, Any]:
        """Return what ``verify --format json`` writes; ``docs/json.md`` defines the fields."""
        from ckpttool.findings.portable import portable  # late: it imports this module

        return report_document(portable(self))


def worst(verdicts: list[Verdict]) -> Verdict:
    """Return the verdict with the highest exit code; CANNOT TELL if there is none at all."""
    return max(verdicts, key=lambda verdict: verdict.exit_code, default=Verdict.CANNOT_TELL)
