"""The results of conversions, as every reporter gets them: plain values."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Sequence

from ckpttool.findings.finding import Finding, Verdict
from ckpttool.findings.json_fields import document, finding_fields, header_fields
from ckpttool.findings.results import NO_ITEMS, FileReport, worst
from ckpttool.findings.text import brief
from ckpttool.findings.uses import NameUse

#: The states of a conversion: proven and in its place; only planned (a dry run); not written.
WRITTEN, PLANNED, NOT_WRITTEN = "written", "planned", "not-written"


class WrittenFile(NamedTuple):
    """A file that was written, or would be; ``sha256`` of the whole file if there is a receipt."""

    path: str
    size: int
    tensors: int
    sha256: str | None = None


class LeftOut(NamedTuple):
    """Something beside the tensors that the destination cannot hold.

    Attributes:
        key, kind, summary: as in ``inspect``.
        nbytes: bytes of the tensors in it.
        sidecar: how much of it the sidecar holds: ``whole``, ``partly`` or ``None``.
    """

    key: str
    kind: str
    summary: str
    nbytes: int
    sidecar: str | None = None


class Cast(NamedTuple):
    """A tensor that was cast from ``source`` to ``target``, by torch's names.

    ``overflow`` counts finite elements that became infinite, ``underflow`` nonzero elements that
    became zero.
    """

    name: str
    source: str
    target: str
    overflow: int
    underflow: int


class Rows(NamedTuple):
    """Rows of a tensor of the source (along axis 0), from ``start`` to before ``stop``.

    ``transposed``: all of a matrix, with its axes exchanged.
    """

    name: str
    start: int
    stop: int
    transposed: bool = False


class Resized(NamedTuple):
    """A position table that was made for another size of images.

    Attributes:
        name: as the source spells it.
        before, after: its shapes.
        how: what it was, and how it was resized.
        sha256: of its elements in the source, in hexadecimal; ``None`` if none was asked for.
    """

    name: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    how: str
    sha256: str | None = None


class Dequantised(NamedTuple):
    """A quantized weight that was decoded.

    Attributes:
        name: what the model calls it.
        scheme: how its numbers are made of codes, in words.
        dtype: what it was decoded to, by torch's name.
        parts: the tensors of the source that it is made of, by what they are for: ``codes``,
            ``scale``, ``zero_point`` and others. None of them is written.
        sha256: of the elements of each part, by name, in hexadecimal; ``None`` if none was asked
            for.
    """

    name: str
    scheme: str
    dtype: str
    parts: Mapping[str, str]
    sha256: Mapping[str, str] | None = None


class WrittenParts(NamedTuple):
    """A tensor in whose place the plain tensors were written that it is made of.

    Attributes:
        name: as in the source.
        parts: what a part is of it (``int_repr``) -> its name in the result; ``None`` for one that
            was left out or taken apart.
        facts: what else makes the tensor what it is, as ``__metadata__`` has it: class, dtype,
            shape, layout, scheme, attributes, and the parts.
    """

    name: str
    parts: Mapping[str, str | None]
    facts: Mapping[str, object]


class Proof(NamedTuple):
    """The extent of the proof.

    Attributes:
        tensors, nbytes: how much was read back and compared.
        checksums: how many of the CRC-32 sums that the source stores were compared.
        readers: the programs that opened the files, ``ckpttool 0.1.0`` for example.
    """

    tensors: int
    nbytes: int
    checksums: int
    readers: tuple[str, ...]


class Conversion(NamedTuple):
    """The result of one conversion.

    Attributes:
        file: the source: what its header says, the verdict and all findings. Its fingerprint is
            that of the selected tensors, as the source has them; ``None`` if none was asked for.
        to: ``safetensors`` or ``pth``.
        state: :data:`WRITTEN`, :data:`PLANNED` or :data:`NOT_WRITTEN`.
        destination: the file that was asked for; the names of shards derive from it.
        outputs: the files, the index last.
        replaced: the written files that replaced older ones.
        removed: stale files of an earlier result that were removed.
        cleaned: temporary files of a killed run that were removed.
        wrapper: the dotted key that the tensors were put under; ``None`` for the root.
        fingerprint: of the written tensors; differs from the source's after a cast. ``None`` if
            none was asked for.
        layout: the naming convention that was asked for; ``None`` where names stay.
        map: name that was written -> rows of the source that it is made of, in order. Without
            tensors that are all of the one of the same name.
        config: the ``config.json`` of the result, in a convention that has one.
        config_kept: whether it was there, and agrees with the weights.
        tied: dropped name -> stored name.
        restored: name that the source only records -> name that it stores.
        overlapping: groups of names that shared bytes in part, now written out in full.
        excluded: names that the options left out.
        left_out: the entries beside the tensors.
        calls: what loading the source would have called or needed.
        casts: the tensors that were cast.
        not_cast: quantized weights, and tensors beside them, copied while others were cast.
        resized: the position tables that were resized.
        dequantised: the quantized weights that were decoded.
        in_parts: the tensors that were written as their parts.
        proof: ``None`` if nothing was written.
        sidecar, receipt: the paths of these files if they were written.
    """

    file: FileReport
    to: str
    state: str = NOT_WRITTEN
    destination: str | None = None
    outputs: tuple[WrittenFile, ...] = ()
    replaced: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    cleaned: tuple[str, ...] = ()
    wrapper: str | None = None
    fingerprint: str | None = None
    layout: str | None = None
    map: Mapping[str, tuple[Rows, ...]] = NO_ITEMS
    config: str | None = None
    config_kept: bool = False
    tied: dict[str, str] = NO_ITEMS
    restored: dict[str, str] = NO_ITEMS
    overlapping: tuple[tuple[str, ...], ...] = ()
    excluded: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    calls: tuple[NameUse, ...] = ()
    casts: tuple[Cast, ...] = ()
    not_cast: tuple[str, ...] = ()
    resized: tuple[Resized, ...] = ()
    dequantised: tuple[Dequantised, ...] = ()
    in_parts: tuple[WrittenParts, ...] = ()
    proof: Proof | None = None
    sidecar: str | None = None
    receipt: str | None = None

    def __repr__(self) -> str:
        """Return a line: in a notebook, all fields would fill pages."""
        paths = f"{self.file.path} -> {self.destination}" if self.destination else self.file.path
        return brief("Conversion", f"{self.state} {paths}")

    @property
    def result(self) -> str | None:
        """The file to open: the index of shards, or the destination."""
        return self.outputs[-1].path if self.outputs else self.destination

    @property
    def verdict(self) -> Verdict:
        """PASS if it is written and proven, or planned; FAIL if the content forbids it."""
        return self.file.verdict

    @property
    def exit_code(self) -> int:
        """The exit status of ``convert`` for this file."""
        return self.verdict.exit_code

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings on the source and on differences of the result."""
        return self.file.findings

    def to_dict(self) -> dict[str, Any]:
        """Return what ``convert --format json`` writes; ``docs/json.md`` defines the fields."""
        return Conversions((self,)).to_dict()

    def fields(self) -> dict[str, Any]:
        """Return this file's part of :meth:`to_dict`."""
        return {
            **header_fields(self.file),
            "state": self.state,
            "verdict": self.verdict.value,
            "to": self.to,
            "destination": self.destination,
            "outputs": [written._asdict() for written in self.outputs],
            "replaced": self.replaced,
            "removed": self.removed,
            "cleaned": self.cleaned,
            "tensors": self.file.tensors,
            "parameters": self.file.parameters,
            "source_fingerprint": self.file.fingerprint,
            "fingerprint": self.fingerprint,
            "written_wrapper": self.wrapper,
            "written_layout": self.layout,
            "map": map_fields(self.map),
            "config": self.config,
            "config_kept": self.config_kept,
            "tied": self.tied,
            "restored": self.restored,
            "overlapping": self.overlapping,
            "excluded": self.excluded,
            "left_out": [entry._asdict() for entry in self.left_out],
            "casts": [cast._asdict() for cast in self.casts],
            "not_cast": self.not_cast,
            "resized": [table._asdict() for table in self.resized],
            "dequantised": [weight._asdict() for weight in self.dequantised],
            "in_parts": [parts_fields(one) for one in self.in_parts],
            "proof": None if self.proof is None else self.proof._asdict(),
            "sidecar": self.sidecar,
            "receipt": self.receipt,
            "findings": [finding_fields(finding) for finding in self.findings],
        }


def parts_fields(one: WrittenParts) -> dict[str, Any]:
    """Return a tensor that was written as its parts as JSON has it."""
    return {"name": one.name, **one.facts}


def map_fields(rows: Mapping[str, Sequence[Rows]]) -> list[dict[str, Any]]:
    """Return a map as JSON has it, in a report and in a receipt."""
    return [
        {
            "name": name,
            "from": [
                {"name": one.name, "rows": [one.start, one.stop], "transposed": one.transposed}
                for one in taken
            ],
        }
        for name, taken in rows.items()
    ]


class Conversions(NamedTuple):
    """The results of a run of ``convert``."""

    files: tuple[Conversion, ...]

    @property
    def exit_code(self) -> int:
        """The process's exit status for the run."""
        return worst([converted.file.verdict for converted in self.files]).exit_code

    def to_dict(self) -> dict[str, Any]:
        """Return what ``convert --format json`` writes; ``docs/json.md`` defines the fields."""
        files = [converted.fields() for converted in self.files]
        return document("convert", {"exit_code": self.exit_code, "files": files})
