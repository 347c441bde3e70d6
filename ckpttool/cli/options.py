"""The options that commands share: how checkpoints are examined, and which findings count."""

from __future__ import annotations

import os
from datetime import date, datetime, timezone
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Mapping

import click

from ckpttool.cli.choices import OneOf
from ckpttool.cli.messages import warning
from ckpttool.cli.option_kinds import size_option, together, workers_option, wrapper_option
from ckpttool.findings.arguments import trusted_of
from ckpttool.findings.errors import UsageError
from ckpttool.findings.rules import Severity
from ckpttool.models.families import AUTO, free_sizes, models, requirements
from ckpttool.verification.options import BESIDE, NO_SCHEMA, VerifyOptions

if TYPE_CHECKING:
    from ckpttool.cli.configuration import Configuration
    from ckpttool.models.code.example import Example
    from ckpttool.models.grouping import Groups
    from ckpttool.models.reference import Reference
    from ckpttool.verification.batch import Terms
    from ckpttool.verification.policy import Policy
    from ckpttool.verification.schema_sources import OfEach

trust_option = click.option(
    "--trust",
    multiple=True,
    metavar="NAME",
    help="Code that the pickle may call, for example mypackage.models.Net or 'mypackage.*'; added "
    "to the configuration's (repeatable). See ckpttool explain SEC002.",
)
#: The options that :func:`terms_of` takes.
examination_options = together(
    # no default, here and below: what is not given is for the configuration to say
    click.option(
        "--model",
        type=OneOf(lambda: (AUTO, *models())),
        metavar="NAME",
        help=f"The model that the checkpoint must be: {', '.join(models())}; or {AUTO}, the "
        "default: recognised by names and shapes.",
    ),
    *map(size_option, free_sizes().items()),
    click.option(
        "--schema",
        metavar="SOURCE",
        help="Where the expected names, shapes and dtypes come from, instead of a known model: "
        "another checkpoint, a sharded index, a lock file, a receipt, a file written by ckpttool "
        f"schema, or a config.json of Hugging Face ({BESIDE}: the one beside each file; "
        "transformers builds its model without weights). Or code that is imported and run: "
        f"package.module:factory, 'package.module:factory(key=value)'. {NO_SCHEMA}: do not check "
        f"them. {AUTO}, the default: the model that the names and shapes say.",
    ),
    click.option(
        "--example",
        metavar="CODE",
        help="Inputs for the model of a --schema from code, if the model has none of its own: "
        "package.module:inputs, which is imported and returns a tensor, a tuple, a dictionary of "
        "keywords, or a tuple and a dictionary.",
    ),
    click.option(
        "--allow-missing",
        multiple=True,
        metavar="GLOB",
        help="Names that may be missing, for example 'mtp.*'; added to the configuration's "
        "(repeatable).",
    ),
    click.option(
        "--allow-unexpected",
        multiple=True,
        metavar="GLOB",
        help="Names that the file may have and the model lacks; added to the configuration's "
        "(repeatable).",
    ),
    click.option(
        "--require",
        type=OneOf(requirements()),
        help="Which parts the file must hold (default: encoder). With full, a missing decoder is "
        "an error.",
    ),
    wrapper_option,
    click.option("--no-forward", is_flag=True, help="Do not run the model; torch is not loaded."),
    click.option(
        "--device",
        default="cpu",
        show_default=True,
        metavar="DEVICE",
        help="Where to run the model: cpu, cuda:0.",
    ),
    workers_option("read files"),
    trust_option,
)
no_config_option = click.option(
    "--no-config", is_flag=True, help="Read no configuration: no ckpttool.toml, no pyproject.toml."
)
_policy_options = together(
    click.option(
        "--config",
        metavar="FILE",
        help="The configuration for all files. By default, each file uses the nearest "
        "ckpttool.toml, or pyproject.toml with a table tool.ckpttool, searched from its own folder "
        "up to the root of the repository.",
    ),
    no_config_option,
    click.option(
        "--select",
        multiple=True,
        metavar="CODES",
        help="Rules to apply: codes or their beginnings, for example NUM,MOD003 (default: ALL).",
    ),
    click.option("--extend-select", multiple=True, metavar="CODES", help="More rules to apply."),
    click.option("--ignore", multiple=True, metavar="CODES", help="Rules to ignore."),
    click.option(
        "--fail-on",
        type=OneOf([severity.value for severity in Severity]),
        help="The lowest severity that fails the run (default: error).",
    ),
)


