"""The files that a command works on, from paths, globs and folders: each checkpoint once.

A file that is named is always taken. In a folder every file is found and classified by its
content, and files that are no checkpoints are listed in the inventory, so that a pass never hides
them. Shards are taken through their index, since a shard alone is only a part.
"""

from __future__ import annotations

import glob
import os
import stat
from pathlib import Path
from typing import Callable, Iterable, Iterator, NamedTuple, Sequence, Union

from ckpttool.files.suffixes import is_called_checkpoint
from ckpttool.findings.errors import CkpttoolError, UnreadableError, UsageError
from ckpttool.findings.inventory import Item, Standing, account
from ckpttool.findings.rules import UNREADABLE
from ckpttool.formats import checkpoint_file
from ckpttool.inputs.file_kinds import Content, FileKind, content_of
from ckpttool.inputs.folders import FoundFile, by_folders, matching, search
from ckpttool.inputs.shards import index_of, parts_of, siblings

_CONFIG = "config.json"
_ANY_DEPTH = "**"
# Files that a message names.
_SHOWN = 3

#: Called with every path that is left out, and the reason.
Leave = Callable[[str, str], None]


class Input(NamedTuple):
    """A checkpoint to look at.

    Attributes:
        path: the file, in the caller's spelling as far as there is one.
        folder: the named folder in which it was found, which is taken for a release; ``None``
            for a file that was named itself.
        error: the error, if it is known already that it cannot be read: a broken link, for example.
        archive: whether it is an archive that may prove to be no checkpoint once it is opened.
    """

    path: str
    folder: str | None = None
    error: UnreadableError | None = None
    archive: bool = False


class SearchOptions(NamedTuple):
    """How the files of a run are chosen.

    Attributes:
        exclude: globs of found files that are not looked at; one that matches none is reported.
        configured: more of them, of the configuration: they need not match where nothing is
            searched.
        trust: patterns of names whose code is trusted, for training state.
        whole: whether a shard that is named stands for its whole checkpoint.
        changed: whether the paths are changed files, such as those of a commit, that nobody chose
            one by one: a ``config.json`` stands for the checkpoints beside it, files that are no
            checkpoints are only listed, and ``exclude`` applies to the paths themselves.
    """

    exclude: tuple[str, ...] = ()
    trust: tuple[str, ...] = ()
    whole: bool = False
    changed: bool = False
    configured: tuple[str, ...] = ()

    @property
    def left_out(self) -> tuple[str, ...]:
        """All globs of found files that are not looked at."""
        return (*self.configured, *self.exclude)


class Inputs(NamedTuple):
    """The files of a run.

    Attributes:
        targets: the checkpoints, in the order in which they were named.
        items: the other files that were found.
        folders: the folders that were searched.
        unused: globs of files to leave out that matched none.
        may_be_empty: whether a run without a checkpoint is no error.
    """

    targets: tuple[Input, ...]
    items: tuple[Item, ...] = ()
    folders: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    may_be_empty: bool = False


def _unheard(_path: str, _why: str) -> None:
    """Ignore a path that is left out."""


def targets_of(
    named: Iterable[str],
    literal: Iterable[str] = (),
    leave: Leave = _unheard,
    choice: Union[SearchOptions, Callable[[str], SearchOptions]] = SearchOptions(),  # noqa: B008 (a constant)
) -> Inputs:
    """Return the checkpoints of paths, in the order in which they are named.

    Args:
        named: files, folders and globs. A path that exists is never taken for a glob. A path that
            does not exist stays a target, so that opening it reports that it is missing.
        literal: further files and folders, which are never taken for globs.
        leave: called with every path that is left out.
        choice: how they are chosen; a function returns it for each path that is named.

    A glob or a folder without a checkpoint becomes a target with an error.
    """
    choosing = _Choosing(leave, choice)
    found = [target for path in named for target in choosing.named(path, globs=True)]
    found += [target for path in literal for target in choosing.named(path, globs=False)]
    return Inputs(
        tuple(choosing.once(found)),
        tuple(choosing.items.values()),
        tuple(choosing.folders),
        choosing.unused(),
        choosing.may_be_empty,
    )


