"""Converting every state dict of a file, each to a file of its own.

Each is a conversion like any other, with a proof of its own, and is there whole or not at all.
"""

from __future__ import annotations

import os
import re
import unicodedata
from typing import Any, Iterable, Mapping, Sequence

from ckpttool.conversion.convert import convert, destinations
from ckpttool.conversion.naming import file_names, where
from ckpttool.conversion.options import ConvertOptions
from ckpttool.conversion.result import Conversion, Conversions
from ckpttool.files.destination import Destination
from ckpttool.files.suffixes import CLEAN
from ckpttool.findings import rules
from ckpttool.findings.arguments import AnyPath, check_choice, path_of
from ckpttool.findings.errors import CkpttoolError, UsageError
from ckpttool.formats import open_checkpoint
from ckpttool.formats.writing import TARGETS

#: State dicts of one file that are written; more are no models that somebody keeps side by side.
MOST = 1_000
# What a file's name takes of a key, and how many bytes of it.
_ODD, _LONGEST = re.compile(r"[^\w.-]+"), 80
# Files that are written for each state dict, under a name with its key in it, too.
_BESIDE = ("sidecar", "receipt")


def convert_all(
    source: AnyPath, destination: AnyPath | None = None, *, to: str, **options: Any
) -> Conversions:
    """Convert every state dict of a checkpoint, each to a file with its key in the name.

    ``model_ema`` of ``run.ckpt`` becomes ``run.model_ema.safetensors``; one at the root has no key.
    In a key, what no file name may hold, such as ``/``, becomes ``_``, and of two equal names
    the second is numbered. A sidecar and a receipt get the key in the same way.

    Args:
        source: the checkpoint.
        destination: a folder, or the name that the keys are put into; ``None`` for the source's.
        to: as for :func:`ckpttool.convert`, like all other arguments but ``wrapper``.
        options: see there.

    Returns:
        A result for each state dict, the likeliest model first. A file that cannot be read, or is
        of a format without state dicts, has one.

    Raises:
        UsageError: an argument is not valid, a file exists (without ``force``), or two of the
            state dicts have the same key. Then nothing was written.
    """
    path = path_of(source)
    output = None if destination is None else path_of(destination, "the destination")
    return Conversions(tuple(Every([path]).convert(path, output, to=to, **options)))


class Every:
    """Converts every state dict of the files of a run, and no two to the same file."""

    def __init__(self, sources: Sequence[str]) -> None:
        """``sources`` are all files of the run, none of which is replaced."""
        self._sources = {os.path.realpath(path) for path in sources}
        self._taken: set[str] = set()

    def convert(
        self, path: str, output: str | None, *, to: str, **options: Any
    ) -> list[Conversion]:
        """Convert one file; see :func:`convert_all`."""
        _check(options, to)
        (whole,) = destinations([path], ConvertOptions(to, output))
        keys = _keys(path)
        if not keys:  # the conversion tells why, or there are none in such a format
            return [convert(path, whole, to=to, **options)]
        texts = file_texts(keys)
        jobs = [
            (named(whole, text, TARGETS[to].SUFFIX), _own(options, key, text))
            for key, text in texts.items()
        ]
        cleaned = self._look_for_room(jobs, options)
        done = [_without_others(convert(path, result, to=to, **own), keys) for result, own in jobs]
        done[0] = done[0]._replace(cleaned=(*cleaned, *done[0].cleaned))
        return done

    def _look_for_room(
        self, jobs: list[tuple[str, dict[str, Any]]], options: Mapping[str, Any]
    ) -> list[str]:
        """Check all names before the first file is written; return what was cleaned up.

        Raises:
            CkpttoolError: one of them cannot be written, or is another file of the run.
        """
        results = [result for result, _ in jobs]
        results += [own[name] for _, own in jobs for name in _BESIDE if own.get(name) is not None]
        for result in results:
            if where(result) in self._taken or os.path.realpath(result) in self._sources:
                raise UsageError(
                    "it is another file of this run",
                    path=result,
                    fix="Convert the files one by one, or into another folder with -o.",
                )
        with Destination(force=bool(options.get("force"))) as place:
            if not options.get("dry_run"):
                place.clean(results)
            place.check(dict.fromkeys(results, 0))
        self._taken.update(map(where, results))
        return place.cleaned


def _check(options: Mapping[str, Any], to: str) -> None:
    if options.get("wrapper") is not None:
        raise UsageError(
            "one state dict was named, and all of them are to be converted",
            fix="Omit one of them.",
        )
    check_choice(to, TARGETS, "target")
    layout = options.get("layout")
    if layout is not None and file_names(layout).get(to):
        raise UsageError(
            f"a loader of {layout} finds one model in a folder, and all state dicts are to be "
            "converted",
            fix="Convert them one by one, each with its own --wrapper and folder.",
        )


def _keys(path: str) -> tuple[str, ...]:
    """Return the keys of all state dicts of a file; none if it cannot be read.

    Raises:
        UsageError: two have the same key, or there are too many.
    """
    try:
        with open_checkpoint(path) as checkpoint:
            keys = tuple(wrapper.key for wrapper in checkpoint.wrappers)
    except CkpttoolError:
        return ()
    if len(keys) > MOST:
        raise UsageError(
            "more state dicts than are converted at once",
            path=path,
            expected=f"at most {MOST:,}",
            fix="Name those to convert, each with --wrapper.",
        )
    if len(set(keys)) != len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UsageError(
            "two state dicts have the same key once it is written with dots",
            path=path,
            found=repr(twice),
            fix="Name those to convert, each with --wrapper.",
        )
    return keys


def file_texts(keys: Iterable[str]) -> dict[str, str]:
    """Return what each key is in the name of a file: distinct, also where case is ignored."""
    texts: dict[str, str] = {}
    taken: set[str] = set()
    for key in keys:
        text = _ODD.sub("_", unicodedata.normalize("NFC", key)).strip(".")
        text = text.encode()[:_LONGEST].decode(errors="ignore")
        text = text or ("state_dict" if key else "")
        number, first = 1, text
        while text.casefold() in taken:
            number += 1
            text = f"{first}-{number}" if first else str(number)
        taken.add(text.casefold())
        texts[key] = text
    return texts


def named(path: str, text: str, suffix: str | None = None) -> str:
    """Return a path with a text before its suffix: ``run.model_ema.safetensors``."""
    if not text:
        return path
    if suffix is None or not path.endswith(suffix):
        suffix = os.path.splitext(path)[1]  # noqa: PTH122 (keeps the spelling)
    stem = path[: len(path) - len(suffix)]
    if stem.endswith(CLEAN):  # the text makes it another name than the source's
        stem = stem[: -len(CLEAN)]
    return f"{stem}.{text}{suffix}"


def _own(options: Mapping[str, Any], key: str, text: str) -> dict[str, Any]:
    """Return the options of one state dict, with files of its own beside the result."""
    own = {**options, "wrapper": key}
    for name in _BESIDE:
        if own.get(name) is not None:
            own[name] = named(path_of(own[name], f"the {name}"), text)
    return own


def _without_others(converted: Conversion, keys: Sequence[str]) -> Conversion:
    """Return a result without what it says of the state dicts that have results of their own."""
    file = converted.file
    findings = tuple(one for one in file.findings if one.rule is not rules.WRAPPER_CHOICE)
    others = frozenset(keys)
    return converted._replace(
        file=file._replace(findings=findings),
        left_out=tuple(entry for entry in converted.left_out if entry.key not in others),
    )
