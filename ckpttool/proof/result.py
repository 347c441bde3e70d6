"""The result of a proof, as every reporter gets it: plain values."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from ckpttool.findings.finding import Finding
from ckpttool.findings.json_fields import document, file_fields

if TYPE_CHECKING:
    from ckpttool.comparison.result import StructureDiff
    from ckpttool.findings.results import FileReport
from ckpttool.findings.text import brief


class ProofOutcome(Enum):
    """The three outcomes. The value is the word in reports."""

    PROVEN = "proven"
    NOT_PROVEN = "not-proven"
    CANNOT_TELL = "cannot-tell"

    @property
    def exit_code(self) -> int:
        """The process's exit status for this outcome: 0, 1, 2."""
        return list(ProofOutcome).index(self)


class Operation(Enum):
    """What made a tensor of B from A; the value is its word in reports, in this order."""

    IDENTICAL = "identical"
    RENAMED = "renamed"
    SPLIT = "split"
    JOINED = "joined"
    TRANSPOSED = "transposed"
    DEQUANTISED = "dequantised"
    REPLACED = "replaced-by-adapter"
    MERGED = "adapter-merged"
    CAST = "cast"
    QUANTISED = "quantised"
    TIED = "tied-name-put-back"


class Cast(NamedTuple):
    """A cast: both types, and the numbers that it lost to infinity and to zero."""

    source: str
    target: str
    overflow: int = 0
    underflow: int = 0


class Merging(NamedTuple):
    """A merge of adapters that was replayed.

    Attributes:
        adapters: their paths, in the order of merging.
        ranks, scales: of each.
        source, target: the types of A's tensor and of B's.
        arithmetic: the most exact one that explains all elements.
        changed: whether B has an element that A, rounded to B's type, does not have: what is added
            may be zero, or less than the type can show.
        nan: elements that the merge makes NaN.
        magnitudes: whether the rows were scaled afterwards (DoRA).
    """

    adapters: tuple[str, ...]
    ranks: tuple[int, ...]
    scales: tuple[float, ...]
    source: str
    target: str
    arithmetic: str
    changed: bool
    nan: int = 0
    magnitudes: bool = False


class Quantisation(NamedTuple):
    """Of a weight that is codes in A or in B.

    Attributes:
        scheme: how its numbers are made of codes, in words.
        rounded: numbers of A that are within half a step of B's codes only if their quotient by
            the scale was rounded to their own type of 16 bits first.
        clipped: those beyond the outermost code that the format clips to it.
    """

    scheme: str
    rounded: int = 0
    clipped: int = 0


class Explained(NamedTuple):
    """Tensors of B and what made them from A.

    Attributes:
        names: what B calls them; several where one tensor of A was split.
        sources: what A calls the tensors that they were made of.
        operations: all that was done, in the order of :class:`Operation`.
        cast: of a cast.
        by_content: whether they were recognised by their content alone, not by their names.
        merge: of adapters.
        quantisation: of a weight that was dequantised or quantised.
    """

    names: tuple[str, ...]
    sources: tuple[str, ...]
    operations: tuple[Operation, ...]
    cast: Cast | None = None
    by_content: bool = False
    merge: Merging | None = None
    quantisation: Quantisation | None = None


class Differing(NamedTuple):
    """How many elements of a tensor are not those that were looked for.

    Attributes:
        changed, elements: how many differ, of how many.
        other: what they differ from, in words.
        largest: the largest difference; ``None`` where it was not computed.
    """

    changed: int
    elements: int
    other: str
    largest: float | None = None


class Unexplained(NamedTuple):
    """A tensor of B that A does not explain.

    Attributes:
        name: what B calls it.
        dtype, shape: as in B; ``None`` if it could not be read.
        sources: what A calls the tensors that it was held to; none if A has nothing for it.
        reason: in words.
        unread: whether it could not be read, so that nothing is known of it.
        differing: the numbers of ``reason``, where these are all that it tells.
    """

    name: str
    dtype: str | None
    shape: tuple[int, ...] | None
    sources: tuple[str, ...]
    reason: str
    unread: bool = False
    differing: Differing | None = None


class Missing(NamedTuple):
    """A tensor of A that nothing of B was made of.

    Attributes:
        name: what A calls it.
        dtype, shape: as in A; ``None`` if it is of a kind that is not read.
        same_as: another name of the same tensor in A that B was made of; ``None`` without one.
        allowed: whether ``allow_missing`` has its name.
    """

    name: str
    dtype: str | None
    shape: tuple[int, ...] | None
    same_as: str | None = None
    allowed: bool = False


