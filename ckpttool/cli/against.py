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
        help="Another checkpoint, of which the file must hold every tensor, with the same shape, "
        "dtype and values: of any format, a sharded index, a folder of one, a lock file or a "
        "receipt. A file of no known model needs no schema then.",
    ),
    click.option(
        "--against-wrapper",
        metavar="KEY",
        help="The dotted key of the state dict to take from A; '' is the root.",
    ),
    click.option(
        "--map",
        "mapped",
        multiple=True,
        metavar="'OLD=NEW'|FILE",
        help="What A calls OLD is called NEW in the file, 'net.*=*' say: * is any text, {n} a "
        "number (repeatable). Or a file of rules, as --rename-file of convert has it. Names of "
        "known layouts and prefixes need none.",
    ),
    click.option(
        "--allow-cast",
        multiple=True,
        metavar="DTYPES",
        help="A tensor may be A's cast to this dtype, bfloat16 say, rounded to nearest: that is "
        "proven bit for bit (repeatable, or with commas).",
    ),
    click.option(
        "--must-change",
        multiple=True,
        metavar="GLOB",
        help="Tensors whose values must not be A's: a merge or a training wrote to them "
        "(repeatable). All others must be the same, unless --must-not-change is given, too.",
    ),
    click.option(
        "--must-not-change",
        multiple=True,
        metavar="GLOB",
        help="Tensors whose values must be A's (repeatable). With it, those that no pattern names "
        "may differ; without it, all must be the same. A pattern that stands for no tensor is an "
        "error, here and with --must-change.",
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
