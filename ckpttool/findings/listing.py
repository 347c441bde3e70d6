"""The contents of files, as every reporter gets them: plain values, like those of ``results``."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Mapping, NamedTuple

from ckpttool.findings.finding import Finding, Verdict
from ckpttool.findings.inventory import Item
from ckpttool.findings.json_fields import (
    document,
    finding_fields,
    header_fields,
    item_fields,
    statistics_fields,
)
from ckpttool.findings.results import NO_ITEMS, FileReport, worst
from ckpttool.findings.text import brief, count

if TYPE_CHECKING:
    from ckpttool.findings.statistics import Statistics


class TensorRow(NamedTuple):
    """A tensor in a listing; ``dtype`` is torch's name, ``nbytes`` those of its elements."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int

    @property
    def parameters(self) -> int:
        """The number of its elements."""
        return prod(self.shape)


class EntryRow(NamedTuple):
    """An entry beside the tensors: its dotted key, its kind and a short summary.

    Attributes:
        key, kind, summary: see above; a credential is masked.
        inside: whether it is among the tensors of the state dict.
        tensors: how many tensors are in it.
        nbytes: what they take up of the file beside all that comes before them in it.
    """

    key: str
    kind: str
    summary: str
    inside: bool = False
    tensors: int = 0
    nbytes: int = 0


class ByteCount(NamedTuple):
    """What takes up the bytes of a file; the parts add up to ``total``.

    Attributes:
        total: of all files of the checkpoint.
        tensors: of the tensors of the state dict, what they share counted once.
        beside: of tensors beside it, an optimizer's say.
        unread: of tensors of the state dict that are of a kind that is not read.
        unused: of data that no tensor refers to.
        container: the rest: headers, names, padding. Of a checkpoint of several processes also
            what lies in their files and is not listed.
    """

    total: int
    tensors: int
    beside: int
    unread: int
    unused: int
    container: int


class WrapperRow(NamedTuple):
    """A state dict: its dotted key and its number of tensors.

    ``module`` is the class of a whole module that they are the parameters and buffers of.
    """

    key: str
    tensors: int
    module: str | None = None

    def fields(self) -> dict[str, Any]:
        """Return the row for JSON; only a whole module has its class there."""
        plain = {"key": self.key, "tensors": self.tensors}
        return plain if self.module is None else {**plain, "module": self.module}


#: The kind of a name whose code the user trusts.
TRUSTED = "trusted"


class ReferenceRow(NamedTuple):
    """A name that the pickle refers to, and the offset where it first occurs.

    ``kind`` is ``data`` if the name only constructs data, :data:`TRUSTED`, or the value of the
    most severe :class:`ckpttool.findings.uses.Use` of it.
    """

    name: str
    kind: str
    offset: int


class UseRow(NamedTuple):
    """A :class:`ckpttool.findings.uses.NameUse`, with whether the user trusts the code."""

    use: str
    name: str
    text: str
    member: str | None
    offset: int
    times: int
    trusted: bool


class SettingRow(NamedTuple):
    """A setting of the training run: its dotted key and its value, as it may be shown.

    A credential is masked and a long text is cut; a short list is a tuple.
    """

    key: str
    value: Any


class Neighbour(NamedTuple):
    """A model that is no masked autoencoder, or not one of MAE's own code.

    Attributes:
        name: of its kind: ``BEiT``.
        what: the file in words, with its sizes as far as they can be read.
        takes: what of it an encoder of an MAE could take; ``""`` for nothing.
        lacks: what an MAE has and it has not; ``""`` where it has nothing in common.
        names: how many names tell it.
        signs: one of these names for each role.
        prefix: what stands before the names of the encoder.
    """

    name: str
    what: str
    takes: str
    lacks: str
    names: int
    signs: tuple[str, ...]
    prefix: str = ""

    @property
    def told_by(self) -> str:
        """By what it is told, in words: the number of names and two of them."""
        return f"by {self.names:,} names such as {' and '.join(self.signs[:2])}"

    @property
    def use(self) -> str:
        """What it is good for, in a sentence; ``""`` where there is nothing to say."""
        if not self.takes:
            return ""
        lacks = f"; it lacks {self.lacks}" if self.lacks else ""
        return f"an MAE could take {self.takes}{lacks}"


class AdapterFacts(NamedTuple):
    """What a file of a low-rank adapter (LoRA) says of itself.

    Attributes:
        ranks: by the shapes of its tensors; several where modules differ.
        alphas: those that are known; empty where none is.
        alpha_from: what says so: ``adapter_config.json``, or the key in the header.
        alpha_inside: whether the alphas are tensors of the file, whose numbers are not read.
        modules: how many modules it changes.
        targets: the last parts of their names.
        variants: ``DoRA``, ``rsLoRA``.
        base: the name or path of the model that it is for; ``None`` where none is given.
        trouble: why the configuration was not read, or where it contradicts the tensors.
    """

    ranks: tuple[int, ...]
    alphas: tuple[float, ...]
    alpha_from: str | None
    alpha_inside: bool
    modules: int
    targets: tuple[str, ...]
    variants: tuple[str, ...]
    base: str | None
    trouble: str | None


