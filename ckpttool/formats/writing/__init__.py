"""Writing checkpoints: a module for each container, and what fills and sums any of them.

A target is a module with what :class:`Target` lists, and a line in :data:`TARGETS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, Optional, Protocol, Sequence, Tuple

from ckpttool.formats.writing import safetensors, torch_zip

if TYPE_CHECKING:
    from ckpttool.formats.writing.file_layout import FileLayout, PlannedTensor
    from ckpttool.tensors.dtypes import DType

#: The name and version of another reader; name to dtype, if it reports one, and shape; and its
#: message if it refuses the file.
LibraryReading = Tuple[str, Mapping[str, Tuple[Optional[str], Tuple[int, ...]]], Optional[str]]


class Target(Protocol):
    """A container that can be written, of a format that ``open_checkpoint`` reads."""

    #: The suffix of its files.
    SUFFIX: str
    #: Whether several names can stand for the same bytes.
    HOLDS_VIEWS: bool
    #: Whether it has a place for strings beside the tensors.
    HOLDS_METADATA: bool
    #: Whether the tensors can lie under a dotted key.
    HOLDS_WRAPPER: bool
    #: Whether it may be several files with an index.
    IN_SHARDS: bool
    #: Names that no tensor can have, and why.
    RESERVED: Mapping[str, str]

    def holds(self, dtype: DType, shape: tuple[int, ...], /) -> bool:
        """Whether it has elements of this type."""

    def plan(
        self, pieces: Sequence[PlannedTensor], metadata: Mapping[str, str], wrapper: str | None, /
    ) -> FileLayout:
        """Return where everything goes in a file, or raise MalformedError (``CVT101``)."""

    def finish(
        self,
        layout: FileLayout,
        pieces: Sequence[PlannedTensor],
        metadata: Mapping[str, str] | None,
        crcs: Mapping[str, int],
        /,
    ) -> list[tuple[int, bytes]]:
        """Return all bytes around the tensors as (offset, bytes), once these are copied.

        ``metadata`` are as long as those that were planned with, so that nothing moves, or ``None``
        if they are the same; ``crcs`` are CRC-32 of the written bytes by name, where the layout has
        ``members``.
        """

    def read_with_library(self, path: str, /) -> LibraryReading | None:
        """Open a written file with another program; ``None`` if there is none."""


#: What can be written, by the name that options and reports call it.
TARGETS: dict[str, Target] = {"safetensors": safetensors, "pth": torch_zip}
