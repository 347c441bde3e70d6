"""Kinds of options that several commands have, each declared once."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Callable, Iterable, TypeVar

import click

from ckpttool.cli.choices import BadValue, OneOf
from ckpttool.findings.errors import UsageError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ckpttool.models.family import Free

_Command = TypeVar("_Command", bound=Callable[..., Any])


def together(*options: Callable[[Any], Any]) -> Callable[[_Command], _Command]:
    """Return a decorator that adds options to a command; its help lists them in this order."""

    def add(command: _Command) -> _Command:
        # decorators apply from the bottom up, and click lists the last one first
        for option in reversed(options):
            command = option(command)
        return command

    return add


def format_option(
    formats: Iterable[str], told: str = "The format of the report."
) -> Callable[[_Command], _Command]:
    """Return ``--format``, which the command gets as ``format_name``."""
    return click.option(
        "--format",
        "format_name",  # `format` is Python's own
        type=OneOf(list(formats)),
        default="text",
        show_default=True,
        callback=_writable,
        help=told,
    )


def _writable(_: click.Context, __: click.Parameter, value: str) -> str:
    """Refuse a format that needs a package which is not installed, before anything is read."""
    from ckpttool.reports import check_format

    check_format(value)
    return value


def workers_option(what: str, default: str = "one per processor") -> Callable[[_Command], _Command]:
    """Return ``--workers``: threads that do ``what``."""
    return click.option(
        "--workers",
        type=click.IntRange(min=1),
        metavar="N",
        help=f"Threads that {what} (default: {default}).",
    )


_MOST_DIGITS = 20


class Pixels(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """Pixels of a side, or of height and width: ``448`` or ``512x384``."""

    name = "pixels"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | tuple[int, ...]:
        """Return the number, or both."""
        sides = str(value).lower().split("x")
        # Python makes no number of thousands of digits
        short = all(side.isdecimal() and len(side) < _MOST_DIGITS for side in sides)
        if len(sides) > 2 or not short or not all(map(int, sides)):
            self.fail(f"{value!r} is no number of pixels, nor a height and a width", param, ctx)
        numbers = tuple(map(int, sides))
        return numbers if len(numbers) == 2 else numbers[0]


class Size(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """A number of bytes with its unit: ``5GB``, ``4GiB``."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the bytes."""
        from ckpttool.conversion.options import parse_size  # late: for one command

        try:
            return parse_size(str(value))
        except UsageError as error:
            raise BadValue(str(value), [error.fix] if error.fix else [], param, ctx) from error


class Top(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """How many to list: a number, or ``all``."""

    name = "number"
    #: More than any list has.
    ALL = sys.maxsize

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        text = str(value)
        if text.lower() == "all":
            return self.ALL
        # Python makes no number of thousands of digits
        if not (text.isdecimal() and len(text) < _MOST_DIGITS):
            self.fail(f"{value!r} is neither a number nor all", param, ctx)
        return int(text)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 (click calls it so)
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """Offer the word."""
        from click.shell_completion import CompletionItem  # late: for completion alone

        return [CompletionItem("all")] if "all".startswith(incomplete) else []


def size_option(named: tuple[str, Free]) -> Callable[[_Command], _Command]:
    """Return the option that demands a size of the model, under its own name."""
    name, free = named
    option = name.replace("_", "-")
    if free.kind == "flag":
        return click.option(f"--{option}/--no-{option}", default=None, help=free.help)
    kind = Pixels() if free.kind == "image" else click.IntRange(min=1)
    shown = "PIXELS" if free.kind == "image" else "N"
    return click.option(f"--{option}", type=kind, metavar=shown, help=free.help)


wrapper_option = click.option(
    "--wrapper",
    metavar="KEY",
    help="The dotted key of the state dict to use, for example model_ema or state_dict.0; '' is "
    "the top level (default: found by content).",
)


def renames(texts: Iterable[str]) -> dict[str, str]:
    """Return texts of the form PATTERN=NAME as pattern -> name.

    Raises:
        UsageError: one has another form, or a pattern has two names.
    """
    found: dict[str, str] = {}
    for pattern, name in (pair(text, "PATTERN=NAME") for text in texts):
        if found.setdefault(pattern, name) != name:
            raise UsageError("a pattern has two names", found=pattern)
    return found


def pair(text: str, form: str) -> tuple[str, str]:
    """Return both sides of the first ``=``.

    Raises:
        UsageError: there is none, or nothing before it.
    """
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise UsageError(f"not of the form {form}", found=text)
    return key, value
