"""What is said of a path at which no file is: the nearest name there, or how to download it."""

from __future__ import annotations

import os
import re
from difflib import SequenceMatcher
from itertools import islice
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

# Names of a folder that are compared; more would take longer than a person waits for an error.
_COMPARED = 1000
# A name that differs in more than this is another one.
_CLOSE = 0.6

_URL = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
# An owner and a name, as the Hugging Face hub has them.
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_HUB = "huggingface.co"
_KINDS = {"datasets": "dataset", "spaces": "space"}
_DOWNLOADERS = {"s3": "aws s3 cp", "gs": "gcloud storage cp"}


class Missing(NamedTuple):
    """Why there is nothing at a path, and what to do about it; ``None`` if nothing is known."""

    reason: str
    fix: str | None


def missing(path: str) -> Missing:
    """Return what is said of a path at which no file is."""
    scheme = _URL.match(path)
    if scheme is not None:
        reason = "this is a URL, and only local files are read"
        return Missing(reason, _download(path, scheme.group(1).lower()))
    if os.path.lexists(path):
        return Missing("a link to a file that is not there", None)
    near = nearest(path)
    if near is not None:
        return Missing("no such file", f"Did you mean {near}?")
    # with a folder of that name, it is a path; an ending would be one of a file
    owner, _, name = path.partition("/")
    if _HUB_ID.fullmatch(path) and not os.path.isdir(owner) and not _ending(name):  # noqa: PTH112
        return Missing("no such file", f"From the Hugging Face hub, download it first: {_hf(path)}")
    return Missing("no such file", None)


def nearest(path: str) -> str | None:
    """Return the path that exists and is spelled most like one that does not; ``None`` if none."""
    parts = path.replace(os.sep, "/").split("/")
    found = ""
    for number, part in enumerate(parts):
        is_last = number == len(parts) - 1
        name = _named_like(found, part, folders=not is_last)
        if name is None:
            return None
        found += name if is_last else f"{name}/"
    return found or None


def _named_like(folder: str, name: str, folders: bool) -> str | None:
    """Return the name of an entry in a folder: itself, or the most alike; ``None`` if none is."""
    if name in ("", ".", "..") or os.path.lexists(folder + name):
        return name
    try:
        with os.scandir(folder or os.curdir) as entries:
            names = [one.name for one in islice(entries, _COMPARED) if one.is_dir() or not folders]
    except (OSError, ValueError):
        return None
    alike, best = max(((_likeness(name, one), one) for one in sorted(names)), default=(0.0, None))
    return best if alike >= _CLOSE else None


def _likeness(name: str, other: str) -> float:
    """Return how much two names are alike, from 0 to 1."""
    stem, ending = os.path.splitext(name)  # noqa: PTH122 (the text as it is)
    other_stem, other_ending = os.path.splitext(other)  # noqa: PTH122
    if ending == other_ending:  # which then says nothing
        name, other = stem, other_stem
    matcher = SequenceMatcher(None, name.lower(), other.lower(), autojunk=False)
    # what takes longer is left out where it cannot be close
    if min(matcher.real_quick_ratio(), matcher.quick_ratio()) < _CLOSE:
        return 0.0
    return matcher.ratio()


def _ending(name: str) -> str:
    return os.path.splitext(name)[1] if re.search(r"\.[a-z]\w*$", name) else ""  # noqa: PTH122


def _download(url: str, scheme: str) -> str | None:
    """Return how to download what a URL names; ``None`` where nothing is known."""
    if scheme == "file":
        return f"Name the path: {unquote(urlsplit(url).path)}"
    if scheme == "hf":
        return _from_hub(url[len("hf://") :])
    if scheme in _DOWNLOADERS:
        folder = "" if _ending(url) else " --recursive"
        return f"Download it first: {_DOWNLOADERS[scheme]} {_quoted(url)} .{folder}"
    if scheme not in ("http", "https"):
        return None
    parts = urlsplit(url)
    if parts.netloc.lower() == _HUB:
        own = _from_hub(unquote(parts.path.strip("/")))
        if own is not None:
            return own
    return f"Download it first: curl -LO {_quoted(url)}" if _ending(parts.path) else None


def _from_hub(text: str) -> str | None:
    """Return how to download what is in a repository of the hub, or one file of it."""
    kind, _, rest = text.partition("/")
    option = f" --repo-type {_KINDS[kind]}" if kind in _KINDS else ""
    owner, _, rest = (rest if option else text).partition("/")
    name, _, inner = rest.partition("/")
    name, _, revision = name.partition("@")
    # as pages and downloads name a file: blob/main/FILE
    view = re.match(r"(?:blob|resolve|raw|tree)/([^/]+)/?(.*)", inner)
    if view is not None:
        revision, inner = view.groups()
    if not _HUB_ID.fullmatch(f"{owner}/{name}"):
        return None
    at = f" --revision {_quoted(revision)}" if revision not in ("", "main") else ""
    file = f" {_quoted(inner)}" if _ending(inner) else ""
    return f"Download it first: {_hf(f'{owner}/{name}', file, at + option)}"


def _hf(repository: str, file: str = "", options: str = "") -> str:
    folder = repository.partition("/")[2]
    return f"hf download {repository}{file}{options} --local-dir {folder}"


def _quoted(text: str) -> str:
    from shlex import quote

    return quote(text)
