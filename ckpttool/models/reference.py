"""A schema that somebody names: what a checkpoint or a model holds, by names, shapes and dtypes.

Where that is an MAE with encoder and decoder, names are those of its canonical layout, so that
files in other layouts fit. All other names count as they stand.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Iterable, Mapping, NamedTuple, Protocol, Sequence

from ckpttool.findings.errors import UnsupportedError
from ckpttool.findings.results import LOAD_STATE_DICT, NO_ITEMS, Coverage
from ckpttool.models.canonical import Canonical, canonicalize
from ckpttool.models.choosing import choose
from ckpttool.models.code.running import Runnable
from ckpttool.models.coverage import cover
from ckpttool.models.families import FAMILIES
from ckpttool.models.family import ConfigFile, Family, Kind, Words
from ckpttool.models.grouping import ROOT, Idle, grouped
from ckpttool.models.neighbours import neighbour_of
from ckpttool.models.schema import DTYPE, Schema, SchemaEntry, schema_of
from ckpttool.tensors.dtypes import DTYPES

if TYPE_CHECKING:
    from ckpttool.models.choosing import Judged
    from ckpttool.models.code.held import Held
    from ckpttool.models.family import ModelConfig
    from ckpttool.tensors.catalogue import TensorInfo


class Code(Runnable, Protocol):
    """A model of which a schema was made."""

    @property
    def name(self) -> str:
        """What reports call it."""

    @property
    def said(self) -> str:
        """What was built, or run, for the schema."""

    @property
    def loader(self) -> str:
        """What fills it from a file."""

    @property
    def held(self) -> Held:
        """What its checkpoint must have."""


class Reference(NamedTuple):
    """A schema that was named.

    Attributes:
        name: what reports call it: the file that it is from, without its folder.
        family: whose model it is; one without any facts where that is not known.
        config: its sizes.
        schema: the tensors that it demands.
        code: what it was built by, if it is of a model and not of a file.
        idle: patterns of groups that take none of its tensors.
        is_listed: whether its names are canonical ones, as in a lock file.
    """

    name: str
    family: Family
    config: ModelConfig
    schema: Schema
    code: Code | None = None
    idle: tuple[Idle, ...] = ()
    is_listed: bool = False

    @property
    def is_known(self) -> bool:
        """Whether the family is a known one, so that its names have roles."""
        return self.family in FAMILIES

    @property
    def is_empty(self) -> bool:
        """Whether it demands nothing, as :data:`NONE`."""
        return not self.schema.entries

    @property
    def loader(self) -> str:
        """What fills the model from a file."""
        return LOAD_STATE_DICT if self.code is None else self.code.loader

    def grouped(self, patterns: Mapping[str, Sequence[str]]) -> Reference:
        """Return it with groups by patterns of names; a known model has groups of its own."""
        if self.is_known or self.is_empty or not patterns:
            return self
        parts = grouped(self.schema.entries, patterns)
        entries = {
            name: entry._replace(group=parts.group_of[name])
            for name, entry in self.schema.entries.items()
        }
        schema = Schema(self.schema.name, parts.order, entries)
        return self._replace(family=_unknown(self.name, schema), schema=schema, idle=parts.idle)

    def canonical(self, tensors: Mapping[str, TensorInfo]) -> Canonical:
        """Return the tensors of a file under the names of this schema."""
        if self.is_known:
            return canonicalize(tensors)
        if self.is_listed:
            renamed = canonicalize(tensors)
            if renamed.family is not None:
                return renamed
        if self.code is None:
            return as_they_stand(tensors)
        names = {name: self.code.held.spelled(name, tensors) for name in tensors}
        return as_they_stand(tensors, names)

    def placed(self, tensors: Mapping[str, TensorInfo]) -> dict[str, TensorInfo]:
        """Return the tensors of a file that the schema demands, by the schema's names.

        A tied tensor may be stored under any of its names, and fills all of them.

        Args:
            tensors: by the names of :meth:`canonical`.
        """
        entries = self.schema.entries
        placed = {name: info for name, info in tensors.items() if name in entries}
        for group in self._tied():
            stored = next((name for name in group if self._is_copy(name, group[0], tensors)), None)
            for name in group:
                if stored is not None and name in entries:
                    placed.setdefault(name, tensors[stored])
        for name in self.code.held.wide & placed.keys() if self.code else ():
            expected = DTYPES[entries[name].dtype]
            if placed[name].dtype.name == DTYPE and expected.bits == 16:
                placed[name] = placed[name]._replace(dtype=expected)
        return placed

    def cover(self, tensors: Mapping[str, TensorInfo]) -> Coverage:
        """Return how much of it the tensors of a file cover, by the names of :meth:`canonical`."""
        if self.is_empty:
            return Coverage(self.name, {}, ())
        found = cover({**tensors, **self.placed(tensors)}, self.schema)
        if self.code is None:
            return found
        computes = self.code.held.computes
        copies = {
            name
            for group in self._tied()
            for name in group
            if self._is_copy(name, group[0], tensors)
        }
        left = (name for name in found.unexpected if name not in copies and not computes(name))
        return found._replace(unexpected=tuple(left))

    def apart(self, tensors: Mapping[str, TensorInfo]) -> list[list[str]]:
        """Return the names of each tied tensor that a file stores several times, in other bytes.

        Args:
            tensors: by the names of :meth:`canonical`.
        """
        every = (
            [name for name in group if self._is_copy(name, group[0], tensors)]
            for group in self._tied()
        )
        return [group for group in every if len({tensors[name].extents for name in group}) > 1]

    def _tied(self) -> list[list[str]]:
        """Return the names of each tied tensor, the first of which is in the schema."""
        groups: dict[str, list[str]] = {}
        for name, main in self.code.held.tied.items() if self.code else ():
            groups.setdefault(main, [main]).append(name)
        return list(groups.values())

    def _is_copy(self, name: str, main: str, tensors: Mapping[str, TensorInfo]) -> bool:
        # of another shape it is no copy of the tied tensor, and has no place
        return name in tensors and tensors[name].shape == self.schema.entries[main].shape


def as_they_stand(
    tensors: Mapping[str, TensorInfo], others: Mapping[str, str] = NO_ITEMS
) -> Canonical:
    """Return the tensors of a file under its own names.

    Args:
        tensors: by name.
        others: other names for some, under which nothing else is stored.
    """
    named: dict[str, TensorInfo] = {}
    origins: dict[str, tuple[str, ...]] = {}
    for name, info in tensors.items():
        new = others.get(name, name)
        if new in named:  # two spellings of one
            new = name
        named[new], origins[new] = info, (name,)
    return Canonical(None, "", named, origins, (), ())


def reference_of(
    name: str,
    tensors: Mapping[str, TensorInfo],
    code: Code | None = None,
    *,
    listed: bool = False,
) -> Reference:
    """Return the schema that the tensors of a checkpoint are.

    Args:
        name: what reports call it.
        tensors: by the names of the file; their bytes are not looked at.
        code: what built the model, if they are those of one.
        listed: whether the names are canonical ones, as in a lock file.

    Raises:
        UnsupportedError: there is no tensor.
    """
    if not tensors:
        raise UnsupportedError("there is no tensor in it, so that it is not a schema")
    # of code the names are known, and more than the shapes show: the number of heads, for example
    whole = None if code else _as_known(tensors)
    if whole is not None:
        judged, canonical = whole
        groups = {key: judged.family.group_of(key) for key in canonical.tensors}
        order = [group for group in judged.family.groups if group in groups.values()]
        order += [group for group in dict.fromkeys(groups.values()) if group not in order]
        schema = _schema(name, canonical.tensors, groups, order)
        return Reference(name, judged.family, judged.config, schema)
    parts = grouped(tensors, {})
    schema = _schema(name, tensors, parts.group_of, parts.order)
    return Reference(name, _unknown(name, schema), _NoSizes(), schema, code, (), listed)


def _as_known(tensors: Mapping[str, TensorInfo]) -> tuple[Judged, Canonical] | None:
    """Return the known model that the tensors are, if they are all of it."""
    canonical = canonicalize(tensors)
    judged = choose(canonical)
    return (judged, canonical) if _is_whole(judged, canonical, tensors) else None


def _is_whole(judged: Judged, canonical: Canonical, tensors: Mapping[str, TensorInfo]) -> bool:
    # An encoder alone may be of many models with these names, and the values are not read.
    if judged.kind is not Kind.FULL:
        return False
    expected = schema_of(judged.family, judged.config, judged.name)
    coverage = cover(canonical.tensors, expected)
    whole = all(group.complete for group in coverage.groups.values())
    return whole and neighbour_of({name: info.shape for name, info in tensors.items()}) is None


def _schema(
    name: str,
    tensors: Mapping[str, TensorInfo],
    groups: Mapping[str, str],
    order: Iterable[str],
) -> Schema:
    entries = {
        key: SchemaEntry(key, info.shape, info.dtype.name, groups[key])
        for key, info in tensors.items()
    }
    return Schema(name, tuple(order), entries)


# --- a family of which nothing is known --------------------------------------------------


class _NoSizes(NamedTuple):
    """The sizes of a model that are not known."""

    embed_dim: int = 0
    depth: int = 0
    layer_norm_eps: float = 0.0


def _unknown(name: str, schema: Schema) -> Family:
    """Return a family without facts: nothing that looks at roles or sizes has anything to say."""
    groups = schema.groups or (ROOT,)
    return Family(
        name=name,
        sizes={},
        default="",
        shapes=partial(_shapes_of, schema),
        load=_cannot_be_built,
        forward=None,
        groups=groups,
        group_of=partial(_group_in, schema),
        stacks={},
        rows={},
        load_layouts=tuple,
        load_conventions=dict,
        anchors=(),
        patches="",
        tables={},
        layernorms="(?!)",
        classifier=(),
        config_file=ConfigFile("", (), _no_settings, _no_settings, (), "(?!)"),
        published={},
        published_at="",
        words=_words,
        with_all=lambda _: (),
    )


def _shapes_of(schema: Schema, _: object) -> dict[str, tuple[int, ...]]:
    return {entry.name: entry.shape for entry in schema.entries.values()}


def _group_in(schema: Schema, name: str) -> str:
    entry = schema.entries.get(name)
    return schema.groups[0] if entry is None and schema.groups else entry.group if entry else ROOT


def _cannot_be_built() -> Callable[..., Any]:
    raise UnsupportedError("a schema has names and shapes alone: no model can be built from it")


def _no_settings(*_: object) -> dict[str, object]:
    return {}


def _words(_: Kind, __: object, name: str) -> Words:
    return Words("other", name, "")


_EMPTY = Schema("none", (), {})
#: In place of a schema: names, shapes and dtypes are not checked.
NONE = Reference("none", _unknown("none", _EMPTY), _NoSizes(), _EMPTY)
