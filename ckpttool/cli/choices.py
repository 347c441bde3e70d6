"""Options that take one word of several: completed by shells, with a tip where none is it."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Callable, Iterable, Sequence

import click

# Columns of the words beside an option's name in its help.
_BESIDE_NAME = 22


class BadValue(click.BadParameter):
    """A value that is none of those that exist, with tips."""

    def __init__(
        self,
        value: str,
        tips: Iterable[str],
        param: click.Parameter | None = None,
        ctx: click.Context | None = None,
    ) -> None:
        super().__init__(f"no such value '{value}'", ctx, param)
        self.value = value
        self.tips = tuple(tips)


class OneOf(click.Choice):  # type: ignore[type-arg]  # generic since click 8.4 only
    """A choice among words.

    Args:
        words: those that exist, or a function that returns them. It is called each time: every
            start of the program declares the options of every command, and some tables bring all
            readers of checkpoints along, for which ``ckpttool --help`` would wait.
    """

    def __init__(self, words: Sequence[str] | Callable[[], Iterable[str]]) -> None:
        # not click's: it stores the choices, and from 8.2 on as a tuple, so that it calls the
        # function
        self._words = words if callable(words) else lambda: words
        self.case_sensitive = True

    @property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]  # an attribute in click
        """The words, read each time: whoever adds to the table later is heard."""
        return tuple(self._words())

    @property
    def is_long(self) -> bool:
        """Whether its words are too many to stand beside the option's name."""
        return len("|".join(self.choices)) > _BESIDE_NAME

    def get_metavar(
        self,
        param: click.Parameter,
        ctx: click.Context | None = None,  # noqa: ARG002 (click's)
    ) -> str | None:
        """Return what stands for the word: the words themselves if they are few."""
        # click gives the context as well since 8.2
        if not self.is_long:
            words = "|".join(self.choices)
            return f"[{words}]"
        return max(param.opts, key=len).lstrip("-").upper().replace("-", "_")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the word."""
        if value in self.choices:
            return value
        from ckpttool.cli.suggestions import tip_for  # late: for mistakes only

        raise BadValue(str(value), [tip_for(str(value), self.choices)], param, ctx)


def in_table(module: str, table: str) -> OneOf:
    """Return a choice among the names in a table, whose module is imported when it is used."""
    return OneOf(lambda: getattr(import_module(module), table))