class Configured:
    """The configuration of each file of a run.

    It is the nearest one, searched from the file's own folder upward. ``--config`` names one for
    all files, ``--no-config`` none; without paths, the working folder's one names the checkpoint
    and is the only one.

    Raises:
        UsageError: from every method, for a configuration that is wrong.
    """

    def __init__(
        self,
        named: str | None = None,
        by_file: bool = True,
        change: Callable[[Policy], Policy] | None = None,
        none: bool = False,
    ) -> None:
        if none and named is not None:
            raise UsageError("--config and --no-config exclude each other", fix="Leave one out.")
        self._none = none
        self._named = named
        self._by_file = by_file and named is None
        self._change = change
        # by folder: one with a thousand checkpoints reads its configuration once
        self._known: dict[str, Configuration] = {}
        # configurations that the user was warned of, once and not for each file
        self._told: set[str | None] = set()

    @property
    def here(self) -> Configuration:
        """The one that is named, or that of the working folder."""
        return self._read(self._named, os.curdir)

    def of(self, path: str) -> Configuration:
        """Return the one for a file, a folder, or what a glob finds."""
        if not self._by_file:
            return self.here
        # of a glob, or a file that is missing: the first folder above it that exists
        above = (path, *map(str, Path(path).parents))
        return self._read(None, next(filter(os.path.isdir, above), os.curdir))

    def _read(self, named: str | None, folder: str) -> Configuration:
        # late: --help and wrong usage need no reader of configurations
        from ckpttool.cli.configuration import (
            Configuration,
            find_configuration,
            read_configuration,
        )

        if folder not in self._known:
            if self._none:
                read = Configuration()
            elif named is None:
                read = self._of_a_file(find_configuration(folder))
            else:
                read = read_configuration(named)
            if self._change is not None:
                read = read._replace(policy=self._change(read.policy))
            self._known[folder] = read
        return self._known[folder]

    def _of_a_file(self, found: Configuration) -> Configuration:
        """Return one without what it says of code, unless it applies in the working folder too.

        A downloaded checkpoint may bring a configuration along that trusts its own code.
        """
        if found.is_the_callers or not found.vouches_for_code:
            return found
        if found.path not in self._told and found.source is not None:
            warning(
                f"{found.source.path}: what it says of code (trust, a schema that is code, "
                "example, ignore and waivers for SEC001 and SEC002) is not used, because the file "
                "does not apply to the working folder",
                ["run in its folder, or name it with --config"],
            )
            self._told.add(found.path)
        return found.without_code()


def policy_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options that decide which findings count, and ``--config``.

    The command gets all of them as ``configured``, a :class:`Configured` whose policies the command
    line has changed.

    Raises:
        UsageError: no rule has a code that begins like one of those given.
    """

    @wraps(command)
    def with_configuration(
        *,
        config: str | None,
        no_config: bool,
        select: tuple[str, ...],
        extend_select: tuple[str, ...],
        ignore: tuple[str, ...],
        fail_on: str | None,
        **others: Any,
    ) -> int:
        # read at once: a code that is wrong is told before any file is looked for
        selected, more = _codes("--select", select), _codes("--extend-select", extend_select)
        ignored = _codes("--ignore", ignore)

        def change(policy: Policy) -> Policy:
            return policy._replace(
                select=selected or policy.select,
                extend_select=more or policy.extend_select,
                ignore=ignored or policy.ignore,
                # whoever types a code has decided for themselves, calls of code included
                vouches=policy.vouches or bool(ignored),
                fail_on=policy.fail_on if fail_on is None else Severity(fail_on),
            )

        # without paths, the working folder's configuration names the checkpoint
        by_file = bool(others["paths"]) or others["files_from"] is not None
        return command(configured=Configured(config, by_file, change, no_config), **others)

    return _policy_options(with_configuration)


def _codes(option: str, lists: tuple[str, ...]) -> tuple[str, ...]:
    from ckpttool.cli.configuration_keys import codes

    # both `--ignore NUM,MOD` and `--ignore NUM --ignore MOD`
    words = [word.strip() for text in lists for word in text.split(",") if word.strip()]
    return codes(words, option)


# --- how checkpoints are examined ----------------------------------------------------------


def trusted(configured: Configuration, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of trusted code: those of the configuration, then the command line's.

    Raises:
        UsageError: one does not begin with a package.
    """
    return (*configured.trust, *trusted_of(names, "--trust"))


