"""Reading TOML, whatever the version of Python."""

from __future__ import annotations

import re
import sys
from typing import Any

from ckpttool.findings.errors import UsageError

# Keys of so many parts take memory by the square of their number.
_DEEP = re.compile(rb"""(?<![\w"'-])[\w"'-]+(?:[ \t]*\.[ \t]*[\w"'-]+){32}""")


def parse_toml(content: bytes, path: str) -> dict[str, Any]:
    """Return what a file holds; ``path`` is for the error.

    Raises:
        UsageError: it is not valid TOML, or beyond a limit.
    """
    if _DEEP.search(content):
        raise UsageError(
            "a key, or a text like one, has more parts than the limit of 32", path=path
        )
    if sys.version_info >= (3, 11):
        import tomllib
    else:  # pragma: no cover (Python before 3.11)
        import tomli as tomllib
    try:
        return tomllib.loads(content.decode())
    # a thousand nested brackets end in a RecursionError; a number of 5,000 digits in a ValueError,
    # like all that is no TOML or no UTF-8
    except (ValueError, RecursionError) as error:
        raise UsageError(f"not valid TOML: {error}", path=path) from error
