"""Pickles that torch.save did not write: what they are, by what they describe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpttool.findings import rules
from ckpttool.findings.errors import UnsupportedError
from ckpttool.formats.foreign.signatures import NAME_WEIGHTS
from ckpttool.formats.pickles.nodes import Call, Global
from ckpttool.formats.safety.known_names import name_of

if TYPE_CHECKING:
    from ckpttool.formats.pickles import Pickle
    from ckpttool.formats.pickles.nodes import Node

_KNOWN = "Where you know who wrote it, load it with"


def other_pickle(pickle: Pickle) -> UnsupportedError:
    """Return the error for a file whose first pickle is not torch.save's magic number."""
    what, fix = _kind_of(pickle)
    return UnsupportedError(f"the file is {what}", rules.UNSUPPORTED, fix=fix)


def joblib_file(end: int) -> UnsupportedError:
    """Return the error for a pickle with arrays of joblib, which was read up to byte ``end``."""
    return UnsupportedError(
        "the file was written by joblib, which stores arrays inside the pickle stream; it was "
        f"not looked at beyond byte {end:,}",
        rules.UNSUPPORTED,
        fix=f"{_KNOWN} joblib.load and save the arrays with safetensors.numpy.save_file.",
    )


def _kind_of(pickle: Pickle) -> tuple[str, str]:
    name = _class_of(pickle.root)
    # everything below the root, for containers of tensors and of arrays
    names = {str(reference) for reference in pickle.references}
    if name is not None:
        return (
            f"a pickled object of {name}, written by pickle.dump and not by torch.save",
            f"{_KNOWN} pickle and save the weights in it with torch.save, as a state dict.",
        )
    if "torch.storage._load_from_bytes" in names:
        return (
            "a pickle.dump of tensors, which torch.load does not read",
            f"{_KNOWN} pickle and save it with torch.save.",
        )
    if any(name.startswith("numpy.") for name in names):
        return (
            "a pickle.dump of numpy arrays, which torch.load does not read",
            f"{_KNOWN} pickle and save the arrays with safetensors.numpy.save_file.",
        )
    return "a pickle, but torch.save did not write it", NAME_WEIGHTS


def _class_of(root: Node) -> str | None:
    """Return the class of an object, ``None`` for plain data, arrays and tensors."""
    function = root.function if isinstance(root, Call) else None
    if type(function) is not Global:
        return None
    name = name_of(function)
    plain = name.top in ("collections", "builtins", "numpy") or str(name).startswith("torch._utils")
    return None if plain else str(name)