def one_file(path: str) -> str:
    """Return the one file of a path: itself, what it matches as a glob, or the one in a folder.

    Shards are one file, their index.

    Raises:
        UsageError: it is a glob or a folder, and has no such file or more than one.
        UnreadableError: there is no checkpoint in the folder.
    """
    own = checkpoint_file(path)
    if own != path:  # the folder of a distributed checkpoint, whatever else is in it
        return own
    if Path(path).is_dir():
        what = "a folder has to hold one checkpoint here"
        targets = targets_of((), [path]).targets
        for target in targets:
            if target.error is not None:
                raise target.error
        found = [target.path for target in targets]
    elif _is_glob(path):
        what = "a glob has to match one file here"
        found = [one for one in _matched(path) if not Path(one).is_dir()]
    else:
        return path
    if len(found) != 1:
        more = ", ..." if len(found) > _SHOWN else ""
        raise UsageError(
            what,
            path=path,
            found=f"{len(found):,}: {', '.join(found[:_SHOWN])}{more}" if found else "none",
            fix="Name the file.",
        )
    return found[0]


def _is_glob(path: str) -> bool:
    # a file whose name has brackets in it is named, not matched
    return glob.has_magic(path) and not os.path.lexists(path)


def _matched(pattern: str) -> list[str]:
    return sorted(glob.glob(pattern, recursive=True), key=by_folders)  # noqa: PTH207 (absolute too)


def _no_checkpoint(message: str, path: str) -> UnreadableError:
    return UnreadableError(
        message, UNREADABLE, path=path, fix="Name a checkpoint, or a folder with one in it."
    )


