"""Programs for what is a library: ``python libraries.py NAME FILE``.

Each accepts the file by exit code 0 and refuses it by 1, as an error of the library gives it.
"""

from __future__ import annotations

import sys
import zipfile
from typing import Any, Callable, Mapping


def load(path: str) -> int:
    """``torch.load`` as it is by default."""
    import torch

    torch.load(path, weights_only=True, map_location="cpu")
    return 0


def open_safetensors(path: str) -> int:
    """The safetensors library: every tensor of the file."""
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        for name in file.keys():  # noqa: SIM118 (it is no dictionary)
            file.get_slice(name)[...]
    return 0


def scan(path: str) -> int:
    """What fickling finds in an archive or a stream of pickles, as its program reads a model."""
    fickling: Any = __import__("fickling")
    if zipfile.is_zipfile(path):
        results = list(fickling.scan_zip_archive(path, graceful=True).values())
    else:
        results = [fickling.scan_file(path, graceful=True)]
    for result in results:
        print(result, *result.errors)
    if not all(result.is_safe for result in results):
        # a file that it could not read is not safe to it either: 2, as its own programs give it
        return 1 if any(_unsafe(found) for one in results for found in one.results) else 2
    return 2 if not results or any(result.errors for result in results) else 0


def _unsafe(found: Any) -> bool:
    analysis: Any = __import__("fickling.analysis", fromlist=["Severity"])
    return bool(found.severity > analysis.Severity.LIKELY_SAFE)


def load_hooked(path: str) -> int:
    """A plain ``torch.load`` under fickling's hook, which lets names of its list pass."""
    import torch

    fickling: Any = __import__("fickling.hook")
    fickling.hook.activate_safe_ml_environment()
    torch.load(path, weights_only=False, map_location="cpu")
    return 0


PROGRAMS: Mapping[str, Callable[[str], int]] = {
    "load": load,
    "open": open_safetensors,
    "scan": scan,
    "load-hooked": load_hooked,
}


def main() -> int:
    """Run the program that the first word names on the file that the second names."""
    return PROGRAMS[sys.argv[1]](sys.argv[2])


if __name__ == "__main__":
    sys.exit(main())
