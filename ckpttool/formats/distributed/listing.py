"""What the ``.metadata`` of torch.distributed.checkpoint lists: tensors, their chunks, and places.

It is a pickle of ``torch.distributed.checkpoint.metadata.Metadata``, whose attributes are read here
from inert nodes. ``state_dict_metadata`` has an entry for each flat name; ``storage_data`` says for
each chunk in which file its bytes lie; ``planner_data`` has the keys that a flat name was made of.
Releases up to 2.2 have the properties of tensors in another module, and neither ``version`` nor
``storage_meta``.
"""

from __future__ import annotations

from typing import Dict, Iterator, NamedTuple, Optional, Tuple, Union

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError, UnsupportedError
from ckpttool.findings.text import printable
from ckpttool.formats.distributed.telling import MODULE
from ckpttool.formats.objects.attributes import MAX_DIMENSIONS
from ckpttool.formats.objects.storages import is_natural
from ckpttool.formats.pickles.dictionaries import pairs_of
from ckpttool.formats.pickles.nodes import Call, Global, Node, pair_of

_METADATA = (MODULE, "Metadata")
_BYTES = (MODULE, "BytesStorageMetadata")
_TENSOR = (MODULE, "TensorStorageMetadata")
_SIZE = ("torch", "Size")
_STRIDED = "torch.strided"

# What is read of a Metadata; whatever else it has is listed.
_READ = frozenset({"state_dict_metadata", "planner_data", "storage_data"})

Offsets = Tuple[int, ...]
#: A flat name, and where in the tensor the chunk begins; ``None`` for an object that is no tensor.
Index = Tuple[str, Optional[Offsets]]


class Chunk(NamedTuple):
    """A box of a tensor: the index of its first element, and how many it has along each axis."""

    offsets: Offsets
    sizes: Offsets


class ListedTensor(NamedTuple):
    """A tensor: the name of its element type, whether it is strided, its shape and chunks."""

    dtype: Global
    strided: bool
    shape: Offsets
    chunks: tuple[Chunk, ...]


class Place(NamedTuple):
    """Where bytes lie: a file beside ``.metadata``, and what they were transformed by."""

    file: str
    offset: int
    length: int
    transforms: bool


class Listing(NamedTuple):
    """What ``.metadata`` lists.

    Attributes:
        items: by flat name, in order: a tensor, or ``None`` for another object.
        places: where each chunk and object lies.
        paths: the keys that flat names were made of; a list's are integers.
        about: the other attributes, by name.
    """

    items: Dict[str, Optional[ListedTensor]]
    places: Dict[Index, Place]
    paths: Dict[str, Tuple[Union[str, int], ...]]
    about: Dict[str, Node]


def listing_of(root: Node) -> Listing:
    """Return what the root of a pickle lists.

    Raises:
        MalformedError: it lacks what is needed, or has it in another form.
        UnsupportedError: it is no ``Metadata``.
    """
    if not isinstance(root, Call) or pair_of(root.function) != _METADATA:
        raise UnsupportedError(
            "the file is a pickle of a part of .metadata",
            rules.UNSUPPORTED,
            fix="Name the folder of the checkpoint, or its .metadata.",
        )
    attributes = _attributes(root, "Metadata")
    items = dict(_items(attributes.get("state_dict_metadata")))
    places = dict(_places(attributes.get("storage_data")))
    paths = dict(_paths(attributes.get("planner_data")))
    about = {name: node for name, node in attributes.items() if name not in _READ}
    return Listing(items, places, paths, about)


def _items(node: Node) -> Iterator[tuple[str, ListedTensor | None]]:
    for name, value in _entries(node, "state_dict_metadata"):
        kind = pair_of(value.function) if isinstance(value, Call) else None
        if kind == _BYTES:
            yield name, None
        elif kind == _TENSOR:
            try:
                yield name, _tensor(value)
            except MalformedError as error:
                error.tensor = name
                raise
        else:
            raise _bad("an entry is neither a tensor nor an object", tensor=name)


def _tensor(node: Call) -> ListedTensor:
    attributes = _attributes(node, "a tensor's entry")
    dtype, strided = _properties(attributes.get("properties"))
    shape = _natural_numbers(attributes.get("size"), "shape")
    chunks = attributes.get("chunks")
    if not isinstance(chunks, list):
        raise _bad("a tensor has no list of chunks")
    return ListedTensor(dtype, strided, shape, tuple(_chunk(one, len(shape)) for one in chunks))


def _properties(node: Node) -> tuple[Global, bool]:
    """Return the element type, and whether the layout is strided."""
    # a tuple: (dtype, layout, requires_grad, memory format, pin_memory)
    state = node.states[0] if isinstance(node, Call) and node.states else None
    if type(state) is not tuple or not state or type(state[0]) is not Global:
        raise _bad("the properties of a tensor have no element type")
    layout = state[1] if len(state) > 1 else None
    named = layout.args[:1] if isinstance(layout, Call) else (str(layout),)
    return state[0], named == (_STRIDED,)