class AdapterPart(NamedTuple):
    """A part of an adapter that is not in B as far as is known: its path, name, and the reason."""

    adapter: str
    name: str
    reason: str


class AdapterFacts(NamedTuple):
    """An adapter.

    Attributes:
        file: what its header says, and its findings.
        modules: how many weights it adds to.
        ranks, scales: those that occur, in order.
        whole: tensors that it has to put in place of A's.
        notes: what was not looked at, in words.
    """

    file: FileReport
    modules: int = 0
    ranks: tuple[int, ...] = ()
    scales: tuple[float, ...] = ()
    whole: int = 0
    notes: tuple[str, ...] = ()


class Proof(NamedTuple):
    """A run of ``prove``.

    Attributes:
        made: what the header of B says, and its findings.
        source: the same of A.
        outcome: the verdict.
        explained: the tensors of B that A explains, in the order of A.
        unexplained: the others, in the order of B.
        missing: the tensors of A that nothing of B was made of, in the order of A.
        structure: properties of the files that differ, A on the left: container, number of files,
            layout.
        notes: what was not looked at, in words.
        adapters: those that are said to be merged into B, in the order of merging.
        unmerged: their parts that nothing was found of in B.
        digests_from: what listed A's digests in its place, in words; ``None`` if A was read.
        receipt: the file that was written of the proof.
    """

    made: FileReport
    source: FileReport
    outcome: ProofOutcome
    explained: tuple[Explained, ...] = ()
    unexplained: tuple[Unexplained, ...] = ()
    missing: tuple[Missing, ...] = ()
    structure: tuple[StructureDiff, ...] = ()
    notes: tuple[str, ...] = ()
    adapters: tuple[AdapterFacts, ...] = ()
    unmerged: tuple[AdapterPart, ...] = ()
    digests_from: str | None = None
    receipt: str | None = None

    def __repr__(self) -> str:
        """Return a line: in a notebook, all fields would fill pages."""
        paths = f"{self.made.path} from {self.source.path}"
        return brief("Proof", f"{self.outcome.value} {paths}")

    @property
    def exit_code(self) -> int:
        """The process's exit status for the run."""
        return self.outcome.exit_code

    @property
    def verdict(self) -> ProofOutcome:
        """The outcome, under the name that it has in every result."""
        return self.outcome

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings on both files, those on B first, and on the adapters."""
        files = [self.made, self.source, *(one.file for one in self.adapters)]
        return tuple(finding for file in files for finding in file.findings)

    @property
    def not_allowed(self) -> tuple[Missing, ...]:
        """What is missing and was not allowed to be."""
        return tuple(one for one in self.missing if not one.allowed)

    @property
    def counts(self) -> dict[Operation, int]:
        """How many tensors of B each operation had a part in; one may count for several."""
        counts = dict.fromkeys(Operation, 0)
        for one in self.explained:
            for operation in one.operations:
                counts[operation] += len(one.names)
        return counts

    def to_dict(self) -> dict[str, Any]:
        """Return what ``prove --format json`` writes; ``docs/json.md`` defines the fields."""
        fields = {
            "verdict": self.outcome.value,
            "exit_code": self.exit_code,
            "made": file_fields(self.made),
            "source": file_fields(self.source),
            "summary": {operation.value: number for operation, number in self.counts.items()},
            "explained": [_explained(one) for one in self.explained],
            "unexplained": [_unexplained(one) for one in self.unexplained],
            "missing": [one._asdict() for one in self.missing],
            "structure": [
                {"name": fact.name, "source": fact.left, "made": fact.right}
                for fact in self.structure
            ],
            "adapters": [{**one._asdict(), "file": file_fields(one.file)} for one in self.adapters],
            "unmerged": [one._asdict() for one in self.unmerged],
            "digests_from": self.digests_from,
            "receipt": self.receipt,
            "not_looked_at": self.notes,
        }
        return document("prove", fields)


def _unexplained(one: Unexplained) -> dict[str, Any]:
    differing = None if one.differing is None else one.differing._asdict()
    return {**one._asdict(), "differing": differing}


def _explained(one: Explained) -> dict[str, Any]:
    return {**one._asdict(), "operations": [operation.value for operation in one.operations]}
