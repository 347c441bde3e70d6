"""Which model a file is judged by: the one that it is, as its names and shapes say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, NamedTuple

from ckpttool.formats.state_dicts.settings import settings_of
from ckpttool.models import families
from ckpttool.models.coverage import cover
from ckpttool.models.families import AUTO
from ckpttool.models.family import Hint, Kind
from ckpttool.models.neighbours import neighbour_of
from ckpttool.models.schema import schema_of

if TYPE_CHECKING:
    from ckpttool.findings.listing import Neighbour
    from ckpttool.findings.results import Coverage
    from ckpttool.models.canonical import Canonical
    from ckpttool.models.family import Family, ModelConfig, Reading, SizeReader
    from ckpttool.models.schema import Schema
    from ckpttool.tensors.catalogue import Checkpoint


class Said(NamedTuple):
    """What is said of a model beside its tensors.

    Attributes:
        config: its ``config.json``, if there is one.
        arguments: those of the training run in the file: dotted name -> value.
        grid: rows and columns of patches, as the values of a position table show them.
    """

    config: Mapping[str, object] = {}
    arguments: Mapping[str, object] = {}
    grid: tuple[int, int] | None = None


class Judged(NamedTuple):
    """The model that a file is judged by.

    Attributes:
        family: whose model it is.
        config: its sizes.
        name: what reports call it: a known name, or the sizes in words.
        kind: what the file has of it; ``None`` where nothing was read off the file.
        assumed: what was not read off the shapes, and where it is from; a line each.
        demanded: what was asked for, where the file is of another model.
        instead: how to ask for the model that the file is; ``""`` where it is that one.
        guessed: whether nothing in the file shows the sizes, so that they say nothing of it.
        neighbour: the known model of another family that the file is, where the core of this one
            is not complete in it.
    """

    family: Family
    config: ModelConfig
    name: str
    kind: Kind | None = None
    assumed: tuple[str, ...] = ()
    demanded: str | None = None
    instead: str = ""
    neighbour: Neighbour | None = None
    guessed: bool = False


class Held(NamedTuple):
    """A file held against a model: the model, what it expects, and how much of it is there."""

    judged: Judged
    schema: Schema
    coverage: Coverage


def choose(
    canonical: Canonical,
    model: str = AUTO,
    sizes: Mapping[str, object] | None = None,
    said: Said = Said(),  # noqa: B008 (a constant)
) -> Judged:
    """Return the model that a file is judged by.

    Args:
        canonical: its tensors under the names of the model.
        model: a known name to hold it against; :data:`AUTO` for the one that it is.
        sizes: sizes that are demanded, by the names of the family's ``free``.
        said: what is said of it elsewhere.
    """
    asked = families.models().get(model)
    family = asked or canonical.family or families.FAMILIES[0]
    name = model if asked else family.default
    known = Judged(family, family.sizes[name], name)
    # without a convention, the names are of no model that is known
    if family.reading is None or canonical.family is not family:
        return known
    demands = {key: Hint(value, "as asked for", True) for key, value in (sizes or {}).items()}
    hints = {**family.reading.hints(said.config, said.arguments), **demands}
    if said.grid is not None:
        hints["grid"] = Hint(said.grid, "the values of the position table")
    shapes = {name: info.shape for name, info in canonical.tensors.items()}
    reading = family.reading.read(shapes, hints)
    if reading is None:  # its core is not there
        there = any(name.startswith(f"{family.core_stack}.") for name in shapes)
        return known._replace(guessed=not (asked or there))
    found = Judged(family, reading.config, reading.text, reading.kind, reading.assumed)
    base: Any = family.sizes[model] if asked else reading.config
    wanted = base._replace(**(sizes or {}))
    if not family.reading.contradicts(wanted, reading):
        if not asked:
            return found
        config = family.reading.fitted(wanted, reading)
        return found._replace(config=config, name=_called(model, sizes))
    return found._replace(
        demanded=_called(model if asked else reading.text, sizes),
        instead=_instead(family.reading, asked and family.sizes[model], sizes or {}, reading),
    )


def said_of(checkpoint: Checkpoint, config: Mapping[str, object] | None = None) -> Said:
    """Return what lies beside the tensors of a file on its model.

    Args:
        checkpoint: the file.
        config: the ``config.json`` in its folder, if there is one.
    """
    arguments = {name: setting.value for name, setting in settings_of(checkpoint).items()}
    return Said(config or {}, arguments)


def hold(judged: Judged, canonical: Canonical, checkpoint: Checkpoint) -> Held:
    """Hold a file against the model that it is judged by.

    Where the core of that is not complete, the known model that the file is instead is looked for.
    """
    schema = schema_of(judged.family, judged.config, judged.name)
    coverage = cover(canonical.tensors, schema, core_alone=judged.kind is Kind.CORE)
    if not coverage.core.complete:
        shapes = {name: info.shape for name, info in checkpoint.tensors.items()}
        judged = judged._replace(neighbour=neighbour_of(shapes))
    return Held(judged, schema, coverage)


def _instead(reader: SizeReader, asked: Any, sizes: Mapping[str, object], reading: Reading) -> str:
    """Return how to change the options, so that they ask for the model that was read."""
    ways = []
    if asked and reader.contradicts(asked, reading):
        ways.append(f"say --model {reading.name or AUTO}")
    wrong = [
        f"--{name.replace('_', '-')}"
        for name, value in sizes.items()
        if reader.contradicts(reading.config._replace(**{name: value}), reading)
    ]
    if wrong:
        ways.append(f"leave out {' and '.join(wrong)}")
    # the sizes of the model that was asked for may each be right, and together not
    return " and ".join(ways) or f"say --model {AUTO}"


def _called(name: str, sizes: Mapping[str, object] | None) -> str:
    told = [f"{key} {_spelled(value)}" for key, value in (sizes or {}).items()]
    return " with ".join(filter(None, (name, ", ".join(told))))


def _spelled(value: Any) -> str:
    return " x ".join(map(str, value)) if isinstance(value, tuple) else str(value)
