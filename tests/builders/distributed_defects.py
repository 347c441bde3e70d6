"""Folders of torch.distributed.checkpoint with a named defect, and of what is not read."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any, Callable, Dict, Sequence, Tuple

import torch

from tests.builders.distributed import (
    FILE,
    PIECES,
    SHAPES,
    Change,
    archive,
    as_safetensors,
    dump,
    index_of,
    listing,
    metadata,
    place,
    write,
)


def _changed(change: Change) -> Callable[[Path], Path]:
    return lambda folder: write(folder, change=change)


def _set_info(told: Any, index: Tuple[str, Tuple[int, ...]], **values: object) -> None:
    for name, value in values.items():
        setattr(told.storage_data[index_of(*index)], name, value)


def _info(index: Tuple[str, Tuple[int, ...]], **values: object) -> Callable[[Path], Path]:
    return _changed(lambda told: _set_info(told, index, **values))


def _without_place(told: Any) -> None:
    del told.storage_data[index_of("model.weight", (2, 4))]


def _without_chunk(told: Any) -> None:
    del told.state_dict_metadata["model.weight"].chunks[3]
    _without_place(told)


def _doubled(told: Any) -> None:
    chunks = told.state_dict_metadata["model.weight"].chunks
    chunks.append(chunks[0])


def _sizes(name: str, number: int, sizes: Sequence[int]) -> Callable[[Path], Path]:
    def change(told: Any) -> None:
        chunk = told.state_dict_metadata[name].chunks[number]
        told.state_dict_metadata[name].chunks[number] = metadata().ChunkStorageMetadata(
            chunk.offsets, torch.Size(sizes)
        )

    return _changed(change)


def _set_shape(told: Any) -> None:
    told.state_dict_metadata["model.bias"].size = torch.Size([2**60])


def _set_no_elements(told: Any) -> None:
    told.state_dict_metadata["model.bias"].size = torch.Size([0])


def _set_dtype(told: Any) -> None:
    told.state_dict_metadata["model.bias"].properties.dtype = torch.int32


def _set_path(path: Tuple[object, ...]) -> Callable[[Path], Path]:
    return _changed(lambda told: told.planner_data.update({"model.bias": path}))


def _attribute(name: str, value: object) -> Callable[[Path], Path]:
    """Give ``.metadata`` itself another value for an attribute."""
    return _changed(lambda told: setattr(told, name, value))


def _of_bias(name: str, value: object) -> Callable[[Path], Path]:
    """Give the entry of the bias another value for an attribute."""
    return _changed(lambda told: setattr(told.state_dict_metadata["model.bias"], name, value))


def _entry(key: object, value: object) -> Callable[[Path], Path]:
    return _changed(lambda told: told.state_dict_metadata.update({key: value}))


def _entry_twice(told: Any) -> None:
    told.state_dict_metadata = _Twice(told.state_dict_metadata)


def _place_without_name(told: Any) -> None:
    told.storage_data[index_of(5, (0,))] = next(iter(told.storage_data.values()))


class _Stated:
    """Pickled as a chunk with such a state."""

    def __init__(self, *state: object) -> None:
        self._state = state

    def __reduce__(self) -> Tuple[object, ...]:
        return (metadata().ChunkStorageMetadata, (), *self._state)


def _chunk(*state: object) -> Callable[[Path], Path]:
    return _of_bias("chunks", [_Stated(*state)])


def _stated_twice(folder: Path) -> Path:
    path = write(folder)
    path.write_bytes(path.read_bytes()[:-1] + b"}b.")
    return path


def _same_bytes(told: Any) -> None:
    first, second = (index_of("model.weight", (row, 0)) for row in (0, 2))
    told.storage_data[second] = told.storage_data[first]


def _following(folder: Path) -> Path:
    path = write(folder)
    path.write_bytes(path.read_bytes() + b"N.")
    return path


def _no_file(folder: Path) -> Path:
    path = write(folder)
    (folder / "__1_0.distcp").unlink()
    return path


def _linked_out(folder: Path) -> Path:
    path = write(folder)
    outside = folder.parent / "outside.distcp"
    (folder / "__1_0.distcp").replace(outside)
    (folder / "__1_0.distcp").symlink_to(outside)
    return path


def _cut_short(folder: Path) -> Path:
    path = write(folder)
    file = folder / "__1_0.distcp"
    file.write_bytes(file.read_bytes()[:-1])
    return path


def _hard_linked(folder: Path) -> Path:
    path = write(folder)
    (folder / "__1_0.distcp").unlink()
    (folder / "__1_0.distcp").hardlink_to(folder / FILE)
    return path


class _Twice:
    """Pickled as a dictionary with the first of its keys once more at the end."""

    def __init__(self, pairs: Dict[Any, Any]) -> None:
        self._pairs = [*pairs.items(), next(iter(pairs.items()))]

    def __reduce__(self) -> Tuple[object, ...]:
        return OrderedDict, (), None, None, iter(self._pairs)


def _placed_twice(told: Any) -> None:
    told.storage_data = _Twice(told.storage_data)


def _files_exchanged(told: Any) -> None:
    for index, info in told.storage_data.items():
        if index.fqn == "rows":
            info.relative_path = "__1_0.distcp" if info.relative_path == FILE else FILE


def _listed_as_integers(told: Any) -> None:
    told.state_dict_metadata["whole"].properties.dtype = torch.int32


def _overwritten(folder: Path) -> Path:
    path = write(folder)
    file = folder / "__1_0.distcp"
    file.write_bytes(bytes(len(file.read_bytes())))
    return path


def _no_tensor(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    told = listing(PIECES, SHAPES)
    files: Dict[str, bytearray] = {piece.file: bytearray() for piece in PIECES}
    for piece in PIECES:
        value = {"a": 1} if piece.name == "model.scale" else piece.tensor
        place(told, files, piece.file, (piece.name, piece.offsets), archive(value))
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return dump(folder, told)


#: The defect, how it is made, the code of the error, and words of its message.
DEFECTS: Dict[str, Tuple[Callable[[Path], Path], str, str]] = {
    "no-place": (_changed(_without_place), "FIL404", "no place"),
    "chunk-missing": (_changed(_without_chunk), "FIL404", "from [2, 4] on"),
    "chunk-doubled": (_changed(_doubled), "FIL404", "twice"),
    "chunks-overlap": (_sizes("model.weight", 0, (2, 5)), "FIL404", "overlap"),
    "chunk-outside": (_sizes("model.bias", 1, (3,)), "FIL404", "outside"),
    "chunk-smaller": (_sizes("model.bias", 1, (1,)), "FIL404", "from [4] on"),
    "shape-larger": (_changed(_set_shape), "FIL404", "from [5] on"),
    "shape-without-elements": (_changed(_set_no_elements), "FIL404", "outside"),
    "another-type": (_changed(_set_dtype), "FIL404", "not what .metadata says"),
    "bytes-of-two": (_changed(_same_bytes), "FIL404", "share bytes"),
    "offset-outside": (_info(("model.bias", (3,)), offset=2**62), "FIL006", "ends before"),
    "offset-wrong": (_info(("model.bias", (3,)), offset=3), "FIL404", "share bytes"),
    "length-short": (_info(("model.scale", ()), length=999), "FIL404", "no whole archive"),
    "file-cut-short": (_cut_short, "FIL006", "ends before"),
    "file-of-zeros": (_overwritten, "FIL404", "no archive"),
    "file-missing": (_no_file, "FIL404", "not there: __1_0.distcp"),
    "not-a-tensor": (_no_tensor, "FIL404", "holds no tensor"),
    "climbs": (_info(("model.scale", ()), relative_path="../x.distcp"), "FIL403", "below"),
    "absolute": (_info(("model.scale", ()), relative_path="/etc/passwd"), "FIL403", "below"),
    "backslash": (_info(("model.scale", ()), relative_path="..\\x"), "FIL403", "below"),
    "drive": (_info(("model.scale", ()), relative_path="C:x.distcp"), "FIL403", "below"),
    "two-names-of-one-file": (_hard_linked, "FIL404", "is the same file as __0_0.distcp"),
    "two-places": (_changed(_placed_twice), "INT008", "two places for one chunk"),
    "axes-of-another": (_sizes("model.bias", 1, (1, 2)), "FIL403", "another number of axes"),
    "path-begins-with-number": (_set_path((0, "x")), "FIL403", "neither text nor a number"),
    "negative": (_info(("model.scale", ()), offset=-1), "FIL403", "not a file, an offset"),
    "text-for-offset": (_info(("model.scale", ()), offset="0"), "FIL403", "not a file"),
    "paths-meet": (_set_path(("model", "weight")), "FIL403", "same place"),
    "path-through-tensor": (_set_path(("model", "weight", "x")), "FIL403", "through"),
    "path-by-number": (_set_path(("model", 0)), "FIL403", "by a number"),
    "long-list": (_set_path(("other", 10**12)), "FIL005", "longer than the limit"),
    "deep-path": (_set_path(("a",) * 100), "FIL005", "more keys"),
    "safetensors-of-another-chunk": (
        lambda folder: as_safetensors(folder, _files_exchanged),
        "FIL404",
        "another chunk",
    ),
    "safetensors-of-another-type": (
        lambda folder: as_safetensors(folder, _listed_as_integers),
        "FIL404",
        "not what .metadata",
    ),
    "something-follows": (_following, "FIL403", "follows the pickle"),
    "no-entries": (_attribute("state_dict_metadata", None), "FIL403", "no dictionary state_dict"),
    "no-places": (_attribute("storage_data", None), "FIL403", "no dictionary storage_data"),
    "path-a-list": (_attribute("planner_data", {"a": ["a"]}), "FIL403", "keys of a name"),
    "path-empty": (_set_path(()), "FIL403", "keys of a name"),
    "entry-of-neither": (_entry("x", 3), "FIL403", "neither a tensor nor an object"),
    "entry-under-number": (_entry(3, None), "FIL403", "is not a name"),
    "entry-twice": (_changed(_entry_twice), "INT008", "twice"),
    "place-without-name": (_changed(_place_without_name), "FIL403", "has no name"),
    "chunks-no-list": (_of_bias("chunks", None), "FIL403", "no list of chunks"),
    "no-element-type": (_of_bias("properties", None), "FIL403", "no element type"),
    "shape-negative": (_of_bias("size", (-5,)), "FIL403", "the shape has something else"),
    "shape-text": (_of_bias("size", "5"), "FIL403", "the shape has something else"),
    "chunk-without-state": (_chunk(), "FIL403", "a chunk has no attributes"),
    "attribute-twice": (_chunk(_Twice({"offsets": (0,)})), "FIL403", "attribute twice"),
    "attribute-a-number": (_chunk({5: (0,)}), "FIL403", "not a name"),
    "second-state": (_stated_twice, "FIL403", "attribute twice"),
}

#: The same for what is only not read: exit 2.
NOT_READ: Dict[str, Tuple[Callable[[Path], Path], str, str]] = {
    "compressed": (
        _info(("model.scale", ()), transform_descriptors=["stream.zstd/1"]),
        "FIL003",
        "extension",
    ),
    "link-out": (_linked_out, "FIL001", "links"),
}
