"""Somebody's own code as a schema: a factory is imported, because it was asked for, and called."""

from __future__ import annotations

import os
import sys
from collections import abc
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, ContextManager, Iterator, Mapping

from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, UnsupportedError
from ckpttool.findings.results import LOAD_STATE_DICT
from ckpttool.findings.text import printable
from ckpttool.models.code.building import bounded, large_on_meta, stranger
from ckpttool.models.code.held import Held, computed_buffers, groups_of_tied, held_by
from ckpttool.models.code.running import CannotRunError, Inputs, fill

if TYPE_CHECKING:
    from torch import nn

    from ckpttool.models.code.calls import Call
    from ckpttool.tensors.catalogue import TensorInfo


class Factory:
    """A model of somebody's own code.

    Args:
        call: the function or class that makes it.

    Attributes:
        name: the call, without its arguments.
        said: what was run, for people.
        held: what the model's checkpoint must have: its own ``state_dict()``.

    Raises:
        UnsupportedError: the code cannot be imported or raised an error, or what it returned is
            neither a module nor a state dict.
    """

    loader = LOAD_STATE_DICT

    def __init__(self, call: Call) -> None:
        self.name = call.text
        self.said = f"from code: {call.text} was imported and run"
        self._call = call
        with from_here():
            made = self._on_meta()
            with stranger(f"the state dict of {self.name} cannot be read"):
                self.held = _held(made)

    def _on_meta(self) -> Any:
        import torch

        function = imported(self._call)
        with stranger(f"{self.name} failed"):
            try:
                with bounded(), torch.device("meta"):
                    return called(function, self._call)
            except CkpttoolError:
                raise
            except Exception:  # noqa: BLE001 (the second attempt tells)
                # Code that looks at a number while it builds, as for a schedule, finds none on the
                # meta device. Once more with real tensors: parameters go as soon as they are made.
                with bounded(parameters_on_meta=True), large_on_meta():
                    return called(function, self._call)

    def at_work(self) -> ContextManager[None]:
        """Return the surroundings in which its code runs: the working folder has modules."""
        return from_here()

    def loaded(self, tensors: Mapping[str, TensorInfo]) -> nn.Module:
        """Return the model with the weights of a file; raises as in :class:`Runnable`."""
        from torch import nn

        with bounded(parameters_on_meta=True):
            made = called(imported(self._call), self._call)
        if not isinstance(made, nn.Module):
            raise CannotRunError(f"{self.name} returned a state dict, which has no code to run")
        return fill(made, tensors)

    def inputs(self, _: nn.Module) -> list[Inputs]:
        """Return none: what somebody's model takes is not known."""
        return []


def called(function: Any, call: Call) -> Any:
    """Return what a function returns for the arguments of a call."""
    return function(*call.arguments, **call.keywords)


@contextmanager
def from_here() -> Iterator[None]:
    """Let modules be found in the working folder, before others, as ``python -m`` does."""
    here = os.getcwd()  # noqa: PTH109 (sys.path has texts)
    sys.path.insert(0, here)
    try:
        yield
    finally:
        with suppress(ValueError):  # the code took it out itself
            sys.path.remove(here)


def imported(call: Call) -> Any:
    """Return what a call names, without calling it; to be run within :func:`from_here`.

    Raises:
        UnsupportedError: there is no such module or name, or importing it raised an error.
    """
    with stranger(f"{call.module} cannot be imported"):
        try:
            found: Any = import_module(call.module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{call.module}.".startswith(f"{error.name}."):
                raise  # something that the module itself needs
            raise UnsupportedError(
                f"there is no module {printable(call.module)}, neither here nor among what is "
                "installed",
                rules.SCHEMA_CODE,
                fix="Run in the folder that holds it, or set PYTHONPATH.",
            ) from error
        for part in call.name.split("."):
            found = getattr(found, part)
    if not callable(found):
        raise UnsupportedError(
            f"{printable(call.text)} is nothing that can be called",
            rules.SCHEMA_CODE,
            found=type(found).__name__,
            fix="Name a function or a class.",
        )
    return found


def _held(made: Any) -> Held:
    from torch import nn

    if isinstance(made, nn.Module):
        held = held_by(made.state_dict())
        return held._replace(tied=_tied(made, held), optional=computed_buffers(made))
    if isinstance(made, abc.Mapping):
        return held_by(made)
    raise UnsupportedError(
        "what the code returned is neither a torch.nn.Module nor a state dict",
        rules.SCHEMA_CODE,
        found=type(made).__name__,
        fix="Name a function that returns the model.",
    )


def _tied(module: nn.Module, held: Held) -> Mapping[str, str]:
    try:
        every = module.state_dict(keep_vars=True)
    except Exception:  # noqa: BLE001 (a state_dict of its own may not take it)
        return {}
    return {
        name: group[0]
        for group in groups_of_tied({key: one for key, one in every.items() if key in held.tensors})
        for name in group[1:]
    }
