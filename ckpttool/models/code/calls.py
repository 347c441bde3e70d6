"""``package.module:factory(key=value)``: what is to be imported and called, in one text.

Nothing is imported or evaluated to read it: arguments are literals.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, Mapping, NamedTuple

from ckpttool.findings.errors import UsageError

_LONGEST = 10_000  # characters: longer ones would take the parser's stack, and nobody types them


class Call(NamedTuple):
    """What is to be called.

    Attributes:
        module: where it is.
        name: of a function or a class there; dots lead into it.
        arguments: by place.
        keywords: by name.
    """

    module: str
    name: str
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = {}

    @property
    def text(self) -> str:
        """The module and the name, without arguments."""
        return f"{self.module}:{self.name}"


def names_code(text: str, folder: str = "") -> bool:
    """Whether a text names code, and not a file that is there.

    Args:
        text: for example ``my.module:build``.
        folder: from which a file would be named.
    """
    module, colon, rest = text.partition(":")
    name = rest.partition("(")[0].strip()
    # C:name is a path on Windows, and a file may have any name
    return bool(colon) and _dotted(module) and _dotted(name) and not _is_file(text, folder)


def call_in(text: str) -> Call:
    """Return the call that a text names.

    Raises:
        UsageError: it is none, or an argument is no literal.
    """
    module, _, rest = text.partition(":")
    name = rest.partition("(")[0].strip()
    if not _dotted(module) or not _dotted(name):
        raise UsageError("not of the form package.module:name", found=text)
    if rest.strip() == name:
        return Call(module, name)
    return Call(module, name, *_arguments(rest, text))


def _dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def _is_file(text: str, folder: str) -> bool:
    if Path(text).drive:
        return True
    try:
        return Path(folder, text).exists()
    except (OSError, ValueError):  # too long for a name, or with a zero
        return False


def _arguments(call: str, text: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    wrong = UsageError(
        "arguments are literals: numbers, texts in quotes, True, False, None, and lists of them",
        found=text[:200],
        fix="Write package.module:name(key=value), in quotes for the shell.",
    )
    if len(call) > _LONGEST:
        raise wrong
    try:
        node = ast.parse(call.strip(), mode="eval").body
        if not isinstance(node, ast.Call) or not isinstance(node.func, (ast.Name, ast.Attribute)):
            raise wrong
        names = [one.arg for one in node.keywords]
        if None in names or len(set(names)) < len(names):
            raise wrong
        keywords = {str(one.arg): ast.literal_eval(one.value) for one in node.keywords}
        return tuple(ast.literal_eval(one) for one in node.args), keywords
    # the parser has more than one way to give up on what is nested
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError) as error:
        if error is wrong:
            raise
        raise wrong from error
