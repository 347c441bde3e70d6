"""What a file is, and how that was established, from names, shapes and what lies beside them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Iterator, Mapping

from ckpttool.findings.results import Diagnosis
from ckpttool.findings.text import count, printable, short_percent, some_of
from ckpttool.formats.state_dicts.settings import named, settings_of
from ckpttool.formats.state_dicts.training_state import is_called_training
from ckpttool.models.choosing import choose, hold, said_of
from ckpttool.models.coverage import parts_in_blocks
from ckpttool.models.family import Kind
from ckpttool.models.neighbours import neighbour_of

if TYPE_CHECKING:
    from ckpttool.findings.listing import Neighbour
    from ckpttool.findings.results import Coverage
    from ckpttool.models.canonical import Canonical
    from ckpttool.models.choosing import Judged
    from ckpttool.tensors.catalogue import Checkpoint, TensorInfo

# How training codes count their progress, the most telling first.
_PROGRESS = ("epoch", "current_epoch", "iteration", "global_step", "step", "iter")
_MOST_PARTS = 3  # that are named
_DEEPEST = 3  # levels at which modules are looked for
# State dicts beside the encoder in files of I-JEPA and V-JEPA.
_OF_JEPA = {"predictor", "target_encoder"}


def diagnose_header(checkpoint: Checkpoint, canonical: Canonical) -> Diagnosis:
    """Return what a file is by its header alone."""
    held = hold(choose(canonical, said=said_of(checkpoint)), canonical, checkpoint)
    return diagnose(checkpoint, canonical, held.judged, held.coverage)


def diagnose(
    checkpoint: Checkpoint,
    canonical: Canonical,
    judged: Judged,
    coverage: Coverage,
    unlike: str | None = None,
    called: str | None = None,
) -> Diagnosis:
    """Return what a file is.

    Args:
        checkpoint: the file.
        canonical: its tensors under the names of the model.
        judged: the model that was read off them.
        coverage: the tensors against that model.
        unlike: what the values show the file to be instead, in words; ``None`` if they do not.
        called: what its ``config.json`` calls a model that is not known by the names.
    """
    beside = "; ".join(_beside(checkpoint))
    if judged.kind is None or judged.neighbour is not None:
        found = _other(checkpoint, canonical, judged, coverage)
        if called is None:
            return found
        told = f"the names show {found.text}" if found.kind == "other" else found.text
        return found._replace(text=f"{called} by its config.json; {told}")
    matched = sum(group.matched for group in coverage.groups.values())
    words = judged.family.words(judged.kind, judged.config, judged.name)
    # Another model may have all names of this one's core, as a DINO with its projection head does;
    # that the core is a part of another model is what a backbone is.
    shapes = {name: info.shape for name, info in checkpoint.tensors.items()}
    other = None if judged.kind is Kind.BACKBONE else neighbour_of(shapes)
    unlike = f"{other.what}," if other is not None else unlike
    but = _incomplete(judged, coverage) or _further(judged, canonical, coverage)
    text = words.what + (but or f": {words.use}")
    if unlike:
        text = f"{unlike} with the names of {words.what}"
    text += f": {other.use}" if other is not None and other.use else ""
    return Diagnosis(
        "other" if unlike else words.kind,
        other.name if other is not None else judged.name,
        f"{text}; {beside}" if beside else text,
        "; ".join(_established(canonical, matched, other)),
        judged.assumed,
    )


def _incomplete(judged: Judged, coverage: Coverage) -> str:
    """Say how much of a side is not there, so that nothing is said to be good for what it is not.

    Where tensors have no place besides, they may be another spelling of it, or of another model.
    """
    sides = [
        f"{group.expected - group.matched:,} of {count(group.expected, f'{name} tensor')}"
        for name, group in coverage.groups.items()
        if group.matched < group.expected and not (group.absent and name != judged.family.core)
    ]
    if not sides:
        return ""
    more = len(coverage.unexpected) if coverage.core.matched < coverage.core.expected else 0
    strange = f", while {count(more, 'other')} {'have' if more > 1 else 'has'} no place in it"
    lacks = f"incomplete: {' and '.join(sides)} missing, or of another shape or type"
    return f", {lacks}{strange if more else ''}"


def _further(judged: Judged, canonical: Canonical, coverage: Coverage) -> str:
    """Say that blocks have parts that the model has not, as adapters are: it computes without."""
    # of a backbone it is said anyway that it belongs to another model
    parts = [] if judged.kind is Kind.BACKBONE else parts_in_blocks(canonical, coverage)
    if not parts:
        return ""
    named = some_of([printable(part) for part in parts], _MOST_PARTS)
    return f", with parts in its blocks that {judged.family.name.upper()} has not: {named}"


def _established(canonical: Canonical, matched: int, other: Neighbour | None) -> Iterator[str]:
    """Say by how many names a file is told, and what had to be taken out of them first."""
    yield f"by {matched:,} of {count(len(canonical.tensors), 'name')} and shapes"
    if other is not None:
        yield other.told_by
    for one in canonical.removed:
        way = "taken out of" if one.inside else "taken off"
        yield f"{one.text} {way} {count(one.names, 'name')}"


def _other(
    checkpoint: Checkpoint, canonical: Canonical, judged: Judged, coverage: Coverage
) -> Diagnosis:
    neighbour = judged.neighbour
    if neighbour is not None:
        use = f": {neighbour.use}" if neighbour.use else ""
        return Diagnosis("other", neighbour.name, f"{neighbour.what}{use}", neighbour.told_by)
    if canonical.family is not None:
        if coverage.core.complete:  # of a family whose sizes are not read off its files
            return Diagnosis("part", judged.name, f"the {judged.family.core} of {judged.name}")
        core = f"its {judged.family.core}"
        if not coverage.core.absent:
            core = f"all of {core}" if not judged.guessed else f"the blocks of {core}"
        return Diagnosis(
            "part",
            None,
            f"a part of a model of the family {judged.family.name}, without {core}",
            f"by {len(canonical.tensors) - len(canonical.unclaimed):,} of "
            f"{count(len(canonical.tensors), 'name')}",
        )
    if not checkpoint.tensors:
        return Diagnosis("empty", None, "no checkpoint of weights: there is no tensor in it")
    largest = ", ".join(_largest_modules(checkpoint.tensors))
    return Diagnosis(
        "unknown",
        None,
        "not known: the names are in none of the conventions of a known model"
        + (f"; most of its parameters are in {largest}" if largest else ""),
        f"by {count(len(checkpoint.tensors), 'name')}",
    )


def _largest_modules(tensors: Mapping[str, TensorInfo]) -> Iterator[str]:
    """Yield the modules that most parameters are in, with their part of all."""
    # of a model with one module around all others, those within
    for depth in range(1, _DEEPEST + 1):
        sizes: Counter[str] = Counter()
        for name, info in tensors.items():
            parts = name.split(".", depth)
            sizes[".".join(parts[:depth]) if len(parts) > depth else ""] += info.numel
        total = sum(sizes.values())
        del sizes[""]  # what lies in no module
        if len(sizes) > 1 and total:
            for module, number in sizes.most_common(_MOST_PARTS):
                yield f"{printable(module)} ({short_percent(number, total)})"
            return


def _beside(checkpoint: Checkpoint) -> Iterator[str]:
    """Say that the file is of a training run, and that averaged weights lie beside."""
    if any(is_called_training(entry.key) for entry in checkpoint.entries):
        settings = settings_of(checkpoint)
        progress = named(settings, *_PROGRESS)
        where = f" ({progress.name} {progress.value})" if progress is not None else ""
        yield f"in a training checkpoint{where}"
    keys = {row.key for row in checkpoint.outside}
    if keys >= _OF_JEPA:  # an encoder of JEPA has the names of MAE's
        yield "a predictor lies beside, as JEPA has one and MAE has not"
    averages = [row.key for row in checkpoint.outside if row.is_average]
    if averages:
        yield f"averaged weights (EMA) lie beside, under {averages[0]}"
