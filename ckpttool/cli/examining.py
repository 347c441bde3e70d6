"""The options that say how a checkpoint is examined, and what it is examined for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, TypeVar

import click

from mae.config import CONFIGS, DEFAULT

if TYPE_CHECKING:
    from ckpttool.cli.configuration import Configuration
    from ckpttool.cli.options import Configured
    from ckpttool.inputs.paths import SearchOptions
    from ckpttool.verification.run import VerifyOptions

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--model",
        metavar="NAME",
        help=f"The model that the checkpoint is for: {', '.join(CONFIGS)}; by default what the "
        f"configuration says, or {DEFAULT}.",
    ),
    click.option(
        "--require",
        type=click.Choice(["encoder", "full"]),
        help="What the file must hold, encoder by default; with full, an absent decoder is an "
        "error.",
    ),
    click.option(
        "--wrapper",
        metavar="KEY",
        help="The state dict to take: a dotted key, model_ema or state_dict.0 say ('' is the "
        "root). By default the content decides.",
    ),
    click.option("--no-forward", is_flag=True, help="Do not run the model."),
    click.option(
        "--device", default="cpu", show_default=True, help="Where to run the model, cuda:0 say."
    ),
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        metavar="N",
        help="Threads that read. By default one a processor.",
    ),
)
_TRUST = click.option(
    "--trust",
    multiple=True,
    metavar="NAME",
    help="Code that the pickle may call, mypackage.models.Net or 'mypackage.*' say; adds to what "
    "the configuration says (repeatable). See ckpttool explain SEC002.",
)


def trust_option(command: _Command) -> _Command:
    """Add the option whose value :func:`trusted` takes."""
    return _TRUST(command)


def trusted(configured: Configuration, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of trusted code: those of the configuration, then the command line's.

    Raises:
        UsageError: one does not begin with a package.
    """
    from ckpttool.cli.configuration_keys import trusted as read

    return (*configured.trust, *read(list(names), "--trust"))


def examination_options(command: _Command) -> _Command:
    """Add the options that :func:`verify_options` takes."""
    command = trust_option(command)
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def verify_options(
    configured: Configuration,
    model: str | None,
    require: str | None,
    no_forward: bool,
    trust: tuple[str, ...],
    **options: Any,
) -> VerifyOptions:
    """Return what to verify: the command line counts, then the configuration, then the default."""
    from ckpttool.verification.run import VerifyOptions

    return VerifyOptions(
        model=model or configured.model or DEFAULT,
        require=require or configured.require or "encoder",
        forward=not no_forward,
        expected_missing=configured.expected_missing,
        limits=configured.limits,
        trust=trusted(configured, trust),
        **options,
    )


def choice_from(
    configured: Configured, exclude: tuple[str, ...], trust: tuple[str, ...], changed: bool = False
) -> Callable[[str], SearchOptions]:
    """Return what says how the files of a path are chosen: its configuration and the options."""
    from ckpttool.inputs.paths import SearchOptions

    def choice_of(path: str) -> SearchOptions:
        own = configured.of_named(path)
        return SearchOptions(
            (*own.exclude, *exclude), trusted(own, trust), whole=True, changed=changed
        )

    return choice_of
