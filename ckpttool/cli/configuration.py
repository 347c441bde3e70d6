"""The project's configuration: ``[tool.ckpttool]`` of ``pyproject.toml``, or ``ckpttool.toml``.

For a checkpoint the nearest such file counts, searched from its own folder upward, wherever the run
starts; a ``pyproject.toml`` without that table is skipped. The search ends at the root of the
repository. Outside of a repository it ends below the home folder and below any folder that anybody
may write to: a stray file there must not turn rules off. In ``ckpttool.toml`` the same keys are at
the top level. ``docs/policy.md`` explains the keys.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, Mapping, NamedTuple

from ckpttool.cli import configuration_keys
from ckpttool.files.toml import parse_toml
from ckpttool.findings.errors import UsageError
from ckpttool.findings.results import NO_ITEMS, ConfigurationFile
from ckpttool.findings.rules import Severity
from ckpttool.models.code.calls import names_code
from ckpttool.models.families import AUTO, free_sizes, models, requirements
from ckpttool.verification.options import BESIDE, NO_SCHEMA, Thresholds
from ckpttool.verification.policy import Policy
from ckpttool.verification.waivers import Waiver

#: The files that are searched for in every folder, the one that is ours alone first.
FILES = ("ckpttool.toml", "pyproject.toml")

# What marks the root of a repository: git (a file in a worktree or a submodule) and Mercurial.
_ROOTS = (".git", ".hg")

# A file of more bytes is no configuration: --config may name a checkpoint by mistake.
_MAX_SIZE = 1_000_000


class Configuration(NamedTuple):
    """What a project says of itself.

    Attributes:
        path: the file that says so; ``None`` where there is none.
        content: that file's bytes.
        checkpoint: the checkpoint that commands without an argument take. This path and the
            lock's are relative to the working directory where they lie below it.
        lock: the lock file that ``verify`` compares with.
        model: one of :func:`ckpttool.models.families.models`, or ``auto``.
        sizes: of it that are demanded.
        require: one of :func:`ckpttool.models.families.requirements`.
        expected_missing: globs on names that a checkpoint may lack.
        trust: patterns of names whose code is trusted.
        exclude: globs on files that a search leaves out.
        schema: the source of the schema that a checkpoint must fit, ``hf`` or ``none``.
        example: code that makes what the model of a schema from code is called with.
        allow_unexpected: globs on names that a checkpoint may have beside the model's.
        groups: of the tensors of a schema, each with globs on their names.
        against: the other checkpoint that ``verify`` holds a checkpoint against.
        map: ``OLD=NEW`` of its names and the checkpoint's.
        allow_cast: dtypes to which its tensors may have been cast.
        must_change: globs on names of tensors whose values must not be its.
        must_not_change: globs on names of tensors whose values must be its.
        limits: what the checks tolerate.
        policy: which findings count.
    """

    path: str | None = None
    content: bytes | None = None
    checkpoint: str | None = None
    lock: str | None = None
    model: str | None = None
    sizes: Mapping[str, object] = NO_ITEMS
    require: str | None = None
    expected_missing: tuple[str, ...] = ()
    trust: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    schema: str | None = None
    example: str | None = None
    allow_unexpected: tuple[str, ...] = ()
    groups: Mapping[str, tuple[str, ...]] = NO_ITEMS
    against: str | None = None
    map: tuple[str, ...] = ()
    allow_cast: tuple[str, ...] = ()
    must_change: tuple[str, ...] = ()
    must_not_change: tuple[str, ...] = ()
    limits: Thresholds = Thresholds()
    policy: Policy = Policy()

    @property
    def sha256(self) -> str | None:
        """The SHA-256 of the file's bytes, in hexadecimal."""
        if self.content is None:
            return None
        from hashlib import sha256  # late: its library takes 2 ms, and few commands ask

        return sha256(self.content).hexdigest()

    @property
    def source(self) -> ConfigurationFile | None:
        """The file that it was read from, for reports; ``None`` if it is the default."""
        if self.path is None or self.sha256 is None:
            return None
        return ConfigurationFile(_seen_from(_working_folder(), Path(self.path)), self.sha256)

    @property
    def is_the_callers(self) -> bool:
        """Whether it holds in the working folder: what lies elsewhere may be anybody's."""
        if self.path is None:
            return True
        here, folder = _working_folder(), Path(self.path).parent
        try:  # not by their names: a link may lead to either of them
            return any(folder.samefile(place) for place in (here, *here.parents))
        except OSError:
            return False

    @property
    def vouches_for_code(self) -> bool:
        """Whether it names code to run, or keeps calls of code from counting.

        It does by ``schema``, or by ``trust``, ``ignore`` or a waiver.
        """
        return bool(self.trust) or self.policy.hides_calls or self._runs_code

    def without_code(self) -> Configuration:
        """Return it without what it says of code that a checkpoint may call, or that is to run."""
        schema = None if self._schema_is_code else self.schema
        policy = self.policy.without_code()
        return self._replace(trust=(), schema=schema, example=None, policy=policy)

    @property
    def _runs_code(self) -> bool:
        return self.example is not None or self._schema_is_code

    @property
    def _schema_is_code(self) -> bool:
        folder = "" if self.path is None else str(Path(self.path).parent)
        return self.schema is not None and names_code(self.schema, folder)


