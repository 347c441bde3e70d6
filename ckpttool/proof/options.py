"""The options of ``prove``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Sequence

from ckpttool.conversion.renaming.rules import Rules
from ckpttool.conversion.renaming.rules import check as check_rules
from ckpttool.findings.arguments import check_executor, check_text, check_workers

if TYPE_CHECKING:
    from concurrent.futures import Executor


class ProveOptions(NamedTuple):
    """The arguments of :func:`ckpttool.prove`; ``rules`` are its ``map`` and ``rename_file``.

    ``wrappers`` are those of A and of B, ``adapters`` paths, in the order of merging,
    ``receipt`` the file to write of a proof that holds.
    """

    rules: Rules = Rules()
    allow_missing: Sequence[str] = ()
    wrappers: tuple[str | None, str | None] = (None, None)
    adapters: Sequence[str] = ()
    receipt: str | None = None
    workers: int | None = None
    executor: Executor | None = None

    def check(self) -> None:
        """Check types and ranges.

        Raises:
            UsageError: one is wrong.
        """
        for what, wrapper in zip(("from_wrapper", "wrapper"), self.wrappers):
            check_text(wrapper, what)
        check_workers(self.workers)
        check_executor(self.executor)
        check_rules(self.rules)
