"""The options that say which findings count: the configuration, and what the command line adds."""

from __future__ import annotations

import os
from datetime import date, datetime, timezone
from functools import wraps
from typing import TYPE_CHECKING, Any, Callable

import click

from ckpttool.errors import UsageError

if TYPE_CHECKING:
    from ckpttool.configuration import Configuration
    from ckpttool.policy import Policy

_OPTIONS = (
    click.option(
        "--config",
        metavar="FILE",
        help="The configuration. By default the nearest ckpttool.toml, or pyproject.toml with a "
        "table tool.ckpttool, from the working folder upward.",
    ),
    click.option(
        "--select",
        multiple=True,
        metavar="CODES",
        help="Rules that count: codes or what they begin with, NUM,MOD003 say; ALL by default.",
    ),
    click.option("--extend-select", multiple=True, metavar="CODES", help="More rules that count."),
    click.option("--ignore", multiple=True, metavar="CODES", help="Rules that do not count."),
    click.option(
        "--fail-on",
        type=click.Choice(["error", "warning", "note"]),
        help="The severity from which on a finding fails the run; error by default.",
    ),
)


def policy_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options that decide which findings count, the configuration's among them.

    The command gets them all in one, as ``configured``: the configuration, with what the command
    line says of the policy in place of what the file says.

    Raises:
        UsageError: a configuration that is wrong, or a code that begins no rule's.
    """

    @wraps(command)
    def with_configuration(
        *,
        config: str | None,
        select: tuple[str, ...],
        extend_select: tuple[str, ...],
        ignore: tuple[str, ...],
        fail_on: str | None,
        **others: Any,
    ) -> int:
        configured = _configuration_of(config)
        policy = _policy_of(configured.policy, select, extend_select, ignore, fail_on)
        return command(configured=configured._replace(policy=policy), **others)

    adding: Callable[..., int] = with_configuration
    for option in reversed(_OPTIONS):
        adding = option(adding)
    return adding


def _configuration_of(config: str | None) -> Configuration:
    from ckpttool.configuration import find_configuration, read_configuration

    return find_configuration() if config is None else read_configuration(config)


def _policy_of(
    policy: Policy,
    select: tuple[str, ...],
    extend_select: tuple[str, ...],
    ignore: tuple[str, ...],
    fail_on: str | None,
) -> Policy:
    from ckpttool.rules import Severity

    return policy._replace(
        select=_codes("--select", select) or policy.select,
        extend_select=_codes("--extend-select", extend_select) or policy.extend_select,
        ignore=_codes("--ignore", ignore) or policy.ignore,
        fail_on=policy.fail_on if fail_on is None else Severity(fail_on),
    )


def _codes(option: str, lists: tuple[str, ...]) -> tuple[str, ...]:
    from ckpttool.settings import codes

    words = [word.strip() for text in lists for word in text.split(",") if word.strip()]
    return codes(words, option)


def today() -> date:
    """Return the day that waivers are held against: of ``SOURCE_DATE_EPOCH`` if that is set.

    Raises:
        UsageError: the variable is not a number of seconds.
    """
    fixed = os.environ.get("SOURCE_DATE_EPOCH")
    if not fixed:
        return date.today()
    try:
        return datetime.fromtimestamp(int(fixed), timezone.utc).date()
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(
            "SOURCE_DATE_EPOCH is not a number of seconds since 1970", found=fixed
        ) from error
