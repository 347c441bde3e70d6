"""What shells offer for the values of options that are no choice of one word."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

#: Entries of a folder that are offered at most.
_MOST = 200


class _Text(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """A text that is taken as it is."""

    name = "text"

    def convert(
        self,
        value: Any,
        param: click.Parameter | None,  # noqa: ARG002 (click's)
        ctx: click.Context | None,  # noqa: ARG002 (click's)
    ) -> Any:
        """Return it."""
        return value

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 (click's)
        param: click.Parameter,  # noqa: ARG002 (click's)
        incomplete: str,
    ) -> list[CompletionItem]:
        """Return what the shell offers for what is typed so far."""
        return self.offered(incomplete)

    def offered(self, incomplete: str) -> list[CompletionItem]:
        """Return the same."""
        raise NotImplementedError


class File(_Text):
    """A file, of which not all are paths: ``-`` is a stream."""

    def offered(self, incomplete: str) -> list[CompletionItem]:
        """Let the shell offer files."""
        return [_item(incomplete, type="file")]


class Listed(_Text):
    """Words of a table, separated by commas."""

    def __init__(self, words: Callable[[], Iterable[tuple[str, str | None]]]) -> None:
        self._words = words

    def offered(self, incomplete: str) -> list[CompletionItem]:
        """Offer the words that begin like the last one."""
        before, comma, last = incomplete.rpartition(",")
        return [
            _item(f"{before}{comma}{word}", help=told)
            for word, told in self._words()
            if word.lower().startswith(last.lower())
        ]


class FormatAndFile(_Text):
    """``FORMAT=PATH`` of ``--report``."""

    def __init__(self, formats: Iterable[str]) -> None:
        self._formats = formats

    def offered(self, incomplete: str) -> list[CompletionItem]:
        """Offer formats, and files behind one."""
        name, equals, path = incomplete.partition("=")
        if equals:
            return [_item(f"{name}={one}") for one in _paths(path)]
        return [_item(f"{one}=") for one in self._formats if one.startswith(name)]


def offer(command: click.Command) -> None:
    """Let shells offer values for the options and arguments of a command."""
    for param in command.params:
        kind = _KINDS.get(str(param.name))
        if kind is not None and param.type is click.STRING:
            param.type = kind


def _item(value: str, **more: Any) -> CompletionItem:
    from click.shell_completion import CompletionItem  # late: for completion only

    return CompletionItem(value, **more)


def _paths(begun: str) -> Iterator[str]:
    folder, _ = os.path.split(begun)
    try:
        with os.scandir(folder or os.curdir) as entries:
            names = sorted((os.path.join(folder, one.name), one.is_dir()) for one in entries)  # noqa: PTH118
    except OSError:
        return
    found = [f"{path}/" if is_folder else path for path, is_folder in names]
    yield from [path for path in found if path.startswith(begun)][:_MOST]


def _codes() -> Iterator[tuple[str, str | None]]:
    from ckpttool.findings.rules import RULES

    yield from ((code, rule.name) for code, rule in RULES.items())


def _codes_and_families() -> Iterator[tuple[str, str | None]]:
    from ckpttool.findings.rules import RULES

    yield "ALL", None
    yield from ((family, None) for family in dict.fromkeys(code[:3] for code in RULES))
    yield from _codes()


def _dtypes() -> Iterator[tuple[str, str | None]]:
    options = import_module("ckpttool.conversion.options")
    yield from ((name, None) for name in options.CAST_DTYPES)


_FILE, _SOME_CODES = File(), Listed(_codes_and_families)
_FILES = (
    "files_from config lock output schema against source adapter mapped rename_file sidecar "
    "receipt images pictures paths result"
)
# By the name of the option or argument; where it has a type already, that offers its own.
_KINDS: dict[str, _Text] = {
    **dict.fromkeys(_FILES.split(), _FILE),
    **dict.fromkeys(("select", "extend_select", "ignore"), _SOME_CODES),
    "codes": Listed(_codes),
    "allow_cast": Listed(_dtypes),
}