def _chunk(node: Node, dimensions: int) -> Chunk:
    attributes = _attributes(node, "a chunk")
    offsets = _natural_numbers(attributes.get("offsets"), "offsets of a chunk")
    sizes = _natural_numbers(attributes.get("sizes"), "sizes of a chunk")
    if len(offsets) != dimensions or len(sizes) != dimensions:
        raise _bad(
            "a chunk has another number of axes than its tensor",
            expected=dimensions,
            found=f"{len(offsets)} offsets, {len(sizes)} sizes",
        )
    return tuple.__new__(Chunk, (offsets, sizes))  # not by the class: there may be a million


def _places(node: Node) -> Iterator[tuple[Index, Place]]:
    pairs = pairs_of(node)
    if pairs is None:
        raise _bad("there is no dictionary storage_data: it says where the chunks lie")
    seen: set[Index] = set()
    for key, value in pairs:
        index = _index(key)
        if index in seen:
            raise MalformedError(
                "storage_data has two places for one chunk, and readers take the last one",
                rules.DUPLICATE_KEY,
                tensor=index[0],
                found=_shown(index[1]),
            )
        seen.add(index)
        try:
            yield index, _place(value)
        except MalformedError as error:
            error.tensor = index[0]
            raise


def _index(node: Node) -> Index:
    attributes = _attributes(node, "a MetadataIndex")
    name, offset = attributes.get("fqn"), attributes.get("offset")
    if type(name) is not str:
        raise _bad("a key of storage_data has no name")
    return name, None if offset is None else _natural_numbers(offset, "offset of a key")


def _place(node: Node) -> Place:
    attributes = _attributes(node, "a place in storage_data")
    file, offset, length = (attributes.get(one) for one in ("relative_path", "offset", "length"))
    if type(file) is not str or not is_natural(offset) or not is_natural(length):
        raise _bad("a place in storage_data is not a file, an offset and a length")
    transforms = attributes.get("transform_descriptors") not in (None, (), [])
    return tuple.__new__(Place, (file, offset, length, transforms))


def _paths(node: Node) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """Yield the keys of each flat name; nothing where a planner of its own keeps other data."""
    if pairs_of(node) is None:
        return
    for name, path in _entries(node, "planner_data"):
        if type(path) is not tuple or not path:
            raise _bad("planner_data has something else than the keys of a name", tensor=name)
        if not all(type(key) is str or is_natural(key) for key in path) or type(path[0]) is int:
            raise _bad("a key in planner_data is neither text nor a number", tensor=name)
        yield name, path


# --- objects as nodes ----------------------------------------------------------------------


def _attributes(node: Node, what: str) -> dict[str, Node]:
    """Return the attributes of an object by name."""
    state = node.states[0] if isinstance(node, Call) and node.states else None
    pairs = pairs_of(state)
    if pairs is None:
        raise _bad(f"{what} has no attributes")
    attributes = {key: value for key, value in pairs if type(key) is str}
    # readers take the last of two, and a second state
    if len(attributes) != len(pairs) or len(node.states) != 1:
        raise _bad(f"{what} has an attribute twice, or one that is not a name")
    return attributes


def _entries(node: Node, what: str) -> Iterator[tuple[str, Node]]:
    pairs = pairs_of(node)
    if pairs is None:
        raise _bad(f"there is no dictionary {what}")
    seen: set[str] = set()
    for key, value in pairs:
        if type(key) is not str:
            raise _bad(f"a key of {what} is not a name", found=type(key).__name__)
        if key in seen:
            raise MalformedError(
                f"{what} has {printable(key)} twice, and readers differ in which one they take",
                rules.DUPLICATE_KEY,
            )
        seen.add(key)
        yield key, value


def _natural_numbers(node: Node, what: str) -> tuple[int, ...]:
    """Return the numbers of a ``torch.Size``, or of a plain sequence."""
    if type(node) is Call and pair_of(node.function) == _SIZE and len(node.args) <= 1:
        node = node.args[0] if node.args else ()
    known = isinstance(node, (tuple, list)) and len(node) <= MAX_DIMENSIONS
    if known and all(map(is_natural, node)):
        return tuple(node)
    raise _bad(f"the {what} has something else than integers from 0 up")


def _shown(offsets: Offsets | None) -> str:
    return "an object" if offsets is None else f"the chunk at {list(offsets)}"


def _bad(
    message: str,
    *,
    tensor: str | None = None,
    expected: object = None,
    found: object = None,
) -> MalformedError:
    return MalformedError(
        message, rules.DISTRIBUTED_METADATA, tensor=tensor, expected=expected, found=found
    )
