"""Errors of the environment: broken packages, and limits of the system.

They say nothing about a checkpoint, so they end a run with "cannot tell" (exit 2); every other
unexpected error is a bug (exit 3). This module imports nothing but Python's own modules, since
click may be what is broken.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from typing import TYPE_CHECKING, Iterator

if TYPE_CHECKING:
    from types import TracebackType

_OURS = ("ckpttool", "mae", "__main__")
_LONGEST = 300  # characters of a foreign message; some have pages

# Messages of the system, the dynamic loader and torch when memory or address space is used up.
# They come as ImportError, OSError or RuntimeError, with nothing but the text to tell.
_NO_MEMORY = re.compile(
    r"failed to map segment|can(?:not|'t) allocate memory|not enough memory"
    r"|unable to allocate|out of memory|std::bad_alloc",
    re.IGNORECASE,
)
_ORIGINAL = re.compile(r"original error was:\s*(.+)", re.IGNORECASE)
_OF_A_MODULE = re.compile(r"(?:partially initialized )?module '([^']+)' has no attribute")
_FULL = (errno.EMFILE, errno.ENFILE, errno.EAGAIN)
# These mean that the program passed wrong arguments to the system: a bug, not an environment.
_A_BUG = (errno.EBADF, errno.EFAULT, errno.EINVAL, errno.ENOTTY)


def breakdown(error: BaseException) -> str | None:
    """Return what failed and what to do about it, in one line; ``None`` for a bug of ckpttool."""
    package, reason = _package(error), _reason(error)
    # memory first: it makes imports fail in many ways, and a new installation would not help
    if isinstance(error, MemoryError):
        return "there is not enough memory."
    if isinstance(error, SystemError):  # CPython raises it if an allocation fails in bad places
        return f"Python or an extension module broke off: {reason}. There may be too little memory."
    if _is_of_memory(error, reason, package):
        return f"there is not enough memory{f' to load {package}' if package else ''}: {reason}."
    if _is_limit(error):
        return f"{reason}: that is as many as the system allows. See ulimit -a."
    if package is not None:
        return f"{package} cannot be used: {reason}. {_fix(package)}"
    if isinstance(error, OSError) and error.errno is not None and error.errno not in _A_BUG:
        names = [os.fsdecode(name) for name in (error.filename,) if isinstance(name, (str, bytes))]
        return ": ".join([*(name[:_LONGEST] for name in names), error.strerror or reason]) + "."
    # a path given to a function of os, for example under LC_ALL=C
    if isinstance(error, UnicodeEncodeError) and error.encoding == _file_encoding():
        name = str(error.object)[:_LONGEST]
        return (
            f"{name!r} cannot be a path here: the system's encoding is {error.encoding}. "
            "Set LC_ALL=C.UTF-8 or PYTHONUTF8=1."
        )
    return None


def _file_encoding() -> str:
    return sys.getfilesystemencoding()


def _reason(error: BaseException) -> str:
    """Return the first line of an error's message that is not empty, shortened."""
    if isinstance(error, SystemExit):  # raised while a package is imported
        return "it ends the process that loads it"
    text = str(error)
    original = _ORIGINAL.search(text)  # numpy's, after a page of advice
    lines = [line.strip() for line in (original.group(1) if original else text).splitlines()]
    told = next(filter(None, lines), type(error).__name__)
    return told[:_LONGEST].rstrip(" .:")


def _is_of_memory(error: BaseException, reason: str, package: str | None) -> bool:
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    # a ValueError of ckpttool's own, for example, may mention memory for other reasons
    ours_to_judge = package is not None or isinstance(error, (RuntimeError, OSError))
    return ours_to_judge and _NO_MEMORY.search(f"{reason} {error}") is not None


def _is_limit(error: BaseException) -> bool:
    """Whether the system refused a further descriptor, process or thread."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    return isinstance(error, RuntimeError) and str(error) == "can't start new thread"


def _package(error: BaseException) -> str | None:
    """Return the package whose import failed, or that lacks an attribute of every version."""
    for name in (*_imports(error.__traceback__), *_named(error)):
        top = name.partition(".")[0]
        if top and top not in _OURS:
            return top
    return None


def _imports(traceback: TracebackType | None) -> Iterator[str]:
    """Yield the modules that were being imported in the frames of a traceback.

    By the import instruction, since a broken module may have no frame and an extension never has.
    And by the frame of a module's own code, since an extension imports without an instruction.
    """
    import dis  # late: for errors only

    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code.co_name == "<module>" and frame.f_globals.get("__spec__") is not None:
            yield str(frame.f_globals.get("__name__", ""))
        for instruction in dis.get_instructions(frame.f_code):
            if instruction.offset == traceback.tb_lasti and instruction.opname == "IMPORT_NAME":
                yield str(instruction.argval)
        traceback = traceback.tb_next


def _named(error: BaseException) -> Iterator[str]:
    if isinstance(error, SyntaxError):  # imported by an extension, it has no frame at all
        yield _module_at(error.filename or "")
    if isinstance(error, ImportError):
        yield error.name or ""
    lacking = _OF_A_MODULE.match(str(error)) if isinstance(error, AttributeError) else None
    if lacking:
        yield lacking.group(1)


def _module_at(path: str) -> str:
    """Return the top package of a source file, according to ``sys.path``."""
    for folder in sys.path:
        if folder and path.startswith(os.path.join(folder, "")):  # noqa: PTH118 (plain text)
            return path[len(folder) :].lstrip(os.sep).partition(os.sep)[0].partition(".")[0]
    return ""


def _fix(package: str) -> str:
    # pip cannot install a module of Python itself, which a build without its library lacks
    if package in getattr(sys, "stdlib_module_names", ()):  # of Python 3.10
        return "It is a part of Python: use an interpreter that was built with it."
    return f"Install it again: python -m pip install --force-reinstall {package}."
