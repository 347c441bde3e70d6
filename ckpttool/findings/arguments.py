"""Checks of callers' arguments: every mistake is a :class:`UsageError`."""

from __future__ import annotations

import os
from collections import abc
from contextlib import suppress
from datetime import date, datetime
from typing import Collection, Iterable, Mapping, Union

from ckpttool.findings.errors import UsageError
from ckpttool.findings.text import meant

#: A path as functions of the API take it.
AnyPath = Union[str, "os.PathLike[str]"]


def path_of(path: AnyPath, what: str = "the path") -> str:
    """Return a path as text, the only form that is used inside."""
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str):
        raise UsageError(
            f"{what} is not text",
            expected="str or os.PathLike",
            found=type(text).__name__,
            fix="os.fsdecode makes text of bytes." if isinstance(text, bytes) else None,
        )
    if not text:  # os.fspath("") and Path("") differ: the latter is the working folder
        raise UsageError(f"{what} is empty", fix="Name a file.")
    with suppress(UnicodeEncodeError):  # half of a surrogate pair that stands for no byte
        if b"\0" not in os.fsencode(text):
            return text
    raise UsageError(f"{what} is not valid for a file", found=repr(text))


def paths_of(paths: Union[AnyPath, Iterable[AnyPath]]) -> tuple[str, ...]:
    """Return one path or several as text."""
    # text and bytes are iterable, but are one path; path_of refuses what is none
    if isinstance(paths, (str, bytes, os.PathLike)) or not isinstance(paths, Iterable):
        return (path_of(paths),)
    return tuple(map(path_of, paths))


def texts_of(texts: Union[str, Iterable[str]], what: str) -> tuple[str, ...]:
    """Return one text or several, for example patterns, as a tuple."""
    if isinstance(texts, str):
        return (texts,)
    found = tuple(texts) if isinstance(texts, Iterable) else (texts,)
    for text in found:
        if not isinstance(text, str):
            raise wrong(what, "texts", text)
    return found


def groups_of(groups: Mapping[str, Iterable[str]], what: str) -> dict[str, tuple[str, ...]]:
    """Return groups of names with their patterns, each group with one at least."""
    check_type(groups, abc.Mapping, what)
    found: dict[str, tuple[str, ...]] = {}
    places: dict[str, str] = {}
    for group, patterns in groups.items():
        if not isinstance(group, str) or not group:
            raise wrong(f"a name in {what}", "a text that is not empty", group)
        found[group] = texts_of(patterns, f"{what}.{group}")
        if not all(found[group]) or not found[group]:
            raise wrong(f"{what}.{group}", "patterns that are not empty, one at least", patterns)
        for pattern in found[group]:
            if places.setdefault(pattern, group) != group:
                raise UsageError(
                    f"the pattern {pattern} is in two groups", found=f"{places[pattern]}, {group}"
                )
    return found


def pairs_of(texts: Mapping[str, str], what: str) -> tuple[tuple[str, str], ...]:
    """Return a mapping of texts as pairs."""
    check_type(texts, abc.Mapping, what)
    for text in (*texts, *texts.values()):
        check_type(text, str, what)
    return tuple(texts.items())


def trusted_of(names: Union[str, Iterable[str]], what: str) -> tuple[str, ...]:
    """Return names of trusted code, each below a package; they may have wildcards there."""
    found = texts_of(names, what)
    for name in found:
        package, _, rest = name.partition(".")
        # without a package it would trust anything
        if not (package.isidentifier() and rest):
            raise wrong(what, "names below a package, for example mypackage.*", name)
    return found


def check_text(text: object, what: str) -> None:
    """Refuse a value that is no text; ``None`` is fine."""
    if text is not None and not isinstance(text, str):
        raise wrong(what, "text", text)


def check_choice(value: object, choices: Collection[str], what: str) -> None:
    """Refuse a value that is none of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise UsageError(
            f"no such {what}: {value!r}",
            fix=meant(str(value), choices) or f"Choose {' or '.join(choices)}.",
        )


def check_number(value: object, least: float, what: str, *, whole: bool = False) -> None:
    """Refuse a value that is no finite number of at least ``least``; ``None`` is fine."""
    if value is None:
        return
    kinds = int if whole else (int, float)
    if (
        isinstance(value, bool)  # an int to Python
        or not isinstance(value, kinds)
        # NaN is not at least anything
        or not least <= value < float("inf")
    ):
        expected = f"a {'whole' if whole else 'finite'} number of at least {least}"
        raise wrong(what, expected, value)


def check_workers(workers: object) -> None:
    """Refuse a number of workers below 1."""
    check_number(workers, 1, "workers", whole=True)


# Executors whose tasks run elsewhere, by name: to import them takes longer than most commands.
_ELSEWHERE = frozenset({"ProcessPoolExecutor", "InterpreterPoolExecutor"})


def check_executor(executor: object) -> None:
    """Refuse what is no executor, was shut down, or runs calls in other processes."""
    # tasks refer to open files and share buffers, which other processes do not have
    if executor is None:
        return
    if not callable(getattr(executor, "submit", None)):
        raise wrong("executor", "a concurrent.futures.Executor", executor)
    if _ELSEWHERE & {kind.__name__ for kind in type(executor).__mro__}:
        raise UsageError(
            "the executor runs its calls in other processes or interpreters",
            expected="one that runs them in this process",
            found=type(executor).__name__,
            fix="Pass a ThreadPoolExecutor.",
        )
    try:
        # only a call tells; later the error would look like one of the file
        executor.submit(bool).cancel()  # type: ignore[attr-defined]  # it is callable: above
    except RuntimeError as error:
        if "shutdown" in str(error):
            reason = "the executor was shut down and takes no more calls"
            raise UsageError(reason, fix="Pass one that is still open.") from error
        raise


def check_progress(progress: object) -> None:
    """Refuse what cannot be told how far a pass is; ``None`` is fine."""
    told = all(callable(getattr(progress, name, None)) for name in ("start", "advance"))
    if progress is not None and not told:
        raise wrong("progress", "an object with start(total) and advance(nbytes)", progress)


def check_day(day: object, what: str) -> None:
    """Refuse a value that is no date; ``None`` is fine."""
    # a datetime is a date to Python, and cannot be compared with one
    if day is not None and (not isinstance(day, date) or isinstance(day, datetime)):
        raise wrong(what, "a datetime.date", day)


def check_type(value: object, kind: type, what: str) -> None:
    """Refuse what is of another class, one of ``collections.abc`` and not of ``typing``."""
    if not isinstance(value, kind):
        raise wrong(what, f"a {kind.__name__}", value)


def check_flags(flags: Mapping[str, object]) -> None:
    """Refuse a flag that is neither ``True`` nor ``False``."""
    # "no" would count as true
    for what, value in flags.items():
        if not isinstance(value, bool):
            raise wrong(what, "True or False", value)


def wrong(what: str, expected: str, found: object, fix: str | None = None) -> UsageError:
    """Return the error for a value that is not allowed."""
    return UsageError(f"{what} is wrong", expected=expected, found=repr(found), fix=fix)
