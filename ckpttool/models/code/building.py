"""Building a model without memory for its weights, within bounds, and whatever its code does."""

from __future__ import annotations

import sys
import threading
import warnings
from contextlib import contextmanager, redirect_stdout
from math import prod
from typing import TYPE_CHECKING, Any, Iterator, Mapping

from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, UnsupportedError
from ckpttool.findings.text import printable

if TYPE_CHECKING:
    from torch import nn

#: Parameters and modules of a model that is built. The largest mixtures of experts have 100,000,
#: and 10,000 take a second.
MOST_PARTS = 250_000
#: Elements of a tensor above which :func:`large_on_meta` makes none.
LARGE = 1 << 22
#: Characters of somebody's error message that are shown.
_LONGEST = 300


@contextmanager
def bounded(*, parameters_on_meta: bool = False) -> Iterator[None]:
    """Count what this thread builds, and stop it at :data:`MOST_PARTS`.

    Args:
        parameters_on_meta: move each parameter to the meta device when its module gets it. Buffers
            stay where they are made, and have their values.

    Raises:
        UnsupportedError: the model has too many parts.
    """
    import torch
    from torch.nn.modules import module as hooks

    thread, parts = threading.get_ident(), 0

    def count() -> bool:
        nonlocal parts
        if threading.get_ident() != thread:
            return False
        parts += 1
        if parts > MOST_PARTS:
            raise UnsupportedError(
                "the model is too large to be built: it has too many layers or experts",
                rules.SCHEMA_CODE,
                found=f"more than {MOST_PARTS:,} modules and parameters",
            )
        return True

    def of_parameter(
        _module: nn.Module, _name: str, parameter: nn.Parameter
    ) -> nn.Parameter | None:
        if not count() or not parameters_on_meta or parameter is None or parameter.is_meta:
            return None
        meta = parameter.detach().to("meta")
        return torch.nn.Parameter(meta, requires_grad=parameter.requires_grad)

    def of_module(_module: nn.Module, _name: str, _child: nn.Module) -> None:
        count()

    handles = (
        # what it returns takes the parameter's place, whatever torch's types say
        hooks.register_module_parameter_registration_hook(of_parameter),  # type: ignore[arg-type]
        hooks.register_module_module_registration_hook(of_module),
    )
    try:
        # initialisers draw numbers, and the caller's own must stay theirs
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def large_on_meta() -> Iterator[None]:
    """Make tensors of more than :data:`LARGE` elements on the meta device, and others as ever.

    What code looks at while it builds, such as a schedule of rates, is small; weights may be
    of any size.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    makers = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn}

    class Large(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            kwargs = kwargs or {}
            if func in makers and kwargs.get("device") is None and _is_large(args, kwargs):
                kwargs = {**kwargs, "device": "meta"}
            return func(*args, **kwargs)

    with Large():
        yield


def _is_large(arguments: tuple[Any, ...], keywords: Mapping[str, Any]) -> bool:
    """Whether the size that a function of torch is given, as one argument or several, is large."""
    size = keywords.get("size", arguments[:1])
    if arguments and not isinstance(arguments[0], (tuple, list)):
        size = arguments
    sizes = size[0] if size and isinstance(size[0], (tuple, list)) else size
    return prod(one for one in sizes if isinstance(one, int)) > LARGE


@contextmanager
def stranger(what: str) -> Iterator[None]:
    """Run code that is not ours: its errors are told as such, and what it prints is no output.

    Args:
        what: what is done, for people: ``my.module:factory could not be called``.

    Raises:
        UnsupportedError: the code raised an error; the message has its type and its words.
    """
    try:
        # standard output is for the report, or for a schema file
        with redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except CkpttoolError:
        raise
    except SystemExit as end:
        if isinstance(end.code, int) and end.code > 128:  # a signal, see __main__
            raise
        raise UnsupportedError(
            f"{what}: it ended with sys.exit({end.code!r})", rules.SCHEMA_CODE, fix=""
        ) from end
    except Exception as error:
        raise UnsupportedError(f"{what}: {said_by(error)}", rules.SCHEMA_CODE) from error


def said_by(error: BaseException) -> str:
    """Return the type of an error and the first line of its message."""
    try:
        lines = str(error).strip().splitlines()
    except Exception:  # noqa: BLE001 (somebody's class)
        lines = []
    kind = type(error).__name__
    if not lines:
        return kind
    text = lines[0].rstrip(":") if len(lines) == 1 else lines[0]
    return printable(f"{kind}: {text[:_LONGEST]}")