class _Choosing:
    """The state of the search: items by their paths, folders, patterns that matched."""

    def __init__(
        self, leave: Leave, choice: Union[SearchOptions, Callable[[str], SearchOptions]]
    ) -> None:
        self._leave = leave
        self._choice_of = choice if callable(choice) else lambda _: choice
        self._choice = SearchOptions()
        # with whether each was typed
        self._patterns: dict[str, bool] = {}
        self._used: set[str] = set()
        self._callers: set[str] = set()
        self._searched = False
        self.may_be_empty = False
        self.items: dict[str, Item] = {}
        self.folders: list[str] = []

    def unused(self) -> tuple[str, ...]:
        """Return the patterns that matched no file."""
        # those of the configuration are for the searches of a project, whether this run has one
        return tuple(
            pattern
            for pattern, typed in self._patterns.items()
            if pattern not in self._used and (typed or self._searched)
        )

    def once(self, targets: list[Input]) -> Iterator[Input]:
        seen: dict[str, str] = {}
        for target in targets:
            # links and, on Windows, upper and lower case lead to the same file
            identity = os.path.normcase(os.path.realpath(target.path))
            if identity not in seen:
                seen[identity] = target.path
                yield target
                continue
            self._leave(target.path, "named before")
            if target.path != seen[identity]:
                self._note(target.path, Standing.SAME, f"the same file as {seen[identity]}")

    def named(self, path: str, globs: bool) -> list[Input]:
        """Return the targets of a path; one with an error where none would look like a pass."""
        self._choice = self._choice_of(path)
        # nobody chose the changed files, so that a pattern for them may well match none
        typed = () if self._choice.changed else self._choice.exclude
        self._patterns.update((one, one in typed) for one in self._choice.left_out)
        self.may_be_empty |= self._choice.changed
        if Path(path).is_dir():
            found = self._in_folder(path)
            if not found and not self._choice.changed:
                return [Input(path, error=self._nothing_in(path))]
            return found
        if not (globs and _is_glob(path)):
            return self._file(path)
        found = self._matching(path)
        if not found:
            return [Input(path, error=_no_checkpoint("no file matches this glob", path))]
        return found

    def _nothing_in(self, folder: str) -> UnreadableError:
        below = [item for path, item in self.items.items() if Path(folder) in Path(path).parents]
        error = _no_checkpoint("there is no checkpoint in this folder", folder)
        error.expected = "a file that is one by its content"
        error.found = account(below) or "nothing at all"
        return error

    # --- files that are named ------------------------------------------------------------------

    def _file(self, path: str) -> list[Input]:
        if self._choice.changed and self._excludes(path):
            return []
        index = index_of(path) if self._choice.whole else None
        if index is not None:
            self._leave(path, f"a shard, taken through its index {index}")
            self._note(path, Standing.PART, f"a shard of {index}")
            # an index of pickles is not read any further, and must not hide what this one calls
            calls = _content(path, self._choice.trust).calls
            return [Input(index), *([Input(path)] if calls else [])]
        if not self._choice.changed or not os.path.isfile(path):  # noqa: PTH113 (any text)
            return [Input(path)]
        beside = self._beside(path) if Path(path).name == _CONFIG else []
        content = _content(path, self._choice.trust)
        return [*self._taken(path, content), *beside]

    def _beside(self, path: str) -> list[Input]:
        """Return the checkpoints in the folder of a file, shards through their index."""
        files = [one for one in siblings(path) if os.path.isfile(one)]  # noqa: PTH113 (any text)
        kinds = {one: _content(one, self._choice.trust).kind for one in files}
        ours = [one for one in files if kinds[one] in _LOOKED_AT]
        parts = parts_of(ours)
        return [
            Input(one, archive=kinds[one] is FileKind.ARCHIVE)
            for one in ours
            if Path(one) not in parts
        ]

    # --- globs and folders ---------------------------------------------------------------------

    def _matching(self, pattern: str) -> list[Input]:
        """Return the targets of a glob: matching files, and folders as if they were named."""
        matched = _matched(pattern)
        self._searched = True
        files = [path for path in matched if not Path(path).is_dir() and not self._excludes(path)]
        found = [target for path in self._whole(files) for target in self._file(path)]
        # ** matches every folder below, each of which would be searched again and again
        folders = [] if _ANY_DEPTH in pattern else [path for path in matched if Path(path).is_dir()]
        return found + [target for folder in folders for target in self._in_folder(folder)]

    def _excludes(self, path: str) -> bool:
        pattern = matching(self._choice.left_out, path.replace(os.sep, "/"))
        if pattern is None:
            return False
        self._exclude(path, pattern)
        return True

    def _in_folder(self, folder: str) -> list[Input]:
        self._searched = True
        self.folders.append(folder)
        found = search(folder, self._choice.left_out)
        targets = [target for one in found for target in self._found(one, folder)]
        whole = set(self._whole([target.path for target in targets]))
        return [target for target in targets if target.path in whole]

    def _found(self, one: FoundFile, folder: str) -> list[Input]:
        """Return the target of a found file, or list the file in the inventory."""
        if one.link is not None:
            self._leave(one.path, f"not left out: a link out of the folder, to {one.link}")
        if one.excluded is not None:
            self._exclude(one.path, one.excluded, one.link)
        elif one.error is not None:
            return [Input(one.path.rstrip("/"), folder, _unreachable(one, one.error))]
        elif one.same is not None and not self._is_more_by_name(one.path, one.same):
            self._leave(one.path, "named before")
            self._note(one.path, Standing.SAME, f"the same as {one.same}", one.link)
        elif one.path.endswith("/"):
            self._note(one.path, Standing.UNSEEN, "folder of a tool", one.link)
        else:
            return self._look(one, folder)
        return []

    def _is_more_by_name(self, path: str, same: str) -> bool:
        """Whether only this one of a file's names has the suffix of a checkpoint."""
        # such a file is looked at whatever its content, so this name must not be the one dropped
        if not is_called_checkpoint(path) or is_called_checkpoint(same) or same.endswith("/"):
            return False
        return _content(same, self._choice.trust).kind not in _LOOKED_AT

    def _look(self, one: FoundFile, folder: str) -> list[Input]:
        mode = one.status.st_mode if one.status is not None else 0
        if not stat.S_ISREG(mode):  # never opened: a FIFO would hang, opening a device acts on it
            if is_called_checkpoint(one.path):
                return [Input(one.path, folder)]
            self._note(one.path, Standing.UNSEEN, f"{_kind_of(mode)}, never opened", one.link)
            return []
        content = _content(one.path, self._choice.trust)
        return self._taken(one.path, content, folder, one.link)

    def _taken(
        self, path: str, content: Content, folder: str | None = None, link: str | None = None
    ) -> list[Input]:
        if content.calls:
            self._callers.add(path)
        if content.kind in _LOOKED_AT:
            if link is not None:
                self._note(path, Standing.CHECKED, content.what, link)
            return [Input(path, folder, archive=content.kind is FileKind.ARCHIVE)]
        standing = _STANDINGS[content.kind]
        self._note(path, standing, content.what, link, weighty=content.kind is FileKind.WEIGHTY)
        return []

    def _whole(self, paths: Sequence[str]) -> Iterator[str]:
        """Leave out the shards that an index among the paths lists."""
        parts = parts_of(paths)
        for path in paths:
            index = parts.get(Path(path))
            # as in _file: an index of pickles must not hide what they call
            if index is None or path in self._callers:
                yield path
            else:
                self._leave(path, "a shard, taken through its index")
                self._note(path, Standing.PART, f"a shard of {index}")
        for item in list(self.items.values()):
            index = parts.get(Path(item.path))
            if index is not None and item.standing is Standing.EXCLUDED:
                self._note(item.path, Standing.PART, f"{item.what}, but a shard of {index}")

    def _exclude(self, path: str, pattern: str, link: str | None = None) -> None:
        self._used.add(pattern)
        self._leave(path, f"excluded by {pattern}")
        self._note(path, Standing.EXCLUDED, f"by {pattern}", link)

    def _note(
        self,
        path: str,
        standing: Standing,
        what: str,
        link: str | None = None,
        weighty: bool = False,
    ) -> None:
        before = self.items.get(path)
        self.items[path] = Item(
            path, standing, what, link or (before.link if before else None), weighty
        )