def terms_of(
    configured: Configuration,
    schemas: Schemas,
    no_forward: bool,
    trust: tuple[str, ...],
    allow_missing: tuple[str, ...],
    allow_unexpected: tuple[str, ...],
    example: str | None,
    **options: Any,
) -> Terms:
    """Return how to verify a file: the command line counts, then its configuration."""
    from ckpttool.verification.batch import Terms

    chosen = VerifyOptions(
        **_expected(configured, schemas, options),
        example=schemas.example(example or configured.example),
        forward=not no_forward,
        expected_missing=(*configured.expected_missing, *allow_missing),
        allow_unexpected=(*configured.allow_unexpected, *allow_unexpected),
        groups=schemas.groups(configured.groups),
        limits=configured.limits,
        trust=trusted(configured, trust),
        **options,
    )
    return Terms(chosen, configured.policy, configured.source)


class Schemas:
    """The schemas of a run, each read once: one may have 100,000 names."""

    def __init__(self) -> None:
        self._known: dict[str, Reference | OfEach] = {}
        self._groups: dict[tuple[tuple[str, tuple[str, ...]], ...], Groups] = {}
        self._examples: dict[str, Example] = {}

    def read(self, source: str | None) -> Reference | OfEach | None:
        """Return the schema of a source; ``None`` where the model is the one that a file is."""
        if source is None or source == AUTO:
            return None
        if source not in self._known:
            from ckpttool.verification.schema_sources import expected_by

            self._known[source] = expected_by(source)
        return self._known[source]

    def groups(self, patterns: Mapping[str, tuple[str, ...]]) -> Groups | None:
        """Return the groups that a configuration names; the same for the same patterns."""
        if not patterns:
            return None
        from ckpttool.models.grouping import Groups  # late: most runs have none

        return self._groups.setdefault(tuple(patterns.items()), Groups(patterns))

    def example(self, code: str | None) -> Example | None:
        """Return what models are called with, the same for all files; ``None`` for their own."""
        if code is None:
            return None
        if code not in self._examples:
            from ckpttool.verification.schema_sources import example_of

            self._examples[code] = example_of(code)
        return self._examples[code]

    @property
    def sources(self) -> tuple[str, ...]:
        """Those that were read."""
        return tuple(self._known)


def _expected(
    configured: Configuration, schemas: Schemas, options: dict[str, Any]
) -> dict[str, Any]:
    """Return what a file must hold: by a model, its sizes and a part of it, or by a schema."""
    sizes = {name: value for name in free_sizes() for value in [options.pop(name)]}
    sizes = {name: value for name, value in sizes.items() if value is not None}
    model, require, schema = (options.pop(name) for name in ("model", "require", "schema"))
    # what is typed of one kind takes the place of what the configuration says of the other
    if schema not in (None, AUTO) and not (model or sizes or require):
        return {"reference": schemas.read(schema)}
    if schema is None and not (model or sizes or require):
        schema = configured.schema
    return {
        "model": model or configured.model or AUTO,
        "sizes": {**configured.sizes, **sizes},
        "require": require or configured.require,
        "reference": schemas.read(schema),
    }


def today() -> date:
    """Return the day on which waivers may have expired: ``SOURCE_DATE_EPOCH`` if it is set.

    Raises:
        UsageError: the variable is not a number of seconds.
    """
    # reproducible builds set it: the same input must give the same report on any day
    fixed = os.environ.get("SOURCE_DATE_EPOCH")
    if not fixed:
        return date.today()
    try:
        return datetime.fromtimestamp(int(fixed), timezone.utc).date()
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(
            "SOURCE_DATE_EPOCH is not a number of seconds since 1970", found=fixed
        ) from error
