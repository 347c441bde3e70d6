"""The checkpoint that others are held against: found, opened once for a run, and named."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Mapping, NamedTuple, Union

from ckpttool.comparison.opening import open_either, report_on
from ckpttool.comparison.pairing import Names, with_names_tied
from ckpttool.conversion.renaming.rules import Kind, Rules, apply
from ckpttool.findings.errors import CkpttoolError, UsageError
from ckpttool.findings.finding import Verdict
from ckpttool.inputs.paths import SearchOptions, one_file, targets_of
from ckpttool.models.canonical import canonicalize
from ckpttool.models.schema_file import described
from ckpttool.tensors.catalogue import Checkpoint

if TYPE_CHECKING:
    from types import TracebackType

    from ckpttool.against.demands import Demands
    from ckpttool.inputs.receipts import Receipt
    from ckpttool.tensors.catalogue import TensorInfo


class Source:
    """A checkpoint, or a list of digests in its place, open until it is closed.

    Attributes:
        path: as the caller named it; of a folder, the checkpoint in it.
        file: the open checkpoint, or the list.
        tensors: by its own names, those that it records as tied included. Of a list they have no
            bytes.
        names: the tensors under the names that the caller's rules give them.
        doubt: why it cannot be trusted; ``None`` if nothing stands against it.
    """

    def __init__(self, path: str, demands: Demands) -> None:
        """Open it.

        Raises:
            UsageError: there is not one checkpoint, no state dict under the wrapper, or a rule
                stands for no tensor.
            CkpttoolError: it cannot be read.
        """
        self.path = one_checkpoint(path)
        self.doubt: str | None = None
        self.file: Union[Checkpoint, Receipt] = open_either(self.path, demands.wrapper)
        try:
            self._read(demands.rules)
        except BaseException as error:  # an interrupt must not leave the file open either
            self.close()
            if isinstance(error, CkpttoolError) and not isinstance(error, UsageError):
                error.path = error.path or self.path
            raise

    def _read(self, rules: Rules) -> None:
        file = self.file
        if isinstance(file, Checkpoint):
            canonical = canonicalize(file.tensors)
            report = report_on(file, canonical.layout)
            if report.verdict is not Verdict.PASS:
                self.doubt = report.findings[0].message
            named = with_names_tied(file, canonical)
        else:
            infos = {
                name: described(name, one.dtype, one.shape) for name, one in file.tensors.items()
            }
            named = Names(infos, canonicalize(infos))
            if any(rule.kind is not Kind.RENAME for rule in rules.rules):
                raise UsageError(
                    "a list of digests says nothing of parts of tensors, nor of transposed ones",
                    path=self.path,
                    fix="Map whole names to whole names.",
                )
        self.tensors: Mapping[str, TensorInfo] = named.tensors
        self.names = _renamed(named, rules)

    @property
    def unread(self) -> dict[str, str]:
        """Names of tensors of kinds that are not read -> why."""
        return dict(self.file.unread) if isinstance(self.file, Checkpoint) else {}

    def is_file_of(self, checkpoint: Checkpoint) -> bool:
        """Whether it is the same weights of the same files, by whatever names of these."""
        if not isinstance(self.file, Checkpoint) or self.file.wrapper != checkpoint.wrapper:
            return False
        ours, theirs = _identities(self.file), _identities(checkpoint)
        return bool(ours) and ours == theirs

    def close(self) -> None:
        """Close it."""
        if isinstance(self.file, Checkpoint):
            self.file.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def one_checkpoint(path: str) -> str:
    """Return the one checkpoint of a path: a file, a glob of one, or what a folder holds.

    Raises:
        UsageError: there are several, or none.
    """
    if not os.path.isdir(path):  # noqa: PTH112 (text)
        return one_file(path)
    found = targets_of([path], choice=SearchOptions(whole=True)).targets
    errors = [target.error for target in found if target.error is not None]
    if errors and len(found) == 1:
        raise errors[0]
    if len(found) != 1:
        raise UsageError(
            "the folder holds several checkpoints, of which one has to be named",
            path=path,
            found=", ".join(target.path for target in found[:4]),
            fix="Name the one to hold the others against.",
        )
    return found[0].path


def _renamed(named: Names, rules: Rules) -> Names:
    """Return the tensors under the names that the caller's rules give them."""
    if rules == Rules():
        return named
    naming, _ = apply(named.tensors, rules)
    origins = {name: naming.origins([name]) for name in naming.rows}
    return Names(naming.tensors, canonicalize(naming.tensors), origins)


class _Identity(NamedTuple):
    device: int
    number: int


def _identities(checkpoint: Checkpoint) -> frozenset[_Identity]:
    """Return which files the bytes of a checkpoint lie in."""
    found = set()
    for source in checkpoint.sources:
        with suppress(OSError):
            status = os.stat(source.name)  # noqa: PTH116 (text)
            found.add(_Identity(status.st_dev, status.st_ino))
    return frozenset(found)