def find_configuration(folder: str | None = None) -> Configuration:
    """Return the configuration that holds in a folder, the working directory by default.

    The folder is taken as it is named: where it is a link, not where that leads.

    Raises:
        UsageError: the file is not valid TOML, or has a key or a value that does not exist; or
            the working directory was removed.
    """
    here = _working_folder()
    # not resolve: a checkpoint that is a link into a cache belongs to the project that links it
    start = here if folder is None else Path(os.path.abspath(here / folder))  # noqa: PTH100
    for place in _searched(start):
        for name in FILES:
            found = _table(place / name)
            if found is not None:
                return _configuration(place / name, *found, here)
    return Configuration()


def _searched(start: Path) -> tuple[Path, ...]:
    """Return the folders in which a configuration counts, from ``start`` upward."""
    chain = (start, *start.parents)
    for number, place in enumerate(chain):
        # os.path, which answers no for a folder that one may not look into
        if any(os.path.exists(place / mark) for mark in _ROOTS):  # noqa: PTH110
            return chain[: number + 1]
    # outside of a repository nothing says where the project ends
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 (text where there is none)
    end = next(
        (number for number, place in enumerate(chain) if place == home or _is_everybodys(place)),
        len(chain) - 1,
    )
    return chain[:end]


def _is_everybodys(folder: Path) -> bool:
    """Whether everybody may put a file there, as into /tmp."""
    try:
        # on Windows the mode says nothing about who may write
        return os.name == "posix" and bool(folder.stat().st_mode & stat.S_IWOTH)
    except OSError:
        return False


def read_configuration(path: str) -> Configuration:
    """Return the configuration that a file holds.

    Raises:
        UsageError: as :func:`find_configuration`; also if there is no such file, or it says
            nothing of ckpttool.
    """
    if not Path(path).exists():
        from ckpttool.files.missing import missing  # late: for errors only

        told = missing(path)
        raise UsageError(told.reason, path=path, fix=told.fix)
    if not Path(path).is_file():
        raise UsageError("the configuration is no regular file", path=path)
    found = _table(Path(path))
    if found is None:  # a search skips such a file, but this one was asked for
        raise UsageError("the configuration has no table tool.ckpttool", path=path)
    return _configuration(Path(path).absolute(), *found, _working_folder())


def _working_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        reason = "the working folder is not there any more"
        raise UsageError(reason, fix="Change into one that is.") from error


def _table(path: Path) -> tuple[dict[str, Any], bytes] | None:
    """Return our part of a file and all of its bytes; ``None`` if there is none."""
    try:
        if not path.is_file():
            return None
        if path.stat().st_size > _MAX_SIZE:
            raise UsageError("the configuration is too large", path=str(path))
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"the configuration cannot be read: {error.strerror}", path=str(path)
        ) from error
    document = parse_toml(content, str(path))
    if path.name != "pyproject.toml":
        return document, content
    tools = document.get("tool")
    table = tools.get("ckpttool") if isinstance(tools, dict) else None
    if table is not None and not isinstance(table, dict):
        raise UsageError("tool.ckpttool is not a table", path=str(path))
    return None if table is None else (table, content)


