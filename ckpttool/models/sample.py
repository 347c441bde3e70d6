"""Writing a sample: a file with the published layout and untrained weights.

The published weights are not ours to distribute. A sample has their names, shapes, dtypes and
size, so that everything but training can be tried.
"""

from __future__ import annotations

import os
import stat
from io import BufferedWriter, FileIO
from typing import TYPE_CHECKING, Any, Iterator, NamedTuple

from ckpttool.files.destination import Destination
from ckpttool.files.positional import unwritable
from ckpttool.findings import rules
from ckpttool.findings.errors import OutputError, UsageError
from ckpttool.models.families import models
from ckpttool.tensors.workers import enter

if TYPE_CHECKING:
    from torch import Tensor

    from ckpttool.models.family import Family
    from ckpttool.tensors.workers import Progress


class SampleWritten(NamedTuple):
    """What was written: the path as given, its bytes, and the (untrained) weights in it."""

    path: str
    size: int
    tensors: int
    parameters: int
    config_name: str
    full: bool
    seed: int


def write_sample(
    path: str,
    config_name: str,
    *,
    full: bool,
    seed: int,
    force: bool = False,
    progress: Progress | None = None,
) -> SampleWritten:
    """Write untrained weights in the published layout, under ``"model"``, through torch.save.

    The file appears under its name when it is whole: what stood there before is replaced in
    one step or not touched. A link is neither followed nor replaced. Imports torch.

    Args:
        path: the file to write, in a folder that exists.
        config_name: one of :func:`~ckpttool.models.families.models`.
        full: write the decoder as well.
        seed: of the initialisation; the same seed gives the same encoder with and without
            decoder, on the same version of torch.
        force: replace a file that exists.
        progress: told how far the writing is.

    Raises:
        UsageError: an unknown size, a seed that torch does not take, or a path that exists.
        OutputError: the file cannot be written; no part of it stays behind.
    """
    family = models().get(config_name)
    if family is None:
        raise UsageError(f"there is no size {config_name}", fix=f"Choose {', '.join(models())}.")
    if not -(2**63) <= seed < 2**63:
        raise UsageError("the seed must fit in 64 bits", found=seed)
    _require_free(path, force)
    import torch  # noqa: F401 (where it is broken, that is not said of the path)

    try:
        enter(progress, "initialising")
        weights = _untrained(family, config_name, full, seed)
        enter(progress, "writing")
        if progress:
            progress.start(sum(one.numel() * one.element_size() for one in weights.values()))
        size = _save({"model": weights}, path, force, progress)
    except (OSError, RuntimeError) as error:  # torch.save turns a failed write into the latter
        raise _unwritable(path, error) from error
    parameters = sum(tensor.numel() for tensor in weights.values())
    return SampleWritten(path, size, len(weights), parameters, config_name, full, seed)


def _untrained(family: Family, config_name: str, full: bool, seed: int) -> dict[str, Tensor]:
    import torch

    # on the meta device first: a model that is made on the CPU initialises itself, unseeded
    model = family.load()(family.sizes[config_name], device="meta").to_empty(device="cpu")
    model.initialise_weights(torch.Generator().manual_seed(seed))
    state = model.state_dict()
    return {name: state[name] for name in state if full or family.group_of(name) == family.core}


class _Told(BufferedWriter):
    """A file that tells how many bytes were written."""

    def __init__(self, fd: int, progress: Progress | None) -> None:
        super().__init__(FileIO(fd, "wb", closefd=False))
        self._progress = progress

    def write(self, data: Any) -> int:
        """Write bytes, and tell so."""
        written = super().write(data)
        if self._progress:
            self._progress.advance(written)
        return written


def _save(
    checkpoint: dict[str, dict[str, Tensor]], path: str, force: bool, progress: Progress | None
) -> int:
    """Save beside ``path`` and give the file its name; return the bytes."""
    import torch

    with Destination(force=force) as place:
        place.clean((path,))
        growing = place.create(path, 0)
        # An open file: with a path, torch would write the temporary name into the archive. It is
        # not closed here: the lock that tells it from a leftover would go with it.
        with _Told(growing.fd, progress) as file:
            torch.save(checkpoint, file)
        size = os.fstat(growing.fd).st_size
        place.publish()
    return size


def _require_free(path: str, force: bool) -> None:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error
    if stat.S_ISLNK(mode):
        raise UsageError(
            "the path is a symbolic link",
            path=path,
            fix="Name a plain file: a link is neither followed nor replaced.",
        )
    if not stat.S_ISREG(mode):
        raise UsageError("the path exists and is no regular file", path=path)
    if not force:
        raise UsageError(
            "the file exists already", path=path, fix="Name another, or use --force to replace it."
        )


def _unwritable(path: str, error: BaseException) -> BaseException:
    """Return the error of the system, or the request to stop, that ``error`` goes back to."""
    # torch.save reports that it cannot close the half-written archive; the cause is its context
    beneath = list(_beneath(error))
    for cause in beneath:
        if not isinstance(cause, Exception):  # KeyboardInterrupt, SystemExit
            return cause
    for cause in beneath:
        if isinstance(cause, OSError):
            return unwritable(cause, path=path)
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return OutputError(f"cannot be written: {reason}", rules.UNWRITABLE, path=path)


def _beneath(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__context__
