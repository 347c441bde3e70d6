"""What a model of somebody's code is called with: more of their code makes it."""

from __future__ import annotations

from collections import abc
from typing import TYPE_CHECKING, Any

from ckpttool.models.code.building import stranger
from ckpttool.models.code.factories import called, from_here, imported
from ckpttool.models.code.running import Inputs

if TYPE_CHECKING:
    from ckpttool.models.code.calls import Call


class Example:
    """What a model is to be called with, by somebody's code.

    Args:
        call: the function that returns the arguments: a tensor, a tuple, a dictionary of keywords,
            or a tuple and a dictionary.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._made: Inputs | None = None

    def inputs(self) -> Inputs:
        """Return the arguments, made once.

        Raises:
            UnsupportedError: the code cannot be imported, or raised an error.
        """
        if self._made is None:
            with from_here():
                function = imported(self._call)
                with stranger(f"{self._call.text} failed"):
                    self._made = _inputs(self._call.text, called(function, self._call))
        return self._made


def _inputs(said: str, made: Any) -> Inputs:
    if isinstance(made, abc.Mapping):
        return Inputs(said, (), dict(made))
    if not isinstance(made, (tuple, list)):
        return Inputs(said, (made,), {})
    both = len(made) == 2 and isinstance(made[0], (tuple, list)) and isinstance(made[1], dict)
    return Inputs(said, tuple(made[0]), made[1]) if both else Inputs(said, tuple(made), {})