# --- the keys ----------------------------------------------------------------------------

_POLICY: dict[str, configuration_keys.Reader] = {
    "select": configuration_keys.codes,
    "extend-select": configuration_keys.codes,
    "ignore": configuration_keys.codes,
    "fail-on": configuration_keys.choice(severity.value for severity in Severity),
}
_WAIVER: dict[str, configuration_keys.Reader] = {
    "code": configuration_keys.code,
    "tensors": configuration_keys.text,
    "path": configuration_keys.text,
    "reason": configuration_keys.text,
    "owner": configuration_keys.text,
    "expires": configuration_keys.day,
    "fingerprint": configuration_keys.text,
}
_LIMITS: dict[str, configuration_keys.Reader] = {
    name.replace("_", "-"): configuration_keys.positive for name in Thresholds._fields
}


def _sizes(value: object, key: str) -> dict[str, object]:
    return configuration_keys.table(
        value, key, {name.replace("_", "-"): configuration_keys.size(name) for name in free_sizes()}
    )


def _limits(value: object, key: str) -> Thresholds:
    return Thresholds(**configuration_keys.table(value, key, _LIMITS))


def _waivers(value: object, key: str) -> tuple[dict[str, Any], ...]:
    if not isinstance(value, list):
        raise UsageError(f"{key} is not a list of tables", fix="Write [[tool.ckpttool.waivers]].")
    return tuple(
        configuration_keys.table(item, f"waiver {number}", _WAIVER, ("code", "reason"))
        for number, item in enumerate(value, 1)
    )


_KEYS: dict[str, configuration_keys.Reader] = {
    "checkpoint": configuration_keys.text,
    "lock": configuration_keys.text,
    "model": configuration_keys.choice((AUTO, *models())),
    "sizes": _sizes,
    "require": configuration_keys.choice(requirements()),
    "schema": configuration_keys.text,
    "example": configuration_keys.text,
    "expected-missing": configuration_keys.texts,
    "allow-unexpected": configuration_keys.texts,
    "groups": configuration_keys.groups,
    "against": configuration_keys.text,
    "map": configuration_keys.texts,
    "allow-cast": configuration_keys.texts,
    "must-change": configuration_keys.texts,
    "must-not-change": configuration_keys.texts,
    "trust": configuration_keys.trusted,
    "exclude": configuration_keys.texts,
    "tolerances": _limits,
    "waivers": _waivers,
    **_POLICY,
}


def _configuration(
    path: Path, table: Mapping[str, Any], content: bytes, start: Path
) -> Configuration:
    try:
        read = configuration_keys.table(dict(table), "", _KEYS)
    except UsageError as error:
        error.path = str(path)
        raise
    # relative to the file that says so, wherever the run starts
    for key in ("checkpoint", "lock", "against"):
        if key in read:
            read[key] = _seen_from(start, path.parent / read[key])
    schema = read.get("schema", NO_SCHEMA)
    if schema not in (NO_SCHEMA, AUTO, BESIDE) and not names_code(schema, str(path.parent)):
        read["schema"] = _seen_from(start, path.parent / schema)
    if "tolerances" in read:
        read["limits"] = read.pop("tolerances")
    if "fail_on" in read:
        read["fail_on"] = Severity(read["fail_on"])
    shown = _seen_from(start, path)
    read["waivers"] = tuple(
        # a waiver has no name: messages count it within its file
        Waiver(**fields, folder=str(path.parent), place=f"waiver {number} of {shown}")
        for number, fields in enumerate(read.get("waivers", ()), 1)
    )
    policy = Policy(**{name: read.pop(name) for name in Policy._fields if name in read})
    return Configuration(str(path), content, policy=policy, **read)


def _seen_from(start: Path, whole: Path) -> str:
    """Return a path as people write it: relative to the working folder if it lies below."""
    try:
        return str(whole.relative_to(start))
    except ValueError:
        return str(whole)
