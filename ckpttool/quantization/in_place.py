"""The tensors of a file with its quantized weights decoded, in the place of their codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Iterator, Mapping, NamedTuple, Sequence

from ckpttool.findings.text import printable
from ckpttool.quantization.decoding import decoded
from ckpttool.quantization.undoing import Refused, undo

if TYPE_CHECKING:
    from ckpttool.quantization.codes import Coded
    from ckpttool.quantization.packed import Packed
    from ckpttool.quantization.recognise import Contents
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.dtypes import DType

_NO_CODES = "it holds no codes, and {} beside it"
_NARROW = "it has no scale, and nothing says whether it lost one or is a plain cast to {}"


class Decoded(NamedTuple):
    """The tensors of a file with its quantized weights decoded.

    Attributes:
        tensors: name to tensor. Weights that are not decoded are there as they lie in the file.
        packed: the weights that are decoded, by name.
        coded: what each of them is decoded with.
        refused: name of a weight that is not -> why, and the names of what is there of it.
    """

    tensors: dict[str, TensorInfo]
    packed: Mapping[str, Packed]
    coded: Mapping[str, Coded]
    refused: Mapping[str, tuple[Refused, frozenset[str]]]

    def made_of(self, name: str) -> tuple[TensorInfo, ...]:
        """Return the tensors of the file that a weight is made of; none of another tensor."""
        packed = self.packed.get(name)
        return tuple(packed.parts.values()) if packed else ()


def decode(
    tensors: Mapping[str, TensorInfo],
    contents: Contents,
    dtype: DType,
    wanted: Callable[[str], bool] = lambda _: True,
) -> Decoded:
    """Put decoded weights in the place of their codes; their other parts go.

    Args:
        tensors: those of a file.
        contents: what is quantized of them.
        dtype: the type of the decoded weights.
        wanted: whether a weight is to be decoded; others stay as they are.

    Raises:
        CkpttoolError: a part that says how a weight is stored cannot be read.
    """
    packed: dict[str, Packed] = {}
    coded: dict[str, Coded] = {}
    refused = dict(_left_over(contents))
    places: dict[str, TensorInfo] = {}
    # tied weights have the same parts, and stay tied
    known: dict[object, TensorInfo] = {}
    for name, one in contents.packed.items():
        if not wanted(name):
            continue
        found = undo(one)
        if name in tensors and one.codes.name != name:
            found = Refused("a tensor of its name is beside its codes", (name,))
        if isinstance(found, Refused):
            refused[name] = found, frozenset(info.name for info in one.parts.values())
            continue
        same = (one.scheme, *((info.view, what) for what, info in sorted(one.parts.items())))
        shape = one.shape if one.shape is not None else one.codes.shape
        made = known.setdefault(same, decoded(name, found, shape, dtype))
        packed[name], coded[name] = one, found
        places[one.codes.name] = made if made.name == name else made._replace(name=name)
    gone = {info.name for one in packed.values() for info in one.parts.values()}
    result = {}
    for name, info in tensors.items():
        made = places.get(name, info)
        if name in places or name not in gone:
            result[made.name] = made
    return Decoded(result, packed, coded, refused)


def _left_over(contents: Contents) -> Iterator[tuple[str, tuple[Refused, frozenset[str]]]]:
    """Yield what looks quantized and is no whole weight, by the name of the weight."""
    for name, refused in _reasons(contents):
        yield name, (refused, frozenset(refused.tensors))


def _reasons(contents: Contents) -> Iterator[tuple[str, Refused]]:
    for name, infos in contents.orphans.items():
        names = tuple(info.name for info in infos)
        yield name, Refused(f"its codes are missing: there is only {_listed(names)}", names)
    for name, infos in contents.beside.items():
        names = tuple(info.name for info in infos)
        word = "is" if len(names) == 1 else "are"
        reason = _NO_CODES.format(f"{_listed(names)} {word}")
        yield name, Refused(reason, (name, *names))
    for name, info in contents.narrow.items():
        yield name, Refused(_NARROW.format(info.dtype.name), (name,))


def _listed(names: Sequence[str]) -> str:
    shown = " and ".join(map(printable, names[:2]))
    return shown + (f" and {len(names) - 2:,} more" if len(names) > 2 else "")
