"""What to verify and how, and the thresholds of the checks that a project may set for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, NamedTuple

from ckpttool.findings.arguments import (
    check_choice,
    check_executor,
    check_flags,
    check_number,
    check_text,
    check_type,
    check_workers,
)
from ckpttool.findings.errors import UsageError
from ckpttool.findings.results import NO_ITEMS
from ckpttool.models.families import AUTO, check_sizes, models, requirements
from ckpttool.models.family import FULL

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ckpttool.models.code.example import Example
    from ckpttool.models.grouping import Groups
    from ckpttool.models.pictures.images import Photo
    from ckpttool.models.reference import Reference
    from ckpttool.verification.companion import Companion
    from ckpttool.verification.lock.content import Lock
    from ckpttool.verification.schema_sources import OfEach


#: In place of the source of a schema: names, shapes and dtypes are not checked.
NO_SCHEMA = "none"
#: The same: the schema is that of the config.json beside each file.
BESIDE = "hf"


class Thresholds(NamedTuple):
    """Thresholds of checks on numbers.

    Attributes:
        position_table: largest absolute error of a position table.
        magnitude: how many robust deviations a tensor's magnitude may be from the median of
            its role over the blocks; see ``ckpttool.verification.checks.siblings``.
        wasted_share: the part of the tensors' bytes that storages may hold beside them.
    """

    position_table: float = 1e-6  # rounding to float32 errs by 6e-8, another libm by some more
    magnitude: float = 10.0  # 3.5 is usual for numbers that should agree; blocks honestly differ
    wasted_share: float = 0.01  # small leftovers are not worth a new upload


class VerifyOptions(NamedTuple):
    """What to verify, and how.

    Attributes:
        model: one of :func:`ckpttool.models.families.models`, or ``auto`` for the one that a file
            is.
        sizes: sizes of it that are demanded; see :func:`ckpttool.models.families.free_sizes`.
        require: what the file must hold: ``full``, or the core of its model (``encoder``), which
            ``None`` is too.
        forward: whether to run the model.
        device: where to run it, as torch names it.
        published: whether to compare the file with the published one of its name.
        fingerprint: whether to compute the fingerprint of the weights; a lock file asks for it too.
        wrapper: the dotted key of the state dict to take; ``None`` to choose.
        workers: threads that read; ``None`` for one per processor.
        executor: where they come from; see :class:`ckpttool.tensors.workers.Work`.
        release: the folder that was named and in which the file was found, if one was.
        expected_missing: globs on names that the file may lack.
        limits: what the checks tolerate.
        lock: the lock file to compare with.
        trust: patterns of names whose code is trusted, ``mypackage.*`` say.
        reference: the schema that the file must fit, in place of a model.
        allow_unexpected: globs on names that the file may have beside those of the model.
        groups: of the tensors of a schema, in place of their top-level modules.
        companion: another checkpoint that the caller holds the file against.
        example: what the model of a schema from code is called with, in place of its own inputs.
        stats: whether to gather the statistics of the tensors.
        images: to be restored by a model with a decoder.
    """

    model: str = AUTO
    sizes: Mapping[str, object] = NO_ITEMS
    require: str | None = None
    forward: bool = True
    device: str = "cpu"
    published: bool = False
    fingerprint: bool = False
    wrapper: str | None = None
    workers: int | None = None
    executor: Executor | None = None
    release: str | None = None
    expected_missing: tuple[str, ...] = ()
    limits: Thresholds = Thresholds()
    lock: Lock | None = None
    trust: tuple[str, ...] = ()
    reference: Reference | OfEach | None = None
    allow_unexpected: tuple[str, ...] = ()
    groups: Groups | None = None
    companion: Companion | None = None
    example: Example | None = None
    stats: bool = False
    images: tuple[Photo, ...] = ()

    @property
    def demanding(self) -> str:
        """The options that demand a model, as the command line takes them: ``" --depth 10"``."""
        said = [] if self.model == AUTO else [f" --model {self.model}"]
        for name, value in self.sizes.items():
            option = name.replace("_", "-")
            if isinstance(value, bool):
                said.append(f" --{option}" if value else f" --no-{option}")
            else:
                sides = value if isinstance(value, tuple) else (value,)
                said.append(f" --{option} {'x'.join(map(str, sides))}")
        return "".join(said)

    @property
    def asks(self) -> bool:
        """Whether a model or a schema was asked for, which the file must be or fit."""
        asked = self.model != AUTO or self.sizes or self.require is not None
        return bool(asked) or self.reference is not None

    @property
    def _has_code(self) -> bool:
        from ckpttool.models.reference import Reference  # late, as in check

        # of the config.json beside each file a model is built in any case
        asked = self.reference
        return asked is not None and not (isinstance(asked, Reference) and asked.code is None)

    def check(self) -> None:
        """Check the values.

        Raises:
            UsageError: there is no such model or requirement, there is a schema beside them, or
                a type is wrong.
        """
        if self.reference is not None:
            # late: --help has no use for it
            from ckpttool.models.reference import Reference
            from ckpttool.verification.schema_sources import Beside, Entries

            if not isinstance(self.reference, (Beside, Entries)):
                check_type(self.reference, Reference, "schema")
        if self.reference is not None and (self.model != AUTO or self.sizes or self.require):
            raise UsageError(
                "a schema says what a file must hold, and so do a model, its sizes and what is "
                "required of it",
                fix="Pass the schema, or these.",
            )
        if self.example is not None and not self._has_code:
            raise UsageError(
                "an example needs a model that is built by code, and there is none",
                fix="Name the model with --schema package.module:factory, or --schema hf.",
            )
        check_choice(self.model, (AUTO, *models()), "model")
        if self.require is not None:
            cores = requirements() if self.model == AUTO else (models()[self.model].core, FULL)
            check_choice(self.require, cores, "requirement")
        check_sizes(self.sizes)
        check_flags(
            {
                "forward": self.forward,
                "published": self.published,
                "fingerprint": self.fingerprint,
                "stats": self.stats,
            }
        )
        for what, text in (("device", self.device), ("wrapper", self.wrapper)):
            check_text(text, what)
        check_workers(self.workers)
        check_executor(self.executor)
        check_type(self.limits, Thresholds, "limits")
        for name, limit in zip(Thresholds._fields, self.limits):
            check_number(limit, 0, name)