class UnreadRow(NamedTuple):
    """A tensor of a kind that is not read.

    Attributes:
        name, reason: what it is, in words.
        cls, dtype, shape: by torch's names; ``None`` for each that is not known.
        facts: what else makes it what it is: layout, scheme, axis.
        parts: the plain tensors that it is made of, which ``convert --parts`` writes.
        closed: why it has no parts here; ``None`` where it has them, or is of an unknown kind.
        text: type, shape and parts in a line; empty where nothing is known.
    """

    name: str
    reason: str
    cls: str | None = None
    dtype: str | None = None
    shape: tuple[int, ...] | None = None
    facts: Mapping[str, object] = NO_ITEMS
    parts: tuple[TensorRow, ...] = ()
    closed: str | None = None
    text: str = ""

    def fields(self) -> dict[str, Any]:
        """Return the tensor as JSON has it."""
        return {
            "name": self.name,
            "reason": self.reason,
            "class": self.cls,
            "dtype": self.dtype,
            "shape": self.shape,
            "facts": self.facts,
            "parts": self.parts,
            "closed": self.closed,
        }


class Listing(NamedTuple):
    """The content of a file according to its headers.

    Attributes:
        file: what its header says, and the findings if the file could not be read.
        tensors: in the order of the file, by the names that it uses.
        wrappers: every state dict, the one listed first.
        outside: (dotted key, tensors, bytes, whether it is an average) of tensors outside of the
            state dict that was taken, without those of optimizers.
        entries: the entries beside the tensors.
        references: names that the pickle refers to.
        uses: its uses of names beyond the construction of data.
        unread: tensors of a kind that is not read.
        metadata: the strings of a safetensors header.
        tied: groups of names that are one tensor, stored once.
        settings: those of the training run that are kept beside the weights.
        neighbour: the known model beside MAE that names and shapes tell; ``None`` for none.
        bytes: what takes up the file; ``None`` if it could not be read.
        adapter: what a low-rank adapter says of itself; ``None`` of any other file.
        left_out: how many tensors are not among ``tensors``, since ``include`` leaves them out.
    """

    file: FileReport
    tensors: tuple[TensorRow, ...] = ()
    wrappers: tuple[WrapperRow, ...] = ()
    outside: tuple[tuple[str, int, int, bool], ...] = ()
    entries: tuple[EntryRow, ...] = ()
    references: tuple[ReferenceRow, ...] = ()
    uses: tuple[UseRow, ...] = ()
    unread: tuple[UnreadRow, ...] = ()
    metadata: dict[str, str] = NO_ITEMS
    tied: tuple[tuple[str, ...], ...] = ()
    settings: tuple[SettingRow, ...] = ()
    neighbour: Neighbour | None = None
    bytes: ByteCount | None = None
    left_out: int = 0
    adapter: AdapterFacts | None = None

    def __repr__(self) -> str:
        """Return a line: in a notebook, all fields would fill pages."""
        if self.file.format is None:  # nothing was listed, which is not a file without tensors
            found = count(len(self.findings), "finding")
            return brief("Listing", f"{self.verdict.value} {self.file.path}", found)
        tensors = count(len(self.tensors), "tensor")
        return brief("Listing", self.file.path, self.file.format, tensors)

    @property
    def verdict(self) -> Verdict:
        """PASS if the file could be read, which says nothing about the weights in it."""
        return self.file.verdict

    @property
    def exit_code(self) -> int:
        """The exit status of ``inspect`` for this file."""
        return self.verdict.exit_code

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong with the file, or odd about it."""
        return self.file.findings

    @property
    def statistics(self) -> Statistics | None:
        """Those of the tensors; ``None`` if they were not asked for."""
        return self.file.statistics

    def to_dict(self) -> dict[str, Any]:
        """Return what ``inspect --format json`` writes; ``docs/json.md`` defines the fields."""
        return Listings((self,)).to_dict()

    def fields(self) -> dict[str, Any]:
        """Return the fields of this file in :meth:`to_dict`."""
        return {
            **header_fields(self.file),
            "wrappers": [wrapper.fields() for wrapper in self.wrappers],
            "parameters": self.file.parameters,
            "bytes": self.bytes,
            "tensors": self.tensors,
            "left_out": self.left_out,
            "outside": [
                {"key": key, "tensors": tensors, "nbytes": nbytes, "is_average": is_average}
                for key, tensors, nbytes, is_average in self.outside
            ],
            "entries": self.entries,
            "references": self.references,
            "uses": self.uses,
            "unread": [row.fields() for row in self.unread],
            "tied": self.tied,
            "settings": self.settings,
            "diagnosis": self.file.diagnosis,
            "neighbour": self.neighbour,
            "adapter": self.adapter,
            "metadata": self.metadata,
            "findings": [finding_fields(finding) for finding in self.file.findings],
            **statistics_fields(self.file),
        }


class Component(NamedTuple):
    """What a folder is for: the class that is built of it, and the file that says so."""

    folder: str
    what: str
    said_by: str


class Listings(NamedTuple):
    """A run of ``inspect``: the content of every file.

    Attributes:
        files: one for each checkpoint.
        inventory: that of :class:`ckpttool.findings.results.Report`.
        folders: those that were searched.
        components: what folders are for, of those where a file in them says it.
        sizes: bytes of the files in the inventory, by their paths.
    """

    files: tuple[Listing, ...]
    inventory: tuple[Item, ...] = ()
    folders: tuple[str, ...] = ()
    components: tuple[Component, ...] = ()
    sizes: Mapping[str, int] = NO_ITEMS

    @property
    def exit_code(self) -> int:
        """The process's exit status for the run."""
        return worst([listing.file.verdict for listing in self.files]).exit_code

    def to_dict(self) -> dict[str, Any]:
        """Return what ``inspect --format json`` writes; ``docs/json.md`` defines the fields."""
        fields = {
            "exit_code": self.exit_code,
            "files": [listing.fields() for listing in self.files],
            "inventory": [item_fields(item) for item in self.inventory],
            "components": self.components,
        }
        return document("inspect", fields)
