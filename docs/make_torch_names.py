"""Update the table of what torch allows by default from the torch that is installed."""

from __future__ import annotations

import re
import textwrap
from collections import defaultdict
from pathlib import Path

import torch

TABLE = Path(__file__).parents[1] / "ckpttool" / "formats" / "safety" / "torch_names.py"


def installed() -> list[str]:
    """Return the names that the installed torch allows by default."""
    from torch._weights_only_unpickler import _get_allowed_globals

    return sorted(_get_allowed_globals())


def table(names: list[str]) -> str:
    """Return the rows of the table, a module each."""
    modules: dict[str, list[str]] = defaultdict(list)
    for name in names:
        module, _, attribute = name.rpartition(".")
        modules[module].append(attribute)
    rows = []
    for module in sorted(modules):
        text = " ".join(modules[module])
        if len(text) + len(module) < 80:
            rows.append(f'    "{module}": "{text}",')
        else:
            wrapped = textwrap.indent(textwrap.fill(text, 80, break_on_hyphens=False), " " * 8)
            rows.append(f'    "{module}": """\n{wrapped}\n    """,')
    return "\n".join(rows)


def main() -> None:
    """Bring the table up to date."""
    text = TABLE.read_text(encoding="utf-8")
    version = ".".join(str(torch.__version__).split(".")[:2])
    text = re.sub(r'TORCH = "[^"]+"', f'TORCH = "{version}"', text)
    begin, end = "_NAMES = {\n", "\n}\n"
    before, rest = text.split(begin)
    after = rest[rest.index(end) :]
    TABLE.write_text(before + begin + table(installed()) + after, encoding="utf-8")


if __name__ == "__main__":
    main()