_LOOKED_AT = (FileKind.CHECKPOINT, FileKind.ARCHIVE)
_STANDINGS = {
    FileKind.TRAINING: Standing.TRAINING,
    FileKind.KNOWN: Standing.KNOWN,
    FileKind.WEIGHTY: Standing.UNSEEN,
    FileKind.CODE: Standing.UNSEEN,
}
_KINDS = ((stat.S_ISFIFO, "FIFO"), (stat.S_ISSOCK, "socket"))


def _kind_of(mode: int) -> str:
    return next((word for asks, word in _KINDS if asks(mode)), "device")


def _content(path: str, trust: tuple[str, ...]) -> Content:
    """Return the kind of a file."""
    try:
        return content_of(path, trust)
    except CkpttoolError:  # a target, so that opening it again reports the error
        return Content(FileKind.CHECKPOINT, "not readable")


def _unreachable(one: FoundFile, error: OSError) -> UnreadableError:
    if one.path.endswith("/"):
        message = f"the folder cannot be listed: {error.strerror}"
        return UnreadableError(message, UNREADABLE, path=one.path)
    try:
        link = os.readlink(one.path)
        # reports are published, and name no folders of this machine
        leads = f"a link to {Path(link).name if Path(link).is_absolute() else link}, which"
    except OSError:
        leads = "it"
    message = f"{leads} cannot be looked at: {error.strerror}"
    fix = "Put the file there, take the link away, or leave it out with --exclude."
    return UnreadableError(message, UNREADABLE, path=one.path, fix=fix)
