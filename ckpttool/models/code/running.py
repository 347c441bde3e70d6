"""The forward pass of a model of somebody's code, with the weights of a checkpoint.

The model is built with parameters on the meta device and buffers that have their values. Then each
tensor is read into memory of its own, and that is the parameter: there is one copy of the weights.
"""

from __future__ import annotations

from collections import abc
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, ContextManager, Iterator, Mapping, NamedTuple, Protocol

from ckpttool.findings.errors import CkpttoolError, UnsupportedError
from ckpttool.findings.names import compress
from ckpttool.findings.results import ForwardSummary
from ckpttool.findings.text import size
from ckpttool.models.code.building import said_by, stranger
from ckpttool.models.family import FULL
from ckpttool.models.forward import not_run, output_summary, require_device
from ckpttool.tensors import gather
from ckpttool.tensors.memory import allocate, available

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ckpttool.tensors.catalogue import TensorInfo

#: Outputs of a model that are reported: some return those of every layer.
MOST_OUTPUTS = 20
_DEEPEST = 4
# Properties of a tensor that have its values.
_VALUES = frozenset({"T", "mT", "H", "mH", "data", "real", "imag"})
_LARGE = 1 << 20  # bytes of a tensor that gets pages of its own


class Inputs(NamedTuple):
    """What a model is called with; ``said`` is for people."""

    said: str
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]


class CannotRunError(Exception):
    """There is no forward pass; the message says why."""


class Runnable(Protocol):
    """A model that can be given weights."""

    def at_work(self) -> ContextManager[None]:
        """Return the surroundings in which its code runs."""

    def loaded(self, tensors: Mapping[str, TensorInfo]) -> nn.Module:
        """Return it with the weights of a file, by the file's names.

        Raises:
            CannotRunError: it is no module, or cannot have them.
        """

    def inputs(self, module: nn.Module, /) -> list[Inputs]:
        """Return what it may be called with; the first that it takes counts."""


def run(
    code: Runnable, tensors: Mapping[str, TensorInfo], inputs: Inputs | None, device: str
) -> ForwardSummary:
    """Run a model once, in evaluation mode.

    Args:
        code: the model.
        tensors: of the file, all that the model demands among them.
        inputs: what to call it with; ``None`` for its own.
        device: as torch names it.

    Returns:
        The outputs that are floating tensors, by the model's own names; ``not-run`` with the
        reason where there are none.

    Raises:
        UsageError: the device does not exist.
        UnreadableError: a file cannot be read or was cut.
    """
    require_device(device)
    needed, free = sum({info.view: info.nbytes for info in tensors.values()}.values()), available()
    if free is not None and needed > free:
        return not_run(f"the weights take {size(needed)}, and {size(free)} of memory is free")
    try:
        with code.at_work(), stranger("could not run"):
            try:
                return _run(code, tensors, inputs, device)
            except CannotRunError as error:
                return not_run(str(error))
    except UnsupportedError as error:  # what the code raised
        return not_run(error.message)


def _run(
    code: Runnable, tensors: Mapping[str, TensorInfo], inputs: Inputs | None, device: str
) -> ForwardSummary:
    import torch

    # whatever the model draws is the same each time, and the caller's own numbers stay theirs
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        module = code.loaded(tensors).eval().to(device)
        attempts = [inputs] if inputs is not None else code.inputs(module)
        if not attempts:
            raise CannotRunError("it is not known what the model is called with: see --example")
        with _watched() as used:
            said, output = _first_that_fits(module, attempts, device)
        outputs = {
            name: output_summary(tensor, projected=False)
            for (name, tensor), _ in zip(_floating(output, ""), range(MOST_OUTPUTS))
        }
    if not outputs:
        raise CannotRunError("the model returned no floating tensor that could be looked at")
    return ForwardSummary(
        "run",
        scope=FULL,
        device=device,
        outputs=outputs,
        inputs=said,
        unused=tuple(compress(_unused(module, used))),
    )


