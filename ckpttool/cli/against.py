"""``--against``: the checkpoint that files are held against, and what is demanded of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import click

from ckpttool.cli.option_kinds import renames, together
from ckpttool.findings.errors import UsageError

if TYPE_CHECKING:
    from ckpttool.against.demands import Demands
    from ckpttool.against.verify import Against
    from ckpttool.cli.configuration import Configuration

#: The options that :class:`Holding` takes.
against_options = together(
    click.option(
        "--against",
        metavar="A",
        help="Another checkpoint. The file must hold all of its tensors, with the same shapes, "
        "dtypes and values. A is a checkpoint of any format, a sharded index, a folder, a lock "
        "file or a receipt. With it, a file of an unknown model needs no --schema.",
    ),
    click.option(
        "--against-wrapper",
        metavar="KEY",
        help="The dotted key of the state dict in A, for example model_ema; '' is the top level.",
    ),
    click.option(
        "--map",
        "mapped",
        multiple=True,
        metavar="'OLD=NEW'|FILE",
        help="A name in A and the name of the same tensor in the file, for example 'net.*=*'. * "
        "stands for any text, {n} for a number (repeatable). Or a file of rules, as for convert "
        "--rename-file. Known layouts and prefixes are recognised without it.",
    ),
    click.option(
        "--allow-cast",
        multiple=True,
        metavar="DTYPES",
        help="Accept tensors that are A's cast to one of these dtypes with rounding to nearest, "
        "for example bfloat16. The cast is checked bit for bit (repeatable, or with commas).",
    ),
    click.option(
        "--must-change",
        multiple=True,
        metavar="GLOB",
        help="Tensors whose values must differ from A's, because a merge or a training changed "
        "them (repeatable). All others must be equal, unless --must-not-change is given as well.",
    ),
    click.option(
        "--must-not-change",
        multiple=True,
        metavar="GLOB",
        help="Tensors whose values must equal A's (repeatable). The others may then differ; "
        "without this option, all must be equal. A pattern that matches no tensor is an error, "
        "here and for --must-change.",
    ),
)


class Holding(NamedTuple):
    """What the command line says of another checkpoint."""

    against: str | None
    against_wrapper: str | None
    mapped: tuple[str, ...]
    allow_cast: tuple[str, ...]
    must_change: tuple[str, ...]
    must_not_change: tuple[str, ...]

    def of(self, configured: Configuration) -> Against | None:
        """Return what a file is held against, and the demands, by its configuration.

        Where the command line names another checkpoint, what the configuration demands is not
        about it.

        Raises:
            UsageError: a demand without another checkpoint, or one that is wrong.
        """
        from ckpttool.against.verify import Against

        if self.against is not None:
            return Against(self.against, self._demands(self))
        if configured.against is None:
            given = next((option for option, value in self._options().items() if value), None)
            if given is not None:
                raise UsageError(
                    f"{given} is about another checkpoint, and none is named",
                    fix="Name it: --against A.",
                )
            return None
        joined = self._replace(
            mapped=(*self.mapped, *configured.map),
            allow_cast=(*configured.allow_cast, *self.allow_cast),
            must_change=(*configured.must_change, *self.must_change),
            must_not_change=(*configured.must_not_change, *self.must_not_change),
        )
        return Against(configured.against, self._demands(joined))

    def _options(self) -> dict[str, object]:
        return {
            "--against-wrapper": self.against_wrapper is not None,
            "--map": self.mapped,
            "--allow-cast": self.allow_cast,
            "--must-change": self.must_change,
            "--must-not-change": self.must_not_change,
        }

    @staticmethod
    def _demands(given: Holding) -> Demands:
        from ckpttool.against.demands import Demands
        from ckpttool.conversion.options import rules_of

        named = [text for text in given.mapped if "=" in text]
        files = [text for text in given.mapped if "=" not in text]
        if len(files) > 1:
            raise UsageError("--map takes one file of rules", found=" ".join(files))
        # both `--allow-cast bfloat16,float16` and the option twice
        dtypes = [word.strip() for text in given.allow_cast for word in text.split(",")]
        demands = Demands(
            rules_of((), renames(named), files[0] if files else None),
            given.against_wrapper,
            tuple(dict.fromkeys(filter(None, dtypes))),
            tuple(dict.fromkeys(given.must_change)),
            tuple(dict.fromkeys(given.must_not_change)),
        )
        demands.check()
        return demands
