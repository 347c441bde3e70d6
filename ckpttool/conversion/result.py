"""What conversions came to, as every reporter gets it. Plain values, like those of ``results``."""

from __future__ import annotations

from typing import Any, NamedTuple

from ckpttool.findings.finding import Finding, Verdict
from ckpttool.findings.json_fields import document, facts, finding_fields
from ckpttool.findings.results import FileReport, worst
from ckpttool.findings.uses import NameUse

#: How a conversion ended: proven and in its place; only planned (a dry run); or not at all.
WRITTEN, PLANNED, NOT_WRITTEN = "written", "planned", "not-written"


class WrittenFile(NamedTuple):
    """A file that was written, or would be; ``sha256`` is of the whole file, where asked for."""

    path: str
    size: int
    tensors: int
    sha256: str | None = None


class LeftOut(NamedTuple):
    """Something beside the tensors that the destination cannot hold.

    Attributes:
        key, kind, summary: as in ``inspect``.
        nbytes: bytes of the tensors in it.
        sidecar: how much of it is in the sidecar: ``whole``, ``partly``; ``None`` for nothing.
    """

    key: str
    kind: str
    summary: str
    nbytes: int
    sidecar: str | None = None


class Cast(NamedTuple):
    """A tensor that was cast from ``source`` to ``target``, by torch's names.

    ``overflow`` counts finite elements that became infinite, ``underflow`` those that became
    zero without having been it.
    """

    name: str
    source: str
    target: str
    overflow: int
    underflow: int


class Proof(NamedTuple):
    """What was found equal when the written files were opened again.

    Attributes:
        tensors, nbytes: what was read back and compared.
        readers: what opened the files: ``ckpttool 0.1.0`` and ``safetensors 0.8.0``, say.
    """

    tensors: int
    nbytes: int
    readers: tuple[str, ...]


class Conversion(NamedTuple):
    """One conversion: what it came to.

    Attributes:
        file: the source: its facts, the verdict, and all findings. Its fingerprint is that of
            the tensors taken, as the source has them.
        to: ``safetensors`` or ``pth``.
        state: :data:`WRITTEN`, :data:`PLANNED` or :data:`NOT_WRITTEN`.
        destination: the file that was asked for; of shards, what their names derive from.
        outputs: the files, the index last.
        replaced: those of all files written in whose place another one stood.
        removed: files of an earlier result that a reader could take for this one, and that went.
        cleaned: files that a killed run left in the folder and that went.
        wrapper: the dotted key that the tensors were put under; ``None`` for the root.
        fingerprint: of the written tensors; another one than the source's after a cast.
        tied: name that was not stored to the name that it is the same as.
        restored: name that the source only records to the one that it stored.
        overlapping: groups of names that shared bytes in part, now written out in full.
        excluded: names that were asked to be left out.
        left_out: what lies beside the tensors.
        calls: what loading the source would have called or needed, and nothing did here.
        casts: the tensors that were cast.
        not_cast: what quantized weights are made of, and what lies beside that: it was copied
            where others were cast.
        proof: ``None`` where nothing was written.
        sidecar, receipt: the files of these, where they were written.
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
    tied: dict[str, str] = {}  # noqa: RUF012 (never changed)
    restored: dict[str, str] = {}  # noqa: RUF012 (never changed)
    overlapping: tuple[tuple[str, ...], ...] = ()
    excluded: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    calls: tuple[NameUse, ...] = ()
    casts: tuple[Cast, ...] = ()
    not_cast: tuple[str, ...] = ()
    proof: Proof | None = None
    sidecar: str | None = None
    receipt: str | None = None

    @property
    def result(self) -> str | None:
        """The file to open: the index of shards, or what was asked for."""
        return self.outputs[-1].path if self.outputs else self.destination

    @property
    def verdict(self) -> Verdict:
        """PASS where it is written and proven, or planned; FAIL where the content forbids it."""
        return self.file.verdict

    @property
    def exit_code(self) -> int:
        """The exit status of ``convert`` for this file."""
        return self.verdict.exit_code

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What stood in its way, and what is not as it was in the source."""
        return self.file.findings

    def to_dict(self) -> dict[str, Any]:
        """Return what ``convert --format json`` writes; ``docs/json.md`` defines the fields."""
        return Conversions((self,)).to_dict()

    def fields(self) -> dict[str, Any]:
        """Return what is said of this file in :meth:`to_dict`."""
        return {
            **facts(self.file),
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
            "tied": self.tied,
            "restored": self.restored,
            "overlapping": self.overlapping,
            "excluded": self.excluded,
            "left_out": [entry._asdict() for entry in self.left_out],
            "casts": [cast._asdict() for cast in self.casts],
            "not_cast": self.not_cast,
            "proof": None if self.proof is None else self.proof._asdict(),
            "sidecar": self.sidecar,
            "receipt": self.receipt,
            "findings": [finding_fields(finding) for finding in self.findings],
        }


class Conversions(NamedTuple):
    """A run of ``convert``: what every file came to, and the worst that was met."""

    files: tuple[Conversion, ...]

    @property
    def exit_code(self) -> int:
        """The process's exit status for the run."""
        return worst([converted.file.verdict for converted in self.files]).exit_code

    def to_dict(self) -> dict[str, Any]:
        """Return what ``convert --format json`` writes; ``docs/json.md`` defines the fields."""
        files = [converted.fields() for converted in self.files]
        return document("convert", {"exit_code": self.exit_code, "files": files})