@contextmanager
def _watched() -> Iterator[set[int]]:
    """Collect the ids of the tensors that functions of torch are given."""
    from torch.overrides import TorchFunctionMode

    used: set[int] = set()

    class Watch(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            kwargs = kwargs or {}
            if not _asks_of(func):
                used.update(_ids(args))
                used.update(_ids(tuple(kwargs.values())))
            return func(*args, **kwargs)

    with Watch():
        yield used


def _asks_of(function: Any) -> bool:
    """Whether a function is of a tensor's shape, type or place, which is no use of its values."""
    name = getattr(getattr(function, "__self__", None), "__name__", "")
    return getattr(function, "__name__", "") == "__get__" and name not in _VALUES


def _ids(arguments: Any) -> Iterator[int]:
    for one in arguments:
        if isinstance(one, (tuple, list)):  # the weights of an LSTM
            yield from _ids(one)
        else:
            yield id(one)


def _unused(module: nn.Module, used: set[int]) -> list[str]:
    """Return the outermost modules of which no weight was used, and single weights elsewhere."""
    if not any(id(one) in used for one in module.parameters()):
        return [""] if any(True for _ in module.parameters()) else []
    own = [name for name, one in module.named_parameters(recurse=False) if id(one) not in used]
    return own + [
        f"{name}.{inner}" if inner else name
        for name, child in module.named_children()
        for inner in _unused(child, used)
    ]


def _first_that_fits(module: nn.Module, attempts: list[Inputs], device: str) -> tuple[str, Any]:
    failed: Exception | None = None
    for said, arguments, keywords in attempts:
        try:
            return said, module(*_moved(arguments, device), **_moved(dict(keywords), device))
        except CkpttoolError:  # of the file
            raise
        except Exception as error:  # noqa: BLE001 (told below)
            failed = failed or error
    raise CannotRunError(
        f"could not run with {attempts[0].said}: {said_by(failed or Exception())}"
    ) from failed


def _moved(value: Any, device: str) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {key: _moved(one, device) for key, one in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_moved(one, device) for one in value)
    return value


def _floating(value: Any, name: str, depth: int = 0) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the floating tensors in what a model returned, with their names or places."""
    import torch

    if isinstance(value, torch.Tensor):
        if value.is_complex():
            value = torch.view_as_real(value)
        if value.is_floating_point() and value.numel():
            yield name or "output", value
        return
    if depth == _DEEPEST:
        return
    parts: list[tuple[Any, Any]] = []
    if isinstance(value, abc.Mapping):
        parts = list(value.items())
    elif isinstance(value, (tuple, list)):
        names = getattr(value, "_fields", range(len(value)))
        parts = list(zip(names, value))
    elif is_dataclass(value):
        parts = [(field.name, getattr(value, field.name, None)) for field in fields(value)]
    for key, part in parts:
        yield from _floating(part, f"{name}.{key}" if name else str(key), depth + 1)


# --- weights -----------------------------------------------------------------------------


def fill(module: nn.Module, tensors: Mapping[str, TensorInfo]) -> nn.Module:
    """Give a module its weights, and return it.

    Args:
        module: with parameters on the meta device; the type of each is what its tensor is read as.
        tensors: by the names of its state dict; a tied one may be under any of its names.

    Raises:
        CannotRunError: a name is none of a parameter or buffer, or one is left without a value.
        UnreadableError: a file cannot be read or was cut.
    """
    # not load_state_dict: its assign= is younger than torch 2.0, and without it all is copied
    owners = dict(module.named_modules(remove_duplicate=False))  # one may have several names
    places: dict[int, list[str]] = {}
    wanted = module.state_dict(keep_vars=True)
    for name, tensor in wanted.items():
        places.setdefault(id(tensor), []).append(name)
    for names in places.values():
        stored = next((name for name in names if name in tensors), None)
        if stored is None:
            raise CannotRunError(f"{names[0]} has no value")
        like = wanted[names[0]]
        given: Any = None
        for name in names:
            home, _, leaf = name.rpartition(".")
            owner = owners.get(home)
            table = _table_of(owner, leaf)
            if table is None:
                raise CannotRunError(f"{name} of its state dict is neither parameter nor buffer")
            if given is None:
                given = read(tensors[stored], like.dtype)
                if table is owner._parameters:  # type: ignore[union-attr]  # a table is of one
                    given = _parameter(given)
            table[leaf] = given
    left = [name for name, tensor in module.named_parameters() if tensor.is_meta]
    left += [name for name, tensor in module.named_buffers() if tensor.is_meta]
    if left:
        raise CannotRunError(f"{left[0]} has no value")
    return module


def _table_of(owner: nn.Module | None, leaf: str) -> Any:
    for table in () if owner is None else (owner._parameters, owner._buffers):
        if leaf in table:
            return table
    return None


def _parameter(tensor: torch.Tensor) -> nn.Parameter:
    from torch import nn

    return nn.Parameter(tensor, requires_grad=False)


def read(info: TensorInfo, dtype: torch.dtype) -> torch.Tensor:
    """Return a tensor of a file in memory of its own, as ``dtype``.

    Raises:
        CannotRunError: this torch does not know the type that it is stored in.
        UnreadableError: the file cannot be read or was cut.
    """
    import torch

    stored = getattr(torch, info.dtype.name, None)
    if not isinstance(stored, torch.dtype):
        raise CannotRunError(f"this torch has no {info.dtype.name}")
    if not info.nbytes:
        return torch.empty(info.shape, dtype=dtype)
    # a mapping for each of 100,000 small ones would be more than a process may have
    large = info.nbytes >= _LARGE
    memory = allocate(info.nbytes) if large else memoryview(bytearray(info.nbytes))
    gather.fill(info, 0, memory)
    return torch.frombuffer(memory, dtype=stored).reshape(info.shape).to(dtype)
